"""What of uneven forgetting costs the people who stay, and what of REWEIGHT helps them (docs/why.md).

causes.csv, a run a row: python data/results/causes.py

Three questions about sneakers on brick, 102 of 5,692. Is it that fewer of them are left, or that they are a
smaller share (CELLS)? Is it that samples went, or that all went from one group? Is it REWEIGHT's weights, or
only that it draws with replacement?
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
CELLS = {  # samples left of the group, and the share of every other group that is kept; s: its share of all
    "102 left, s": (102, 1.0), "51 left, s": (51, 51 / 102), "51 left, s/2": (51, 1.0),
    "10 left, s": (10, 10 / 102), "10 left, s/2": (10, 20 / 102), "10 left, s/10": (10, 1.0)}
FIRST, *FEWER = CELLS
UNEVEN = {0.5: "51 left, s/2", 0.9: "10 left, s/10"}  # the cell that forgets this share of the group alone
CONTROLS = ("even", "α", "α = 1", "α, wrong group")


class Repeated(Retrain):
    """RETRAIN, an epoch being a pass over several copies of the retain set: of few samples as long as of
    many."""

    copies = 1

    def sample_epoch(self):
        n = len(self.context.retain)
        return torch.randperm(n * self.copies, generator=self.context.rng) % n


def control(name, ratio, seed):
    """As many samples forgotten of all groups alike; REWEIGHT, and what may be mistaken for its cause."""
    if name == "even":
        return Experiment(DATASET, "retrain", ratio=uniform_ratio(ratio), groups="uniform", seed=seed)
    if name == "α":
        return Experiment(DATASET, "retrain", True, ratio, seed=seed)
    train = load(DATASET).train
    weights = [1.0] * train.n_groups
    if name == "α, wrong group":  # the same shoe on the other ground
        weights[train.group_id((1, 0))] = CELLS[FIRST][0] / CELLS[UNEVEN[ratio]][0]
    methods.register("by_hand", ByHand)
    return Experiment(DATASET, "by_hand", ratio=ratio, seed=seed,
                      overrides={"group_weights": tuple(weights)})


def cell(arm, e):
    """RETRAIN on what a cell leaves, with as many updates as PRETRAIN: the model, the retain set, copies."""
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
    """left, n: samples of the group, and in all.  updates: of its training.  GA, TA.  before: GA of its
    PRETRAIN.  visible, calibrated: GA predicted from that PRETRAIN alone, as in shift.py."""
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
    """A row a run; accuracies as fractions."""
    planned = [(arm, augment, seed) for seed in SEEDS for augment in (True, False)
               for arm in (*CELLS, *(f"{c}, {r}" for r, c in product(UNEVEN, CONTROLS) if augment))]
    rows = Parallel(jobs)(delayed(row_of)(*run) for run in planned)
    return pd.DataFrame(rows).round(5)


if __name__ == "__main__":
    write_study(causes=causes)
