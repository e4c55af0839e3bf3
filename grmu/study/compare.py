"""Runs against the gold standard of the same seed: differences, avg. gap, ToW; intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from grmu.metrics import METRICS


def differences(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Method minus gold standard **of the same seed**, fractions: one row a seed, one column a metric.

    Args:
        rows, gold: one row a seed, with a column `seed` and one per metric.

    Raises:
        ValueError: a seed of `rows` has no gold standard.
    """
    ours, reference = rows.set_index("seed")[list(metrics)], gold.set_index("seed")[list(metrics)]
    if missing := sorted(set(ours.index) - set(reference.index)):
        raise ValueError(f"no gold standard for seeds {missing}: run RETRAIN + REWEIGHT for them.")
    return ours - reference.loc[ours.index]


def gap_by_metric(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.Series:
    """Per metric, mean over seeds of |method - gold|: the deltas in brackets in the paper's tables."""
    return differences(rows, gold, metrics).abs().mean()


def distance_by_seed(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.Series:
    """Mean |method - gold| over the metrics, one value a seed; averaged over seeds, it is 1 - avg. gap."""
    return differences(rows, gold, metrics).abs().mean(axis=1)


def average_gap(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> float:
    """avg. gap (Eq. 12): 1 minus the mean of `gap_by_metric`. 1 is the gold standard itself.

    Beware: doing nothing often scores high, so show PRETRAIN's beside it.
    """
    return 1 - float(gap_by_metric(rows, gold, metrics).mean())


def tug_of_war(rows: pd.DataFrame, gold: pd.DataFrame) -> float:
    """ToW (Zhao et al. 2024): mean over seeds of the product of 1 - |method - gold| over UA, RA and TA.

    1 is the gold standard itself.
    """
    return float((1 - differences(rows, gold, ("UA", "RA", "TA")).abs()).prod(axis=1).mean())


class Interval(NamedTuple):
    """A mean with its 95 % t-interval, and the number of values."""

    mean: float
    low: float
    high: float
    n: int


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % t-interval of independent values, such as differences by seed; infinite for one value."""
    found = np.asarray(values, dtype=float)
    mean, n = float(found.mean()), len(found)
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(found)) if n > 1 else float("inf")
    return Interval(mean, mean - half, mean + half, n)
