"""Lesson 05: MIU's unlearning loss, the tuning of MINE, and the retain loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from grmu.course.checks.common import call, close, compare, expect, passed, tensor
from grmu.mine import MINE, Estimator
from grmu.training import Batch

GROUPS = 3  # declared; the batches of these checks have only two of them
NO_GRADIENT = "no gradient flows through the loss: detach only what must stay fixed, and never use .item()."


class Watched(Estimator):
    """An estimator that remembers how `bound` was called."""

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(0)
        super().__init__(MINE(2, GROUPS, 8), 0.3, rng, "uniform", ema=1, optimizer="sgd")
        self.drawn: list[Tensor] = []

    def bound(self, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
        """Eq. 2; fails if it was called without groups to pair the features with."""
        expect(group_bar is not None, "draw group_bar yourself and pass it: mine.bound(z, group, group_bar).")
        self.drawn.append(torch.as_tensor(group_bar).clone())
        return super().bound(z, group, group_bar)


def _features(group: Tensor) -> Tensor:
    """Return features (B, 2) that reveal the group."""
    noise = torch.randn(len(group), 2, generator=torch.Generator().manual_seed(1))
    return torch.stack([group.float(), -group.float()], 1) + 0.3 * noise


def check_unlearning_loss(function: Callable[..., Any]) -> None:
    """Check `function(mine, z, group)`: M with group_bar drawn uniformly over the declared groups."""
    group = torch.ones(300, dtype=torch.long)
    mine, z = Watched(), _features(group).requires_grad_()
    state = mine.rng.get_state()
    loss = tensor(call(function, mine, z, group), (), "a scalar tensor: the loss of the batch")
    expect(len(mine.drawn) == 1, f"call mine.bound once; it was called {len(mine.drawn)} times.")
    counts = torch.bincount(mine.drawn[0], minlength=GROUPS).tolist()
    expect(len(counts) == GROUPS and min(counts) > 60,
           f"draw a group_bar for each sample, uniformly over all {GROUPS} declared groups (mine.network.n_groups), "
           f"also those that the batch lacks; the counts were {counts}.")
    expect(not torch.equal(state, mine.rng.get_state()), "draw with generator=mine.rng, so that a run can be repeated.")
    target = Estimator.bound(mine, z, group, mine.drawn[0])
    compare(loss, target, f"M of this batch is {target.item():.3f}, not {loss.item():.3f}.",
            [(-target, "the forget pass minimises what you return, so return M and not -M.")])
    expect(loss.requires_grad, NO_GRADIENT)
    passed("the unlearning loss: M on the batch, with group_bar drawn over all declared groups")


def check_tune_mine(function: Callable[..., Any]) -> None:
    """Check `function(mine, loss, features, batches)`: one step of gradient ascent on the loss per batch."""
    group = torch.tensor([0, 1]).repeat(60)
    z, mine = _features(group).requires_grad_(), Watched()
    mine.network.requires_grad_(True)
    batches = [Batch(z[row], group[row], group[row], row) for row in torch.arange(len(group)).split(40)] * 20
    weight, fresh, own = mine.network.second.weight, torch.zeros(0), []

    def loss(mine: Estimator, z: Tensor, group: Tensor) -> Tensor:
        nonlocal fresh
        value = Estimator.bound(mine, z, group, mine.draw(group))
        fresh, = torch.autograd.grad(value, weight, retain_graph=True)
        return value

    def step(*_: object) -> None:
        own.append(weight.grad is not None and close(weight.grad.abs(), fresh.abs()))

    mine.optimizer.register_step_pre_hook(step)
    before = loss(mine, z, group).item()
    call(function, mine, loss, lambda batch: z[batch.index], iter(batches))
    after = loss(mine, z, group).item()
    expect(len(own) == len(batches), f"call mine.optimizer.step() for each of the {len(batches)} batches; there were "
                                     f"{len(own)} steps.")
    expect(all(own), "old gradients are still there: call mine.optimizer.zero_grad() before backward().")
    expect(after > before, f"M fell from {before:.2f} to {after:.2f}. MINE needs the largest lower bound, so tuning "
                           "must maximise it: minimise minus the loss.")
    expect(z.grad is None, "gradients reached the features: compute them under torch.no_grad(), or detach them.")
    passed(f"tuning MINE: M rose from {before:.2f} to {after:.2f} nats, and the features stayed as they were")


def check_retain_loss(function: Callable[..., Any]) -> None:
    """Check `function(logits, batch, M, M_original, draw, lam)`: cross-entropy + lam * (M - M_original)^2."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    batch = Batch(torch.zeros(3, 1), torch.tensor([0, 1, 1]), torch.tensor([0, 2, 1]), torch.arange(3))
    scale, target = torch.tensor(0.9, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    drawn, seen = [], []

    def draw(group: Tensor) -> Tensor:
        drawn.append(group)
        return torch.tensor([len(drawn), 0, 2])

    def bound(weight: Tensor) -> Callable[[Tensor], Tensor]:
        def value(group_bar: Tensor) -> Tensor:
            seen.append(group_bar)
            return weight * group_bar.float().mean()
        return value

    loss = tensor(call(function, logits, batch, bound(scale), bound(target), draw, 2.0), (), "a scalar tensor")
    expect(len(seen) == 2 and len(drawn) == 1 and torch.equal(seen[0], seen[1]),
           "draw group_bar once, and call both M and M_original with it: otherwise the difference between two draws "
           "enters the calibration.")
    plain, gap = cross_entropy(logits, batch.y).item(), 0.4
    compare(loss, plain + 2 * gap**2, f"cross-entropy {plain:.3f} plus 2 * (0.9 - 0.5)^2 is {plain + 2 * gap**2:.3f}, "
            f"not {loss.item():.3f}.",
            [(2 * gap**2, "the cross-entropy (Eq. 7) is missing."),
             (plain + 2 * gap, "the difference must be squared (Eq. 6)."),
             (plain + gap**2, "lambda is missing."), (plain, "the calibration term is missing.")])
    expect(loss.requires_grad, NO_GRADIENT)
    loss.backward()
    expect(target.grad is None or not target.grad.any(), "M_original is a fixed target: detach it.")
    expect(scale.grad is not None and close(scale.grad, 2 * 2 * gap),
           "no gradient reaches M of the unlearned model: detach only the target.")
    expect(logits.grad is not None and bool(logits.grad.any()), "no gradient reaches the logits.")
    passed("the retain loss: cross-entropy plus calibration, one draw for both estimates, a fixed target")
