"""What all demos share: how they look, how an error is shown, how they are displayed."""

from __future__ import annotations

from html import escape

import ipywidgets as w
from IPython.display import display

STYLE, WIDE = {"description_width": "13em"}, w.Layout(width="38em")
SLIDER = {"continuous_update": False, "style": STYLE, "layout": WIDE}


class Displayed:
    """Shows its `box` where a notebook's cell ends with it."""

    box: w.Box

    def _ipython_display_(self) -> None:
        display(self.box)


def explained(error: Exception) -> str:
    """The error as HTML: shown in the widget, not swallowed."""
    return f"<b>{escape(type(error).__name__)}:</b> {escape(str(error))}"
