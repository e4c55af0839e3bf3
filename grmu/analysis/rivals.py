"""The rivals that a reader will ask for: DFR, AFR and SELF after unlearning, JTT and LISA in its place.

    python -m grmu results --only rivals_search     how their settings were chosen
    comparisons()                                   is a last-layer fix enough? in points, worded

Every method has TRIALS settings, a fixed quasi-random design over RANGES: run at ratio 0.5 on one seed, the
best six at ratios 0.5 and 0.9 on three. The score is that of methods made for robustness (`search.score`): 1
- the worst group's validation accuracy, a mean over the runs of a stage. No range grows, and there is no
REWEIGHT in the search. The last-layer methods go on from RETRAIN in it; JTT and LISA, which train a network
each time, are searched on `groundwear` alone, and keep what was found there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import ClassVar

import pandas as pd

from grmu.analysis import results
from grmu.analysis.compare import differences, interval, verdicts
from grmu.analysis.names import label
from grmu.analysis.tuning import DATASETS, SEEDS, Pool, Range, Stages, halve
from grmu.experiments import Experiment

RANGES: dict[str, dict[str, Range]] = {
    "dfr": {"lr": Range(0.003, 3), "penalty": Range(1e-5, 0.1)},
    "afr": {"lr": Range(0.001, 1), "gamma": Range(0.3, 30), "lam": Range(1e-4, 1)},
    "self": {"lr": Range(1e-4, 0.1), "n_points": Range(choices=(10, 20, 50, 100, 200, 500)),
             "early_epochs": Range(choices=(1, 2, 4))},
    "lisa": {"lr": Range(0.01, 0.3), "weight_decay": Range(1e-4, 0.01),
             "intra_label": Range(choices=(0.0, 0.5, 1.0))},
    "jtt": {"lr": Range(0.01, 0.3), "weight_decay": Range(1e-4, 0.01),
            "first_epochs": Range(choices=(1, 2, 4)), "up": Range(2, 100)}}
MEASURES = ("GA", "UA")
JUDGED = (0.5, 0.9)  # of the verdict, a mean over both for each seed: those that the search saw
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


def named(method: str, reweight: bool, of: object) -> str:
    """An arm's name, with the model that it goes on from: "DFR after RETRAIN"."""
    return label(method, reweight) + (f" after {label(of)}" if isinstance(of, str) else "")


def comparisons(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every arm of the grid `rivals` minus the gold standard of the same seed, in points, one correction.

    Args:
        rows: as `results.load("rivals")` gives them; None is those.

    Returns:
        dataset, measure, what; "ratio 0.5" and the like, each with its plain interval as pages show it, ""
        where it was not run; and the columns of `compare.verdicts` for the mean over JUDGED of each seed.
    """
    rows = results.load("rivals") if rows is None else rows
    about: list[dict[str, str]] = []
    judged, ratios = {}, sorted(rows.ratio.unique())
    for dataset, what, gaps in _minus_gold(rows):
        for measure in MEASURES:
            intervals = {f"ratio {ratio:g}": interval(gaps[ratio][measure]).said() if ratio in gaps else ""
                    for ratio in ratios}
            judged[str(len(about))] = _judged(gaps)[measure]
            about.append({"dataset": dataset, "measure": measure, "what": what, **intervals})
    return pd.DataFrame(about).join(verdicts(judged).reset_index(drop=True))


def brought_back(dataset: str, rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """How much more those who left gain over the gold standard than those who stay: (UA - GA) in points, a
    row an arm, worded by `compare.verdicts`. PRETRAIN, which knows them, is the positive control."""
    rows = results.load("rivals") if rows is None else rows
    return verdicts({what: _judged(gaps).UA - _judged(gaps).GA
                     for of, what, gaps in _minus_gold(rows) if of == dataset})


def _minus_gold(rows: pd.DataFrame) -> Iterator[tuple[str, str, dict[float, pd.DataFrame]]]:
    """Data set, arm, and by ratio the arm's MEASURES minus the gold standard's of its seed, in points."""
    rows = rows.assign(what=[named(*arm) for arm in zip(rows.method, rows.reweight, rows.of, strict=True)])
    is_gold = rows.what == label("retrain", True)
    for (dataset, what), part in rows[~is_gold].groupby(["dataset", "what"], sort=False):
        standard = rows[is_gold & (rows.dataset == dataset)]
        yield dataset, what, {ratio: 100 * differences(own, standard[standard.ratio == ratio], MEASURES)
                              for ratio, own in part.groupby("ratio")}


def _judged(gaps: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """Each seed's mean over the ratios that are judged."""
    return sum(gaps[ratio] for ratio in JUDGED) / len(JUDGED)
