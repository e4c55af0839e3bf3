"""What a grid costs: samples that pass through the network, by presets and data sets' sizes, and GPU hours.

    hours = (trained + forward / 3) / samples per second / 3600

trained: samples of a forward and a backward pass, epochs * n_train for every method, since an epoch goes over
the retain set and in a forget pass over the forget set, and these two are the training set.
forward: the other passes, which take a third of that time: test set after each epoch, all splits at the end,
the original model beside the unlearned one in SCRUB, features for MIU's estimators as its form has them.

What is left out is small: the forget set's own forward passes, and MINE, a network of one hidden layer.

Loading is assumed to keep up with the GPU. The speed is measured, not assumed.
"""

from __future__ import annotations

import inspect
import math

import pandas as pd

from grmu import data
from grmu.data.originals.original import SPLITS
from grmu.data.originals.registry import ORIGINALS
from grmu.methods.miu_features import Estimated
from grmu.mine import Estimator
from grmu.runs import Experiment
from grmu.scale.batch import COMPARED_WITH
from grmu.scale.sweep import Grid
from grmu.training import Recipe

SIZES = {name: tuple(sum(original.published[split]) for split in SPLITS)
         for name, original in ORIGINALS.items()}  # train, val, test
TEXTS = ("multinli",)
MINE_BATCH = inspect.signature(Estimator).parameters["batch_size"].default


def passes(experiment: Experiment) -> tuple[int, int]:
    """Samples trained on, and samples that only pass forward, in one run."""
    dataset = experiment.dataset
    train, val, test = SIZES.get(dataset) or [len(part) for part in data.load(dataset)[:3]]
    epochs = experiment.recipe.epochs
    forward = epochs * test + train + val + test
    if experiment.method == "scrub":
        forward += epochs * train
    if isinstance(method := experiment.make_method(), Estimated):
        forward += _of_estimators(method, experiment.recipe, train)
    return epochs * train, forward


def _of_estimators(method: Estimated, recipe: Recipe, train: int) -> int:
    """Forward passes that MIU's two estimators ask for, by its form."""
    form, calibrates, epochs = method.chosen, method.calibrates, recipe.epochs
    updates = [n + form.extra_update
               for n in [method.first_updates, *[method.later_updates] * (epochs - 1)][:epochs]]
    seen = [min(train, max(n, 1) * MINE_BATCH) for n in updates]
    stored = calibrates and form.tune_on == "stored"  # before the first epoch, features are the original's
    forward = sum(seen[int(stored):])
    if calibrates and "stored" in (form.tune_on, form.target_on):
        forward += train
    if form.tune_on == "batches":
        forward += recipe.batch_size * sum(updates)
        if calibrates and form.calibrate_to == "original":
            forward += recipe.batch_size * sum(updates if form.retune_target else updates[:1])
    if calibrates and form.target_on == "batch":
        forward += epochs * train
    return forward


def table(grid: Grid, images: float | None, texts: float | None) -> pd.DataFrame:
    """A row a data set and kind of run: runs, millions of samples trained and passed forward, GPU hours.

    Hours are NaN where no speed was measured.
    """
    rows = []
    for experiment in grid.experiments().values():
        trained, forward = passes(experiment)
        speed = texts if experiment.dataset in TEXTS else images
        hours = (trained + forward / 3) / speed / 3600 if speed else float("nan")
        kind = experiment.method.upper() if experiment.method in COMPARED_WITH else "methods"
        rows.append({"data set": experiment.dataset, "what": kind, "runs": 1, "trained (M)": trained / 1e6,
                     "forward (M)": forward / 1e6, "GPU hours": hours})
    found = pd.DataFrame(rows).groupby(["data set", "what"], sort=False).sum(min_count=1)
    return found.sort_index(level=0, sort_remaining=False)


def estimate(grid: Grid, images: float | None = None, texts: float | None = None, gpus: int = 1) -> str:
    """The table as text, with its total; what was not measured is said to be so, and is not in the total."""
    if any(speed is not None and not 0 < speed < math.inf for speed in (images, texts)) or gpus < 1:
        raise ValueError(f"speeds must be above 0 and GPUs from 1, but are {images}, {texts} and {gpus}.")
    found = table(grid, images, texts)
    hours = found["GPU hours"].sum()
    unknown = found.index[found["GPU hours"].isna()].get_level_values(0).unique()
    shown = found.round({"trained (M)": 1, "forward (M)": 1})
    shown["GPU hours"] = found["GPU hours"].map(lambda h: "not measured" if pd.isna(h) else f"{h:.1f}")
    total = f"{found.runs.sum():.0f} runs"
    if hours > 0:
        total += f", {hours:.1f} GPU hours: {hours / gpus:.1f} hours on {gpus} GPU{'s' * (gpus > 1)}"
    if len(unknown):
        total += f"; without {', '.join(unknown)}, whose speed was not given"
    return f"{shown.to_string()}\n{total}."
