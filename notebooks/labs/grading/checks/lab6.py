"""Check lab 6 (predict which groups lose accuracy): one check for each graded cell, with random inputs."""

import numpy as np
import pandas as pd
import torch
from grading.asking import compare
from scipy import stats
from torch.nn.functional import one_hot

NOT_ALLOWED = ("grmu.prior.shares_forgotten", "grmu.prior.change_prior", "grmu.prior.predict_shift",
               "grmu.prior.undo_shift", "grmu.analysis.compare.interval")
# Define correct versions of the functions that `forecast` gets.
FORECAST = """
def right_shares(before, left):
    return torch.where(before > 0, 1 - left / before.clamp(min=1), 0.0).double()

def right_shift(logits, p_attribute, r):
    return logits + (p_attribute * (1 - r)).sum(2).log()

forecast(logits, y, a, before, left, right_shares, right_shift)"""


def shape_of(rng):
    return int(rng.integers(2, 5)), int(rng.integers(2, 5))


def normal(rng, *shape):
    return torch.as_tensor(rng.normal(0, 2, shape))


def drawn(rng):
    """Return logits, attribute probabilities and shares."""
    shape = shape_of(rng)
    p = torch.as_tensor(rng.dirichlet(np.ones(shape[1]), (20, shape[0])))
    return normal(rng, 20, shape[0]), p, torch.as_tensor(rng.uniform(0.1, 0.9, shape))


def test_shares(ask, rng):
    """Check shares if all groups have members, and if some never had any."""
    for n_empty in (0, 2):
        before = torch.as_tensor(rng.integers(40, 400, shape_of(rng)))
        before.view(-1)[rng.permutation(before.numel())[:n_empty]] = 0
        left = (before * torch.as_tensor(rng.uniform(0.1, 0.9, before.shape))).long()
        gone = (before - left).double()
        compare(ask("shares(before, left)", before=before, left=left), gone / before.clamp(min=1),
                "A share is 1 minus the count after over the count before, or 0 if there never were members.",
                [(left / before, "You return the share that remains; r is the share that is forgotten."),
                 (gone / gone.sum(), "You divide by all forgotten pictures: divide by the group's count.")], 1e-5)


def centred(logits):
    """Return logits minus their mean over the classes."""
    return logits.double() - logits.double().mean(1, keepdim=True)


def compare_logits(found, right, message, wrong=()):
    """Compare logits up to a constant that is added to all logits of a picture."""
    compare(centred(found), centred(right), message, [(centred(w), why) for w, why in wrong], 1e-4)


def test_visible(ask, rng):
    """Check the shift if one group is forgotten in part."""
    logits, _, many = drawn(rng)
    a = torch.as_tensor(rng.permutation(np.arange(20) % many.shape[1]))
    r, group = torch.zeros_like(many), tuple(rng.integers(many.shape))
    r[group] = many[group]
    moved = torch.log(1 - r)[:, a].T
    compare_logits(ask("shift_visible(logits, a, r)", logits=logits, a=a, r=r), logits + moved,
                   "If one group is forgotten in part, only the logit of its class changes, by log(1 - r), "
                   "and only in pictures that show its attribute.",
                   [(logits - moved, "The logit rises, but the class became less common.")])


def test_visible_many(ask, rng):
    logits, _, r = drawn(rng)
    a = torch.as_tensor(rng.integers(0, r.shape[1], len(logits)))
    found, kept = ask("[shift_visible(logits, a, r), logits]", logits=logits, a=a, r=r)
    compare_logits(found, logits + torch.log(1 - r)[:, a].T, "Each class changes by the share of its group "
                   "with the attribute that the picture shows.")
    compare(kept, logits, "You changed the logits that you were given: return new ones.")


def test_shift(ask, rng):
    logits, p, r = drawn(rng)
    found = ask("shift(logits, p, r)", logits=logits, p=p, r=r)
    compare_logits(found, logits + (p * (1 - r)).sum(2).log(), "The logit of a class changes by "
                   "log sum_a (1 - r_ya) p(a | x, y) (part 2).",
                   [(logits + (p * torch.log(1 - r)).sum(2), "First the sum over a, then the logarithm.")])


def test_miss(ask, rng):
    seeds = np.repeat(np.arange(int(rng.integers(4, 8))), 5)
    rows = pd.DataFrame({"seed": seeds, "r": [0.5, 0.5, 0, 0.5, 0] * (len(seeds) // 5),
                         **{by: rng.uniform(0.4, 0.9, len(seeds)) for by in ("visible", "head")},
                         "after": rng.uniform(0.1, 0.6, len(seeds))}).sample(frac=1, random_state=1)
    for by in ("visible", "head"):
        difference = 100 * (rows[by] - rows.after)
        d = difference[rows.r > 0].groupby(rows.seed).mean()
        found = ask("miss(pd.DataFrame(rows), by)", rows=rows, by=by)
        compare(found[0], d.mean(), "The mean is wrong: predicted minus observed, in points, with its sign.",
                [(difference.groupby(rows.seed).mean().mean(), "Use only the rows with r above 0.")])
        half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
        compare(found, [d.mean(), d.mean() - half, d.mean() + half], "The interval is wrong: use t with S-1 "
                "degrees of freedom times sd / sqrt(S), where S counts seeds, not rows.")


def test_retained(ask, rng):
    _, p, r = drawn(rng)
    left = p * (1 - r)
    compare(ask("retained(p, r)", p=p, r=r), left / left.sum(2, keepdim=True), "In the retain set, a value "
            "is (1 - r) times as common, and the probabilities sum to 1 over the attribute in each class.",
            tolerance=1e-4)


def test_undo(ask, rng):
    logits, p, r = drawn(rng)
    found = ask("undo(logits, p, r)", logits=logits, p=p, r=r)
    compare_logits(found, logits + (p / (1 - r)).sum(2).log(), "To undo the shift, add log sum_a p'(a|x, y) "
                   "/ (1 - r_ya) to the logit of each class.",
                   [(logits - (p * (1 - r)).sum(2).log(), "You reverse the rule of part 2 as if p' were p.")])


def ask_forecast(ask, rng, column, message):
    """Ask for a forecast, and check one of its columns."""
    shape = 2, int(rng.integers(2, 4))
    y, a = (torch.as_tensor(v) for v in np.indices((*shape, 400))[:2].reshape(2, -1))
    logits = normal(rng, len(y), 2) + 0.8 * one_hot(y, 2)
    before, stays = rng.permuted([[900, 90, 300][:shape[1]]] * 2, axis=1), np.full(shape, 0.9)
    stays[rng.integers(2)] = rng.permutation([0.1, 0.9, 0.2][:shape[1]])
    before, left = torch.as_tensor(before), torch.as_tensor(before * stays).long()
    found = ask(FORECAST, logits=logits, y=y, a=a, before=before, left=left)
    assert np.shape(found) == (before.numel(), 2), "Return a row per group and two columns."
    moved = (left / before).log().double()[:, a].T, (left.sum(1) / before.sum(1)).log()
    right = [100 * ((logits + m).argmax(1) == y).double().view(-1, 400).mean(1) for m in moved]
    compare(np.asarray(found)[:, column], right[column], message,
            [(right[1 - column], "The columns are exchanged: first visible, then hidden.")], 0.01)


def test_forecast(ask, rng):
    ask_forecast(ask, rng, 0, "The first column is the accuracy if the ground is visible: p(a | x, y) is 1 "
                 "for the attribute that the picture shows.")


def test_forecast_hidden(ask, rng):
    ask_forecast(ask, rng, 1, "The second column is the accuracy if the ground is hidden: p(a | y) is the "
                 "share of the attribute in the class, from the counts before forgetting.")
