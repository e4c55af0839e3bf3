"""Which of the first test pictures of every group a model answers right (+): the README's picture, lesson 00,
the explorer. The pictures are chosen by their place in the data set, never by the answers.

pictures.csv: python data/results/pictures.py
"""

from itertools import product

import pandas as pd

from grmu.analysis.grids import RATIOS, SEEDS
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, map_experiments, train_or_load
from grmu.training import predict

SHOWN = 24  # pictures of a group
ARMS = (("retrain", False), ("retrain", True), ("finetune", False), ("finetune", True), ("miu", False),
        ("miu", True))


def pictures_of(e):
    """A row a group."""
    model, test = train_or_load(e), e.load().test
    rows = []
    for g in range(test.n_groups):
        shown = (test.group == g).nonzero()[:SHOWN, 0]
        right = predict(model, model, test.x[shown]).argmax(1) == test.y[shown]
        rows.append({"method": e.method, "reweight": e.reweight, "ratio": e.ratio, "seed": e.seed, "group": g,
                     "right": "".join("+" if is_right else "-" for is_right in right.tolist())})
    return rows


def pictures(jobs):
    """PRETRAIN of every seed, and what is explored most at every ratio of the main grid, on groundwear."""
    runs = [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed)
            for seed in SEEDS
            for ratio, (method, reweight) in ((RATIOS[0], ("pretrain", False)), *product(RATIOS, ARMS))]
    return pd.DataFrame([row for rows in map_experiments(pictures_of, runs, jobs) for row in rows])


if __name__ == "__main__":
    write_study(pictures=pictures)
