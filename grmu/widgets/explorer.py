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
from grmu.data import known
from grmu.experiments import Result
from grmu.widgets.live import Live, RunView
from grmu.widgets.model_changes import ModelChanges
from grmu.widgets.settings import Choice, LastLayer, by_row, printed, printed_last_layer
from grmu.widgets.work import Displayed

QUESTION = ("Half of a small group is forgotten. "
            "Does the method keep the accuracy of the members who stay? Does the gold standard do better?")


class ExplorerView(RunView):
    """The explorer's JavaScript module, which keeps its setting in `choice`."""

    choice = traitlets.Dict().tag(sync=True)

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
        self.view = ExplorerView(choice=asdict(Choice(**start)))
        self.model_changes = ModelChanges(store)
        self.live = Live(lambda: Choice(**self.view.choice).experiment(), self.model_changes.show, store,
                         view=self.view)
        self.box = w.VBox([w.HTML(f"<b>{escape(question)}</b>"), self.view, self.model_changes.box])

    def choice(self) -> Choice | LastLayer:
        """Return the setting that is shown."""
        return Choice(**self.view.choice)

    def _ipython_display_(self) -> None:
        try:
            data, metadata = on_paper(self.choice())
        except ValueError as error:
            data, metadata = {"text/plain": str(error)}, {}
        display(dict(self.box._repr_mimebundle_() or {}) | data, metadata=metadata, raw=True)


class Retrain(Explorer):
    """The view that retrains the last layer, which needs no kernel.

    Args:
        question: What the reader should find out.
        start: The fields of `LastLayer` that the view starts with.
    """

    def __init__(self, question: str, **start: Any) -> None:
        self.start = LastLayer(**start)
        self.view = ExplorerView(choice={"view": "retrain"} | asdict(self.start))
        self.box = w.VBox([w.HTML(f"<b>{escape(question)}</b>"), self.view])

    def choice(self) -> LastLayer:
        """Return the setting that it starts with."""
        return self.start


def explore(question: str = QUESTION, store: str | Path | None = None, view: str = "runs",
            **start: Any) -> Explorer:
    """Return the explorer, to be displayed.

    Args:
        question: What the reader should find out; it is shown above the explorer.
        store: Folder of finished runs, as `grmu.run` takes it.
        view: "runs" looks up runs and trains them, "retrain" retrains the last layer at every move.
        start: The setting to start with: fields of `settings.Choice` or `settings.LastLayer`.

    Raises:
        ValueError: There is no such view.
    """
    known("view", view, ("runs", "retrain"))
    return Retrain(question, **start) if view == "retrain" else Explorer(question, store, **start)


def on_paper(choice: Choice | LastLayer) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the figure and table of a setting as the data and metadata of a notebook output."""
    shown = printed_last_layer(choice) if isinstance(choice, LastLayer) else printed(choice)
    figure = plots.group_change(shown.groups, shown.forgotten, shown.sentence)
    words = f"{shown.sentence}. {plots.caption_of(figure)}"
    png, _ = plots.png_of(figure)
    plt.close(figure)
    data, metadata = Image(png, format="png", retina=True, alt=words)._repr_mimebundle_()
    data["text/plain"] = shown.sentence
    if isinstance(choice, Choice):
        table = shown.groups.round(1).rename_axis(columns="group").to_html(border=0)
        data["text/html"] = f"<details><summary>In numbers</summary>{table}</details>"
    return data, metadata
