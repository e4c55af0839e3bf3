"""Where does MIU help? MIU against fine-tuning, over how much is known by heart, the ratio and the group.

    python -m grmu results --only map       computes the rows
    comparisons()                           words them: each cell's differences, in points

All on Groundwear's pictures and counts, + REWEIGHT, with *paper*'s form. PRETRAIN and the gold standard learn
less or more by heart by LEVELS; each level was tuned for itself by `grmu.study.tuning`. docs/miu_map.md
announced it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from grmu.data import Group
from grmu.runs import Experiment, map_experiments, run
from grmu.study import effects, shipped_tables
from grmu.study.compare import distance_by_seed, verdicts
from grmu.study.tuning import LEVELS, tuned

RATIOS = (0.3, 0.6, 0.9)
GROUPS: dict[int, tuple[Group, ...]] = {  # by their size in the training set of 5,692
    102: ((1, 1),), 840: ((1, 0),), 2350: ((0, 1),)}
SEEDS = tuple(range(10))
ACCURACIES = ("UA", "GA", "TA", "val_GA")
CELL = ["level", "group", "ratio"]
QUESTIONS = {"MIU - fine-tuning": ("miu", "finetune"),
             "with - without the forget pass": ("unlearning alone", "neither term")}


def arms(level: str) -> dict[str, tuple[str, bool, dict[str, Any]]]:
    """By name: method, REWEIGHT, overrides. The last two differ by the forget pass alone."""
    miu = tuned(level, "paper")
    bare = miu | {"lam": 0.0}
    return {"pretrain": ("pretrain", False, {}), "gold": ("retrain", True, {}),
            "finetune": ("finetune", True, tuned(level, "finetune")), "miu": ("miu", True, miu),
            "unlearning alone": ("miu", True, bare),
            "neither term": ("miu", True, bare | {"unlearning": False})}


def planned() -> Iterator[tuple[dict[str, Any], Experiment]]:
    """Every run with what its row says of it; whole seeds one after the other."""
    for seed, level, (size, groups), ratio in product(SEEDS, LEVELS, GROUPS.items(), RATIOS):
        for name, (method, reweight, overrides) in arms(level).items():
            about = {"level": level, "group": size, "ratio": ratio, "arm": name, "seed": seed}
            yield about, Experiment("groundwear", method, reweight, ratio, groups, seed, overrides,
                                    pretraining=LEVELS[level])


def accuracies(experiment: Experiment, store: str | None = None) -> dict[str, float]:
    """Of one run, as fractions; NaN if its training diverged, as it does with the rates of some levels."""
    try:
        metrics = run(experiment, store).metrics
    except FloatingPointError:
        return dict.fromkeys(ACCURACIES, math.nan)
    return {name: metrics[name] for name in ACCURACIES}


def table(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """A row a run: level, the group's size, ratio, arm, seed; `accuracies`.

    How much is known by heart is UA - GA of PRETRAIN's rows.
    """
    about, runs = zip(*planned(), strict=True)
    found = map_experiments(partial(accuracies, store=store), runs, jobs)
    return pd.DataFrame([line | row for line, row in zip(about, found, strict=True)]).round(5)


def distances(rows: pd.DataFrame) -> pd.DataFrame:
    """(|UA gap| + |GA gap|) / 2 to the gold standard of the same seed, in points: a row a cell and seed, a
    column an arm."""
    found = {(*cell, name): 100 * distance_by_seed(ours, part[part.arm == "gold"], ("UA", "GA"))
             for cell, part in rows.groupby(CELL, sort=False) for name, ours in part.groupby("arm")}
    return pd.concat(found, names=[*CELL, "arm"]).unstack("arm")


def by_heart(rows: pd.DataFrame) -> pd.Series:
    """How much PRETRAIN knows by heart, in points, by level and group: its UA - GA, a mean over the rest."""
    old = rows[rows.arm == "pretrain"]
    return (100 * (old.UA - old.GA)).groupby([old.level, old.group], sort=False).mean()


def comparisons(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """The map's 54 differences of distances, paired by seed, one Holm correction; without runs that diverged.

    Args:
        rows: as `table` gives; None is those that ship.

    Returns:
        question, level, group, ratio, by_heart, and the columns of `compare.verdicts`, in points.
    """
    rows = shipped_tables.read("map") if rows is None else rows
    found, known = distances(rows), by_heart(rows)
    about = [{"question": question, "level": level, "group": size, "ratio": ratio,
              "by_heart": known[level, size]}
             for question, level, size, ratio in product(QUESTIONS, LEVELS, GROUPS, RATIOS)]
    differences = {}
    for i, line in enumerate(about):
        ours, other = QUESTIONS[line["question"]]
        cell = found.loc[line["level"], line["group"], line["ratio"]]
        differences[str(i)] = (cell[ours] - cell[other]).dropna().to_numpy()
    margin = effects.margins("groundwear")["distance"]
    worded = verdicts(differences, dict.fromkeys(differences, margin))
    return pd.DataFrame(about).join(worded.reset_index(drop=True))
