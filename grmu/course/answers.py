"""Answer the exercises; the lessons use these functions until students have written their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from grmu.analysis.attacks import BLIND
from grmu.analysis.compare import Interval
from grmu.backbones import pooled
from grmu.reweight import draw_epoch, group_weights

Fit = Callable[[Tensor, Tensor], Any]  # from pictures and targets to a trained model
Ends = tuple[float, float]  # the two ends of an interval


# --- lessons 01, 02, 08 and 10 ------------------------------------------------------------------------------


def retrain(fit: Fit, x: Tensor, y: Tensor, group: Tensor, g: int, ratio: float, seed: int) -> Any:
    """Train on everyone except a random fraction `ratio` of group g, and return the model from `fit`."""
    members = (group == g).nonzero().flatten()
    return _without(fit, x, y, members, round(ratio * len(members)), seed)


def retrain_even(fit: Fit, x: Tensor, y: Tensor, group: Tensor, g: int, ratio: float, seed: int) -> Any:
    """Train without as many samples as `retrain` forgets, drawn from everyone; return the model."""
    return _without(fit, x, y, torch.arange(len(group)), round(ratio * int((group == g).sum())), seed)


def _without(fit: Fit, x: Tensor, y: Tensor, rows: Tensor, n: int, seed: int) -> Any:
    retained, rng = torch.ones(len(y), dtype=torch.bool), torch.Generator().manual_seed(seed)
    retained[rows[torch.randperm(len(rows), generator=rng)[:n]]] = False
    return fit(x[retained], y[retained])


def sample_epoch(train_counts: Tensor, retain_group: Tensor, rng: torch.Generator) -> Tensor:
    """Draw one epoch of the retain set with REWEIGHT.

    Args:
        train_counts: (n_groups,) number of samples per group before forgetting.
        retain_group: (N,) group of each retained sample.
        rng: The generator for the draws.

    Returns:
        (N,) row numbers of the retain set.
    """
    alpha = group_weights(train_counts, retain_group.bincount(minlength=len(train_counts)))
    weights = alpha[retain_group]
    return draw_epoch(len(retain_group), weights / weights.sum(), rng)


def masked_mean(z: Tensor, ids: Tensor) -> Tensor:
    """Average (B, L, d) vectors over the tokens whose (B, L) ids are not padding."""
    return pooled(ids[:, None], z)


def pair_weights(train_group: Tensor, retain_group: Tensor, n_groups: int) -> Tensor:
    """Return REWEIGHT's weights, (M,), from the groups of all (N,) and of the retained (M,) samples."""
    before, left = (group.bincount(minlength=n_groups) for group in (train_group, retain_group))
    return group_weights(before, left)[retain_group]


def share_recovered(before: np.ndarray, without: np.ndarray, with_weights: np.ndarray,
                    rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the share of the lost accuracy that REWEIGHT recovers, and its 95 % interval.

    Args:
        before: (n_seeds,) accuracies of the original model.
        without: (n_seeds,) accuracies without REWEIGHT.
        with_weights: (n_seeds,) accuracies with REWEIGHT.
        rng: The generator for the bootstrap, which draws the same seeds for all three.

    Returns:
        The share and the two ends of its interval.
    """
    draws = rng.integers(len(before), size=(10_000, len(before)))
    lost, gained = before - without, with_weights - without
    low, high = np.percentile(gained[draws].mean(1) / lost[draws].mean(1), [2.5, 97.5])
    return gained.mean() / lost.mean(), low, high


def margin_shift(before: Tensor, left: Tensor) -> Tensor:
    """Return how far the margin of class 1 over class 0 moves for each attribute value, in nats.

    Args:
        before: (2, n_attributes) number of samples per group before forgetting, above 0.
        left: (2, n_attributes) number of samples per group after forgetting, above 0.
    """
    change = (left.double() / before.double()).log()
    return change[1] - change[0]


def retain_share(counts: Sequence[int] | Tensor, g: int, ratio: float) -> float:
    """Return group g's fraction of the retain set after a fraction `ratio` of the group is forgotten."""
    left = (1 - ratio) * float(counts[g])
    return left / (float(sum(counts)) - float(counts[g]) + left)


def adjusted(logits: Tensor, a: Tensor, alpha: Tensor) -> Tensor:
    """Restore the original prior by adding log alpha to each logit.

    Args:
        logits: (N, n_classes) logits of a model that was trained on the retain set.
        a: (N,) attribute values.
        alpha: (n_classes, n_attributes) weights of REWEIGHT, all above 0.
    """
    return logits + alpha.to(logits).log()[:, a].T


# --- lessons 09 and 11 --------------------------------------------------------------------------------------


def labels_needed(share: float, k: int, sure: float) -> int:
    """Return how many labels are needed to find k members of a group with probability `sure`.

    Args:
        share: The group's share of the samples that can be labelled.
        k: The number of members that are needed.
        sure: The probability, below 1.
    """
    from scipy.stats import binom

    n = k
    while binom.sf(k - 1, n, share) < sure:
        n += 1
    return n


def points_lost(margins: Tensor, before: Tensor, left: Tensor) -> float:
    """Predict how many percentage points of accuracy a group loses, from the original model alone.

    Args:
        margins: (N,) logit of the right class minus that of the other, for test pictures of the group.
        before: (2,) training pictures of the other class and of the group's class on the group's background.
        left: (2,) the same counts after forgetting.
    """
    kept = left / before
    moved = margins + (kept[1] / kept[0]).log()
    return 100 * ((margins > 0).float() - (moved > 0).float()).mean().item()


def choose(table: pd.DataFrame, hours: float) -> str:
    """Return the method within the budget whose conclusive audit has the lowest AUC.

    Args:
        table: One row per method with its hours, the AUC of its audit (NaN if there is none) and its verdict.
        hours: The budget in hours.
    """
    judged = table[(table.hours <= hours) & table.AUC.notna() & (table.audit != BLIND)]
    return str(judged.AUC.idxmin())


def promise(retrained: bool, forgotten: Ends | None, controls: Sequence[Ends]) -> str:
    """Return what we can promise: "exact", "detected", "passed" or "cannot tell".

    Args:
        retrained: Whether the model was retrained without the forget set.
        forgotten: The interval of an attack's AUC on the forget set; None if there was no attack.
        controls: The intervals for people whom the attack should detect.
    """
    powerful = bool(controls) and all(low > 0.5 for low, _ in controls)
    if retrained or forgotten is None:
        return "exact" if retrained else "cannot tell"
    return "detected" if forgotten[0] > 0.5 else "passed" if powerful else "cannot tell"


def auc_interval(members: Tensor, never: Tensor, draws: int = 1000) -> Interval:
    """Return the AUC of an attack by confidence, with a 95 % bootstrap interval.

    Args:
        members: (n,) confidences of the model for the people whom the attack should identify.
        never: (m,) confidences for people whom the model never saw.
        draws: The number of bootstrap samples.
    """
    wins = ((members[:, None] > never) + 0.5 * (members[:, None] == never)).numpy()
    rng = np.random.default_rng(0)
    ours, theirs = (rng.multinomial(n, np.full(n, 1 / n), draws) / n for n in wins.shape)
    low, high = np.quantile(((ours @ wins) * theirs).sum(1), [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high), len(members))
