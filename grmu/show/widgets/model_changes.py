"""What the model sees: after a live run, its forget set, the predictions that changed, and its features."""

from __future__ import annotations

from pathlib import Path

import ipywidgets as w
from matplotlib.figure import Figure

from grmu.analysis.names import label
from grmu.experiments import Result
from grmu.show import model_changes
from grmu.show.plots_live import answers_sheet, feature_map, png_of
from grmu.show.widgets.common import explained

VIEWS = {"what was forgotten": "samples of the forget set, and how sure the model is of their true class, "
                               "before and after",
         "what changed": "test samples that are predicted differently now",
         "features": "where test samples lie, before and after"}
ROWS = 6  # groups that are shown


class ModelChanges:
    """Three views of what a run changed, of which one is shown; nothing is computed before `show`."""

    def __init__(self, store: str | Path | None = None) -> None:
        self.store = store
        self.result: Result | None = None
        self.changes: model_changes.Changes | None = None
        self.error: Exception | None = None
        self.view = w.ToggleButtons(options=list(VIEWS), tooltips=list(VIEWS.values()),
                                    style={"button_width": "12em"})
        self.picture, self.message = w.Image(format="png", layout=w.Layout(max_width="100%")), w.HTML()
        self.view.observe(lambda _: self.update(), names="value")
        self.box = w.VBox([w.HTML("<b>What the model sees now</b>"), self.view, self.message, self.picture],
                          layout=w.Layout(display="none"))

    def show(self, result: Result) -> None:
        """Show what this run changed."""
        self.result, self.changes = result, None
        self.update()
        self.box.layout.display = None

    def update(self) -> None:
        """Draw the chosen view; an error is shown, not swallowed."""
        try:
            if self.result is None:
                raise ValueError("there is no run yet to look into.")
            self.changes = self.changes or model_changes.find_changes(self.result, self.store)
            self.picture.value, self.picture.width = png_of(self.draw(self.result, self.changes))
            self.error, self.message.value = None, ""
        except Exception as error:
            self.error, self.picture.value = error, b""
            self.message.value = explained(error)

    def draw(self, result: Result, changes: model_changes.Changes) -> Figure:
        """The figure of the chosen view."""
        e = result.experiment
        name = label(e.method, e.reweight)
        forget = sorted(set(changes.forget.data.group.tolist()))
        if self.view.value == "features":
            return feature_map(changes.features, forget, ("before", f"after {name}"))
        changed = self.view.value == "what changed"
        answers = changes.test if changed else changes.forget
        groups = [g for g in range(answers.data.n_groups) if changed or g in forget][:ROWS]
        n = int(answers.changed.sum())
        title = (f"{name} changes {n} of {len(answers.data):,} predictions on the test set" if changed else
                 f"{name}: confidence in the true class of forgotten samples, before → after (%)")
        return answers_sheet(answers, groups, changed, title)
