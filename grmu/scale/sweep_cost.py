"""What a grid costs: samples that pass through the network, by presets and data sets' sizes, and GPU hours.

    hours = (trained + forward / 3) / samples per second / 3600

trained: samples of a forward and a backward pass, epochs * n_train for every method, since an epoch goes over
the retain set and in a forget pass over the forget set, and these two are the training set.
forward: the other passes, which take a third of that time: test set after each epoch, all splits at the end,
the original model beside the unlearned one in SCRUB, the features that MIU's two MINE networks need.

What is left out is small: the forget set's own forward passes, and MINE, a network of one hidden layer.

The speed is measured, not assumed: given by hand, or read from what `python -m grmu bench --scale --out FILE`
kept, which has it by data set and batch size. Of speeds given by hand, loading is assumed to keep up.

On disk (GB are 10^9 bytes): the weights that the store keeps of every run, and the data sets' caches. A
notebook and its numbers are small beside them; original files and published weights are there before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from grmu import data, models
from grmu.data.originals.original import SPLITS, Metadata
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment
from grmu.methods.miu import MIU
from grmu.methods.miu_released import MIUReleased
from grmu.scale.batch import COMPARED_WITH
from grmu.scale.bench_scale import Size, Speeds
from grmu.scale.sweep import Grid

SIZES = {name: tuple(sum(original.published[split]) for split in SPLITS)
         for name, original in ORIGINALS.items()}  # train, val, test


def passes(experiment: Experiment) -> tuple[int, int]:
    """Samples trained on, and samples that only pass forward, in one run."""
    dataset = experiment.dataset
    train, val, test = SIZES.get(dataset) or [len(part) for part in data.load(dataset)[:3]]
    epochs = experiment.config.epochs
    forward = epochs * test + train + val + test
    if experiment.method == "scrub":
        forward += epochs * train
    if isinstance(method := experiment.make_method(), MIU):
        forward += _of_miu(method, experiment, train)
    return epochs * train, forward


def _of_miu(method: MIU, experiment: Experiment, train: int) -> int:
    """Return the samples that pass forward for MIU's two MINE networks, in one run."""
    config, released = experiment.config, isinstance(method, MIUReleased)
    augments = config.augment and experiment.network.model not in models.TEXTS
    updates = [method.first_updates, *[method.later_updates] * (config.epochs - 1)][:config.epochs]
    tuned = [_in_batches(n + released, config.batch_size, train) for n in updates]
    forward = sum(tuned) + sum(min(500, max(n, 1) * 128, train) for n in updates)  # the readings of M
    if method.calibrates and (augments or released):
        forward += config.epochs * train  # the target, on every batch of the retain pass
    if method.calibrates and not augments:
        forward += train  # the original's features, once
    if method.calibrates and augments and not released:
        forward += sum(tuned[:1])  # `mine_original` is tuned on the original's features
    return forward


def _in_batches(n: int, size: int, train: int) -> int:
    """Return the samples in n batches of passes over the training set, whose last batch may be smaller."""
    whole, more = divmod(n, math.ceil(train / size))
    return whole * train + more * size


def typed(images: float | None, texts: float | None) -> Speeds:
    """Speeds given by hand, samples a second at whatever batch size; None is not known.

    Raises:
        ValueError: one is not above 0, or infinite.
    """
    return {name: {1: _speed(f"{name} per second", speed)}
            for name, speed in (("images", images), ("texts", texts)) if speed is not None}


def read_bench(path: Path) -> tuple[Speeds, str]:
    """The speeds that `bench --scale --out` kept, and a sentence that says what they were measured on.

    Raises:
        ValueError: it is another file, or holds an impossible speed.  OSError: it cannot be read.
    """
    try:
        kept = json.loads(path.read_text("utf-8"))
        speeds = {name: {int(n): _speed(f"{name} per second at batches of {n}", speed)
                         for n, speed in by_batch.items()} for name, by_batch in kept["speeds"].items()}
        side = kept["side"]
        source = f"Speeds: {kept['device']}, {kept['precision']}, pictures of {side} x {side}."
        small = side < Size.side
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        why = f"{type(error).__name__}: {str(error).rstrip('.')}"
        raise ValueError(f"{path} holds no speeds ({why}): write it with `python -m grmu bench --scale --out "
                         "FILE`, and wait for its end.") from error
    return speeds, source + small * " That is the small size: the hours are not those of real runs."


def _speed(name: str, value: object) -> float:
    data.require(isinstance(value, int | float) and 0 < value < math.inf and value is not True,
                 f"{name} must be a number above 0, but is {data.short_repr(value)}.")
    return float(value)  # type: ignore[arg-type]  # it is one


def speed_of(experiment: Experiment, speeds: Mapping[str, Mapping[int, float]]) -> float:
    """Samples a second: the data set's, else that of all images or texts; NaN where none is known.

    It is that of the run's batch size, or of the next smaller one that was measured.
    """
    kind = "texts" if experiment.network.model in models.TEXTS else "images"
    by_batch = speeds.get(experiment.dataset) or speeds.get(kind)
    if not by_batch:
        return math.nan
    size = experiment.config.batch_size
    return by_batch[max((n for n in by_batch if n <= size), default=min(by_batch))]


@lru_cache
def weights_bytes(dataset: str, network: models.Network) -> int:
    """Bytes of the tensors that the store keeps of a run; their file adds its table of contents, some kB.

    Raises:
        ValueError: a package is not installed that the network needs.
    """
    if (original := ORIGINALS.get(dataset)) is None:
        train = data.load(dataset).train
    else:  # its files may not be here: a sample of that kind
        x, label = torch.zeros(1, *(2, 8) if network.model in models.TEXTS else (3, 8, 8)), torch.tensor([0])
        train = data.GroupedDataset(x, label, label, original.class_names, original.attribute_names, dataset)
    with torch.device("meta" if network.model in models.PUBLISHED else "cpu"):  # large ones: shapes alone
        model = models.build(replace(network, pretrained=False), train, 0)
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def cache_bytes(dataset: str) -> int:
    """Bytes of the cache of a data set; 0 for what ships with the project, which needs none."""
    if dataset not in ORIGINALS:
        return 0
    nothing = Metadata(Path(), [], *[np.empty(0, np.int64)] * 3)
    return sum(SIZES[dataset]) * ORIGINALS[dataset].cache(Path(), nothing)[0].row_bytes


def runs(grid: Grid, speeds: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    """A row a run, by its job's name: experiment, dataset, what, trained, forward (samples), hours, bytes.

    hours: of one GPU; NaN where no speed is known.  bytes: of its weights.
    """
    rows = {}
    for job, e in grid.experiments().items():
        trained, forward = passes(e)
        rows[job] = {"experiment": e, "dataset": e.dataset,
                     "what": e.method.upper() if e.method in COMPARED_WITH else "methods",
                     "trained": trained, "forward": forward,
                     "hours": (trained + forward / 3) / speed_of(e, speeds) / 3600,
                     "bytes": weights_bytes(e.dataset, e.network)}
    return pd.DataFrame.from_dict(rows, orient="index")


def table(costs: pd.DataFrame) -> pd.DataFrame:
    """A row a data set and kind of run: how many, millions of samples trained and passed forward, hours, GB.

    Hours are NaN where no speed is known.
    """
    columns = {"trained": "trained (M)", "forward": "forward (M)", "hours": "GPU hours",
               "bytes": "weights (GB)"}
    rows = costs.assign(runs=1, trained=costs.trained / 1e6, forward=costs.forward / 1e6,
                        bytes=costs.bytes / 1e9).rename(columns=columns | {"dataset": "data set"})
    summed = rows.groupby(["data set", "what"], sort=False)[["runs", *columns.values()]].sum(min_count=1)
    return summed.sort_index(level=0, sort_remaining=False)


def shown_hours(hours: float) -> str:
    """A cell of a table."""
    return "not measured" if math.isnan(hours) else f"{hours:.1f}"


def estimate(costs: pd.DataFrame, gpus: int = 1) -> str:
    """The table of the `runs` as text, and totals of what was measured; it names what was not."""
    kinds, hours = table(costs), costs.hours.sum()
    unknown = costs.dataset[costs.hours.isna()].unique()
    shown = kinds.round({"trained (M)": 1, "forward (M)": 1, "weights (GB)": 2})
    shown["GPU hours"] = kinds["GPU hours"].map(shown_hours)
    total = f"{len(costs)} runs"
    if hours > 0:
        total += f", {hours:.1f} GPU hours: {hours / gpus:.1f} hours on {gpus} GPU{'s' * (gpus > 1)}"
    if len(unknown):
        total += f"; without {', '.join(sorted(unknown))}, whose speed was not given"
    weights, caches = costs.bytes.sum() / 1e9, sum(map(cache_bytes, costs.dataset.unique())) / 1e9
    return (f"{shown.to_string()}\n{total}.\n{weights + caches:.3g} GB on disk: {weights:.3g} of weights, "
            f"{caches:.3g} of caches.")
