"""Simulate features and groups with known mutual information, against which estimators can be checked."""

import math
from collections.abc import Iterator, Sequence

import torch
from scipy.optimize import brentq
from torch import Tensor

from grmu.mine import MINE, Estimator
from grmu.numerics import fixed_threads

SHARES = (0.4, 0.3, 0.2, 0.1)
ONE_GROUP = (0.0, 0.0, 0.0, 1.0)  # the shares in a forget set
HELD_OUT = 4000


def entropy(shares: Sequence[float]) -> float:
    """Return H(G) in nats, an upper bound on the mutual information between anything and G."""
    return -sum(p * math.log(p) for p in shares if p)


def from_uniform(shares: Sequence[float]) -> float:
    """Return KL(P(G) || uniform) in nats, which Algorithm 1's bound contains in addition to I(Z; G)."""
    return math.log(len(shares)) - entropy(shares)


def information(noise: float, shares: Sequence[float] = SHARES) -> float:
    """Return I(S; G) in nats, where S is the group or, with probability `noise`, a random group."""
    k = len(shares)
    shown = [(1 - noise) * p + noise / k for p in shares]
    right, wrong = 1 - noise + noise / k, noise / k
    rest = -right * math.log(right) - (k - 1) * wrong * math.log(wrong) if noise else 0.0
    return entropy(shown) - rest


def noisy_groups(nats: float, n: int, rng: torch.Generator,
                 shares: Sequence[float] = SHARES) -> tuple[Tensor, Tensor]:
    """Draw features that have a given mutual information with their groups.

    Each feature is the S of `information` as a one-hot vector, with a little Gaussian noise.

    Args:
        nats: The mutual information in nats.
        n: The number of samples.
        rng: The generator for the draws.
        shares: (n_groups,) share of each group.

    Returns:
        The (n, n_groups) features and the (n,) groups.

    Raises:
        ValueError: The entropy of the groups is below `nats`.
    """
    most = entropy(shares)
    if not 0 <= nats <= most + 1e-9:
        raise ValueError(f"nats must be in [0, {most:.2f}] for groups with shares {tuple(shares)}, "
                         f"got {nats!r}.")
    noise = 1.0 if nats == 0 else 0.0 if nats >= most else brentq(lambda e: information(e, shares) - nats,
                                                                  0.0, 1.0)
    k, group = len(shares), torch.multinomial(torch.tensor(shares), n, replacement=True, generator=rng)
    lost = torch.rand(n, generator=rng) < noise
    sign = torch.where(lost, torch.randint(k, (n,), generator=rng), group)
    return torch.eye(k)[sign] + 0.05 * torch.randn(n, k, generator=rng), group


def estimates(nats: float, shares: Sequence[float] = SHARES, group_bar: str = "exact", batch_size: int = 128,
              ema: float = 0.05, updates: int = 600, every: int = 20, seed: int = 0) -> Iterator[float]:
    """Fit MINE to features from `noisy_groups`, and yield its estimates on held-out samples in nats.

    Args:
        nats: The mutual information in nats.
        shares: (n_groups,) share of each group.
        group_bar: How mismatched groups are drawn (`grmu.mine`).
        batch_size: The number of samples per update.
        ema: The weight of a new batch in the moving average.
        updates: The total number of updates.
        every: The number of updates between two estimates.
        seed: The seed of the samples, the network and all draws.
    """
    rng = torch.Generator().manual_seed(seed)
    z, group = noisy_groups(nats, 3 * HELD_OUT, rng, shares)
    z, network = z.double(), MINE(z.shape[1], len(shares), 128, seed).double()  # repeatable anywhere
    estimator = Estimator(network, 5e-3, rng, group_bar, batch_size, ema)
    for _ in range(updates // every):
        with fixed_threads():
            estimator.fit(z[HELD_OUT:], group[HELD_OUT:], every)
            estimate = estimator.bound(z[:HELD_OUT], group[:HELD_OUT]).item()
        yield estimate
