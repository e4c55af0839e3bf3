"""REWEIGHT by hand: set each group's sampling weight, see the proportions, train, and try to beat α."""

from __future__ import annotations

from html import escape
from pathlib import Path

import ipywidgets as w
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from grmu import methods, plots
from grmu.analysis import results
from grmu.experiments import Experiment, load_split, run
from grmu.methods.balanced import ByHand
from grmu.metrics import accuracy_by_group
from grmu.numerics import fixed_threads
from grmu.reweight import group_weights
from grmu.training import predict
from grmu.widgets.work import SLIDER, Work, explained, image, show

QUESTION = "α restores the old proportions. Can you find weights whose accuracies are closer to those before?"


class ReweightByHand(Work):
    """A slider for each group; the button trains a model on a retain set that is sampled with these weights.

    `attempts` has the weights of each attempt, and the mean distance of the groups' accuracies from those
    before, a fraction, on validation data.

    Args:
        ratio: the share of the group that is forgotten.
        store: folder of finished runs, as `grmu.run` takes it.
    """

    def __init__(self, ratio: float = 0.9, store: str | Path | None = None) -> None:
        super().__init__()
        plain, self.ratio, self.store = Experiment(method="retrain", ratio=ratio), ratio, store
        self.references = {"before": plain.original, "no weights": plain, "α (REWEIGHT)": plain.gold}
        self.splits, split, (group,) = load_split(plain)
        train, left = self.splits.train, split.retain.group_counts()
        self.names, self.forget, self.counts = train.group_names, train.group_id(group), left.double().numpy()
        self.shares = {"before": self._shares(train.group_counts().numpy() / self.counts),
                       "no weights": self._shares(1.0),
                       "α (REWEIGHT)": self._shares(group_weights(train.group_counts(), left))}
        self.accuracies: dict[str, np.ndarray] = {}
        self.attempts: list[tuple[tuple[float, ...], float]] = []
        self.controls = [w.FloatLogSlider(1.0, base=10, min=-1, max=2, step=0.05, description=name,
                                          readout_format=".2g", **SLIDER) for name in self.names]
        for control in self.controls:
            control.observe(lambda _: self.update(), names="value")
        self.picture, self.trained, self.status, self.table = image(), image(), w.HTML(), w.HTML()
        self.start = w.Button(description="Train with these weights", button_style="primary", icon="play",
                              layout=w.Layout(width="16em"), tooltip="trains on this computer, a few seconds")
        self.stop = w.Button(description="Stop", icon="stop", tooltip="ends the run at its next step")
        self.start.on_click(lambda _: self.press())
        self.stop.on_click(lambda _: self.cancel())
        self.box = w.VBox([w.HTML(f"<b>{QUESTION}</b>"), *self.controls, self.picture, self.trained,
                           self.table, w.HBox([self.start, self.stop, self.status])])
        self.refresh()
        self.update()

    def refresh(self) -> None:
        """Set the buttons and the sentence."""
        self.start.disabled, self.stop.disabled = self.running, not self.running
        self.status.value = explained(self.error) if self.error else escape(self.sentence)

    def _shares(self, weights: ArrayLike) -> np.ndarray:
        """Return each group's share of an epoch's draws."""
        drawn = self.counts * np.asarray(weights)
        return drawn / drawn.sum()

    @property
    def weights(self) -> tuple[float, ...]:
        """Return the sliders' values."""
        return tuple(round(control.value, 3) for control in self.controls)

    def update(self) -> None:
        """Draw the proportions of these weights; their accuracies are known once a model was trained."""
        self.shares["by hand"] = self._shares(self.weights)
        self.accuracies.pop("by hand", None)
        show(lambda: self._draw(self.shares, "share of the draws (%, log scale)", "log"), self.picture,
             self.status)

    def _draw(self, numbers: dict[str, np.ndarray], xlabel: str, scale: str) -> Figure:
        table = 100 * pd.DataFrame(numbers, index=self.names)
        figure = plots.group_change(table, [self.names[self.forget]], xlabel=xlabel)
        figure.axes[0].set_xscale(scale)
        return figure

    def work(self) -> str:
        """Train the references if the store lacks them, then with the weights."""
        weights = self.weights
        methods.register("by_hand", ByHand)
        for name, experiment in self.references.items():
            self.accuracies[name] = self._accuracies(experiment, f"Training a reference first, once: {name}")
        own = Experiment(method="by_hand", ratio=self.ratio, overrides={"group_weights": weights})
        accuracies = self._accuracies(own, "Training with your weights")
        self.attempts.append((weights, self._distance(accuracies)))
        if self.weights == weights:  # else the sliders were moved meanwhile
            self.accuracies["by hand"] = accuracies
        show(lambda: self._draw(self.accuracies, "accuracy on validation data (%)", "linear"), self.trained,
             self.status)
        self.table.value = self.summary()
        return f"Done in {self.seconds:.1f} s."

    def _accuracies(self, experiment: Experiment, about: str) -> np.ndarray:
        """Train, and return each group's accuracy on validation data."""
        self.begin(experiment.config.epochs, about)
        model = run(experiment, self.store, on_epoch=lambda number, row: self.step(number)).model
        with fixed_threads():
            predicted = predict(model, model, self.splits.val.x).argmax(1)
        return accuracy_by_group(predicted, self.splits.val).accuracy.to_numpy()

    def _distance(self, accuracies: np.ndarray) -> float:
        return float(np.abs(accuracies - self.accuracies["before"]).mean())

    def summary(self) -> str:
        """Return the attempts beside α, the nearest first, and the noise, as HTML."""
        points = {name: self._distance(self.accuracies[name]) for name in ("α (REWEIGHT)", "no weights")}
        points |= {f"by hand: {', '.join(map(str, weights))}": far for weights, far in self.attempts}
        table = (100 * pd.Series(points, name="points from before")).sort_values().round(1)
        gold = results.load("references", method="retrain", reweight=True, ratio=self.ratio)
        noise = 100 * np.stack(gold.by_group.map(np.array)).std(0, ddof=1).mean()
        return (f"{table.to_frame().to_html(border=0)}Mean over groups, validation data, one seed. Another "
                f"seed changes a group's accuracy by {noise:.1f} points (sd): a smaller lead is luck.")
