"""MINE: the Donsker-Varadhan bound, its corrected gradient, and the groups of mismatched pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grmu.course.checks.common import call, close, expect, number, passed


def check_dv_bound(function: Callable[..., Any]) -> None:
    """`function(t_joint, t_marginal)` -> mean T - log mean exp T, without overflow."""
    joint, marginal = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])
    log_mean = math.log((1 + math.e + math.e**2) / 3)
    bound = number(function, joint, marginal)
    for wrong, why in (
            (2 - 1.0, "that is mean minus mean: "
                      "over mismatched pairs, T goes through exp, a mean and a log, in this order."),
            (2 - log_mean - math.log(3),
             "log-*sum*-exp where Eq. 2 has log-*mean*-exp: subtract the log of the number of pairs."),
            (2 - math.exp(log_mean), "the log over the mean of exp T is missing."),
            (log_mean - 2, "the sign is turned round: high on real pairs, low on mismatched ones."),
            (2 - 1.0 + math.log(2),
             "count the *mismatched* pairs, not the real ones: the two vectors may differ in length.")):
        expect(not close(bound, wrong), f"{bound:.3f}: {why}")
    expect(close(bound, 2 - log_mean),
           f"T of [1, 3] on real and [0, 1, 2] on mismatched pairs gives {2 - log_mean:.3f}, "
           f"not {bound:.3f}.")
    large = number(function, joint + 500, marginal + 500)
    expect(math.isfinite(large), "T near 500 gave inf or nan: exp(500) is more than 32 bits hold. "
                                 "torch.logsumexp does not overflow.")
    expect(close(large, bound, 1e-3),
           "adding 500 to every T must change nothing: only differences of T count.")
    leaf = marginal.clone().requires_grad_()
    value = call(function, joint, leaf)
    expect(isinstance(value, Tensor) and value.requires_grad,
           "return a tensor that gradients flow through: no .item(), no numpy.")
    passed(f"the Donsker-Varadhan bound: {bound:.3f} nats, also where exp T would overflow")


def check_corrected_loss(function: Callable[..., Any]) -> None:
    """`function(t_joint, t_marginal, average)`: gradients -1/B, and exp(T) / (B average)."""
    start = torch.tensor([0.0, 1.0, 2.0, -1.0])

    def gradients(average: float, attached: bool) -> tuple[Tensor, Tensor]:
        joint, marginal = torch.tensor([0.5, 1.5], requires_grad=True), start.clone().requires_grad_()
        mean = marginal.exp().mean()
        loss = call(function, joint, marginal,
                     mean - mean.detach() + average if attached else torch.tensor(average))
        expect(isinstance(loss, Tensor) and loss.ndim == 0 and loss.requires_grad,
               "return a scalar tensor that gradients flow through.")
        derivatives = torch.autograd.grad(loss, (joint, marginal), allow_unused=True)
        expect(derivatives[0] is not None, "the loss does not depend on T of the real pairs.")
        expect(derivatives[1] is not None,
               "the loss does not depend on T of the mismatched pairs: cut `average` off, not T.")
        return derivatives[0], derivatives[1]

    of_joint, of_marginal = gradients(4.0, False)
    expect(not close(of_joint, torch.full((2,), 0.5)),
           "this would make M *smaller*: the optimiser minimises what you return.")
    expect(close(of_joint, torch.full((2,), -0.5)),
           "on real pairs the gradient is -1 over their number, for every pair alike.")
    expect(not close(of_marginal, start.softmax(0)),
           "that is the plain loss: you divide by the batch's own partition. Divide by `average`.")
    expect(close(of_marginal, start.exp() / 4 / 4.0),
           "on mismatched pairs the gradient is exp(T) / (number of pairs * average), "
           f"here {[round(v, 3) for v in (start.exp() / 16).tolist()]}, "
           f"not {[round(v, 3) for v in of_marginal.tolist()]}.")
    expect(close(gradients(8.0, False)[1], start.exp() / 4 / 8.0),
           "twice the average must halve the push on mismatched pairs.")
    expect(close(gradients(4.0, True)[1], start.exp() / 4 / 4.0),
           "a gradient flows through `average`: it stands for many batches, "
           "so hold it constant (detach).")
    passed("the gradient of Eq. 2, its partition taken from many batches")


def check_group_bar(function: Callable[..., Any]) -> None:
    """`function(how, group, n_groups, rng)`: a permutation, even draws over all groups, or a table."""
    group = torch.tensor([0] * 700 + [1] * 290 + [3] * 10)  # group 2 is absent
    n = len(group)

    def draw(how: str, seed: int = 0) -> Tensor:
        bar = call(function, how, group.clone(), 4, torch.Generator().manual_seed(seed))
        expect(isinstance(bar, Tensor) and not bar.is_floating_point(),
               f"{how}: return a tensor of whole numbers.")
        return bar

    before = torch.random.get_rng_state()
    shuffled, uniform, exact = (draw(how) for how in ("shuffle", "uniform", "exact"))
    untouched = torch.equal(before, torch.random.get_rng_state())
    for how, bar in (("shuffle", shuffled), ("uniform", uniform)):
        expect(bar.shape == (n,),
               f"{how}: one group for each of the {n} samples, not shape {tuple(bar.shape)}.")
        expect(not bar.equal(group), f"{how}: every sample got its own group back. These are the *real* "
                                     "pairs: the two terms of Eq. 2 would be over the same pairs.")
    others = torch.bincount(shuffled, minlength=4).tolist()
    expect(others == [700, 290, 0, 10],
           f"shuffle: the batch's groups in another order have counts [700, 290, 0, 10], not {others}.")
    expect(0.4 < (shuffled == group).float().mean() < 0.75,
           "shuffle: drawn without a look at a sample's own group, about 57 % agree "
           "with it by chance. Yours depends on it.")
    counts = torch.bincount(uniform, minlength=4)
    expect(len(counts) == 4, "uniform: a group number lies outside 0 to n_groups - 1.")
    expect(counts[2] > 0, "uniform: a group that is absent from the batch is never drawn: "
                          "use n_groups, not the groups seen.")
    expect((uniform == group).float().mean() > 0.15,
           "uniform: a sample's own group is one of the four and must be drawn as often as "
           "the others. Leaving it out makes another bound.")
    expect((counts - n / 4).abs().max() < 70,
           f"uniform: every group should come about {n // 4} times, whatever the batch holds, "
           f"not {counts.tolist()}.")
    expect(exact.shape == (n, 4),
           f"exact: all 4 groups for each of the {n} samples, so shape ({n}, 4), not {tuple(exact.shape)}.")
    expect(exact.sort(1).values.equal(torch.arange(4).expand(n, 4)),
           "exact: every row should hold each group once, 0 to n_groups - 1.")
    for how in ("shuffle", "uniform"):
        expect(draw(how).equal(draw(how)),
               f"{how}: the same generator state must give the same draw: pass generator=rng.")
        expect(not draw(how).equal(draw(how, 1)),
               f"{how}: another generator gives the same draw: nothing is random here.")
    expect(untouched, "the global random state has changed: draw from `rng`.")
    passed("three ways to pair features with groups")
