"""Who pays on sentences: the question of lesson 08 asked again, of ten seeds that nobody had looked at.

    python -m grmu results --only sentences

On five seeds (grid `text`) the transformer's accuracy on its small group differs so much from seed to seed
that, of eight questions asked at once, none could be answered. These seeds were fixed before they were run,
and three questions: `questions`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import product

import pandas as pd

from grmu.analysis.compare import verdicts
from grmu.analysis.grids import SENTENCES, uniform_ratio
from grmu.experiments import Experiment, map_experiments, run

NEW_SEEDS = tuple(range(5, 15))
RATIO = 0.9
WAYS = {"PRETRAIN": ("pretrain", False, "default"), "RETRAIN": ("retrain", False, "default"),
        "RETRAIN + REWEIGHT": ("retrain", True, "default"),
        "RETRAIN, from everyone": ("retrain", False, "uniform")}


def experiments() -> Iterator[tuple[str, Experiment]]:
    """Name and run; "from everyone": as many pairs of all groups alike."""
    for seed, (name, (method, reweight, groups)) in product(NEW_SEEDS, WAYS.items()):
        share = RATIO if groups == "default" else uniform_ratio(RATIO, SENTENCES)
        yield name, Experiment("negation", method, reweight, share, groups=groups, seed=seed)


def sentences(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """A row a run: accuracies as fractions, `by_group` as JSON in group order."""
    asked = list(experiments())
    results = map_experiments(partial(run, store=store), [e for _, e in asked], jobs)
    return pd.DataFrame([
        {"arm": name, "seed": e.seed,
         **{metric: round(result.metrics[metric], 5) for metric in ("UA", "GA", "TA")},
         "by_group": json.dumps([round(float(share), 5) for share in result.by_group()])}
        for (name, e), result in zip(asked, results, strict=True)])


def questions(ga: pd.DataFrame) -> pd.DataFrame:
    """What the seeds say, by `verdicts`: does the group pay, does it matter whose pairs went, does REWEIGHT
    return something?

    Args:
        ga: accuracy of the group in percent, a row a seed, a column an arm of `WAYS`.
    """
    return verdicts({"lost by RETRAIN": ga["PRETRAIN"] - ga["RETRAIN"],
                     "lost because the pairs were the group's": ga["RETRAIN, from everyone"] - ga["RETRAIN"],
                     "returned by REWEIGHT": ga["RETRAIN + REWEIGHT"] - ga["RETRAIN"]})
