"""Efficacy: does an unlearned model answer for the forgotten as one that was trained without them?

Another question than privacy (RULI, Naderloui et al. 2025, keeps the two apart). Per sample, the confidences
of the models that unlearned it are held against those of gold standards that never saw it: by the attack of
`grmu.analysis.attacks` on `shadows.beside_retrained`, and by two published distances. A model that was
trained otherwise answers otherwise for everybody, so `excess` subtracts those whom neither model ever saw.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from grmu.analysis.attacks import clipped, intervals, measured
from grmu.analysis.compare import Interval
from grmu.analysis.shadows import NEVER, UNSEEN, Observations

DIFFERENCES = ("epsilon", "H", "KLOM")
DELTA, MOST = 1e-5, 50.0  # of epsilon
WIDTH, BINS, EMPTY = 0.5, 20, 1e-5  # of H's bins; KLOM's bins, and what an empty one holds


def epsilon(unlearned: np.ndarray, retrained: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
    """How far a sample's confidences (n,) in unlearned models can be told from those (m,) in retrained ones.

    The epsilon of the NeurIPS 2023 unlearning challenge (Triantafillou et al. 2024; google-deepmind/
    unlearning_evaluation): the largest, over attacks, of log(1 - delta - FPR) - log FNR and the same with FPR
    and FNR exchanged; delta is 1e-5. Attacks are all thresholds, with the larger median above, and all
    ranges, with the narrower sample inside; theirs are a grid of both. One that errs on one side alone does
    not count: there are too few models to say how rarely it errs on the other. One that never errs makes 50,
    the most, and so does a sample 100 times as narrow as the other.

    Returns:
        (D,): in each resample of the n + m models.
    """
    values = np.concatenate([unlearned, retrained])
    order = np.argsort(values, kind="stable")
    ours = np.arange(len(values)) < len(unlearned)
    drawn = np.ones((1, len(values))) if drawn is None else drawn
    narrow, wide = sorted([unlearned, retrained], key=np.ptp)
    if np.ptp(narrow) < 0.01 * np.ptp(wide):
        return np.full(len(drawn), MOST)
    edges = np.r_[True, np.diff(values[order]) > 0, True]  # between equal values there is no threshold
    below = {}
    for name, side in ((True, ours), (False, ~ours)):
        count = np.cumsum((drawn * side)[:, order], 1)
        below[name] = np.pad(count, ((0, 0), (1, 0)))[:, edges], count[:, -1]
    above = np.median(unlearned) >= np.median(retrained)
    i, j = np.triu_indices(edges.sum(), 1)
    with np.errstate(invalid="ignore"):  # a resample without a model of one kind
        (mine, n), (theirs, m) = below[above], below[not above]
        outside = _epsilon((m[:, None] - theirs) / m[:, None], mine / n[:, None])
        (mine, n), (theirs, m) = below[narrow is unlearned], below[narrow is not unlearned]
        inside = _epsilon((theirs[:, j] - theirs[:, i]) / m[:, None],
                          (n[:, None] - mine[:, j] + mine[:, i]) / n[:, None])
    return np.where((n > 0) & (m > 0), np.maximum(outside, inside), np.nan)


def _epsilon(false_positives: np.ndarray, false_negatives: np.ndarray) -> np.ndarray:
    """The largest epsilon of attacks (D, T): (D,)."""
    fpr, fnr = false_positives, false_negatives
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.fmax(np.log(1 - DELTA - fpr) - np.log(fnr), np.log(1 - DELTA - fnr) - np.log(fpr))
    largest = np.where(fpr + fnr == 0, MOST, np.where(fpr * fnr == 0, 0, largest))
    return np.clip(np.nan_to_num(largest).max(1), 0, MOST)


def points(epsilons: np.ndarray, n_models: int) -> np.ndarray:
    """The challenge's H of epsilons: 1 below 0.5, half of it for each 0.5 more, and 0 from the whole number
    above log(n - 1) on, the most that n models can show."""
    return np.where(epsilons < np.ceil(np.log(n_models - 1)), 0.5 ** np.floor(epsilons / WIDTH), 0.0)


def klom(unlearned: np.ndarray, retrained: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
    """KL divergence of margins (Georgiev et al. 2024): KL(unlearned || retrained) of histograms, in nats.

    The margin is the right class's logit minus the others' logsumexp: our confidence. 20 bins over what both
    together range over, clipped at +-100; a bin that only unlearned models fill counts as 1e-5 retrained.

    Returns:
        (D,): in each resample of the n + m models.
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


def differ(both: Observations, positive: int, drawn: np.ndarray) -> dict[str, Interval]:
    """DIFFERENCES of models `beside_retrained` ones: the median epsilon of the samples, the means of H (the
    challenge's forgetting quality, 1 is best) and of KLOM; with bootstrapped intervals as of `attacks.judge`.

    Epsilon and KLOM lie above 0 and H below 1 even for equal models, the more so the fewer there are: read
    them beside the gold standard's.

    Raises:
        ValueError: no sample has two models of each kind.
    """
    by_sample = []
    for status, c in zip(both.status.T, both.confidence.T, strict=True):
        ours, theirs = (np.flatnonzero(status == kind) for kind in (positive, NEVER))
        if min(len(ours), len(theirs)) >= 2:
            given = c[ours], c[theirs], drawn[:, np.r_[ours, theirs]]
            eps = epsilon(*given)
            by_sample.append([eps, points(eps, min(len(ours), len(theirs))), klom(*given)])
    if not by_sample:
        raise ValueError(f"{len(both.status) // 2} shadow models are too few: a sample must be unlearned in "
                         "two of them and never seen by two gold standards.")
    eps, h, kl = np.moveaxis(np.array(by_sample), 1, 0)
    values = np.stack([np.nanmedian(eps, 0), np.nanmean(h, 0), np.nanmean(kl, 0)], 1)
    limits = ((0, MOST), (0, 1), (0, np.inf))
    return {name: clipped(i, *limit) for name, i, limit in
            zip(DIFFERENCES, intervals(values, len(both.status) // 2), limits, strict=True)}


def excess(both: Observations, positive: int, drawn: np.ndarray) -> Interval:
    """By how much U-LiRA's AUC between the models and gold standards is higher for these samples than for
    those that neither saw: what is left once models differ for everybody."""
    of_these, of_others = (measured(both, "U-LiRA", kind, drawn)[:, :1] for kind in (positive, UNSEEN))
    return intervals(of_these - of_others, len(both.status) // 2)[0]
