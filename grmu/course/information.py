"""Bound mutual information as lessons 03 and 04 do; `grmu.mine` has the bounds that MIU uses."""

import math

import torch
from torch import Tensor

from grmu.mine import MINE, Estimator, table_terms
from grmu.numerics import fixed_threads


def gaussian_pairs(nats: float, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n pairs of Gaussian numbers, (n, 1) each, with a given mutual information.

    The correlation rho follows from

        nats = -1/2 log(1 - rho^2).
    """
    rho = math.sqrt(1 - math.exp(-2 * nats))
    first, noise = torch.randn(2, n, 1, generator=rng).double()
    return first, rho * first + math.sqrt(1 - rho**2) * noise


def dv_bound(t_joint: Tensor, t_marginal: Tensor) -> Tensor:
    """Return Eq. 2 in nats from T on (B,) real pairs and (B',) mismatched pairs."""
    return t_joint.mean() - t_marginal.logsumexp(0) + math.log(len(t_marginal))


def exact_bound(t: Tensor, group: Tensor) -> Tensor:
    """Return Eq. 2 in nats from (B, n_groups) values of T, where every group serves as a mismatched one."""
    joint, log_partition = table_terms(t, group, None)
    return joint - log_partition


def corrected_loss(t_joint: Tensor, t_marginal: Tensor, average: Tensor) -> Tensor:
    """Return a loss with the gradient of -M, where `average` replaces the batch's mean of exp T."""
    return t_marginal.exp().mean() / average.detach() - t_joint.mean()


def label_entropy(counts: Tensor) -> Tensor:
    """Return the entropy of labels with the given counts, in nats."""
    return torch.special.entr(counts / counts.sum()).sum()


def class_entropy(counts: Tensor) -> Tensor:
    """Return the entropy of the class in nats from (n_classes, n_attributes) counts."""
    return label_entropy(counts.sum(1))


def classifier_bound(log_p: Tensor, label: Tensor) -> Tensor:
    """Return the labels' entropy minus a classifier's cross-entropy, in nats.

    Args:
        log_p: (N, n_labels) log-probabilities.
        label: (N,) labels.
    """
    return label_entropy(label.bincount()) + log_p.gather(1, label[:, None]).mean()


def fit_mine(z: Tensor, group: Tensor, group_bar: str = "exact", seed: int = 0, steps: int = 200,
             batch_size: int = 256) -> Estimator:
    """Fit MINE to features and groups.

    Args:
        z: (N, d) features.
        group: (N,) groups.
        group_bar: How mismatched groups are drawn: "twice" takes them from a second sample of the data, and
            `grmu.mine` explains the other values.
        seed: The seed of the network and of all draws.
        steps: The number of updates.
        batch_size: The number of pairs per update.
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
