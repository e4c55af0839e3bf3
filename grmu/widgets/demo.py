"""Controls above a figure: `demo` is all that a lesson needs.

The function gets the controls' values as keywords and returns a figure. The lesson calls the same function in
the cell before, so that the page shows the same where no widgets run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from grmu.plots import png_of
from grmu.widgets.work import Displayed, explained


class Demo(Displayed):
    """Sliders and the figure that follows them; `controls[name].value = ...` works from code too.

    Args:
        draw: takes one keyword per control and returns a figure.
        question: what the reader should guess before moving anything.
        labels: plain words beside a slider, by keyword.
        options: by keyword, the values that its slider offers (only what was computed can be shown).
    """

    def __init__(self, draw: Callable[..., Figure], question: str, labels: Mapping[str, str],
                 options: Mapping[str, Sequence[Any]]) -> None:
        self.draw = draw
        self.error: Exception | None = None
        # an image and a line of text: the capture of an Output widget deadlocks some notebook runners
        self.picture, self.message = w.Image(format="png", layout=w.Layout(max_width="100%")), w.HTML()
        self.controls = {
            name: w.SelectionSlider(options=list(values), value=next(iter(values)), continuous_update=False,
                                    description=labels.get(name, name), tooltip=f"arrow keys move {name}",
                                    style={"description_width": "initial"}, layout=w.Layout(width="28em"))
            for name, values in options.items()}
        for control in self.controls.values():
            control.observe(self.update, names="value")
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), *self.controls.values(), self.message, self.picture])
        self.update()

    def update(self, _change: object = None) -> None:
        """Draw for the current values; show an error instead, if there is one."""
        before = plt.get_fignums()
        try:
            figure = self.draw(**{name: control.value for name, control in self.controls.items()})
            self.picture.value, self.picture.width = png_of(figure)
            self.error, self.message.value = None, ""
        except Exception as error:
            self.error, self.picture.value, self.message.value = error, b"", explained(error)
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)


def demo(draw: Callable[..., Figure], question: str, labels: Mapping[str, str] | None = None,
         **options: Sequence[Any]) -> Demo:
    """Return a `Demo` in one call: `demo(draw, "What happens at 0.9?", ratio=[0.1, 0.5, 0.9])`."""
    return Demo(draw, question, labels or {}, options)
