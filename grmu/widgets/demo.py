"""Controls above a figure: `demo` is all that a lesson needs.

The function gets the controls' values as keywords and returns a figure. The lesson calls the same function in
the cell before, so that the page shows the same where no widgets run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from grmu.widgets.work import SLIDER, Displayed, image, show


class Demo(Displayed):
    """Sliders and the figure that follows them; `controls[name].value = ...` works from code too.

        demo(draw, "What happens at 0.9?", ratio=[0.1, 0.5, 0.9])

    Args:
        draw: takes one keyword per control and returns a figure.
        question: what the reader should guess before moving anything.
        labels: plain words beside a slider, by keyword.
        options: by keyword, the values that its slider offers (only what was computed can be shown).
    """

    def __init__(self, draw: Callable[..., Figure], question: str, labels: Mapping[str, str] | None = None,
                 **options: Sequence[Any]) -> None:
        self.draw, self.picture, self.message = draw, image(), w.HTML()
        self.controls = {
            name: w.SelectionSlider(options=list(values), description=(labels or {}).get(name, name),
                                    tooltip=f"arrow keys move {name}", **SLIDER)
            for name, values in options.items()}
        for control in self.controls.values():
            control.observe(self.update, names="value")
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), *self.controls.values(), self.message, self.picture])
        self.update()

    def update(self, _change: object = None) -> None:
        """Draw for the current values."""
        values = {name: control.value for name, control in self.controls.items()}
        show(lambda: self.draw(**values), self.picture, self.message)


demo = Demo
