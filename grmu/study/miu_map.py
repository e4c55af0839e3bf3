"""Where does MIU help? MIU against fine-tuning, over how much is known by heart, the ratio and the group.

    python -m grmu results --only map

All on Groundwear's pictures and counts, + REWEIGHT, with *paper*'s form. PRETRAIN and the gold standard learn
less or more by heart by LEVELS; each level was tuned for itself by `grmu.study.tuning`. docs/miu_map.md
announced it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from grmu.data import Group
from grmu.runs import Experiment, map_experiments, run
from grmu.study.tuning import LEVELS, tuned

RATIOS = (0.3, 0.6, 0.9)
GROUPS: dict[int, tuple[Group, ...]] = {  # by their size in the training set of 5,692
    102: ((1, 1),), 840: ((1, 0),), 2350: ((0, 1),)}
SEEDS = tuple(range(10))


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


def table(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """A row a run: level, the group's size, ratio, arm, seed; accuracies as fractions.

    How much is known by heart is UA - GA of PRETRAIN's rows.
    """
    about, runs = zip(*planned(), strict=True)
    found = map_experiments(partial(run, store=store), runs, jobs)
    rows = [line | {name: result.metrics[name] for name in ("UA", "GA", "TA", "val_GA")}
            for line, result in zip(about, found, strict=True)]
    return pd.DataFrame(rows).round(5)
