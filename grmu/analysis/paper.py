"""Load the paper's published numbers: De Min et al., Group-robust Machine Unlearning, TMLR 2025.

The values are percentages, as printed. `results` has Tables 1-3 and 5-16, `ablation` has Table 17 (which
includes Table 4), and `fairness` has Table 18.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from grmu.analysis.printed import Item, Row
from grmu.data import LOADERS, check_ratio, known
from grmu.metrics import FAIRNESS

METHODS = {"PRETRAIN": "pretrain", "RETRAIN": "retrain", "RETRAIN + gDRO": "group_dro",  # our names
           "L1-SPARSE": "l1_sparse", "SALUN": "salun", "SCRUB": "scrub", "MIU": "miu"}
THEIRS = {ours: theirs for theirs, ours in METHODS.items()}
TERMS = {"retaining": "retaining_eq7", "unlearning": "unlearning_eq3", "calibration": "calibration_eq6"}
FIGURE8 = {("celeba", 1.0): 99.2, ("waterbirds", 10.0): 96.9, ("fairface", 1.0): 98.7}  # from the text of B.5


@lru_cache
def table(name: str) -> pd.DataFrame:
    """Return one of "results", "ablation" and "fairness" in long format, with one row per published value.

    Raises:
        ValueError: The name is unknown.
    """
    known("table", name, ("results", "ablation", "fairness"))
    return pd.read_csv(Path(__file__).parent / "published" / f"{name}.csv")


def results(dataset: str, ratio: float = 0.5, forget_groups: int = 1) -> pd.DataFrame:
    """Return the published means of one data set and ratio, in percent.

    Args:
        dataset: A data set.
        ratio: The unlearning ratio.
        forget_groups: Number of forget groups.

    Returns:
        One row per (method, reweight) and one column per metric. It is empty if the paper has no such
        experiment, for example for the embedded data sets.

    Raises:
        ValueError: The data set is unknown, or the ratio is outside (0, 1].
    """
    known("data set", dataset, LOADERS)
    check_ratio(ratio)
    t = table("results")
    t = t[(t.dataset == dataset) & (t.unlearning_ratio == ratio) & (t.forget_groups == forget_groups)]
    t = t[t.table == t.table.min()]  # because the appendix repeats the main tables, without GROUP-DRO
    t = t.assign(method=t.method.replace(METHODS), reweight=t.reweight.astype(bool))
    return t.pivot_table(index=["method", "reweight"], columns="metric", values="value", sort=False)


def published(row: Row, metric: str, item: Item | None = None) -> dict[str, float]:
    """Return the values that the paper prints for a row: paper, paper_sd and paper_delta.

    A value is NaN if the paper does not print it.

    Args:
        row: A row on one of the paper's data sets.
        metric: The metric.
        item: The table or figure to search. None searches all of them.
    """
    changed = dict(row.overrides)
    if "lam" in changed:
        return {"paper": FIGURE8.get((row.dataset, changed["lam"]), np.nan)}
    where = {"dataset": row.dataset, "metric": metric, "reweight": int(row.reweight)}
    if item.kind == "ablation" if item else changed:
        name, delta = "ablation", ""
        where |= {column: int(changed.get(term, True)) for term, column in TERMS.items()}
    elif item.kind == "fairness" if item else metric in ("EO", *FAIRNESS):
        name, delta = "fairness", "delta_to_pretrain"
        where |= {"method": THEIRS.get(row.method)}
    else:
        name, delta = "results", "delta_to_gold"
        where |= {"method": THEIRS.get(row.method), "forget_groups": row.n_groups,
                  "unlearning_ratio": row.ratio}
        if item and item.name.startswith("table"):
            where["table"] = int(item.name.removeprefix("table"))
    values = table(name)
    for column, value in where.items():
        values = values[values[column] == value]
    if values.empty:
        return {"paper": np.nan}
    first = values.iloc[0]
    return {"paper": first.value, "paper_sd": first.get("std", np.nan),
            "paper_delta": first.get(delta, np.nan)}
