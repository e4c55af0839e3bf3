"""MINE: mutual information estimated by a network (Belghazi et al. 2018), as in Eq. 2 of the paper.

The estimate is a lower bound on the mutual information between the features z = f_theta(x) and the group g,
in nats:

    M(D; psi, theta) = E_(x,g) T(z, g) - log E_(x,g_bar) exp T(z, g_bar)

The way in which g_bar is drawn determines which quantity is bounded:

- "shuffle" permutes g within the batch (Eq. 2) and bounds I(Z; G).
- "uniform" draws all groups with equal probability (Algorithm 1) and bounds I(Z; G) + KL(P(G) || uniform).
- "exact" bounds the same quantity as "uniform", but it sums over the groups instead of sampling them.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from grmu.data import known, number
from grmu.numerics import seeded

GROUP_BARS = ("exact", "uniform", "shuffle")
OPTIMIZERS = ("adam", "sgd")


class MINE(nn.Module):
    """The statistics network T_psi: a two-layer perceptron with ReLU that maps [z, one-hot g] to one number.

    For variables that are not groups, the second argument may also be a float vector (B, n_groups) instead of
    a one-hot group. The buffer `log_partition` holds the moving average of E[exp T], which corrects the bias
    of the gradient (Sec. 3.2 of Belghazi et al.).
    """

    log_partition: Tensor

    def __init__(self, n_features: int, n_groups: int, hidden: int = 512, seed: int = 0) -> None:
        super().__init__()
        for name, value in {"n_features": n_features, "n_groups": n_groups, "hidden": hidden}.items():
            number(name, value, 1, whole=True)
        with seeded(seed):
            self.first = nn.Linear(n_features + n_groups, hidden)
            self.second = nn.Linear(hidden, 1)
        self.n_features, self.n_groups = n_features, n_groups
        self.register_buffer("log_partition", torch.tensor(math.nan))

    def _first(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the two parts of the first layer, W_z z + b (B, hidden) and W_g^T (n_groups, hidden)."""
        w = self.first.weight
        return (nn.functional.linear(z, w[:, : self.n_features], self.first.bias),
                w[:, self.n_features :].T.contiguous())

    def _second(self, hidden: Tensor) -> Tensor:
        return hidden.relu() @ self.second.weight[0] + self.second.bias

    def forward(self, z: Tensor, g: Tensor) -> Tensor:
        """Compute T(z, g), (B,).

        Args:
            z: (B, n_features) features.
            g: (B,) groups as long integers, or (B, n_groups) float vectors.
        """
        of_z, of_groups = self._first(z)
        of_g = g @ of_groups if g.is_floating_point() else of_groups[g]
        return self._second(of_z + of_g)

    def all_groups(self, z: Tensor) -> Tensor:
        """Compute T(z, g) for every group g, (B, n_groups).

        All groups share one matrix product with z.
        """
        of_z, of_groups = self._first(z)
        # One (B, n_groups, hidden) tensor takes 2 to 5 times as long, because it does not fit in the cache.
        return torch.stack([self._second(of_z + of_g) for of_g in of_groups], 1)


def draw_group_bar(how: str, group: Tensor, n_groups: int, rng: torch.Generator) -> Tensor | None:
    """Draw g_bar for a batch.

    Args:
        how: "exact", "uniform" or "shuffle".
        group: (B,) groups of the batch.
        n_groups: Number of declared groups.
        rng: Source of the draw.

    Returns:
        (B,) groups, or None for "exact", which draws nothing.

    Raises:
        ValueError: `how` is unknown.
    """
    known("group_bar", how, GROUP_BARS)
    if how == "exact":
        return None
    if how == "uniform":
        return torch.randint(n_groups, (len(group),), generator=rng).to(group.device, non_blocking=True)
    return group[torch.randperm(len(group), generator=rng).to(group.device, non_blocking=True)]


def table_terms(t: Tensor, group: Tensor, group_bar: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute the two terms of Eq. 2, E T(z, g) and log E exp T(z, g_bar), from a table of T.

    Args:
        t: (B, n_groups) values of T(z, g) for every group.
        group: (B,) groups of the batch.
        group_bar: (B,) g_bar; None sums over all groups.
    """
    joint = t.gather(1, group[:, None])
    marginal = t if group_bar is None else t.gather(1, group_bar[:, None])
    return joint.mean(), marginal.flatten().logsumexp(0) - math.log(marginal.numel())


def dv_terms(mine: MINE, z: Tensor, group: Tensor, group_bar: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute the two terms of Eq. 2 from features, evaluating T only where it is needed."""
    if group_bar is None:
        return table_terms(mine.all_groups(z), group, None)
    marginal = mine(z, group_bar)
    return mine(z, group).mean(), marginal.logsumexp(0) - math.log(len(marginal))


def dv_bound(mine: MINE, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
    """Compute the Donsker-Varadhan bound of Eq. 2 in nats.

    Args:
        mine: The statistics network.
        z: (B, n_features) features.
        group: (B,) groups, or (B, n_groups) float vectors.
        group_bar: g_bar in the same form as `group`; None sums over all groups.

    Returns:
        A scalar that is differentiable in z and in the network's parameters.
    """
    joint, log_partition = dv_terms(mine, z, group, group_bar)
    return joint - log_partition


class Estimator:
    """A MINE network with its optimiser, its way of drawing g_bar and its random stream.

    Call `fit` with features that were extracted beforehand, and then `bound`. The optimiser's state and the
    moving average persist, so a later `fit` continues where the last one stopped. Outside `fit` and `update`,
    the network is frozen.

    Args:
        mine: The statistics network.
        lr: Learning rate.
        rng: Source of every random draw.
        group_bar: How g_bar is drawn: "exact", "uniform" or "shuffle".
        batch_size: Samples in a batch of `fit`.
        ema: Rate of the moving average of the partition (Belghazi et al., Eq. 12); 1 turns the correction
            off.
        optimizer: "adam" or "sgd".
        momentum: Momentum of SGD; Adam ignores it.
        corrected: Whether `bound` also updates the moving average and uses it in its gradient, as `fit`
            always does (Belghazi et al., Sec. 3.2). The value of the bound is that of Eq. 2 in either case.

    Raises:
        ValueError: `group_bar` or `optimizer` is unknown, or a number is out of range.
    """

    def __init__(self, mine: MINE, lr: float, rng: torch.Generator, group_bar: str = "exact",
                 batch_size: int = 128, ema: float = 0.05, optimizer: str = "adam", momentum: float = 0.0,
                 corrected: bool = False) -> None:
        known("group_bar", group_bar, GROUP_BARS)
        known("optimizer", optimizer, OPTIMIZERS)
        number("lr", lr, 0)
        number("batch_size", batch_size, 1, whole=True)
        number("ema", ema, 0, 1)
        self.network, self.rng, self.group_bar, self.ema = mine, rng, group_bar, ema
        self.batch_size, self.corrected = batch_size, corrected
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.Adam(mine.parameters(), lr, fused=True) if optimizer == "adam"
            else torch.optim.SGD(mine.parameters(), lr, momentum))
        mine.requires_grad_(False)

    def fit(self, z: Tensor, group: Tensor, steps: int) -> list[float]:
        """Fit the network to features on random batches.

        Args:
            z: (N, n_features) features.
            group: (N,) groups, or (N, n_groups) float vectors.
            steps: Number of updates.

        Returns:
            The bound on each batch before its update, in nats.
        """
        bounds = []
        for _ in range(steps):
            index = torch.randint(len(z), (self.batch_size,),
                                  generator=self.rng).to(z.device, non_blocking=True)
            bounds.append(self.update(z[index], group[index]))
        return torch.stack(bounds).tolist() if bounds else []

    def update(self, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
        """Take one step of the optimiser on a batch and return the bound before it.

        Args:
            z: (B, n_features) features.
            group: (B,) groups, or (B, n_groups) float vectors.
            group_bar: g_bar in the same form as `group`; None draws it.
        """
        self.network.requires_grad_(True)
        bound = self._bound(z, group, group_bar, corrected=True)
        self.optimizer.zero_grad()
        (-bound).backward()
        self.optimizer.step()
        self.network.requires_grad_(False)
        return bound.detach()

    def draw(self, group: Tensor) -> Tensor | None:
        """Draw g_bar for a batch with `draw_group_bar`."""
        return draw_group_bar(self.group_bar, group, self.network.n_groups, self.rng)

    def bound(self, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
        """Compute the bound of Eq. 2 on a batch, a scalar that is differentiable in z.

        It estimates mutual information only on samples that the network was not fitted to.

        Args:
            z: (B, n_features) features.
            group: (B,) groups, or (B, n_groups) float vectors.
            group_bar: g_bar in the same form as `group`; None draws it.
        """
        return self._bound(z, group, group_bar, self.corrected)

    def _bound(self, z: Tensor, group: Tensor, group_bar: Tensor | None, corrected: bool) -> Tensor:
        bar = self.draw(group) if group_bar is None else group_bar
        joint, log_partition = dv_terms(self.network, z, group, bar)
        return joint - (self._averaged(log_partition) if corrected else log_partition)

    def _averaged(self, log_partition: Tensor) -> Tensor:
        """Return the same value with a gradient that is corrected by the updated moving average."""
        old, new = self.network.log_partition, log_partition.detach()
        kept = old + math.log1p(-self.ema) if self.ema < 1 else old - math.inf
        mixed = torch.stack([kept, new + math.log(self.ema)]).logsumexp(0)
        self.network.log_partition = torch.where(old.isnan(), new, mixed)  # an `if` would synchronise a GPU
        # The gradient of exp(L - log_partition) is the gradient of L, times the batch's partition divided by
        # its moving average.
        ratio = (log_partition - self.network.log_partition).exp()
        return new + (ratio - ratio.detach())

    def state_dict(self) -> dict[str, Any]:
        """Return the state that later fits depend on, without the random stream of the caller."""
        return {"mine": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.network.load_state_dict(state["mine"])
        self.optimizer.load_state_dict(state["optimizer"])
