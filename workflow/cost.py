"""GPU hours and GB of a grid, and of each table of the paper.

    python workflow/cost.py workflow/paper.yaml --images-per-second 5000 --texts-per-second 1000

    hours = (trained + forward / 3) / samples per second / 3600

trained: samples with a forward and a backward pass: epochs times the training set, for every method.
forward: the other passes, a third of the work each: the test set after each epoch, all splits at the end,
SCRUB's original model, and the features for MIU's two MINE networks. The forget set's own forward passes and
MINE itself are small, and left out. `make bench` measures the speeds.

GB (10^9 bytes) are the weights that the store keeps of every run, and the caches of the data sets.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from grmu import data, models
from grmu.analysis import paper
from grmu.batch import sweep
from grmu.data.originals.original import SPLITS, Metadata
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment
from grmu.methods.miu import MIU
from grmu.methods.miu_released import MIUReleased

SIZES = {name: [sum(original.published[split]) for split in SPLITS] for name, original in ORIGINALS.items()}


def passes(e: Experiment) -> tuple[int, int]:
    """Return how many samples a run trains on, and how many only pass forward."""
    train, val, test = SIZES.get(e.dataset) or [len(part) for part in e.load()[:3]]
    epochs, method = e.config.epochs, e.make_method()
    forward = epochs * test + train + val + test
    if e.method == "scrub":
        forward += epochs * train
    if isinstance(method, MIU):
        forward += mine_passes(method, e, train)
    return epochs * train, forward


def mine_passes(method: MIU, e: Experiment, train: int) -> int:
    """Return how many samples pass forward for the features of MIU's two MINE networks, in one run."""
    epochs, released = e.config.epochs, isinstance(method, MIUReleased)
    augments = e.config.augment and e.network.model not in models.TEXTS
    updates = [method.first_updates] + [method.later_updates] * (epochs - 1) if epochs else []
    tuned = [batches(n + released, e.config.batch_size, train) for n in updates]
    readings = sum(min(500, max(n, 1) * 128, train) for n in updates)
    target = 0
    if method.calibrates and (augments or released):
        target += epochs * train  # of every batch of the retain pass
    if method.calibrates and not augments:
        target += train  # the original model's features, once
    if method.calibrates and augments and not released:
        target += sum(tuned[:1])  # `mine_original` is tuned on the original model's features
    return sum(tuned) + readings + target


def batches(n: int, size: int, train: int) -> int:
    """Return the samples in n batches of passes over the training set, whose last batch may be smaller."""
    whole, more = divmod(n, math.ceil(train / size))
    return whole * train + more * size


@lru_cache
def weights_bytes(dataset: str, network: models.Network) -> int:
    """Return the bytes of the tensors that the store keeps of a run."""
    if (original := ORIGINALS.get(dataset)) is None:
        train = data.load(dataset).train
    else:  # its files may not be here: one sample of that kind
        x, label = torch.zeros(1, *(2, 8) if network.model in models.TEXTS else (3, 8, 8)), torch.tensor([0])
        train = data.GroupedDataset(x, label, label, original.class_names, original.attribute_names, dataset)
    with torch.device("meta" if network.model in models.PUBLISHED else "cpu"):  # large ones: shapes alone
        model = models.build(replace(network, pretrained=False), train, 0)
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def cache_bytes(dataset: str) -> int:
    """Return the bytes of a data set's cache; 0 for data that ships with the project, which has none."""
    if dataset not in ORIGINALS:
        return 0
    one = Metadata(Path(), ["a sample"], *[np.zeros(1, np.int64)] * 3)
    return sum(SIZES[dataset]) * ORIGINALS[dataset].cache(Path(), one)[0].n_bytes


def runs(grid: str, images_per_second: float, texts_per_second: float) -> pd.DataFrame:
    """Return a row for each run, by job: experiment, dataset, trained, forward, hours, bytes."""
    rows = {}
    for job, e in sweep.experiments(sweep.read(grid)).items():
        trained, forward = passes(e)
        speed = texts_per_second if e.network.model in models.TEXTS else images_per_second
        rows[job] = {"experiment": e, "dataset": e.dataset, "trained": trained, "forward": forward,
                     "hours": (trained + forward / 3) / speed / 3600,
                     "bytes": weights_bytes(e.dataset, e.network)}
    return pd.DataFrame.from_dict(rows, orient="index")


def by_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return, for each table of the paper, its data sets, runs, GPU hours and GB, and what of that is new.

    A table needs its runs and the references that these start from or are compared with. "new" is what no
    table above it has, so these columns sum to the total. "other" has the runs that are in no table.
    """
    tables = {job: paper.tables_of(e) for job, e in found.experiment.items()}
    for e in found.experiment:
        for before in sweep.prerequisites(e):
            tables[sweep.job_name(before)] |= paper.tables_of(e)
    rows, done = {}, found[:0]
    for table in [*sorted(set().union(*tables.values())), "other"]:
        need = found[[table in own or (table == "other" and not own) for own in tables.values()]]
        if len(need):
            new = need[~need.index.isin(done.index)]
            rows[table] = {"data sets": ", ".join(need.dataset.unique()), **amounts(need, found[:0]),
                           **{f"new {name}": value for name, value in amounts(new, done).items()}}
            done = pd.concat([done, new])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("table")


def amounts(found: pd.DataFrame, done: pd.DataFrame) -> dict[str, float]:
    """Return the number, hours and GB of some runs; those that are done have made their caches."""
    caches = sum(map(cache_bytes, set(found.dataset) - set(done.dataset)))
    return {"runs": len(found), "GPU hours": found.hours.sum(), "GB": (found.bytes.sum() + caches) / 1e9}


def main() -> None:
    """Print the table and the total."""
    parser = ArgumentParser(description="GPU hours and GB of a grid.")
    parser.add_argument("grid", help="YAML file")
    parser.add_argument("--images-per-second", type=float, default=math.nan, help="trained by one GPU")
    parser.add_argument("--texts-per-second", type=float, default=math.nan, help="the same for texts")
    options = parser.parse_args()
    found = runs(options.grid, options.images_per_second, options.texts_per_second)
    total = amounts(found, found[:0])
    print(by_table(found).round(1).to_string())
    print(f"\n{len(found)} runs, {total['GPU hours']:.1f} GPU hours, {total['GB']:.1f} GB")


if __name__ == "__main__":
    main()
