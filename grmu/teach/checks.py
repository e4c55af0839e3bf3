"""The checks behind the exercises: each takes the student's function, prints one line if it is right, and
otherwise fails with a sentence that says what was expected. No check contains or imports a solution's code.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


class CheckError(AssertionError):
    """The answer is not right yet; the message says why."""

    def _render_traceback_(self) -> list[str]:  # what Jupyter shows: the sentence, not the way to it
        return [f"Not yet: {self}"]


def expect(condition: object, otherwise: str) -> None:
    """Raise a CheckError that says `otherwise` unless the condition holds."""
    if not bool(condition):
        raise CheckError(otherwise)


def passed(what: str) -> None:
    """Say that a check was passed."""
    print(f"\N{CHECK MARK} {what}")


def _call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a student's function; a stub gets a friendly word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)
    except NotImplementedError:
        raise CheckError(f"{function.__name__} still raises NotImplementedError: "
                         "replace that line by your answer.") from None


def close(value: Any, target: Any, tolerance: float = 1e-4) -> bool:
    """Whether two numbers, arrays or tensors agree in shape and value."""
    value, target = (np.asarray(v.detach() if isinstance(v, Tensor) else v, dtype=float)
                     for v in (value, target))
    return value.shape == target.shape and bool(np.allclose(value, target, atol=tolerance, rtol=tolerance))


def check_setup() -> None:
    """Say whether this machine can run the course: versions, device, threads, data and store, a line each."""
    import platform
    from importlib.metadata import version

    from grmu import data
    from grmu.numerics import THREADS
    from grmu.runs.store import Store

    for package in ("grmu", "torch", "numpy", "pandas", "scikit-learn", "fairlearn", "ipywidgets",
                    "jupyterlab"):
        print(f"{package:14}{version(package)}")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none (not needed: the embedded data run on a CPU)"
    print(f"{'Python':14}{platform.python_version()} on {platform.system()} "
          f"{platform.machine()}\n{'threads':14}{THREADS} for training\n{'GPU':14}{gpu}")
    for name in data.EMBEDDED:
        splits = data.load(name)
        print(f"{name:22}{len(splits.train):,} train, {len(splits.val):,} val, "
              f"{len(splits.test):,} test: checksum right")
    Store()
    passed("set-up complete: the data are intact and finished runs can be kept")

# Lesson 00


def check_group_accuracy(function: Callable) -> None:
    """`function(predicted, y, group, g)` -> (accuracy, n, standard error) of group g."""
    predicted, y = torch.tensor([0, 1, 1, 0, 1, 1, 0, 0]), torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    group = torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    answer = _call(function, predicted, y, group, 0)
    expect(isinstance(answer, tuple) and len(answer) == 3,
           "return three numbers: accuracy, n, standard error.")
    accuracy, n, se = (float(v) for v in answer)
    expect(n == 4, f"group 0 has 4 samples here, not {n:g}: count only those with group == g.")
    expect(close(accuracy, 0.75),
           f"3 of the 4 samples of group 0 are right, so the accuracy is 0.75, not {accuracy:g}. "
           "A mean over all samples, or a percentage, is another number.")
    expect(close(se, math.sqrt(0.75 * 0.25 / 4)),
           f"the standard error is sqrt(p (1 - p) / n) = 0.217 here, not {se:.3f}.")
    expect(close(_call(function, predicted, y, group, 1)[0], 0.75),
           "group 1 has 3 of 4 right as well: does g matter?")
    passed("accuracy, n and standard error of a group")


# Lesson 01


def _number(function: Callable, *args: Any) -> float:
    """Call a student's function that is to return one number."""
    value = _call(function, *args)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise CheckError(f"{function.__name__} should return one number, but returned {value!r}.") from None


def check_forget_mask(function: Callable) -> None:
    """`function(group, g, ratio, seed)` -> (N,) bool, True for the forgotten: a random share of group g
    only."""
    group = torch.tensor([0] * 40 + [1] * 20 + [0] * 20 + [2] * 20)
    before = torch.random.get_rng_state()
    mask = _call(function, group, 1, 0.5, 3)
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
    expect(int(_call(function, group, 0, 0.1, 3).sum()) == 6,
           "a tenth of the 60 samples of group 0 are 6: does g matter?")
    expect(_call(function, group, 2, 1.0, 3).equal(group == 2), "ratio 1.0 forgets the whole group.")
    expect(mask.equal(_call(function, group, 1, 0.5, 3)),
           "the same seed must give the same forget set, but two calls differ: "
           "use a generator made from the seed.")
    others = [_call(function, group, 1, 0.5, seed) for seed in range(4, 9)]
    expect(not all(mask.equal(m) for m in others),
           "every seed gives the same forget set: choose at random, with the seed.")
    expect(untouched, "the global random state has changed, so everything random that runs later changes "
                      "too: use a torch.Generator of your own instead of torch.manual_seed.")
    passed("the right number, of the right group, at random, reproducible, "
           "and nobody else's random numbers disturbed")


def check_retain_share(function: Callable) -> None:
    """`function(counts, g, ratio)` -> the share of group g in the retain set."""
    celeba = [71629, 66874, 22880, 1387]
    counts = list(celeba)
    share = _number(function, counts, 0, 0.9)
    expect(counts == celeba, "the list of counts that was passed in has changed: work on a copy.")
    expect(not close(share, 0.0440, 1e-3), "4.4 %: you divide by the old size of the training set. "
                                           "The retain set is smaller: it lost 90 % of this very group.")
    expect(not close(share, 0.8135, 1e-3),
           "81 %: that is what *remains of everything*. Which part of it is group 0?")
    expect(not close(share, 7.287, 1e-3), "return a fraction, not a percentage.")
    expect(close(share, 0.07287, 1e-4), "of CelebA's largest group 7,163 are left at ratio 0.9, "
                                        f"and of all groups 98,304: the share is 0.0729, not {share:.4f}.")
    expect(close(_number(function, torch.tensor(celeba), 3, 0.9), 0.000859, 1e-5),
           "the smallest group ends at 0.086 % (138.7 of 161,522): "
           "does g matter, and do tensors work as well as lists?")
    expect(close(_number(function, [10, 30], 1, 1.0), 0.0),
           "ratio 1.0 leaves nothing of the group: its share is 0.")
    passed(f"44 % becomes {100 * share:.1f} %, as the paper says")


# Lesson 02


def check_group_weights(function: Callable) -> None:
    """`function(train_counts, retain_counts)` -> (n_groups,) alpha = nu_tr / nu_r, 0 where nothing is
    left."""
    before, after = torch.tensor([2400, 2350, 840, 102]), torch.tensor([2400, 2350, 840, 51])
    alpha = _call(function, before, after)
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
    expect(close(_call(function, torch.tensor([100, 60, 8]), torch.tensor([50, 60, 2])), [2, 1, 4]),
           "several groups may have lost members, each by another share: "
           "[100, 60, 8] to [50, 60, 2] gives [2, 1, 4].")
    alpha = _call(function, before, torch.tensor([2400, 2350, 840, 0]))
    expect(alpha.isfinite().all(),
           "a group of which nothing is left got inf or nan, which spoils all the others once the weights "
           "are divided by their sum. Its weight is 0: there is nothing to draw.")
    expect(close(alpha, [1, 1, 1, 0]),
           f"a group of which nothing is left has weight 0 and the others keep theirs, not {alpha.tolist()}.")
    expect(close(_call(function, torch.tensor([5, 0]), torch.tensor([5, 0])), [1, 0]),
           "a group that never had a sample has weight 0 as well.")
    passed("alpha restores the old proportions, and a vanished group does no harm")


def check_expected_distinct(function: Callable) -> None:
    """`function(n_pictures, share, n_draws)` -> n (1 - (1 - share / n) ** draws)."""
    share, n_draws = 102 / 5692, 5641
    found = _number(function, 51, share, n_draws)
    expect(not close(found, share * n_draws, 1e-3),
           "101 is how often the group is drawn; some of its pictures come twice or more.")
    expect(found <= 51, f"{found:.1f} different pictures out of 51 is too many.")
    expect(not close(found, 51),
           "51 would mean that every picture turns up in every epoch: with replacement, some are missed.")
    expect(not close(found, 51 * (1 - (1 - share) ** n_draws)),
           "`share` belongs to the whole group: one picture has share / n_pictures.")
    expect(close(found, 43.98, 1e-3),
           f"of 51 pictures with a joint share of 1.8 %, 44.0 turn up among 5,641 draws, not {found:.1f}.")
    expect(close(_number(function, 10, 0.5, 1), 0.5),
           "one draw hits the group with probability `share`, here 0.5: half a picture on average.")
    expect(close(_number(function, 1, 1.0, 7), 1.0),
           "a single picture that is always drawn is one picture, however often.")
    passed("44 different pictures of 51, drawn 101 times")


# Lesson 04


def check_calibration_loss(function: Callable) -> None:
    """`function(mi, mi_original, lam)` -> lam * (mi - mi_original)^2 with no gradient into the original's
    estimate."""
    mi, original = torch.tensor(0.9, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    loss = _call(function, mi, original, 2.0)
    expect(isinstance(loss, Tensor) and loss.ndim == 0,
           "return a scalar tensor, so that it can be added to the cross-entropy.")
    expect(not close(loss, 0.8),
           "the difference is squared in Eq. 6, not taken as it is: 2 * 0.4 is not the loss here.")
    expect(not close(loss, 0.64),
           "lambda multiplies the square, it is not squared with it: lambda * (difference)^2.")
    expect(close(loss, 0.32), f"2 * (0.9 - 0.5)^2 = 0.32, not {loss.item():.3f}.")
    loss.backward()
    expect(original.grad is None or not original.grad.any(),
           "the original's estimate is a target, but a gradient flows into it: "
           "detach it, or the target runs to meet the model.")
    expect(mi.grad is not None and close(mi.grad, 1.6),
           "no gradient reaches the unlearned model's estimate: detach only the target.")
    expect(close(_call(function, torch.tensor(0.2), torch.tensor(0.5), 1.0), 0.09),
           "too little information costs as much as too much.")
    passed("the calibration term, and which side of it learns")


def check_average_gap(function: Callable) -> None:
    """`function(ours, gold)` for (seeds, metrics) arrays of fractions -> avg. gap as a fraction, 1 for a
    perfect match."""
    gold = np.array([[0.9, 0.6], [0.9, 0.4]])
    ours = np.array([[0.9, 0.4], [0.9, 0.6]])
    gap = float(_call(function, ours.copy(), gold.copy()))
    expect(not close(gap, 1.0), "the second metric is 0.2 too low for one seed and 0.2 too high "
                                "for the other: averaging over seeds before taking the absolute value lets "
                                "the two cancel (footnote 3 of the paper: per seed first).")
    expect(not close(gap, 0.1),
           "that is the mean distance; the gap is 1 minus it, so that 1 is a perfect match.")
    expect(not close(gap, 90), "return a fraction, not percent.")
    expect(close(gap, 0.9),
           f"mean over metrics of the mean absolute difference is 0.1, so the gap is 0.9, not {gap:g}.")
    expect(close(float(_call(function, gold.copy(), gold.copy())), 1.0),
           "the gold standard itself has a gap of 1.")
    passed("avg. gap: per seed, absolute, averaged, then 1 minus")


# Lesson 03


def check_dv_bound(function: Callable) -> None:
    """`function(t_joint, t_marginal)` -> mean T - log mean exp T, without overflow."""
    joint, marginal = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])
    log_mean = math.log((1 + math.e + math.e**2) / 3)
    bound = _number(function, joint, marginal)
    for wrong, why in (
            (2 - 1.0, "that is mean minus mean: "
                      "over mismatched pairs, T goes through exp, a mean and a log, in this order."),
            (2 - log_mean - math.log(3),
             "log-*sum*-exp where Eq. 2 has log-*mean*-exp: subtract the log of the number of pairs."),
            (2 - math.exp(log_mean), "the log over the mean of exp T is missing."),
            (log_mean - 2, "the sign is turned round: high on real pairs, low on mismatched ones."),
            (2 - 1.0 + math.log(2),
             "count the *mismatched* pairs, not the real ones: the two vectors may differ in length.")):
        expect(not close(bound, wrong), f"{bound:.3f}: {why}")
    expect(close(bound, 2 - log_mean),
           f"T of [1, 3] on real and [0, 1, 2] on mismatched pairs gives {2 - log_mean:.3f}, "
           f"not {bound:.3f}.")
    large = _number(function, joint + 500, marginal + 500)
    expect(math.isfinite(large), "T near 500 gave inf or nan: exp(500) is more than 32 bits hold. "
                                 "torch.logsumexp does not overflow.")
    expect(close(large, bound, 1e-3),
           "adding 500 to every T must change nothing: only differences of T count.")
    leaf = marginal.clone().requires_grad_()
    value = _call(function, joint, leaf)
    expect(isinstance(value, Tensor) and value.requires_grad,
           "return a tensor that gradients flow through: no .item(), no numpy.")
    passed(f"the Donsker-Varadhan bound: {bound:.3f} nats, also where exp T would overflow")


def check_corrected_loss(function: Callable) -> None:
    """`function(t_joint, t_marginal, average)`: its gradient is -1/B on t_joint and exp(T) / (B average) on
    t_marginal."""
    start = torch.tensor([0.0, 1.0, 2.0, -1.0])

    def gradients(average: float, attached: bool) -> tuple[Tensor, Tensor]:
        joint, marginal = torch.tensor([0.5, 1.5], requires_grad=True), start.clone().requires_grad_()
        mean = marginal.exp().mean()
        loss = _call(function, joint, marginal,
                     mean - mean.detach() + average if attached else torch.tensor(average))
        expect(isinstance(loss, Tensor) and loss.ndim == 0 and loss.requires_grad,
               "return a scalar tensor that gradients flow through.")
        found = torch.autograd.grad(loss, (joint, marginal), allow_unused=True)
        expect(found[0] is not None, "the loss does not depend on T of the real pairs.")
        expect(found[1] is not None,
               "the loss does not depend on T of the mismatched pairs: cut `average` off, not T.")
        return found

    of_joint, of_marginal = gradients(4.0, False)
    expect(not close(of_joint, torch.full((2,), 0.5)),
           "this would make M *smaller*: the optimiser minimises what you return.")
    expect(close(of_joint, torch.full((2,), -0.5)),
           "on real pairs the gradient is -1 over their number, for every pair alike.")
    expect(not close(of_marginal, start.softmax(0)),
           "that is the plain loss: you divide by the batch's own partition. Divide by `average`.")
    expect(close(of_marginal, start.exp() / 4 / 4.0),
           "on mismatched pairs the gradient is exp(T) / (number of pairs * average), "
           f"here {[round(v, 3) for v in (start.exp() / 16).tolist()]}, "
           f"not {[round(v, 3) for v in of_marginal.tolist()]}.")
    expect(close(gradients(8.0, False)[1], start.exp() / 4 / 8.0),
           "twice the average must halve the push on mismatched pairs.")
    expect(close(gradients(4.0, True)[1], start.exp() / 4 / 4.0),
           "a gradient flows through `average`: it stands for many batches, "
           "so hold it constant (detach).")
    passed("the gradient of Eq. 2, its partition taken from many batches")


def check_group_bar(function: Callable) -> None:
    """`function(how, group, n_groups, rng)`: a permutation, even draws over all declared groups, or the whole
    table."""
    group = torch.tensor([0] * 700 + [1] * 290 + [3] * 10)  # group 2 is absent
    n = len(group)

    def draw(how: str, seed: int = 0) -> Tensor:
        bar = _call(function, how, group.clone(), 4, torch.Generator().manual_seed(seed))
        expect(isinstance(bar, Tensor) and not bar.is_floating_point(),
               f"{how}: return a tensor of whole numbers.")
        return bar

    before = torch.random.get_rng_state()
    shuffled, uniform, exact = (draw(how) for how in ("shuffle", "uniform", "exact"))
    untouched = torch.equal(before, torch.random.get_rng_state())
    for how, bar in (("shuffle", shuffled), ("uniform", uniform)):
        expect(bar.shape == (n,),
               f"{how}: one group for each of the {n} samples, not shape {tuple(bar.shape)}.")
        expect(not bar.equal(group), f"{how}: every sample got its own group back. These are the *real* "
                                     "pairs: the two terms of Eq. 2 would be over the same pairs.")
    others = torch.bincount(shuffled, minlength=4).tolist()
    expect(others == [700, 290, 0, 10],
           f"shuffle: the batch's groups in another order have counts [700, 290, 0, 10], not {others}.")
    expect(0.4 < (shuffled == group).float().mean() < 0.75,
           "shuffle: drawn without a look at a sample's own group, about 57 % agree "
           "with it by chance. Yours depends on it.")
    counts = torch.bincount(uniform, minlength=4)
    expect(len(counts) == 4, "uniform: a group number lies outside 0 to n_groups - 1.")
    expect(counts[2] > 0, "uniform: a group that is absent from the batch is never drawn: "
                          "use n_groups, not the groups seen.")
    expect((uniform == group).float().mean() > 0.15,
           "uniform: a sample's own group is one of the four and must be drawn as often as "
           "the others. Leaving it out makes another bound.")
    expect((counts - n / 4).abs().max() < 70,
           f"uniform: every group should come about {n // 4} times, whatever the batch holds, "
           f"not {counts.tolist()}.")
    expect(exact.shape == (n, 4),
           f"exact: all 4 groups for each of the {n} samples, so shape ({n}, 4), not {tuple(exact.shape)}.")
    expect(exact.sort(1).values.equal(torch.arange(4).expand(n, 4)),
           "exact: every row should hold each group once, 0 to n_groups - 1.")
    for how in ("shuffle", "uniform"):
        expect(draw(how).equal(draw(how)),
               f"{how}: the same generator state must give the same draw: pass generator=rng.")
        expect(not draw(how).equal(draw(how, 1)),
               f"{how}: another generator gives the same draw: nothing is random here.")
    expect(untouched, "the global random state has changed: draw from `rng`.")
    passed("three ways to pair features with groups")


# Lesson 05


def check_gap(function: Callable) -> None:
    """`function(rows, gold, metrics)` for data frames with a column seed -> avg. gap as a fraction, paired by
    seed."""
    import pandas as pd

    gold = pd.DataFrame({"seed": [0, 1, 2], "UA": [0.9, 0.5, 0.1], "GA": [0.6, 0.4, 0.2],
                         "seconds": [1.0, 2.0, 3.0]})
    ours = pd.DataFrame({"seed": [2, 0], "UA": [0.1, 0.9], "GA": [0.4, 0.4], "seconds": [9.0, 9.0]})
    gap = float(_call(function, ours.copy(), gold.copy(), ["UA", "GA"]))
    expect(not close(gap, 1.0), "GA is 0.2 too high for one seed and 0.2 too low for the other: "
                                "take the absolute value before the mean.")
    expect(not close(gap, 0.1),
           "that is the mean distance; the gap is 1 minus it, so that 1 is a perfect match.")
    expect(not close(gap, 90), "return a fraction, not percent.")
    expect(close(gap, 0.9),
           "each seed is compared with the gold standard of the same seed, whatever the order of the rows, "
           f"and only in the metrics that are asked for: 0.9 here, not {gap:g}.")
    passed("avg. gap, paired by seed")


def check_match_loss(function: Callable) -> None:
    """`function(ce, target)` for (B,) losses and a scalar target -> (mean - target)^2 with no gradient into
    the target."""
    ce, target = torch.tensor([0.2, 0.6], requires_grad=True), torch.tensor(0.7, requires_grad=True)
    loss = _call(function, ce, target)
    expect(isinstance(loss, Tensor) and loss.ndim == 0, "return a scalar tensor, the loss of the batch.")
    expect(not close(loss, 0.13),
           "not every picture must reach the target, only their mean: average first, then square.")
    expect(not close(loss, 0.3), "the distance is squared: 0.3 is the distance itself.")
    expect(close(loss, 0.09), f"the mean loss 0.4 is 0.3 from the target: 0.09, not {loss.item():.3f}.")
    loss.backward()
    expect(target.grad is None or not target.grad.any(), "the target is measured, not learnt: detach it.")
    expect(ce.grad is not None and close(ce.grad, [-0.3, -0.3]),
           "no gradient reaches the forgotten pictures' losses.")
    expect(close(_call(function, torch.tensor([0.9, 0.9]), torch.tensor(0.7)), 0.04),
           "a loss above the target costs as much as one below: do not maximise, match.")
    passed("a loss that knows where to stop")


# Lesson 06


def check_logit_confidence(function: Callable) -> None:
    """`function(logits, y)` for (N, C) logits and (N,) classes -> (N,): log p / (1 - p), p the probability of
    class y."""
    logits, y = torch.tensor([[2.0, -1.0], [0.5, 4.0], [3.0, 3.0]]), torch.tensor([0, 0, 1])
    c = _call(function, logits, y)
    expect(isinstance(c, Tensor) and c.shape == (3,), "return a tensor (N,): one number a sample.")
    log_p = logits.log_softmax(1).gather(1, y[:, None])[:, 0]
    expect(not close(c, log_p), "that is log p; log p / (1 - p) tells a sure model from a very sure one.")
    expect(not close(c, log_p.exp()), "that is p, which ends at 1; take log p / (1 - p).")
    expect(not close(c, [-3.0, 3.5, 0.0]),
           "the sign is turned: a model that is sure of the right class should get a large number.")
    expect(close(c, [3.0, -3.5, 0.0]), f"[3, -3.5, 0] is expected, not {[round(v, 3) for v in c.tolist()]}.")
    three = _call(function, torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([2]))
    expect(not close(three, [2.0]),
           "with three classes 1 - p is the sum of the other two, not the runner-up alone.")
    expect(close(three, [4 - math.log(math.e + math.e**2)]),
           "with three classes 1 - p is the sum of the other classes' probabilities.")
    sure = _call(function, torch.tensor([[60.0, 0.0], [0.0, 300.0]]), torch.tensor([0, 0]))
    expect(torch.isfinite(sure).all(),
           "with logits of 60 and 0 in single precision, p is 1 and log p / (1 - p) infinite: "
           "stay with logits, use logsumexp over the other classes.")
    expect(close(sure, [60.0, -300.0]), f"very sure models: [60, -300] is expected, not {sure.tolist()}.")
    passed("confidence that does not saturate")


def check_tpr_at_fpr(function: Callable) -> None:
    """`function(seen, never, rate)` for two score arrays -> the largest share of `seen` above a threshold
    that at most `rate` of `never` lie above."""
    never, seen = np.arange(100.0), np.array([50.0, 97.5, 98.5, 99.5, 120.0])
    at = {rate: float(_call(function, seen.copy(), never.copy(), rate)) for rate in (0.0, 0.01, 0.02, 0.5)}
    expect(min(at.values()) >= 0 and max(at.values()) <= 1, "return a share, from 0 to 1.")
    expect(not close(at[0.01], 0.2),
           "the threshold is too strict: at 1 % of 100, one of those never seen may lie above it.")
    expect(not close(at[0.5], 0.5),
           "shares of those that *were* seen are asked for; 0.5 is the share of the others.")
    expect(close(at[0.01], 0.6),
           f"above 98 lie one of 100 never seen and 3 of 5 seen: 0.6 at a rate of 1 %, not {at[0.01]:g}.")
    expect(close(at[0.02], 0.8) and close(at[0.5], 1.0),
           "at a rate of 2 % it is 0.8, at 50 % it is 1.0: 50 lies above a threshold of 49.5.")
    expect(close(at[0.0], 0.4), "without any false positive the threshold is the largest score of those "
                                f"never seen: 0.4, not {at[0.0]:g}.")
    ties = float(_call(function, np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 0.0]), 0.25))
    expect(close(ties, 1 / 3),
           "scores that are equal cannot be told apart: whoever takes one 1 for seen takes all of them.")
    passed("true positives where false ones are rare")


# Lesson 07


def check_masked_mean(function: Callable) -> None:
    """`function(z, ids)` for (B, L, d) vectors and (B, L) ids -> (B, d): the mean over tokens that are not
    padding (id 0)."""
    z = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [80.0, 90.0], [80.0, 90.0]],
                      [[2.0, 4.0], [4.0, 4.0], [6.0, 4.0], [8.0, 4.0]]])
    ids, before = torch.tensor([[101, 102, 0, 0], [101, 7, 9, 102]]), z.clone()
    mean = _call(function, z, ids)
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
    wider = _call(function, torch.cat([z, torch.full((2, 3, 2), 1e6)], 1),
                  torch.cat([ids, torch.zeros(2, 3, dtype=torch.long)], 1))
    expect(close(wider, mean), "three more columns of padding must change nothing.")
    leaf = z.clone().requires_grad_()
    value = _call(function, leaf, ids)
    expect(value.requires_grad, "gradients must flow through: no .item(), no numpy.")
    passed("a mean over words, whatever the padding holds")


def check_has_negation(function: Callable) -> None:
    """`function(sentence)` -> bool: is one of no, never, nobody, nothing among its words?"""
    def ask(sentence: str) -> bool:
        answer = _call(function, sentence)
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


# Lesson 08


def check_error_groups(function: Callable) -> None:
    """`function(predicted, y)` for (N,) classes -> (N,) long groups: 2 * y, plus 1 where the prediction is
    wrong."""
    predicted, y = torch.tensor([0, 1, 1, 0, 2, 0]), torch.tensor([0, 0, 1, 1, 2, 2])
    groups = _call(function, predicted, y)
    expect(isinstance(groups, Tensor) and groups.shape == (6,), "return a tensor (N,): one group a sample.")
    expect(not groups.is_floating_point() and groups.dtype != torch.bool,
           "groups are whole numbers: use .long().")
    expect(not groups.equal((predicted != y).long()),
           "right and wrong alone make two groups; each class needs two of its own.")
    expect(not groups.equal(2 * predicted + (predicted != y)),
           "a group belongs to the class that a sample *has*, not to the one that was predicted.")
    expect(not groups.equal(2 * y + (predicted == y)),
           "1 is added where the prediction is wrong, not where it is right.")
    expect(groups.tolist() == [0, 1, 2, 3, 4, 5], f"[0, 1, 2, 3, 4, 5] is expected, not {groups.tolist()}.")
    passed("groups from errors")


def check_labels_needed(function: Callable) -> None:
    """`function(share, k, sure)` -> the smallest n so that n random samples hold at least k of a group of
    that share, with probability `sure` or more (binomial)."""
    n = {case: _call(function, *case) for case in ((0.5, 1, 0.5), (0.5, 1, 0.9), (0.02, 1, 0.95),
                                                   (0.02, 5, 0.95), (1.0, 3, 0.99))}
    expect(all(isinstance(v, int | np.integer) for v in n.values()), "return a whole number of labels.")
    expect(n[0.02, 5, 0.95] != 250,
           "5 / 0.02 = 250 labels hold five *on average*: nearly half of all draws hold fewer.")
    expect(n[0.5, 1, 0.5] == 1, f"one draw of a coin shows heads half of the time: 1, not {n[0.5, 1, 0.5]}.")
    expect(n[0.5, 1, 0.9] == 4, f"1 - 0.5^4 = 0.94 is the first above 0.9: 4, not {n[0.5, 1, 0.9]}.")
    expect(n[0.02, 1, 0.95] == 149, f"one of a group of 2 %, with 95 %: 149, not {n[0.02, 1, 0.95]}.")
    expect(n[0.02, 5, 0.95] == 456, f"five of a group of 2 %, with 95 %: 456, not {n[0.02, 5, 0.95]}.")
    expect(n[1.0, 3, 0.99] == 3, "if everyone is in the group, three labels hold three.")
    passed("how many labels to ask for")
