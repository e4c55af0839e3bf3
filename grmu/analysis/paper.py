"""The paper's published numbers as data frames: De Min et al., Group-robust Machine Unlearning, TMLR 2025.

Percent, as printed. `results` holds Tables 1-3 and 5-16, `ablation` Table 17 (and so Table 4), `fairness`
Table 18.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from grmu.data import LOADERS, check_ratio, known
from grmu.experiments import Experiment

METHODS = {"PRETRAIN": "pretrain", "RETRAIN": "retrain", "RETRAIN + gDRO": "group_dro",  # the paper's, ours
           "L1-SPARSE": "l1_sparse", "SALUN": "salun", "SCRUB": "scrub", "MIU": "miu"}
TERMS = ("retaining", "unlearning", "calibration")  # MIU's, Eqs. 7, 3, 6


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


def tables_of(experiment: Experiment) -> set[int]:
    """The numbers of the tables that print such a run; PRETRAIN's are those of its split.

    What goes beyond data set, method, REWEIGHT, ratio, number of groups and MIU's terms is in none.
    """
    e = experiment
    if e.groups == "uniform" or set(e.overrides) - {"lam", *TERMS} or e.overrides.get("lam"):
        return set()
    n_groups = 1 if isinstance(e.groups, str) else len(e.groups)
    retaining, unlearning, calibration = (bool(e.settings.get(term, True)) for term in TERMS)
    terms = retaining, unlearning, calibration and e.settings.get("lam") != 0
    return set(_printed().get((e.dataset, e.method, e.reweight, e.ratio, n_groups, *terms), ()))


@lru_cache
def _printed() -> dict[tuple[object, ...], set[int]]:
    """Tables by what a row of theirs is: data set, method, REWEIGHT, ratio, groups, terms."""
    whole, tables = (True, True, True), dict[tuple[object, ...], set[int]]()
    for row in table("results").itertuples():
        key = (row.dataset, METHODS[row.method], bool(row.reweight), row.unlearning_ratio, row.forget_groups)
        tables.setdefault((*key, *whole), set()).add(row.table)
    for row in table("fairness").itertuples():
        key = (row.dataset, METHODS[row.method], bool(row.reweight), 0.5, 1)
        tables.setdefault((*key, *whole), set()).add(row.table)
    for row in table("ablation").itertuples():
        terms = map(bool, (row.retaining_eq7, row.unlearning_eq3, row.calibration_eq6))
        key = (row.dataset, "miu", bool(row.reweight), 0.5, 1)
        tables.setdefault((*key, *terms), set()).update((4, row.table))  # Table 4 prints these, too
    return tables
