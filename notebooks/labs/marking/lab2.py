"""Lab 2: what decides its marks. A check for each graded cell; all inputs are drawn."""

import numpy as np
import pandas as pd
import torch

from grmu import data
from grmu.course.asking import same
from grmu.course.figures import READ

STATE = """import random, numpy, torch
def state():
    return [torch.random.get_rng_state().tolist(), str(numpy.random.get_state()), str(random.getstate())]

"""  # of all random numbers that are not one's own
MODELS = ["RETRAIN", "REWEIGHT", "balanced (RWG)", "GROUP-DRO"]


def counts_of(rng):
    """Counts before and after, some groups whole, some halved or worse; and which are whole."""
    n = int(rng.integers(5, 9))
    before = rng.choice(np.arange(60, 400), n, replace=False)
    whole = rng.permutation(n) < n // 2
    after = np.where(whole, before, (before * rng.uniform(0.1, 0.6, n)).astype(int))
    return torch.as_tensor(before), torch.as_tensor(after), whole


ALPHA = "list(map(float, alpha(before, after)))"


def test_alpha(ask, rng):
    """The old proportions, beside a whole group: a common factor is not counted here."""
    for _ in range(3):
        before, after, whole = counts_of(rng)
        found = np.array(ask(ALPHA, before=before, after=after))
        assert found.shape == before.shape, f"{len(before)} groups, and {len(found)} weights."
        base = int(np.flatnonzero(whole)[0])
        ratios, nu_tr, nu_r = found / found[base], before.numpy(), after.numpy()
        for wrong, why in (
                (1 / nu_r, "1 / nu_r balances the groups: all would be drawn equally often. The aim is the "
                           "old proportions, whatever they were"),
                (nu_r, "these are the shares in the retain set. What the training set looked like is nowhere "
                       "in them"),
                (nu_r / nu_tr, "upside down: who lost members must be drawn more often, not less"),
                (nu_tr, "nu_tr alone: a group's own number is in the sampling already, since each of its "
                        "members is drawn"),
                (np.ones(len(nu_r)), "all weights are alike, so nothing changes")):
            assert not same(ratios, wrong / wrong[base], 1e-4), f"Wrong weights: {why} (part 1)."
        right = nu_tr / nu_r
        assert same(ratios, right / right[base], 1e-4), (
            f"With counts {before.tolist()} before and {after.tolist()} after, these are not the weights: "
            "each group is to be drawn as often as it was in the training set (task 1.1).")


def test_alpha_untouched(ask, rng):
    """Counts are divided, not shares."""
    for _ in range(2):
        before, after, whole = counts_of(rng)
        found = np.array(ask(ALPHA, before=before, after=after))
        assert found.shape == before.shape, f"{len(before)} groups, and {len(found)} weights."
        assert same(found[whole], np.ones(whole.sum()), 1e-5), (
            f"Nobody left some groups, and their weights are {found[whole].round(4).tolist()} instead of 1: "
            "alpha divides counts, not shares. Divided shares draw the same in the end, but one can no "
            "longer read from alpha who lost what (task 1.2).")


def test_alpha_vanished(ask, rng):
    """Weight 0 for who is gone, or never was; the others keep theirs."""
    for never in (False, True):
        before, after, _ = counts_of(rng)
        empty = torch.as_tensor(rng.permutation(len(before)) < 2)
        after[empty] = 0
        if never:
            before[empty] = 0
        found = torch.as_tensor(ask(ALPHA, before=before, after=after))
        assert len(found) == len(before), f"{len(before)} groups, and {len(found)} weights."
        gone = [round(v, 3) for v in found[empty].tolist()]
        assert torch.isfinite(found).all(), (
            f"Nothing is left of two groups, and their weights are {gone}. Divided by the sum of all "
            "weights, inf or nan spoils every other group's probability: their weight is 0, for there is "
            "nothing to draw (task 1.2).")
        assert (found[empty] == 0).all(), (
            f"A group without a sample has weight 0, not one of {gone}: no weight can bring it back.")
        assert (found[~empty] > 0).all(), "The groups that are still there keep their weights."


def weights_of(rng, n_groups):
    """Weights of groups, no two alike; and (N,) groups of samples in any order."""
    weights = torch.as_tensor(rng.permutation(np.linspace(1, rng.uniform(4, 9), n_groups)))
    sizes = rng.choice(np.arange(5, 60), n_groups, replace=False)
    return weights, torch.as_tensor(rng.permutation(np.repeat(np.arange(n_groups), sizes)))


PROBABILITIES = "list(map(float, probabilities(weights, group)))"


def test_probabilities(ask, rng):
    """Proportional to the weight of the sample's group; a common factor is not counted here."""
    for n_groups in rng.choice(np.arange(3, 8), 2, replace=False):
        weights, group = weights_of(rng, n_groups)
        p = np.array(ask(PROBABILITIES, weights=weights, group=group))
        assert len(p) == len(group), (
            f"There are {len(group)} samples, and {len(p)} probabilities: weigh each sample, by its group's "
            "weight (task 2.1).")
        twice = (weights * torch.bincount(group))[group].numpy()
        assert not same(p / p.sum(), twice / twice.sum()), (
            "Every group counts twice: a large group is drawn more often already because it has more "
            "members. A sample's probability is proportional to alpha of its group, not to alpha times the "
            "size of the group (task 2.1).")
        right = weights[group].numpy()
        assert same(p / p.sum(), right / right.sum(), 1e-5), (
            "The probabilities are not proportional to the weights: sample i has the weight of *its* group, "
            "weights[group[i]], in the order of the samples (task 2.1).")


def test_probabilities_sum(ask, rng):
    """One for each sample, 1 together."""
    for n_groups in rng.choice(np.arange(3, 8), 2, replace=False):
        weights, group = weights_of(rng, n_groups)
        p = ask(PROBABILITIES, weights=weights, group=group)
        assert len(p) == len(group), f"One probability for each of the {len(group)} samples, not {len(p)}."
        assert same(sum(p), 1, 1e-4), (
            f"The probabilities sum to {sum(p):.3f}, not to 1: divide by the sum over the *samples* "
            "(task 2.1).")


def test_draw(ask, rng):
    """Some samples have half of the probability, and get half of the draws."""
    for n in map(int, rng.choice(np.arange(4000, 5000), 2, replace=False)):
        heavy = rng.permutation(n) < n // 8
        half = float(rng.uniform(0.45, 0.6))
        p = torch.as_tensor(np.where(heavy, half / heavy.sum(), (1 - half) / (n - heavy.sum())))
        rows = np.array(ask("list(map(int, draw_epoch(p, seed)))", p=p, seed=int(rng.integers(2**31))))
        assert len(rows) == n, f"An epoch has as many draws as there are samples, {n}, not {len(rows)}."
        assert ((rows >= 0) & (rows < n)).all(), f"The rows of {n} samples are 0 to {n - 1}."
        share = heavy[rows].mean()
        assert not abs(share - heavy.mean()) < 0.05, (
            "Samples come equally often, whatever their probability. N draws *without* replacement from N "
            "samples are a permutation: weights take effect only if a sample may come twice, and another not "
            "at all (task 2.2).")
        assert abs(share - half) < 0.05, (  # more than 6 standard deviations
            f"Samples with a joint probability of {half:.0%} make up {share:.0%} of an epoch (task 2.2).")


def test_draw_seed(ask, rng):
    """One seed, one epoch; another, another; nobody else's random numbers are touched."""
    p = torch.as_tensor(rng.dirichlet(np.full(80, 5.0)))
    first, second, third = (int(seed) for seed in rng.choice(2**20, 3, replace=False))
    epochs = [ask("list(map(int, draw_epoch(p, seed)))", p=p, seed=seed) for seed in (first, first, second)]
    assert epochs[0] == epochs[1], "The same seed gives two epochs: nobody can repeat your experiment."
    assert epochs[0] != epochs[2], "Every seed gives the same epoch (task 2.2)."
    untouched = ask(STATE + "before = state()\ndraw_epoch(p, seed)\nbefore == state()", p=p, seed=third)
    assert untouched is True, (
        "The global random state has changed, and with it everything random that runs afterwards: make a "
        "generator of your own (task 2.2).")


SHARES = "list(map(float, expected_shares(weights, counts)))"


def test_shares(ask, rng):
    """Weight times number of samples; a common factor is not counted here."""
    for n in rng.choice(np.arange(3, 8), 2, replace=False):
        weights = torch.as_tensor(rng.permutation(np.linspace(1, rng.uniform(3, 6), n)))
        counts = torch.as_tensor(rng.choice(np.arange(10, 90), n, replace=False))
        shares = np.array(ask(SHARES, weights=weights, counts=counts))
        assert len(shares) == n, f"{n} groups, and {len(shares)} shares."
        heard = (weights * counts).numpy()
        assert same(shares / shares.sum(), heard / heard.sum(), 1e-5), (
            "A group's share is proportional to its weight times its number of samples: each of its members "
            "is drawn with that weight (task 3.1).")


def test_shares_vanished(ask, rng):
    """Some groups have no sample; the others' shares sum to 1."""
    for _ in range(2):
        n = int(rng.integers(4, 8))
        weights = torch.as_tensor(rng.uniform(1, 6, n))
        counts = torch.as_tensor(rng.choice(np.arange(10, 90), n, replace=False))
        weights[(gone := int(rng.integers(n)))] = counts[gone] = 0
        shares = np.array(ask(SHARES, weights=weights, counts=counts))
        assert len(shares) == n, (
            f"{n} groups, of which one has vanished, and {len(shares)} shares: it keeps its place, with 0.")
        assert same(shares.sum(), 1, 1e-4), (
            f"The shares sum to {shares.sum():.3f}: something is always drawn, so when a group has vanished "
            "the others share its part. Divide by the sum of the weights over the retain set, which is no "
            "longer the size of the training set (task 3.1).")
        heard = (weights * counts).numpy()
        assert same(shares, heard / heard.sum(), 1e-5), (
            "A group's share is its weight times its number of samples, divided by the sum of these; 0 for "
            "the one that vanished (task 3.1).")


def own_counts(mine):
    """The student's counts before forgetting, after it, and the group that asked."""
    train = data.load("groundwear").train
    mine_only = train.subset(mine.rows(train))
    split = data.split_forget(mine_only, mine.ratio, [mine.group], mine.seed)
    before, after = (part.group_counts().double().numpy() for part in (mine_only, split.retain))
    return before, after, mine.group[0] * train.n_attributes + mine.group[1]


def test_my_alpha(ask, rng, mine):
    """Counts of the student's own rows, before by after."""
    before, after, g = own_counts(mine)
    found = ask("list(map(float, my_alpha))")
    assert not same(found, after / before, 1e-4), (
        "Upside down: who lost members must be drawn more often, not less (task 1.2).")
    assert same(found, before / after, 1e-4), (
        f"These are not the weights for your split: group {g} of *your* training set lost its share, at your "
        "ratio, and nobody else. Another's numbers are wrong for you (tasks 1.2 and 3.2).")


def test_my_shares(ask, rng, mine):
    """Shares of the draws when the student's group has vanished."""
    before, _, g = own_counts(mine)
    found, left = ask("list(map(float, my_shares))"), before.copy()
    left[g] = 0
    assert not same(found, before / before.sum(), 1e-4), (
        f"These are the shares while something of group {g} is left. Here all of it is forgotten (part 3).")
    assert not same(found, left / before.sum(), 1e-4), (
        "Something is always drawn: the others share the part of the group that vanished (task 3.1).")
    assert same(found, left / left.sum(), 1e-4), (
        f"Group {g} of *your* training set has vanished: its share is 0, and the others keep their "
        "proportions among themselves, as they were in `my_train` (tasks 3.1 and 3.2).")


def runs_of(rng, n_groups, n_seeds):
    """Runs of three methods on the same seeds, in any order: a dict of columns."""
    rows = []
    start = rng.uniform(0.75, 0.95, n_groups)
    kinds = {("pretrain", False): 0.0, ("retrain", False): -0.3, ("retrain", True): -0.04,
             ("rwg", False): 0.1}
    seeds = rng.choice(1000, n_seeds, replace=False).tolist()
    for (method, reweight), change in kinds.items():
        for seed in seeds:
            by_group = start + change * rng.uniform(0.5, 1, n_groups) + rng.normal(0, 0.02, n_groups)
            rows.append((method, reweight, seed, by_group.clip(0, 1).tolist(), float(by_group[-1])))
    rows = [rows[i] for i in rng.permutation(len(rows))]
    return dict(zip(["method", "reweight", "seed", "by_group", "GA"], map(list, zip(*rows, strict=True)),
                    strict=True))


def means_of(rows):
    """Mean accuracy of each group and of GA by (method, reweight)."""
    table = pd.DataFrame(rows)
    return {key: (np.mean(part.by_group.tolist(), axis=0), part.GA.mean())
            for key, part in table.groupby(["method", "reweight"])}


CHANGE = "list(map(float, change_by_group(pd.DataFrame(rows), method, reweight)))"


def test_change(ask, rng):
    """Against PRETRAIN, in points, of the rows that are meant."""
    for n_groups in rng.choice(np.arange(3, 7), 2, replace=False):
        rows = runs_of(rng, n_groups, int(rng.integers(3, 6)))
        means = {key: mean for key, (mean, _) in means_of(rows).items()}
        for method, reweight in (("retrain", True), ("retrain", False), ("rwg", False)):
            found = ask(CHANGE, rows=rows, method=method, reweight=reweight)
            assert len(found) == n_groups, f"One number per group: {n_groups}, not {len(found)}."
            change = 100 * (means[method, reweight] - means["pretrain", False])
            if (method, reweight) != ("retrain", False):
                assert not same(found, 100 * (means[method, reweight] - means["retrain", False])), (
                    "That is the change against RETRAIN. The promise is to stay where PRETRAIN was, before "
                    "anybody was forgotten (task 4.1).")
            assert not same(found, change / 100), "In points, please: 100 times the fraction (task 4.1)."
            assert same(found, change), (
                f"{method} {'with' if reweight else 'without'} REWEIGHT changes the groups by "
                f"{change.round(2).tolist()} points, not {np.round(found, 2).tolist()}: method and reweight "
                "together say which rows are meant (task 4.1).")


def test_change_pairs(ask, rng):
    """A seed without a partner does not count: compared with the submission's own answer without it."""
    n_groups = int(rng.integers(3, 7))
    rows = runs_of(rng, n_groups, 4)
    for lonely in ("pretrain", "rwg"):
        runs = {name: list(values) for name, values in rows.items()}
        extra = {"method": lonely, "reweight": False, "seed": 5000,
                 "by_group": rng.uniform(0, 0.3, n_groups).tolist(), "GA": 0.1}
        for name, value in extra.items():
            runs[name].insert(0, value)
        found, without = (ask(CHANGE, rows=part, method="rwg", reweight=False) for part in (runs, rows))
        assert len(found) == n_groups, f"One number per group: {n_groups}, not {len(found)}."
        assert same(found, without), (
            f"One more seed of {lonely}, which has no partner, has moved the result: take differences within "
            "a seed, over the seeds that both have. A mean over other seeds compares luck with luck "
            "(task 4.1).")


def test_won_back(ask, rng):
    """Of what was lost, by means over seeds."""
    for _ in range(2):
        rows = runs_of(rng, 3, int(rng.integers(3, 6)))
        ga = {key: mean for key, (_, mean) in means_of(rows).items()}
        lost = ga["pretrain", False] - ga["retrain", False]
        for method, reweight in (("retrain", True), ("rwg", False)):
            share = ask("float(won_back(pd.DataFrame(rows), method, reweight))", rows=rows, method=method,
                        reweight=reweight)
            right = (ga[method, reweight] - ga["retrain", False]) / lost
            for wrong, why in ((ga[method, reweight] / ga["pretrain", False], "That is the method's GA "
                                "divided by PRETRAIN's. How much of what was *lost* came back?"),
                               (1 - right, "That is the share of the loss that remains, not what came back."),
                               (100 * right, "A share, please, not percent.")):
                assert not same(share, wrong), f"{why} (Task 4.2.)"
            assert same(share, right), (
                f"{100 * lost:.1f} points of GA were lost and {100 * lost * right:.1f} came back: "
                f"{right:.3f}, not {share:.3f}. Means over seeds first, then one quotient (task 4.2).")


def test_figure(ask, rng):
    """Named axes, and all changes, in points or fractions."""
    for _ in range(2):
        values = rng.uniform(-60, 30, (4, 4)).round(1)
        named, numbers = ask(READ + """
import matplotlib.pyplot
picture = draw(pd.DataFrame(values, index=["group %d" % g for g in range(4)], columns=models))
matplotlib.pyplot.close(picture)
[named_axes(picture), drawn(picture)]""", values=values.tolist(), models=MODELS)
        assert named is True, "The axes have no names: nobody can read what is drawn (task 4.3)."
        numbers = np.asarray(numbers)
        for name, column in zip(MODELS, values.T, strict=True):
            assert any(all(np.isclose(scale * value, numbers, atol=scale * 0.06).any() for value in column)
                       for scale in (1, 0.01)), (
                f"The changes under {name} are not all in the figure. `draw` shows the table that it is "
                "given: four groups, four models (task 4.3).")
