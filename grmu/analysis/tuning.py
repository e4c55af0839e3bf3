"""MIU and fine-tuning, tuned alike: the same budget, by validation data, on seeds of its own.

    python -m grmu results --only tuning

Every arm has TRIALS settings, a fixed quasi-random design over its RANGES. They are run at ratio 0.5 on one
seed; the best six at 0.9, too; of those the best three on two seeds more. All with REWEIGHT. The score is
the distance to the gold standard of the same seed: |UA - UA of gold| + |validation GA - that of gold|, a mean
over the runs of a stage; the lowest wins. The test set has no part in it. If the winner lies in the outer
tenth of a range that could go on, the range does, by a factor, and MORE trials join, all there; at most
GROWTHS times. At last every arm has MORE trials where a range of another arm on the same data has grown past
its own, so that none is left behind for having had a winner inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from grmu.analysis import shipped_tables
from grmu.analysis.search import score
from grmu.data import known, require
from grmu.experiments import Experiment, map_experiments

DATASETS = ("groundwear", "groundwear-memorised")
ARMS = ("finetune", "miu")  # methods
SEEDS = (100, 101, 102)  # none of them is reported
TRIALS, MORE, GROWTHS = 24, 8, 4
STEP = 3.0  # a range grows by this factor
Stages = tuple[tuple[int | None, tuple[tuple[float, int], ...]], ...]
STAGES: Stages = ((None, ((0.5, 100),)),  # how many go on, None for all, and what they are run at
                  (6, ((0.5, 100), (0.9, 100))),
                  (3, tuple(product((0.5, 0.9), SEEDS))))
Trial = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Values on a logarithmic scale from `low` to `high`, to two digits, or `choices` in order.

    `open`: the ends that more values could follow, of "low", "high".
    """

    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    open: tuple[str, ...] = ("low", "high")

    def __post_init__(self) -> None:
        require(self.choices or 0 < self.low < self.high,
                f"a range must go up, from above 0, but goes from {self.low:g} to {self.high:g}.")

    def at(self, u: float) -> Any:
        """The value at 0 <= u < 1."""
        if self.choices:
            return self.choices[int(u * len(self.choices))]
        return float(f"{self.low * (self.high / self.low) ** u:.2g}")

    def edge(self, value: Any) -> str | None:
        """The open end in whose outer tenth a value lies."""
        u = (self.choices.index(value) / (len(self.choices) - 1) if self.choices
             else np.log(value / self.low) / np.log(self.high / self.low))
        end = "low" if u <= 0.1 else "high" if u >= 0.9 else None
        return end if end in self.open else None

    def beyond(self, end: str) -> Range:
        """The stretch that follows after that end."""
        if self.choices:
            return Range(choices=(self.choices[-1] * STEP,))
        return Range(self.low / STEP, self.low) if end == "low" else Range(self.high, self.high * STEP)

    def missing(self, wider: Range) -> list[Range]:
        """The stretches of a wider range that this lacks."""
        if self.choices:
            new = tuple(c for c in wider.choices if c not in self.choices)
            return [Range(choices=new)] if new else []
        ends = (wider.low, self.low), (self.high, wider.high)
        return [Range(low, high) for low, high in ends if low < high]

    def united(self, other: Range) -> Range:
        """The least range that holds both."""
        if self.choices:
            return Range(choices=tuple(sorted({*self.choices, *other.choices})), open=self.open)
        return Range(min(self.low, other.low), max(self.high, other.high), open=self.open)

    def grown(self, end: str) -> Range:
        """This and the stretch beyond."""
        return self.united(self.beyond(end))


def ranges(where: str, arm: str) -> dict[str, Range]:
    """What the search may choose for an arm, and from where it begins."""
    factor = 1 if where == "groundwear" else 3  # as in `grmu.analysis.search`
    every = {"lr": Range(0.001 * factor, 0.03 * factor), "augment": Range(choices=(False, True), open=())}
    if arm == "finetune":
        return every
    return every | {"mine_lr": Range(3e-4, 3e-2),
                    "lam": Range(choices=(0.0, 0.3, 1.0, 3.0, 10.0, 30.0), open=("high",)),
                    "forget_epochs": Range(choices=(1, 2, 3, 5, 7, 10), open=())}


def design(over: Mapping[str, Range], n: int, seed: int = 0) -> list[Trial]:
    """The first n trials of a scrambled Sobol sequence."""
    from scipy.stats import qmc  # a second to import, for those who search

    points = qmc.Sobol(len(over), seed=seed).random(2 ** int(np.ceil(np.log2(n))))[:n]
    return [{name: r.at(u) for (name, r), u in zip(over.items(), point, strict=True)} for point in points]


class Pool:
    """The trials of one arm on one data set, and what is known of them.

    trials: settings with the round that they joined in.  scores: by trial's number, ratio and seed.
    A search of other arms overrides `stages`, `ranges` and `experiment`.
    """

    stages: ClassVar[Stages] = STAGES

    def __init__(self, where: str, arm: str) -> None:
        self.where, self.arm = where, arm
        self.over = self.ranges()
        self.trials = [(0, trial) for trial in design(self.over, TRIALS)]
        self.scores: dict[tuple[int, float, int], float] = {}

    def ranges(self) -> dict[str, Range]:
        """From where the search begins."""
        return ranges(self.where, self.arm)

    def experiment(self, number: int, ratio: float, seed: int) -> Experiment:
        """A trial's run."""
        return Experiment(self.where, self.arm, True, ratio, seed=seed, overrides=self.trials[number][1])

    def mean(self, number: int, stage: int) -> float:
        """A trial's score after a stage; NaN if it did not come so far."""
        return float(np.mean([self.scores.get((number, *at), np.nan) for at in self.stages[stage][1]]))

    def chosen(self, stage: int) -> list[int]:
        """The trials that a stage runs: all, then the best of the stage before."""
        if stage == 0:
            return list(range(len(self.trials)))
        scores = {n: self.mean(n, stage - 1) for n in self.chosen(stage - 1)}
        return sorted(scores, key=scores.__getitem__)[: self.stages[stage][0]]

    def missing(self, stage: int) -> Iterator[tuple[int, float, int]]:
        """What the stage has to run yet."""
        for number, at in product(self.chosen(stage), self.stages[stage][1]):
            if (number, *at) not in self.scores:
                yield number, *at

    def winner(self) -> int:
        """The best of all trials that have come through the last stage, in whatever round."""
        scores = {n: self.mean(n, len(self.stages) - 1) for n in range(len(self.trials))}
        return min((n for n in scores if not np.isnan(scores[n])), key=scores.__getitem__)

    def grow(self, growth: int) -> bool:
        """If the winner lies at an end of a range that could go on: widen it, and add trials there."""
        best = self.trials[self.winner()][1]
        ends = {name: end for name, r in self.over.items() if (end := r.edge(best[name]))}
        new = self.over | {name: self.over[name].beyond(end) for name, end in ends.items()}
        self.over = self.over | {name: self.over[name].grown(end) for name, end in ends.items()}
        if ends:
            self.trials += [(growth, trial) for trial in design(new, MORE, seed=growth)]
        return bool(ends)

    def share(self, widest: Mapping[str, Range]) -> None:
        """Add trials between the ends of its own ranges and those of the widest ones."""
        for name, own in list(self.over.items()):
            for part in own.missing(widest[name]):
                self.trials += [(GROWTHS + 1, trial) for trial in
                                design(self.over | {name: part}, MORE, seed=GROWTHS + 1)]
            self.over = self.over | {name: own.united(widest[name])}

    def rows(self) -> list[dict[str, object]]:
        """A row a trial, the winner first."""
        scores = [[self.mean(n, stage) for stage in range(len(self.stages))] for n in range(len(self.trials))]
        last = np.nan_to_num(np.array(scores)[:, ::-1], nan=np.inf)
        order = sorted(range(len(scores)), key=lambda n: last[n].tolist())
        return [{"dataset": self.where, "arm": self.arm, "growth": self.trials[n][0], **self.trials[n][1],
                 **{f"score_{stage}": value for stage, value in enumerate(scores[n], 1)},
                 "chosen": n == self.winner()} for n in order]


def halve(pools: Iterable[Pool], store: str | None, jobs: int) -> None:
    """All stages of all pools, each stage's runs together."""
    pools = list(pools)
    for stage in range(max((len(pool.stages) for pool in pools), default=0)):
        todo = [(pool, at) for pool in pools for at in pool.missing(stage)]
        runs = [pool.experiment(*at) for pool, at in todo]
        scores = map_experiments(partial(score, store=store), runs, jobs)
        for (pool, at), value in zip(todo, scores, strict=True):
            pool.scores[at] = value


def tuning(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """The search on both data sets: a row a trial; `growth` 0 are those of the first ranges, the last ones of
    shared ranges."""
    growing = pools = [Pool(dataset, arm) for dataset, arm in product(DATASETS, ARMS)]
    for growth in range(GROWTHS + 1):
        halve(growing, store, jobs)
        growing = [pool for pool in growing if growth < GROWTHS and pool.grow(growth + 1)]
    for pool in pools:
        others = [other.over for other in pools if other.where == pool.where]
        pool.share({name: reduce(Range.united, [o[name] for o in others if name in o]) for name in pool.over})
    halve(pools, store, jobs)
    return pd.DataFrame([row for pool in pools for row in pool.rows()]).round(5)


def tuned(where: str, arm: str) -> dict[str, Any]:
    """Return the overrides that the shipped search chose for an arm.

    Raises:
        ValueError: The data set or the arm is unknown.
        FileNotFoundError: The search was never made.
    """
    known("data set of the search", where, DATASETS)
    known("arm", arm, ARMS)
    return dict(_winners()[where, arm])


@lru_cache
def _winners() -> dict[tuple[str, str], dict[str, Any]]:
    rows, whole = shipped_tables.read("tuning"), {"augment": bool, "forget_epochs": int}
    return {(row["dataset"], row["arm"]): {
                name: whole.get(name, float)(row[name]) for name in ranges(row["dataset"], row["arm"])}
            for row in rows[rows.chosen].to_dict("records")}
