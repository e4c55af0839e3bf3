"""Getting started: is this machine ready, and one group's accuracy with its standard error."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from grmu import data
from grmu.course.checks.common import call, close, expect, passed
from grmu.experiments.store import Store
from grmu.numerics import THREADS

PACKAGES = ("grmu", "torch", "numpy", "pandas", "scikit-learn", "fairlearn", "ipywidgets", "jupyterlab")


def check_setup() -> None:
    """Say whether this machine can run the course: versions, device, threads, data and store, a line each."""
    for package in PACKAGES:
        print(f"{package:14}{version(package)}")
    none = "none (not needed: the embedded data run on a CPU)"
    print(f"{'Python':14}{platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"{'threads':14}{THREADS} for training")
    print(f"{'GPU':14}{torch.cuda.get_device_name() if torch.cuda.is_available() else none}")
    for name in data.EMBEDDED:
        splits = data.load(name)
        print(f"{name:22}{len(splits.train):,} train, {len(splits.val):,} val, "
              f"{len(splits.test):,} test: checksum right")
    Store()
    passed("set-up complete: the data are intact and finished runs can be kept")


def check_group_accuracy(function: Callable[..., Any]) -> None:
    """`function(predicted, y, group, g)` -> (accuracy, n, standard error) of group g."""
    predicted, y = torch.tensor([0, 1, 1, 0, 1, 1, 0, 0]), torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    group = torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    answer = call(function, predicted, y, group, 0)
    expect(isinstance(answer, tuple) and len(answer) == 3,
           "return three numbers: accuracy, n, standard error.")
    accuracy, n, se = (float(v) for v in answer)
    expect(n == 4, f"group 0 has 4 samples here, not {n:g}: count only those with group == g.")
    expect(close(accuracy, 0.75),
           f"3 of the 4 samples of group 0 are right, so the accuracy is 0.75, not {accuracy:g}. "
           "A mean over all samples, or a percentage, is another number.")
    expect(close(se, math.sqrt(0.75 * 0.25 / 4)),
           f"the standard error is sqrt(p (1 - p) / n) = 0.217 here, not {se:.3f}.")
    expect(close(call(function, predicted, y, group, 1)[0], 0.75),
           "group 1 has 3 of 4 right as well: does g matter?")
    passed("accuracy, n and standard error of a group")
