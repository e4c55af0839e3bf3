"""Find which of the first test pictures of each group a model classifies correctly (+).

This script writes pictures.csv for the README, lesson 00 and the explorer: python data/results/pictures.py

The pictures are chosen by their position in the data set, and never by the predictions.
"""

from itertools import product

import pandas as pd

from grmu.analysis.grids import RATIOS, SEEDS
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, map_experiments, train_or_load
from grmu.training import predict

SHOWN = 24  # pictures per group
ARMS = (("retrain", False), ("retrain", True), ("finetune", False), ("finetune", True), ("miu", False),
        ("miu", True))


def pictures_of(e):
    """Return one row per group."""
    model, test = train_or_load(e), e.load().test
    rows = []
    for g in range(test.n_groups):
        shown = (test.group == g).nonzero()[:SHOWN, 0]
        right = predict(model, model, test.x[shown]).argmax(1) == test.y[shown]
        rows.append({"method": e.method, "reweight": e.reweight, "ratio": e.ratio, "seed": e.seed, "group": g,
                     "right": "".join("+" if is_right else "-" for is_right in right.tolist())})
    return rows


def pictures(jobs):
    """Return PRETRAIN of each seed, and the main methods at each ratio, on groundwear."""
    runs = [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed)
            for seed in SEEDS
            for ratio, (method, reweight) in ((RATIOS[0], ("pretrain", False)), *product(RATIOS, ARMS))]
    return pd.DataFrame([row for rows in map_experiments(pictures_of, runs, jobs) for row in rows])


if __name__ == "__main__":
    write_study(pictures=pictures)
