"""REWEIGHT (Sec. 3.3): sample the retain set so that its groups come as often as they did in the training
set.

alpha = nu_tr / nu_r per group, P(x_i) = alpha_{g_i} / sum_j alpha_{g_j}. That is not "balance the groups"
(RWG): it puts the old proportions back, whatever they were. Orthogonal to the method: any training takes
these weights.
"""

import warnings
from collections.abc import Sequence

import torch

from grmu.data import GroupedDataset, as_tensor, check_dataset, require


def group_weights(train_counts: torch.Tensor | Sequence[int], retain_counts: torch.Tensor | Sequence[int],
                  names: Sequence[str] | None = None) -> torch.Tensor:
    """alpha = nu_tr / nu_r, (n_groups,). A group with no retained sample gets 0 and a warning that names it.

    Args:
        train_counts, retain_counts: (n_groups,) samples per group before and after forgetting.
        names: for the warning; group numbers by default.

    Raises:
        ValueError: shapes differ, or a group has more samples in the retain set than in the training set.
    """
    nu_tr, nu_r = (as_tensor("counts", c).double() for c in (train_counts, retain_counts))
    require(nu_tr.shape == nu_r.shape and nu_tr.ndim == 1,
            f"need two count vectors of one length, got {tuple(nu_tr.shape)} and {tuple(nu_r.shape)}.")
    require(((nu_r >= 0) & (nu_r <= nu_tr)).all(),
            f"cannot retain {nu_r.tolist()} of {nu_tr.tolist()} samples: count the same groups in both.")
    vanished = ((nu_r == 0) & (nu_tr > 0)).nonzero().flatten().tolist()
    if vanished:
        gone = ", ".join(names[g] if names else f"group {g}" for g in vanished)
        warnings.warn(f"nothing is left of {gone}: REWEIGHT cannot bring back a group that has vanished; its "
                      "weight is 0.", stacklevel=2)
    return torch.where(nu_r > 0, nu_tr / nu_r.clamp(min=1), torch.zeros_like(nu_r)).float()


def sample_weights(train: GroupedDataset, retain: GroupedDataset) -> torch.Tensor:
    """P(x_i) for every retained sample, (len(retain),), summing to 1; ValueError if these are no data."""
    check_dataset("train", train)
    check_dataset("retain", retain)
    alpha = group_weights(train.group_counts().cpu(), retain.group_counts().cpu(), train.group_names)
    weights = alpha.to(retain.group.device)[retain.group]
    return weights / weights.sum()


def draw_epoch(n: int, weights: torch.Tensor | None, rng: torch.Generator) -> torch.Tensor:
    """Indices of one epoch, (n,): a permutation, or with weights n draws with replacement."""
    if weights is None:
        return torch.randperm(n, generator=rng)
    return torch.multinomial(weights.cpu(), n, replacement=True, generator=rng)
