"""The settings that a data set has for a method before anybody overrides them.

presets/NAME.yaml: the network; "fresh" for methods that train from scratch, "original" for those that
continue from PRETRAIN; a block for each method, which adds to its base. presets/released.csv: every settings
file of the paper's released code as a row. Where it has a row for what is asked, that row is the preset.
What none of its files holds is in `RELEASED`, for experiments that ask for the recipe "released".
"""

import csv
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "presets"
SHORT = {"group_dro_retrain": "group_dro"}  # methods by the name that they have there
COLUMNS = {"dro_eta": "eta"}
RELEASED = {"warmup_by": "step", "form": "released", "retain_batch_size": 128}
NETWORKS = {"resnet18": "resnet18_timm"}  # in the released code
KEYS = ("dataset", "network", "groups", "ratio", "method", "reweight")


def settings(dataset: str, method: str, starts_from: str, reweight: bool, ratio: float, n_groups: int,
             recipe: str, known: Collection[str]) -> dict[str, Any]:
    """The preset of a method: its network's settings, its recipe's and its own.

    Args:
        starts_from: the method's.  n_groups: how many groups are asked to be forgotten.
        recipe: in `data.RECIPES`.  known: all settings that the method can have.
    """
    preset = _read(dataset)
    base = preset["network"] | preset[starts_from] | preset["methods"].get(method, {})
    base |= _released(dataset, method, reweight, ratio, n_groups)
    if recipe == "released":
        base |= {name: value for name, value in RELEASED.items() if name in known}
        base["model"] = NETWORKS.get(base["model"], base["model"])
    return base


def _released(dataset: str, method: str, reweight: bool, ratio: float, n_groups: int) -> dict[str, Any]:
    """The released row, of the nearest ratio and number of groups that have one; {} where no row is."""
    if not (rows := _rows(dataset, method)):
        return {}

    def away(row: dict[str, Any]) -> tuple[bool, float, float]:
        return (row["reweight"] != reweight, abs((row["groups"] or n_groups) - n_groups),
                abs((row["ratio"] or ratio) - ratio))

    row = min(rows, key=away)
    return {name: value for name, value in row.items() if name not in KEYS and value is not None}


@cache
def released() -> list[dict[str, Any]]:
    """The released code's settings, a dict a file; what a method does not read is None there.

    SalUn's is as that code reads it, for its files say nothing: the forget pass runs in every epoch.
    """
    with (FOLDER / "released.csv").open(newline="") as file:
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


@cache
def _read(dataset: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{dataset}.yaml").read_text())
