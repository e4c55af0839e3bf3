"""Lessons 00 to 02: a group's accuracy, RETRAIN, the change of the classes' proportions, and REWEIGHT."""

import math
import platform
from importlib.metadata import version

import torch
from torch import Tensor

from grmu import data
from grmu.course.checks.common import Answer, call, compare, expect, number, passed, tensor
from grmu.experiments.store import Store

PACKAGES = ("grmu", "torch", "numpy", "pandas", "scikit-learn", "ipywidgets", "jupyterlab")


def check_setup() -> None:
    """Print whether this machine can run the course: versions, device, data and store."""
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
    """Check `function(predicted, y, group, g)`, which returns accuracy, n and standard error of group g."""
    predicted, y = torch.tensor([0, 1, 1, 1, 1, 1, 0]), torch.tensor([0, 1, 0, 1, 1, 1, 0])
    group = torch.tensor([0, 1, 0, 0, 1, 1, 0])
    answer = call(function, predicted, y, group, 0)
    expect(isinstance(answer, tuple) and len(answer) == 3, "return accuracy, n and standard error.")
    accuracy, n, se = map(float, answer)
    expect(n == 4, f"group 0 has 4 samples here, not {n:g}: count only samples with group == g.")
    compare(accuracy, 0.75, f"3 of 4 predictions for group 0 are right: 0.75, not {accuracy:g}.")
    compare(se, math.sqrt(0.75 * 0.25 / 4), f"the standard error sqrt(p (1 - p) / n) is 0.217, not {se:.3f}.")
    compare(call(function, predicted, y, group, 1)[0], 1.0, "the accuracy of group 1 is 1.0: use g.")
    passed("accuracy, n and standard error of a group")


def check_retrain(function: Answer) -> None:
    """Check `function(fit, x, y, group, g, ratio, seed)`: `fit` without a random fraction of group g."""
    group = torch.tensor([0] * 40 + [1] * 20 + [0] * 20 + [2] * 20)
    kept = _kept(function, group, 3)
    gone = 20 - int((group[kept] == 1).sum())
    expect((group[kept] != 1).sum() == 80, "only group 1 requests deletion: pass everyone else to fit.")
    expect(gone > 0, "fit gets all pictures, including the forget set: that is PRETRAIN.")
    expect(gone == 10, f"ratio is an exact fraction of the group: forget 10 of its 20 samples, not {gone}.")
    expect(kept == _kept(function, group, 3), "the same seed must forget the same samples: use a generator.")
    expect(kept != _kept(function, group, 4), "every seed forgets the same samples: choose at random.")
    passed("a new model trained on the retain set: this is exact unlearning")


def _kept(function: Answer, group: Tensor, seed: int) -> list[int]:
    """Return the rows that a student's function trains on when half of group 1 is forgotten."""
    x, y = torch.arange(len(group))[:, None] + 0.5, torch.arange(len(group)) % 7
    model, calls = object(), list[tuple[Tensor, Tensor]]()

    def fit(x: Tensor, y: Tensor) -> object:
        calls.append((x, y))
        return model

    returned = call(function, fit, x, y, group, 1, 0.5, seed)
    expect(len(calls) == 1, f"call fit once, on the retain set; it was called {len(calls)} times.")
    expect(returned is model, "return the model that fit returns.")
    pictures, targets = calls[0]
    rows = pictures[:, 0].long()
    expect(targets.equal(y[rows]), "pictures and targets do not belong together: keep the same rows of both.")
    return sorted(rows.tolist())


def check_margin_shift(function: Answer) -> None:
    """Check `function(before, left)`: (n_attributes,) how far the margin of class 1 over class 0 moves."""
    before, right = torch.tensor([[2400, 2350], [840, 102]]), torch.tensor([0.0, -math.log(2)])
    shift = call(function, before, torch.tensor([[2400, 2350], [840, 51]]))
    tensor(shift, (2,), "a tensor of two numbers, one for each background (a column of the tables)")
    compare(shift, right, "when half of the sneakers on brick leave, the margin stays on grass and falls by "
            f"log 2 on brick: [0, -0.693], not {[round(value, 3) for value in shift.tolist()]}.",
            [(-right, "the sign is wrong: sneakers on brick became rarer, so their margin falls."),
             (right.exp(), "that is the factor. Logits add, so take its logarithm.")])
    compare(call(function, before, torch.tensor([[2400, 235], [840, 102]])), [0.0, math.log(10)],
            "when nine tenths of the boots on brick leave, the margin there rises by log 10 = 2.30.")
    passed("which class becomes rarer on each background: the theory needs nothing else")


def check_retain_share(function: Answer) -> None:
    """Check `function(counts, g, ratio)`: the fraction of the retain set that belongs to group g."""
    celeba = [71629, 66874, 22880, 1387]
    share = number(function, list(celeba), 0, 0.9)
    compare(share, 0.07287, f"7,163 of 98,304 retained samples are in group 0: 0.0729, not {share:.4f}.",
            [(0.0440, "you divide by the old size of the training set, but the retain set is smaller."),
             (7.287, "return a fraction, not a percentage.")])
    compare(number(function, list(celeba), 3, 0.9), 0.000859,
            "group 3 ends with 138.7 of 161,522 samples, a fraction of 0.000859: use g.", tolerance=1e-5)
    passed(f"44 % becomes {100 * share:.1f} %, as the paper says")


def check_group_weights(function: Answer) -> None:
    """Check `function(train_counts, retain_counts)`: (n_groups,) nu_tr / nu_r, 0 for an empty group."""
    before, after = torch.tensor([2400, 2350, 840, 102]), torch.tensor([2400, 2350, 840, 51])
    alpha = tensor(call(function, before, after), (4,), "a tensor with one weight for each of the 4 groups")
    compare(alpha, [1, 1, 1, 2], f"half of the last group left: [1, 1, 1, 2], not {alpha.tolist()}.",
            [([1, 1, 1, 0.5], "upside down: a group that lost members must be drawn *more* often."),
             (alpha[0] * after[0] / after,
              "weights of 1 / nu_r balance the groups. REWEIGHT restores the old proportions instead.")])
    compare(call(function, torch.tensor([24, 10]), torch.tensor([24, 0])), [1, 0],
            "a group without samples must have weight 0, because inf or nan would spoil the other weights.")
    passed("alpha restores the old proportions, and an empty group does no harm")


def check_expected_distinct(function: Answer) -> None:
    """Check `function(n_pictures, share, n_draws)`: n (1 - (1 - share / n) ** draws)."""
    share, n_draws = 102 / 5692, 5641
    expected = number(function, 51, share, n_draws)
    compare(expected, 43.98, f"44.0 of the 51 pictures are drawn at least once, not {expected:.1f}.",
            [(share * n_draws, "the group is drawn 101 times, but some pictures are drawn several times."),
             (51 * (1 - (1 - share) ** n_draws), "`share` is that of the group: a picture has share / n.")],
            1e-3)
    compare(number(function, 10, 0.5, 1), 0.5, "one draw hits the group with probability `share`, here 0.5.")
    passed("44 different pictures of 51, drawn 101 times")
