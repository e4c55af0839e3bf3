"""REWEIGHT: sampling weights that restore proportions, and how many different pictures they draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grmu.course.checks.common import call, close, expect, number, passed


def check_group_weights(function: Callable[..., Any]) -> None:
    """`function(train_counts, retain_counts)` -> (n_groups,) alpha = nu_tr / nu_r, 0 for none left."""
    before, after = torch.tensor([2400, 2350, 840, 102]), torch.tensor([2400, 2350, 840, 51])
    alpha = call(function, before, after)
    expect(isinstance(alpha, Tensor) and alpha.shape == (4,),
           "return a tensor with one weight per group, 4 here.")
    scale = alpha / alpha[0]
    expect(not close(scale, torch.tensor([1, 1, 1, 0.5])),
           "upside down: a group that lost members must be drawn *more* often.")
    expect(not close(scale, after[0] / after),
           "these weights balance the groups (1 / nu_r). The aim is the old proportions, not equal ones.")
    expect(not close(alpha, (before / before.sum()) / (after / after.sum())),
           "you divide shares, not counts: "
           "proportional to alpha, but then no group has weight 1, not even an untouched one.")
    expect(close(alpha, [1, 1, 1, 2]),
           f"with half of the last group left, alpha is [1, 1, 1, 2], not {alpha.tolist()}.")
    expect(close(call(function, torch.tensor([100, 60, 8]), torch.tensor([50, 60, 2])), [2, 1, 4]),
           "several groups may have lost members, each by another share: "
           "[100, 60, 8] to [50, 60, 2] gives [2, 1, 4].")
    alpha = call(function, before, torch.tensor([2400, 2350, 840, 0]))
    expect(alpha.isfinite().all(),
           "a group of which nothing is left got inf or nan, which spoils all the others once the weights "
           "are divided by their sum. Its weight is 0: there is nothing to draw.")
    expect(close(alpha, [1, 1, 1, 0]),
           f"a group of which nothing is left has weight 0 and the others keep theirs, not {alpha.tolist()}.")
    expect(close(call(function, torch.tensor([5, 0]), torch.tensor([5, 0])), [1, 0]),
           "a group that never had a sample has weight 0 as well.")
    passed("alpha restores the old proportions, and a vanished group does no harm")


def check_expected_distinct(function: Callable[..., Any]) -> None:
    """`function(n_pictures, share, n_draws)` -> n (1 - (1 - share / n) ** draws)."""
    share, n_draws = 102 / 5692, 5641
    expected = number(function, 51, share, n_draws)
    expect(not close(expected, share * n_draws, 1e-3),
           "101 is how often the group is drawn; some of its pictures come twice or more.")
    expect(expected <= 51, f"{expected:.1f} different pictures out of 51 is too many.")
    expect(not close(expected, 51),
           "51 would mean that every picture turns up in every epoch: with replacement, some are missed.")
    expect(not close(expected, 51 * (1 - (1 - share) ** n_draws)),
           "`share` belongs to the whole group: one picture has share / n_pictures.")
    expect(close(expected, 43.98, 1e-3),
           f"of 51 pictures with a joint share of 1.8 %, 44.0 turn up among 5,641 draws, not {expected:.1f}.")
    expect(close(number(function, 10, 0.5, 1), 0.5),
           "one draw hits the group with probability `share`, here 0.5: half a picture on average.")
    expect(close(number(function, 1, 1.0, 7), 1.0),
           "a single picture that is always drawn is one picture, however often.")
    passed("44 different pictures of 51, drawn 101 times")
