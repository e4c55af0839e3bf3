"""Lessons 03 and 04: MINE's bound and its gradient, mismatched groups, and information in nats."""

import math

import torch
from torch import Tensor

from grmu.course.checks.common import Answer, call, compare, expect, number, passed, scalar, tensor


def check_dv_bound(function: Answer) -> None:
    """Check `function(t_joint, t_marginal)`: mean T - log mean exp T, without overflow."""
    joint, marginal = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])
    right = 2 - math.log((1 + math.e + math.e**2) / 3)
    bound = number(function, joint, marginal)
    compare(bound, right, f"T = {joint.tolist()} and {marginal.tolist()} give {right:.3f}, not {bound:.3f}.",
            [(1.0, "that is mean minus mean: over mismatched pairs, take the log of the mean of exp T."),
             (right - math.log(3), "that is log-*sum*-exp, but Eq. 2 has log-*mean*-exp: subtract log B'."),
             (-right, "the sign is wrong: the bound is high if T is high on real pairs.")])
    compare(number(function, joint + 500, marginal + 500), right, tolerance=1e-3,
            otherwise="adding 500 to every T must change nothing, but exp overflows: use torch.logsumexp.")
    scalar(call(function, joint, marginal.clone().requires_grad_()))
    passed(f"the Donsker-Varadhan bound: {bound:.3f} nats, also where exp T would overflow")


def check_corrected_loss(function: Answer) -> None:
    """Check `function(t_joint, t_marginal, average)`: gradients -1/B, and exp(T) / (B average)."""
    joint = torch.tensor([0.5, 1.5], requires_grad=True)
    marginal = torch.tensor([0.0, 1.0, 2.0, -1.0], requires_grad=True)
    average = torch.tensor(5.0, requires_grad=True)
    scalar(call(function, joint, marginal, average)).backward()
    compare(joint.grad, [-0.5, -0.5], "the gradient must be -1 / B for each of the B real pairs.",
            [([0.5, 0.5], "this would make M *smaller*: the optimiser minimises what you return.")])
    compare(marginal.grad, marginal.exp() / 4 / 5.0,
            "the gradient must be exp(T) / (B' average) for each of the B' mismatched pairs.",
            [(marginal.softmax(0), "that is the plain loss with the batch's own mean. Divide by `average`.")])
    expect(average.grad is None, "`average` stands for many batches, so it must be a constant: detach it.")
    passed("the gradient of Eq. 2, with the mean of exp T taken over many batches")


def check_group_bar(function: Answer) -> None:
    """Check `function(how, group, n_groups, rng)`: a permutation, uniform draws, or all groups per sample."""
    group = torch.tensor([0] * 700 + [1] * 290 + [3] * 10)  # group 2 is absent

    def draw(how: str, shape: tuple[int, ...] = (1000,), seed: int = 0) -> Tensor:
        bar = call(function, how, group.clone(), 4, torch.Generator().manual_seed(seed))
        return tensor(bar, shape, f"for {how!r} a tensor of whole numbers with shape {shape}").long()

    counts = draw("shuffle").bincount(minlength=4).tolist()
    expect(counts == [700, 290, 0, 10],
           f"shuffle: a permutation keeps the counts [700, 290, 0, 10], got {counts}.")
    counts = draw("uniform").bincount(minlength=4).tolist()
    expect(len(counts) == 4 and min(counts) > 180,
           f"uniform: draw each of the 4 groups about 250 times, also the absent one, got {counts}.")
    expect(draw("exact", (1000, 4)).sort(1).values.equal(torch.arange(4).expand(1000, 4)),
           "exact: each row must have every group once, 0 to n_groups - 1.")
    for how in ("shuffle", "uniform"):
        expect(draw(how).equal(draw(how)),
               f"{how}: the same generator state must give the same draw: pass generator=rng.")
        expect(not draw(how).equal(draw(how, seed=1)), f"{how}: the draw does not depend on rng.")
    passed("three ways to pair features with groups")


def entropy(counts: Tensor) -> float:
    """Return the entropy of fractions with these counts, in nats."""
    return float(torch.special.entr(counts / counts.sum()).sum())


def check_needed_nats(function: Answer) -> None:
    """Check `function(counts)`: the entropy of the rows' sums, in nats."""
    counts = torch.tensor([[60.0, 5.0], [20.0, 10.0], [1.0, 4.0]])
    nats, right = number(function, counts.clone()), entropy(counts.sum(1))
    compare(nats, right, f"classes of 65, 30 and 5 samples have {right:.3f} nats, not {nats:.3f}.",
            [(entropy(counts.sum(0)), "that is the *attribute*'s entropy: add up rows, not columns."),
             (entropy(counts.flatten()), "that is the *group*'s entropy. The features need only the class."),
             (right / math.log(2), "that is in bits. Nats use the natural logarithm.")])
    compare(number(function, torch.tensor([[60.0, 5.0], [0.0, 0.0], [20.0, 10.0]])),
            entropy(torch.tensor([65.0, 30.0])), "an empty class must change nothing: 0 log 0 counts as 0.")
    passed(f"what features need for the class: {right:.3f} nats")


def check_classifier_bound(function: Answer) -> None:
    """Check `function(log_p, label)`: the entropy of the labels minus the cross-entropy, in nats."""
    label = torch.tensor([0] * 6 + [1] * 3 + [3])  # label 2 is absent
    log_p = (2 * torch.eye(4)[label] + torch.linspace(-1, 1, 40).reshape(10, 4)).log_softmax(1)
    nats = number(function, log_p.clone(), label.clone())
    labels, ce = entropy(label.bincount()), -float(log_p[torch.arange(10), label].mean())
    expect(math.isfinite(nats), "nan: an absent label has the fraction 0, and 0 log 0 counts as 0.")
    compare(nats, labels - ce, f"{labels:.3f} (entropy) minus {ce:.3f} (cross-entropy) is not {nats:.3f}.",
            [(math.log(4) - ce, "log n is the entropy of equally common labels, which these are not."),
             (ce, "that is the cross-entropy. Subtract it from the labels' entropy."),
             (labels - 10 * ce, "the cross-entropy is a *mean* over samples, not a sum.")])
    passed(f"what a classifier shows about the labels: {labels - ce:.3f} nats")
