"""Where a classifier keeps an attribute that it was not asked for, layer by layer.

    python -m grmu results --only layers

A row a seed of PRETRAIN on `groundwear` and a layer. A probe on a few labels: how many of all other pictures,
and of the group that asks, it names rightly. Clusters (`grmu.discover.divided`), which know no label: their
agreement with the true attribute. Both: the alpha that those of the group get who stay, at ratio 0.9.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from grmu.analysis.grids import MANY_SEEDS
from grmu.analysis.groupings import agreement, alpha_of
from grmu.discover import completed, divided, labelled, layer_features
from grmu.experiments import Experiment, load_split, map_experiments, train_or_load
from grmu.numerics import fixed_threads

WIDTHS = {"first layer": 32, "second layer": 64, "third layer": 128, "last features": 64}  # mean and spread
ALL = "all of them"


def parts() -> dict[str, slice]:
    """Which columns of `layer_features` a layer has."""
    ends = np.cumsum([0, *WIDTHS.values()]).tolist()
    return {name: slice(*ends[i : i + 2]) for i, name in enumerate(WIDTHS)} | {ALL: slice(None)}


def layers_of(experiment: Experiment, store: str | None = None) -> list[dict[str, object]]:
    """A row a layer of this seed's PRETRAIN; shares as fractions."""
    splits, split, groups = load_split(experiment)
    train, seed, group = splits.train, experiment.seed, splits.train.group_id(groups[0])
    known = labelled(train, seed)
    other = np.setdiff1d(np.arange(len(train)), known)
    asks = other[train.group[other].numpy() == group]
    rows: list[dict[str, object]] = []
    with fixed_threads():
        z = layer_features(train_or_load(experiment, store), train)
        for name, part in parts().items():
            named, cut = completed(z[:, part], train, known), divided(z[:, part], train, seed)
            right = named == train.a.numpy()
            probe, clusters = (replace(train, a=torch.as_tensor(a), attribute_names=[
                str(k) for k in range(a.max() + 1)]) for a in (named, cut))
            rows.append({"seed": seed, "layer": name, "probe": right[other].mean(),
                         "probe, group": right[asks].mean(),
                         "alpha, probe": alpha_of(group, train, probe, split.retain_index),
                         "agreement, clusters": agreement(clusters, train),
                         "alpha, clusters": alpha_of(group, train, clusters, split.retain_index)})
    return rows


def layers(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`layers_of` ten seeds."""
    runs = [Experiment(method="pretrain", ratio=0.9, seed=seed) for seed in MANY_SEEDS]
    by_run = map_experiments(partial(layers_of, store=store), runs, jobs)
    return pd.DataFrame([row for rows in by_run for row in rows]).round(5)
