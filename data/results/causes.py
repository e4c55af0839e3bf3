"""Find out why uneven forgetting costs the remaining people accuracy, and why REWEIGHT helps.

This script writes causes.csv, one row per run: python data/results/causes.py

It asks three questions about sneakers on brick, which are 102 of 5,692 pictures. Is the cause that fewer of
them are left, or that their share is smaller (CELLS)? Is it that samples are missing, or that all missing
samples come from one group? Do REWEIGHT's weights help, or only that it samples with replacement?
"""

import math
from itertools import product

import pandas as pd
import torch
from joblib import Parallel, delayed
from shift import by_group, in_sight, prior_of, temperatures

from grmu import methods, models, training
from grmu.analysis.grids import uniform_ratio
from grmu.analysis.results import write_study
from grmu.data import load
from grmu.experiments import Experiment, load_split, train_or_load
from grmu.methods import Retrain
from grmu.methods.balanced import ByHand
from grmu.numerics import fixed_threads
from grmu.prior import change_prior
from grmu.training import predict

DATASET, SEEDS = "groundwear", range(20)
CELLS = {  # samples left in the group, and the share of each other group that is kept; s: the group's share
    "102 left, s": (102, 1.0), "51 left, s": (51, 51 / 102), "51 left, s/2": (51, 1.0),
    "10 left, s": (10, 10 / 102), "10 left, s/2": (10, 20 / 102), "10 left, s/10": (10, 1.0)}
FIRST, *FEWER = CELLS
UNEVEN = {0.5: "51 left, s/2", 0.9: "10 left, s/10"}  # the cell in which only this share is forgotten
CONTROLS = ("even", "α", "α = 1", "α, wrong group")


class Repeated(Retrain):
    """RETRAIN with several copies of the retain set per epoch, so that small sets are trained on as long."""

    copies = 1

    def sample_epoch(self):
        n = len(self.context.retain)
        return torch.randperm(n * self.copies, generator=self.context.rng) % n


def control(name, ratio, seed):
    """Return a control run: forgetting from all groups, REWEIGHT, or other weights for comparison."""
    if name == "even":
        return Experiment(DATASET, "retrain", ratio=uniform_ratio(ratio), groups="uniform", seed=seed)
    if name == "α":
        return Experiment(DATASET, "retrain", True, ratio, seed=seed)
    train = load(DATASET).train
    weights = [1.0] * train.n_groups
    if name == "α, wrong group":  # weight the same shoe on the other ground
        weights[train.group_id((1, 0))] = CELLS[FIRST][0] / CELLS[UNEVEN[ratio]][0]
    methods.register("by_hand", ByHand)
    return Experiment(DATASET, "by_hand", ratio=ratio, seed=seed,
                      overrides={"group_weights": tuple(weights)})


def cell(arm, e):
    """Train RETRAIN on the samples that a cell leaves, with as many updates as PRETRAIN.

    Returns:
        The model, the retain set, and the number of its copies per epoch.
    """
    splits = e.load()
    train, counts = splits.train, splits.train.group_counts()
    left = (counts.double() * CELLS[arm][1]).round().long()
    left[train.group_id(splits.forget_group)] = CELLS[arm][0]
    shuffled = torch.randperm(len(train), generator=torch.Generator().manual_seed(e.seed))
    kept = [shuffled[train.group[shuffled] == g][int(counts[g] - left[g]):] for g in range(train.n_groups)]
    retain, forget = train.subset(torch.cat(kept).sort().values), train.subset(shuffled[:0])
    method = Repeated()
    method.copies = round(len(train) / len(retain))
    with fixed_threads():
        model = models.build(e.network, train, e.seed)
        rng = torch.Generator().manual_seed(e.seed + 1)
        training.train(method, training.Context(model, None, train, retain, forget, rng, e.config))
    return model.eval(), retain, method.copies


def row_of(arm, augment, seed):
    """Return the row of one run.

    Its columns are: left and n, the samples in the group and in total; updates, the number of training steps;
    GA and TA; before, the GA of its PRETRAIN; visible and calibrated, the GA predicted from this PRETRAIN
    alone, as in shift.py.
    """
    plain = {} if augment else {"augment": False}
    first = Experiment(DATASET, "pretrain", seed=seed, pretraining=plain)
    e = Experiment(DATASET, "retrain", seed=seed, pretraining=plain)
    splits, original, copies = first.load(), train_or_load(first), 1
    train, val, test = splits[:3]
    g = train.group_id(splits.forget_group)
    if arm == FIRST:
        e, model, retain = first, original, train
    elif arm in FEWER:
        model, retain, copies = cell(arm, e)
    else:
        name, ratio = arm.rsplit(", ", 1)
        e = control(name, float(ratio), seed)
        model, retain = train_or_load(e), load_split(e)[1].retain
    with fixed_threads():
        logits, of_val = predict(original, original, test.x), predict(original, original, val.x)
        cooler = logits / temperatures(of_val, val, train.group_counts())[test.a][:, None]
        sure, factor = in_sight(test, logits), prior_of(e, train, retain)
        answers = {"GA": predict(model, model, test.x), "before": logits,
                   "visible": change_prior(logits, sure, factor)[0],
                   "calibrated": change_prior(cooler, sure, factor)[0]}
    right = {name: by_group(values.argmax(1) == test.y, test)[g].item() for name, values in answers.items()}
    left = retain.group_counts()
    return {"arm": arm, "augment": augment, "seed": seed, "left": int(left[g]), "n": len(retain),
            "updates": e.config.epochs * math.ceil(len(retain) * copies / e.config.batch_size),
            "GA": right.pop("GA"), "TA": (answers["GA"].argmax(1) == test.y).double().mean().item(), **right}


def causes(jobs):
    """Return one row per run, with accuracies as fractions."""
    planned = [(arm, augment, seed) for seed in SEEDS for augment in (True, False)
               for arm in (*CELLS, *(f"{c}, {r}" for r, c in product(UNEVEN, CONTROLS) if augment))]
    rows = Parallel(jobs)(delayed(row_of)(*run) for run in planned)
    return pd.DataFrame(rows).round(5)


if __name__ == "__main__":
    write_study(causes=causes)
