"""What the explorer can show, and what stands for it on paper.

The module in `grmu/show/js` looks settings up, and snaps to what was run. Here is what it is given
(`grmu.show.explorer_data` packs it), and `printed`, one setting where nothing can be moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from IPython import display
from matplotlib.figure import Figure
from PIL import Image

from grmu import data
from grmu.analysis import grids, results
from grmu.analysis.names import label
from grmu.experiments import Experiment
from grmu.show import plots
from grmu.show.alt import describe

FORGET_GROUPS: dict[str, tuple[str, str | tuple[data.Group, ...]]] = {  # data set, groups
    "sneakers on brick, the smallest of 4 groups": ("groundwear", "default"),
    "ankle boots on grass, the largest of 4": ("groundwear", ((0, 0),)),
    "as many samples of all 4 groups alike": ("groundwear", "uniform"),
    "9 groups of 63": (grids.MANY, grids.NINE_GROUPS),
    "25 groups of 63": (grids.MANY, grids.TWENTY_FIVE_GROUPS),
    "one group of 63": (grids.MANY, "default"),
    "the smallest of 4 groups, memorised": ("groundwear-memorised", "default"),
    "the smallest of 6 groups of sentences": ("negation", "default"),
}
SMALLEST = next(iter(FORGET_GROUPS))


@dataclass(frozen=True)
class Choice:
    """What the controls show.  lam: MIU's; other methods ignore it.  seed: None for all."""

    method: str = "miu"
    reweight: bool = True
    groups: str = SMALLEST
    ratio: float = 0.5
    lam: float = 1.0
    seed: int | None = None

    def experiment(self) -> Experiment:
        """The run of exactly this setting; with all seeds chosen, of seed 0."""
        dataset, groups = FORGET_GROUPS[self.groups]
        ratio = grids.uniform_ratio(self.ratio) if groups == "uniform" else self.ratio
        return Experiment(dataset, self.method, self.reweight, ratio, groups, self.seed or 0,
                          {"lam": self.lam} if self.method == "miu" else {})


class Printed(NamedTuple):
    """A setting that was run, on paper; percent.

    groups: before, after and gold standard by group's name.  asked: who asked, by row.
    sentence: what became of the group that asked.
    """

    groups: pd.DataFrame
    asked: tuple[bool, ...]
    sentence: str

    def figure(self) -> Figure:
        """The groups, before and after."""
        return plots.before_and_after(self.groups, self.asked, self.sentence)

    def picture(self) -> tuple[bytes, str]:
        """The figure as a PNG of twice its size, and in words."""
        figure = self.figure()
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())  # type: ignore
        return plots.small_png(Image.fromarray(pixels)), describe(figure)

    def table(self) -> str:
        """The numbers as HTML."""
        return self.groups.round(1).rename_axis(columns="group").to_html(border=0)

    def bundle(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Figure, words and numbers as a notebook's output shows them, and its metadata."""
        png, words = self.picture()
        data, metadata = display.Image(png, format="png", retina=True, alt=words)._repr_mimebundle_()
        html = f"<details><summary>In words and numbers</summary>{escape(words)}{self.table()}</details>"
        return data | {"text/html": html, "text/plain": self.sentence}, metadata


@lru_cache
def rows() -> pd.DataFrame:
    """Shipped runs with the preset's settings, MIU's also with other lambdas: `results.load`'s, and lam (NaN
    but for MIU)."""
    table = results.load()
    kept = table.overrides.map(lambda overrides: not overrides) | (
        (table.method == "miu") & table.overrides.map(lambda overrides: overrides.keys() == {"lam"}))
    table = table[kept & table.seed.isin(grids.SEEDS)].copy()
    is_miu = table.method == "miu"
    chosen = table.overrides.map(lambda overrides: overrides.get("lam", np.nan))
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


def measured_on(groups: str) -> tuple[str, str]:
    """Whose accuracy GA is, and the verb for it; of everyone alike it is the usual group's."""
    dataset, which = FORGET_GROUPS[groups]
    if which == "uniform":
        splits = data.load(dataset)
        return splits.train.group_names[splits.train.group_id(splits.forget_group)], "goes"
    many = not isinstance(which, str) and len(which) > 1
    return ("the groups that asked", "go") if many else ("the group that asked", "goes")


def printed(choice: Choice) -> Printed:
    """A setting of the shipped runs, for a page that cannot move.

    Raises:
        ValueError: it was not run: nothing is interpolated here, and nothing snapped to.
    """
    every = rows_of(choice.groups)
    here = every[np.isclose(every.ratio, choice.ratio) & (choice.seed is None or every.seed == choice.seed)]
    mine = results.select(here, method=choice.method, reweight=choice.reweight)
    if choice.method == "miu":
        mine = mine[mine.lam == choice.lam]
    name = label(choice.method, choice.reweight)
    if mine.empty:
        raise ValueError(f"{name} was not run so for {choice.groups}, at ratio {choice.ratio:.2g}: "
                         "the explorer itself, where scripts run, shows the nearest setting that was.")
    parts = {"before (%)": results.select(here, method="pretrain", reweight=False), "after (%)": mine,
             "gold standard (%)": results.select(here, method="retrain", reweight=True)}
    names, _, asked = zip(*group_rows(choice.groups), strict=True)
    groups = pd.DataFrame({when: 100 * by_row(choice.groups, np.mean(np.stack(list(part.by_group)), 0))
                           for when, part in parts.items()}, index=names)
    idle, after, gold = (100 * part.GA.mean() for part in parts.values())
    far = f"{abs(after - gold):.0f} points {'above' if after > gold else 'below'}"
    place = far if abs(after - gold) >= 0.5 else "as"
    whom, goes = measured_on(choice.groups)
    return Printed(groups, asked, f"{name}, ratio {choice.ratio:.2g}: {whom} {goes} from "
                                  f"{idle:.0f} to {after:.0f} %, {place} the gold standard")
