"""Estimate the GPU hours and the disk space of runs.

    hours = (trained + forward / 3) / samples per second / 3600

`trained` counts samples that pass forward and backward: the number of epochs times the size of the training
set, for each method. `forward` counts samples that only pass forward, which takes a third of the time: the
test set after each epoch (and the validation set if the best epoch is kept), all splits at the end, the
original model of SCRUB, and the features for the two MINE networks of MIU. The estimate ignores the forget
set's own forward passes and MINE itself, because both are small. `make bench` measures the speeds.

The disk space (in GB, 10^9 bytes) consists of the weights of all runs and the caches of the data sets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from grmu import data, models
from grmu.batch import sweep
from grmu.data.originals.original import SPLITS, Metadata
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment
from grmu.methods.miu import MIU
from grmu.methods.miu_released import MIUReleased

BERT_BYTES = 437_938_188  # known, so that a list of costs does not need the package transformers
SIZES = {name: [sum(original.published[split]) for split in SPLITS] for name, original in ORIGINALS.items()}


def passes(e: Experiment) -> tuple[int, int]:
    """Return how many samples a run trains on, and how many only pass forward."""
    train, val, test = SIZES.get(e.dataset) or [len(part) for part in e.load()[:3]]
    epochs, method = e.config.epochs, e.make_method()
    forward = epochs * (test + val * (e.config.keep == "best")) + train + val + test
    if e.method == "scrub":
        forward += epochs * train
    if isinstance(method, MIU):
        forward += mine_passes(method, e, train)
    return epochs * train, forward


def mine_passes(method: MIU, e: Experiment, train: int) -> int:
    """Return how many samples pass forward to give features to the two MINE networks of MIU."""
    epochs, released = e.config.epochs, isinstance(method, MIUReleased)
    augments = e.config.augment and e.network.model not in models.TEXTS
    updates = [method.first_updates] + [method.later_updates] * (epochs - 1) if epochs else []
    tuned = [batches(n + released, e.config.batch_size, train) for n in updates]
    readings = sum(min(500, max(n, 1) * 128, train) for n in updates)
    target = 0
    if method.calibrates and (augments or released):
        target += epochs * train  # the original model's features of each batch of the retain pass
    if method.calibrates and not augments:
        target += train  # the original model's features, computed once
    if method.calibrates and augments and not released:
        target += sum(tuned[:1])  # `mine_original` is tuned on the original model's features
    return sum(tuned) + readings + target


def batches(n: int, size: int, train: int) -> int:
    """Return how many samples n batches have, since the last batch of each pass may be smaller."""
    whole, more = divmod(n, math.ceil(train / size))
    return whole * train + more * size


@lru_cache
def weights_bytes(dataset: str, network: models.Network) -> int:
    """Return the size in bytes of the weights that the store keeps of a run."""
    if network.model == "bert":
        return BERT_BYTES
    if (original := ORIGINALS.get(dataset)) is None:
        train = data.load(dataset).train
    else:  # the files may be missing, so use one empty sample of the same shape
        x, label = torch.zeros(1, *(2, 8) if network.model in models.TEXTS else (3, 8, 8)), torch.tensor([0])
        train = data.GroupedDataset(x, label, label, original.class_names, original.attribute_names, dataset)
    with torch.device("meta" if network.model in models.PUBLISHED else "cpu"):  # "meta" allocates no memory
        model = models.build(replace(network, pretrained=False), train, 0)
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def cache_bytes(dataset: str) -> int:
    """Return the size in bytes of a data set's cache, or 0 for embedded data, which needs no cache."""
    if dataset not in ORIGINALS:
        return 0
    one = Metadata(Path(), ["a sample"], *[np.zeros(1, np.int64)] * 3)
    return sum(SIZES[dataset]) * ORIGINALS[dataset].cache(Path(), one)[0].n_bytes


def runs(experiments: Mapping[str, Experiment], images_per_second: float,
         texts_per_second: float) -> pd.DataFrame:
    """Return one row per run, by job: dataset, hours and bytes.

    Args:
        experiments: The experiments, by the names of their jobs.
        images_per_second: Pictures that one GPU trains on in a second.
        texts_per_second: Texts that one GPU trains on in a second.
    """
    rows = {}
    for job, e in experiments.items():
        trained, forward = passes(e)
        speed = texts_per_second if e.network.model in models.TEXTS else images_per_second
        rows[job] = {"dataset": e.dataset, "hours": (trained + forward / 3) / speed / 3600,
                     "bytes": weights_bytes(e.dataset, e.network)}
    return pd.DataFrame.from_dict(rows, orient="index")


def amounts(costs: pd.DataFrame) -> dict[str, float]:
    """Return the number of runs, their GPU hours, and the GB of their weights and the data sets' caches."""
    caches = sum(map(cache_bytes, costs.dataset.unique()))
    return {"runs": len(costs), "GPU hours": costs.hours.sum(), "GB": (costs.bytes.sum() + caches) / 1e9}


def cost(grid: str, images_per_second: float, texts_per_second: float) -> int:
    """Print what the runs of a grid cost, for each data set and in total."""
    costs = runs(sweep.experiments(sweep.read(grid)), images_per_second, texts_per_second)
    parts = {name: amounts(part) for name, part in costs.groupby("dataset", sort=False)}
    print(pd.DataFrame.from_dict(parts | {"all": amounts(costs)}, orient="index").round(1).to_string())
    return 0
