"""Features and groups whose mutual information is known in closed form:
what an estimator can be held against."""

import math
from collections.abc import Iterator, Sequence

import torch
from scipy.optimize import brentq
from torch import Tensor

from grmu.mine import MINE, Estimator
from grmu.numerics import fixed_threads

SHARES = (0.4, 0.3, 0.2, 0.1)
ONE_GROUP = (0.0, 0.0, 0.0, 1.0)  # a forget set's
HELD_OUT = 4000


def entropy(shares: Sequence[float]) -> float:
    """H(G) in nats: the most that anything can tell of the group."""
    return -sum(p * math.log(p) for p in shares if p)


def from_uniform(shares: Sequence[float]) -> float:
    """KL(P(G) || uniform) in nats, which Algorithm 1's bound holds in addition to I(Z; G)."""
    return math.log(len(shares)) - entropy(shares)


def information(noise: float, shares: Sequence[float] = SHARES) -> float:
    """I(S; G) in nats of a sign S that shows the group,
    and with probability `noise` one drawn evenly from all groups."""
    k = len(shares)
    shown = [(1 - noise) * p + noise / k for p in shares]
    right, wrong = 1 - noise + noise / k, noise / k
    rest = -right * math.log(right) - (k - 1) * wrong * math.log(wrong) if noise else 0.0
    return entropy(shown) - rest


def noisy_groups(nats: float, n: int, rng: torch.Generator,
                 shares: Sequence[float] = SHARES) -> tuple[Tensor, Tensor]:
    """n features (n, groups) that share that many nats with their groups (n,): the sign of `information`,
    slightly blurred.

    Raises:
        ValueError: groups of these shares cannot share as much.
    """
    most = entropy(shares)
    if not 0 <= nats <= most + 1e-9:
        raise ValueError(f"groups with shares {tuple(shares)} share 0 to {most:.2f} nats with anything, "
                         f"but not {nats!r}.")
    noise = 1.0 if nats == 0 else 0.0 if nats >= most else brentq(lambda e: information(e, shares) - nats,
                                                                  0.0, 1.0)
    k, group = len(shares), torch.multinomial(torch.tensor(shares), n, replacement=True, generator=rng)
    lost = torch.rand(n, generator=rng) < noise
    sign = torch.where(lost, torch.randint(k, (n,), generator=rng), group)
    return torch.eye(k)[sign] + 0.05 * torch.randn(n, k, generator=rng), group


def estimates(nats: float, shares: Sequence[float] = SHARES, group_bar: str = "exact", batch_size: int = 128,
              ema: float = 0.05, updates: int = 600, every: int = 20, seed: int = 0) -> Iterator[float]:
    """Fit MINE to such a case; every few updates what it says of samples that it was not fitted to,
    in nats."""
    rng = torch.Generator().manual_seed(seed)
    z, group = noisy_groups(nats, 3 * HELD_OUT, rng, shares)
    z, network = z.double(), MINE(z.shape[1], len(shares), 128, seed).double()  # the same digits anywhere
    estimator = Estimator(network, 5e-3, rng, group_bar, batch_size, ema)
    for _ in range(updates // every):
        with fixed_threads():
            estimator.fit(z[HELD_OUT:], group[HELD_OUT:], every)
            estimate = estimator.bound(z[:HELD_OUT], group[:HELD_OUT]).item()
        yield estimate
