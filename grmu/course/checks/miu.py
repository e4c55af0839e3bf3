"""Check lesson 05: M on a set, MIU's unlearning loss, the tuning of MINE, and the retain loss."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from grmu.course.checks.common import Answer, call, close, compare, expect, passed, returns, scalar
from grmu.mine import MINE, Estimator
from grmu.training import Batch


class Recorder(Estimator):
    """An estimator that remembers the groups that `bound` paired with the features."""

    drawn: Any = None

    def bound(self, z: Tensor, group: Tensor, group_bar: Tensor | None = None) -> Tensor:
        """Return Eq. 2 and remember `group_bar`."""
        self.drawn = group_bar
        return super().bound(z, group, group_bar)


def check_measure(function: Answer) -> None:
    """Check `function(T, z, group, n_groups)`: M, where each sample is paired with every group."""
    def t(z: Tensor, group: Tensor) -> Tensor:
        return z[:, 0] * group

    mismatched = torch.tensor([0.0, 1, 2, 0, 2, 4])
    right = 1 - mismatched.exp().mean().log().item()
    returns(function, (t, torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]), 3), right, "That is not M.",
            [(1 - math.log((1 + math.exp(2)) / 2), "you pair each picture only with its own group: "
              "pair every picture with every group from 0 to n_groups - 1.")])
    passed(f"M on a set of pictures: {right:.3f} nats for this T")


def check_unlearning_loss(function: Answer) -> None:
    """Check `function(mine, z, group)`: M with group_bar drawn uniformly over the declared groups."""
    mine, group = Recorder(MINE(2, 3), 0.1, torch.Generator()), torch.ones(300, dtype=torch.long)
    z = torch.linspace(-2, 2, 600).reshape(300, 2).requires_grad_()
    state = mine.rng.get_state()
    loss = scalar(call(function, mine, z, group))
    expect(mine.drawn is not None, "draw group_bar yourself, and pass it: mine.bound(z, group, group_bar).")
    counts = mine.drawn.bincount(minlength=3).tolist()
    expect(len(counts) == 3 and min(counts) > 60, "draw group_bar uniformly from all 3 declared groups "
           f"(mine.network.n_groups), including those that the batch lacks; the counts were {counts}.")
    expect(not state.equal(mine.rng.get_state()), "draw with generator=mine.rng to make runs repeatable.")
    target = Estimator.bound(mine, z, group, mine.drawn)
    compare(loss, target, "That is not M of this batch.",
            [(-target, "the forget pass minimises what you return, so return M and not -M.")])
    passed("the unlearning loss: M on the batch, with group_bar drawn from all declared groups")


def check_tune_mine(function: Answer) -> None:
    """Check `function(mine, loss, features, batches)`: one step of gradient ascent on the loss per batch."""
    mine = Estimator(MINE(1, 2), 1.0, torch.Generator(), optimizer="sgd")
    weight = mine.network.requires_grad_(True).second.bias
    weight.data.fill_(1.0)
    z, rows = torch.tensor([[2.0], [3.0]], requires_grad=True), torch.tensor([[0], [1]])

    def features(batch: Batch) -> Tensor:
        return z[batch.index]

    def loss(mine: Estimator, z: Tensor, group: Tensor) -> Tensor:
        return mine.network.second.bias.square().sum() / 2 * z.mean()

    call(function, mine, loss, features, iter([Batch(z[row], row, row, row) for row in rows]))
    compare(weight, [12.0], "One step per batch must move a weight from 1 to 12.",
            [([1.0], "the network did not change: call mine.optimizer.step() for each batch."),
             ([2.0], "M became smaller, but tuning must maximise it: minimise the negative loss."),
             ([14.0], "old gradients are still there: call mine.optimizer.zero_grad() before backward().")])
    expect(z.grad is None, "gradients reached the features: compute them under torch.no_grad().")
    passed("tuning MINE: each batch makes M larger and leaves the features unchanged")


def check_retain_loss(function: Answer) -> None:
    """Check `function(logits, batch, M, M_original, draw, lam)`: cross-entropy + lam * (M - M_original)^2."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    batch = Batch(torch.zeros(3, 1), torch.tensor([0, 1, 1]), torch.tensor([0, 2, 2]), torch.arange(3))
    scale, target = torch.tensor(0.9, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    drawn = []

    def draw(group: Tensor) -> Tensor:
        drawn.append(group)
        return torch.tensor([0, 1, 2])

    def m(group_bar: Tensor) -> Tensor:
        return scale * group_bar.float().mean()

    def m_original(group_bar: Tensor) -> Tensor:
        return target * group_bar.float().mean()

    loss = scalar(call(function, logits, batch, m, m_original, draw, 2.0))
    expect(len(drawn) == 1, "draw group_bar once, and call both M and M_original with it.")
    plain, gap = cross_entropy(logits, batch.y).item(), 0.4
    compare(loss, plain + 2 * gap**2, f"The cross-entropy is {plain:.3f}, lambda is 2, and M is off by 0.4.",
            [(plain + 2 * gap, "square the difference (Eq. 6).")])
    loss.backward()
    expect(target.grad is None, "M_original is a fixed target: detach it.")
    expect(close(scale.grad, 4 * gap), "no gradient reaches the unlearned model's M: detach only the target.")
    passed("the retain loss: cross-entropy plus calibration term, with one draw and a fixed target")
