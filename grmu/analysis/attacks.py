"""Attacks on shadow models, their intervals, and the one way to say what they found.

U-LiRA (Hayes et al. 2024) asks of each sample by itself whether a model unlearned it or never saw it: two
Gaussians, fitted to the other shadows, guess its state in one. The loss and the paper's forest have one scale
for all. `judge` bootstraps over models; `verdict` holds a finding against controls that must be found.

Arrays are (K, N): K shadow models, N samples. `drawn` (D, K) says how often each model occurs in each of D
resamples; the first is the models as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from grmu import data
from grmu.analysis.compare import Interval
from grmu.analysis.shadows import NEVER, SHADOWS, UNLEARNED, Observations

RATES = (0.01, 0.001)  # false positives at which an attack's true positives are reported
FALSE_ALARMS = 2  # that a rate must rest on, else there is no number
MEASURES = ("AUC", *(f"TPR at {100 * rate:g}% FPR" for rate in RATES))
DRAWS = 200
DETECTED, PASSED, BLIND = "detected", "not detected, though the control is", "cannot tell"


def resampled(n: int) -> np.ndarray:
    """How often each of n models occurs, (1 + DRAWS, n): as they are, then drawn with replacement."""
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), DRAWS)
    return np.concatenate([np.ones((1, n)), drawn])


def intervals(values: np.ndarray, n: int) -> list[Interval]:
    """Of measures (1 + DRAWS, M) of n models: the first row, and 1.96 standard deviations of the others."""
    with np.errstate(invalid="ignore"):
        half = stats.norm.ppf(0.975) * np.array([np.nanstd(v, ddof=1) if np.isfinite(v).any() else np.nan
                                                 for v in values[1:].T])
    return [Interval(float(value), float(value - h), float(value + h), n)
            for value, h in zip(values[0], half, strict=True)]


def verdict(auc: Interval, controls: Sequence[Interval], chance: float = 0.5) -> str:
    """What an attack's AUC says: DETECTED if its interval lies above chance; PASSED if it does not, but those
    of all controls do, so that the attack had power; else BLIND, which is not "forgotten"."""
    if auc.low > chance:
        return DETECTED
    return PASSED if controls and all(control.low > chance for control in controls) else BLIND


def would_be_seen(auc: Interval, chance: float = 0.5) -> float:
    """The AUC that would be detected in 80 of 100 cases with an interval as wide as this one."""
    return chance + (1 + stats.norm.ppf(0.8) / stats.norm.ppf(0.975)) * (auc.high - auc.low) / 2


def likelihood_ratios(confidence: np.ndarray, status: np.ndarray, positive: int = UNLEARNED,
                      drawn: np.ndarray | None = None) -> np.ndarray:
    """log N(c; mean where positive) - log N(c; mean where never seen), of each shadow and sample, (K, N).

    Each sample has two means, from its confidences in all *other* shadows, so that no shadow is judged by
    itself, nor by its copies where models are `drawn` (K,); all share one variance (Carlini et al. 2022
    advise so for few shadows). NaN where a sample is of neither status, or fewer than two other shadows are
    of one of them.
    """
    often = np.ones((len(status), 1)) if drawn is None else drawn[:, None]
    means, counts, spread, n_all = [], [], 0.0, 0.0
    for kind in (positive, NEVER):
        here = (status == kind) * often
        total, n = (here * confidence).sum(0), here.sum(0)
        spread += (here * (confidence - total / np.maximum(n, 1)) ** 2).sum()
        n_all += np.maximum(n - 1, 0).sum()
        means.append((total - here * confidence) / np.maximum(n - here, 1))
        counts.append(n - here)
    usable = (np.minimum(*counts) >= 2) & np.isin(status, (positive, NEVER))
    with np.errstate(divide="ignore", invalid="ignore"):  # too few models vary: nothing is usable
        ratio = ((confidence - means[1]) ** 2 - (confidence - means[0]) ** 2) * n_all / (2 * spread)
    return np.where(usable, ratio, np.nan)


def as_they_are(scores: np.ndarray, status: np.ndarray, positive: int, drawn: np.ndarray) -> np.ndarray:
    """The scores of an attack that has nothing to fit."""
    return scores


ATTACKS: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "U-LiRA": ("confidence", likelihood_ratios), "loss": ("loss", as_they_are),
    "forest": ("forest", as_they_are)}


def curve(seen: Observations, attack: str = "U-LiRA", positive: int = UNLEARNED,
          drawn: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """False and true positives at every threshold, over all shadows and samples; empty if one has no case.

    Raises:
        ValueError: an unknown attack.
    """
    data.known("attack", attack, ATTACKS)
    column, fit = ATTACKS[attack]
    often = np.ones(len(seen.status)) if drawn is None else drawn
    scores = fit(getattr(seen, column), seen.status, positive, often)
    taken = np.isin(seen.status, (positive, NEVER)) & ~np.isnan(scores) & (often[:, None] > 0)
    truth = seen.status[taken] == positive
    if truth.all() or not truth.any():
        return np.empty(0), np.empty(0)
    # scikit-learn's roc_curve to the last bit, without its checks, which took most of the time of a bootstrap
    order = np.argsort(-scores[taken], kind="stable")
    scores, truth = scores[taken][order], truth[order]
    weight = np.broadcast_to(often[:, None], taken.shape)[taken][order]
    last = np.r_[np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1]  # equal ones: one threshold
    false, true = (np.r_[0.0, np.cumsum(weight * side)[last]] for side in (~truth, truth))
    return false / false[-1], true / true[-1]


def measured(seen: Observations, attack: str, positive: int, drawn: np.ndarray) -> np.ndarray:
    """The MEASURES of an attack in each resample, (D, M); NaN where too few models are left."""
    n_never = int((seen.status == NEVER).sum())
    rates = [rate if too_few(n_never, rate) is None else np.nan for rate in RATES]
    measures = np.full((len(drawn), len(MEASURES)), np.nan)
    for row, often in zip(measures, drawn, strict=True):
        false, true = curve(seen, attack, positive, often)
        if len(false):
            area = (np.diff(false) * (true[1:] + true[:-1]) / 2).sum()
            row[:] = [area, *(true[false <= r].max() if r == r else np.nan for r in rates)]
    return measures


def too_few(n_never: int, rate: float) -> str | None:
    """Why there are no true positives at that rate of false ones, or None if there are."""
    needed = round(FALSE_ALARMS / rate)
    return None if n_never >= needed else (
        f"No true positives at {100 * rate:g} % false ones: they would rest on fewer than {FALSE_ALARMS} "
        f"false alarms. That takes {needed:,} answers about pictures never seen, and there are {n_never:,}: "
        "more shadow models bring more.")


def judge(seen: Observations, attack: str = "U-LiRA", positive: int = UNLEARNED,
          drawn: np.ndarray | None = None) -> dict[str, Interval]:
    """How well an attack tells a status from never seen, over all shadows and samples.

    Returns:
        The MEASURES: AUC, and the true positives at each of the `RATES`, NaN if `too_few` were never seen.

    The 95 % intervals are bootstrapped over models, since the samples of one model are not independent: the
    attack is fitted and judged anew on models drawn with replacement (`drawn`, else as of `resampled`).

    Raises:
        ValueError: an unknown attack, or too few shadow models.
    """
    data.known("attack", attack, ATTACKS)
    measures = measured(seen, attack, positive, resampled(len(seen.status)) if drawn is None else drawn)
    if np.isnan(measures[0, 0]):
        raise ValueError(f"{len(seen.status)} shadow models are too few: a sample is judged by two others "
                         "that unlearned it and two that never saw it, and none has as many. Take "
                         f"{SHADOWS}, or at least 12 to look.")
    return {name: clipped(i, 0, 1) for name, i in zip(MEASURES, intervals(measures, len(seen.status)),
                                                     strict=True)}


def clipped(ends: Interval, lowest: float, highest: float) -> Interval:
    """An interval within what is possible."""
    low, high = np.clip([ends.low, ends.high], lowest, highest)
    return ends._replace(low=float(low), high=float(high))


def change(before: Observations, after: Observations, positive: int) -> dict[str, Interval]:
    """U-LiRA's MEASURES after minus before, of shadow models on the same halves, which are drawn together."""
    drawn = resampled(len(before.status))
    measures = [measured(seen, "U-LiRA", positive, drawn) for seen in (after, before)]
    return dict(zip(MEASURES, intervals(measures[0] - measures[1], len(before.status)), strict=True))


def exposure(seen: Observations, positive: int = UNLEARNED) -> np.ndarray:
    """How far each sample's confidence where `positive` lies above where it was never seen, (2, N).

    In standard deviations, once from the even and once from the odd shadows: who looks most exposed in one
    half should be looked up in the other.
    """
    both = []
    for start in (0, 1):
        status, c = seen.status[start::2], seen.confidence[start::2]
        values = [np.where(status == k, c, np.nan) for k in (positive, NEVER)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a sample that no shadow of this half has: NaN
            centred = [v - np.nanmean(v, 0) for v in values]
            gap = np.nanmean(values[0], 0) - np.nanmean(values[1], 0)
            both.append(gap / np.nanstd(np.concatenate(centred)))
    return np.array(both)
