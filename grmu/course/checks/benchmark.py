"""Which method: the gap paired by seed, and a loss that matches a target instead of growing without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from grmu.course.checks.common import call, close, expect, passed


def check_gap(function: Callable[..., Any]) -> None:
    """`function(rows, gold, metrics)` for frames with a seed -> avg. gap, a fraction, paired by seed."""
    gold = pd.DataFrame({"seed": [0, 1, 2], "UA": [0.9, 0.5, 0.1], "GA": [0.6, 0.4, 0.2],
                         "seconds": [1.0, 2.0, 3.0]})
    ours = pd.DataFrame({"seed": [2, 0], "UA": [0.1, 0.9], "GA": [0.4, 0.4], "seconds": [9.0, 9.0]})
    gap = float(call(function, ours.copy(), gold.copy(), ["UA", "GA"]))
    expect(not close(gap, 1.0), "GA is 0.2 too high for one seed and 0.2 too low for the other: "
                                "take the absolute value before the mean.")
    expect(not close(gap, 0.1),
           "that is the mean distance; the gap is 1 minus it, so that 1 is a perfect match.")
    expect(not close(gap, 90), "return a fraction, not percent.")
    expect(close(gap, 0.9),
           "each seed is compared with the gold standard of the same seed, whatever the order of the rows, "
           f"and only in the metrics that are asked for: 0.9 here, not {gap:g}.")
    passed("avg. gap, paired by seed")


def check_match_loss(function: Callable[..., Any]) -> None:
    """`function(ce, target)` for (B,) and a scalar -> (mean - target)^2, no gradient into the target."""
    ce, target = torch.tensor([0.2, 0.6], requires_grad=True), torch.tensor(0.7, requires_grad=True)
    loss = call(function, ce, target)
    expect(isinstance(loss, Tensor) and loss.ndim == 0, "return a scalar tensor, the loss of the batch.")
    expect(not close(loss, 0.13),
           "not every picture must reach the target, only their mean: average first, then square.")
    expect(not close(loss, 0.3), "the distance is squared: 0.3 is the distance itself.")
    expect(close(loss, 0.09), f"the mean loss 0.4 is 0.3 from the target: 0.09, not {loss.item():.3f}.")
    loss.backward()
    expect(target.grad is None or not target.grad.any(), "the target is measured, not learnt: detach it.")
    expect(ce.grad is not None and close(ce.grad, [-0.3, -0.3]),
           "no gradient reaches the forgotten pictures' losses.")
    expect(close(call(function, torch.tensor([0.9, 0.9]), torch.tensor(0.7)), 0.04),
           "a loss above the target costs as much as one below: do not maximise, match.")
    passed("a loss that knows where to stop")
