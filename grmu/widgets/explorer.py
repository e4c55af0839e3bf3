"""Show the explorer in a notebook, where it can also train the setting that it shows."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
import matplotlib.pyplot as plt
import traitlets
from IPython.display import Image, display

from grmu import plots
from grmu.experiments import Result
from grmu.widgets.live import Live, RunView
from grmu.widgets.model_changes import ModelChanges
from grmu.widgets.settings import Choice, by_row, printed
from grmu.widgets.work import Displayed

QUESTION = ("Half of a small group is forgotten. "
            "Does the method keep the accuracy of the members who stay? Does the gold standard do better?")


class ExplorerView(RunView):
    """The explorer's JavaScript module, which keeps its setting in `choice`.

    Args:
        start: The fields of `Choice` that the explorer starts with.
    """

    choice = traitlets.Dict().tag(sync=True)

    def __init__(self, **start: Any) -> None:
        super().__init__(choice=asdict(Choice(**start)))

    def setting(self) -> dict[str, Any]:
        """Return the current setting; a run is drawn only beside its own setting."""
        return {"choice": dict(self.choice)}

    def summary(self, setting: dict[str, Any], result: Result) -> dict[str, Any]:
        """Return the metrics of a finished run and the accuracies in the rows of the groups' panel."""
        return super().summary(setting, result) | {
            "groups": by_row(setting["choice"]["who"], result.by_group()).tolist()}


class Explorer(Displayed):
    """The explorer with a live run of its setting and, afterwards, the predictions that changed.

    A page without widgets shows a figure and a table of the initial setting instead.

    Args:
        question: The question above the explorer.
        store: The folder of finished runs, as `grmu.run` takes it.
        start: The fields of `grmu.widgets.settings.Choice` that the explorer starts with.
    """

    def __init__(self, question: str = QUESTION, store: str | Path | None = None, **start: Any) -> None:
        self.view = ExplorerView(**start)
        self.model_changes = ModelChanges(store)
        self.live = Live(lambda: Choice(**self.view.choice).experiment(), self.model_changes.show, store,
                         view=self.view)
        self.box = w.VBox([w.HTML(f"<b>{escape(question)}</b>"), self.view, self.model_changes.box])

    def _ipython_display_(self) -> None:
        try:
            data, metadata = on_paper(Choice(**self.view.choice))
        except ValueError as error:
            data, metadata = {"text/plain": str(error)}, {}
        display(dict(self.box._repr_mimebundle_() or {}) | data, metadata=metadata, raw=True)


def on_paper(choice: Choice) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the figure and table of a setting as the data and metadata of a notebook output."""
    shown = printed(choice)
    figure = plots.group_change(shown.groups, shown.forgotten, shown.sentence)
    words = f"{shown.sentence}. {plots.caption_of(figure)}"
    png, _ = plots.png_of(figure)
    plt.close(figure)
    data, metadata = Image(png, format="png", retina=True, alt=words)._repr_mimebundle_()
    table = shown.groups.round(1).rename_axis(columns="group").to_html(border=0)
    return data | {"text/html": f"<details><summary>In numbers</summary>{table}</details>",
                   "text/plain": shown.sentence}, metadata


explore = Explorer
