"""Compare runs with the gold standard of the same seed: differences, avg. gap, ToW; intervals over seeds, and
the one rule that words them, `verdicts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from grmu.metrics import METRICS

LEAST_SEEDS = 5  # for an error bar


def differences(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return method minus gold standard **of the same seed**, fractions: a row a seed, a column a metric.

    Args:
        rows: One row a seed, with a column `seed` and one per metric.
        gold: The same of the gold standard.
        metrics: Which columns.

    Raises:
        ValueError: A seed of `rows` has no gold standard.
    """
    ours, reference = rows.set_index("seed")[list(metrics)], gold.set_index("seed")[list(metrics)]
    if missing := sorted(set(ours.index) - set(reference.index)):
        raise ValueError(f"no gold standard for seeds {missing}: run RETRAIN + REWEIGHT for them.")
    return ours - reference.loc[ours.index]


def gap_by_metric(rows: pd.DataFrame, gold: pd.DataFrame) -> pd.Series:
    """Return per metric the mean over seeds of |method - gold|: the deltas in brackets in the paper."""
    return differences(rows, gold).abs().mean()


def distance_by_seed(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.Series:
    """Return mean |method - gold| over the metrics, one value a seed; averaged over seeds, 1 - avg. gap."""
    return differences(rows, gold, metrics).abs().mean(axis=1)


def average_gap(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> float:
    """Return avg. gap (Eq. 12): 1 minus the mean of `gap_by_metric`. 1 is the gold standard itself.

    Beware: the original model often scores high, so show PRETRAIN's beside it.
    """
    return 1 - float(differences(rows, gold, metrics).abs().mean().mean())


def tug_of_war(rows: pd.DataFrame, gold: pd.DataFrame) -> float:
    """Return ToW (Zhao et al. 2024): mean over seeds of the product of 1 - |method - gold| over UA, RA, TA.

    1 is the gold standard itself.
    """
    return float((1 - differences(rows, gold, ("UA", "RA", "TA")).abs()).prod(axis=1).mean())


class Interval(NamedTuple):
    """A mean with its 95 % t-interval, and the number of values."""

    mean: float
    low: float
    high: float
    n: int

    def said(self) -> str:
        """Return it as pages show it: "+1.2 [-0.3, +2.7]"."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def interval(values: Sequence[float]) -> Interval:
    """Return mean and 95 % t-interval of independent values, as of differences by seed; infinite for one."""
    from scipy.special import stdtrit  # the quantile of t; scipy.stats takes a second to import

    numbers = np.asarray(values, dtype=float)
    mean, n = float(numbers.mean()), len(numbers)
    half = float(stdtrit(n - 1, 0.975) * numbers.std(ddof=1) / n**0.5) if n > 1 else float("inf")
    return Interval(mean, mean - half, mean + half, n)


@cache
def _detectable(n: int) -> float:
    """Return how many standard deviations from 0 a mean of n is detected at 5 % with 80 % power."""
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8))


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p-values after Holm's correction for their number."""
    order, corrected = np.argsort(p), np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1)


def verdicts(differences: Mapping[str, Sequence[float]],
             margins: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Return what differences by seed say: a row each, in the order given, worded by one rule.

    "higher" or "lower": the two-sided t-test rejects 0 at 5 % after Holm's correction over all rows; "...,
    within the margin" if it is also "equal". "equal": two one-sided tests at 5 % put the mean within
    plus or minus the margin. "not distinguished": neither; `seen` is then what would have been detected.

    Args:
        differences: At least two values each, such as a method's minus the gold standard's of the same seed.
        margins: By the same names, in the same unit: what is too small to matter, stated before. None, or
            NaN for a row, means that there is none, and nothing is "equal".

    Returns:
        mean, low, high: with its 95 % interval, of this row alone.  n.  p: after Holm.
        seen: the mean that such a test, alone, detects with 80 % power at this spread.  margin, verdict.

    Raises:
        ValueError: A row has fewer than two values.
        KeyError: A row has no margin.
    """
    rows = {name: _tested(name, values, np.nan if margins is None else margins[name])
            for name, values in differences.items()}
    columns = ["mean", "low", "high", "n", "p", "seen", "margin", "equal"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    if len(table):
        table["p"] = holm(table.p)
    table["verdict"] = [_word(row) for _, row in table.iterrows()]
    return table.drop(columns="equal")


def _tested(name: str, values: Sequence[float], margin: float) -> dict[str, object]:
    from statsmodels.stats.weightstats import DescrStatsW

    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        raise ValueError(f"{name} has {len(numbers)} value(s): a verdict needs at least two seeds.")
    ends, sd, described = interval(values), float(numbers.std(ddof=1)), DescrStatsW(numbers)
    if sd < 1e-12:  # t is 0/0 or infinite; such a mean is known exactly
        p, inside = float(ends.mean == 0), abs(ends.mean) < margin
    else:
        p = float(described.ttest_mean(0)[1])
        inside = bool(margin > 0) and float(described.ttost_mean(-margin, margin)[0]) < 0.05
    return ends._asdict() | {"p": p, "seen": sd * _detectable(ends.n), "margin": margin, "equal": inside}


def _word(row: pd.Series) -> str:
    if row.p < 0.05:
        return ("higher" if row["mean"] > 0 else "lower") + ", within the margin" * bool(row.equal)
    return "equal" if row.equal else "not distinguished"
