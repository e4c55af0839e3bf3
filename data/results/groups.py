"""Measure runs on inferred groups, and where a network represents the attribute (lesson 09).

This script writes inferred.csv and layers.csv: python data/results/groups.py
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import torch

from grmu.analysis.grids import MANY_SEEDS
from grmu.analysis.groupings import agreement, alpha_of
from grmu.analysis.results import write_study
from grmu.discover import GROUPINGS, completed, divided, infer, labelled, layer_features
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.numerics import fixed_threads

ENDS = {"first layer": (0, 32), "second layer": (32, 96), "third layer": (96, 224),  # in `layer_features`
        "last features": (224, 288), "all of them": (0, 288)}


def inferred_of(e):
    """Return one run, with the `agreement` of its groups with the true ones.

    `alpha` is the mean weight of the forget group's retained samples.
    """
    splits, split, groups = load_split(e)
    grouped = splits.train
    if e.grouping != "true":
        with fixed_threads():
            grouped = infer(e.grouping, train_or_load(e.source), splits.train, e.seed)
    metrics = run(e).metrics
    alpha = alpha_of(splits.train.group_id(groups[0]), splits.train, grouped, split.retain_index)
    return {"method": e.method, "reweight": e.reweight, "grouping": e.grouping, "ratio": e.ratio,
            "seed": e.seed, **{name: metrics[name] for name in ("GA", "TA", "UA", "RA", "WG", "val_GA")},
            "agreement": agreement(grouped, splits.train), "alpha": alpha}


def inferred(jobs):
    """Return runs that need no groups, and REWEIGHT and MIU + REWEIGHT on the true and on inferred groups."""
    kinds = [("retrain", False, "true"), ("finetune", False, "true"),
             *product(("retrain", "miu"), (True,), ("true", *GROUPINGS))]
    runs = [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed, grouping=grouping)
            for ratio, seed, (method, reweight, grouping) in product((0.5, 0.9), MANY_SEEDS, kinds)]
    return pd.DataFrame(map_experiments(inferred_of, runs, jobs)).round(5)


def layers_of(e):
    """Return one row per layer of one PRETRAIN.

    A probe is trained on a few labels; the row has the share of all other pictures, and of the forget
    group's, that it classifies correctly. Clusters use no labels; the row has their agreement with the true
    attribute. For both, the row has the alpha of the forget group's retained samples at ratio 0.9.
    """
    splits, split, groups = load_split(e)
    train, group = splits.train, splits.train.group_id(groups[0])
    known = labelled(train, e.seed)
    other = np.setdiff1d(np.arange(len(train)), known)
    asks = other[train.group[other].numpy() == group]
    rows = []
    with fixed_threads():
        z = layer_features(train_or_load(e), train)
        for name, (start, end) in ENDS.items():
            part = z[:, start:end]
            named, cut = completed(part, train, known), divided(part, train, e.seed)
            right = named == train.a.numpy()
            probe, clusters = (replace(train, a=torch.as_tensor(a),
                                       attribute_names=[str(k) for k in range(a.max() + 1)])
                               for a in (named, cut))
            rows.append({"seed": e.seed, "layer": name, "probe": right[other].mean(),
                         "probe, group": right[asks].mean(),
                         "alpha, probe": alpha_of(group, train, probe, split.retain_index),
                         "agreement, clusters": agreement(clusters, train),
                         "alpha, clusters": alpha_of(group, train, clusters, split.retain_index)})
    return rows


def layers(jobs):
    """Return `layers_of` ten seeds."""
    runs = [Experiment(method="pretrain", ratio=0.9, seed=seed) for seed in MANY_SEEDS]
    return pd.DataFrame([row for rows in map_experiments(layers_of, runs, jobs) for row in rows]).round(5)


if __name__ == "__main__":
    write_study(inferred=inferred, layers=layers)
