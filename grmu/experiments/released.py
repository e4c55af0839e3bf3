"""What the paper's code was run with: presets/released.csv has a row for each of its settings files.

An experiment on one of the paper's data sets takes the row that fits it best. The protocol "released" adds
what the code does and no settings file says. SalUn's files say nothing about forget epochs, and its code runs
the forget pass in every epoch, so the table has its number of epochs there.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from grmu.experiments.experiment import Experiment

FILE = Path(__file__).parent / "presets" / "released.csv"
KEYS = ("dataset", "network", "groups", "ratio", "method", "reweight")


@cache
def released() -> list[dict[str, Any]]:
    """Return the released code's settings, a dict per file, without the settings that its method lacks."""
    rows = pd.read_csv(FILE).convert_dtypes().to_dict("records")
    return [{str(name): value for name, value in row.items() if pd.notna(value)} for row in rows]


def settings(experiment: Experiment, model: str) -> dict[str, Any]:
    """Return the settings that the released code has for an experiment, and its `model` by our name.

    They are those of the same REWEIGHT, the nearest number of groups and the nearest ratio, in this order.
    """
    e, method = experiment, experiment.method.removesuffix("_released")
    n_groups = 1 if isinstance(e.groups, str) else len(e.groups)

    def distance(row: dict[str, Any]) -> tuple[bool, float, float]:
        return (row["reweight"] != e.reweight, abs(row.get("groups", n_groups) - n_groups),
                abs(row.get("ratio", e.ratio) - e.ratio))

    rows = [row for row in released() if (row["dataset"], row["method"]) == (e.dataset, method)]
    nearest = min(rows, key=distance, default={})
    chosen = {"model": model} | {name: value for name, value in nearest.items() if name not in KEYS}
    if e.protocol == "released":
        chosen |= {"warmup_by": "step"} | ({"model": "resnet18_timm"} if model == "resnet18" else {})
        chosen |= {"retain_batch_size": 128} if method == "scrub" else {}
    return chosen
