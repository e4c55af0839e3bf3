"""REWEIGHT by hand: set each group's sampling weight, see the proportions, train, and try to beat α."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as w
import numpy as np

from grmu import methods
from grmu.analysis import results
from grmu.experiments import Experiment, Result, load_split, run
from grmu.methods.balanced import ByHand
from grmu.metrics import accuracy_by_group
from grmu.numerics import fixed_threads
from grmu.reweight import group_weights
from grmu.show.plots_live import by_hand_canvas, draw_by_hand
from grmu.show.widgets.background import Background
from grmu.show.widgets.common import SLIDER
from grmu.training import predict

QUESTION = ("α puts the old proportions back. "
            "Can you find weights that come nearer to what the model did before?")


class ReweightByHand(Background):
    """A slider a group; at the press of a button the retain set is sampled so, and a model trained.

    `attempts` holds (weights, mean distance from the accuracies before, a fraction, on validation data).
    """

    def __init__(self, ratio: float = 0.9, store: str | Path | None = None) -> None:
        super().__init__(by_hand_canvas(), "Train with these weights",
                         "trains on this computer, a few seconds")
        self.ratio, self.store = ratio, store
        plain = Experiment(method="retrain", ratio=ratio)
        self.references = {"before": plain.original, "no weights": plain, "α (REWEIGHT)": plain.gold}
        self.splits, split, ((y, a),) = load_split(plain)
        train, self.forget = self.splits.train, y * self.splits.train.n_attributes + a
        self.names = train.group_names
        self.counts = np.array(split.retain.group_counts().tolist(), dtype=float)
        alpha = group_weights(train.group_counts(), split.retain.group_counts()).tolist()
        self.shares = {name: self._shares(weights) for name, weights in (
            ("before", np.array(train.group_counts().tolist()) / self.counts), ("no weights", 1.0),
            ("α (REWEIGHT)", alpha))}
        self.accuracies: dict[str, np.ndarray] = {}
        self.attempts: list[tuple[tuple[float, ...], float]] = []
        self.controls = [
            w.FloatLogSlider(1.0, base=10, min=-1, max=2, step=0.05, description=name, readout_format=".2g",
                             tooltip=f"sampling weight of {name}; arrow keys move it", **SLIDER)
            for name in self.names]
        for control in self.controls:
            control.observe(lambda _: self.update(), names="value")
        self.table = w.HTML()
        self.box.children = (w.HTML(f"<b>{QUESTION}</b>"), *self.controls, *self.box.children, self.table)
        self.update()

    def _shares(self, weights: float | Sequence[float]) -> np.ndarray:
        """Each group's share of an epoch's draws."""
        drawn = self.counts * np.asarray(weights)
        return drawn / drawn.sum()

    @property
    def weights(self) -> tuple[float, ...]:
        """What the sliders say."""
        return tuple(round(control.value, 3) for control in self.controls)

    def update(self) -> None:
        """Draw these weights' proportions; what they lead to is known once they were trained with."""
        self.shares["by hand"] = self._shares(self.weights)
        self.accuracies.pop("by hand", None)
        if not self.running:
            self._draw()

    def _draw(self) -> None:
        share = 100 * self.shares["by hand"][self.forget]
        title = f"With your weights {share:.1f} % of the draws are {self.names[self.forget]}"
        draw_by_hand(self.canvas, self.names, self.forget, self.shares, self.accuracies, title)
        self.show(self.canvas)

    def work(self) -> str:
        """Train the references if the store lacks them, then with the weights; measure on validation data."""
        weights = self.weights
        methods.register("by_hand", ByHand)
        for name, experiment in self.references.items():
            result = self._train(experiment, f"Training a reference first, once: {name}")
            self.accuracies[name] = self._accuracies(result)
        own = Experiment(method="by_hand", ratio=self.ratio, overrides={"group_weights": weights})
        accuracies = self._accuracies(self._train(own, "Training with your weights"))
        self.attempts.append((weights, self._distance(accuracies)))
        if self.weights == weights:  # else the sliders have moved on
            self.accuracies["by hand"] = accuracies
        self._draw()
        self.table.value = self.summary()
        return f"Done in {self.seconds:.1f} s."

    def _train(self, experiment: Experiment, about: str) -> Result:
        self.begin(experiment.config.epochs, about)
        return run(experiment, self.store, on_epoch=lambda number, row: self.step(number))

    def _accuracies(self, result: Result) -> np.ndarray:
        with fixed_threads():
            predicted = predict(result.model, result.model, self.splits.val.x).argmax(1)
        return accuracy_by_group(predicted, self.splits.val).accuracy.to_numpy()

    def _distance(self, accuracies: np.ndarray) -> float:
        """Mean over groups of the distance from the accuracy before, a fraction, on validation data."""
        return float(np.abs(accuracies - self.accuracies["before"]).mean())

    def summary(self) -> str:
        """The attempts beside α, nearest first, and what is noise, as HTML."""
        rows = [(d, "by hand: " + ", ".join(f"{v:g}" for v in weights)) for weights, d in self.attempts]
        rows += [(self._distance(self.accuracies[name]), name) for name in ("α (REWEIGHT)", "no weights")]
        gold = results.load("references", method="retrain", reweight=True, ratio=self.ratio)
        noise = 100 * np.stack(gold.by_group.map(np.array)).std(0, ddof=1).mean()
        lines = "".join(f"<tr><td>{100 * d:.1f}</td><td style='text-align:left'>{name}</td></tr>"
                        for d, name in sorted(rows))
        return ("<table><tr><th>points from before</th><th style='text-align:left'>weights</th></tr>"
                f"{lines}</table>"
                "Mean over groups, validation data, one seed. Another seed moves a group's accuracy by "
                f"{noise:.1f} points (standard deviation, REWEIGHT): a lead smaller than that is luck.")
