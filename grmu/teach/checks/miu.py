"""MIU: the calibration term, and the avg. gap that a method is judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grmu.teach.checks.common import call, close, expect, passed


def check_calibration_loss(function: Callable[..., Any]) -> None:
    """`function(mi, mi_original, lam)` -> lam * (mi - mi_original)^2, no gradient into the original's."""
    mi, original = torch.tensor(0.9, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    loss = call(function, mi, original, 2.0)
    expect(isinstance(loss, Tensor) and loss.ndim == 0,
           "return a scalar tensor, so that it can be added to the cross-entropy.")
    expect(not close(loss, 0.8),
           "the difference is squared in Eq. 6, not taken as it is: 2 * 0.4 is not the loss here.")
    expect(not close(loss, 0.64),
           "lambda multiplies the square, it is not squared with it: lambda * (difference)^2.")
    expect(close(loss, 0.32), f"2 * (0.9 - 0.5)^2 = 0.32, not {loss.item():.3f}.")
    loss.backward()
    expect(original.grad is None or not original.grad.any(),
           "the original's estimate is a target, but a gradient flows into it: "
           "detach it, or the target runs to meet the model.")
    expect(mi.grad is not None and close(mi.grad, 1.6),
           "no gradient reaches the unlearned model's estimate: detach only the target.")
    expect(close(call(function, torch.tensor(0.2), torch.tensor(0.5), 1.0), 0.09),
           "too little information costs as much as too much.")
    passed("the calibration term, and which side of it learns")


def check_average_gap(function: Callable[..., Any]) -> None:
    """`function(ours, gold)` for (seeds, metrics) fractions -> avg. gap, 1 for a perfect match."""
    gold = np.array([[0.9, 0.6], [0.9, 0.4]])
    ours = np.array([[0.9, 0.4], [0.9, 0.6]])
    gap = float(call(function, ours.copy(), gold.copy()))
    expect(not close(gap, 1.0), "the second metric is 0.2 too low for one seed and 0.2 too high "
                                "for the other: averaging over seeds before taking the absolute value lets "
                                "the two cancel (footnote 3 of the paper: per seed first).")
    expect(not close(gap, 0.1),
           "that is the mean distance; the gap is 1 minus it, so that 1 is a perfect match.")
    expect(not close(gap, 90), "return a fraction, not percent.")
    expect(close(gap, 0.9),
           f"mean over metrics of the mean absolute difference is 0.1, so the gap is 0.9, not {gap:g}.")
    expect(close(float(call(function, gold.copy(), gold.copy())), 1.0),
           "the gold standard itself has a gap of 1.")
    passed("avg. gap: per seed, absolute, averaged, then 1 minus")
