"""What the explorer shows: settings looked up among the shipped results, with nothing interpolated between.

`find(Choice(...))` snaps to the nearest setting that was computed, and `Shown.note` says what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from grmu import data
from grmu.metrics import FAIRNESS, METRICS
from grmu.runs import Experiment
from grmu.study import grids, results, tuning
from grmu.study.compare import half_width
from grmu.study.names import label

FORGET_GROUPS: dict[str, tuple[str, str | tuple[data.Group, ...]]] = {  # data set, groups
    "sneakers on brick, the smallest of 4 groups": ("groundwear", "default"),
    "ankle boots on grass, the largest of 4": ("groundwear", ((0, 0),)),
    "as many samples of all 4 groups alike": ("groundwear", "uniform"),
    "9 groups of 63": (grids.MANY, grids.NINE_GROUPS),
    "25 groups of 63": (grids.MANY, grids.TWENTY_FIVE_GROUPS),
    "one group of 63": (grids.MANY, "default"),
    "the smallest of 4 groups, known by heart": ("groundwear-memorised", "default"),
    "the smallest of 6 groups of sentences": ("negation", "default"),
}
SMALLEST = next(iter(FORGET_GROUPS))
ALWAYS_SHOWN = (("pretrain", False), ("retrain", False), ("retrain", True))
FORMS = {  # of MIU: what it is called on a control, and the form whose searched settings it has, if any
    "steady": ("steady, the course's", None), "steady-tuned": ("steady, searched", "steady"),
    "paper": ("paper, searched", "paper"), "released": ("released code, searched", "released")}


@dataclass(frozen=True)
class Choice:
    """What the controls say. lam, form (one of `FORMS`): MIU's; others ignore them.  seed: None for all."""

    method: str = "miu"
    reweight: bool = True
    groups: str = SMALLEST
    ratio: float = 0.5
    lam: float = 1.0
    seed: int | None = None
    form: str = "steady"

    def experiment(self) -> Experiment:
        """The run of exactly this setting; with all seeds chosen, of seed 0."""
        dataset, groups = FORGET_GROUPS[self.groups]
        ratio = grids.uniform_ratio(self.ratio) if groups == "uniform" else self.ratio
        return Experiment(dataset, self.method, self.reweight, ratio, groups, self.seed or 0,
                          searched(dataset, self.form) | {"lam": self.lam} if self.method == "miu" else {})


@dataclass(frozen=True)
class Shown:
    """A computed setting beside its references; accuracies are fractions, means over `n_seeds` seeds.

    groups: before, after, gold and forgotten (bool) by group's name.
    metrics: (mean, half of its 95 % interval over seeds, NaN of fewer than five) by method and metric.
    by_ratio, by_lam: the same of GA by (method, reweight, ratio or lam); by_lam is None but for MIU.
    """

    method: str
    reweight: bool
    ratio: float
    lam: float | None
    n_seeds: int
    groups: pd.DataFrame
    metrics: pd.DataFrame
    by_ratio: pd.DataFrame
    by_lam: pd.DataFrame | None
    note: str

    def title(self) -> str:
        """What is seen, from its numbers."""
        after, gold, idle = (100 * self.metrics.loc[key, "GA"][0] for key in (
            (self.method, self.reweight), ("retrain", True), ("pretrain", False)))
        name = label(self.method, self.reweight)
        if (self.method, self.reweight) == ("pretrain", False):
            return f"Doing nothing: the group keeps its {idle:.0f} %, and nobody was forgotten"
        far, side = abs(after - gold), "above" if after > gold else "below"
        place = f"{far:.0f} points {side} the gold standard" if far >= 0.5 else "as the gold standard"
        return (f"{name}, ratio {self.ratio:.2g}: "
                f"the group that asked goes from {idle:.0f} to {after:.0f} %, {place}")


@lru_cache
def searched(dataset: str, form: str) -> dict[str, Any]:
    """What makes one of the `FORMS` on a data set, but λ: overrides as the shipped table has them."""
    of = FORMS[form][1]
    if of is None or dataset not in tuning.DATASETS:
        return {}
    preset = Experiment(dataset, "miu", overrides={"form": of}).settings | {"form": "steady"}
    return {name: value for name, value in sorted(tuning.tuned(dataset, of).items())
            if name != "lam" and value != preset[name]}


def _form(dataset: str, overrides: Mapping[str, Any]) -> str | None:
    """Which of the `FORMS` has these overrides, whatever λ; None if none has."""
    bare = {name: value for name, value in overrides.items() if name != "lam"}
    return next((form for form in FORMS if bare == searched(dataset, form)), None)


@lru_cache
def rows() -> pd.DataFrame:
    """Shipped runs with the preset's settings, MIU's also in other forms and with other lambdas:
    `results.load`'s, lam and form (None but for MIU)."""
    table = results.load()
    is_miu = table.method == "miu"
    forms = [_form(*row) if miu else None for row, miu in zip(
        zip(table.dataset, table.overrides, strict=True), is_miu, strict=True)]
    table["form"] = pd.Series(forms, table.index, dtype=object)
    kept = table.form.notna() | (~is_miu & table.overrides.map(lambda o: not o))
    table = table[kept & table.seed.isin(grids.SEEDS)].copy()
    is_miu = table.method == "miu"
    chosen = table.overrides.map(lambda o: o.get("lam", np.nan))
    preset = {name: Experiment(name, "miu").settings["lam"] for name in table.dataset[is_miu].unique()}
    table["lam"] = chosen.fillna(table.dataset.map(preset)).where(is_miu)
    alike = table.groups == "uniform"
    table.loc[alike, "ratio"] = (table.ratio[alike] / grids.uniform_ratio(1)).round(1)
    return table


@lru_cache
def rows_of(groups: str) -> pd.DataFrame:
    """The rows of one of the `FORGET_GROUPS`."""
    dataset, which = FORGET_GROUPS[groups]
    return results.select(rows(), dataset=dataset, groups=which)


def computed(groups: str) -> dict[str, tuple[bool, ...]]:
    """The methods that were run for these groups, each with what REWEIGHT was; in the course's order."""
    keys = rows_of(groups)[["method", "reweight"]].drop_duplicates()
    return {method: tuple(sorted(part.reweight)) for method, part in keys.groupby("method", sort=False)}


@lru_cache
def group_rows(groups: str) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
    """Rows of the groups' panel: name, groups, forgotten?; of many, those that asked and the others."""
    dataset, which = FORGET_GROUPS[groups]
    splits = data.load(dataset)
    train, n_a = splits.train, splits.train.n_attributes
    pairs = which if not isinstance(which, str) else [splits.forget_group] if which == "default" else []
    forgotten = [y * n_a + a for y, a in pairs]
    if train.n_groups <= 8:
        return tuple((name, (g,), g in forgotten or which == "uniform")
                     for g, name in enumerate(train.group_names))
    others = tuple(g for g in range(train.n_groups) if g not in forgotten)
    return ((f"the {len(forgotten)} that asked", tuple(forgotten), True),
            (f"the other {len(others)}", others, False))


def by_row(groups: str, by_group: Sequence[float]) -> np.ndarray:
    """Accuracies of the panel's rows from those of all groups."""
    return np.array([np.mean(np.asarray(by_group)[list(index)]) for _, index, _ in group_rows(groups)])


def nearest(value: float, computed: Sequence[float]) -> float:
    """The computed value nearest to the one chosen; of two as near, the lower."""
    return min(sorted(computed), key=lambda v: round(abs(v - value), 9))


def find(choice: Choice) -> Shown:
    """The computed setting nearest to the choice.

    Raises:
        ValueError: no run of the method was shipped for these groups.
    """
    every = rows_of(choice.groups)
    is_miu = choice.method == "miu"
    form = {"form": choice.form} if is_miu else {}
    mine = results.select(every, method=choice.method, reweight=choice.reweight, **form)
    if mine.empty:
        there = ", ".join(label(m, r) for m, options in computed(choice.groups).items() for r in options)
        raise ValueError(f"{label(choice.method, choice.reweight)}{_said_form(choice)} "
                         f"was not computed for {choice.groups}: "
                         f"choose one of {there}.")
    ratio = nearest(choice.ratio, mine.ratio.unique())
    lam = nearest(choice.lam, mine.lam[mine.ratio == ratio].unique()) if is_miu else None
    if choice.seed is not None:
        every, mine = every[every.seed == choice.seed], mine[mine.seed == choice.seed]
    here = mine[(mine.ratio == ratio) & ((mine.lam == lam) | (not is_miu))]
    parts = {(method, reweight): results.select(every, method=method, reweight=reweight, ratio=ratio)
             for method, reweight in ALWAYS_SHOWN} | {(choice.method, choice.reweight): here}
    names, _, forgotten = zip(*group_rows(choice.groups), strict=True)
    groups = pd.DataFrame(
        {name: by_row(choice.groups, np.mean(np.stack(list(parts[key].by_group)), 0)) for name, key in (
            ("before", ("pretrain", False)), ("after", (choice.method, choice.reweight)),
            ("gold", ("retrain", True)))} | {"forgotten": forgotten}, index=names)
    metrics = pd.DataFrame({key: {m: (part[m].mean(), half_width(part[m]))
                                  for m in (*METRICS, *FAIRNESS)} for key, part in parts.items()}).T
    on_curve = every[pd.MultiIndex.from_frame(every[["method", "reweight"]]).isin(parts)]
    same = (on_curve.lam == lam) & (on_curve.form == choice.form)
    preset = on_curve[same | (on_curve.method != "miu")] if is_miu else on_curve
    note = _note(choice, ratio, lam, len(here))
    return Shown(choice.method, choice.reweight, ratio, lam, len(here), groups, metrics,
                 _curve(preset, "ratio"),
                 _lam_curve(mine, parts, ratio) if is_miu else None, note)


def _curve(part: pd.DataFrame, setting: str) -> pd.DataFrame:
    return part.groupby(["method", "reweight", setting]).GA.agg(["mean", half_width])


def _lam_curve(mine: pd.DataFrame, parts: dict[tuple[str, bool], pd.DataFrame], ratio: float) -> pd.DataFrame:
    """GA against lambda; the references, which have none, as levels."""
    own = _curve(mine[mine.ratio == ratio], "lam")
    levels = {(*key, lam): {"mean": parts[key].GA.mean(), "half_width": np.nan} for key in ALWAYS_SHOWN
              for lam in (0.0, 10.0)}
    return pd.concat([pd.DataFrame(levels).T.rename_axis(own.index.names), own])


def _said_form(choice: Choice) -> str:
    """The form, where it is not the course's."""
    return f", {FORMS[choice.form][0]}" if choice.method == "miu" and choice.form != "steady" else ""


def _note(choice: Choice, ratio: float, lam: float | None, n: int) -> str:
    """What is shown, and what of the choice was snapped to it."""
    far = "" if abs(ratio - choice.ratio) < 1e-9 else f" (nearest to {choice.ratio:.2g} that was computed)"
    said = [f"ratio {ratio:.2g}{far}{_said_form(choice)}"]
    if lam is not None:
        said.append(f"λ = {lam:g}" + (f" (nearest to {choice.lam:g} that was computed here)"
                                      if lam != choice.lam else ""))
    said.append(f"seed {choice.seed}" if choice.seed is not None else f"mean of {n} seeds")
    return "Shown: " + ", ".join(said) + "."
