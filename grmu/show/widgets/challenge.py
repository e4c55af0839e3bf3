"""A challenge: how close to the gold standard do a few live runs come, on validation and on test data?"""

from __future__ import annotations

from pathlib import Path

import ipywidgets as w
import pandas as pd

from grmu.analysis import grids, results
from grmu.analysis.search import distance
from grmu.experiments import Experiment, Result
from grmu.show.widgets.common import SLIDER, Displayed
from grmu.show.widgets.live import Live

QUESTION = ("Choose a ratio, then λ, epochs and learning rate. "
            "How close to the gold standard can MIU + REWEIGHT come?")
SEED = 0  # of every run, and of the gold standard


class Challenge(Displayed):
    """A few live runs of MIU + REWEIGHT; `attempts` has a row a run, with scores that `reveal` uncovers.

    score: |UA - UA of the gold standard| + |GA - that of the gold standard|, in points; GA on validation data
    while one plays, on test data once it is over. The gold standard is the shipped RETRAIN + REWEIGHT of the
    same seed.
    """

    def __init__(self, runs: int = 5, store: str | Path | None = None) -> None:
        self.runs = runs
        self.controls: dict[str, w.Widget] = {
            "ratio": w.SelectionSlider(options=list(grids.RATIOS), value=0.9, description="unlearning ratio",
                                       tooltip="fixed with the first run; arrow keys move it", **SLIDER),
            "lam": w.FloatSlider(1, min=0, max=10, step=0.5, description="λ, calibration",
                                 readout_format=".1f",
                                 tooltip="0 switches calibration off; arrow keys move it", **SLIDER),
            "epochs": w.IntSlider(10, min=5, max=20, description="epochs", tooltip="arrow keys move it",
                                  **SLIDER),
            "lr": w.FloatLogSlider(0.01, base=10, min=-3.5, max=-1, step=0.1, description="learning rate",
                                   readout_format=".2g", tooltip="arrow keys move it", **SLIDER),
        }
        self.attempts: list[dict[str, float]] = []
        self.live = Live(self._next, self._finished, store, "Use a run")
        self.reveal = w.Button(description="Reveal the test set", icon="eye", disabled=True,
                               layout=w.Layout(width="16em"),
                               tooltip="ends the game: scores on the test set")
        self.reveal.on_click(lambda _: self.end())
        self.table, self.over = w.HTML(), False
        self.box = w.VBox([w.HTML(f"<b>{QUESTION}</b>"), *self.controls.values(), self.live.box, self.table,
                           self.reveal])
        self._show()

    def gold(self) -> pd.Series:
        """The gold standard's shipped row at this ratio and seed."""
        rows = results.load("references")
        rows = rows[(rows.method == "retrain") & rows.reweight & (rows.ratio == self.controls["ratio"].value)]
        return rows[rows.seed == SEED].iloc[0]

    def _next(self) -> Experiment:
        if self.over or len(self.attempts) >= self.runs:
            raise ValueError(f"all {self.runs} runs are used: reveal the test set." if not self.over
                             else "the game is over.")
        values = {name: control.value for name, control in self.controls.items()}
        self.controls["ratio"].disabled = True
        chosen = {"lam": values["lam"], "epochs": values["epochs"], "lr": round(values["lr"], 6),
                  "forget_epochs": min(5, values["epochs"])}
        return Experiment(method="miu", reweight=True, ratio=values["ratio"], seed=SEED, overrides=chosen)

    def _finished(self, result: Result) -> None:
        gold, ours = self.gold(), result.metrics
        shown = {name: result.experiment.overrides[name] for name in ("lam", "epochs", "lr")}
        self.attempts.append(shown | {"val": 100 * distance(ours, gold),
                                      "test": 100 * distance(ours, gold, "GA")})
        self.reveal.disabled = False
        self._show()

    def end(self) -> None:
        """Show the test scores; no runs after that."""
        if self.attempts:
            self.over, self.reveal.disabled = True, True
            self.live.close()
            self._show()

    def verdict(self) -> str:
        """What the test set says of the choice that validation data made."""
        table = pd.DataFrame(self.attempts)
        best = table.val.idxmin()
        place = int((table.test < table.test[best]).sum()) + 1
        val, test = table.val[best], table.test[best]
        text = (f"Your best run on validation data, number {best + 1}, "
                f"scored {val:.1f} there and {test:.1f} on the test set")
        if test - val > 0.5:
            text += f": {test - val:.1f} points of its score were the choice's luck"
        return (f"{text}. Of {len(table)} runs it is number {place} there. "
                "One seed, 500 test samples: take ± 2 points for noise.")

    def _show(self) -> None:
        left = self.runs - len(self.attempts)
        names = ("run", "λ", "epochs", "lr", "score, validation", "score, test")
        head = "".join(f"<th>{name}</th>" for name in names)
        rows = "".join(
            f"<tr><td>{i}</td><td>{a['lam']:g}</td><td>{a['epochs']}</td><td>{a['lr']:.2g}</td>"
            f"<td>{a['val']:.1f}</td><td>{format(a['test'], '.1f') if self.over else '?'}</td></tr>"
            for i, a in enumerate(self.attempts, 1))
        text = self.verdict() if self.over else (
            f"{left} of {self.runs} runs left. Score: points of forget accuracy and of group accuracy "
            "from the gold standard, added; 0 is best.")
        self.table.value = (f"<table><tr>{head}</tr>{rows}</table>" if rows else "") + text
