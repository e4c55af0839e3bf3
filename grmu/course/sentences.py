"""Lesson 08: the functions that its students write."""

import numpy as np
from torch import Tensor

from grmu.backbones import pooled
from grmu.reweight import group_weights


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
