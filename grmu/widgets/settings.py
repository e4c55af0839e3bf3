"""Define the settings that the explorer offers, and look up their shipped runs.

The explorer's JavaScript module (its sources are in docs/explorer) shows the nearest setting that was run.
This file provides its data, and `printed` describes one setting for pages without widgets.
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

WHO: dict[str, tuple[str, str, str | tuple[data.Group, ...]]] = {  # key: (name, data set, forget groups)
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
    """The values of the explorer's controls.

    Attributes:
        who: Which groups are forgotten, as a key of `WHO`.
        method: The name of the method.
        reweight: Whether REWEIGHT is on.
        ratio: The share of the groups that is forgotten.
        lam: MIU's λ, which other methods ignore.
        seed: The seed; None shows the mean of all seeds.
    """

    who: str = "smallest"
    method: str = "miu"
    reweight: bool = True
    ratio: float = 0.5
    lam: float = 1.0
    seed: int | None = None

    def experiment(self) -> Experiment:
        """Return the experiment for this setting, with seed 0 if all seeds are chosen."""
        _, dataset, groups = WHO[self.who]
        ratio = grids.uniform_ratio(self.ratio) if groups == "uniform" else float(self.ratio)
        return Experiment(dataset, self.method, self.reweight, ratio, groups, self.seed or 0,
                          {"lam": float(self.lam)} if self.method == "miu" else {})


@lru_cache
def rows() -> pd.DataFrame:
    """Return the shipped runs that use the presets, including MIU with other λ (column `lam`)."""
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
    """Return the runs for one key of `WHO`."""
    _, dataset, groups = WHO[who]
    return results.select(rows(), dataset=dataset, groups=groups)


@lru_cache
def group_rows(who: str) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
    """Return the rows of the groups' panel, or only two rows if there are more than eight groups.

    Returns:
        For each row its name, the numbers of its groups, and whether they request deletion.
    """
    _, dataset, which = WHO[who]
    splits = data.load(dataset)
    train = splits.train
    pairs = which if not isinstance(which, str) else [splits.forget_group] if which == "default" else []
    forgotten = tuple(train.group_id(pair) for pair in pairs)
    if train.n_groups <= 8:
        return tuple((name, (g,), g in forgotten or which == "uniform")
                     for g, name in enumerate(train.group_names))
    others = tuple(g for g in range(train.n_groups) if g not in forgotten)
    return ((f"the {len(forgotten)} that request deletion", forgotten, True),
            (f"the other {len(others)}", others, False))


def by_row(who: str, by_group: Sequence[float]) -> np.ndarray:
    """Average the accuracies of all groups within each row of the groups' panel."""
    return np.array([np.mean(np.asarray(by_group)[list(index)]) for _, index, _ in group_rows(who)])


def measured_on(who: str) -> str:
    """Name the groups whose accuracy is GA; if all groups request deletion, it is the default group."""
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
    """The description of a setting for a page without widgets.

    Attributes:
        groups: The accuracies in percent before, after and for the gold standard, with one row per group.
        forgotten: The names of the groups that request deletion.
        sentence: How the accuracy of these groups changed.
    """

    groups: pd.DataFrame
    forgotten: list[str]
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
    """Describe a setting with the numbers of the shipped runs.

    Raises:
        ValueError: The setting was not run, and nothing is interpolated.
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
        raise ValueError(f"{name} was not run for {WHO[choice.who][0]} with ratio {choice.ratio:.2g} and "
                         "this λ and seed. The interactive explorer shows the nearest setting that was run.")
    names, _, forgotten = zip(*group_rows(choice.who), strict=True)
    groups = pd.DataFrame({when: 100 * by_row(choice.who, np.mean(np.stack(list(part.by_group)), 0))
                           for when, part in parts.items()}, index=names)
    before, after, gold = (100 * part.GA.mean() for part in parts.values())
    gap = f"{abs(after - gold):.0f} points {'above' if after > gold else 'below'}"
    was, now = f"{before:.0f}", f"{after:.0f}"
    change = (f"stays at {now}" if was == now else
              f"{'rises' if after > before else 'falls'} from {was} to {now}")
    return Printed(groups, [name for name, gone in zip(names, forgotten, strict=True) if gone],
                   f"{name}, ratio {choice.ratio:.2g}: the accuracy on {measured_on(choice.who)} {change} %, "
                   f"{gap if abs(after - gold) >= 0.5 else 'within half a point of'} the gold standard")
