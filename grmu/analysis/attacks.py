"""Attacks on shadow models, with intervals, and the rule that words their findings.

U-LiRA (Hayes et al. 2024) asks of each sample by itself whether a model unlearned it or never saw it: two
Gaussians, fitted to the other shadows, guess its state in one. The loss and the paper's forest have one scale
for all samples. `judge` bootstraps over models; `verdict` compares a finding with its positive controls.
`excess` and `klom` compare unlearned models with retrained ones (efficacy).

Arrays are (K, N): K shadow models, N samples. `drawn` (D, K) says how often each model occurs in each of D
resamples; the first is the models as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn import metrics

from grmu import data
from grmu.analysis.compare import Interval
from grmu.analysis.shadows import NEVER, SHADOWS, UNLEARNED, UNSEEN, Observations

RATES = (0.01, 0.001)  # false positives at which an attack's true positives are reported
FALSE_ALARMS = 2  # that a rate must rest on, else there is no number
MEASURES = ("AUC", *(f"TPR at {100 * rate:g}% FPR" for rate in RATES))
DRAWS = 200
BINS, EMPTY = 20, 1e-5  # of KLOM's histograms, and what an empty bin holds
ATTACKS = {"U-LiRA": "confidence", "loss": "loss", "forest": "forest"}  # and what each looks at
DETECTED, PASSED, BLIND = "detected", "not detected, though the control is", "cannot tell"


def resampled(n: int) -> np.ndarray:
    """Return how often each of n models occurs, (1 + DRAWS, n): as they are, then drawn with replacement."""
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), DRAWS)
    return np.concatenate([np.ones((1, n)), drawn])


def intervals(values: np.ndarray, n: int) -> list[Interval]:
    """Return intervals of measures (1 + DRAWS, M) of n models: the first row ± 1.96 sd of the other rows."""
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
    """Return the AUC that would be detected with 80 % power, given an interval as wide as this one."""
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


def curve(seen: Observations, attack: str, positive: int, often: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positives at every threshold, over all shadows and samples; empty without cases.

    Args:
        seen: What shadow models say.
        attack: One of ATTACKS.
        positive: The status to be told from never seen.
        often: (K,) how often each model is counted.
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
    """Return why there are no true positives at that rate of false ones, or None if there are."""
    needed = round(FALSE_ALARMS / rate)
    return None if n_never >= needed else (
        f"No true positives at {100 * rate:g} % false ones: they would rest on fewer than {FALSE_ALARMS} "
        f"false alarms. That takes {needed:,} answers about pictures never seen, and there are {n_never:,}: "
        "more shadow models bring more.")


def judge(seen: Observations, attack: str = "U-LiRA", positive: int = UNLEARNED,
          drawn: np.ndarray | None = None) -> dict[str, Interval]:
    """Return how well an attack distinguishes a status from never seen, over all shadows and samples.

    The 95 % intervals are bootstrapped over models, since the samples of one model are not independent: the
    attack is fitted and judged again on models drawn with replacement.

    Args:
        seen: What shadow models say.
        attack: One of ATTACKS.
        positive: The status that is to be detected.
        drawn: (D, K) resamples of the models; None is `resampled`.

    Returns:
        The MEASURES: AUC, and the true positives at each of the `RATES`, NaN if `too_few` were never seen.

    Raises:
        ValueError: The attack is unknown, or there are too few shadow models.
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
    """Return an interval within what is possible."""
    low, high = np.clip([ends.low, ends.high], lowest, highest)
    return ends._replace(low=float(low), high=float(high))


def excess(both: Observations, positive: int, drawn: np.ndarray) -> Interval:
    """Return how much higher U-LiRA's AUC between models and gold standards is for these samples than for
    samples that neither saw: what is left once models differ for everybody.

    Args:
        both: As of `shadows.beside_retrained`.
        positive: The samples' status.
        drawn: (D, 2 K) resamples.
    """
    of_these, of_others = (measured(both, "U-LiRA", kind, drawn)[:, :1] for kind in (positive, UNSEEN))
    return intervals(of_these - of_others, len(both.status) // 2)[0]


def mean_klom(both: Observations, positive: int, drawn: np.ndarray) -> Interval:
    """Return the mean `klom` of samples that at least two models of each kind answered; for arguments, see
    `excess`. It is above 0 even for equal models, since these are few.

    Raises:
        ValueError: There is no such sample.
    """
    by_sample = []
    for status, confidence in zip(both.status.T, both.confidence.T, strict=True):
        ours, theirs = (np.flatnonzero(status == kind) for kind in (positive, NEVER))
        if min(len(ours), len(theirs)) >= 2:
            by_sample.append(klom(confidence[ours], confidence[theirs], drawn[:, np.r_[ours, theirs]]))
    n_models = len(both.status) // 2
    data.require(by_sample, f"{n_models} shadow models are too few: a sample must be unlearned in two of "
                 "them and never seen by two gold standards.")
    return clipped(intervals(np.nanmean(by_sample, 0)[:, None], n_models)[0], 0, np.inf)


def klom(unlearned: np.ndarray, retrained: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
    """Return the KL divergence of margins (Georgiev et al. 2024) in nats, KL(unlearned || retrained).

    The margin is the right class's logit minus the others' logsumexp: our confidence. Histograms have 20 bins
    over the range of both together, clipped at +-100; a bin that only unlearned models fill counts as 1e-5.

    Args:
        unlearned: (n,) margins.
        retrained: (m,) margins.
        drawn: (D, n + m) resamples; None is the models as they are.

    Returns:
        (D,)
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
