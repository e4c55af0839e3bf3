"""Lessons 06 to 10: gaps, losses with a target, attacks, text, inferred groups, and promises."""

import numpy as np
import pandas as pd
import torch

from grmu.course.checks.common import Answer, call, close, compare, expect, number, passed, scalar, tensor


def check_gap(function: Answer) -> None:
    """Check `function(rows, gold, metrics)`: the average gap, a fraction, of frames paired by seed."""
    gold = pd.DataFrame({"seed": [0, 1, 2], "UA": [0.9, 0.5, 0.1], "GA": [0.6, 0.4, 0.2], "seconds": 1.0})
    ours = pd.DataFrame({"seed": [2, 0], "UA": [0.1, 0.9], "GA": [0.4, 0.4], "seconds": 9.0})
    gap = number(function, ours, gold, ["UA", "GA"])
    compare(gap, 0.9, f"the gap is 0.9, not {gap:g}: compare equal seeds, in the given metrics only.",
            [(1.0, "GA is too high for one seed and too low for the other: take absolute values first."),
             (0.1, "that is the mean distance. The gap is 1 minus it, so that 1 is a perfect match.")])
    passed("avg. gap, paired by seed")


def check_match_loss(function: Answer) -> None:
    """Check `function(ce, target)` for (B,) and a scalar: (mean - target)^2, with a fixed target."""
    ce, target = torch.tensor([0.2, 0.6], requires_grad=True), torch.tensor(0.7, requires_grad=True)
    loss = scalar(call(function, ce, target))
    compare(loss, 0.09, f"the mean loss 0.4 is 0.3 from the target: 0.3^2 is 0.09, not {loss.item():.3f}.",
            [(0.13, "only the mean loss must reach the target: average first, then square.")])
    loss.backward()
    expect(target.grad is None, "the target is measured, not trained: detach it.")
    expect(close(ce.grad, [-0.3, -0.3]), "no gradient reaches the forget set's losses.")
    passed("a loss that knows where to stop")


def check_logit_confidence(function: Answer) -> None:
    """Check `function(logits, y)` for (N, C) and (N,): (N,) log p / (1 - p), p the probability of class y."""
    logits, y = torch.tensor([[2.0, 1.0, 0.0], [4.0, 1.0, 0.0]]), torch.tensor([0, 2])
    c = tensor(call(function, logits, y), (2,), "a tensor (N,): one number for each sample")
    p = logits.softmax(1)[torch.arange(2), y]
    compare(c, p.logit(), f"[0.687, -4.049] is right, not {c.tolist()}: 1 - p sums over the other classes.",
            [(p.log(), "that is log p. Return log p / (1 - p)."),
             (-p.logit(), "the sign is wrong: more confidence in the right class gives a larger number.")])
    sure = call(function, torch.tensor([[60.0, 0.0], [300.0, 0.0]]), torch.tensor([0, 1]))
    compare(sure, [60.0, -300.0], f"very sure models give [60, -300], not {sure.tolist()}: p rounds to 1, so "
            "use the logits, and logsumexp over the other classes.")
    passed("confidence that does not saturate")


def check_tpr_at_fpr(function: Answer) -> None:
    """Check `function(seen, never, rate)`: the largest fraction of `seen` above a threshold.

    At most the fraction `rate` of `never` may lie above it.
    """
    never, seen = np.arange(100.0), np.array([50.0, 97.5, 98.5, 99.5, 120.0])
    one, half = (number(function, seen.copy(), never.copy(), rate) for rate in (0.01, 0.5))
    compare(one, 0.6, f"above 98 lie 1 of 100 never seen and 3 of 5 seen: 0.6 at a rate of 1 %, not {one:g}.",
            [(0.4, "the threshold is too strict: one of the 100 never seen may lie above it.")])
    compare(half, 1.0, "at a rate of 50 %, all 5 seen lie above the threshold: 1.0.",
            [(0.5, "return the fraction of those *seen*. 0.5 is the fraction of the others.")])
    compare(number(function, np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 0.0]), 0.25), 1 / 3,
            "equal scores cannot be distinguished: a threshold below one of them includes all of them.")
    passed("true positives where false ones are rare")


def check_masked_mean(function: Answer) -> None:
    """Check `function(z, ids)` for (B, L, d) and (B, L): (B, d), the mean over tokens except padding (0)."""
    z = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [80.0, 90.0]], [[2.0, 4.0], [4.0, 4.0], [6.0, 4.0]]])
    mean = call(function, z, torch.tensor([[101, 102, 0], [101, 7, 102]]))
    tensor(mean, (2, 2), "a tensor (B, d): one vector for each sentence, here (2, 2)")
    compare(mean, [[2.0, 15.0], [4.0, 4.0]], f"[[2, 15], [4, 4]] is expected, not {mean.tolist()}.",
            [(z.mean(1), "your mean includes the padding: 80 and 90 are not words."),
             ([[4 / 3, 10.0], [4.0, 4.0]], "divide by the number of words, not by L."),
             ([[4.0, 30.0], [12.0, 12.0]], "that is the sum over the words. Divide by their number.")])
    passed("a mean over words, whatever the padding contains")


def check_has_negation(function: Answer) -> None:
    """Check `function(sentence)`: whether no, never, nobody or nothing is one of its words."""
    for sentence, right, why in (
            ("anna found no dogs", True, "'no' is a negation word"),
            ("anna found dogs at noon", False, "'noon' only begins with 'no': compare words, not letters"),
            ("nobody ran", True, "'nobody' is a negation word"), ("never anna", True, "'never' is one, too"),
            ("Nothing was found", True, "real sentences have capitals"),
            ("Dogs? Anna found no!", True, "real sentences have punctuation")):
        answer = call(function, sentence)
        expect(isinstance(answer, bool | np.bool_), f"return True or False, not {answer!r}.")
        expect(answer == right, f"{sentence!r} gives {right}, not {answer}: {why}.")
    passed("the attribute, from the words")


def check_error_groups(function: Answer) -> None:
    """Check `function(predicted, y)` for (N,) classes: (N,) long, 2 * y, plus 1 for a wrong prediction."""
    predicted, y = torch.tensor([0, 1, 1, 0, 2, 0]), torch.tensor([0, 0, 1, 1, 2, 2])
    groups = tensor(call(function, predicted, y), (6,), "a tensor (N,): one group for each sample")
    expect(groups.dtype == torch.long, "groups are whole numbers: use .long().")
    compare(groups, range(6), f"[0, 1, 2, 3, 4, 5] is expected, not {groups.tolist()}.",
            [(predicted != y, "right and wrong alone make two groups; each class needs two of its own."),
             (2 * predicted + (predicted != y), "use the sample's class, not the predicted one.")])
    passed("groups from errors")


def check_labels_needed(function: Answer) -> None:
    """Check `function(share, k, sure)`: the smallest n with k samples of a group, with probability `sure`."""
    for case, right in (((0.02, 5, 0.95), 456), ((0.02, 1, 0.95), 149), ((1.0, 3, 0.99), 3)):
        n = number(function, *case)
        expect(n != 250, "250 labels contain five *on average*: nearly half of all draws contain fewer.")
        expect(n == right, f"labels_needed{case} is {right}, not {n:g} (binomial distribution).")
    passed("how many labels to ask for")


def check_fewest_trainings(function: Answer) -> None:
    """Check `function(days, wait)`: the fewest trainings such that nobody waits more than `wait` days.

    `days` are the days of the requests, in any order. A training serves all requests up to and including
    its day.
    """
    for days, wait, right, why in (
            ([3, 3, 3], 30, 1, "three requests on one day need one training"),
            ([], 30, 0, "without requests no training is needed"),
            ([0, 30], 30, 1, "a request of day 0 can wait until day 30"),
            ([0, 31], 30, 2, "a request of day 0 cannot wait until day 31"),
            ([29, 31], 30, 1, "the waiting time begins with a request, not with a month"),
            ([0, 35, 64], 30, 2, "one training on day 30 and one on day 65 serve everyone"),
            ([40, 0, 45, 20], 30, 2, "days come in any order: sort them first")):
        n = number(function, list(days), wait)
        expect(n == right, f"fewest_trainings({days}, {wait}) is {right}, not {n:g}: {why}.")
    passed("as few trainings as the deadline allows")


def check_promise(function: Answer) -> None:
    """Check `function(retrained, forgotten, controls)`: "exact", "detected", "passed" or "cannot tell".

    The arguments are whether the model was retrained without the forget set; the interval (low, high) of an
    attack's AUC on the forget set, or None; and a list of such intervals for people the attack should detect.
    """
    chance, above = (0.45, 0.55), (0.6, 0.7)
    for retrained, forgotten, controls, right, why in (
            (False, chance, [above], "passed", "the forget set is not detected, but the control is"),
            (False, chance, [above, chance], "cannot tell", "every control must be detected"),
            (False, chance, [], "cannot tell", "without a control, the attack may detect nothing"),
            (False, None, [above], "cannot tell", "without an attack on the forget set there is no evidence"),
            (False, above, [chance], "detected", "an undetected control does not undo a detection"),
            (False, (0.5, 0.6), [above], "passed", "an interval that begins at 0.5 is not above chance"),
            (True, above, [above], "exact", "a retrained model was not computed from the forget set")):
        word = call(function, retrained, forgotten, controls)
        case = f"promise({retrained}, {forgotten}, {controls})"
        expect(word == right, f"{case} is {right!r}, not {word!r}: {why}.")
    passed("a promise no larger than its evidence")
