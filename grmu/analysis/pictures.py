"""Which pictures a model answers right: the first few test pictures of every group, picture by picture.

What the course shows of single pictures is chosen by their place in the data set, never by the answers.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import pandas as pd
from torch import Tensor

from grmu.analysis.grids import RATIOS, SEEDS
from grmu.experiments import Experiment, load_split, map_experiments, train_or_load
from grmu.training import predict

SHOWN = 24  # pictures of a group
RIGHT, WRONG = "+-"
ARMS = (("retrain", False), ("retrain", True), ("finetune", False), ("finetune", True), ("miu", False),
        ("miu", True))


def planned() -> list[Experiment]:
    """PRETRAIN, of every seed, and what is explored most, at every ratio of the main grid."""
    return [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed)
            for seed in SEEDS for ratio, (method, reweight) in (
                (RATIOS[0], ("pretrain", False)), *product(RATIOS, ARMS))]


def first_pictures(group: Tensor, g: int) -> Tensor:
    """Rows of the first SHOWN samples of group g, (SHOWN,) or fewer; group: (N,)."""
    return (group == g).nonzero()[:SHOWN, 0]


def pictures_of(experiment: Experiment, store: str | None = None) -> list[dict[str, object]]:
    """A row a group: `right` has a RIGHT or WRONG for each of `first_pictures`."""
    e, (splits, _, _) = experiment, load_split(experiment)
    model, test = train_or_load(e, store), splits.test
    rows = []
    for g in range(test.n_groups):
        shown = first_pictures(test.group, g)
        right = predict(model, model, test.x[shown]).argmax(1) == test.y[shown]
        rows.append({"method": e.method, "reweight": e.reweight, "ratio": e.ratio, "seed": e.seed, "group": g,
                     "right": "".join(RIGHT if is_right else WRONG for is_right in right.tolist())})
    return rows


def pictures(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`pictures_of` all that is `planned`, on `groundwear`."""
    by_run = map_experiments(partial(pictures_of, store=store), planned(), jobs)
    return pd.DataFrame([row for rows in by_run for row in rows])
