"""Runs against the gold standard of the same seed: differences, avg. gap, ToW; intervals over seeds, and the
one rule that words them, `verdicts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from grmu.metrics import METRICS

LEAST_SEEDS = 5  # for an error bar


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


def gap_by_metric(rows: pd.DataFrame, gold: pd.DataFrame) -> pd.Series:
    """Per metric, mean over seeds of |method - gold|: the deltas in brackets in the paper's tables."""
    return differences(rows, gold).abs().mean()


def distance_by_seed(rows: pd.DataFrame, gold: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.Series:
    """Mean |method - gold| over the metrics, one value a seed; averaged over seeds, it is 1 - avg. gap."""
    return differences(rows, gold, metrics).abs().mean(axis=1)


def average_gap(rows: pd.DataFrame, gold: pd.DataFrame) -> float:
    """avg. gap (Eq. 12): 1 minus the mean of `gap_by_metric`. 1 is the gold standard itself.

    Beware: doing nothing often scores high, so show PRETRAIN's beside it.
    """
    return 1 - float(gap_by_metric(rows, gold).mean())


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

    def said(self) -> str:
        """As pages show it: "+1.2 [-0.3, +2.7]"."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % t-interval of independent values, such as differences by seed; infinite for one value."""
    from scipy.special import stdtrit  # the quantile of t; scipy.stats takes a second to import

    numbers = np.asarray(values, dtype=float)
    mean, n = float(numbers.mean()), len(numbers)
    half = float(stdtrit(n - 1, 0.975) * numbers.std(ddof=1) / n**0.5) if n > 1 else float("inf")
    return Interval(mean, mean - half, mean + half, n)


def intervals_of(rows: pd.DataFrame) -> list[str]:
    """Return the intervals of `verdicts`' rows, as pages show them."""
    return [Interval(*row).said() for row in rows[["mean", "low", "high", "n"]].itertuples(index=False)]


def half_width(values: Sequence[float]) -> float:
    """Half of `interval`, as an error bar has it; NaN, which draws none, of fewer than LEAST_SEEDS values."""
    ends = interval(values)
    return ends.high - ends.mean if ends.n >= LEAST_SEEDS else float("nan")


@cache
def _deviations_seen(n: int) -> float:
    """How many standard deviations from 0 a mean of n is found at 5 % in 80 of 100 cases."""
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8))


def holm(p: np.ndarray) -> np.ndarray:
    """p-values (N,) after Holm's correction: the smallest times N, the next times N - 1, ..., never falling.

    As statsmodels' `multipletests`, which collects garbage in each call: a tenth of a second in a notebook.
    """
    order, corrected = p.argsort(), np.empty(len(p))
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return corrected


def verdicts(differences: Mapping[str, Sequence[float]],
             margins: Mapping[str, float] | None = None) -> pd.DataFrame:
    """What differences by seed say: a row each, in the order given, worded by one rule.

    "higher" or "lower": the two-sided t-test rejects 0 at 5 % after Holm's correction over all rows; "...,
    within the margin" if it is also "equal". "equal": two one-sided tests at 5 % put the mean within
    plus or minus the margin. "not distinguished": neither; `seen` is then what would have been found.

    Args:
        differences: at least two values each, such as a method's minus the gold standard's of the same seed.
        margins: by the same names, in the same unit; what is too small to matter, stated before. None, or
            NaN for a row: there is none, and nothing is "equal".

    Returns:
        mean, low, high: with its 95 % interval, of this row alone.  n.  p: after Holm.
        seen: the mean that such a test, alone, finds in 80 of 100 cases at this spread.  margin, verdict.

    Raises:
        ValueError: a row of fewer than two values.  KeyError: one without a margin.
    """
    from statsmodels.stats.weightstats import DescrStatsW

    rows = {}
    for name, values in differences.items():
        numbers = np.asarray(values, dtype=float)
        if len(numbers) < 2:
            raise ValueError(f"{name} has {len(numbers)} value(s): a verdict needs at least two seeds.")
        mean, low, high, n = interval(values)
        sd, described = float(numbers.std(ddof=1)), DescrStatsW(numbers)
        margin = np.nan if margins is None else margins[name]
        if sd < 1e-12:  # t is 0/0 or infinite; such a mean is known exactly
            p, inside = float(mean == 0), abs(mean) < margin
        else:
            p = float(described.ttest_mean(0)[1])
            inside = bool(margin > 0) and float(described.ttost_mean(-margin, margin)[0]) < 0.05
        rows[name] = {"mean": mean, "low": low, "high": high, "n": n, "p": p,
                      "seen": sd * _deviations_seen(n), "margin": margin, "equal": inside}
    columns = ["mean", "low", "high", "n", "p", "seen", "margin", "equal"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table["p"] = holm(table.p.to_numpy())
    table["verdict"] = [_word(row) for _, row in table.iterrows()]
    return table.drop(columns="equal")


def _word(row: pd.Series) -> str:
    if row.p < 0.05:
        return ("higher" if row["mean"] > 0 else "lower") + ", within the margin" * bool(row.equal)
    return "equal" if row.equal else "not distinguished"
