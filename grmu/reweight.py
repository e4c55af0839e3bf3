"""REWEIGHT (Sec. 3.3): sample the retain set so that its groups are as frequent as in the training set.

    alpha_g = nu_tr_g / nu_r_g
    P(x_i) = alpha_{g_i} / sum_j alpha_{g_j}

This does not balance the groups, as RWG does, because it restores the original proportions, whatever they
were. It works with any training method, because it only determines how often each sample is drawn.
"""

import warnings
from collections.abc import Sequence

import torch

from grmu.data import GroupedDataset, as_tensor, check_dataset, require


def group_weights(train_counts: torch.Tensor | Sequence[int], retain_counts: torch.Tensor | Sequence[int],
                  names: Sequence[str] | None = None) -> torch.Tensor:
    """Compute alpha = nu_tr / nu_r for every group, (n_groups,).

    A group without retained samples gets weight 0 and a warning that names it.

    Args:
        train_counts: (n_groups,) samples per group before forgetting.
        retain_counts: (n_groups,) samples per group after forgetting.
        names: Names of the groups for the warning; group numbers by default.

    Raises:
        ValueError: The shapes differ, or a group has more samples after forgetting than before.
    """
    nu_tr, nu_r = (as_tensor("counts", c).double() for c in (train_counts, retain_counts))
    require(nu_tr.shape == nu_r.shape and nu_tr.ndim == 1,
            f"need two count vectors of one length, got {tuple(nu_tr.shape)} and {tuple(nu_r.shape)}.")
    require(((nu_r >= 0) & (nu_r <= nu_tr)).all(),
            f"cannot retain {nu_r.tolist()} of {nu_tr.tolist()} samples: count the same groups in both.")
    vanished = ((nu_r == 0) & (nu_tr > 0)).nonzero().flatten().tolist()
    if vanished:
        gone = ", ".join(names[g] if names else f"group {g}" for g in vanished)
        warnings.warn(f"no sample of {gone} is retained: REWEIGHT cannot restore a group that has vanished, "
                      "so its weight is 0.", stacklevel=2)
    return torch.where(nu_r > 0, nu_tr / nu_r.clamp(min=1), torch.zeros_like(nu_r)).float()


def sample_weights(train: GroupedDataset, retain: GroupedDataset) -> torch.Tensor:
    """Compute the probability P(x_i) of every retained sample, (len(retain),).

    The probabilities sum to 1.

    Args:
        train: The whole training set.
        retain: The retain set.

    Raises:
        ValueError: An argument is not a `GroupedDataset`.
    """
    check_dataset("train", train)
    check_dataset("retain", retain)
    alpha = group_weights(train.group_counts().cpu(), retain.group_counts().cpu(), train.group_names)
    weights = alpha.to(retain.group.device)[retain.group]
    return weights / weights.sum()


def draw_epoch(n: int, weights: torch.Tensor | None, rng: torch.Generator) -> torch.Tensor:
    """Draw the indices of one epoch, (n,).

    Args:
        n: Number of samples.
        weights: (n,) probabilities for n draws with replacement; None returns a permutation.
        rng: Source of the draws.
    """
    if weights is None:
        return torch.randperm(n, generator=rng)
    return torch.multinomial(weights.cpu(), n, replacement=True, generator=rng)
