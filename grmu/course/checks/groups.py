"""Unknown groups: groups made from errors, and how many labels show a rare one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grmu.course.checks.common import call, expect, passed


def check_error_groups(function: Callable[..., Any]) -> None:
    """`function(predicted, y)` for (N,) classes -> (N,) long groups: 2 * y, plus 1 where it is wrong."""
    predicted, y = torch.tensor([0, 1, 1, 0, 2, 0]), torch.tensor([0, 0, 1, 1, 2, 2])
    groups = call(function, predicted, y)
    expect(isinstance(groups, Tensor) and groups.shape == (6,), "return a tensor (N,): one group a sample.")
    expect(not groups.is_floating_point() and groups.dtype != torch.bool,
           "groups are whole numbers: use .long().")
    expect(not groups.equal((predicted != y).long()),
           "right and wrong alone make two groups; each class needs two of its own.")
    expect(not groups.equal(2 * predicted + (predicted != y)),
           "a group belongs to the class that a sample *has*, not to the one that was predicted.")
    expect(not groups.equal(2 * y + (predicted == y)),
           "1 is added where the prediction is wrong, not where it is right.")
    expect(groups.tolist() == [0, 1, 2, 3, 4, 5], f"[0, 1, 2, 3, 4, 5] is expected, not {groups.tolist()}.")
    passed("groups from errors")


def check_labels_needed(function: Callable[..., Any]) -> None:
    """`function(share, k, sure)` -> the smallest n so that n random samples hold k of a group, or more.

    share: the group's.  sure: with this probability or more (binomial).
    """
    n = {case: call(function, *case) for case in ((0.5, 1, 0.5), (0.5, 1, 0.9), (0.02, 1, 0.95),
                                                   (0.02, 5, 0.95), (1.0, 3, 0.99))}
    expect(all(isinstance(v, int | np.integer) for v in n.values()), "return a whole number of labels.")
    expect(n[0.02, 5, 0.95] != 250,
           "5 / 0.02 = 250 labels hold five *on average*: nearly half of all draws hold fewer.")
    expect(n[0.5, 1, 0.5] == 1, f"one draw of a coin shows heads half of the time: 1, not {n[0.5, 1, 0.5]}.")
    expect(n[0.5, 1, 0.9] == 4, f"1 - 0.5^4 = 0.94 is the first above 0.9: 4, not {n[0.5, 1, 0.9]}.")
    expect(n[0.02, 1, 0.95] == 149, f"one of a group of 2 %, with 95 %: 149, not {n[0.02, 1, 0.95]}.")
    expect(n[0.02, 5, 0.95] == 456, f"five of a group of 2 %, with 95 %: 456, not {n[0.02, 5, 0.95]}.")
    expect(n[1.0, 3, 0.99] == 3, "if everyone is in the group, three labels hold three.")
    passed("how many labels to ask for")
