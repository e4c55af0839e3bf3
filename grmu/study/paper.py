"""The paper's published numbers as data frames: De Min et al., Group-robust Machine Unlearning, TMLR 2025.

Percent, as printed. `results` holds Tables 1-3 and 5-16, `ablation` Table 17 (and so Table 4), `fairness`
Table 18.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from grmu.data import LOADERS, check_ratio, known

METHODS = {"PRETRAIN": "pretrain", "RETRAIN": "retrain", "RETRAIN + gDRO": "group_dro",  # the paper's, ours
           "L1-SPARSE": "l1_sparse", "SALUN": "salun", "SCRUB": "scrub", "MIU": "miu"}


@lru_cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parent / "published" / f"{name}.csv")


def table(name: str) -> pd.DataFrame:
    """One of "results", "ablation", "fairness" in long format, one row a published value.

    Raises:
        ValueError: another name.
    """
    known("table", name, ("results", "ablation", "fairness"))
    return _read(name)


def results(dataset: str, ratio: float = 0.5, forget_groups: int = 1) -> pd.DataFrame:
    """Published means of one data set and ratio, percent: a row per (method, reweight), a column per metric.

    Empty if the paper has no such experiment (as for the embedded data sets, which are this project's own).

    Raises:
        ValueError: an unknown data set, or a ratio outside (0, 1].
    """
    known("data set", dataset, LOADERS)
    check_ratio(ratio)
    t = table("results")
    t = t[(t.dataset == dataset) & (t.unlearning_ratio == ratio) & (t.forget_groups == forget_groups)]
    t = t[t.table == t.table.min()]  # the appendix repeats the main tables, without GROUP-DRO
    t = t.assign(method=t.method.replace(METHODS), reweight=t.reweight.astype(bool))
    return t.pivot_table(index=["method", "reweight"], columns="metric", values="value", sort=False)
