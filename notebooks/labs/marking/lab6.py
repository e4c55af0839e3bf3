"""Lab 6, Predict who pays: the checks that give the points. Inputs are drawn, expected values computed
here."""

import functools

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import avg_pool2d, log_softmax, one_hot

from grmu import data, prior
from grmu.course.asking import same
from grmu.course.figures import READ


def counts_of(rng, shape):
    """Counts of groups before and after, of which every one loses another share."""
    before = torch.as_tensor(rng.integers(40, 400, shape))
    return before, (before * torch.as_tensor(rng.uniform(0.1, 0.9, shape))).long().clamp(min=1)


def shape_of(rng):
    return int(rng.integers(2, 5)), int(rng.integers(2, 5))


def test_shares(ask, rng):
    for _ in range(2):
        before, left = counts_of(rng, shape_of(rng))
        found = ask("shares(before, left)", before=before, left=left)
        gone = (before - left).double()
        assert not same(found, left / before), "That is the share that stays; r is the share that left."
        assert not same(found, gone / before.sum()), (
            "That is a share of the whole training set. r is a share of each group's own number before.")
        assert not same(found, gone / gone.sum()), (
            "That says how those who left are made up. r is the share of each group that left.")
        assert same(found, gone / before, 1e-5), (
            "The share forgotten of a group is one minus those left over those before, for each group by "
            "itself.")


def test_shares_absent(ask, rng):
    for _ in range(2):
        before, left = counts_of(rng, shape_of(rng))
        empty = int(rng.integers(before.numel()))
        before.view(-1)[empty] = left.view(-1)[empty] = 0
        found = ask("shares(before, left)", before=before, left=left)
        assert np.shape(found) == tuple(before.shape), (
            "A group without anybody keeps its place: one share a group, a row a class.")
        assert same(np.asarray(found, float).ravel()[empty], 0), (
            "A group that never had anybody has lost nobody, r = 0: not NaN, which spoils every sum that it "
            "enters, and not 1, which shifts a logit to minus infinity.")
        assert same(found, torch.where(before > 0, 1 - left / before.clamp(min=1), 0.0), 1e-5), (
            "The other groups' shares are not right once one group is empty.")


def margins(logits):
    """Log-probabilities: what is left once a number that all logits of a picture share is taken away."""
    logits = torch.as_tensor(logits, dtype=torch.float64)
    return log_softmax(logits, 1)


def visible(logits, a, r):
    return logits + torch.log(1 - r)[:, a].T


def alike(found, expected):
    """The same logits, but for a number that a picture's classes share."""
    if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
        return False
    return same(margins(found), margins(expected), 1e-4)


def test_visible(ask, rng):
    for _ in range(3):
        shape = shape_of(rng)
        a = torch.as_tensor(rng.permutation(np.arange(30) % shape[1]))
        logits, r = torch.as_tensor(rng.normal(0, 2, (30, shape[0]))), torch.zeros(shape, dtype=torch.float64)
        y_gone, a_gone = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        share = rng.uniform(0.3, 0.95)
        r[y_gone, a_gone] = share
        found = ask("shift_visible(logits, a, r)", logits=logits, a=a, r=r)
        there, column = a == a_gone, torch.arange(shape[0]) == y_gone
        wrong = {"by log r: by what is gone, instead of by what is left":
                     np.log(share) * column * there[:, None],
                 "up: the class became rarer": -np.log(1 - share) * column * there[:, None],
                 "in every picture, also where another attribute shows": np.log(1 - share) * column}
        for how, moved in wrong.items():
            assert not alike(found, logits + moved), f"The logit moves {how}. Lesson 01, section 1.4."
        assert alike(found, visible(logits, a, r)), (
            "One group leaves: the logit of its class falls by log 1/(1 - r) in pictures that show its "
            "attribute, and no other logit of any picture moves against the rest.")


def test_visible_many(ask, rng):
    for _ in range(2):
        shape = shape_of(rng)
        a = torch.as_tensor(rng.integers(0, shape[1], 25))
        logits = torch.as_tensor(rng.normal(0, 2, (25, shape[0])))
        r = torch.as_tensor(rng.uniform(0.2, 0.9, shape))
        found, kept = ask("before = logits.clone()\nfound = shift_visible(logits, a, r)\n"
                          "[found, bool((logits == before).all())]", logits=logits, a=a, r=r)
        assert alike(found, visible(logits, a, r)), (
            "Several groups leave at once: each class moves by its own group's share on the attribute that "
            "the picture shows, none of them by another's.")
        assert kept is True, (
            "The logits that were given have changed. What the old model said is still needed: return new "
            "ones.")


def drawn_case(rng):
    shape = shape_of(rng)
    p = torch.as_tensor(rng.dirichlet(np.ones(shape[1]), (20, shape[0])))
    logits = torch.as_tensor(rng.normal(0, 2, (20, shape[0])))
    return logits, p, torch.as_tensor(rng.uniform(0.05, 0.95, shape))


def test_shift(ask, rng):
    for _ in range(2):
        logits, p, r = drawn_case(rng)
        found = ask("shift(logits, p, r)", logits=logits, p=p, r=r)
        left = torch.log(1 - r)
        assert not alike(found, logits + (p * left).sum(2)), (
            "The mean of the logs, where the rule has the log of the mean: first the sum over the "
            "attribute of (1 - r) p, then the log. They agree only where the attribute is certain.")
        assert not alike(found, logits + left[torch.arange(p.shape[1]), p.argmax(2)]), (
            "Only the likeliest attribute counts in yours. The others are possible, too, and have their "
            "share.")
        assert alike(found, logits + (p * (1 - r)).sum(2).log()), (
            "The logit of a class moves by log sum_a (1 - r_ya) p(a | x, y), with each class's own r and "
            "its own p(a | x, y), and the sum over the attribute (section 2).")


def test_shift_limits(ask, rng):
    for _ in range(2):
        logits, p, r = drawn_case(rng)
        a = torch.as_tensor(rng.integers(0, r.shape[1], len(logits)))
        sure = one_hot(a, r.shape[1]).double()[:, None].expand(-1, r.shape[0], -1).clone()
        found = ask("shift(logits, p, r)", logits=logits, p=sure, r=r)
        assert alike(found, visible(logits, a, r)), (
            "Where the attribute is certain, the general rule is that of part 1, and yours is not.")
        hidden = p[:1].expand(len(logits), -1, -1).clone()
        found = ask("shift(logits, p, r)", logits=logits, p=hidden, r=r)
        assert alike(found, logits + (1 - (p[0] * r).sum(1)).log()), (
            "Where no picture shows the attribute, all pictures of a class fall alike, by the log of the "
            "share of the class that stays: sum over a of p(a | y) (1 - r).")


def test_miss(ask, rng):
    for groups in (1, 3):
        n_seeds = int(rng.integers(4, 8))
        rows = [{"seed": s, "r": r, "visible": v, "head": v + rng.normal(0, 0.05), "after": v + f}
                for s in range(n_seeds) for k in range(groups + 2)
                for r, v, f in [(0.5 * (k < groups), rng.uniform(0.4, 0.8), rng.normal(-0.08, 0.05))]]
        table = pd.DataFrame(rows).sample(frac=1, random_state=int(rng.integers(1000)))
        for by in ("visible", "head"):
            found = ask("miss(pd.DataFrame(rows), by)", rows=table, by=by)
            asked = table[table.r > 0]
            d = (100 * (asked[by] - asked.after)).groupby(asked.seed).mean()
            everyone = (100 * (table[by] - table.after)).groupby(table.seed).mean().mean()
            assert len(found) == 3, "Three numbers are asked for: the mean and both ends of its interval."
            assert not same(found[0], everyone), (
                "Groups that did not ask are averaged in: only rows with r above 0 are of groups that ask.")
            assert not same(found[0], -d.mean()), "Found minus predicted; predicted minus found is asked for."
            assert not same(found[0], d.mean() / 100), "In points, please: 100 times the fraction."
            assert same(found[0], d.mean(), 1e-4), (
                "The mean miss is not right: predicted minus found, with the sign, of the prediction that is "
                "asked for, in points, on the groups that ask.")
            half = stats.t.ppf(0.975, n_seeds - 1) * d.std() / n_seeds**0.5
            assert same(found, [d.mean(), d.mean() - half, d.mean() + half], 1e-4), (
                "The interval is not right: t with S - 1 degrees of freedom (not 1.96) times the standard "
                "error sd / sqrt(S), S the number of seeds and not of rows.")


def test_retained(ask, rng):
    for _ in range(2):
        _, p, r = drawn_case(rng)
        found, left = ask("retained(p, r)", p=p, r=r), p * (1 - r)
        assert not same(found, left, 1e-4), (
            "Those who stay are everybody now: divide, so that each class sums to 1 over the attribute.")
        assert not same(found, p, 1e-4), "That is p(a | x, y) among everybody: those who stay are others."
        assert same(found, left / left.sum(2, keepdim=True), 1e-4), (
            "Among those who stay, an attribute value is (1 - r) times as common as before, and each class's "
            "probabilities sum to 1 over the attribute (second formula of section 4).")


def test_undo(ask, rng):
    for _ in range(2):
        logits, p, r = drawn_case(rng)
        found = ask("undo(logits, p, r)", logits=logits, p=p, r=r)
        assert not alike(found, logits - (p * (1 - r)).sum(2).log()), (
            "That turns the rule of part 2 round with the p of everybody. You are given p' of those who "
            "stay, and each of them stands for 1 / (1 - r): the sum of p' / (1 - r).")
        assert alike(found, logits + (p / (1 - r)).sum(2).log()), (
            "To undo the shift, add log sum_a p'(a | x, y) / (1 - r_ya) to each class's logit: each kind "
            "comes back by one over the share of it that stayed.")


def forecast(logits, y, a, before, left):
    r, n = prior.shares_forgotten(before, left), before.shape[1]
    sure = one_hot(a, n).double()[:, None].expand(-1, len(before), -1)
    hidden = (before.double() / before.sum(1, keepdim=True)).expand(len(y), -1, -1)
    right = torch.stack([(prior.predict_shift(logits.double(), p, r).argmax(1) == y).double()
                         for p in (sure, hidden)], 1)
    return torch.stack([100 * right[y * n + a == g].mean(0) for g in range(before.numel())])


def test_forecast(ask, rng):
    for _ in range(2):
        shape = 2, int(rng.integers(2, 4))
        group = torch.as_tensor(rng.permutation(np.arange(shape[0] * shape[1]).repeat(400)))
        y, a = group // shape[1], group % shape[1]
        logits = torch.as_tensor(rng.normal(0, 1.5, (len(y), 2)))
        logits[torch.arange(len(y)), y] += 0.8
        sizes = rng.permutation([900, 500, 200, 90, 300, 700])[:shape[0] * shape[1]]
        stays = rng.permutation(np.linspace(0.1, 0.95, len(sizes)))
        before = torch.as_tensor(sizes).view(shape)
        left = torch.as_tensor((sizes * stays).astype(int)).view(shape)
        given = {"logits": logits, "y": y, "a": a, "before": before, "left": left}
        found, expected = ask("forecast(logits, y, a, before, left)", **given), forecast(**given)
        assert np.shape(found) == tuple(expected.shape), "A row a group and two columns are asked for."
        assert not same(found, expected.flip(1), 0.01), (
            "The columns are exchanged: visible first, then hidden.")
        assert not same(found, expected / 100, 0.01), "In percent, please: 100 times the fraction."
        assert same(np.asarray(found)[:, 0], expected[:, 0], 0.01), (
            "The first column is not what the rule for a visible attribute predicts for each group, in "
            "percent of that group's own test pictures.")
        assert same(np.asarray(found)[:, 1], expected[:, 1], 0.01), (
            "The second column is not what the rule predicts if no picture shows the attribute: p(a | y) "
            "are the shares of the attribute within each class, from the counts before anybody left.")


@functools.cache
def pixels(name):
    x = getattr(data.load("groundwear"), name).x[:]
    return avg_pool2d(x.double() / 255 - 0.5, 2).flatten(1).numpy()


def line(rows):
    """Logits on the test pictures of logistic regression, fitted to these rows of the training set."""
    train = data.load("groundwear").train
    fitted = LogisticRegression(C=0.01, max_iter=2000, tol=1e-8).fit(pixels("train")[rows],
                                                                     train.y[rows].numpy())
    margin = torch.from_numpy(fitted.decision_function(pixels("test")))
    return torch.stack([0 * margin, margin], 1)


@functools.lru_cache(maxsize=4)
def own_case(mine):
    """What is forecast on the student's own data; margins of sneakers on brick before and after."""
    train, _, test, _ = data.load("groundwear")
    rows = mine.rows(train)
    part = train.subset(rows)
    split = data.split_forget(part, mine.ratio, [(1, 0)], mine.seed)
    before, after = line(rows), line(rows[split.retain_index])
    counts = [p.group_counts().view(2, 2) for p in (part, split.retain)]
    margins = [(found[:, 1] - found[:, 0])[test.group == 3].numpy() for found in (before, after)]
    return forecast(before, test.y, test.a, *counts), margins


def test_own(ask, rng, mine):
    found, (expected, _) = ask("my_numbers"), own_case(mine)
    assert np.shape(found) == (4, 2), "my_numbers has a row for each of the four groups, and two columns."
    assert np.abs(np.asarray(found, float) - expected.numpy()).max() < 0.5, (
        "On your own data the two predictions are others: with your pictures, your ratio, the accuracy of "
        "each group before (in percent) moved by the rule. Is it your own part, as the third cell draws it?")


def test_figure(ask, rng, mine):
    numbers, named = ask(f"{READ}\n\n[drawn(figure), named_axes(figure)]")
    assert named, "The axes have no names: say what is drawn on each of them, and its unit."
    for what, values in zip(("before", "after retraining"), own_case(mine)[1], strict=True):
        near = [np.isclose(v, np.asarray(numbers), atol=2e-3).any() for v in rng.permutation(values)[:50]]
        assert all(near), (
            f"Of 50 sneakers on brick, {50 - sum(near)} are not in the figure with their margin {what}: "
            "every picture is a point, of your own line, in nats.")
