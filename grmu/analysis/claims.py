"""The paper's claims, one by one: the same effect from its published means and from our rows.

An effect is a difference that is positive where the claim holds. Ours is paired by seed, one for each data
set and ratio; `compare.verdicts` words them, and RULE makes one word of these. CelebA, Waterbirds and
FairFace stand beside the variants of Groundwear that play their roles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from grmu.analysis import grids, paper, results
from grmu.analysis.compare import Interval, distance_by_seed, interval, verdicts
from grmu.data import Group

ROLES = {"groundwear": "celeba", "groundwear-memorised": "waterbirds", "groundwear-many": "fairface"}
OTHERS = ("l1_sparse", "salun", "scrub")
RULE = ("reproduced: every effect is higher than 0, after Holm over the claim's effects. partly: some are, "
        "none is lower. not reproduced: some are lower, none is higher. mixed: some are higher, some lower. "
        "cannot tell: none is distinguished from 0.")


class Ours:
    """Our runs of one data set, ratio and choice of groups: metrics in percent, one value per seed."""

    def __init__(self, dataset: str, ratio: float, groups: str | tuple[Group, ...] = "default") -> None:
        self.rows = results.load(dataset=dataset, ratio=ratio, groups=groups)
        self.at = (dataset, ratio)

    def __call__(self, method: str, reweight: bool, metric: str, **changed: object) -> pd.Series:
        """One metric by seed; KeyError where there are no such runs."""
        return 100 * self.runs(method, reweight, **changed).set_index("seed")[metric].sort_index()

    def runs(self, method: str, reweight: bool, **changed: object) -> pd.DataFrame:
        """The rows of one method, with settings `changed` from the preset's; KeyError if there are none."""
        rows = results.select(self.rows, method=method, reweight=reweight, overrides=changed)
        if rows.empty:
            raise KeyError(f"no runs of {method}, reweight {reweight}, {json.dumps(changed)} at {self.at}")
        return rows

    def gap(self, method: str, reweight: bool, **changed: object) -> pd.Series:
        """100 - avg. gap of each seed: mean distance from the gold standard over the metrics, in points."""
        gold = self.runs("retrain", True)
        return 100 * distance_by_seed(self.runs(method, reweight, **changed), gold).sort_index()

    def off(self, method: str, reweight: bool, metric: str) -> pd.Series:
        """Distance of one metric from the gold standard, in points."""
        return (self(method, reweight, metric) - self("retrain", True, metric)).abs()


class Paper:
    """The paper's published means, asked for in the same way as `Ours`; NaN where it printed nothing."""

    def __init__(self, dataset: str, ratio: float, forget_groups: int = 1) -> None:
        self.table = paper.results(dataset, ratio, forget_groups)

    def __call__(self, method: str, reweight: bool, metric: str) -> float:
        """One published mean, percent."""
        try:
            return float(self.table.loc[(method, reweight), metric])
        except KeyError:
            return float("nan")

    def gap(self, method: str, reweight: bool) -> float:
        """100 - the published avg. gap."""
        return 100 - self(method, reweight, "avg_gap")

    def off(self, method: str, reweight: bool, metric: str) -> float:
        """Distance of the published means; the paper's own averages over seeds first."""
        return abs(self(method, reweight, metric) - self("retrain", True, metric))


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper as an effect that should be positive, in points, and where it should be.

    ours, published: effects by name; ours as values by seed.
    """

    text: str
    where: str
    ours: Mapping[str, pd.Series]
    published: Mapping[str, float]

    @property
    def intervals(self) -> dict[str, Interval]:
        """Our effects: mean and 95 % interval over the seeds that all parts of the effect have."""
        return {name: interval(values.dropna()) for name, values in self.ours.items()}

    @cached_property
    def signs(self) -> tuple[int, int, int]:
        """How many effects are higher than 0, not distinguished, lower; of one seed, nothing can be said."""
        effects = {name: values.dropna() for name, values in self.ours.items() if values.count() > 1}
        worded = verdicts(effects).verdict
        above, below = int((worded == "higher").sum()), int((worded == "lower").sum())
        return above, len(self.ours) - above - below, below

    @property
    def verdict(self) -> str:
        """By RULE."""
        above, _, below = self.signs
        if above and below:
            return "mixed"
        if above:
            return "reproduced" if above == len(self.ours) else "partly"
        return "not reproduced" if below else "cannot tell"


def claim(text: str, where: str, effect: Callable[..., Any], ratios: tuple[float, ...] = (0.5, 0.9),
          datasets: tuple[str, ...] = tuple(ROLES), methods: tuple[str, ...] = ()) -> Claim:
    """A claim from one function of `Ours` and of `Paper`, at every data set and ratio: effect(source), or
    effect(source, method) for every method."""
    ours, published = {}, {}
    chosen: list[tuple[str, ...]] = [(name,) for name in methods] or [()]
    for method, dataset, ratio in product(chosen, datasets, ratios):
        beginning = "".join(f"{name}, " for name in method)
        at = f"{beginning}{dataset.removeprefix('groundwear-')} {ratio:g}"
        ours[at] = effect(Ours(dataset, ratio), *method)
        published[f"{beginning}{ROLES[dataset]} {ratio:g}"] = effect(Paper(ROLES[dataset], ratio), *method)
    return Claim(text, where, ours, published)


def all_claims() -> list[Claim]:
    """The paper's claims that our grids can speak to, in its order."""
    return [
        claim("Retraining without part of a small group lowers that group's test accuracy.",
              "Fig. 2, Sec. 4.2",
              lambda s: s("pretrain", False, "GA") - s("retrain", False, "GA")),
        _largest_group(),
        claim("RETRAIN + REWEIGHT gives the group accuracy back.", "Sec. 3.3, Tables 1 to 3",
              lambda s: s("retrain", True, "GA") - s("retrain", False, "GA")),
        _memorising(),
        claim("RETRAIN + GROUP-DRO is no gold standard: it raises UA above PRETRAIN's.", "Table 1, Sec. 4.2",
              lambda s: s("group_dro", False, "UA") - s("pretrain", False, "UA"), (0.5,), ("groundwear",)),
        claim("REWEIGHT raises GA of every approximate method.", "Fig. 4, Sec. 4.2",
              lambda s, m: s(m, True, "GA") - s(m, False, "GA"), (0.9,), methods=(*OTHERS, "miu")),
        claim("Without REWEIGHT, MIU is nearer to the gold standard's GA than the other methods.",
              "Tables 1 to 3", lambda s, m: s.off(m, False, "GA") - s.off("miu", False, "GA"), (0.5,),
              methods=OTHERS),
        claim("With REWEIGHT, MIU has the best avg. gap.", "Tables 1 to 3, Fig. 5",
              lambda s, m: s.gap(m, True) - s.gap("miu", True), methods=OTHERS),
        *_ablation(),
        _fairness(),
        _multi_group(),
    ]


def _largest_group() -> Claim:
    def lost(groups: str | tuple[Group, ...], ratio: float) -> pd.Series:
        ours = Ours("groundwear", ratio, groups)
        return ours("pretrain", False, "GA") - ours("retrain", False, "GA")

    return Claim("The largest group loses less than the smallest, at the same ratio.", "Figs. 2 and 7",
                 {f"groundwear {r:g}": lost("default", r) - lost(((0, 0),), r) for r in (0.5, 0.9)}, {})


def _memorising() -> Claim:
    def share(source: Ours | Paper) -> Any:
        lost = source("pretrain", False, "GA") - source("retrain", False, "GA")
        won = source("retrain", True, "GA") - source("retrain", False, "GA")
        return 100 * won / np.mean(lost)

    learnt, by_heart = "groundwear", "groundwear-memorised"
    ours = share(Ours(learnt, 0.9)) - share(Ours(by_heart, 0.9))
    published = share(Paper(ROLES[learnt], 0.9)) - share(Paper(ROLES[by_heart], 0.9))
    return Claim("Where few samples are left and memorised, REWEIGHT returns a smaller share of the loss.",
                 "Sec. 4.2, B.2", {"share, groundwear - memorised, 0.9": ours},
                 {"share, celeba - waterbirds, 0.9": published})


def _multi_group() -> Claim:
    ours, published = {}, {}
    for n, groups in ((9, grids.NINE_GROUPS), (25, grids.TWENTY_FIVE_GROUPS)):
        source, theirs = Ours(grids.MANY, 0.5, groups), Paper("fairface", 0.5, n)
        for other in OTHERS:
            ours[f"{other}, {n} groups"] = source.gap(other, True) - source.gap("miu", True)
            published[f"{other}, {n} groups"] = theirs.gap(other, True) - theirs.gap("miu", True)
    return Claim("With 9 and 25 groups asking, MIU + REWEIGHT has the best avg. gap.",
                 "Fig. 6, Tables 14, 15", ours, published)


def _ablation() -> list[Claim]:
    at_half = {dataset.removeprefix("groundwear-"): Ours(dataset, 0.5) for dataset in ROLES}
    table = paper.table("ablation")

    def printed(dataset: str, term: str, metric: str) -> float:
        wanted = {"retaining_eq7": 1, "unlearning_eq3": 1, "calibration_eq6": 1, "reweight": 0}
        wanted |= {column: 0 for column in wanted if term and column.startswith(term)}
        rows = results.select(table, dataset=dataset, metric=metric)
        return float(rows.loc[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1), "value"].iloc[0])

    def difference(term: str, metric: str) -> dict[str, float]:
        return {f"{d} 0.5": printed(d, "", metric) - printed(d, term, metric) for d in ROLES.values()}

    wholes = {f"groundwear {r:g}": Ours("groundwear", r) for r in (0.5, 0.9)}
    return [
        Claim("Calibration raises GA (without REWEIGHT).", "Table 4, Sec. 4.5",
              {f"{n} 0.5": s("miu", False, "GA") - s("miu", False, "GA", calibration=False)
               for n, s in at_half.items()},
              difference("calibration", "GA")),
        Claim("The unlearning term unlearns: UA is lower with it.", "Sec. 4.5 (no such row in Table 4)",
              {at: s("miu", False, "UA", unlearning=False) - s("miu", False, "UA")
               for at, s in wholes.items()}, {}),
        Claim("Without the retaining term the avg. gap is the worst.", "Table 4, Sec. 4.5",
              {f"{n} 0.5": s.gap("miu", False, retaining=False) - s.gap("miu", False)
               for n, s in at_half.items()},
              difference("retaining", "avg_gap")),
        _lambda_helps(),
    ]


def _lambda_helps() -> Claim:
    def gains(r: float) -> pd.Series:
        def at(lam: float) -> pd.Series:
            ours = results.load("calibration", ratio=r, lam=lam)
            return 100 * distance_by_seed(ours, results.load("calibration", ratio=r, method="retrain"))
        return at(0.0) - at(1.0)

    return Claim("λ = 1 brings the avg. gap nearer to the gold standard than λ = 0.", "Fig. 8, B.5",
                 {f"groundwear {r:g}": gains(r) for r in (0.5, 0.9)}, {})


def _fairness() -> Claim:
    def nearer(source: Ours, metric: str) -> pd.Series:
        before = source("pretrain", False, metric)
        retrained, unlearned = source("retrain", False, metric), source("miu", True, metric)
        return (retrained - before).abs() - (unlearned - before).abs()

    published, table = {}, paper.table("fairness")
    is_miu = table.method.str.startswith("MIU")
    value = table[table.reweight == 0].pivot_table("value", ["dataset", "method"], "metric")
    miu = table[is_miu].pivot_table("value", "dataset", "metric")
    metrics = ("DP", "EP", "EO", "WG")
    for d, m in product(ROLES.values(), metrics):
        before = value.loc[(d, "PRETRAIN"), m]
        published[f"{m}, {d} 0.5"] = abs(value.loc[(d, "RETRAIN"), m] - before) - abs(miu.loc[d, m] - before)
    return Claim("MIU + REWEIGHT keeps DP, EP, EO and WG nearer to PRETRAIN's than RETRAIN does.",
                 "Table 18, B.6",
                 {f"{m}, {d.removeprefix('groundwear-')} 0.5": nearer(Ours(d, 0.5), m)
                  for d in ROLES for m in metrics}, published)


def claims_table(judged: Sequence[Claim] | None = None) -> pd.DataFrame:
    """A row per claim: where it stands, the paper's effects and ours counted by sign, the verdict.

    judged: of these; all claims if None.
    """
    rows = []
    for c in judged or all_claims():
        printed = [value for value in c.published.values() if value == value]
        positive = f"{sum(v > 0 for v in printed)} of {len(printed)}" if printed else "not printed"
        rows.append({"claim": c.text, "in the paper": c.where,
                     "paper's effects > 0": positive,
                     "our effects: higher than 0, undecided, lower": ", ".join(map(str, c.signs)),
                     "verdict": c.verdict})
    return pd.DataFrame(rows).set_index("claim")
