"""Lessons 03 and 04: MINE's bound and its gradient, mismatched groups, and information in nats."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grmu.course.checks.common import call, close, compare, expect, number, passed, tensor


def check_dv_bound(function: Callable[..., Any]) -> None:
    """Check `function(t_joint, t_marginal)`: mean T - log mean exp T, without overflow."""
    joint, marginal = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])
    log_mean = math.log((1 + math.e + math.e**2) / 3)
    bound = number(function, joint, marginal)
    compare(bound, 2 - log_mean, "T of [1, 3] on real and [0, 1, 2] on mismatched pairs gives "
            f"{2 - log_mean:.3f}, not {bound:.3f}.",
            [(1.0, "that is mean minus mean: over mismatched pairs, take exp, then the mean, then the log."),
             (2 - log_mean - math.log(3),
              "that is log-*sum*-exp, but Eq. 2 has log-*mean*-exp: subtract the log of the number of pairs."),
             (2 - math.exp(log_mean), "the log of the mean of exp T is missing."),
             (log_mean - 2, "the sign is wrong: the bound is high if T is high on real pairs."),
             (1.0 + math.log(2), "count the *mismatched* pairs, not the real ones.")])
    compare(number(function, joint + 500, marginal + 500), bound,
            "adding 500 to every T must change nothing, but exp(500) overflows: use torch.logsumexp.", tolerance=1e-3)
    value = call(function, joint, marginal.clone().requires_grad_())
    expect(isinstance(value, Tensor) and value.requires_grad, "gradients must flow through: no .item(), no numpy.")
    passed(f"the Donsker-Varadhan bound: {bound:.3f} nats, also where exp T would overflow")


def check_corrected_loss(function: Callable[..., Any]) -> None:
    """Check `function(t_joint, t_marginal, average)`: gradients -1/B, and exp(T) / (B average)."""
    start = torch.tensor([0.0, 1.0, 2.0, -1.0])

    def gradients(average: float, attached: bool = False) -> tuple[Tensor, Tensor]:
        joint, marginal = torch.tensor([0.5, 1.5], requires_grad=True), start.clone().requires_grad_()
        mean = marginal.exp().mean()
        loss = call(function, joint, marginal, mean - mean.detach() + average if attached else torch.tensor(average))
        expect(isinstance(loss, Tensor) and loss.ndim == 0 and loss.requires_grad,
               "return a scalar tensor that gradients flow through.")
        ours, theirs = torch.autograd.grad(loss, (joint, marginal), allow_unused=True)
        expect(ours is not None and theirs is not None,
               "the loss must depend on T of the real pairs and of the mismatched pairs: detach only `average`.")
        return ours, theirs

    real, mismatched = gradients(4.0)
    compare(real, torch.full((2,), -0.5), "on real pairs the gradient is -1 over their number, for every pair.",
            [(torch.full((2,), 0.5), "this would make M *smaller*: the optimiser minimises what you return.")])
    compare(mismatched, start.exp() / 4 / 4.0,
            "on mismatched pairs the gradient is exp(T) / (number of pairs * average).",
            [(start.softmax(0), "that is the plain loss: you divide by the batch's own mean. Divide by `average`.")])
    compare(gradients(8.0)[1], start.exp() / 4 / 8.0, "doubling the average must halve this gradient.")
    compare(gradients(4.0, attached=True)[1], start.exp() / 4 / 4.0,
            "a gradient flows through `average`: it stands for many batches, so detach it.")
    passed("the gradient of Eq. 2, with the mean of exp T taken over many batches")


def check_group_bar(function: Callable[..., Any]) -> None:
    """Check `function(how, group, n_groups, rng)`: a permutation, uniform draws, or all groups for each sample."""
    group = torch.tensor([0] * 700 + [1] * 290 + [3] * 10)  # group 2 is absent

    def draw(how: str, shape: tuple[int, ...], seed: int = 0) -> Tensor:
        bar = call(function, how, group.clone(), 4, torch.Generator().manual_seed(seed))
        return tensor(bar, shape, f"for {how!r} a tensor of whole numbers with shape {shape}").long()

    before = torch.random.get_rng_state()
    shuffled, uniform = draw("shuffle", (1000,)), draw("uniform", (1000,))
    expect(torch.equal(before, torch.random.get_rng_state()), "the global random state has changed: use `rng`.")
    counts = torch.bincount(shuffled, minlength=4).tolist()
    expect(counts == [700, 290, 0, 10], f"shuffle: a permutation keeps the counts [700, 290, 0, 10], not {counts}.")
    expect(0.4 < (shuffled == group).float().mean() < 0.75,
           "shuffle: 57 % of the samples should get their own group by chance; yours depends on it.")
    counts = torch.bincount(uniform, minlength=4).tolist()
    expect(len(counts) == 4 and min(counts) > 180,
           f"uniform: draw each of the n_groups groups about 250 times, also the absent one, not {counts}.")
    expect((uniform == group).float().mean() > 0.15, "uniform: a sample's own group must be drawn as often as others.")
    expect(draw("exact", (1000, 4)).sort(1).values.equal(torch.arange(4).expand(1000, 4)),
           "exact: each row must have every group once, 0 to n_groups - 1.")
    for how in ("shuffle", "uniform"):
        expect(draw(how, (1000,)).equal(draw(how, (1000,))),
               f"{how}: the same generator state must give the same draw: pass generator=rng.")
        expect(not draw(how, (1000,)).equal(draw(how, (1000,), 1)), f"{how}: the draw does not depend on rng.")
    passed("three ways to pair features with groups")


def entropy(counts: Tensor) -> float:
    """Return the entropy of fractions with these counts, in nats."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * share.log()).sum())


def check_needed_nats(function: Callable[..., Any]) -> None:
    """Check `function(counts)`: the entropy of the rows' sums, in nats."""
    counts = torch.tensor([[60.0, 5.0], [20.0, 10.0], [1.0, 4.0]])
    nats, right = number(function, counts.clone()), entropy(counts.sum(1))
    compare(nats, right, f"classes with 65, 30 and 5 samples have an entropy of {right:.3f} nats, not {nats:.3f}.",
            [(entropy(counts.sum(0)), "that is the *attribute*'s entropy: add up each row, not each column."),
             (entropy(counts.flatten()), "that is the entropy of the group. The features need only the class."),
             (math.log(3), "that is the entropy of three classes of equal size, which these are not."),
             (right / math.log(2), "that is in bits. Nats use the natural logarithm."),
             (-right, "the sign is wrong: logarithms of fractions are negative.")])
    compare(number(function, torch.tensor([[60.0, 5.0], [0.0, 0.0], [20.0, 10.0]])), entropy(torch.tensor([65.0, 30.0])),
            "a class without samples must change nothing: 0 log 0 counts as 0.")
    compare(number(function, torch.ones(9, 7)), math.log(9), "nine equal classes on seven backgrounds have log 9 nats.")
    passed(f"what features need for the class: {right:.3f} nats, and log 9 for nine equal classes")


def check_classifier_bound(function: Callable[..., Any]) -> None:
    """Check `function(log_p, label)`: the entropy of the labels minus the cross-entropy, in nats."""
    label = torch.tensor([0] * 6 + [1] * 3 + [3])  # label 2 is absent
    log_p = (2 * torch.eye(4)[label] + torch.linspace(-1, 1, 40).reshape(10, 4)).log_softmax(1)
    nats = number(function, log_p.clone(), label.clone())
    labels, ce = entropy(label.bincount().float()), -float(log_p[torch.arange(10), label].mean())
    expect(math.isfinite(nats), "nan: an absent label has the fraction 0, and 0 log 0 counts as 0.")
    compare(nats, labels - ce, f"entropy {labels:.3f} minus cross-entropy {ce:.3f} is {labels - ce:.3f}, not {nats:.3f}.",
            [(math.log(4) - ce, "log n is the entropy of equally common labels, which these are not."),
             (ce, "that is the cross-entropy. Subtract it from the labels' entropy."),
             (ce - labels, "the sign is wrong: a good classifier shows *more* information."),
             ((labels - ce) / math.log(2), "that is in bits. Nats use the natural logarithm."),
             (labels - 10 * ce, "the cross-entropy is a *mean* over samples, not a sum."),
             (entropy(log_p.exp().mean(0)) - ce, "take the entropy of the labels, not of the predictions.")])
    chance = number(function, (label.bincount(minlength=4) / 10).log().clamp(min=-9).expand(10, 4), label)
    expect(close(chance, 0.0), f"predicting the labels' frequencies for everyone gives 0 nats, not {chance:.3f}.")
    passed(f"what a classifier shows about the labels: {labels - ce:.3f} nats")
