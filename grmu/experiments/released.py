"""What the paper's code was run with: presets/released.csv has a row for each of its settings files.

An experiment on one of the paper's data sets takes the row that fits it best. The protocol "released" adds
what the code does and no settings file says.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grmu.experiments.experiment import Experiment

FILE = Path(__file__).parent / "presets" / "released.csv"
SHORT = {"group_dro_retrain": "group_dro"}  # methods by the name that they have there
COLUMNS = {"dro_eta": "eta"}
NETWORKS = {"resnet18": "resnet18_timm"}  # in the released code
KEYS = ("dataset", "network", "groups", "ratio", "method", "reweight")


def settings(experiment: Experiment, model: str) -> dict[str, Any]:
    """Return the settings that the released code has for an experiment, and its `model` by our name."""
    chosen = {"model": model} | _nearest_row(experiment)
    if experiment.protocol == "released":
        chosen |= {"model": NETWORKS.get(model, model), "warmup_by": "step"}
        chosen |= {"retain_batch_size": 128} if experiment.method == "scrub" else {}
    return chosen


def _nearest_row(e: Experiment) -> dict[str, Any]:
    """Return the row of the nearest ratio and number of groups; {} where there is none."""
    rows = _rows(e.dataset, e.method.removesuffix("_released"))
    n_groups, ratio = 1 if isinstance(e.groups, str) else len(e.groups), sum(e.ratios) / len(e.ratios)

    def distance(row: dict[str, Any]) -> tuple[bool, float, float]:
        return (row["reweight"] != e.reweight, abs((row["groups"] or n_groups) - n_groups),
                abs((row["ratio"] or ratio) - ratio))

    if not rows:
        return {}
    row = min(rows, key=distance)
    return {name: value for name, value in row.items() if name not in KEYS and value is not None}


@cache
def released() -> list[dict[str, Any]]:
    """The released code's settings, a dict a file; what a method does not read is None there.

    SalUn's is as that code reads it, for its files say nothing: the forget pass runs in every epoch.
    """
    with FILE.open(newline="") as file:
        rows = [{COLUMNS.get(name, name): _value(name, text) for name, text in row.items()}
                for row in csv.DictReader(file)]
    for row in rows:
        row["method"] = SHORT.get(row["method"], row["method"])
        row["forget_epochs"] = row["epochs"] if row["method"] == "salun" else row["forget_epochs"]
    return rows


@cache
def _rows(dataset: str, method: str) -> list[dict[str, Any]]:
    return [row for row in released() if (row["dataset"], row["method"]) == (dataset, method)]


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in ("reweight", "augment"):
        return text == "1"
    if name in ("epochs", "forget_epochs", "batch_size", "warmup_epochs", "groups"):
        return int(text)
    return text if name in ("dataset", "network", "method", "optimizer", "schedule") else float(text)
