"""Which groups lose accuracy, predicted from the original model alone (`grmu.prior`), and found.

shift.csv: python data/results/shift.py

The prediction has no free parameter and no training: PRETRAIN's logits on test pictures, moved by the log of
the shares that stay.
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
TWIN_SEEDS = range(10)  # have a RETRAIN of the same split with another training seed, too
TWIN = 1000  # is added to the seed of that one
FORGOTTEN = {"groundwear": (("default", RATIOS), (((0, 0),), PAPER_RATIOS)),
             "groundwear-memorised": (("default", RATIOS),),
             MANY: (("default", PAPER_RATIOS), (NINE_GROUPS, (0.5,)), (TWENTY_FIVE_GROUPS, (0.5,)))}


def by_group(right, data):
    """(n_groups,) accuracy from (N,) right or wrong; NaN for a group without samples."""
    hits = torch.bincount(data.group, right.double(), data.n_groups)
    return hits / torch.bincount(data.group, minlength=data.n_groups)


def temperatures(logits, val, train_counts):
    """(n_attributes,) the temperature that calibrates p(y | x) where a is known; 1 for a without samples.

    Not by group: a group has one class, and the temperature that suits it best is 0 or infinite. Validation
    samples are weighted to the groups' shares of the training set.
    """
    weights = (train_counts / val.group_counts().clamp(min=1))[val.group]
    by_attribute = torch.ones(val.n_attributes)
    for a in val.a.unique():
        of = val.a == a
        by_attribute[a] = temperature(logits[of], val.y[of], weights[of])
    return by_attribute


def prior_of(e, train, retain):
    """The prior that a run trains on over that of the training set, (n_classes, n_attributes), up to a common
    factor. Groups that vanished are not provided for."""
    shape = (train.n_classes, train.n_attributes)
    counts, left = (part.group_counts().double().view(shape) for part in (train, retain))
    if e.reweight or e.method in ("pretrain", "adjust"):
        return torch.ones(shape, dtype=torch.float64)
    if e.method == "group_dro":
        return 1 / counts  # groups are drawn equally often
    drawn = torch.tensor(e.settings.get("group_weights", [1.0] * train.n_groups)).view(shape)
    return left / counts * drawn


def in_sight(test, logits):
    """p(a | x, y) if a is visible in every sample, (N, n_classes, n_attributes)."""
    return one_hot(test.a, test.n_attributes).to(logits)[:, None].expand(-1, test.n_classes, -1)


def predictions(model, splits, r):
    """Accuracy by group of the original model, and as predicted once shares are forgotten.

    before: as it is.  visible: with the attribute taken as visible in every picture.  head: with p(a | x, y)
    of a linear head on the model's features.  calibrated: as visible, logits first divided by their
    attribute's temperature on validation data.  Yields, for each (n_classes, n_attributes) of r, a dict.
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
    """A row a group of each RETRAIN: what was predicted of it from this PRETRAIN, and what it has (`after`);
    `twin`: another training on the same split, for the seeds that have one."""
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
    """`shift_of` all seeds; accuracies and shares as fractions."""
    pretrains = [Experiment(dataset, "pretrain", seed=seed) for seed, dataset in product(SEEDS, FORGOTTEN)]
    return pd.DataFrame([row for rows in map_experiments(shift_of, pretrains, jobs) for row in rows]).round(5)


if __name__ == "__main__":
    write_study(shift=shift)
