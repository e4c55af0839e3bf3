"""Is it forgotten: confidence that does not saturate, and true positives where false ones are rare."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grmu.course.checks.common import call, close, expect, passed


def check_logit_confidence(function: Callable[..., Any]) -> None:
    """`function(logits, y)` for (N, C) and (N,) -> (N,): log p / (1 - p), p the probability of class y."""
    logits, y = torch.tensor([[2.0, -1.0], [0.5, 4.0], [3.0, 3.0]]), torch.tensor([0, 0, 1])
    c = call(function, logits, y)
    expect(isinstance(c, Tensor) and c.shape == (3,), "return a tensor (N,): one number a sample.")
    log_p = logits.log_softmax(1).gather(1, y[:, None])[:, 0]
    expect(not close(c, log_p), "that is log p; log p / (1 - p) tells a sure model from a very sure one.")
    expect(not close(c, log_p.exp()), "that is p, which ends at 1; take log p / (1 - p).")
    expect(not close(c, [-3.0, 3.5, 0.0]),
           "the sign is turned: a model that is sure of the right class should get a large number.")
    expect(close(c, [3.0, -3.5, 0.0]), f"[3, -3.5, 0] is expected, not {[round(v, 3) for v in c.tolist()]}.")
    three = call(function, torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([2]))
    expect(not close(three, [2.0]),
           "with three classes 1 - p is the sum of the other two, not the runner-up alone.")
    expect(close(three, [4 - math.log(math.e + math.e**2)]),
           "with three classes 1 - p is the sum of the other classes' probabilities.")
    sure = call(function, torch.tensor([[60.0, 0.0], [0.0, 300.0]]), torch.tensor([0, 0]))
    expect(torch.isfinite(sure).all(),
           "with logits of 60 and 0 in single precision, p is 1 and log p / (1 - p) infinite: "
           "stay with logits, use logsumexp over the other classes.")
    expect(close(sure, [60.0, -300.0]), f"very sure models: [60, -300] is expected, not {sure.tolist()}.")
    passed("confidence that does not saturate")


def check_tpr_at_fpr(function: Callable[..., Any]) -> None:
    """`function(seen, never, rate)` for two score arrays -> the largest share of `seen` above a threshold.

    At most `rate` of `never` lie above it.
    """
    never, seen = np.arange(100.0), np.array([50.0, 97.5, 98.5, 99.5, 120.0])
    at = {rate: float(call(function, seen.copy(), never.copy(), rate)) for rate in (0.0, 0.01, 0.02, 0.5)}
    expect(min(at.values()) >= 0 and max(at.values()) <= 1, "return a share, from 0 to 1.")
    expect(not close(at[0.01], 0.2),
           "the threshold is too strict: at 1 % of 100, one of those never seen may lie above it.")
    expect(not close(at[0.5], 0.5),
           "shares of those that *were* seen are asked for; 0.5 is the share of the others.")
    expect(close(at[0.01], 0.6),
           f"above 98 lie one of 100 never seen and 3 of 5 seen: 0.6 at a rate of 1 %, not {at[0.01]:g}.")
    expect(close(at[0.02], 0.8) and close(at[0.5], 1.0),
           "at a rate of 2 % it is 0.8, at 50 % it is 1.0: 50 lies above a threshold of 49.5.")
    expect(close(at[0.0], 0.4), "without any false positive the threshold is the largest score of those "
                                f"never seen: 0.4, not {at[0.0]:g}.")
    ties = float(call(function, np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 0.0]), 0.25))
    expect(close(ties, 1 / 3),
           "scores that are equal cannot be told apart: whoever takes one 1 for seen takes all of them.")
    passed("true positives where false ones are rare")
