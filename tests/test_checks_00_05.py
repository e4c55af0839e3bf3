"""The exercises' checks of lessons 00 and 05: right answers pass, every known wrong one is told why, in a
sentence."""

import numpy as np
import pytest
import torch
from exercises import check

from grmu.course import checks


def accuracy_by_counting(predicted, y, group, g):
    hits = [p == t for p, t, k in zip(predicted.tolist(), y.tolist(), group.tolist(), strict=True) if k == g]
    p = sum(hits) / len(hits)
    return p, len(hits), float(np.sqrt(p * (1 - p) / len(hits)))


def drawn(mine, group):
    return torch.randint(mine.network.n_groups, group.shape, generator=mine.rng)


def unlearning_loss_with_floor(mine, z, group):
    shares = torch.rand(len(group), generator=mine.rng)
    return mine.bound(z, group, (shares * mine.network.n_groups).floor().long())


def tuned(sign=-1, freeze=True, step=True, clear=True, most=10_000):
    """A way to tune MINE, right unless it is told to be wrong."""

    def tune(mine, loss, features, batches):
        for _, batch in zip(range(most), batches, strict=False):
            z = features(batch).detach() if freeze else features(batch)
            if clear:
                mine.optimizer.zero_grad()
            (sign * loss(mine, z, batch.group)).backward()
            if step:
                mine.optimizer.step()
    return tune


tune_on_detached_features = tuned()


def retain_loss(cross_entropy=1.0, calibration=1.0, power=2, lam_power=1, draws=1, fixed=True, learns=True):
    """A retain loss, right unless it is told to be wrong."""

    def loss(logits, batch, bound, bound_original, draw, lam):
        bars = [draw(batch.group) for _ in range(draws)]
        estimate, target = bound(bars[0]), bound_original(bars[-1])
        gap = (estimate if learns else estimate.detach()) - (target.detach() if fixed else target)
        plain = torch.nn.functional.cross_entropy(logits, batch.y)
        return cross_entropy * plain + calibration * lam**lam_power * gap**power
    return loss


def retain_loss_with_mse(logits, batch, bound, bound_original, draw, lam):
    group_bar = draw(batch.group)
    with torch.no_grad():
        target = bound_original(group_bar)
    surprise = -logits.log_softmax(1)[torch.arange(len(logits)), batch.y]
    return surprise.mean() + lam * torch.nn.functional.mse_loss(bound(group_bar), target)


@pytest.mark.parametrize(("name", "function"), [
    ("group_accuracy", accuracy_by_counting),
    ("my_unlearning_loss", unlearning_loss_with_floor),
    ("my_tune_mine", tune_on_detached_features),
    ("my_retain_loss", retain_loss_with_mse),
])
def test_an_answer_written_in_another_way_passes(name, function):
    check(name, function)


def everybody(predicted, y, group, g):
    return accuracy_by_counting(predicted, y, torch.full_like(group, g), g)


def percent(predicted, y, group, g):
    p, n, se = accuracy_by_counting(predicted, y, group, g)
    return 100 * p, n, se


def deviation(predicted, y, group, g):
    p, n, _ = accuracy_by_counting(predicted, y, group, g)
    return p, n, float(np.sqrt(p * (1 - p)))


@pytest.mark.parametrize(("name", "function", "sentence"), [
    ("group_accuracy", everybody, "count only those with group == g"),
    ("group_accuracy", percent, "or a percentage, is another number"),
    ("group_accuracy", deviation, "the standard error is"),
    ("group_accuracy", lambda predicted, y, group, g: 0.75, "return three numbers"),
    ("group_accuracy", lambda predicted, y, group, g: (*accuracy_by_counting(predicted, y, group, 0)[:2],
                                                       0.2165)
     if g == 0 else (0.0, 4, 0.0), "does g matter"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group), "draw group_bar yourself"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group, group[torch.randperm(len(group))]),
     "shuffling it changes nothing"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group, torch.randint(2, group.shape)),
     "all 3 declared groups"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group, torch.randint(3, group.shape)),
     "generator=mine.rng"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group, drawn(mine, group[:1])),
     "one group_bar for every sample"),
    ("my_unlearning_loss", lambda mine, z, group: -mine.bound(z, group, drawn(mine, group)), "not -M"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group, drawn(mine, group)).detach(),
     "no gradient flows"),
    ("my_unlearning_loss", lambda mine, z, group: mine.bound(z, group, drawn(mine, group)).item(),
     "scalar tensor"),
    ("my_unlearning_loss", lambda mine, z, group: 2 * mine.bound(z, group, drawn(mine, group)),
     "M of this batch is"),
    ("my_unlearning_loss", lambda mine, z, group: torch.tensor(0.0), "call mine.bound once"),
    ("my_tune_mine", tuned(sign=1), "must maximise it"),
    ("my_tune_mine", tuned(freeze=False), "gradients reached the features"),
    ("my_tune_mine", tuned(step=False), "has not changed"),
    ("my_tune_mine", tuned(clear=False), "zero_grad"),
    ("my_tune_mine", tuned(most=3), "3 steps of the optimiser"),
    ("my_retain_loss", retain_loss(calibration=0.0), "calibration term is missing"),
    ("my_retain_loss", retain_loss(cross_entropy=0.0), "cross-entropy"),
    ("my_retain_loss", retain_loss(power=1), "must be squared"),
    ("my_retain_loss", retain_loss(lam_power=2), "not squared with it"),
    ("my_retain_loss", retain_loss(lam_power=0), "lambda is missing"),
    ("my_retain_loss", retain_loss(calibration=3.0), "gives"),
    ("my_retain_loss", retain_loss(draws=2), "draw group_bar once"),
    ("my_retain_loss", retain_loss(fixed=False), "fixed target"),
    ("my_retain_loss", retain_loss(learns=False), "detach only the target"),
    ("my_retain_loss", lambda logits, *rest: retain_loss()(logits.detach(), *rest), "reaches the logits"),
    ("my_retain_loss", lambda *args: retain_loss()(*args).detach(), "no gradient flows"),
    ("my_retain_loss", lambda *args: retain_loss()(*args).item(), "scalar tensor"),
    ("my_retain_loss", lambda *args: torch.tensor(0.0), "once each"),
])
def test_a_known_wrong_answer_is_told_why(name, function, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check(name, function)
