"""The explorer beside a kernel: the module of `explorer.html`, and in it a live run of what it shows."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
import traitlets
from IPython.display import display

from grmu.experiments import Result
from grmu.show import explorer
from grmu.show.explorer_data import WHO
from grmu.show.widgets.common import Displayed
from grmu.show.widgets.live import Live, RunView
from grmu.show.widgets.model_changes import ModelChanges

KEYS = {groups: key for key, groups in WHO.items()}
QUESTION = ("Half of a small group is forgotten. "
            "Does the method keep those who stay, and is that as good as the gold standard?")


class ExplorerView(RunView):
    """The module, beginning with any field of `grmu.show.explorer.Choice`; it looks up what it shows.

    choice: the setting as the module has it, both ways.
    """

    choice = traitlets.Dict().tag(sync=True)

    def __init__(self, **start: Any) -> None:
        setting = asdict(explorer.Choice(**start))
        super().__init__(choice={"who": KEYS[setting.pop("groups")], **setting})

    @property
    def chosen(self) -> explorer.Choice:
        """What the controls say."""
        setting = dict(self.choice)  # JavaScript's numbers have no type
        return explorer.Choice(groups=WHO[setting.pop("who")], **setting | {
            "ratio": float(setting["ratio"]), "lam": float(setting["lam"])})

    def asked(self) -> dict[str, Any]:
        """The setting that a run is of: drawn beside no other."""
        return {"choice": dict(self.choice)}

    def came_to(self, asked: dict[str, Any], result: Result) -> dict[str, Any]:
        """Metrics, and the accuracies of the panel's rows."""
        groups = explorer.by_row(WHO[asked["choice"]["who"]], result.by_group())
        return super().came_to(asked, result) | {"groups": groups.tolist()}


class Explorer(Displayed):
    """The module, a live run of exactly what its controls say, and then what the model sees.

    Where no widgets are, a figure and its numbers stand for it, of the setting that it begins with.
    """

    def __init__(self, question: str = QUESTION, store: str | Path | None = None, **start: Any) -> None:
        self.view = ExplorerView(**start)
        self.first = self.view.chosen
        self.live = Live(lambda: self.view.chosen.experiment(), self._finished, store, view=self.view)
        self.model_changes = ModelChanges(store)
        self.box = w.VBox([w.HTML(f"<b>{escape(question)}</b>"), self.view, self.model_changes.box])

    def _finished(self, result: Result) -> None:
        self.model_changes.show(result)

    def _ipython_display_(self) -> None:
        try:
            data, metadata = explorer.printed(self.first).bundle()
        except ValueError as error:
            data, metadata = {"text/plain": str(error)}, {}
        display(dict(self.box._repr_mimebundle_() or {}) | data, metadata=metadata, raw=True)


def explore(question: str = QUESTION, **start: Any) -> Explorer:
    """The explorer, beginning with a setting: any field of `grmu.show.explorer.Choice`."""
    return Explorer(question, **start)
