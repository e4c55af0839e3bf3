"""Show the samples that a model classifies differently after unlearning."""

from __future__ import annotations

from pathlib import Path

import ipywidgets as w
import pandas as pd
import torch
from matplotlib.figure import Figure

from grmu import plots
from grmu.data import GroupedDataset
from grmu.experiments import Result, load_split, run
from grmu.models import Classifier
from grmu.training import predict
from grmu.widgets.work import image, show

N_SHOWN = 27  # pictures in a view
VIEWS = ("what was forgotten", "what changed")  # in the forget set; in the test set


def answers(before: Classifier, after: Classifier, data: GroupedDataset) -> pd.DataFrame:
    """Compare the predictions of two models on each sample, with the largest changes first.

    Returns:
        One row per sample with `before` and `after`, the confidence in the true class; `changed`, whether the
        models predict different classes; and `right`, whether the second model is correct.
    """
    first, second = (predict(model, model, data.x).softmax(1) for model in (before, after))
    true = torch.arange(len(data)), data.y
    table = pd.DataFrame({"before": first[true], "after": second[true], "right": second.argmax(1) == data.y,
                          "changed": first.argmax(1) != second.argmax(1)})
    return table.loc[(table.after - table.before).abs().sort_values(ascending=False, kind="stable").index]


class ModelChanges:
    """Two views of what a run changed; they are computed when `show` is called."""

    def __init__(self, store: str | Path | None = None) -> None:
        self.store = store
        self.result: Result
        self.view = w.ToggleButtons(options=VIEWS, style={"button_width": "12em"})
        self.picture, self.message = image(), w.HTML()
        self.view.observe(lambda _: self.update(), names="value")
        self.box = w.VBox([w.HTML("<b>What the model sees now</b>"), self.view, self.message, self.picture],
                          layout=w.Layout(display="none"))

    def show(self, result: Result) -> None:
        """Show what a run changed."""
        self.result = result
        self.update()
        self.box.layout.display = None

    def update(self) -> None:
        """Draw the chosen view."""
        show(self.draw, self.picture, self.message)

    def draw(self) -> Figure:
        """Return the figure of the chosen view."""
        splits, split, _ = load_split(self.result.experiment)
        before, after = run(self.result.experiment.original, self.store).model, self.result.model
        changed = self.view.value == "what changed"
        data = splits.test if changed else split.forget
        table = answers(before, after, data)
        shown = table[table.changed | (not changed)].head(N_SHOWN)
        titles = [f"{100 * row.before:.0f} → {100 * row.after:.0f}" + " (wrong)" * (not row.right)
                  for row in shown.itertuples()]
        return plots.samples(data.x[shown.index], titles, 9, f"{table.changed.sum()} of {len(table)} "
                             "predictions changed. Confidence in the true class, %")
