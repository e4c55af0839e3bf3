"""Our answers to exercises, which the lessons use until students have written theirs."""

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

Fit = Callable[[Tensor, Tensor], Any]  # pictures and targets -> a trained model
Ends = tuple[float, float]  # of an interval


# --- lessons 01, 02, 08 and 10 ------------------------------------------------------------------------------


def retrain(fit: Fit, x: Tensor, y: Tensor, group: Tensor, g: int, ratio: float, seed: int) -> Any:
    """Return what `fit` makes of everyone except a random fraction `ratio` of group g."""
    members = (group == g).nonzero().flatten()
    return _without(fit, x, y, members, round(ratio * len(members)), seed)


def retrain_even(fit: Fit, x: Tensor, y: Tensor, group: Tensor, g: int, ratio: float, seed: int) -> Any:
    """Return what `fit` makes of everyone except as many samples as `retrain` forgets, drawn from all."""
    return _without(fit, x, y, torch.arange(len(group)), round(ratio * int((group == g).sum())), seed)


def _without(fit: Fit, x: Tensor, y: Tensor, rows: Tensor, n: int, seed: int) -> Any:
    retained, rng = torch.ones(len(y), dtype=torch.bool), torch.Generator().manual_seed(seed)
    retained[rows[torch.randperm(len(rows), generator=rng)[:n]]] = False
    return fit(x[retained], y[retained])


def sample_epoch(train_counts: Tensor, retain_group: Tensor, rng: torch.Generator) -> Tensor:
    """Draw one epoch of the retain set with REWEIGHT, from counts and groups alone.

    Args:
        train_counts: (n_groups,) samples per group before forgetting.
        retain_group: (N,) the group of each retained sample.
        rng: Source of the draws.

    Returns:
        (N,) rows of the retain set.
    """
    alpha = group_weights(train_counts, retain_group.bincount(minlength=len(train_counts)))
    weights = alpha[retain_group]
    return draw_epoch(len(retain_group), weights / weights.sum(), rng)


def masked_mean(z: Tensor, ids: Tensor) -> Tensor:
    """Return the mean of (B, L, d) vectors over the tokens that are not padding, by (B, L) ids."""
    return pooled(ids[:, None], z)


def pair_weights(train_group: Tensor, retain_group: Tensor, n_groups: int) -> Tensor:
    """Return REWEIGHT's weight of each retained sample, from (N,) and (M,) group numbers."""
    before, left = (group.bincount(minlength=n_groups) for group in (train_group, retain_group))
    return group_weights(before, left)[retain_group]


def share_recovered(before: np.ndarray, without: np.ndarray, with_weights: np.ndarray,
                    rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the share of the loss `before - without` that `with_weights` recovers, with its 95 % interval.

    Args:
        before, without, with_weights: accuracies, one for each seed.
        rng: draws the seeds of the bootstrap, the same for all three.
    """
    draws = rng.integers(len(before), size=(10_000, len(before)))
    lost, gained = before - without, with_weights - without
    low, high = np.percentile(gained[draws].mean(1) / lost[draws].mean(1), [2.5, 97.5])
    return gained.mean() / lost.mean(), low, high


def margin_shift(before: Tensor, left: Tensor) -> Tensor:
    """Return by how much the margin of class 1 over class 0 moves at each attribute value, in nats.

    Args:
        before, left: (2, n_attributes) samples of each group before and after forgetting, all above 0.
    """
    change = (left.double() / before.double()).log()
    return change[1] - change[0]


def retain_share(counts: Sequence[int] | Tensor, g: int, ratio: float) -> float:
    """Return group g's fraction of the retain set, after `ratio` of the group is forgotten."""
    left = (1 - ratio) * float(counts[g])
    return left / (float(sum(counts)) - float(counts[g]) + left)


def adjusted(logits: Tensor, a: Tensor, alpha: Tensor) -> Tensor:
    """Return the logits with the original prior: log alpha is added to the class at the visible attribute.

    Args:
        logits: (N, n_classes), of a model of the retain set.
        a: (N,) attribute values.
        alpha: (n_classes, n_attributes), REWEIGHT's weights, all above 0.
    """
    return logits + alpha.to(logits).log()[:, a].T


# --- lessons 09 and 11 --------------------------------------------------------------------------------------


def labels_needed(share: float, k: int, sure: float) -> int:
    """Return how many labels contain k members of a group with probability `sure`.

    Args:
        share: The group's share of those who may be asked.
        k: How many members are needed.
        sure: The probability, below 1.
    """
    from scipy.stats import binom

    n = k
    while binom.sf(k - 1, n, share) < sure:
        n += 1
    return n


def points_lost(margins: Tensor, before: Tensor, left: Tensor) -> float:
    """Predict how many points of accuracy a group loses, from the original model alone.

    Args:
        margins: (N,) by how much the logit of the right class exceeds the other one, in test pictures of the
            group.
        before: (2,) training pictures of the other class and of the group's class on the group's background.
        left: (2,) the same after forgetting.
    """
    kept = left / before
    moved = margins + (kept[1] / kept[0]).log()
    return 100 * ((margins > 0).float() - (moved > 0).float()).mean().item()


def choose(table: pd.DataFrame, hours: float) -> str:
    """Return the method that fits the budget and has the lowest AUC of a conclusive audit.

    Args:
        table: by method, its hours, the AUC of its audit (NaN: none), and the audit's verdict.
        hours: The budget.
    """
    judged = table[(table.hours <= hours) & table.AUC.notna() & (table.audit != BLIND)]
    return str(judged.AUC.idxmin())


def promise(retrained: bool, forgotten: Ends | None, controls: Sequence[Ends]) -> str:
    """Return what may be promised: "exact", "detected", "passed" or "cannot tell".

    Args:
        retrained: Whether the model was retrained without the forget set.
        forgotten: The interval of an attack's AUC on the forget set; None if there was no attack.
        controls: Such intervals for people whom the attack should detect.
    """
    powerful = bool(controls) and all(low > 0.5 for low, _ in controls)
    if retrained or forgotten is None:
        return "exact" if retrained else "cannot tell"
    return "detected" if forgotten[0] > 0.5 else "passed" if powerful else "cannot tell"


def auc_interval(members: Tensor, never: Tensor, draws: int = 1000) -> Interval:
    """Return how often a member is more confident than one never seen, with a 95 % bootstrap interval.

    Args:
        members: (n,) confidences of people in question.
        never: (m,) confidences of people whom the model never saw.
        draws: How often both are drawn with replacement.
    """
    wins = ((members[:, None] > never) + 0.5 * (members[:, None] == never)).numpy()
    rng = np.random.default_rng(0)
    ours, theirs = (rng.multinomial(n, np.full(n, 1 / n), draws) / n for n in wins.shape)
    low, high = np.quantile(((ours @ wins) * theirs).sum(1), [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high), len(members))
