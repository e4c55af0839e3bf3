"""Check lessons 03 and 04: MINE's bound and its gradient, mismatched groups, and information in nats."""

import math

import torch
from torch import Tensor

from grmu.course.checks.common import Answer, call, compare, expect, passed, returns, scalar


def check_dv_bound(function: Answer) -> None:
    """Check `function(t_joint, t_marginal)`: mean T - log mean exp T, without overflow."""
    joint, marginal = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])
    right = 2 - math.log((1 + math.e + math.e**2) / 3)
    returns(function, (joint, marginal), right, "T is 1 and 3 on real pairs, and 0, 1, 2 on mismatched ones.",
            [(1.0, "that is mean minus mean: take the log of the mean of exp T over mismatched pairs."),
             (right - math.log(3), "that is log-*sum*-exp, but Eq. 2 has log-*mean*-exp: subtract log B'.")])
    returns(function, (joint + 500, marginal + 500), right, tolerance=1e-3,
            why="Adding 500 to every T must change nothing, but exp overflows: use torch.logsumexp.")
    scalar(call(function, joint, marginal.clone().requires_grad_()))
    passed(f"the Donsker-Varadhan bound: {right:.3f} nats, even where exp T would overflow")


def check_corrected_loss(function: Answer) -> None:
    """Check `function(t_joint, t_marginal, average)`: the gradients -1 / B and exp(T) / (B' average)."""
    joint = torch.tensor([0.5, 1.5], requires_grad=True)
    marginal = torch.tensor([0.0, 1.0, 2.0, -1.0], requires_grad=True)
    average = torch.tensor(5.0, requires_grad=True)
    scalar(call(function, joint, marginal, average)).backward()
    compare(joint.grad, [-0.5, -0.5], "The gradient must be -1 / B for each of the B real pairs.",
            [([0.5, 0.5], "this would make M *smaller*: the optimiser minimises what you return.")])
    compare(marginal.grad, marginal.exp() / 4 / 5.0,
            "The gradient must be exp(T) / (B' average) for each of the B' mismatched pairs.",
            [(marginal.softmax(0), "that is the plain loss with the batch's own mean. Divide by `average`.")])
    expect(average.grad is None, "`average` stands for many batches, so it must be a constant: detach it.")
    passed("the gradient of Eq. 2, with the mean of exp T taken over many batches")


def check_exact_bound(function: Answer) -> None:
    """Check `function(t, group)`: mean T(z, g) - log mean exp T over all samples and groups."""
    t, group = torch.tensor([[2.0, 0, 1], [0, 1, 3], [1, 2, 0], [0, 2, 0]]), torch.tensor([0, 2, 1, 1])
    joint, log_sum = 9 / 4, float(t.logsumexp((0, 1)))
    right = joint - log_sum + math.log(12)
    returns(function, (t, group), right, "That is not the bound for this table of T.",
            [(joint - float(t.logsumexp(1).mean()) + math.log(3),
              "Eq. 2 takes the log once, after the mean over all samples and groups."),
             (joint - log_sum + math.log(4), "all B times n entries are mismatched pairs: divide by B n.")])
    scalar(call(function, t.clone().requires_grad_(), group))
    passed(f"Eq. 2 with every group in place of \u1e21: {right:.3f} nats, without random draws")


def entropy(counts: Tensor) -> float:
    """Return the entropy of labels with the given counts, in nats."""
    return float(torch.special.entr(counts / counts.sum()).sum())


def check_needed_nats(function: Answer) -> None:
    """Check `function(counts)`: the entropy of the row sums in nats."""
    counts = torch.tensor([[60.0, 5.0], [20.0, 10.0], [1.0, 4.0]])
    right = entropy(counts.sum(1))
    returns(function, (counts,), right, "The classes have 65, 30 and 5 samples.",
            [(entropy(counts.sum(0)), "that is the entropy of the *attribute*: add up rows, not columns."),
             (right / math.log(2), "that is in bits: use the natural logarithm to get nats.")])
    returns(function, (torch.tensor([[60.0, 5.0], [0.0, 0.0], [20.0, 10.0]]),),
            entropy(torch.tensor([65.0, 30.0])), "An empty class must change nothing: 0 log 0 counts as 0.")
    passed(f"the class alone can account for {right:.3f} nats")


def check_classifier_bound(function: Answer) -> None:
    """Check `function(log_p, label)`: the labels' entropy minus the cross-entropy in nats."""
    label = torch.tensor([0] * 6 + [1] * 3 + [3])  # label 2 is absent
    log_p = (2 * torch.eye(4)[label] + torch.linspace(-1, 1, 40).reshape(10, 4)).log_softmax(1)
    labels, ce = entropy(label.bincount()), -float(log_p[torch.arange(10), label].mean())
    returns(function, (log_p, label), labels - ce, f"The entropy of the labels is {labels:.3f} (an absent "
            f"label adds 0 log 0 = 0), and the cross-entropy is {ce:.3f}.",
            [(ce, "that is the cross-entropy: subtract it from the labels' entropy."),
             (labels - 10 * ce, "the cross-entropy is a *mean* over samples, not a sum.")])
    passed(f"a classifier reveals at least {labels - ce:.3f} nats about the labels")
