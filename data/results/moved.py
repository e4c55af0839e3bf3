"""Measure how far each method moves a model along the prior shift (`grmu.prior`), and what remains.

This script writes moved.csv for lesson 02: python data/results/moved.py

A classifier of two classes decides by the sign of its margin, logit_1 - logit_0. `moved_by` returns the
number that must be added to PRETRAIN's margins on one ground to get as many answers of class 1. The theory
predicts this number from the group sizes alone. The pictures on which the two models still disagree are the
part that is not a shift.
"""

from dataclasses import replace
from itertools import product

import pandas as pd
import torch
from shift import TWIN, by_group, prior_of, temperatures

from grmu.analysis.grids import FINETUNE, SEEDS
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, load_split, map_experiments, train_or_load
from grmu.numerics import fixed_threads
from grmu.training import predict

RATIOS = (0.5, 0.9)
SNEAKERS = ((1, 0), (1, 1))
ARMS = {"another PRETRAIN": "pretrain", "RETRAIN": "retrain", "RETRAIN + REWEIGHT": "retrain",
        "RETRAIN, adjusted": "adjust", "GROUP-DRO": "group_dro", "fine-tuning": "finetune",
        "fine-tuning + REWEIGHT": "finetune", "MIU": "miu", "MIU + REWEIGHT": "miu"}


def planned():
    """Yield all arms on both data sets, and RETRAIN with an invisible attribute.

    The invisible attribute is a coin toss for each sneaker: RATIOS of the sneakers with heads are forgotten,
    which is half of that share of all sneakers.
    """
    for seed, dataset, ratio in product(SEEDS, FINETUNE, RATIOS):
        for arm, method in ARMS.items():
            overrides = FINETUNE[dataset] if method == "finetune" else {}
            e = Experiment(dataset, method, "REWEIGHT" in arm, ratio, seed=seed, overrides=overrides)
            yield arm, replace(e, seed=seed + TWIN, split_seed=seed) if method == "pretrain" else e
    for seed, ratio in product(SEEDS, RATIOS):
        yield "RETRAIN, a coin", Experiment(method="retrain", ratio=ratio / 2, groups=SNEAKERS, seed=seed)


def moved_by(before, after):
    """Return s such that before + s > 0 holds as often as after > 0, for margins (N,) of the same samples.

    The value s lies half-way between the two margins around the boundary. If only one class is predicted, it
    lies just beyond the last margin.
    """
    ordered, n = before.double().sort(descending=True).values, int((after > 0).sum())
    borders = torch.cat([ordered[:1] + 1e-3, ordered, ordered[-1:] - 1e-3])
    return -float(borders[n:n + 2].mean())


def moves_of(e):
    """Return one row per attribute value: the predicted shift, the observed shift, and the disagreement.

    Margins are first divided by their temperature, because the theory assumes calibrated margins. `apart` and
    `left` are the disagreement without and with the shift. `before`, `after` and `predicted` are the accuracy
    of class 1 for PRETRAIN, for the arm and by the theory.
    """
    seed = e.seed if e.split_seed is None else e.split_seed
    splits, split, _ = load_split(e)
    train, test = splits.train, splits.test
    pretrain = train_or_load(Experiment(e.dataset, "pretrain", ratio=e.ratio, groups=e.groups, seed=seed))
    model = train_or_load(e)
    with fixed_threads():
        heat = temperatures(predict(pretrain, pretrain, splits.val.x), splits.val, train.group_counts())
        before, after = (predict(of, of, test.x).diff(dim=1)[:, 0] for of in (pretrain, model))
    before = before / heat[test.a]
    factor = prior_of(e, train, split.retain)
    theory = (factor[1] / factor[0]).log()
    margins = {"before": before, "after": after, "predicted": before + theory[test.a]}
    hits = {name: by_group((margin > 0) == (test.y == 1), test) for name, margin in margins.items()}
    rows = []
    for a, name in enumerate(test.attribute_names):
        here = test.a == a
        s = moved_by(before[here], after[here])
        apart = {key: ((before[here] + by > 0) != (after[here] > 0)).double().mean().item()
                 for key, by in (("apart", 0.0), ("left", s))}
        accuracies = {key: accuracy[train.n_attributes + a].item() for key, accuracy in hits.items()}
        rows.append({"ratio": e.ratio, "seed": seed, "attribute": name, "theory": theory[a].item(),
                     "moved": s, "temperature": heat[a].item(), **accuracies, **apart})
    return rows


def moved(jobs):
    """Return `moves_of` all planned runs: margins in nats, accuracies and disagreements as fractions."""
    arms, runs = zip(*planned(), strict=True)
    by_run = map_experiments(moves_of, runs, jobs)
    return pd.DataFrame([{"dataset": e.dataset, "arm": arm, **row}
                         for arm, e, rows in zip(arms, runs, by_run, strict=True) for row in rows]).round(5)


if __name__ == "__main__":
    write_study(moved=moved)
