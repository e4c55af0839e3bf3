"""Bounds on mutual information as lessons 03 and 04 use them; `grmu.mine` has the ones that MIU uses."""

import math

import torch
from torch import Tensor

from grmu.mine import MINE, Estimator, table_terms
from grmu.numerics import fixed_threads


def gaussian_pairs(nats: float, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n pairs of Gaussian numbers, (n, 1) each, that share this much information.

    The correlation rho follows from nats = -1/2 log(1 - rho^2).
    """
    rho = math.sqrt(1 - math.exp(-2 * nats))
    first, noise = torch.randn(2, n, 1, generator=rng).double()
    return first, rho * first + math.sqrt(1 - rho**2) * noise


def dv_bound(t_joint: Tensor, t_marginal: Tensor) -> Tensor:
    """Return Eq. 2 in nats from T on real pairs (B,) and on mismatched pairs (B',)."""
    return t_joint.mean() - t_marginal.logsumexp(0) + math.log(len(t_marginal))


def exact_bound(t: Tensor, group: Tensor) -> Tensor:
    """Return Eq. 2 in nats, with every group as the mismatched one, from T for all groups (B, n_groups)."""
    joint, log_partition = table_terms(t, group, None)
    return joint - log_partition


def corrected_loss(t_joint: Tensor, t_marginal: Tensor, average: Tensor) -> Tensor:
    """Return a loss whose gradient is that of -M, with `average` in place of the batch's mean of exp T."""
    return t_marginal.exp().mean() / average.detach() - t_joint.mean()


def label_entropy(counts: Tensor) -> Tensor:
    """Return the entropy in nats of labels with these counts."""
    return torch.special.entr(counts / counts.sum()).sum()


def class_entropy(counts: Tensor) -> Tensor:
    """Return the entropy of the class in nats from counts (classes, attribute values)."""
    return label_entropy(counts.sum(1))


def classifier_bound(log_p: Tensor, label: Tensor) -> Tensor:
    """Return the entropy of the labels minus a classifier's cross-entropy, in nats."""
    return label_entropy(label.bincount()) + log_p.gather(1, label[:, None]).mean()


def fit_mine(z: Tensor, group: Tensor, group_bar: str = "exact", seed: int = 0, steps: int = 200,
             batch_size: int = 256) -> Estimator:
    """Fit MINE to features z (N, d) and groups (N,).

    Args:
        group_bar: "twice" draws each mismatched group from a second sample of the data; for the others see
            `grmu.mine`.
        seed: of the network and of all draws.
        steps: updates of the network.
        batch_size: pairs per update.
    """
    rng = torch.Generator().manual_seed(seed)
    network = MINE(z.shape[1], 1 + int(group.max()), 128, seed).to(z.dtype)
    twice = group_bar == "twice"
    estimator = Estimator(network, 3e-3, rng, "shuffle" if twice else group_bar, batch_size)
    with fixed_threads():
        for _ in range(steps):
            i, j = torch.randint(len(z), (2, batch_size), generator=rng)
            estimator.update(z[i], group[i], group[j] if twice else estimator.draw(group[i]))
    return estimator
