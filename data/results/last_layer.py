"""The last layer alone, retrained exactly: what the explorer's view "Retrain it yourself" needs.

last_layer.csv: the accuracy of every group, for five seeds. last_layer.npz: seed 0's features as bytes, the
training samples of each group in the order in which they are forgotten. python data/results/last_layer.py
"""

from itertools import product

import numpy as np
import pandas as pd
import torch

from grmu import data
from grmu.analysis.grids import SEEDS
from grmu.analysis.results import FOLDER, write_study
from grmu.course.last_layer import accuracy_by_group, features, fit
from grmu.prior import attribute_head

RATIOS = [round(0.1 * n, 1) for n in range(11)]


def order(train, seed):
    """The samples of each group, in the order in which `data.split_forget` takes them."""
    shuffled = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).numpy()
    return [shuffled[train.group.numpy()[shuffled] == g] for g in range(train.n_groups)]


def table(_jobs):
    """A row a group, for each group that requests deletion, ratio, REWEIGHT and seed."""
    rows, splits = [], data.load("groundwear")
    for seed in SEEDS:
        part, orders = features(seed), order(splits.train, seed)
        for asks, ratio, reweight in product(range(4), RATIOS, (False, True)):
            n, gone = len(orders[asks]), round(ratio * len(orders[asks]))
            weights = np.ones(len(part.train.y))
            weights[orders[asks]] = n / (n - gone) if reweight and gone < n else 1
            weights[orders[asks][:gone]] = 0
            by_group = accuracy_by_group(fit(part.train, weights), part.test)
            rows += [{"asks": asks, "ratio": ratio, "reweight": reweight, "seed": seed, "group": g,
                      "accuracy": round(value, 6)} for g, value in enumerate(by_group)]
    return pd.DataFrame(rows)


def export():
    """Write seed 0's features, a scale for each column, and p(on brick | x, y) of every test picture."""
    part, splits = features(0), data.load("groundwear")
    scale = np.abs(part.train.x[:, :-1]).max(0) / 127
    train, test = (np.clip(np.rint(x[:, :-1] / scale), -127, 127).astype(np.int8)
                   for x in (part.train.x, part.test.x))
    head, _ = attribute_head(torch.from_numpy(part.train.x), splits.train.y, splits.train.a, 2, 2)
    brick = head(torch.from_numpy(part.test.x))[:, :, 1].numpy()
    rows = np.argsort(part.test.group, kind="stable")
    np.savez_compressed(FOLDER / "last_layer.npz", scale=scale, counts=splits.train.group_counts().numpy(),
                        train=train[np.concatenate(order(splits.train, 0))], test=test[rows],
                        brick=np.rint(255 * brick[rows]).astype(np.uint8))


if __name__ == "__main__":
    export()
    write_study(last_layer=table)
