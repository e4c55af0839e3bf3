"""MINE: mutual information estimated by a network (Belghazi et al. 2018), as the paper's Eq. 2 uses it.

M(D; psi, theta) = E_(x,g) T(z, g) - log E_(x,g_bar) exp T(z, g_bar), a lower bound on the mutual information
of features z = f_theta(x) and group g. How g_bar is drawn decides what is bounded:

- "shuffle": g permuted within the batch (Eq. 2), bounds I(Z; G);
- "uniform": drawn evenly over all groups (Algorithm 1), bounds I(Z; G) + KL(P(G) || uniform);
- "exact": the same quantity as "uniform", but the expectation over the groups is summed, not sampled.
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
    """The statistics network T_psi: a two-layer perceptron with ReLU on [z,
    one-hot g] -> one number a sample.

    The second argument may also be a float vector (B, n_groups) in place of a one-hot group, for variables
    that are not groups. `log_partition` is the moving average of E[exp T] that corrects the gradient's bias
    (their Sec. 3.2).
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
        """The first layer in two parts: W_z z + b, (B, hidden), and W_g^T, (n_groups, hidden)."""
        w = self.first.weight
        return (nn.functional.linear(z, w[:, : self.n_features], self.first.bias),
                w[:, self.n_features :].T.contiguous())

    def _second(self, hidden: Tensor) -> Tensor:
        return hidden.relu() @ self.second.weight[0] + self.second.bias

    def forward(self, z: Tensor, g: Tensor) -> Tensor:
        """T(z, g), (B,), for groups g (B,) long, or vectors (B, n_groups) float."""
        of_z, of_groups = self._first(z)
        of_g = g @ of_groups if g.is_floating_point() else of_groups[g]
        return self._second(of_z + of_g)

    def all_groups(self, z: Tensor) -> Tensor:
        """T(z, g) for every group g, (B, n_groups), at the price of one matrix product for all of them."""
        of_z, of_groups = self._first(z)
        # a loop keeps the working set in cache: one (B, n_groups, hidden) tensor took 2 to 5 times as long
        return torch.stack([self._second(of_z + of_g) for of_g in of_groups], 1)


def draw_group_bar(how: str, group: Tensor, n_groups: int, rng: torch.Generator) -> Tensor | None:
    """g_bar for a batch: (B,) groups, or None for "exact", where nothing is drawn.

    Raises:
        ValueError: `how` is not one of "exact", "uniform", "shuffle".
    """
    known("group_bar", how, GROUP_BARS)
    if how == "exact":
        return None
    if how == "uniform":
        return torch.randint(n_groups, (len(group),), generator=rng).to(group.device, non_blocking=True)
    return group[torch.randperm(len(group), generator=rng).to(group.device, non_blocking=True)]


def table_terms(t: Tensor, group: Tensor, group_bar: Tensor | None) -> tuple[Tensor, Tensor]:
    """The two terms of Eq. 2 from T(z, g) for every group, t (B, n_groups): E T(z, g) and log E exp T(z,
    g_bar)."""
    joint = t.gather(1, group[:, None])
    marginal = t if group_bar is None else t.gather(1, group_bar[:, None])
    return joint.mean(), marginal.flatten().logsumexp(0) - math.log(marginal.numel())


def dv_terms(mine: MINE, z: Tensor, group: Tensor, group_bar: Tensor | None) -> tuple[Tensor, Tensor]:
    """The two terms of Eq. 2 from features; evaluates T only where it must."""
    if group_bar is None:
        return table_terms(mine.all_groups(z), group, None)
    marginal = mine(z, group_bar)
    return mine(z, group).mean(), marginal.logsumexp(0) - math.log(len(marginal))


def dv_bound(mine: MINE, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
    """The Donsker-Varadhan bound of Eq. 2 in nats, a scalar, differentiable in z and in the network.

    Args:
        z: (B, n_features) features.  group: (B,) groups, or (B, n_groups) float vectors.
        group_bar: drawn like `group` from the marginal (see `draw_group_bar`); None sums over all groups.
    """
    joint, log_partition = dv_terms(mine, z, group, group_bar)
    return joint - log_partition


class Estimator:
    """A MINE with its optimiser, its way to take g_bar and its random stream: `fit` to features,
    then ask for the `bound`.

    Features are extracted once and passed in. Optimiser and moving average live as long as the estimator, so
    that later fits go on where earlier ones stopped; the network is frozen outside `fit`.

    Args:
        ema: rate of the moving average of the partition (Belghazi et al., Eq. 12); 1 turns the correction
            off.
        optimizer, momentum: "adam", or "sgd" with that momentum.
        corrected: do calls of `bound`, too, move the average, and have it in their gradient in place of the
            batch's partition, as those of `fit` do (Belghazi et al., Sec. 3.2)? Their value stays Eq. 2's.

    Raises:
        ValueError: an unknown group_bar or optimizer, or a number that cannot be.
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
        """`steps` updates on batches drawn from z (N, n_features), group (N, ...);
        returns each batch's bound in nats."""
        bounds = []
        for _ in range(steps):
            index = torch.randint(len(z), (self.batch_size,),
                                  generator=self.rng).to(z.device, non_blocking=True)
            bounds.append(self.update(z[index], group[index]))
        return torch.stack(bounds).tolist() if bounds else []

    def update(self, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
        """One step of the optimiser on a batch; g_bar is drawn if not given. Returns the bound before it."""
        self.network.requires_grad_(True)
        bound = self._bound(z, group, group_bar, corrected=True)
        self.optimizer.zero_grad()
        (-bound).backward()
        self.optimizer.step()
        self.network.requires_grad_(False)
        return bound.detach()

    def draw(self, group: Tensor) -> Tensor | None:
        """g_bar for a batch, see `draw_group_bar`."""
        return draw_group_bar(self.group_bar, group, self.network.n_groups, self.rng)

    def bound(self, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
        """Eq. 2 on these samples, a scalar that is differentiable in z; g_bar is drawn if not given.

        An estimate only on samples it was not fitted to.
        """
        return self._bound(z, group, group_bar, self.corrected)

    def _bound(self, z: Tensor, group: Tensor, group_bar: Tensor | None, corrected: bool) -> Tensor:
        bar = self.draw(group) if group_bar is None else group_bar
        joint, log_partition = dv_terms(self.network, z, group, bar)
        return joint - (self._averaged(log_partition) if corrected else log_partition)

    def _averaged(self, log_partition: Tensor) -> Tensor:
        """The same value, its gradient corrected by the moving average, which takes this batch in first."""
        old, new = self.network.log_partition, log_partition.detach()
        kept = old + math.log1p(-self.ema) if self.ema < 1 else old - math.inf
        mixed = torch.stack([kept, new + math.log(self.ema)]).logsumexp(0)
        self.network.log_partition = torch.where(old.isnan(), new, mixed)  # an `if` would wait for a GPU
        # the gradient of exp(L - log_partition) is that of L, times the batch's partition over its moving
        # average
        ratio = (log_partition - self.network.log_partition).exp()
        return new + (ratio - ratio.detach())

    def state_dict(self) -> dict[str, Any]:
        """What later fits depend on; their random stream is the caller's."""
        return {"mine": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put a `state_dict` back."""
        self.network.load_state_dict(state["mine"])
        self.optimizer.load_state_dict(state["optimizer"])
