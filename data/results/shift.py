"""Predict from the original model alone (`grmu.prior`) which groups lose accuracy.

The table also has the accuracy that retraining leads to.

This script writes shift.csv: python data/results/shift.py

The prediction needs no free parameter and no training. It adds the log of the retained shares to PRETRAIN's
logits on test pictures.
"""

from dataclasses import replace
from itertools import product

import pandas as pd
import torch
from torch.nn.functional import one_hot

from grmu.analysis.grids import MANY, NINE_GROUPS, PAPER_RATIOS, RATIOS, TWENTY_FIVE_GROUPS
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.numerics import fixed_threads
from grmu.prior import attribute_head, predict_shift, shares_forgotten, temperature
from grmu.training import predict

SEEDS = range(20)
TWIN_SEEDS = range(10)  # seeds with a second RETRAIN of the same split
TWIN = 1000  # the offset of the second RETRAIN's training seed
FORGOTTEN = {"groundwear": (("default", RATIOS), (((0, 0),), PAPER_RATIOS)),
             "groundwear-memorised": (("default", RATIOS),),
             MANY: (("default", PAPER_RATIOS), (NINE_GROUPS, (0.5,)), (TWENTY_FIVE_GROUPS, (0.5,)))}


def by_group(right, data):
    """Return the accuracy by group, (n_groups,), from (N,) correct or not; NaN without samples."""
    hits = torch.bincount(data.group, right.double(), data.n_groups)
    return hits / torch.bincount(data.group, minlength=data.n_groups)


def temperatures(logits, val, train_counts):
    """Return the temperature per attribute value that calibrates p(y | x), (n_attributes,).

    Validation samples are weighted to the group shares of the training set. The temperature is 1 for an
    attribute value without samples. It is not fitted per group, because a group has only one class, so its
    best temperature would be 0 or infinite.
    """
    weights = (train_counts / val.group_counts().clamp(min=1))[val.group]
    by_attribute = torch.ones(val.n_attributes)
    for a in val.a.unique():
        of = val.a == a
        by_attribute[a] = temperature(logits[of], val.y[of], weights[of])
    return by_attribute


def prior_of(e, train, retain):
    """Return the prior that a run trains on, divided by that of the training set, up to a common factor.

    The shape is (n_classes, n_attributes). All groups must have retained samples.
    """
    shape = (train.n_classes, train.n_attributes)
    counts, left = (part.group_counts().double().view(shape) for part in (train, retain))
    if e.reweight or e.method in ("pretrain", "adjust"):
        return torch.ones(shape, dtype=torch.float64)
    if e.method == "group_dro":
        return 1 / counts  # GROUP-DRO draws all groups equally often
    drawn = torch.tensor(e.settings.get("group_weights", [1.0] * train.n_groups)).view(shape)
    return left / counts * drawn


def in_sight(test, logits):
    """Return p(a | x, y) for an attribute that is visible in each sample, (N, n_classes, n_attributes)."""
    return one_hot(test.a, test.n_attributes).to(logits)[:, None].expand(-1, test.n_classes, -1)


def predictions(model, splits, r):
    """Yield the accuracy by group of the original model and of each prediction.

    before: the original model. visible: a prediction that takes the attribute as visible in each picture.
    head: a prediction with p(a | x, y) from a linear head on the model's features. calibrated: like visible,
    but logits are first divided by their attribute's temperature on validation data.

    Args:
        model: The original model.
        splits: The data.
        r: Forgotten shares, (n_classes, n_attributes) each.

    Yields:
        For each element of r, the accuracy of the head on the attribute, and a dict of accuracies by group.
    """
    train, val, test = splits[:3]
    logits, z = predict(model, model, test.x), predict(model.features, model, test.x)
    head, seen = attribute_head(predict(model.features, model, train.x), train.y, train.a, train.n_classes,
                                train.n_attributes)
    heat = temperatures(predict(model, model, val.x), val, train.group_counts())
    cooler, sure, p_attribute = logits / heat[test.a][:, None], in_sight(test, logits), head(z)
    for shares in r:
        shifted = {"before": logits, "visible": predict_shift(logits, sure, shares),
                   "head": predict_shift(logits, p_attribute, shares),
                   "calibrated": predict_shift(cooler, sure, shares)}
        yield seen.accuracy, {name: by_group(answers.argmax(1) == test.y, test)
                              for name, answers in shifted.items()}


def shift_of(pretrain):
    """Return one row per group and RETRAIN: predictions from this PRETRAIN, and the result (`after`).

    `twin` is a second training on the same split, for the seeds that have one.
    """
    retrains = [replace(pretrain, method="retrain", ratio=ratio, groups=groups)
                for groups, ratios in FORGOTTEN[pretrain.dataset] for ratio in ratios]
    model, splits, rows = train_or_load(pretrain), pretrain.load(), []
    train, shape = splits.train, (splits.train.n_classes, splits.train.n_attributes)
    counts = train.group_counts().view(shape)
    r = [shares_forgotten(counts, load_split(e)[1].retain.group_counts().view(shape)) for e in retrains]
    with fixed_threads():
        predicted = list(predictions(model, splits, r))
    for e, shares, (visibility, columns) in zip(retrains, r, predicted, strict=True):
        columns["after"] = torch.tensor(run(e).by_group())
        if e.seed in TWIN_SEEDS:
            columns["twin"] = torch.tensor(run(replace(e, seed=e.seed + TWIN, split_seed=e.seed)).by_group())
        groups = load_split(e)[2]
        rows += [{"dataset": e.dataset, "asking": len(groups), "asks": train.group_id(groups[0]),
                  "ratio": e.ratio, "seed": e.seed, "visibility": visibility, "group": g,
                  "r": shares.flatten()[g].item(), "n": int(splits.test.group_counts()[g]),
                  **{name: accuracy[g].item() for name, accuracy in columns.items()}}
                 for g in range(train.n_groups)]
    return rows


def shift(jobs):
    """Return `shift_of` all seeds, with accuracies and shares as fractions."""
    pretrains = [Experiment(dataset, "pretrain", seed=seed) for seed, dataset in product(SEEDS, FORGOTTEN)]
    return pd.DataFrame([row for rows in map_experiments(shift_of, pretrains, jobs) for row in rows]).round(5)


if __name__ == "__main__":
    write_study(shift=shift)
