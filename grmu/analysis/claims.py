"""The paper's claims, one by one: the same effect from its published means and from rows of runs.

An effect is a difference that is positive where the claim holds. Ours is paired by seed, one for each data
set and ratio; `compare.verdicts` words them, and RULE makes one word of these. The rows are the shipped ones,
where variants of Groundwear stand in for CelebA, Waterbirds and FairFace, or those of a sweep.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import pandas as pd

from grmu.analysis import paper, results
from grmu.analysis.compare import Interval, distance_by_seed, interval, verdicts
from grmu.analysis.printed import IMAGES, N_GROUPS, OTHERS, SEVERAL, STAND_INS
from grmu.data import Group, require
from grmu.experiments import Experiment
from grmu.metrics import METRICS

ROLES = {STAND_INS[name]: name for name in IMAGES}
RULE = ("reproduced: every effect is higher than 0, after Holm over the claim's effects. partly: some are, "
        "none is lower. not reproduced: some are lower, none is higher. mixed: some are higher, some lower. "
        "cannot tell: none is distinguished from 0. no runs: the rows lack them.")


class Ours:
    """Our runs of one data set, ratio and choice of groups: metrics in percent, one value per seed."""

    def __init__(self, rows: pd.DataFrame, dataset: str, ratio: float,
                 groups: str | tuple[Group, ...] = "default") -> None:
        self.rows = results.select(rows, dataset=dataset, ratio=ratio, groups=groups)
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

    def gap_at(self, lam: float) -> pd.Series:
        """Return `gap` of MIU + REWEIGHT with this lambda, which may be the preset's."""
        preset = Experiment(self.at[0]).preset["lam"]
        return self.gap("miu", True, **{} if lam == preset else {"lam": lam})


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
        if not self.ours:
            return "no runs"
        if above and below:
            return "mixed"
        if above:
            return "reproduced" if above == len(self.ours) else "partly"
        return "not reproduced" if below else "cannot tell"


class Judge:
    """Makes claims from one table of runs.

    Args:
        rows: With the columns of runs.csv.
        roles: The paper's data set for each of theirs.
    """

    def __init__(self, rows: pd.DataFrame, roles: Mapping[str, str]) -> None:
        self.rows, self.roles = rows, roles

    def __call__(self, text: str, where: str, effect: Callable[..., Any],
                 ratios: tuple[float, ...] = (0.5, 0.9), of: tuple[str, ...] = IMAGES,
                 methods: tuple[str, ...] = ()) -> Claim:
        """Return a claim from one function of `Ours` and of `Paper`, at every data set and ratio.

        Args:
            text: The claim.
            where: Where the paper makes it.
            effect: effect(source), or effect(source, method) for every method.
            ratios: Of these.
            of: Of these data sets of the paper.
            methods: Of these; none if the effect is of no method.
        """
        ours, published = {}, {}
        chosen: list[tuple[str, ...]] = [(name,) for name in methods] or [()]
        for method, theirs, ratio in product(chosen, of, ratios):
            beginning = "".join(f"{name}, " for name in method)
            published[f"{beginning}{theirs} {ratio:g}"] = effect(Paper(theirs, ratio), *method)
            for dataset in self.playing(theirs):
                at = f"{beginning}{dataset.removeprefix('groundwear-')} {ratio:g}"
                with suppress(KeyError):  # there are no such runs
                    ours[at] = effect(self.ours(dataset, ratio), *method)
        return Claim(text, where, ours, published)

    def playing(self, theirs: str) -> list[str]:
        """Return the data sets of the rows that stand in for one of the paper's."""
        return [dataset for dataset, role in self.roles.items() if role == theirs]

    def ours(self, dataset: str, ratio: float, groups: str | tuple[Group, ...] = "default") -> Ours:
        """Return the runs at a data set, ratio and choice of groups."""
        return Ours(self.rows, dataset, ratio, groups)

    def effects(self, makers: Mapping[str, Callable[[], pd.Series]]) -> dict[str, pd.Series]:
        """Return effects by name, without those whose runs are not there."""
        made = {}
        for name, make in makers.items():
            with suppress(KeyError):
                made[name] = make()
        return made


def read_rows(path: str) -> pd.DataFrame:
    """Read the runs.csv of a sweep.

    Raises:
        ValueError: It has other columns, or mixes protocols.
    """
    rows = pd.read_csv(path)
    missing = [name for name in (*results.KEYS, *METRICS) if name not in rows]
    require(not missing, f"{path} must be the runs.csv of a sweep, but lacks {', '.join(missing)}.")
    if "protocol" in rows:
        require(rows.protocol.nunique() == 1, "one table needs rows of one protocol, got "
                f"{', '.join(sorted(rows.protocol.unique()))}: choose the rows of one.")
    return rows.assign(overrides=rows.overrides.map(json.loads), by_group=rows.by_group.map(json.loads))


def lost(source: Ours | Paper) -> Any:
    """Return the points of GA that RETRAIN loses against PRETRAIN."""
    return source("pretrain", False, "GA") - source("retrain", False, "GA")


def recovered(source: Ours | Paper) -> Any:
    """Return the points of GA that REWEIGHT adds to RETRAIN."""
    return source("retrain", True, "GA") - source("retrain", False, "GA")


def off(source: Ours | Paper, method: str) -> Any:
    """Return the distance of a method's GA, without REWEIGHT, from the gold standard's, in points."""
    return abs(source(method, False, "GA") - source("retrain", True, "GA"))


def all_claims(rows: pd.DataFrame | None = None) -> list[Claim]:
    """Return the paper's claims, in its order.

    Args:
        rows: Runs on the paper's data sets, as `read_rows` returns them; None takes the shipped runs.
    """
    judge = Judge(results.load(), ROLES) if rows is None else Judge(rows, {name: name for name in IMAGES})
    return [
        judge("Retraining without part of a small group lowers that group's test accuracy.",
              "Fig. 2, Sec. 4.2", lost),
        _largest_group(judge),
        _higher_ratio(judge),
        _smaller_with_reweight(judge),
        judge("RETRAIN + REWEIGHT gives the group accuracy back.", "Sec. 3.3, Tables 1 to 3", recovered),
        _memorising(judge),
        judge("RETRAIN + GROUP-DRO is no gold standard: it raises UA above PRETRAIN's.", "Table 1, Sec. 4.2",
              lambda s: s("group_dro", False, "UA") - s("pretrain", False, "UA"), (0.5,)),
        _correlation(judge),
        judge("REWEIGHT raises GA of every approximate method.", "Fig. 4, Sec. 4.2",
              lambda s, m: s(m, True, "GA") - s(m, False, "GA"), (0.9,), methods=(*OTHERS, "miu")),
        judge("Without REWEIGHT, MIU is nearer to the gold standard's GA than the other methods.",
              "Tables 1 to 3", lambda s, m: off(s, m) - off(s, "miu"), (0.5,), methods=OTHERS),
        judge("With REWEIGHT, MIU has the best avg. gap.", "Tables 1 to 3, Fig. 5",
              lambda s, m: s.gap(m, True) - s.gap("miu", True), methods=OTHERS),
        *_ablation(judge),
        _fairness(judge),
        _multi_group(judge),
    ]


def _short(dataset: str) -> str:
    return dataset.removeprefix("groundwear-")


def _largest_group(judge: Judge) -> Claim:
    effects = {f"{dataset} {ratio:g}": lambda d=dataset, r=ratio:
               lost(judge.ours(d, r)) - lost(judge.ours(d, r, ((0, 0),)))
               for dataset, ratio in product(judge.playing("celeba"), (0.5, 0.9))}
    return Claim("The largest group loses less than the smallest, at the same ratio.", "Figs. 2 and 7",
                 judge.effects(effects), {})


def _fall(at: Callable[..., Any], dataset: str, reweight: bool, metric: str = "UA") -> Any:
    """Return by how many points RETRAIN is lower at ratio 0.9 than at 0.1."""
    return at(dataset, 0.1)("retrain", reweight, metric) - at(dataset, 0.9)("retrain", reweight, metric)


def _at_ratios(judge: Judge, text: str, effect: Callable[..., Any]) -> Claim:
    ours = {_short(d): lambda d=d: effect(judge.ours, d) for d in judge.roles}
    return Claim(text, "Appx. B", judge.effects(ours), {name: effect(Paper, name) for name in IMAGES})


def _higher_ratio(judge: Judge) -> Claim:
    return _at_ratios(judge, "The higher the ratio, the lower RETRAIN's accuracy on the forget set.",
                      lambda at, dataset: _fall(at, dataset, False))


def _smaller_with_reweight(judge: Judge) -> Claim:
    return _at_ratios(judge, "With REWEIGHT, it falls less.", lambda at, dataset:
                      _fall(at, dataset, False) - _fall(at, dataset, True))


def _correlation(judge: Judge) -> Claim:
    """The correlation over methods, per seed, times 100."""
    keys = [(method, reweight) for method in ("retrain", *OTHERS, "miu") for reweight in (False, True)]

    def correlation(dataset: str) -> pd.Series:
        ours = judge.ours(dataset, 0.5)
        ua, ga = (pd.DataFrame({key: ours(*key, metric) for key in keys}) for metric in ("UA", "GA"))
        return 100 * ua.corrwith(ga, axis=1)

    published = {}
    for name in IMAGES:
        source = Paper(name, 0.5)
        ua, ga = (pd.Series([source(*key, metric) for key in keys]) for metric in ("UA", "GA"))
        published[f"{name} 0.5"] = 100 * ua.corr(ga)
    ours = {f"{_short(d)} 0.5": lambda d=d: correlation(d) for d in judge.roles}
    return Claim("UA and GA are correlated over the methods (times 100).", "Sec. 4.2", judge.effects(ours),
                 published)


def _memorising(judge: Judge) -> Claim:
    def share(source: Ours | Paper) -> Any:
        points = lost(source)
        return 100 * recovered(source) / (points.mean() if isinstance(points, pd.Series) else points)

    pairs = zip(judge.playing("celeba"), judge.playing("waterbirds"), strict=True)
    ours = {f"share, {_short(a)} - {_short(b)}, 0.9": lambda a=a, b=b:
            share(judge.ours(a, 0.9)) - share(judge.ours(b, 0.9)) for a, b in pairs}
    published = share(Paper("celeba", 0.9)) - share(Paper("waterbirds", 0.9))
    return Claim("Where few samples are left and memorised, REWEIGHT returns a smaller share of the loss.",
                 "Sec. 4.2, B.2", judge.effects(ours), {"share, celeba - waterbirds, 0.9": published})


def _multi_group(judge: Judge) -> Claim:
    makers, published = {}, {}
    for size, other in product(("nine", "twenty-five"), OTHERS):
        at = f"{other}, {N_GROUPS[size]} groups"
        theirs = Paper("fairface", 0.5, N_GROUPS[size])
        published[at] = theirs.gap(other, True) - theirs.gap("miu", True)
        for dataset in judge.playing("fairface"):
            source = judge.ours(dataset, 0.5, SEVERAL[dataset][size])
            makers[at] = lambda s=source, m=other: s.gap(m, True) - s.gap("miu", True)
    return Claim("With 9 and 25 groups asking, MIU + REWEIGHT has the best avg. gap.",
                 "Fig. 6, Tables 14, 15", judge.effects(makers), published)


def _printed(dataset: str, term: str, metric: str) -> float:
    """Return what Table 17 prints for MIU without REWEIGHT and without a term ("" for none)."""
    rows = results.select(paper.table("ablation"), dataset=dataset, metric=metric, reweight=0)
    for column in ("retaining_eq7", "unlearning_eq3", "calibration_eq6"):
        rows = rows[rows[column] == int(not (term and column.startswith(term)))]
    return float(rows.value.iloc[0])


def _ablation(judge: Judge) -> list[Claim]:
    sources = {f"{_short(name)} 0.5": judge.ours(name, 0.5) for name in judge.roles}
    celeba = {f"{name} {ratio:g}": judge.ours(name, ratio)
              for name, ratio in product(judge.playing("celeba"), (0.5, 0.9))}

    def published(term: str, metric: str) -> dict[str, float]:
        return {f"{d} 0.5": _printed(d, "", metric) - _printed(d, term, metric) for d in IMAGES}

    def made(text: str, where: str, effect: Callable[[Ours], pd.Series], at: Mapping[str, Ours],
             theirs: Mapping[str, float]) -> Claim:
        return Claim(text, where, judge.effects({name: partial(effect, s) for name, s in at.items()}), theirs)

    return [
        made("Calibration raises GA (without REWEIGHT).", "Table 4, Sec. 4.5",
             lambda s: s("miu", False, "GA") - s("miu", False, "GA", calibration=False), sources,
             published("calibration", "GA")),
        made("The unlearning term unlearns: UA is lower with it.", "Sec. 4.5 (no such row in Table 4)",
             lambda s: s("miu", False, "UA", unlearning=False) - s("miu", False, "UA"), celeba, {}),
        made("Without the retaining term the avg. gap is the worst.", "Table 4, Sec. 4.5",
             lambda s: s.gap("miu", False, retaining=False) - s.gap("miu", False), sources,
             published("retaining", "avg_gap")),
        made("λ = 1 brings the avg. gap nearer to the gold standard than λ = 0.", "Fig. 8, B.5",
             lambda s: s.gap_at(0.0) - s.gap_at(1.0), celeba, {})]


def _fairness(judge: Judge) -> Claim:
    makers, published, rows = {}, {}, paper.table("fairness")
    plain = rows[rows.reweight == 0].pivot_table("value", ["dataset", "metric"], "method")
    miu = rows[rows.method.str.startswith("MIU")].pivot_table("value", ["dataset", "metric"])["value"]

    def effect(source: Ours, metric: str) -> pd.Series:
        before = source("pretrain", False, metric)
        retrain, miu = source("retrain", False, metric), source("miu", True, metric)
        return (retrain - before).abs() - (miu - before).abs()

    for (name, theirs), metric in product(judge.roles.items(), ("DP", "EP", "EO", "WG")):
        makers[f"{metric}, {_short(name)} 0.5"] = partial(effect, judge.ours(name, 0.5), metric)
        printed = plain.loc[theirs, metric]
        published[f"{metric}, {theirs} 0.5"] = (
            abs(printed.RETRAIN - printed.PRETRAIN) - abs(miu[theirs, metric] - printed.PRETRAIN))
    return Claim("MIU + REWEIGHT keeps DP, EP, EO and WG nearer to PRETRAIN's than RETRAIN does.",
                 "Table 18, B.6", judge.effects(makers), published)


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
