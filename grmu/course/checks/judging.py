"""Lessons 06 to 10: gaps, losses with a target, attacks, text, inferred groups, and promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from grmu.course.checks.common import call, close, compare, expect, number, passed, tensor


def check_gap(function: Callable[..., Any]) -> None:
    """Check `function(rows, gold, metrics)`: the average gap of frames with a seed, a fraction, paired by seed."""
    gold = pd.DataFrame({"seed": [0, 1, 2], "UA": [0.9, 0.5, 0.1], "GA": [0.6, 0.4, 0.2], "seconds": [1.0, 2.0, 3.0]})
    ours = pd.DataFrame({"seed": [2, 0], "UA": [0.1, 0.9], "GA": [0.4, 0.4], "seconds": [9.0, 9.0]})
    gap = number(function, ours.copy(), gold.copy(), ["UA", "GA"])
    compare(gap, 0.9, "compare each seed with the gold standard of the same seed, in the given metrics only: the gap "
            f"is 0.9 here, not {gap:g}.",
            [(1.0, "GA is 0.2 too high for one seed and 0.2 too low for the other: take absolute values first."),
             (0.1, "that is the mean distance. The gap is 1 minus it, so that 1 is a perfect match."),
             (90, "return a fraction, not a percentage.")])
    passed("avg. gap, paired by seed")


def check_match_loss(function: Callable[..., Any]) -> None:
    """Check `function(ce, target)` for (B,) and a scalar: (mean - target)^2, without a gradient to the target."""
    ce, target = torch.tensor([0.2, 0.6], requires_grad=True), torch.tensor(0.7, requires_grad=True)
    loss = tensor(call(function, ce, target), (), "a scalar tensor, the loss of the batch")
    compare(loss, 0.09, f"the mean loss 0.4 is 0.3 from the target: 0.09, not {loss.item():.3f}.",
            [(0.13, "only the mean loss must reach the target: average first, then square."),
             (0.3, "0.3 is the distance. Square it.")])
    loss.backward()
    expect(target.grad is None or not target.grad.any(), "the target is measured, not trained: detach it.")
    expect(ce.grad is not None and close(ce.grad, [-0.3, -0.3]), "no gradient reaches the forget set's losses.")
    compare(call(function, torch.tensor([0.9, 0.9]), torch.tensor(0.7)), 0.04,
            "a loss above the target must cost as much as one below it.")
    passed("a loss that knows where to stop")


def check_logit_confidence(function: Callable[..., Any]) -> None:
    """Check `function(logits, y)` for (N, C) and (N,): (N,) log p / (1 - p), p the probability of class y."""
    logits, y = torch.tensor([[2.0, -1.0], [0.5, 4.0], [3.0, 3.0]]), torch.tensor([0, 0, 1])
    c = tensor(call(function, logits, y), (3,), "a tensor (N,): one number for each sample")
    log_p = logits.log_softmax(1).gather(1, y[:, None])[:, 0]
    compare(c, [3.0, -3.5, 0.0], f"[3, -3.5, 0] is expected, not {[round(v, 3) for v in c.tolist()]}.",
            [(log_p, "that is log p. Return log p / (1 - p)."), (log_p.exp(), "that is p. Return log p / (1 - p)."),
             ([-3.0, 3.5, 0.0], "the sign is wrong: a model that is sure of the right class gets a large number.")])
    compare(call(function, torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([2])), [4 - math.log(math.e + math.e**2)],
            "with three classes, 1 - p is the sum of the other two probabilities.")
    sure = call(function, torch.tensor([[60.0, 0.0], [0.0, 300.0]]), torch.tensor([0, 0]))
    compare(sure, [60.0, -300.0], f"very sure models give [60, -300], not {sure.tolist()}: in single precision p is 1, "
            "so use logits, and logsumexp over the other classes.")
    passed("confidence that does not saturate")


def check_tpr_at_fpr(function: Callable[..., Any]) -> None:
    """Check `function(seen, never, rate)`: the largest fraction of `seen` above a threshold.

    At most the fraction `rate` of `never` may lie above it.
    """
    never, seen = np.arange(100.0), np.array([50.0, 97.5, 98.5, 99.5, 120.0])
    at = {rate: number(function, seen.copy(), never.copy(), rate) for rate in (0.0, 0.01, 0.02, 0.5)}
    compare(at[0.01], 0.6, "one of 100 never seen and 3 of 5 seen lie above 98: 0.6 at a rate of 1 %, not "
            f"{at[0.01]:g}.", [(0.2, "the threshold is too strict: one of 100 never seen may lie above it.")])
    compare(at[0.5], 1.0, "at a rate of 50 % it is 1.0: 50 lies above a threshold of 49.5.",
            [(0.5, "return the fraction of those *seen*. 0.5 is the fraction of the others.")])
    compare([at[0.0], at[0.02]], [0.4, 0.8], "without false positives it is 0.4, and at a rate of 2 % it is 0.8.")
    compare(number(function, np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 0.0]), 0.25), 1 / 3,
            "equal scores cannot be distinguished: a threshold below one of them includes all of them.")
    passed("true positives where false ones are rare")


def check_masked_mean(function: Callable[..., Any]) -> None:
    """Check `function(z, ids)` for (B, L, d) and (B, L): (B, d), the mean over tokens without padding (id 0)."""
    z = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [80.0, 90.0], [80.0, 90.0]],
                      [[2.0, 4.0], [4.0, 4.0], [6.0, 4.0], [8.0, 4.0]]], requires_grad=True)
    mean = tensor(call(function, z, torch.tensor([[101, 102, 0, 0], [101, 7, 9, 102]])), (2, 2),
                  "a tensor (B, d): one vector for each sentence, here (2, 2)")
    compare(mean, [[2.0, 15.0], [5.0, 4.0]], f"[[2, 15], [5, 4]] is expected, not {mean.tolist()}.",
            [(z.mean(1), "your mean includes the padding: 80 and 90 are not words."),
             ([[1.0, 7.5], [5.0, 4.0]], "divide by the number of words, not by L."),
             ([[4.0, 30.0], [20.0, 16.0]], "that is the sum over the words. Divide by their number.")])
    expect(mean.requires_grad, "gradients must flow through: no .item(), no numpy.")
    passed("a mean over words, whatever the padding contains")


def check_has_negation(function: Callable[..., Any]) -> None:
    """Check `function(sentence)`: whether no, never, nobody or nothing is one of its words."""
    for sentence, right, why in (
            ("anna found no dogs", True, "'no' is a negation word"), ("anna found dogs", False, "it has no such word"),
            ("anna found dogs at noon", False, "'noon' only begins with 'no': compare words, not letters"),
            ("anna knows somebody", False, "'knows' and 'somebody' are not negation words"),
            ("never anna", True, "'never' is a negation word"), ("nobody found dogs", True, "so is 'nobody'"),
            ("Nothing was found", True, "real sentences have capitals"),
            ("Dogs? Anna found no!", True, "real sentences have punctuation")):
        answer = call(function, sentence)
        expect(isinstance(answer, bool | np.bool_), f"return True or False, not {answer!r}.")
        expect(answer == right, f"{sentence!r} gives {right}, not {answer}: {why}.")
    passed("the attribute, from the words")


def check_error_groups(function: Callable[..., Any]) -> None:
    """Check `function(predicted, y)` for (N,) classes: (N,) long groups, 2 * y, plus 1 for a wrong prediction."""
    predicted, y = torch.tensor([0, 1, 1, 0, 2, 0]), torch.tensor([0, 0, 1, 1, 2, 2])
    groups = tensor(call(function, predicted, y), (6,), "a tensor (N,): one group for each sample")
    expect(groups.dtype == torch.long, "groups are whole numbers: use .long().")
    compare(groups, range(6), f"[0, 1, 2, 3, 4, 5] is expected, not {groups.tolist()}.",
            [((predicted != y).long(), "right and wrong alone make two groups; each class needs two of its own."),
             (2 * predicted + (predicted != y), "use the sample's class, not the predicted one."),
             (2 * y + (predicted == y), "add 1 where the prediction is wrong, not where it is right.")])
    passed("groups from errors")


def check_labels_needed(function: Callable[..., Any]) -> None:
    """Check `function(share, k, sure)`: the smallest n with k samples of a group, with probability `sure`."""
    n = number(function, 0.02, 5, 0.95)
    expect(n != 250, "250 labels contain five *on average*: nearly half of all draws contain fewer.")
    for case, right in (((0.5, 1, 0.5), 1), ((0.5, 1, 0.9), 4), ((0.02, 1, 0.95), 149), ((0.02, 5, 0.95), 456),
                        ((1.0, 3, 0.99), 3)):
        n = number(function, *case)
        expect(n == right, f"labels_needed{case} is {right}, not {n:g} (binomial distribution).")
    passed("how many labels to ask for")


def check_fewest_trainings(function: Callable[..., Any]) -> None:
    """Check `function(days, wait)`: the fewest trainings such that nobody waits more than `wait` days.

    `days` are the days of the requests, in any order. A training serves all requests up to and including its day.
    """
    for days, wait, right, why in (
            ([3, 3, 3], 30, 1, "three requests on one day need one training"),
            ([], 30, 0, "without requests no training is needed"), ([5], 30, 1, "one request needs one training"),
            ([0, 30], 30, 1, "a request of day 0 can wait until day 30, and one of day 30 is served on that day"),
            ([0, 31], 30, 2, "a request of day 0 cannot wait until day 31"),
            ([29, 31], 30, 1, "the waiting time begins with a request, not with a month"),
            ([0, 35, 64], 30, 2, "one training on day 30 and one on day 65 serve everyone"),
            ([40, 0, 45, 20], 30, 2, "days come in any order: sort them first"),
            ([1, 2, 2], 0, 2, "if nobody may wait, each day with a request needs a training")):
        n = number(function, list(days), wait)
        expect(n == right, f"fewest_trainings({days}, {wait}) is {right}, not {n:g}: {why}.")
    passed("as few trainings as the deadline allows")


Interval = tuple[float, float]
CASES: tuple[tuple[bool, Interval | None, list[Interval], str, str], ...] = (
    (False, (0.45, 0.55), [(0.60, 0.70)], "passed", "the forget set is not detected, but the control is"),
    (False, (0.45, 0.55), [(0.48, 0.56)], "cannot tell", "the attack misses members, so a miss means nothing"),
    (False, (0.45, 0.55), [], "cannot tell", "without a control, nobody knows what the attack can detect"),
    (False, (0.45, 0.55), [(0.60, 0.70), (0.49, 0.60)], "cannot tell", "every control must be detected"),
    (False, None, [(0.60, 0.70)], "cannot tell", "without an attack on the forget set there is no evidence"),
    (False, (0.52, 0.60), [(0.45, 0.55)], "detected", "an undetected control does not undo a detection"),
    (False, (0.50, 0.58), [(0.60, 0.70)], "passed", "an interval that begins at 0.5 is not above chance"),
    (True, (0.52, 0.60), [(0.60, 0.70)], "exact", "a retrained model was not computed from the forget set"))


def check_promise(function: Callable[..., Any]) -> None:
    """Check `function(retrained, forgotten, controls)`: "exact", "detected", "passed" or "cannot tell".

    The arguments: whether the model was retrained without the forget set; the interval (low, high) of an attack's AUC
    on the forget set, or None; and a list of such intervals for people whom the attack should detect.
    """
    for retrained, forgotten, controls, right, why in CASES:
        word = call(function, retrained, forgotten, list(controls))
        expect(word == right, f"promise({retrained}, {forgotten}, {controls}) is {right!r}, not {word!r}: {why}.")
    passed("a promise no larger than its evidence")
