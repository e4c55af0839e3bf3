"""The rivals that a reader will ask for: DFR, AFR and SELF after unlearning, JTT and LISA in its place.

    python -m grmu results --only rivals_search     how their settings were chosen

Every method has TRIALS settings, a fixed quasi-random design over RANGES: run at ratio 0.5 on one seed, the
best six at ratios 0.5 and 0.9 on three. The score is that of methods made for robustness (`search.score`): 1
- the worst group's validation accuracy, a mean over the runs of a stage. No range grows, and there is no
REWEIGHT in the search. The last-layer methods go on from RETRAIN in it; JTT and LISA, which train a network
each time, are searched on `groundwear` alone, and keep what was found there.
"""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import pandas as pd

from grmu.runs import Experiment
from grmu.study.tuning import DATASETS, SEEDS, Pool, Range, Stages, halve

RANGES: dict[str, dict[str, Range]] = {
    "dfr": {"lr": Range(0.003, 3), "penalty": Range(1e-5, 0.1)},
    "afr": {"lr": Range(0.001, 1), "gamma": Range(0.3, 30), "lam": Range(1e-4, 1)},
    "self": {"lr": Range(1e-4, 0.1), "n_points": Range(choices=(10, 20, 50, 100, 200, 500)),
             "early_epochs": Range(choices=(1, 2, 4))},
    "lisa": {"lr": Range(0.01, 0.3), "weight_decay": Range(1e-4, 0.01),
             "intra_label": Range(choices=(0.0, 0.5, 1.0))},
    "jtt": {"lr": Range(0.01, 0.3), "weight_decay": Range(1e-4, 0.01),
            "first_epochs": Range(choices=(1, 2, 4)), "up": Range(2, 100)}}
SEARCHED = (*product(DATASETS, ("dfr", "afr", "self")), *product(("groundwear",), ("lisa", "jtt")))


class RivalPool(Pool):
    """The trials of a rival on one data set."""

    stages: ClassVar[Stages] = ((None, ((0.5, 100),)),
                                (6, tuple(product((0.5, 0.9), SEEDS))))

    def ranges(self) -> dict[str, Range]:
        """All that is ever tried."""
        return RANGES[self.arm]

    def experiment(self, number: int, ratio: float, seed: int) -> Experiment:
        """A trial's run, without REWEIGHT."""
        return Experiment(self.where, self.arm, ratio=ratio, seed=seed, overrides=self.trials[number][1])


def rivals_search(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """A row a trial: data set, arm, settings, the score after each stage it came to, and which was chosen."""
    pools = [RivalPool(*searched) for searched in SEARCHED]
    halve(pools, store, jobs)
    rows = pd.DataFrame([row for pool in pools for row in pool.rows()])
    return rows.drop(columns="growth").round({"score_1": 5, "score_2": 5})  # settings keep their two digits
