"""Uneven forgetting: who is forgotten, and what it leaves of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grmu.teach.checks.common import call, close, expect, number, passed


def check_forget_mask(function: Callable[..., Any]) -> None:
    """`function(group, g, ratio, seed)` -> (N,) bool, True for forgotten: a random share of group g only."""
    group = torch.tensor([0] * 40 + [1] * 20 + [0] * 20 + [2] * 20)
    before = torch.random.get_rng_state()
    mask = call(function, group, 1, 0.5, 3)
    untouched = torch.equal(before, torch.random.get_rng_state())
    expect(isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.shape == group.shape,
           f"return a Boolean tensor with one entry per sample, {len(group)} here.")
    expect(not mask[group != 1].any(),
           f"{int(mask[group != 1].sum())} samples of other groups are marked: group 1 alone asked.")
    n = int(mask.sum())
    expect(n > 0, "nothing is marked: True means forgotten.")
    expect(n == 10, f"half of group 1 are 10 of its 20 samples, but {n} are marked. "
                    "The ratio is a share of the group, not of the training set, "
                    "and not a probability for each sample: the number must be exact.")
    expect(int(call(function, group, 0, 0.1, 3).sum()) == 6,
           "a tenth of the 60 samples of group 0 are 6: does g matter?")
    expect(call(function, group, 2, 1.0, 3).equal(group == 2), "ratio 1.0 forgets the whole group.")
    expect(mask.equal(call(function, group, 1, 0.5, 3)),
           "the same seed must give the same forget set, but two calls differ: "
           "use a generator made from the seed.")
    others = [call(function, group, 1, 0.5, seed) for seed in range(4, 9)]
    expect(not all(mask.equal(m) for m in others),
           "every seed gives the same forget set: choose at random, with the seed.")
    expect(untouched, "the global random state has changed, so everything random that runs later changes "
                      "too: use a torch.Generator of your own instead of torch.manual_seed.")
    passed("the right number, of the right group, at random, reproducible, "
           "and nobody else's random numbers disturbed")


def check_retain_share(function: Callable[..., Any]) -> None:
    """`function(counts, g, ratio)` -> the share of group g in the retain set."""
    celeba = [71629, 66874, 22880, 1387]
    counts = list(celeba)
    share = number(function, counts, 0, 0.9)
    expect(counts == celeba, "the list of counts that was passed in has changed: work on a copy.")
    expect(not close(share, 0.0440, 1e-3), "4.4 %: you divide by the old size of the training set. "
                                           "The retain set is smaller: it lost 90 % of this very group.")
    expect(not close(share, 0.8135, 1e-3),
           "81 %: that is what *remains of everything*. Which part of it is group 0?")
    expect(not close(share, 7.287, 1e-3), "return a fraction, not a percentage.")
    expect(close(share, 0.07287, 1e-4), "of CelebA's largest group 7,163 are left at ratio 0.9, "
                                        f"and of all groups 98,304: the share is 0.0729, not {share:.4f}.")
    expect(close(number(function, torch.tensor(celeba), 3, 0.9), 0.000859, 1e-5),
           "the smallest group ends at 0.086 % (138.7 of 161,522): "
           "does g matter, and do tensors work as well as lists?")
    expect(close(number(function, [10, 30], 1, 1.0), 0.0),
           "ratio 1.0 leaves nothing of the group: its share is 0.")
    passed(f"44 % becomes {100 * share:.1f} %, as the paper says")
