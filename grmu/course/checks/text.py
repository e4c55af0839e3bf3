"""Text: a mean over words without the padding, and the attribute of a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grmu.course.checks.common import call, close, expect, passed


def check_masked_mean(function: Callable[..., Any]) -> None:
    """`function(z, ids)` for (B, L, d) and (B, L) -> (B, d): the mean over tokens but padding (id 0)."""
    z = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [80.0, 90.0], [80.0, 90.0]],
                      [[2.0, 4.0], [4.0, 4.0], [6.0, 4.0], [8.0, 4.0]]])
    ids, before = torch.tensor([[101, 102, 0, 0], [101, 7, 9, 102]]), z.clone()
    mean = call(function, z, ids)
    expect(isinstance(mean, Tensor) and mean.shape == (2, 2),
           "return a tensor (B, d): one vector per pair, here (2, 2).")
    expect(z.equal(before), "the vectors that were passed in have changed: work on a copy.")
    expect(not close(mean, z.mean(1)),
           "the padding counts in your mean: 80 and 90 stand where there is no word.")
    expect(not close(mean[0], [1.0, 7.5]),
           "the padding is set to 0 but still counted: divide by the number of words, not by L.")
    expect(not close(mean[0], [4.0, 30.0]), "that is the sum over the words: divide by their number.")
    expect(not close(mean, [[4 / 3, 10.0], [20 / 3, 16 / 3]]),
           "every pair has its own number of words: 2 and 4 here, not 3 for both.")
    expect(close(mean, [[2.0, 15.0], [5.0, 4.0]]), f"[[2, 15], [5, 4]] is expected, not {mean.tolist()}.")
    wider = call(function, torch.cat([z, torch.full((2, 3, 2), 1e6)], 1),
                  torch.cat([ids, torch.zeros(2, 3, dtype=torch.long)], 1))
    expect(close(wider, mean), "three more columns of padding must change nothing.")
    leaf = z.clone().requires_grad_()
    value = call(function, leaf, ids)
    expect(value.requires_grad, "gradients must flow through: no .item(), no numpy.")
    passed("a mean over words, whatever the padding holds")


def check_has_negation(function: Callable[..., Any]) -> None:
    """`function(sentence)` -> bool: is one of no, never, nobody, nothing among its words?"""
    def ask(sentence: str) -> bool:
        answer = call(function, sentence)
        expect(isinstance(answer, bool | np.bool_), f"return True or False, not {answer!r}.")
        return bool(answer)

    expect(ask("anna found no dogs"), "'anna found no dogs' has the word 'no'.")
    expect(not ask("anna found dogs"), "'anna found dogs' has no negation word.")
    for sentence, letters in (("anna found dogs at noon", "noon"), ("anna knows dogs", "knows"),
                              ("anna denotes dogs", "denotes")):
        expect(not ask(sentence), f"{letters!r} has the letters of a negation word in it and is none: "
                                  "compare words, not letters.")
    for word in ("never", "nobody", "nothing"):
        expect(ask(f"{word} anna"), f"{word!r} is a negation word too, also at the beginning of a sentence.")
    expect(ask("Nobody found dogs"), "real sentences have capitals: 'Nobody' is a negation word.")
    expect(ask("Dogs? Anna found no!"), "real sentences have punctuation: 'no!' holds the word 'no'.")
    expect(not ask("anna found somebody"), "'somebody' is no negation word.")
    passed("the attribute, from the words")
