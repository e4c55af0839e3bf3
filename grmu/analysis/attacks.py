"""Attack shadow models, compute intervals, and word the findings.

U-LiRA (Hayes et al. 2024) tests for each sample separately whether a model unlearned it or never saw it. It
fits two Gaussians to the sample's confidences in the other shadow models, and uses them to guess the sample's
state in this one. The loss attack and the paper's forest use one scale for all samples. `judge` bootstraps
over models; `verdict` compares a finding with its positive controls. `excess` and `klom` compare unlearned
models with retrained ones (efficacy).

Arrays have the shape (K, N): K shadow models, N samples. `drawn` (D, K) contains how often each model occurs
in each of D resamples, of which the first is the original set of models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn import metrics

from grmu import data
from grmu.analysis.compare import Interval
from grmu.analysis.shadows import NEVER, SHADOWS, UNLEARNED, UNSEEN, Observations

RATES = (0.01, 0.001)  # false-positive rates at which the true-positive rate is reported
FALSE_ALARMS = 2  # a rate that rests on fewer false positives is not reported
MEASURES = ("AUC", *(f"TPR at {100 * rate:g}% FPR" for rate in RATES))
DRAWS = 200
BINS, EMPTY = 20, 1e-5  # number of bins in KLOM's histograms, and the value of an empty bin
ATTACKS = {"U-LiRA": "confidence", "loss": "loss", "forest": "forest"}  # the observation that each one uses
DETECTED, PASSED, BLIND = "detected", "not detected, though the control is", "cannot tell"


def resampled(n: int) -> np.ndarray:
    """Return how often each of n models occurs in each resample, (1 + DRAWS, n).

    The first row has each model once. The other rows are drawn with replacement.
    """
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), DRAWS)
    return np.concatenate([np.ones((1, n)), drawn])


def intervals(values: np.ndarray, n: int) -> list[Interval]:
    """Return 95 % bootstrap intervals of measures.

    Args:
        values: (1 + DRAWS, M) measures. The first row gives the estimates, and the standard deviation of the
            other rows gives the width.
        n: Number of models.
    """
    with np.errstate(invalid="ignore"):
        half = stats.norm.ppf(0.975) * np.array([np.nanstd(v, ddof=1) if np.isfinite(v).any() else np.nan
                                                 for v in values[1:].T])
    return [Interval(float(value), float(value - h), float(value + h), n)
            for value, h in zip(values[0], half, strict=True)]


def verdict(auc: Interval, controls: Sequence[Interval], chance: float = 0.5) -> str:
    """Return what an attack's AUC shows.

    Args:
        auc: The AUC of the attack on unlearned samples.
        controls: AUCs of the positive controls.
        chance: The AUC of a guess.

    Returns:
        DETECTED if the interval lies above chance. PASSED if it does not, but the intervals of all controls
            do, so the attack was able to detect something. Otherwise BLIND: the audit is inconclusive.
    """
    if auc.low > chance:
        return DETECTED
    return PASSED if controls and all(control.low > chance for control in controls) else BLIND


def would_be_seen(auc: Interval, chance: float = 0.5) -> float:
    """Return the AUC that would be detected with 80 % power, given an interval as wide as this one."""
    return chance + (1 + stats.norm.ppf(0.8) / stats.norm.ppf(0.975)) * (auc.high - auc.low) / 2


def likelihood_ratios(confidence: np.ndarray, status: np.ndarray, positive: int = UNLEARNED,
                      drawn: np.ndarray | None = None) -> np.ndarray:
    """Return the log likelihood ratio of "positive" against "never seen", for each model and sample.

        log N(c; mean where positive) - log N(c; mean where never seen)

    The two means of a sample come from its confidences c in all *other* shadow models, so no model
    contributes to its own score, and neither do its copies in a resample. All samples share one variance, as
    Carlini et al. (2022) recommend for few shadow models.

    Args:
        confidence: (K, N) confidences.
        status: (K, N) statuses.
        positive: The status to detect.
        drawn: (K,) how often each model is counted; None counts each once.

    Returns:
        (K, N), NaN if a sample has neither status or if fewer than two other models have one of them.
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
    with np.errstate(divide="ignore", invalid="ignore"):  # the spread may be 0, but then nothing is usable
        ratio = ((confidence - means[1]) ** 2 - (confidence - means[0]) ** 2) * n_all / (2 * spread)
    return np.where(usable, ratio, np.nan)


def curve(seen: Observations, attack: str, positive: int, often: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the false- and true-positive rates at each threshold, over all models and samples.

    Args:
        seen: Observations of shadow models.
        attack: One of ATTACKS.
        positive: The status to distinguish from never seen.
        often: (K,) how often each model is counted.

    Returns:
        Two arrays, which are empty if one of the two statuses does not occur.
    """
    scores = getattr(seen, ATTACKS[attack])
    if attack == "U-LiRA":
        scores = likelihood_ratios(scores, seen.status, positive, often)
    taken = np.isin(seen.status, (positive, NEVER)) & ~np.isnan(scores) & (often[:, None] > 0)
    truth = seen.status[taken] == positive
    if truth.all() or not truth.any():
        return np.empty(0), np.empty(0)
    weight = np.broadcast_to(often[:, None], taken.shape)[taken]
    false, true, _ = metrics.roc_curve(truth, scores[taken], sample_weight=weight, drop_intermediate=False)
    return false, true


def measured(seen: Observations, attack: str, positive: int, drawn: np.ndarray) -> np.ndarray:
    """Return the MEASURES of an attack in each resample, (D, M); NaN where too few models are left."""
    n_never = int((seen.status == NEVER).sum())
    rates = [rate if too_few(n_never, rate) is None else np.nan for rate in RATES]
    measures = np.full((len(drawn), len(MEASURES)), np.nan)
    for row, often in zip(measures, drawn, strict=True):
        false, true = curve(seen, attack, positive, often)
        if len(false):
            found = [true[false <= rate].max() if rate == rate else np.nan for rate in rates]
            row[:] = [metrics.auc(false, true), *found]
    return measures


def too_few(n_never: int, rate: float) -> str | None:
    """Return why the true-positive rate at this false-positive rate is not reported, or None if it is."""
    needed = round(FALSE_ALARMS / rate)
    return None if n_never >= needed else (
        f"The TPR at {100 * rate:g}% FPR is not reported, because it would rest on fewer than {FALSE_ALARMS} "
        f"false positives. It needs {needed:,} observations of samples never seen, got {n_never:,}: use more "
        "shadow models.")


def judge(seen: Observations, attack: str = "U-LiRA", positive: int = UNLEARNED,
          drawn: np.ndarray | None = None) -> dict[str, Interval]:
    """Return how well an attack distinguishes a status from never seen, over all models and samples.

    The 95 % intervals are bootstrapped over models, because the samples of one model are not independent: the
    attack is fitted and evaluated again on models drawn with replacement.

    Args:
        seen: Observations of shadow models.
        attack: One of ATTACKS.
        positive: The status to detect.
        drawn: (D, K) resamples of the models; None uses `resampled`.

    Returns:
        The MEASURES: the AUC, and the true-positive rate at each of the `RATES`, NaN if `too_few` samples
            were never seen.

    Raises:
        ValueError: The attack is unknown, or there are too few shadow models.
    """
    data.known("attack", attack, ATTACKS)
    measures = measured(seen, attack, positive, resampled(len(seen.status)) if drawn is None else drawn)
    if np.isnan(measures[0, 0]):
        raise ValueError(f"{len(seen.status)} shadow models are too few, because the attack needs, for some "
                         "sample, two other models that unlearned it and two that never saw it. Use "
                         f"{SHADOWS} models, or at least 12 for a first look.")
    return {name: clipped(i, 0, 1) for name, i in zip(MEASURES, intervals(measures, len(seen.status)),
                                                     strict=True)}


def clipped(ends: Interval, lowest: float, highest: float) -> Interval:
    """Return the interval with its ends clipped to the possible range."""
    low, high = np.clip([ends.low, ends.high], lowest, highest)
    return ends._replace(low=float(low), high=float(high))


def excess(both: Observations, positive: int, drawn: np.ndarray) -> Interval:
    """Return U-LiRA's AUC between models and gold standards, minus the AUC on samples that neither saw.

    The difference is what remains after the general differences between the two sets of models are removed.

    Args:
        both: As returned by `shadows.beside_retrained`.
        positive: The status of the samples.
        drawn: (D, 2 K) resamples.
    """
    of_these, of_others = (measured(both, "U-LiRA", kind, drawn)[:, :1] for kind in (positive, UNSEEN))
    return intervals(of_these - of_others, len(both.status) // 2)[0]


def mean_klom(both: Observations, positive: int, drawn: np.ndarray) -> Interval:
    """Return the mean `klom` over the samples for which at least two models of each kind are available.

    It is above 0 even if the models are equal, because there are few of them.

    Args:
        both: As in `excess`.
        positive: As in `excess`.
        drawn: As in `excess`.

    Raises:
        ValueError: There is no such sample.
    """
    by_sample = []
    for status, confidence in zip(both.status.T, both.confidence.T, strict=True):
        ours, theirs = (np.flatnonzero(status == kind) for kind in (positive, NEVER))
        if min(len(ours), len(theirs)) >= 2:
            by_sample.append(klom(confidence[ours], confidence[theirs], drawn[:, np.r_[ours, theirs]]))
    n_models = len(both.status) // 2
    data.require(by_sample, f"{n_models} shadow models are too few, because no sample was unlearned by two "
                 "of them and never seen by two gold standards: use more.")
    return clipped(intervals(np.nanmean(by_sample, 0)[:, None], n_models)[0], 0, np.inf)


def klom(unlearned: np.ndarray, retrained: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
    """Return the KL divergence of margins (Georgiev et al. 2024), KL(unlearned || retrained), in nats.

    The margin is the logit of the correct class minus the logsumexp of the others, which is our confidence.
    The histograms have 20 bins over the joint range of both sets, clipped at ±100. Where only unlearned
    models fill a bin, the retrained models' probability is set to 1e-5.

    Args:
        unlearned: (n,) margins.
        retrained: (m,) margins.
        drawn: (D, n + m) resamples; None uses each model once.

    Returns:
        (D,) divergences.
    """
    values = np.clip(np.concatenate([unlearned, retrained]), -100, 100)
    edges = np.histogram_bin_edges(values, BINS)
    which = np.clip(np.searchsorted(edges, values, "right") - 1, 0, BINS - 1)
    drawn = np.ones((1, len(values))) if drawn is None else drawn
    n = len(unlearned)
    p, q = (drawn[:, part] @ np.eye(BINS)[which[part]] for part in (slice(n), slice(n, None)))
    with np.errstate(invalid="ignore"):
        p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    return stats.entropy(p, np.where(p > 0, np.maximum(q, EMPTY), q), axis=1)
