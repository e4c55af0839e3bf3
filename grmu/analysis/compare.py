"""Compare runs with the gold standard of the same seed.

The module computes differences, avg. gap, ToW and intervals over seeds. `verdicts` is the one rule that words
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from grmu.metrics import METRICS

LEAST_SEEDS = 5  # with fewer seeds, plots show no error bar


def differences(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return method minus gold standard **of the same seed**, as fractions.

    Args:
        rows: One row per seed, with a column `seed` and one column per metric.
        gold: The same for the gold standard.
        metrics: The columns to compare.

    Returns:
        One row per seed, one column per metric.

    Raises:
        ValueError: A seed of `rows` has no gold standard.
    """
    ours, reference = rows.set_index("seed")[list(metrics)], gold.set_index("seed")[list(metrics)]
    if missing := sorted(set(ours.index) - set(reference.index)):
        raise ValueError(f"no gold standard for seeds {missing}: run RETRAIN + REWEIGHT for them.")
    return ours - reference.loc[ours.index]


def gap_by_metric(rows: pd.DataFrame, gold: pd.DataFrame) -> pd.Series:
    """Return the mean over seeds of |method - gold| for each metric, which the paper prints in brackets."""
    return differences(rows, gold).abs().mean()


def distance_by_seed(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.Series:
    """Return the mean of |method - gold| over the metrics, one value per seed; its mean is 1 - avg. gap."""
    return differences(rows, gold, metrics).abs().mean(axis=1)


def average_gap(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> float:
    """Return the avg. gap (Eq. 12): 1 minus the mean of `gap_by_metric`. The gold standard itself has 1.

    The original model often has a high avg. gap, so always show PRETRAIN's as well.
    """
    return 1 - float(differences(rows, gold, metrics).abs().mean().mean())


def tug_of_war(rows: pd.DataFrame, gold: pd.DataFrame) -> float:
    """Return ToW (Zhao et al. 2024): the mean over seeds of a product over UA, RA and TA.

        ToW = (1 - |UA - UA_gold|) (1 - |RA - RA_gold|) (1 - |TA - TA_gold|)

    The gold standard itself has 1.
    """
    return float((1 - differences(rows, gold, ("UA", "RA", "TA")).abs()).prod(axis=1).mean())


class Interval(NamedTuple):
    """A mean with its 95 % t-interval and the number of values."""

    mean: float
    low: float
    high: float
    n: int

    def said(self) -> str:
        """Return the interval as pages show it: "+1.2 [-0.3, +2.7]"."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def interval(values: Sequence[float]) -> Interval:
    """Return the mean and 95 % t-interval of independent values, such as differences by seed.

    With one value, the interval is infinite.
    """
    from scipy.special import stdtrit  # the quantile of t, because importing scipy.stats takes a second

    numbers = np.asarray(values, dtype=float)
    mean, n = float(numbers.mean()), len(numbers)
    half = float(stdtrit(n - 1, 0.975) * numbers.std(ddof=1) / n**0.5) if n > 1 else float("inf")
    return Interval(mean, mean - half, mean + half, n)


@cache
def _detectable(n: int) -> float:
    """Return the mean, in standard deviations, that a t-test of n values at 5 % detects with 80 % power."""
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8))


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p-values after Holm's correction for their number."""
    order, corrected = np.argsort(p), np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1)


def verdicts(differences: Mapping[str, Sequence[float]],
             margins: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Return what differences by seed show: one row for each name, in the given order, worded by one rule.

    "higher" or "lower": the two-sided t-test rejects 0 at 5 %, after Holm's correction over all rows. ",
    within the margin" is added if the row is also "equal". "equal": two one-sided tests at 5 % show that the
    mean lies within plus or minus the margin. "not distinguished": none of these; `seen` then tells which
    mean would have been detected.

    Args:
        differences: At least two values for each name, such as a method's minus the gold standard's of the
            same seed.
        margins: For the same names and in the same unit, the largest difference that does not matter, chosen
            before looking at the data. If it is None, or NaN for a row, nothing is "equal".

    Returns:
        mean, low, high: the mean and its 95 % interval, for this row alone. n: the number of values. p: the
            p-value after Holm's correction. seen: the mean that a test of this row alone would detect with 80
            % power, given this spread. margin. verdict.

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
        raise ValueError(f"{name} needs values of at least two seeds for a verdict, got {len(numbers)}.")
    ends, sd, described = interval(values), float(numbers.std(ddof=1)), DescrStatsW(numbers)
    if sd < 1e-12:  # t is 0/0 or infinite, because the mean is known exactly
        p, inside = float(ends.mean == 0), abs(ends.mean) < margin
    else:
        p = float(described.ttest_mean(0)[1])
        inside = bool(margin > 0) and float(described.ttost_mean(-margin, margin)[0]) < 0.05
    return ends._asdict() | {"p": p, "seen": sd * _detectable(ends.n), "margin": margin, "equal": inside}


def _word(row: pd.Series) -> str:
    if row.p < 0.05:
        return ("higher" if row["mean"] > 0 else "lower") + ", within the margin" * bool(row.equal)
    return "equal" if row.equal else "not distinguished"
