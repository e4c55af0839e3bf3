"""Show controls above a figure with `demo`.

A lesson passes a function that takes the controls' values as keyword arguments and returns a figure. It calls
the same function in the preceding cell, so that a page without widgets shows the figure too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from grmu.widgets.work import SLIDER, Displayed, image, show


class Demo(Displayed):
    """Sliders above a figure that is drawn again whenever a slider moves.

        demo(draw, "What happens at 0.9?", ratio=[0.1, 0.5, 0.9])

    You can also move a slider from code, with `controls[name].value = ...`.

    Args:
        draw: A function that takes one keyword argument per slider and returns a figure.
        question: The question that readers should answer before they move a slider.
        labels: The label of each slider, by keyword.
        options: The values that each slider offers, by keyword.
    """

    def __init__(self, draw: Callable[..., Figure], question: str, labels: Mapping[str, str] | None = None,
                 **options: Sequence[Any]) -> None:
        self.draw, self.picture, self.message = draw, image(), w.HTML()
        self.controls = {
            name: w.SelectionSlider(options=list(values), description=(labels or {}).get(name, name),
                                    tooltip=f"Use the arrow keys to change {name}.", **SLIDER)
            for name, values in options.items()}
        for control in self.controls.values():
            control.observe(self.update, names="value")
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), *self.controls.values(), self.message, self.picture])
        self.update()

    def update(self, _change: object = None) -> None:
        """Draw the figure for the current values."""
        values = {name: control.value for name, control in self.controls.items()}
        show(lambda: self.draw(**values), self.picture, self.message)


demo = Demo
