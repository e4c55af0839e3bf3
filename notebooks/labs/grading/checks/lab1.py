"""Check lab 1: one check for each graded cell, with random inputs."""

import numpy as np
import pandas as pd
import torch
from grading.asking import compare, keeps_random_state

NOT_ALLOWED = (
    "grmu.data.split_forget", "grmu.data.GroupedDataset.group_counts",
    "grmu.data.GroupedDataset.__post_init__", "grmu.metrics.accuracy_by_group",
    "grmu.metrics.standard_error", "grmu.analysis.compare.differences", "grmu.analysis.compare.interval")
GROUP_INDEX = "group_index(y, a, n_classes, n_attributes)"
GROUP_COUNTS = "group_counts(group, n)"
SPLIT = "[list(map(int, part)) for part in forget_split(group, groups, ratio, seed)]"
TABLE = "group_accuracy(predicted, y, group, n)[['accuracy', 'n', 'se']].astype(float)"
PAIRED = "list(map(float, paired_change(pd.DataFrame(rows), metric)))"


def long(values):
    """Return a tensor of whole numbers."""
    return torch.as_tensor(np.asarray(values), dtype=torch.long)


def draw_sizes(rng, n_groups, low, high):
    """Return different group sizes, with the largest in the middle."""
    sizes = np.sort(rng.choice(np.arange(low, high), n_groups, replace=False))
    return np.roll(sizes, -1 - n_groups // 2).tolist()


def draw_ratio(rng):
    """Return a ratio with an odd denominator, so that no share of a group ends in .5, where rounding is ambiguous."""
    return int(rng.integers(4, 8)) / 11


def draw_groups(rng, sizes):
    """Return the groups of samples in random order, (N,)."""
    return long(rng.permutation(np.repeat(np.arange(len(sizes)), sizes)))


def draw_pairs(rng):
    """Return the groups of one sample of each group, in random order, and the inputs of `group_index`."""
    n_classes, n_attributes = map(int, rng.choice(np.arange(2, 9), 2, replace=False))
    group = long(rng.permutation(n_classes * n_attributes))
    return group, {"y": group // n_attributes, "a": group % n_attributes, "n_classes": n_classes,
                   "n_attributes": n_attributes}


def test_group_index(ask, rng):
    """Check different numbers of classes and attribute values."""
    for _ in range(3):
        group, given = draw_pairs(rng)
        compare(ask(GROUP_INDEX, **given), group, (
            f"Wrong groups for {given['n_classes']} classes: the attribute must change fastest (part 1)."))


def test_group_index_subset(ask, rng):
    """Check inputs in which the last or first attribute value or class has no samples."""
    group, given = draw_pairs(rng)
    y, a = given["y"], given["a"]
    for here in (a < a.max(), a > 0, y < y.max(), y > 0):
        found = ask(GROUP_INDEX, **given | {"y": y[here], "a": a[here]})
        compare(found, group[here], "The numbers must not depend on which samples are present (task 1.1).")


def test_group_counts(ask, rng):
    """Check inputs in which all groups have samples, or some have none."""
    n_groups = int(rng.integers(4, 9))
    for gone in ([], [0], [n_groups - 1], [1, 2]):
        sizes = [0 if g in gone else n for g, n in enumerate(draw_sizes(rng, n_groups, 2, 40))]
        compare(ask(GROUP_COUNTS, group=draw_groups(rng, sizes), n=n_groups), sizes, (
            f"The counts are {sizes}: a group without samples counts 0, and the others keep their places."))


def split(ask, rng, sizes, groups):
    """Ask for a split; return the groups of all samples, the ratio, and the rows of the two parts."""
    group, ratio, seed = draw_groups(rng, sizes), draw_ratio(rng), int(rng.integers(2**31))
    return group, ratio, *ask(SPLIT, group=group, groups=groups, ratio=ratio, seed=seed)


def assert_forgets(group, groups, ratio, forget):
    """Raise an AssertionError unless `forget` has roughly the right size, and only rows of these groups."""
    n = int(torch.isin(group, long(groups)).sum())
    assert abs(len(forget) / n - ratio) < 0.2, f"Forget {ratio:.3f} of {n} samples, not {len(forget)}."
    assert set(group[long(forget)].tolist()) == set(groups), "Forget samples of the named groups only."


def check_sizes(ask, rng, choices):
    """Check that each named group loses exactly its share, and no other group loses a sample."""
    for groups in choices:
        sizes = [int(rng.integers(low, 2 * low)) for low in (60, 150, 400)]
        group, ratio, forget, _ = split(ask, rng, sizes, groups)
        right = [round(ratio * n) if g in groups else 0 for g, n in enumerate(sizes)]
        found = torch.bincount(group[long(forget)], minlength=3).tolist()
        compare(found, right, (
            f"Of {sizes} samples of the groups, {right} must be forgotten, not {found}: draw an exact share "
            f"(here {ratio:.3f}) within each named group (task 2.1)."))


def test_split_size(ask, rng):
    """Check the forget set of one group."""
    check_sizes(ask, rng, ([0], [1], [2]))


def test_split_partition(ask, rng):
    """Check that each row is in exactly one part."""
    for groups in ([0], [4], [1, 3]):
        group, ratio, forget, retain = split(ask, rng, draw_sizes(rng, 5, 150, 300), groups)
        assert_forgets(group, groups, ratio, forget)
        assert sorted(forget + retain) == list(range(len(group))), (
            "Each row must be in exactly one set: the retain set also has the rest of a group (task 2.1).")


def test_split_strata(ask, rng):
    """Check two forget groups of very different sizes."""
    check_sizes(ask, rng, ([0, 2], [0, 1], [1, 2]))


def test_split_seed(ask, rng):
    """Check that the seed decides the split, and that the global random state does not change."""
    group, groups, ratio = draw_groups(rng, draw_sizes(rng, 3, 200, 400)), [int(rng.integers(3))], 0.4
    given = {"group": group, "groups": groups, "ratio": ratio}
    first, second, third = map(int, rng.choice(2**20, 3, replace=False))
    splits = [sorted(ask(SPLIT, **given, seed=seed)[0]) for seed in (first, first, second)]
    assert_forgets(group, groups, ratio, splits[0])
    assert splits[0] == splits[1], "The same seed gives different splits: nobody can repeat your experiment."
    assert splits[0] != splits[2], "All seeds give the same forget set: draw it at random (task 2.1)."
    assert keeps_random_state(ask, SPLIT, **given, seed=third), (
        "The function changes the global random state: use a generator of your own (task 2.1).")


def measure(ask, rng, n_groups, gone=None):
    """Ask for a table of random predictions; return it with sizes, true accuracies and true standard errors."""
    sizes = [0 if g == gone else n for g, n in enumerate(draw_sizes(rng, n_groups, 20, 90))]
    right = (np.array(sizes) * rng.uniform(0.2, 0.45, n_groups)).astype(int)
    group, rank = np.repeat(np.arange(n_groups), sizes), np.concatenate([np.arange(n) for n in sizes])
    y, order = rng.integers(0, 2, len(group)), rng.permutation(len(group))
    predicted = np.where(rank < right[group], y, 1 - y)
    p = (long(right).double() / long(sizes)).numpy()
    given = {"predicted": long(predicted[order]), "y": long(y[order]), "group": long(group[order])}
    return ask(TABLE, **given, n=n_groups), sizes, p, np.sqrt(p * (1 - p) / np.maximum(sizes, 1))


def check_table(ask, rng, gone=None):
    """Check the accuracy and size of each group."""
    table, sizes, p, _ = measure(ask, rng, 6, gone)
    compare(table["n"], sizes, "n is the size of each group, including wrong predictions, or 0 (task 3.1).")
    compare(table["accuracy"], p, (
        "Divide the correct predictions of a group by its size; NaN if it has no samples (task 3.1)."))


def test_group_accuracy(ask, rng):
    """Check a table in which all groups have samples."""
    check_table(ask, rng)


def test_standard_error(ask, rng):
    """Check the standard error of each group."""
    for n_groups in (3, 6):
        table, sizes, p, se = measure(ask, rng, n_groups)
        compare(table["se"], se, "The standard error is sqrt(p (1 - p) / n) (task 3.1).", [
            (np.sqrt(p * (1 - p) / sum(sizes)), "Divide by the size of the group, not of all groups.")], 1e-4)


def test_empty_group(ask, rng):
    """Check tables in which the last group, or another one, has no samples."""
    for gone in (5, int(rng.integers(5))):
        check_table(ask, rng, gone)


def test_control_ratio(ask, rng):
    """Check that the control forgets as many samples."""
    for n_groups in (3, 4, 6):
        counts, g = draw_sizes(rng, n_groups, 150, 400), int(rng.integers(n_groups))
        ratio = draw_ratio(rng)
        share = ask("float(control_ratio(counts, g, ratio))", counts=long(counts), g=g, ratio=ratio)
        n = round(ratio * counts[g])
        compare(round(share * sum(counts)), n, (
            f"The control must forget {n} samples of {sum(counts)}, not {share * sum(counts):.1f} (part 4)."))


def draw_runs(rng, n):
    """Return rows of both methods for n seeds in random order, and the differences in GA and TA in points."""
    rows, differences = {"method": ["pretrain"] * n + ["retrain"] * n}, {}
    rows["seed"] = [*rng.choice(1000, n, replace=False)] * 2
    for metric, mean in (("GA", rng.uniform(-30, -8)), ("TA", rng.uniform(3, 9))):
        before = 50 + np.linspace(-8, 8, n) + rng.normal(0, 1, n)
        differences[metric] = mean + rng.normal(0, 1.5, n)
        rows[metric] = np.concatenate([before, before + differences[metric]]) / 100
    return pd.DataFrame(rows).iloc[rng.permutation(2 * n)], differences


def test_paired_mean(ask, rng):
    """Check the mean difference of the named metric, in points."""
    for n in (5, 6):
        rows, differences = draw_runs(rng, n)
        for metric, d in differences.items():
            compare(ask(PAIRED, rows=rows, metric=metric)[0], d.mean(), (
                f"The mean difference in {metric} is {d.mean():.2f} points (task 4.2)."), [
                (-d.mean(), "Return RETRAIN minus the original model, not the reverse (task 4.2).")])


def test_paired_error(ask, rng):
    """Check the standard error of the differences."""
    for n in (4, 5, 6):
        rows, differences = draw_runs(rng, n)
        sd = differences["GA"].std(ddof=1)
        compare(ask(PAIRED, rows=rows, metric="GA")[1], sd / n**0.5, (
            f"The standard error is {sd / n**0.5:.3f} points: match the rows by seed, not by order, subtract, "
            "and only then take the standard deviation, with S - 1 (task 4.2)."), [
            (sd, "This is the standard deviation: divide it by sqrt(S) (task 4.2).")])
