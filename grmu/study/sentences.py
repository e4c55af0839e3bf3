"""Who pays on sentences: the question of lesson 08 asked again, of ten seeds that nobody had looked at.

    python -m grmu results --only sentences

On five seeds (grid `text`) the transformer's accuracy on its small group differs so much from seed to seed that,
of several questions asked at once, none could be answered. These seeds were fixed before they were run, with three
questions at each ratio: `questions`. MiniLM, from published weights, gets the seeds that make it five.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import product

import pandas as pd

from grmu.runs import Experiment, map_experiments, run
from grmu.study.compare import verdicts

NEW_SEEDS = tuple(range(5, 15))
RATIOS = (0.9, 0.5)
SMALL, ALL = 66, 2883  # training pairs of the group that asks, and of all
WAYS = {"PRETRAIN": ("pretrain", False, "default"), "RETRAIN": ("retrain", False, "default"),
        "RETRAIN + REWEIGHT": ("retrain", True, "default"), "RETRAIN, from everyone": ("retrain", False, "uniform")}


def experiments() -> Iterator[tuple[str, float, Experiment]]:
    """Name, ratio of the small group, and run; "from everyone": as many pairs of all groups alike."""
    kinds = [("negation", NEW_SEEDS, RATIOS), ("negation-pretrained", range(3, 5), RATIOS[:1])]
    for dataset, seeds, ratios in kinds:
        for seed, ratio, (name, (method, reweight, groups)) in product(seeds, ratios, WAYS.items()):
            share = ratio if groups == "default" else round(SMALL * ratio) / ALL
            yield name, ratio, Experiment(dataset, method, reweight, share, groups=groups, seed=seed)


def sentences(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """A row a run: accuracies as fractions, `by_group` as JSON in group order."""
    asked = list(experiments())
    found = map_experiments(partial(run, store=store), [e for _, _, e in asked], jobs)
    return pd.DataFrame([
        {"dataset": e.dataset, "arm": name, "ratio": ratio, "seed": e.seed,
         **{metric: round(result.metrics[metric], 5) for metric in ("UA", "GA", "TA")},
         "by_group": json.dumps([round(float(share), 5) for share in result.by_group()])}
        for (name, ratio, e), result in zip(asked, found, strict=True)])


def questions(rows: pd.DataFrame) -> pd.DataFrame:
    """In points of GA, by seed, worded by `verdicts`: does the group pay, does it matter whose pairs went, does
    REWEIGHT give back?

    Args:
        rows: of one data set, as `sentences` gives.
    """
    asked = {}
    for ratio in RATIOS:
        ga = 100 * rows[rows.ratio == ratio].pivot(index="seed", columns="arm", values="GA")
        asked[f"{ratio}: RETRAIN - PRETRAIN"] = ga["RETRAIN"] - ga["PRETRAIN"]
        asked[f"{ratio}: the group's pairs - everyone's"] = ga["RETRAIN"] - ga["RETRAIN, from everyone"]
        asked[f"{ratio}: REWEIGHT's part"] = ga["RETRAIN + REWEIGHT"] - ga["RETRAIN"]
    return verdicts(asked)
