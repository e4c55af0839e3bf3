"""How far each method moves a model along the shift of the prior (`grmu.prior`), and what that leaves unsaid.

    python -m grmu results --only moved

A classifier of two classes answers by the sign of its margin, logit_1 - logit_0. Of a model that came after
PRETRAIN, `moved_by` gives the number s to add to PRETRAIN's margins on one ground for as many answers of
class 1. The theory says what it should be, from counts alone: each method has a prior that it trains on. On
how many pictures the two still disagree then says how much of the change is no shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from grmu.analysis.grids import SEEDS
from grmu.analysis.shift import TWIN, by_group, prior_of, temperatures
from grmu.analysis.tuning import DATASETS, tuned
from grmu.experiments import Experiment, load_split, map_experiments, train_or_load
from grmu.numerics import fixed_threads
from grmu.training import predict

RATIOS = (0.5, 0.9)
TUNED = {"fine-tuning": "finetune", "MIU": "miu"}  # with the settings that a search chose: its arm
METHODS = {"another PRETRAIN": "pretrain", "RETRAIN": "retrain", "RETRAIN + REWEIGHT": "retrain",
           "RETRAIN, adjusted": "adjust", "GROUP-DRO": "group_dro", "fine-tuning": "finetune",
           "fine-tuning + REWEIGHT": "finetune", "MIU": "miu", "MIU + REWEIGHT": "miu"}
COIN = tuple(r / 2 for r in RATIOS)  # the share of all sneakers, if those with heads forget r of theirs
SNEAKERS = ((1, 0), (1, 1))


def planned() -> Iterator[tuple[str, Experiment]]:
    """Every arm on both data sets; and RETRAIN where the group that asks is a coin that no picture shows."""
    for seed, dataset, ratio in product(SEEDS, DATASETS, RATIOS):
        for arm, method in METHODS.items():
            search = TUNED.get(arm.removesuffix(" + REWEIGHT"))
            overrides: dict[str, Any] = tuned(dataset, search) if search else {}
            e = Experiment(dataset, method, "REWEIGHT" in arm, ratio, seed=seed, overrides=overrides)
            yield arm, replace(e, seed=seed + TWIN, split_seed=seed) if method == "pretrain" else e
    for seed, ratio in product(SEEDS, COIN):
        yield "RETRAIN, a coin", Experiment(method="retrain", ratio=ratio, groups=SNEAKERS, seed=seed)


def moved_by(before: Tensor, after: Tensor) -> float:
    """s for which before + s > 0 holds as often as after > 0; margins (N,) of the same samples.

    Half-way between the two margins that border on it; where one class alone is answered, just beyond the
    last margin.
    """
    ordered, n = before.double().sort(descending=True).values, int((after > 0).sum())
    borders = torch.cat([ordered[:1] + 1e-3, ordered, ordered[-1:] - 1e-3])
    return -float(borders[n:n + 2].mean())


def moves_of(e: Experiment, store: str | None = None) -> list[dict[str, object]]:
    """A row an attribute value: what the theory says, what was found, and the disagreement without and with.

    Margins are first divided by their temperature (`shift.temperatures`), for the theory is of calibrated
    ones.  before, after, predicted: accuracy of class 1 there, of PRETRAIN, of the arm, by the theory.
    """
    seed = e.seed if e.split_seed is None else e.split_seed
    splits, split, _ = load_split(e)
    train, test = splits.train, splits.test
    before_it = Experiment(e.dataset, "pretrain", ratio=e.ratio, groups=e.groups, seed=seed)
    pretrain = train_or_load(before_it, store)
    model = train_or_load(e, store)
    with fixed_threads():
        heat = temperatures(predict(pretrain, pretrain, splits.val.x), splits.val, train.group_counts())
        before, after = (predict(of, of, test.x).diff(dim=1)[:, 0] for of in (pretrain, model))
    before = before / heat[test.a]
    factor = prior_of(e, train, split)
    theory = (factor[1] / factor[0]).log()
    hits = {name: by_group((margin > 0) == (test.y == 1), test) for name, margin in (
        ("before", before), ("after", after), ("predicted", before + theory[test.a]))}
    rows: list[dict[str, object]] = []
    for a, name in enumerate(test.attribute_names):
        here, s = test.a == a, moved_by(before[test.a == a], after[test.a == a])
        rows.append({"ratio": e.ratio, "seed": seed, "attribute": name,
                     "theory": theory[a].item(), "moved": s, "temperature": heat[a].item(),
                     **{key: accuracy[train.n_attributes + a].item() for key, accuracy in hits.items()},
                     **{key: ((before[here] + by > 0) != (after[here] > 0)).double().mean().item()
                        for key, by in (("apart", 0.0), ("left", s))}})
    return rows


def moved(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`moves_of` all that is planned; margins in nats, accuracies and disagreements as fractions."""
    arms, runs = zip(*planned(), strict=True)
    by_run = map_experiments(partial(moves_of, store=store), runs, jobs)
    return pd.DataFrame([{"dataset": e.dataset, "arm": arm, **row}
                         for arm, e, rows in zip(arms, runs, by_run, strict=True) for row in rows]).round(5)
