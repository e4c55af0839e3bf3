"""Interactive demos: labelled controls over a plain plotting function. `demo` is all that a lesson needs.

The function gets the controls' values as keywords and returns a figure; the lesson calls the same function in
the cell before, so that the page says the same where no widgets run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import ipywidgets as w
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from grmu.show.widgets.common import Displayed, explained


class Demo(Displayed):
    """Controls and the figure that follows them; `controls[name].value = ...` works from code too.

    Args:
        draw: takes one keyword per control, returns a figure.
        options: per keyword, the values its slider snaps to (only what was computed can be shown).
        labels, tips: per keyword, plain words beside the slider and in its tooltip.
        question: what the reader should guess before moving anything.
    """

    def __init__(self, draw: Callable[..., Figure], options: Mapping[str, Sequence[Any]],
                 labels: Mapping[str, str] | None = None, tips: Mapping[str, str] | None = None,
                 question: str = "") -> None:
        labels, tips = labels or {}, tips or {}
        # a picture and a line of text, not an Output widget: its capture deadlocks some notebook runners
        self.picture, self.message = w.Image(format="png", layout=w.Layout(max_width="100%")), w.HTML()
        self.draw = draw
        self.figure: Figure | None = None
        self.error: Exception | None = None
        self.controls = {
            name: w.SelectionSlider(
                options=list(values), value=next(iter(values)), description=labels.get(name, name),
                continuous_update=False,
                tooltip=tips.get(name, f"arrow keys move {labels.get(name, name)}"),
                style={"description_width": "initial"}, layout=w.Layout(width="28em"))
            for name, values in options.items()}
        for control in self.controls.values():
            control.observe(self.update, names="value")
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), *self.controls.values(), self.message, self.picture])
        self.update()

    def update(self, _change: object = None) -> None:
        """Draw for the current values; an error is shown in the widget, not swallowed."""
        open_before = plt.get_fignums()
        try:
            figure = self.draw(**{name: control.value for name, control in self.controls.items()})
            self.figure, (self.picture.value, self.picture.width) = figure, _png(figure)
            self.error, self.message.value = None, ""
        except Exception as error:
            self.error, self.picture.value = error, b""
            self.message.value = explained(error)
        finally:
            for number in set(plt.get_fignums()) - set(open_before):
                plt.close(number)


def _png(figure: Figure) -> tuple[bytes, str]:
    """The figure as PNG at twice its size on screen, and that size in pixels."""
    file, dpi = BytesIO(), figure.get_dpi()
    figure.savefig(file, format="png", dpi=2 * dpi, bbox_inches="tight")
    width = int.from_bytes(file.getvalue()[16:20], "big")  # from the header: "tight" has cut the margins
    return file.getvalue(), str(width // 2)


def demo(draw: Callable[..., Figure], question: str, labels: Mapping[str, str] | None = None,
         tips: Mapping[str, str] | None = None, **options: Sequence[Any]) -> Demo:
    """A `Demo` in one call: `demo(draw, "What happens at 0.9?", ratio=[0.1, 0.5, 0.9])`."""
    return Demo(draw, options, labels, tips, question)
