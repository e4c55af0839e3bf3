"""REWEIGHT's epoch, from counts and groups alone, as lesson 02 has students write it."""

import torch
from torch import Tensor

from grmu.reweight import draw_epoch, group_weights


def reweighted_epoch(train_counts: Tensor, retain_group: Tensor, rng: torch.Generator) -> Tensor:
    """Draw one epoch of the retain set with REWEIGHT.

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
