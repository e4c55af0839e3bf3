"""The settings that the explorer offers, and the shipped runs behind them.

The explorer's module (its sources are in docs/explorer) shows the nearest setting that was run. Here is what
it is given, and `printed`, one setting for pages where nothing can be moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from grmu import data
from grmu.analysis import grids, results
from grmu.analysis.names import label
from grmu.experiments import Experiment

WHO: dict[str, tuple[str, str, str | tuple[data.Group, ...]]] = {  # by key: name, data set, groups
    "smallest": ("sneakers on brick, the smallest of 4 groups", "groundwear", "default"),
    "largest": ("ankle boots on grass, the largest of 4", "groundwear", ((0, 0),)),
    "alike": ("as many samples of all 4 groups alike", "groundwear", "uniform"),
    "nine": ("9 groups of 63", grids.MANY, grids.NINE_GROUPS),
    "twenty-five": ("25 groups of 63", grids.MANY, grids.TWENTY_FIVE_GROUPS),
    "one": ("one group of 63", grids.MANY, "default"),
    "memorised": ("the smallest of 4 groups, memorised", "groundwear-memorised", "default"),
    "sentences": ("the smallest of 6 groups of sentences", "negation", "default")}


@dataclass(frozen=True)
class Choice:
    """What the controls show. Only MIU has `lam`; `seed` is None for all seeds."""

    who: str = "smallest"
    method: str = "miu"
    reweight: bool = True
    ratio: float = 0.5
    lam: float = 1.0
    seed: int | None = None

    def experiment(self) -> Experiment:
        """Return the run of exactly this setting; with all seeds chosen, of seed 0."""
        _, dataset, groups = WHO[self.who]
        ratio = grids.uniform_ratio(self.ratio) if groups == "uniform" else float(self.ratio)
        return Experiment(dataset, self.method, self.reweight, ratio, groups, self.seed or 0,
                          {"lam": float(self.lam)} if self.method == "miu" else {})


@lru_cache
def rows() -> pd.DataFrame:
    """Return the shipped runs with the preset's settings, MIU's also with other λ, in the column `lam`."""
    table = results.load().query("seed in @grids.SEEDS")
    is_miu, changed = table.method == "miu", table.overrides.map(set)
    table = table[(changed == set()) | (is_miu & (changed == {"lam"}))].copy()
    preset = {name: Experiment(name, "miu").settings["lam"] for name in table.dataset[is_miu].unique()}
    table["lam"] = [row.overrides.get("lam", preset[row.dataset]) if row.method == "miu" else np.nan
                    for row in table.itertuples()]
    alike = table.groups == "uniform"
    table.loc[alike, "ratio"] = (table.ratio[alike] / grids.uniform_ratio(1)).round(1)
    return table


@lru_cache
def rows_of(who: str) -> pd.DataFrame:
    """Return the rows of one of `WHO`."""
    _, dataset, groups = WHO[who]
    return results.select(rows(), dataset=dataset, groups=groups)


@lru_cache
def group_rows(who: str) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
    """Return the rows of the groups' panel: name, groups, forgotten?; many groups are two rows."""
    _, dataset, which = WHO[who]
    splits = data.load(dataset)
    train = splits.train
    pairs = which if not isinstance(which, str) else [splits.forget_group] if which == "default" else []
    forgotten = tuple(train.group_id(pair) for pair in pairs)
    if train.n_groups <= 8:
        return tuple((name, (g,), g in forgotten or which == "uniform")
                     for g, name in enumerate(train.group_names))
    others = tuple(g for g in range(train.n_groups) if g not in forgotten)
    return ((f"the {len(forgotten)} that asked", forgotten, True),
            (f"the other {len(others)}", others, False))


def by_row(who: str, by_group: Sequence[float]) -> np.ndarray:
    """Return the accuracies of the panel's rows from those of all groups."""
    return np.array([np.mean(np.asarray(by_group)[list(index)]) for _, index, _ in group_rows(who)])


def measured_on(who: str) -> str:
    """Return whose accuracy GA is; where all groups request alike, it is the usual group's."""
    _, dataset, which = WHO[who]
    if which == "uniform":
        splits = data.load(dataset)
        return splits.train.group_names[splits.train.group_id(splits.forget_group)]
    many = not isinstance(which, str) and len(which) > 1
    return "the groups that request deletion" if many else "the group that requests deletion"


@dataclass(frozen=True)
class LastLayer:
    """A setting of the view that retrains the last layer; docs/explorer/src/layer.js has the limits."""

    group: int = 3
    ratio: float = 0.5
    strength: float = 0.0
    l2: float = 1e-5
    weight0: float = 1.0
    weight1: float = 1.0
    weight2: float = 1.0
    weight3: float = 1.0
    rate: float = 0.6
    rounds: int = 0


class Printed(NamedTuple):
    """A setting on paper.

    Attributes:
        groups: accuracies in percent by group: before, after, gold standard.
        asked: the names of the groups that request deletion.
        sentence: what became of them.
    """

    groups: pd.DataFrame
    asked: list[str]
    sentence: str


def printed_last_layer(choice: LastLayer) -> Printed:
    """Return the accuracies of the last layer at the nearest tenth of a ratio, means of five seeds."""
    train, ratio = data.load("groundwear").train, round(choice.ratio, 1)
    rows = results.load("last_layer", asks=choice.group)
    arms = {"original layer": (0.0, False), "retrained": (ratio, False), "with REWEIGHT": (ratio, True)}
    groups = pd.DataFrame({name: 100 * results.select(rows, ratio=at, reweight=weighted)
                           .groupby("group").accuracy.mean().set_axis(train.group_names)
                           for name, (at, weighted) in arms.items()})
    name = train.group_names[choice.group]
    before, after, weighted = groups.loc[name].round().astype(int)
    return Printed(groups, [name], f"Last layer only, ratio {ratio:g}: the accuracy on the forget group "
                                   f"changes from {before} to {after} %, or to {weighted} % with REWEIGHT")


def printed(choice: Choice) -> Printed:
    """Return a setting of the shipped runs, for a page that cannot move.

    Raises:
        ValueError: it was not run; nothing is interpolated.
    """
    name = label(choice.method, choice.reweight)
    here = results.select(rows_of(choice.who), ratio=choice.ratio)
    ours = here[(here.method == choice.method) & (here.reweight == choice.reweight)]
    parts = {"before": results.select(here, method="pretrain", reweight=False),
             "after": ours[(ours.lam == choice.lam) | (choice.method != "miu")],
             "gold standard": results.select(here, method="retrain", reweight=True)}
    if choice.seed is not None:
        parts = {when: results.select(part, seed=choice.seed) for when, part in parts.items()}
    if parts["after"].empty:
        raise ValueError(f"{name} was not run so for {WHO[choice.who][0]}, at ratio {choice.ratio:.2g}: "
                         "the explorer itself, where scripts run, shows the nearest setting that was.")
    names, _, asked = zip(*group_rows(choice.who), strict=True)
    groups = pd.DataFrame({when: 100 * by_row(choice.who, np.mean(np.stack(list(part.by_group)), 0))
                           for when, part in parts.items()}, index=names)
    before, after, gold = (100 * part.GA.mean() for part in parts.values())
    far = f"{abs(after - gold):.0f} points {'above' if after > gold else 'below'}"
    was, now = f"{before:.0f}", f"{after:.0f}"
    change = (f"stays at {now}" if was == now else
              f"{'rises' if after > before else 'falls'} from {was} to {now}")
    return Printed(groups, [name for name, is_asked in zip(names, asked, strict=True) if is_asked],
                   f"{name}, ratio {choice.ratio:.2g}: the accuracy on {measured_on(choice.who)} {change} %, "
                   f"{far if abs(after - gold) >= 0.5 else 'within half a point of'} the gold standard")
