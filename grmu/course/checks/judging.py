"""Check lessons 06 to 09 and 11: gaps, corrections, attacks, text, inferred groups and promises."""

import numpy as np
import pandas as pd
import torch

from grmu import data
from grmu.course.checks.common import Answer, call, compare, expect, passed, returns


def check_gap(function: Answer) -> None:
    """Check `function(rows, gold, metrics)`: the average gap, as a fraction, of runs paired by seed."""
    gold = pd.DataFrame({"seed": [0, 1, 2], "UA": [0.9, 0.5, 0.1], "GA": [0.6, 0.4, 0.2], "seconds": 1.0})
    ours = pd.DataFrame({"seed": [2, 0], "UA": [0.1, 0.9], "GA": [0.4, 0.4], "seconds": 9.0})
    returns(function, (ours, gold, ["UA", "GA"]), 0.9, "Compare equal seeds, and only the given metrics.",
            [(1.0, "GA is too high for one seed and too low for the other: take absolute values first."),
             (0.1, "that is the mean distance. The gap is 1 minus it, so that 1 is a perfect match.")])
    passed("the average gap, paired by seed")


def check_holm(function: Answer) -> None:
    """Check `function(p)`: p-values after Holm's correction, in the order given."""
    returns(function, (np.array([0.02, 0.01, 0.6, 0.02]),), [0.06, 0.04, 0.6, 0.06], "Multiply "
            "the smallest by 4 and the others by 3, 2 and 1; no result may be below the one before it.",
            [([0.08, 0.04, 1.0, 0.08], "that is Bonferroni's correction: multiply only the smallest by 4."),
             ([0.04, 0.06, 0.06, 0.6], "return the p-values in the order in which they were given."),
             ([0.06, 0.04, 0.6, 0.04], "a corrected p-value may not be smaller than the one before it.")])
    returns(function, (np.array([0.9, 0.8]),), [1.0, 1.0], "No p-value may exceed 1.")
    passed("p-values, corrected for the number of tests")


def check_ulira_scores(function: Answer) -> None:
    """Check `function(confidence, status, target, positive)`: (pictures,) log-likelihood ratios.

    For each picture, one Gaussian is fitted to the models in the state `positive` and one to the models that
    never saw it. All Gaussians have the same standard deviation, and the attacked model `target` is left out.
    """
    confidence = np.array([[6.0, -4], [4, -1], [6, 1], [0, -5], [2, -3], [9, 9], [11, 11]])
    states = np.repeat(["unlearned", "never seen", "retained"], [3, 2, 2])
    status = np.stack([states, np.where(np.arange(7) == 0, "never seen", states)], 1)
    returns(function, (confidence.copy(), status.copy(), 0, "unlearned"), [12, -8],
            "All deviations from the four means are 1 or -1, so sigma is 1: return a score for each picture.",
            [([-12, 8], "the sign is wrong: a positive score means that the picture was unlearned."),
             ([14.17, -9.23], "leave the attacked model out when you fit the Gaussians."),
             (np.exp([12.0, -8]), "return the logarithm of the ratio.")], 1e-2)
    returns(function, (confidence, status, 0, "retained"), [4.5, -98], "With positive='retained', compare "
            "the models that retained the picture with those that never saw it.", tolerance=1e-2)
    passed("U-LiRA: each picture is compared with the same picture in other models")


def check_false_share(function: Answer) -> None:
    """Check `function(tpr, fpr, members)`: the share of accusations that are false."""
    returns(function, (0.5, 0.01, 0.01), 0.6644, "Of 10,000 people, 100 are members, and 50 of these are "
            "accused. Of the other 9,900, 99 are accused. So 99 of 149 accusations are false.",
            [(0.01, "that is the FPR, the share of non-members who are accused."),
             (0.0196, "multiply each rate by the number of people to whom it applies.")], 1e-3)
    returns(function, (1, 0.01, 0.5), 0.0099, "If half of them are members, 1 in 101 accusations is false.")
    passed("the share of false accusations depends on how many of the people are members")


def check_tpr_at_fpr(function: Answer) -> None:
    """Check `function(seen, never, rate)`: the highest true positive rate for an FPR of at most `rate`."""
    never, seen = np.arange(100.0), np.array([50.0, 97.5, 98.5, 99.5, 120.0])
    returns(function, (seen, never, 0.01), 0.6, "1 of 100 scores in never and 3 of 5 in seen exceed 98.")
    returns(function, (seen, never, 0.5), 1.0, "At a rate of 50 %, all 5 scores in seen exceed it.")
    returns(function, (np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 0.0]), 0.25), 1 / 3,
            "Equal scores cannot be distinguished: a threshold below one of them includes all of them.")
    passed("the true positive rate at a low false positive rate")


def check_masked_mean(function: Answer) -> None:
    """Check `function(z, ids)`: the (B, d) means of (B, L, d) vectors over tokens whose id is not 0."""
    z = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [80.0, 90.0]], [[2.0, 4.0], [4.0, 4.0], [6.0, 4.0]]])
    ids, right = torch.tensor([[101, 102, 0], [101, 7, 102]]), torch.tensor([[2.0, 15.0], [4.0, 4.0]])
    returns(function, (z, ids), right,
            "The first sentence has two words, and the second has three.",
            [(z.mean(1), "your mean includes the padding: 80 and 90 are not words."),
             ([[4 / 3, 10.0], [4.0, 4.0]], "divide by the number of words, not by L.")])
    passed("a mean over words, whatever the padding contains")


def check_pair_weights(function: Answer) -> None:
    """Check `function(train_group, retain_group, n_groups)`: REWEIGHT's (N,) weights of retained pairs."""
    train, retain = torch.tensor([0] * 6 + [1] * 4 + [2] * 2), torch.tensor([2, 0, 0, 1, 0, 0, 0, 0])
    weights = call(function, train, retain, 4)
    expect(isinstance(weights, torch.Tensor) and weights.shape == (8,), "return a weight per retained pair.")
    compare(weights / weights.sum(), torch.tensor([2.0, 1, 1, 4, 1, 1, 1, 1]) / 12,
            "Groups of 6, 4 and 2 pairs have 6, 1 and 1 left. These are shares of the sum of the weights:",
            [(torch.full((8,), 1 / 8), "all weights are equal: count each group before and afterwards."),
             (torch.tensor([6.0, 1, 1, 6, 1, 1, 1, 1]) / 18,
              "you balance the groups: restore the old proportions instead.")])
    passed("one weight for each pair, computed only from the groups")


def check_share_recovered(function: Answer) -> None:
    """Check `function(before, without, with_weights, rng)`: the recovered share and its interval."""
    base = np.arange(0.0, 100, 10)
    returns(function, (base + 20, base, base + 10, np.random.default_rng(0)), [0.5] * 3,
            "10 of 20 points are recovered in each seed: draw the same seeds for all three models.")
    uneven = (np.array([1.0, 99, 50]), np.zeros(3), np.array([1.0, 0, 25]))
    share, low, high = call(function, *uneven, np.random.default_rng(0))
    compare(share, 26 / 150, "26 of 150 points are recovered.",
            [(0.5, "that is the mean of the ratios by seed: divide the mean gain by the mean loss.")])
    expect(low < share < high, "draw the seeds with replacement: the interval must contain the share.")
    passed("the recovered share, with the same seeds for all models")


def check_alpha_of(function: Answer) -> None:
    """Check `function(group, true, guessed, retained)`: a true group's mean weight under guessed groups."""
    y = torch.tensor([0] * 4 + [1] * 8)
    true, guessed = (data.GroupedDataset(torch.zeros(12, 1), y, torch.tensor([0, 1, 0, 1, *a]))
                     for a in ((0, 0, 0, 0, 1, 1, 1, 1), (0, 0, 1, 1, 1, 1, 1, 0)))
    retained = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 10, 11])
    returns(function, (3, true, guessed, retained), 4 / 3, "The two that remain have weights 5/3 and 1.",
            [(2, "that is the weight by the true groups, but REWEIGHT knows only the guessed ones."),
             (5 / 3, "average over the retained pictures of the *true* group, not of the guessed one."),
             (1.5, "your mean includes the forgotten pictures of the group.")])
    returns(function, (2, true, guessed, retained), 4 / 3, "Use `group`, which is 2 here.")
    passed("the mean weight that the guessed groups give to the true group")


def check_fill_in(function: Answer) -> None:
    """Check `function(z, train, known)`: (N,) attributes, predicted from z where they are unknown."""
    rng = torch.Generator().manual_seed(0)
    z, y = torch.randn(400, 3, generator=rng), torch.randint(2, (400,), generator=rng)
    a, known = (z[:, 0] > 0).long(), np.arange(350, 400)
    a[350] = 1 - a[350]
    hidden = torch.cat([1 - a[:350], a[350:]])
    filled, same = (np.asarray(call(function, z.numpy(), data.GroupedDataset(z, y, labels), known))
                    for labels in (a, hidden))
    expect(filled.shape == (400,), "return an array of shape (N,), with an attribute for each picture.")
    expect((filled[:350] == same[:350]).all(), "the labels of the other pictures change your result: fit on "
           "the rows `known` only.")
    right = (filled[:350] == a[:350].numpy()).mean()
    expect(right > 0.85, f"{100 * right:.0f} % of the other attributes are right, and 85 % is possible: "
           "fit a classifier to z.")
    expect(filled[350] == a[350], "keep a known label even if the classifier disagrees with it.")
    passed("known attributes are kept, and the others are predicted")


def check_labels_needed(function: Answer) -> None:
    """Check how many labels are needed to include k members with probability `sure`."""
    for case, right in (((0.02, 5, 0.95), 456), ((0.02, 1, 0.95), 149), ((1.0, 3, 0.99), 3)):
        returns(function, case, right, f"labels_needed{case} follows from the binomial distribution.",
                [(250, "250 labels contain five *on average*: nearly half of all draws contain fewer.")])
    passed("the number of labels that you need")


def check_points_lost(function: Answer) -> None:
    """Check `function(margins, before, left)`: the percentage points of accuracy that a group loses.

    `before` and `left` count the pictures on the group's background, of the other class and of its own class.
    """
    margins, before = torch.tensor([-0.2, 0.1, 0.5, 0.9, 3.0]), torch.tensor([1000, 100])
    returns(function, (margins, before, torch.tensor([1000, 50])), 40,
            "The margins fall by log 2, so 0.1 and 0.5 fall below 0: 2 of 5 pictures.",
            [(0.4, "return percentage points."), (-40, "the sign is wrong: a loss is positive.")])
    returns(function, (margins, before, torch.tensor([500, 50])), 0, "Both halve, so no margin moves.")
    returns(function, (margins, before, torch.tensor([700, 100])), -20, "The other class became rarer, so "
            "the margin -0.2 rises above 0, which is a gain.")
    passed("the predicted loss of a group, without training")


def check_choose(function: Answer) -> None:
    """Check `function(table, hours)`: the method within the budget with the lowest audited AUC."""
    table = pd.DataFrame({"hours": [0.0, 4, 5, 6, 10], "AUC": [0.99, np.nan, 0.8, 0.4, 0.5],
                          "audit": ["detected", None, "detected", "cannot tell", "not detected"]},
                         index=["pretrain", "ssd", "finetune", "scrub", "retrain"])
    for hours, right, why in (
            (5, "finetune", "a method that takes exactly the budget fits, and SSD was never audited"),
            (8, "finetune", "SCRUB has the lowest AUC, but its audit is inconclusive"),
            (20, "retrain", "with enough hours, the lowest AUC of a conclusive audit is RETRAIN's"),
            (1, "pretrain", "if nothing else fits, the original model stays in service")):
        method = call(function, table.copy(), hours)
        expect(method == right, f"with {hours} hours the choice is {right!r}, not {method!r}: {why}.")
    passed("the method with the best evidence within the budget")


def check_promise(function: Answer) -> None:
    """Check `function(retrained, forgotten, controls)`: "exact", "detected", "passed" or "cannot tell".

    The arguments are whether the model was retrained without the forget set, the interval (low, high) of an
    attack's AUC on the forget set or None, and a list of such intervals for people who should be detected.
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
    passed("the promise matches its evidence")
