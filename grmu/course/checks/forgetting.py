"""Check lessons 00 to 02 and 10: accuracies, RETRAIN and its control, the shifted prior, and REWEIGHT."""

import math
import platform
from importlib.metadata import version

import torch
from torch import Tensor

from grmu import data
from grmu.course.checks.common import Answer, call, compare, expect, passed, returns
from grmu.experiments.store import Store

PACKAGES = ("grmu", "torch", "numpy", "pandas", "scikit-learn", "ipywidgets", "jupyterlab")
GROUP = torch.tensor([0] * 40 + [1] * 20 + [0] * 20 + [2] * 20)  # of each sample in `_kept`


def check_setup() -> None:
    """Check that this machine can run the course, and print its versions, device and data sets."""
    for package in PACKAGES:
        print(f"{package:14}{version(package)}")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none (the lessons do not need one)"
    print(f"{'Python':14}{platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"{'GPU':14}{gpu}")
    for name in data.EMBEDDED:
        splits = data.load(name)
        print(f"{name:22}{len(splits.train):,} train, {len(splits.val):,} val, {len(splits.test):,} test")
    Store()
    passed("set-up complete: the data are intact and finished runs can be stored")


def check_group_accuracy(function: Answer) -> None:
    """Check `function(predicted, y, group, g)`: the accuracy, n and standard error of group g."""
    predicted, y = torch.tensor([0, 1, 1, 1, 1, 1, 0]), torch.tensor([0, 1, 0, 1, 1, 1, 0])
    samples = predicted, y, torch.tensor([0, 1, 0, 0, 1, 1, 0])
    returns(function, (*samples, 0), (0.75, 4, math.sqrt(0.75 * 0.25 / 4)), "Group 0 has 4 samples here, and "
            "3 of their predictions are right: return accuracy, n and sqrt(p (1 - p) / n).")
    returns(function, (*samples, 1), (1, 3, 0), "Group 1 has 3 samples, and all are right: use g.")
    passed("accuracy, n and standard error of a group")


def check_overall_accuracy(function: Answer) -> None:
    """Check `function(accuracies, shares)`: the overall accuracy from the groups' accuracies."""
    returns(function, (torch.tensor([0.9, 0.5]), torch.tensor([0.98, 0.02])), 0.892,
            "98 % of the samples have accuracy 0.9, and 2 % have accuracy 0.5.",
            [(0.7, "that is the plain mean: multiply each group's accuracy by its share."),
             (0.446, "the shares already sum to 1: add the products up instead of averaging them.")])
    passed("the overall accuracy: each group counts in proportion to its share")


def check_retrain(function: Answer) -> None:
    """Check `function(fit, x, y, group, g, ratio, seed)`: train without a random fraction of group g."""
    kept = _kept(function, 3)
    gone = 20 - int((GROUP[kept] == 1).sum())
    expect((GROUP[kept] != 1).sum() == 80, "only group 1 requests deletion: pass everyone else to fit.")
    expect(gone > 0, "fit receives all pictures, including the forget set: that is PRETRAIN.")
    expect(gone == 10, f"ratio is an exact fraction of the group: forget 10 of its 20 samples, not {gone}.")
    expect(kept == _kept(function, 3), "the same seed must forget the same samples: use a generator.")
    expect(kept != _kept(function, 4), "every seed forgets the same samples: choose at random.")
    passed("a new model trained on the retain set: this is exact unlearning")


def check_retrain_even(function: Answer) -> None:
    """Check `function(fit, x, y, group, g, ratio, seed)`: forget as many samples of any group."""
    kept = [_kept(function, seed) for seed in range(8)]
    gone = len(GROUP) - len(kept[0])
    expect(gone == 10, f"retrain forgets half of the 20 samples of group 1, so forget 10 in all, not {gone}.")
    expect(any(kept[3] != rows for rows in kept), "every seed forgets the same samples: pass on the seed.")
    from_g = sum(20 - int((GROUP[rows] == 1).sum()) for rows in kept) / len(kept)
    expect(from_g < 6, f"on average {from_g:.1f} of the 10 forgotten samples are from group 1, but it has "
           "only a fifth of all samples: draw from everyone.")
    passed("as many samples forgotten as in `retrain`, but drawn from everyone")


def _kept(function: Answer, seed: int) -> list[int]:
    """Return the rows on which a student's function trains when half of group 1 is forgotten."""
    x, y = torch.arange(len(GROUP))[:, None] + 0.5, torch.arange(len(GROUP)) % 7
    model, calls = object(), list[tuple[Tensor, Tensor]]()

    def fit(x: Tensor, y: Tensor) -> object:
        calls.append((x, y))
        return model

    returned = call(function, fit, x, y, GROUP, 1, 0.5, seed)
    expect(len(calls) == 1, f"call fit once, on the retain set; it was called {len(calls)} times.")
    expect(returned is model, "return the model that fit returns.")
    rows = calls[0][0][:, 0].long()
    expect(calls[0][1].equal(y[rows]), "pictures and targets do not match: select the same rows of both.")
    return sorted(rows.tolist())


def check_margin_shift(function: Answer) -> None:
    """Check `function(before, left)`: the (n_attributes,) shifts of the margin of class 1 over class 0."""
    before, right = torch.tensor([[2400, 2350], [840, 102]]), torch.tensor([0.0, -math.log(2)])
    returns(function, (before, torch.tensor([[2400, 2350], [840, 51]])), right, "When half of the sneakers "
            "on brick leave, the margin stays on grass and falls by log 2 on brick (the second column).",
            [(-right, "the sign is wrong: sneakers on brick became rarer, so their margin falls."),
             (right.exp(), "that is the factor: take its logarithm, because logits add.")])
    returns(function, (before, torch.tensor([[2400, 235], [840, 102]])), torch.tensor([0.0, math.log(10)]),
            "When nine tenths of the boots on brick leave, the margin on brick rises by log 10.")
    passed("the theory needs only which class becomes rarer on each background, and by how much")


def check_retain_share(function: Answer) -> None:
    """Check `function(counts, g, ratio)`: the fraction of the retain set that belongs to group g."""
    celeba = [71629, 66874, 22880, 1387]
    returns(function, (celeba, 0, 0.9), 0.07287, "7,163 of 98,304 retained samples are in group 0.",
            [(0.0440, "you divide by the old size of the training set, but the retain set is smaller.")])
    returns(function, (celeba, 3, 0.9), 0.000859, "138.7 of 161,522 samples are in group 3: use g.",
            tolerance=1e-5)
    passed("44 % becomes 7.3 %, as the paper says")


def check_adjusted(function: Answer) -> None:
    """Check `function(logits, a, alpha)`: the (N, n_classes) logits plus log alpha at each attribute."""
    logits, a = torch.tensor([[1.0, 0.5], [1.0, 0.5], [0.0, 2.0]]), torch.tensor([0, 1, 1])
    alpha, up = torch.tensor([[1.0, 1.0], [1.0, 2.0]], dtype=torch.float64), math.log(2)
    where = torch.tensor([[0.0, 0], [0, 1], [0, 1]])
    returns(function, (logits, a, alpha), logits + up * where, "With alpha = 2 for group (1, 1), the logit "
            "of class 1 rises by log 2 where a is 1, and nothing else changes.",
            [(logits - up * where, "the sign is wrong: the group became rarer, so raise its logit."),
             (logits + 1 + where, "take the logarithm of alpha, because logits add."),
             (logits + torch.tensor([0.0, up]), "only pictures with attribute 1 may change: use a."),
             (logits, "nothing has changed: return the new logits.")])
    alpha = torch.tensor([[1.0, 1.0, 4.0], [5.0, 1.0, 1.0]])
    more = torch.tensor([[0.0, math.log(5)], [0, 0], [math.log(4), 0]])
    returns(function, (logits, torch.tensor([0, 1, 2]), alpha), logits + more, "alpha has a row per class "
            "and a column per attribute value: each picture needs the column of its own a.")
    passed("the logits have the original proportions again")


def check_group_weights(function: Answer) -> None:
    """Check `function(train_counts, retain_counts)`: (n_groups,) nu_tr / nu_r, or 0 for an empty group."""
    before, after = torch.tensor([2400, 2350, 840, 102]), torch.tensor([2400, 2350, 840, 51])
    returns(function, (before, after), torch.tensor([1.0, 1, 1, 2]), "Half of the last group was forgotten.",
            [([1, 1, 1, 0.5], "that is upside down: a group that lost members must be drawn *more* often."),
             ([5641 / 5692] * 3 + [2 * 5641 / 5692], "leave out the factor that all groups share."),
             (1 / after, "these weights balance the groups: restore the old proportions instead.")])
    returns(function, (torch.tensor([24, 10]), torch.tensor([24, 0])), torch.tensor([1.0, 0]),
            "A group without samples must have weight 0, because inf or nan would spoil the other weights.")
    passed("alpha restores the old proportions, and an empty group causes no error")


def check_expected_distinct(function: Answer) -> None:
    """Check `function(n_pictures, share, n_draws)`: how many distinct pictures to expect."""
    share, n_draws = 102 / 5692, 5641
    returns(function, (51, share, n_draws), 43.98, "44 of the 51 pictures are drawn at least once.",
            [(share * n_draws, "the group is drawn 101 times, but some pictures are drawn several times.")],
            1e-3)
    returns(function, (10, 0.5, 1), 0.5, "One draw hits the group with probability `share`.")
    passed("44 different pictures of 51, drawn 101 times")


def check_sample_epoch(function: Answer) -> None:
    """Check `function(train_counts, retain_group, rng)`: rows of the retain set, drawn with REWEIGHT."""
    retain_group = torch.tensor([0] * 600 + [1] * 200 + [2] * 20).roll(7)

    def drawn(seed: int, *before: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        rows = call(function, torch.tensor(before or (600, 400, 200)), retain_group, rng)
        expect(isinstance(rows, Tensor) and rows.shape == (820,), "return a tensor of shape (820,), with "
               "as many rows as the retain set has, even if a group has no pictures left.")
        return rows

    rows = drawn(0)
    expect(not rows.is_floating_point() and rows.min() >= 0 and rows.max() < 820,
           "return row numbers of the retain set: long numbers from 0 to 819.")
    expect(len(rows.unique()) < 820, "draw with replacement, so that a picture can appear twice in an epoch.")
    expect(rows.equal(drawn(0)), "the same generator must give the same epoch: pass rng to torch.")
    expect(not rows.equal(drawn(1)), "every epoch is the same: draw with rng.")
    shares = torch.cat([retain_group[drawn(seed)] for seed in range(20)]).bincount(minlength=3) / 16400
    compare(shares, [1 / 2, 1 / 3, 1 / 6], "The groups should have the training set's shares of the draws.",
            [([0.7317, 0.2439, 0.0244], "these are the shares of the retain set: use the weights."),
             ([1 / 3] * 3, "you balance the groups: each *picture* gets its group's weight alpha.")], 0.02)
    drawn(0, 600, 200, 20, 50)  # a fourth group is empty, so bincount needs minlength
    passed("the groups have their old shares, and the draws are reproducible")
