"""Uneven forgetting: who is forgotten, and what it leaves of a group."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grmu.course.checks.common import call, close, expect, number, passed


def check_retrain(function: Callable[..., Any]) -> None:
    """`function(fit, x, y, group, g, ratio, seed)` -> what `fit` makes of all but a random share of group g.
    """
    group = torch.tensor([0] * 40 + [1] * 20 + [0] * 20 + [2] * 20)
    pictures, targets = torch.arange(100)[:, None] + 0.5, torch.arange(100) % 7
    kept = _stay(function, pictures, targets, group, 1, 0.5, 3)
    gone = 20 - int((group[kept] == 1).sum())
    expect(gone < 20, "nobody of group 1 is left: half of its members should be.")
    expect(int((group[kept] != 1).sum()) == 80,
           f"of the 80 samples of other groups {int((group[kept] != 1).sum())} are left: "
           "group 1 alone asked, so fit gets everybody else.")
    expect(gone > 0, "fit gets everybody, those who asked to be forgotten too: that is PRETRAIN.")
    expect(gone == 10, f"half of group 1 are 10 of its 20 samples, but {gone} are gone. "
                       "The ratio is a share of the group, not of the training set, "
                       "and not a probability for each sample: the number must be exact.")
    expect(60 - int((group[_stay(function, pictures, targets, group, 0, 0.1, 3)] == 0).sum()) == 6,
           "a tenth of the 60 samples of group 0 are 6: does g matter?")
    expect(kept == _stay(function, pictures, targets, group, 1, 0.5, 3),
           "the same seed must forget the same samples, but two calls differ: "
           "use a generator made from the seed.")
    expect(any(kept != _stay(function, pictures, targets, group, 1, 0.5, seed) for seed in range(4, 9)),
           "every seed forgets the same samples: choose at random, with the seed.")
    passed("a model of all who stay, afresh: this is exact unlearning")


def _stay(function: Callable[..., Any], x: Tensor, y: Tensor, *request: Any) -> list[int]:
    """The rows that a student's function trains on, in ascending order."""
    model, given = object(), list[tuple[Any, Any]]()

    def fit(x: Any, y: Any, *_: Any, **__: Any) -> object:
        given.append((x, y))
        return model

    pictures, targets = x.clone(), y.clone()
    returned = call(function, fit, pictures, targets, *request)
    expect(given, "fit is never called: RETRAIN is fit(pictures, targets) of those who stay.")
    expect(len(given) == 1, f"fit is called {len(given)} times: exact unlearning trains once, "
                            "afresh, and on those who stay.")
    expect(returned is model, "return the model that fit returns.")
    expect(pictures.equal(x) and targets.equal(y),
           "pictures or targets that were passed in have changed: leave rows out instead.")
    ours, theirs = given[0]
    expect(isinstance(ours, Tensor) and isinstance(theirs, Tensor) and (ours.ndim, theirs.ndim) == (2, 1),
           "fit takes pictures and targets, tensors with the rows of x and y that stay.")
    rows = [int(value) for value in ours[:, 0]]
    expect(len(set(rows)) == len(rows) and set(rows) <= set(range(len(x))) and ours.equal(x[rows]),
           "fit gets pictures twice, or changed ones: each who stays is shown as it is, once.")
    expect(theirs.tolist() == y[rows].tolist(),
           "pictures and targets do not belong together: leave the same rows out of both.")
    return sorted(rows)


def check_margin_shift(function: Callable[..., Any]) -> None:
    """`function(before, left)` -> (n_attributes,) what the margin of class 1 over class 0 gains."""
    def asked(before: list[list[int]], left: list[list[int]]) -> Tensor:
        tables = torch.tensor(before), torch.tensor(left)
        kept = [table.clone() for table in tables]
        shift = call(function, *tables)
        expect(all(map(torch.equal, tables, kept)), "a table that was passed in has changed: work on a copy.")
        expect(isinstance(shift, Tensor) and shift.shape == (2,),
               "return a tensor of two numbers, one for each ground (a column of the tables).")
        return shift.double()

    before = [[2400, 2350], [840, 102]]
    shift = asked(before, [[2400, 2350], [840, 51]])
    half = torch.tensor([0.0, -math.log(2)]).double()
    expect(not close(shift, -half), "the sign: sneakers on brick became rarer, so their margin falls.")
    expect(not close(shift, half / math.log(2)) and not close(shift, half / math.log(10)),
           "logits are in nats: take the natural logarithm.")
    expect(not close(shift, half.exp()), "that is the factor; logits add, so take its logarithm.")
    expect(not close(shift, half.flip(0)), "the columns are the grounds, the rows are the shoes.")
    expect(not close(shift, half + math.log(5692 / 5641)),
           "close, but you divide by all pictures that are left. Divide one shoe by the other, on one "
           "ground.")
    expect(not close(shift, half + torch.tensor([0.0, math.log(2452 / 2401)]).double()),
           "close, but that is what the log of the share on this ground loses. "
           "A margin is the log of a ratio: one shoe by the other.")
    expect(close(shift, half), "half of the sneakers on brick leave: the margin gains nothing on grass and "
                               f"loses log 2 on brick, so 0.00, -0.69, not {_said(shift)}.")
    shift = asked(before, [[2400, 235], [840, 102]])
    expect(close(shift, [0.0, math.log(10)]),
           "nine tenths of the boots on brick leave: sneakers there become ten times as common beside boots, "
           f"and their margin gains log 10 = 2.30, not {_said(shift)}.")
    expect(close(asked(before, [[1200, 1175], [420, 51]]), [0.0, 0.0]),
           "half of everybody leave: no margin moves, since no shoe became rarer beside the other.")
    expect(close(asked([[10, 20], [30, 40]], [[5, 20], [15, 10]]), [0.0, -math.log(4)]),
           "several groups may ask at once, each with its own share.")
    passed("who becomes rarer beside whom, on each ground: that is all the theory needs")


def _said(values: Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in values.tolist())


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
