"""Lessons 00 to 02: a group's accuracy, whom RETRAIN leaves out, what a group loses, and REWEIGHT."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from grmu import data
from grmu.course.checks.common import call, close, compare, expect, number, passed, tensor
from grmu.experiments.store import Store

PACKAGES = ("grmu", "torch", "numpy", "pandas", "scikit-learn", "ipywidgets", "jupyterlab")


def check_setup() -> None:
    """Print whether this machine can run the course: versions, device, data and store."""
    for package in PACKAGES:
        print(f"{package:14}{version(package)}")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none (the embedded data do not need one)"
    print(f"{'Python':14}{platform.python_version()} on {platform.system()} {platform.machine()}\n{'GPU':14}{gpu}")
    for name in data.EMBEDDED:
        splits = data.load(name)
        print(f"{name:22}{len(splits.train):,} train, {len(splits.val):,} val, {len(splits.test):,} test")
    Store()
    passed("set-up complete: the data are intact and finished runs can be stored")


def check_group_accuracy(function: Callable[..., Any]) -> None:
    """Check `function(predicted, y, group, g)`, which returns accuracy, n and standard error of group g."""
    predicted, y = torch.tensor([0, 1, 1, 0, 1, 1, 0, 0]), torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    group = torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    answer = call(function, predicted, y, group, 0)
    expect(isinstance(answer, tuple) and len(answer) == 3, "return three numbers: accuracy, n, standard error.")
    accuracy, n, se = map(float, answer)
    expect(n == 4, f"group 0 has 4 samples here, not {n:g}: count only samples with group == g.")
    compare(accuracy, 0.75, f"3 of the 4 samples of group 0 are right, so the accuracy is 0.75, not {accuracy:g}.")
    compare(se, math.sqrt(0.75 * 0.25 / 4), f"the standard error is sqrt(p (1 - p) / n) = 0.217 here, not {se:.3f}.")
    compare(call(function, predicted, y, group, 1)[0], 0.75, "group 1 has 3 of 4 right as well: does g matter?")
    passed("accuracy, n and standard error of a group")


def check_retrain(function: Callable[..., Any]) -> None:
    """Check `function(fit, x, y, group, g, ratio, seed)`: `fit` without a random fraction of group g."""
    group = torch.tensor([0] * 40 + [1] * 20 + [0] * 20 + [2] * 20)
    kept = _kept(function, group, 1, 0.5, 3)
    gone = 20 - int((group[kept] == 1).sum())
    expect(int((group[kept] != 1).sum()) == 80, "only group 1 requests deletion: pass everyone else to fit.")
    expect(gone > 0, "fit gets all pictures, including the forget set: that is PRETRAIN.")
    expect(gone == 10, f"half of group 1 is 10 of its 20 samples, but {gone} are gone. The ratio is an exact fraction "
                       "of the group, not of the training set, and not a probability for each sample.")
    expect((group[_kept(function, group, 0, 0.1, 3)] == 0).sum() == 54,
           "a tenth of the 60 samples of group 0 is 6: does g matter?")
    expect(kept == _kept(function, group, 1, 0.5, 3),
           "the same seed must forget the same samples, but two calls differ: make a generator from the seed.")
    expect(any(kept != _kept(function, group, 1, 0.5, seed) for seed in range(4, 9)),
           "every seed forgets the same samples: choose at random, with the seed.")
    passed("a new model trained on the retain set: this is exact unlearning")


def _kept(function: Callable[..., Any], group: Tensor, *request: Any) -> list[int]:
    """Return the rows that a student's function trains on, in ascending order."""
    x, y = torch.arange(len(group))[:, None] + 0.5, torch.arange(len(group)) % 7
    model, calls = object(), list[tuple[Any, Any]]()

    def fit(x: Any, y: Any, *_: Any, **__: Any) -> object:
        calls.append((x, y))
        return model

    returned = call(function, fit, x.clone(), y.clone(), group, *request)
    expect(len(calls) == 1, f"call fit once, on the retain set; it was called {len(calls)} times.")
    expect(returned is model, "return the model that fit returns.")
    pictures, targets = calls[0]
    expect(isinstance(pictures, Tensor) and pictures.ndim == 2 and isinstance(targets, Tensor),
           "fit takes tensors: the rows of x and y that stay.")
    rows = [int(value) for value in pictures[:, 0]]
    expect(len(set(rows)) == len(rows) and pictures.equal(x[rows]),
           "fit gets a picture twice, or a changed one: show each retained picture once, as it is.")
    expect(targets.tolist() == y[rows].tolist(),
           "pictures and targets do not belong together: leave the same rows out of both.")
    return sorted(rows)


def check_margin_shift(function: Callable[..., Any]) -> None:
    """Check `function(before, left)`: (n_attributes,) how far the margin of class 1 over class 0 moves."""
    def shift_of(before: list[list[int]], left: list[list[int]]) -> Tensor:
        shift = call(function, torch.tensor(before), torch.tensor(left))
        return tensor(shift, (2,), "a tensor of two numbers, one for each background (a column of the tables)").double()

    before = [[2400, 2350], [840, 102]]
    shift, half = shift_of(before, [[2400, 2350], [840, 51]]), torch.tensor([0.0, -math.log(2)]).double()
    shown = ", ".join(f"{value:.2f}" for value in shift.tolist())
    compare(shift, half, "when half of the sneakers on brick leave, the margin stays on grass and loses log 2 on "
            f"brick: 0.00, -0.69, not {shown}.",
            [(-half, "the sign is wrong: sneakers on brick became rarer, so their margin falls."),
             (half / math.log(2), "logits are in nats: use the natural logarithm."),
             (half.exp(), "that is the factor. Logits add, so take its logarithm."),
             (half.flip(0), "the columns are the backgrounds, the rows are the shoes."),
             (half + math.log(5692 / 5641),
              "you divide by all remaining pictures. Divide one shoe by the other, on one background.")])
    compare(shift_of(before, [[2400, 235], [840, 102]]), [0.0, math.log(10)],
            "when nine tenths of the boots on brick leave, the margin of sneakers there gains log 10 = 2.30.")
    compare(shift_of(before, [[1200, 1175], [420, 51]]), [0.0, 0.0],
            "when half of every group leaves, no margin moves, because no shoe became rarer than the other.")
    passed("which class becomes rarer on each background: the theory needs nothing else")


def check_retain_share(function: Callable[..., Any]) -> None:
    """Check `function(counts, g, ratio)`: the fraction of the retain set that belongs to group g."""
    celeba = [71629, 66874, 22880, 1387]
    share = number(function, list(celeba), 0, 0.9)
    compare(share, 0.07287, "7,163 of CelebA's largest group remain at ratio 0.9, and 98,304 of all groups: the "
            f"fraction is 0.0729, not {share:.4f}.",
            [(0.0440, "4.4 %: you divide by the old size of the training set, but the retain set is smaller."),
             (7.287, "return a fraction, not a percentage.")], 1e-4)
    compare(number(function, torch.tensor(celeba), 3, 0.9), 0.000859,
            "the smallest group ends at 0.086 % (138.7 of 161,522): does g matter?", tolerance=1e-5)
    compare(number(function, [10, 30], 1, 1.0), 0.0, "ratio 1.0 leaves nothing of the group: its fraction is 0.")
    passed(f"44 % becomes {100 * share:.1f} %, as the paper says")


def check_group_weights(function: Callable[..., Any]) -> None:
    """Check `function(train_counts, retain_counts)`: (n_groups,) alpha = nu_tr / nu_r, 0 for an empty group."""
    before, after = torch.tensor([2400, 2350, 840, 102]), torch.tensor([2400, 2350, 840, 51])
    alpha = tensor(call(function, before, after), (4,), "a tensor with one weight for each of the 4 groups")
    compare(alpha, [1, 1, 1, 2], f"with half of the last group left, alpha is [1, 1, 1, 2], not {alpha.tolist()}.",
            [([1, 1, 1, 0.5], "upside down: a group that lost members must be drawn *more* often."),
             (alpha[0] * after[0] / after, "these weights (1 / nu_r) balance the groups. REWEIGHT restores the old "
                                           "proportions instead."),
             ((before / before.sum()) / (after / after.sum()),
              "you divide fractions, not counts, so an untouched group does not have weight 1.")])
    compare(call(function, torch.tensor([100, 60, 8]), torch.tensor([50, 60, 2])), [2, 1, 4],
            "several groups may have lost members: [100, 60, 8] to [50, 60, 2] gives [2, 1, 4].")
    for counts, left, right in (([24, 10], [24, 0], [1, 0]), ([5, 0], [5, 0], [1, 0])):
        compare(call(function, torch.tensor(counts), torch.tensor(left)), right,
                "a group without samples must have weight 0 (inf or nan would spoil the other probabilities), and the "
                "others keep theirs.")
    passed("alpha restores the old proportions, and an empty group does no harm")


def check_expected_distinct(function: Callable[..., Any]) -> None:
    """Check `function(n_pictures, share, n_draws)`: n (1 - (1 - share / n) ** draws)."""
    share, n_draws = 102 / 5692, 5641
    expected = number(function, 51, share, n_draws)
    compare(expected, 43.98, "of 51 pictures that together get 1.8 % of the draws, 44.0 appear among 5,641 draws, not "
            f"{expected:.1f}.",
            [(share * n_draws, "101 is how often the group is drawn, but some pictures are drawn several times."),
             (51, "51 would mean that every picture is drawn. With replacement, some are missed."),
             (51 * (1 - (1 - share) ** n_draws), "`share` belongs to the whole group: a picture has share / n.")], 1e-3)
    compare(number(function, 10, 0.5, 1), 0.5, "one draw hits the group with probability `share`, here 0.5.")
    expect(close(number(function, 1, 1.0, 7), 1.0), "a single picture that is always drawn counts once.")
    passed("44 different pictures of 51, drawn 101 times")
