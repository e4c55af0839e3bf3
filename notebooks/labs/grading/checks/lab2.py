"""Check lab 2: one check for each graded cell, with random inputs."""

import numpy as np
import pandas as pd
import torch
from grading.asking import compare, keeps_random_state

NOT_ALLOWED = ("grmu.reweight.group_weights", "grmu.reweight.sample_weights", "grmu.reweight.draw_epoch")
ALPHA = "list(map(float, alpha(before, after)))"
PROBABILITIES = "list(map(float, probabilities(weights, group)))"
EPOCH = "list(map(int, draw_epoch(p, seed)))"
SHARES = "list(map(float, expected_shares(weights, counts)))"
CHANGE = "list(map(float, change_by_group(pd.DataFrame(rows), method, reweight)))"
RECOVERED = "float(recovered_share(pd.DataFrame(rows), method, reweight))"
MODELS = ("RETRAIN", "RETRAIN + REWEIGHT", "balanced (RWG)", "GROUP-DRO")
COLUMNS = ("method", "reweight", "seed", "by_group", "GA")
KINDS = (("pretrain", False, 0.0), ("retrain", False, -0.3), ("retrain", True, -0.04), ("rwg", False, 0.1))


def proportions(values):
    """Return values divided by their sum, for comparisons in which a common factor does not matter."""
    values = torch.as_tensor(values).double()
    return (values / values.sum()).numpy()


def draw_counts(rng):
    """Return counts before and after forgetting, where the second half of the groups loses samples."""
    n = int(rng.integers(5, 9))
    before = rng.choice(np.arange(60, 400), n, replace=False)
    kept = np.where(np.arange(n) < n // 2, 1, rng.uniform(0.1, 0.6, n))
    return torch.as_tensor(before), torch.as_tensor((before * kept).astype(int))


def test_alpha(ask, rng):
    """Check the proportions of the weights."""
    for _ in range(3):
        before, after = draw_counts(rng)
        compare(proportions(ask(ALPHA, before=before, after=after)), proportions(before / after), (
            f"Wrong weights for {before.tolist()} samples before and {after.tolist()} after (task 1.2)."), [
            (proportions(1 / after), "1 / nu_r balances the groups, which is not the aim (part 1)."),
            (proportions(after / before), "A group that lost samples must be drawn more often, not less.")])


def test_alpha_untouched(ask, rng):
    """Check the values of the weights, which must come from counts, not shares."""
    for _ in range(2):
        before, after = draw_counts(rng)
        found = ask(ALPHA, before=before, after=after)
        compare(found, before / after, (
            f"The weights are {np.round(found, 3).tolist()}, but a group that lost no samples has weight 1: "
            "divide counts, not shares (task 1.2)."), tolerance=1e-5)


def test_alpha_vanished(ask, rng):
    """Check that groups without remaining samples get weight 0."""
    for never in (False, True):
        before, after = draw_counts(rng)
        after[[1, -1]] = 0
        before[1] *= not never
        found = ask(ALPHA, before=before, after=after)
        compare(proportions(found), proportions(torch.where(after > 0, before / after.clamp(min=1), 0)), (
            f"With two empty groups, the weights are {np.round(found, 3).tolist()}: an empty group has weight "
            "0 (with inf or nan, no probability can be computed), and the others keep theirs (task 1.2)."))


def draw_weights(rng):
    """Return different group weights, and the groups of samples in random order, (N,)."""
    n = int(rng.integers(3, 8))
    sizes = rng.choice(np.arange(5, 60), n, replace=False)
    weights = torch.as_tensor(rng.permutation(np.linspace(1, rng.uniform(4, 9), n)))
    return weights, torch.as_tensor(rng.permutation(np.repeat(np.arange(n), sizes)))


def test_probabilities(ask, rng):
    """Check the proportions of the probabilities, and that they sum to 1."""
    for _ in range(2):
        weights, group = draw_weights(rng)
        p = ask(PROBABILITIES, weights=weights, group=group)
        twice = proportions((weights * torch.bincount(group))[group])
        compare(p, proportions(weights[group]), (
            "The probability of sample i must be proportional to weights[group[i]], and they sum to 1. Yours "
            f"sum to {sum(p):.3f}: divide by the sum over all samples (task 2.1)."), [
            (twice, "Do not multiply by a group's size: a large group already has more samples (task 2.1).")],
            tolerance=1e-5)


def draw_heavy(rng):
    """Return probabilities, the samples that together have about half of the probability, and this share."""
    n = int(rng.integers(4000, 5000))
    heavy, half = rng.permutation(n) < n // 8, rng.uniform(0.45, 0.6)
    return torch.as_tensor(np.where(heavy, half / heavy.sum(), (1 - half) / (~heavy).sum())), heavy, half


def assert_drawn(rows, heavy, half):
    """Raise an AssertionError unless an epoch has N draws with these probabilities."""
    n = len(heavy)
    assert len(rows) == n, f"An epoch has as many draws as there are samples, {n}, not {len(rows)}."
    assert abs(heavy[rows].mean() - half) < 0.05, (  # more than 6 standard deviations
        f"Samples with a joint probability of {half:.0%} make up {heavy[rows].mean():.0%} of an epoch. "
        "Drawing each sample once ignores the probabilities: draw with replacement (task 2.2).")


def test_draw(ask, rng):
    """Check that the draws follow the probabilities."""
    for _ in range(2):
        p, heavy, half = draw_heavy(rng)
        assert_drawn(ask(EPOCH, p=p, seed=int(rng.integers(2**31))), heavy, half)


def test_draw_seed(ask, rng):
    """Check that the seed decides the epoch, and that the global random state does not change."""
    p, heavy, half = draw_heavy(rng)
    first, second, third = map(int, rng.choice(2**20, 3, replace=False))
    epochs = [ask(EPOCH, p=p, seed=seed) for seed in (first, first, second)]
    assert_drawn(epochs[0], heavy, half)
    assert epochs[0] == epochs[1], "The same seed gives two epochs: nobody can repeat your experiment."
    assert epochs[0] != epochs[2], "All seeds give the same epoch (task 2.2)."
    assert keeps_random_state(ask, EPOCH, p=p, seed=third), (
        "The function changes the global random state: use a generator of your own (task 2.2).")


def test_shares(ask, rng):
    """Check the shares if all groups have samples, and if one has none."""
    for vanished in ([], [1]):
        weights, group = draw_weights(rng)
        counts = torch.bincount(group)
        weights[vanished] = counts[vanished] = 0
        compare(ask(SHARES, weights=weights, counts=counts), proportions(weights * counts), (
            f"Wrong shares for {counts.tolist()} samples: a share is the weight times the number of samples, "
            "divided by the sum of these products over all groups (task 3.1)."), tolerance=1e-5)


def draw_runs(rng, n_groups):
    """Return runs of four methods with the same seeds, in random order."""
    start, rows = rng.uniform(0.75, 0.95, n_groups), []
    for seed in rng.choice(1000, int(rng.integers(3, 6)), replace=False).tolist():
        for method, reweight, change in KINDS:
            by_group = start + change * rng.uniform(0.5, 1, n_groups) + rng.normal(0, 0.02, n_groups)
            by_group = by_group.clip(0, 1).tolist()
            rows.append((method, reweight, seed, by_group, by_group[-1]))
    return pd.DataFrame([rows[i] for i in rng.permutation(len(rows))], columns=COLUMNS)


def right_changes(rows):
    """Return the correct change of each group in points, by (method, reweight)."""
    means = {key: np.mean(part.by_group.tolist(), axis=0) for key, part in rows.groupby(["method", "reweight"])}
    return {key: 100 * (mean - means["pretrain", False]) for key, mean in means.items()}


def test_change(ask, rng):
    """Check the change compared with the original model, in points."""
    for n_groups in (3, 5):
        rows = draw_runs(rng, n_groups)
        right = right_changes(rows)
        for method, reweight in (("retrain", True), ("rwg", False)):
            change = right[method, reweight]
            compare(ask(CHANGE, rows=rows, method=method, reweight=reweight), change, (
                f"{method} with reweight={reweight} changes the groups by {change.round(2).tolist()} points: "
                "select the rows by both columns (task 4.1)."), [
                (change - right["retrain", False], "This is the change against RETRAIN (task 4.1).")])


def test_change_pairs(ask, rng):
    """Check that a seed that only one method has does not count."""
    rows = draw_runs(rng, 4)
    right = right_changes(rows)["rwg", False]
    for lonely in ("pretrain", "rwg"):
        more = pd.DataFrame([(lonely, False, 5000, rng.uniform(0, 0.3, 4).tolist(), 0.1)], columns=COLUMNS)
        found = ask(CHANGE, rows=pd.concat([more, rows]), method="rwg", reweight=False)
        compare(found, right, f"One seed has a run of {lonely} only: use the seeds that both have (task 4.1).")


def test_recovered_share(ask, rng):
    """Check the share of the lost GA, from means over seeds."""
    for _ in range(2):
        rows = draw_runs(rng, 3)
        ga = {key: change[-1] for key, change in right_changes(rows).items()}
        for method, reweight in (("retrain", True), ("rwg", False)):
            right = 1 - ga[method, reweight] / ga["retrain", False]
            compare(ask(RECOVERED, rows=rows, method=method, reweight=reweight), right, (
                f"The share is {right:.3f}: take means over seeds first, then one quotient (task 4.2)."), [
                (1 - right, "This is the share of the loss that remains (task 4.2).")])
