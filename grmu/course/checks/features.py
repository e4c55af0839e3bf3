"""What features can hold and a classifier shows to be there: an entropy, and a bound without MINE."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grmu.course.checks.common import close, expect, number, passed


def entropy(counts: Tensor) -> float:
    """Of shares with these counts, in nats."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * share.log()).sum())


def check_needed_nats(function: Callable[..., Any]) -> None:
    """`function(counts)` -> entropy of the rows' sums, in nats."""
    counts = torch.tensor([[60.0, 5.0], [20.0, 10.0], [1.0, 4.0]])
    nats, right = number(function, counts.clone()), entropy(counts.sum(1))
    group, attribute = entropy(counts.flatten()), entropy(counts.sum(0))
    for wrong, why in (
            (attribute, "that is the *attribute*'s entropy: add up each row, not each column."),
            (group, "that is H(G), all there is to know about the group. "
                    "Features that depend on the class alone do not tell the attribute."),
            (math.log(3), "that is log of the number of classes, the entropy of classes of equal size. "
                          "These are not."),
            (right / math.log(2), "in bits; nats take the natural logarithm."),
            (group - attribute, "that is what remains to know of the class once the attribute is known. "
                                "Features may tell all of the class."),
            (group - right, "that is what remains to know of the group once the class is known."),
            (-right, "the sign is turned round: logarithms of shares are negative.")):
        expect(not close(nats, wrong), f"{nats:.3f}: {why}")
    expect(close(nats, right), f"classes with 65, 30 and 5 samples have an entropy of {right:.3f} nats, "
                               f"not {nats:.3f}.")
    empty = number(function, torch.tensor([[60.0, 5.0], [0.0, 0.0], [20.0, 10.0]]))
    expect(math.isfinite(empty), "a class without samples gave nan: 0 log 0 counts as 0, so leave it out.")
    expect(close(empty, entropy(torch.tensor([65.0, 30.0]))), "a class without samples must change nothing.")
    many = number(function, torch.ones(9, 7))
    expect(close(many, math.log(9)), f"nine equal classes on seven grounds: log 9, not {many:.3f}.")
    passed(f"what features need for the class: {right:.3f} nats, and log 9 for nine equal classes")


def check_classifier_bound(function: Callable[..., Any]) -> None:
    """`function(log_p, label)` -> entropy of the labels minus cross-entropy, in nats."""
    label = torch.tensor([0] * 6 + [1] * 3 + [3])  # label 2 is absent
    log_p = (2 * torch.eye(4)[label] + torch.linspace(-1, 1, 40).reshape(10, 4)).log_softmax(1)
    nats = number(function, log_p.clone(), label.clone())
    own = log_p[torch.arange(10), label]
    labels, ce = entropy(label.bincount().float()), -float(own.mean())
    predicted = log_p.exp().mean(0)
    expect(math.isfinite(nats), "nan: a label that is absent has the share 0, and 0 log 0 counts as 0.")
    for wrong, why in (
            (math.log(4) - ce, "you took log n for the labels' entropy. These are not equally common."),
            (math.log(3) - ce, "you took the log of the number of labels seen. They are not equally common."),
            (ce, "that is the cross-entropy. Subtract it from the labels' entropy."),
            (-ce, "that is minus the cross-entropy. The labels' entropy is missing."),
            (ce - labels, "the sign is turned round: a good classifier shows *more* information."),
            ((labels - ce) / math.log(2), "in bits; nats take the natural logarithm."),
            (labels + float(own.sum()), "the cross-entropy is a *mean* over samples, not a sum."),
            (labels + float(own.exp().mean()), "mean of the probability where its *logarithm* is needed."),
            (labels + float(log_p.mean()), "you averaged over all labels: take each sample's *own* label."),
            (entropy(predicted) - ce, "you took the entropy of what the classifier predicts. "
                                      "H is that of the labels.")):
        expect(not close(nats, wrong), f"{nats:.3f}: {why}")
    expect(close(nats, labels - ce), f"entropy {labels:.3f} minus cross-entropy {ce:.3f} "
                                     f"is {labels - ce:.3f}, not {nats:.3f}.")
    chance = number(function, (label.bincount(minlength=4) / 10).log().clamp(min=-9).expand(10, 4), label)
    expect(close(chance, 0.0), f"a classifier that says the labels' shares of everyone shows 0 nats, "
                               f"not {chance:.3f}.")
    passed(f"what a classifier shows to be there: {labels - ce:.3f} nats")
