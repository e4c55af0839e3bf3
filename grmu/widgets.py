"""Interactive demos: labelled controls over a plain plotting function. `explore` is all that a lesson needs.

The function gets the controls' values as keywords and returns a figure; the lesson calls the same function in the cell
before, so that the page says the same where no widgets run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w
import matplotlib.pyplot as plt
from IPython.display import display


class Explorer:
    """Controls and the figure that follows them; `controls[name].value = ...` works from code as from the keyboard.

    Args:
        draw: takes one keyword per control, returns a figure.
        options: per keyword, the values its slider snaps to (only what was computed can be shown).
        labels, tips: per keyword, plain words beside the slider and in its tooltip.
        question: what the reader should guess before moving anything.
    """

    def __init__(self, draw: Callable, options: Mapping[str, Sequence], labels: Mapping[str, str] | None = None,
                 tips: Mapping[str, str] | None = None, question: str = "") -> None:
        labels, tips = labels or {}, tips or {}
        self.draw, self.output, self.figure, self.error = draw, w.Output(), None, None
        self.controls = {
            name: w.SelectionSlider(
                options=list(values), value=next(iter(values)), description=labels.get(name, name), continuous_update=False,
                tooltip=tips.get(name, f"arrow keys move {labels.get(name, name)}"),
                style={"description_width": "initial"}, layout=w.Layout(width="28em"))
            for name, values in options.items()}
        for control in self.controls.values():
            control.observe(self.update, names="value")
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), *self.controls.values(), self.output])
        self.update()

    def update(self, _change: object = None) -> None:
        """Draw for the current values; an error is shown in the widget, not swallowed."""
        self.output.clear_output(wait=True)
        with self.output:
            try:
                self.error = None
                self.figure = self.draw(**{name: control.value for name, control in self.controls.items()})
                display(self.figure)
                plt.close(self.figure)
            except Exception as error:
                self.error = error
                plt.close("all")  # what draw had begun
                print(f"{type(error).__name__}: {error}")

    def _ipython_display_(self) -> None:
        display(self.box)


def explore(draw: Callable, question: str, labels: Mapping[str, str] | None = None, tips: Mapping[str, str] | None = None,
            **options: Sequence) -> Explorer:
    """An `Explorer` in one call: `explore(draw, "What happens at 0.9?", ratio=[0.1, 0.5, 0.9])`."""
    return Explorer(draw, options, labels, tips, question)
