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
        """Return one metric by seed; KeyError where there are no such runs."""
        return 100 * self.runs(method, reweight, **changed).set_index("seed")[metric].sort_index()

    def runs(self, method: str, reweight: bool, **changed: object) -> pd.DataFrame:
        """Return the rows of a method, with settings `changed` from the preset's; KeyError if none."""
        rows = results.select(self.rows, method=method, reweight=reweight, overrides=changed)
        if rows.empty:
            raise KeyError(f"no runs of {method}, reweight {reweight}, {json.dumps(changed)} at {self.at}")
        return rows

    def gap(self, method: str, reweight: bool, **changed: object) -> pd.Series:
        """Return 100 - avg. gap by seed: the mean distance from the gold standard over metrics, in points."""
        gold = self.runs("retrain", True)
        return 100 * distance_by_seed(self.runs(method, reweight, **changed), gold).sort_index()


class Paper:
    """The paper's published means, asked for in the same way as `Ours`; NaN where it printed nothing."""

    def __init__(self, dataset: str, ratio: float, forget_groups: int = 1) -> None:
        self.means = paper.results(dataset, ratio, forget_groups).stack(future_stack=True)

    def __call__(self, method: str, reweight: bool, metric: str) -> float:
        """Return one published mean, percent."""
        return float(self.means.get((method, reweight, metric), float("nan")))

    def gap(self, method: str, reweight: bool) -> float:
        """Return 100 - the published avg. gap."""
        return 100 - self(method, reweight, "avg_gap")


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper as an effect that should be positive, in points, and where it should be.

    Attributes:
        ours: Effects by name, as values by seed.
        published: Effects by name.
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
        """The word by RULE."""
        above, _, below = self.signs
        if above and below:
            return "mixed"
        if above:
            return "reproduced" if above == len(self.ours) else "partly"
        return "not reproduced" if below else "cannot tell"


def claim(text: str, where: str, effect: Callable[..., Any], ratios: tuple[float, ...] = (0.5, 0.9),
          datasets: tuple[str, ...] = tuple(ROLES), methods: tuple[str, ...] = ()) -> Claim:
    """Return a claim from one function of `Ours` and of `Paper`, at every data set and ratio.

    Args:
        text: The claim.
        where: Where the paper makes it.
        effect: effect(source), or effect(source, method) for every method.
        ratios: Of these.
        datasets: Of these.
        methods: Of these; none if the effect is of no method.
    """
    ours, published = {}, {}
    chosen: list[tuple[str, ...]] = [(name,) for name in methods] or [()]
    for method, dataset, ratio in product(chosen, datasets, ratios):
        beginning = "".join(f"{name}, " for name in method)
        at = f"{beginning}{dataset.removeprefix('groundwear-')} {ratio:g}"
        ours[at] = effect(Ours(dataset, ratio), *method)
        published[f"{beginning}{ROLES[dataset]} {ratio:g}"] = effect(Paper(ROLES[dataset], ratio), *method)
    return Claim(text, where, ours, published)


def lost(source: Ours | Paper) -> Any:
    """Return the points of GA that RETRAIN loses against PRETRAIN."""
    return source("pretrain", False, "GA") - source("retrain", False, "GA")


def recovered(source: Ours | Paper) -> Any:
    """Return the points of GA that REWEIGHT adds to RETRAIN."""
    return source("retrain", True, "GA") - source("retrain", False, "GA")


def off(source: Ours | Paper, method: str) -> Any:
    """Return the distance of a method's GA, without REWEIGHT, from the gold standard's, in points."""
    return abs(source(method, False, "GA") - source("retrain", True, "GA"))


def all_claims() -> list[Claim]:
    """Return the paper's claims that our grids can speak to, in its order."""
    return [
        claim("Retraining without part of a small group lowers that group's test accuracy.",
              "Fig. 2, Sec. 4.2", lost),
        _largest_group(),
        claim("RETRAIN + REWEIGHT gives the group accuracy back.", "Sec. 3.3, Tables 1 to 3", recovered),
        _memorising(),
        claim("RETRAIN + GROUP-DRO is no gold standard: it raises UA above PRETRAIN's.", "Table 1, Sec. 4.2",
              lambda s: s("group_dro", False, "UA") - s("pretrain", False, "UA"), (0.5,), ("groundwear",)),
        claim("REWEIGHT raises GA of every approximate method.", "Fig. 4, Sec. 4.2",
              lambda s, m: s(m, True, "GA") - s(m, False, "GA"), (0.9,), methods=(*OTHERS, "miu")),
        claim("Without REWEIGHT, MIU is nearer to the gold standard's GA than the other methods.",
              "Tables 1 to 3", lambda s, m: off(s, m) - off(s, "miu"), (0.5,), methods=OTHERS),
        claim("With REWEIGHT, MIU has the best avg. gap.", "Tables 1 to 3, Fig. 5",
              lambda s, m: s.gap(m, True) - s.gap("miu", True), methods=OTHERS),
        *_ablation(),
        _fairness(),
        _multi_group(),
    ]


def _largest_group() -> Claim:
    effects = {f"groundwear {r:g}": lost(Ours("groundwear", r)) - lost(Ours("groundwear", r, ((0, 0),)))
               for r in (0.5, 0.9)}
    return Claim("The largest group loses less than the smallest, at the same ratio.", "Figs. 2 and 7",
                 effects, {})


def _memorising() -> Claim:
    def share(source: Ours | Paper) -> Any:
        points = lost(source)
        return 100 * recovered(source) / (points.mean() if isinstance(points, pd.Series) else points)

    standard, memorised = "groundwear", "groundwear-memorised"
    ours = share(Ours(standard, 0.9)) - share(Ours(memorised, 0.9))
    published = share(Paper(ROLES[standard], 0.9)) - share(Paper(ROLES[memorised], 0.9))
    return Claim("Where few samples are left and memorised, REWEIGHT returns a smaller share of the loss.",
                 "Sec. 4.2, B.2", {"share, groundwear - memorised, 0.9": ours},
                 {"share, celeba - waterbirds, 0.9": published})


def _multi_group() -> Claim:
    ours, published = {}, {}
    for groups, other in product((grids.NINE_GROUPS, grids.TWENTY_FIVE_GROUPS), OTHERS):
        source, theirs = Ours(grids.MANY, 0.5, groups), Paper("fairface", 0.5, len(groups))
        at = f"{other}, {len(groups)} groups"
        ours[at] = source.gap(other, True) - source.gap("miu", True)
        published[at] = theirs.gap(other, True) - theirs.gap("miu", True)
    return Claim("With 9 and 25 groups asking, MIU + REWEIGHT has the best avg. gap.",
                 "Fig. 6, Tables 14, 15", ours, published)


def _printed(dataset: str, term: str, metric: str) -> float:
    """Return what Table 17 prints for MIU without REWEIGHT and without a term ("" for none)."""
    rows = results.select(paper.table("ablation"), dataset=dataset, metric=metric, reweight=0)
    for column in ("retaining_eq7", "unlearning_eq3", "calibration_eq6"):
        rows = rows[rows[column] == int(not (term and column.startswith(term)))]
    return float(rows.value.iloc[0])


def _ablation() -> list[Claim]:
    at_half = {f"{name.removeprefix('groundwear-')} 0.5": Ours(name, 0.5) for name in ROLES}
    both_ratios = {f"groundwear {r:g}": Ours("groundwear", r) for r in (0.5, 0.9)}

    def published(term: str, metric: str) -> dict[str, float]:
        return {f"{d} 0.5": _printed(d, "", metric) - _printed(d, term, metric) for d in ROLES.values()}

    return [
        Claim("Calibration raises GA (without REWEIGHT).", "Table 4, Sec. 4.5",
              {at: s("miu", False, "GA") - s("miu", False, "GA", calibration=False)
               for at, s in at_half.items()}, published("calibration", "GA")),
        Claim("The unlearning term unlearns: UA is lower with it.", "Sec. 4.5 (no such row in Table 4)",
              {at: s("miu", False, "UA", unlearning=False) - s("miu", False, "UA")
               for at, s in both_ratios.items()}, {}),
        Claim("Without the retaining term the avg. gap is the worst.", "Table 4, Sec. 4.5",
              {at: s.gap("miu", False, retaining=False) - s.gap("miu", False)
               for at, s in at_half.items()}, published("retaining", "avg_gap")),
        Claim("λ = 1 brings the avg. gap nearer to the gold standard than λ = 0.", "Fig. 8, B.5",
              {f"groundwear {r:g}": _gap_at(r, 0.0) - _gap_at(r, 1.0) for r in (0.5, 0.9)}, {})]


def _gap_at(ratio: float, lam: float) -> pd.Series:
    gold = results.load("calibration", ratio=ratio, method="retrain")
    return 100 * distance_by_seed(results.load("calibration", ratio=ratio, lam=lam), gold)


def _fairness() -> Claim:
    ours, published, rows = {}, {}, paper.table("fairness")
    plain = rows[rows.reweight == 0].pivot_table("value", ["dataset", "metric"], "method")
    miu = rows[rows.method.str.startswith("MIU")].pivot_table("value", ["dataset", "metric"])["value"]
    for (name, theirs), metric in product(ROLES.items(), ("DP", "EP", "EO", "WG")):
        source = Ours(name, 0.5)
        before = source("pretrain", False, metric)
        ours[f"{metric}, {name.removeprefix('groundwear-')} 0.5"] = (
            (source("retrain", False, metric) - before).abs() - (source("miu", True, metric) - before).abs())
        printed = plain.loc[theirs, metric]
        published[f"{metric}, {theirs} 0.5"] = (
            abs(printed.RETRAIN - printed.PRETRAIN) - abs(miu[theirs, metric] - printed.PRETRAIN))
    return Claim("MIU + REWEIGHT keeps DP, EP, EO and WG nearer to PRETRAIN's than RETRAIN does.",
                 "Table 18, B.6", ours, published)


def claims_table(judged: Sequence[Claim] | None = None) -> pd.DataFrame:
    """Return a row per claim: where it stands, the paper's effects and ours counted by sign, the verdict.

    Args:
        judged: Of these; all claims if None.
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
