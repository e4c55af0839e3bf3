"""Check the paper's claims: compute each effect from the published means and from rows of runs.

An effect is a difference that is positive where the claim holds. There is one effect for each data set and
ratio. Our effects are paired by seed; `compare.verdicts` words them, and RULE combines these words into one
verdict. The rows are the shipped ones, in which variants of Groundwear stand in for CelebA, Waterbirds and
FairFace, or those of a sweep.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grmu.analysis import paper, reproduced, results
from grmu.analysis.compare import Interval, distance_by_seed, interval, verdicts
from grmu.analysis.printed import IMAGES, N_GROUPS, OTHERS, STAND_INS, Row
from grmu.data import require
from grmu.metrics import METRICS

RULE = ("reproduced: each effect is significantly higher than 0, after Holm's correction for the claim. "
        "partly: some are higher, and none is lower. not reproduced: some are lower, and none is higher. "
        "mixed: some are higher, and some lower. cannot tell: none is significant. no runs: none are there.")


class Place(NamedTuple):
    """A data set of the paper, a ratio and a forget set, as in a `Row`, and a way to look up values.

    Args:
        look_up: Returns the value of a row and a metric: the paper's, or ours.
        dataset: One of the paper's data sets.
        ratio: As in a `Row`.
        forget: As in a `Row`.
    """

    look_up: Callable[[Row, str], Any]
    dataset: str
    ratio: float = 0.5
    forget: str | int = "default"

    def __call__(self, method: str, reweight: bool, metric: str, **changed: object) -> Any:
        """Return a metric, or "avg_gap", in percent: a number from the paper, or our values by seed."""
        return self.look_up(Row(self.dataset, method, reweight, self.ratio, self.forget,
                                tuple(changed.items())), metric)


def ours(runs: Mapping[tuple[Any, ...], pd.DataFrame], on: Mapping[str, str], row: Row,
         metric: str) -> pd.Series:
    """Return a metric of our runs of a row, in percent by seed.

    Args:
        runs: As returned by `by_row`.
        on: The data set that stands in for each of the paper's.
        row: A row on one of the paper's data sets.
        metric: A metric, or "avg_gap", which is 100 minus the mean distance from the gold standard of the
            same seed.

    Raises:
        KeyError: There are no such runs.
    """
    *key, _, overrides = results.key_of(row.experiment(0, on[row.dataset]))
    rows = runs[*key, overrides].set_index("seed", drop=False).sort_index()
    if metric == "avg_gap":
        *key, _, overrides = results.key_of(row.gold.experiment(0, on[row.dataset]))
        return 100 - 100 * distance_by_seed(rows, runs[*key, overrides])
    return 100 * rows[metric]


def by_row(rows: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """Return rows grouped by the `results.key_of` their runs, without the seed."""
    keys = [key for key in results.KEYS if key != "seed"]
    texts = rows.assign(ratio=rows.ratio.map("{:.5g}".format), groups=rows.groups.map(str),
                        overrides=rows.overrides.map(json.dumps))
    return {key: rows.loc[index] for key, index in texts.groupby(keys).groups.items()}


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, expressed as effects in points that should be positive.

    Attributes:
        text: The sentence.
        where: Its place in the paper.
        ours: Our effects by name, each with one value per seed.
        published: The paper's effects by name.
    """

    text: str
    where: str
    ours: Mapping[str, pd.Series]
    published: Mapping[str, float]

    @property
    def intervals(self) -> dict[str, Interval]:
        """The mean and 95 % interval of each of our effects, over the seeds that all of its parts have."""
        return {name: interval(values.dropna()) for name, values in self.ours.items()}

    @cached_property
    def signs(self) -> tuple[int, int, int]:
        """How many effects are significantly higher than 0, not significant, and significantly lower.

        An effect that has only one seed counts as not significant.
        """
        effects = {name: values.dropna() for name, values in self.ours.items() if values.count() > 1}
        worded = verdicts(effects).verdict
        above, below = int((worded == "higher").sum()), int((worded == "lower").sum())
        return above, len(self.ours) - above - below, below

    @property
    def verdict(self) -> str:
        """The verdict according to RULE."""
        above, _, below = self.signs
        if not self.ours:
            return "no runs"
        if above and below:
            return "mixed"
        if above:
            return "reproduced" if above == len(self.ours) else "partly"
        return "not reproduced" if below else "cannot tell"


def read_rows(path: str) -> pd.DataFrame:
    """Read the runs.csv of a sweep.

    Raises:
        ValueError: A column is missing, no run is on the paper's images, or the file mixes protocols.
    """
    rows = pd.read_csv(path)
    missing = [name for name in (*results.KEYS, *METRICS) if name not in rows]
    require(not missing, f"{path} must be the runs.csv of a sweep, but has no column {', '.join(missing)}.")
    require(rows.dataset.isin(IMAGES).any(), f"{path} must have runs on {', '.join(IMAGES)}, but has runs on "
            f"{', '.join(rows.dataset.unique())}. Leave --rows out to judge the shipped embedded runs.")
    parsed = {name: rows[name].map(json.loads) for name in ("overrides", "by_group")}
    return reproduced.check(rows).assign(**parsed)


def lost(at: Place) -> Any:
    """Return how many points of GA RETRAIN loses compared with PRETRAIN."""
    return at("pretrain", False, "GA") - at("retrain", False, "GA")


def recovered(at: Place) -> Any:
    """Return how many points of GA REWEIGHT adds to RETRAIN."""
    return at("retrain", True, "GA") - at("retrain", False, "GA")


def share(at: Place) -> Any:
    """Return the percentage of the mean loss that REWEIGHT recovers."""
    return 100 * recovered(at) / np.mean(lost(at))


def fall(at: Place, reweight: bool) -> Any:
    """Return how many points RETRAIN's UA is lower at ratio 0.9 than at ratio 0.1."""
    low, high = at._replace(ratio=0.1), at._replace(ratio=0.9)
    return low("retrain", reweight, "UA") - high("retrain", reweight, "UA")


def off(at: Place, method: str) -> Any:
    """Return the distance of a method's GA, without REWEIGHT, from the gold standard's, in points."""
    return abs(at(method, False, "GA") - at("retrain", True, "GA"))


def lead(at: Place, other: str) -> Any:
    """Return how many points the avg. gap of MIU + REWEIGHT is higher than that of another method."""
    return at("miu", True, "avg_gap") - at(other, True, "avg_gap")


def correlation(at: Place) -> Any:
    """Return the correlation of UA and GA over methods, per seed, times 100."""
    methods = list(product(("retrain", *OTHERS, "miu"), (False, True)))
    ua, ga = (pd.DataFrame({key: pd.Series(at(*key, metric)) for key in methods}) for metric in ("UA", "GA"))
    return 100 * ua.corrwith(ga, axis=1)


def nearer(at: Place, metric: str) -> Any:
    """Return how many points nearer to PRETRAIN MIU + REWEIGHT is than RETRAIN."""
    before = at("pretrain", False, metric)
    return abs(at("retrain", False, metric) - before) - abs(at("miu", True, metric) - before)


Named = Mapping[str, tuple[Any, ...]]  # by an effect's name: a place, and the effect's other arguments


def places(*ratios: float, of: Sequence[str] = IMAGES) -> Named:
    """Return each data set at each ratio."""
    return {f"{dataset} {ratio:g}": (dataset, ratio) for dataset, ratio in product(of, ratios)}


def each(names: Sequence[str], where: Named) -> Named:
    """Return each place for each method or metric."""
    return {f"{name}, {at}": (*place, "default", name) for name, (at, place) in product(names, where.items())}


CLAIMS: tuple[tuple[str, str, Callable[..., Any], Named], ...] = (
    ("Retraining without part of a small group lowers that group's test accuracy.", "Fig. 2, Sec. 4.2",
     lost, places(0.5, 0.9)),
    ("The largest group loses less than the smallest, at the same ratio.", "Figs. 2 and 7",
     lambda at: lost(at) - lost(at._replace(forget=1)), places(0.5, 0.9, of=["celeba"])),
    ("The higher the ratio, the lower RETRAIN's accuracy on the forget set.", "Appx. B",
     lambda at: fall(at, False), {name: (name,) for name in IMAGES}),
    ("With REWEIGHT, RETRAIN's accuracy on the forget set falls less between ratios 0.1 and 0.9.", "Appx. B",
     lambda at: fall(at, False) - fall(at, True), {name: (name,) for name in IMAGES}),
    ("RETRAIN + REWEIGHT restores the group's accuracy.", "Sec. 3.3, Tables 1 to 3",
     recovered, places(0.5, 0.9)),
    ("Where few samples are left and memorised, REWEIGHT recovers a smaller share of the lost accuracy.",
     "Sec. 4.2, B.2", lambda at: share(at) - share(at._replace(dataset="waterbirds")),
     {"share, celeba - waterbirds, 0.9": ("celeba", 0.9)}),
    ("RETRAIN + GROUP-DRO is no gold standard: it raises UA above PRETRAIN's.", "Table 1, Sec. 4.2",
     lambda at: at("group_dro", False, "UA") - at("pretrain", False, "UA"), places(0.5)),
    ("UA and GA are correlated over the methods (correlation coefficient times 100).", "Sec. 4.2",
     correlation, places(0.5)),
    ("REWEIGHT raises the GA of every approximate method.", "Fig. 4, Sec. 4.2",
     lambda at, method: at(method, True, "GA") - at(method, False, "GA"),
     each((*OTHERS, "miu"), places(0.9))),
    ("Without REWEIGHT, MIU is nearer to the gold standard's GA than the other methods.", "Tables 1 to 3",
     lambda at, method: off(at, method) - off(at, "miu"), each(OTHERS, places(0.5))),
    ("With REWEIGHT, MIU has the best avg. gap.", "Tables 1 to 3, Fig. 5", lead,
     each(OTHERS, places(0.5, 0.9))),
    ("Calibration raises GA (without REWEIGHT).", "Table 4, Sec. 4.5",
     lambda at: at("miu", False, "GA") - at("miu", False, "GA", calibration=False), places(0.5)),
    ("The unlearning term unlearns: UA is lower with it.", "Sec. 4.5 (no such row in Table 4)",
     lambda at: at("miu", False, "UA", unlearning=False) - at("miu", False, "UA"),
     places(0.5, 0.9, of=["celeba"])),
    ("Without the retaining term the avg. gap is the worst.", "Table 4, Sec. 4.5",
     lambda at: at("miu", False, "avg_gap") - at("miu", False, "avg_gap", retaining=False), places(0.5)),
    ("λ = 1 brings the avg. gap nearer to the gold standard than λ = 0.", "Fig. 8, B.5",
     lambda at: at("miu", True, "avg_gap", lam=1.0) - at("miu", True, "avg_gap", lam=0.0),
     places(0.5, 0.9, of=["celeba"])),
    ("MIU + REWEIGHT keeps DP, EP, EO and WG nearer to PRETRAIN's than RETRAIN does.", "Table 18, B.6",
     nearer, each(("DP", "EP", "EO", "WG"), places(0.5))),
    ("When 9 or 25 groups request deletion, MIU + REWEIGHT has the best avg. gap.", "Fig. 6, Tables 14, 15",
     lead, {f"{other}, {N_GROUPS[size]} groups": ("fairface", 0.5, size, other)
            for size, other in product(("nine", "twenty-five"), OTHERS)}))


def all_claims(rows: pd.DataFrame | None = None) -> list[Claim]:
    """Return the paper's claims, in the paper's order.

    Args:
        rows: Runs on the paper's data sets, as returned by `read_rows`; None uses the shipped runs.
    """
    on = STAND_INS if rows is None else {name: name for name in IMAGES}
    look_up = partial(ours, by_row(results.load() if rows is None else rows), on)
    theirs, judged = (lambda row, metric: paper.published(row, metric)["paper"]), []
    for text, where, effect, named in CLAIMS:
        of_paper, of_ours = {}, {}
        for name, (dataset, *more) in named.items():
            place, arguments = (dataset, *more[:2]), more[2:]
            of_paper[name] = float(np.mean(effect(Place(theirs, *place), *arguments)))
            with suppress(KeyError):  # some claims have no runs on the embedded data
                of_ours[_renamed(name, on)] = effect(Place(look_up, *place), *arguments)
        judged.append(Claim(text, where, of_ours, of_paper))
    return judged


def _renamed(name: str, on: Mapping[str, str]) -> str:
    """Return an effect's name with our data sets instead of the paper's."""
    for role, dataset in on.items():
        name = name.replace(role, dataset.removeprefix("groundwear-"))
    return name


def claims_table(judged: Sequence[Claim] | None = None) -> pd.DataFrame:
    """Return one row per claim: its place in the paper, the number of effects by sign, and the verdict.

    Args:
        judged: The claims to list; None lists all.
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
