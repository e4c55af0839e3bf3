"""Lab 1: what decides its marks. A check for each graded cell; all inputs are drawn."""

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


def long(values):
    """A tensor of whole numbers."""
    return torch.as_tensor(np.asarray(values), dtype=torch.long)


def sizes_of(rng, n_groups, low, high):
    """Sizes of groups, no two alike, the largest in the middle."""
    sizes = np.sort(rng.choice(np.arange(low, high), n_groups, replace=False))
    return np.roll(sizes, -1 - n_groups // 2).tolist()


def a_ratio(rng, sizes, low, high):
    """A ratio that is no matter of rounding for any of these sizes."""
    while True:
        ratio = round(float(rng.uniform(low, high)), 3)
        if all(abs(ratio * n % 1 - 0.5) > 0.05 for n in sizes):
            return ratio


def shuffled_groups(rng, sizes):
    """(N,) the groups of samples in any order."""
    return long(rng.permutation(np.repeat(np.arange(len(sizes)), sizes)))


def test_group_index(ask, rng):
    """Pairs in order, for any two different numbers of classes and attribute values."""
    for _ in range(3):
        n_classes, n_attributes = map(int, rng.choice(np.arange(2, 9), 2, replace=False))
        pairs = rng.permutation(n_classes * n_attributes)
        y, a = long(pairs // n_attributes), long(pairs % n_attributes)
        found = ask("group_index(y, a, n_classes, n_attributes)", y=y, a=a, n_classes=n_classes,
                    n_attributes=n_attributes)
        assert same(found, y * n_attributes + a), (
            f"With {n_classes} classes and {n_attributes} attribute values, samples land in the wrong group. "
            "The attribute runs fastest, so all groups of a class come before those of the next one; what "
            "agrees for two classes and two attribute values may do so by luck (part 1, the formula).")


def test_group_index_subset(ask, rng):
    """Nobody's number changes because others left: compared with the submission's own numbers of all."""
    n_classes, n_attributes = map(int, rng.integers(3, 7, 2))
    pairs = np.arange(n_classes * n_attributes)
    y, a = long(pairs // n_attributes), long(pairs % n_attributes)
    given = {"n_classes": n_classes, "n_attributes": n_attributes}
    everyone = np.asarray(ask("group_index(y, a, n_classes, n_attributes)", y=y, a=a, **given))
    gone = {"the last attribute value": a < n_attributes - 1, "the first attribute value": a > 0,
            "the last class": y < n_classes - 1, "the first class": y > 0,
            "half of the groups": torch.as_tensor(rng.permutation(pairs) % 2 == 0)}
    for who, keep in gone.items():
        found = ask("group_index(y, a, n_classes, n_attributes)", y=y[keep], a=a[keep], **given)
        assert same(found, everyone[keep.numpy()]), (
            f"Without the samples of {who}, the others' group numbers have changed. The numbers of classes "
            "and attribute values are what the data set declares, never what happens to be seen: else a "
            "group that vanishes shifts all others (task 1.1).")


def test_group_counts(ask, rng):
    """Groups of different sizes, all with samples."""
    for n_groups in rng.choice(np.arange(3, 9), 2, replace=False):
        sizes = sizes_of(rng, n_groups, 5, 60)
        found = ask("group_counts(group, n)", group=shuffled_groups(rng, sizes), n=int(n_groups))
        assert same(found, sizes), (
            f"{n_groups} groups with {sizes} samples, and these are not the numbers, in this order. Position "
            "g of the answer belongs to group g, however large the group is (task 1.2).")


def test_group_counts_vanished(ask, rng):
    """Nobody is left of the first group, of the last, or of some."""
    n_groups = int(rng.integers(4, 9))
    for gone in ([0], [n_groups - 1], rng.choice(n_groups, 2, replace=False).tolist()):
        sizes = [0 if g in gone else n for g, n in enumerate(sizes_of(rng, n_groups, 2, 40))]
        found = ask("group_counts(group, n)", group=shuffled_groups(rng, sizes), n=n_groups)
        assert same(found, sizes), (
            f"Nobody is left of group {' and '.join(map(str, gone))} of {n_groups}: it counts 0, and the "
            "others stay in their places. What counts only the values that are seen moves every later group "
            "up, or leaves the last ones out (task 1.2).")


def test_split_size(ask, rng):
    """An exact share of one group, and of no other."""
    for _ in range(3):
        sizes = sizes_of(rng, int(rng.integers(3, 7)), 150, 400)
        g, group = int(rng.integers(len(sizes))), shuffled_groups(rng, sizes)
        ratio = a_ratio(rng, sizes, 0.15, 0.85)
        forget = long(ask("forget_split(group, [g], ratio, seed)[0]", group=group, g=g, ratio=ratio,
                          seed=int(rng.integers(2**31))))
        assert (group[forget] == g).all(), (
            f"Group {g} alone asked, but samples of other groups are forgotten: an answer holds rows of the "
            "training set, and only rows of the group that asked (task 2.1).")
        n = round(ratio * sizes[g])
        assert len(forget) == n, (
            f"Ratio {ratio} of a group of {sizes[g]} are {n} samples, but {len(forget)} are forgotten. The "
            "ratio is a share of the group, not of the training set, and the number is exact: a coin toss "
            "for each sample is right only on average (part 2).")


def test_split_partition(ask, rng):
    """Each row once, in one of the two."""
    sizes = sizes_of(rng, int(rng.integers(4, 7)), 60, 200)
    group, ratio = shuffled_groups(rng, sizes), a_ratio(rng, sizes, 0.3, 0.8)
    for groups in ([0], [len(sizes) - 1], rng.choice(len(sizes), 2, replace=False).tolist()):
        forget, retain = (list(map(int, part)) for part in ask(
            "[list(map(int, part)) for part in forget_split(group, groups, ratio, seed)]", group=group,
            groups=groups, ratio=ratio, seed=int(rng.integers(2**31))))
        assert not set(forget) & set(retain), (
            "A sample is forgotten and retained at once: nothing was forgotten then (task 2.1).")
        assert sorted(forget + retain) == list(range(len(group))), (
            "Forget and retain set together must be the training set, each row once. The retain set holds "
            "those of the group who stay as well: it is everyone who is not forgotten, not 'the other "
            "groups'. And nobody is forgotten twice: draw without replacement (task 2.1).")


def test_split_strata(ask, rng):
    """Each of two groups of very different sizes loses its own share."""
    for _ in range(3):
        small, large, other = (int(rng.integers(low, 2 * low)) for low in (60, 400, 150))
        sizes = rng.permutation([small, large, other]).tolist()
        groups, group = [sizes.index(small), sizes.index(large)], shuffled_groups(rng, sizes)
        ratio = a_ratio(rng, sizes, 0.25, 0.75)
        forget = long(ask("forget_split(group, groups, ratio, seed)[0]", group=group, groups=groups,
                          ratio=ratio, seed=int(rng.integers(2**31))))
        found = torch.bincount(group[forget], minlength=3).tolist()
        wanted = [round(ratio * n) if g in groups else 0 for g, n in enumerate(sizes)]
        assert found == wanted, (
            f"Two groups asked, of {small} and {large} samples, at ratio {ratio}: {wanted} of the groups go, "
            f"not {found}. Each that asked loses its own share: draw within each, not from the pool of both, "
            "and forget none of them (task 2.1).")


def test_split_seed(ask, rng):
    """One seed, one split; another, another; nobody else's random numbers are touched."""
    group, g = shuffled_groups(rng, sizes_of(rng, 3, 200, 400)), int(rng.integers(3))
    first, second, third = (int(seed) for seed in rng.choice(2**20, 3, replace=False))
    probe = "sorted(map(int, forget_split(group, [g], 0.1, seed)[0]))"
    splits = [ask(probe, group=group, g=g, seed=seed) for seed in (first, first, second)]
    assert splits[0] == splits[1], "The same seed gives two splits: nobody can repeat your experiment."
    assert splits[0] != splits[2], (
        "Every seed gives the same forget set. It is to be drawn at random: with one fixed choice, such as "
        "the first rows, a mean over seeds hides how much the result depends on who asks (task 2.1).")
    untouched = ask(STATE + "before = state()\nforget_split(group, [g], 0.1, seed)\nbefore == state()",
                    group=group, g=g, seed=third)
    assert untouched is True, (
        "The global random state has changed, and with it everything random that runs afterwards: two "
        "experiments that differ in their forget set would differ in their first weights too. Make a "
        "generator of your own from the seed (task 2.1).")


def predictions(rng, sizes):
    """Predictions, targets and groups of two classes in any order, and how many of each group are right."""
    right = [int(rng.integers(round(0.25 * n), round(0.45 * n))) if g % 2 else
             int(rng.integers(round(0.6 * n), round(0.9 * n))) for g, n in enumerate(sizes)]
    group = np.repeat(np.arange(len(sizes)), sizes)
    hit = np.concatenate([np.arange(n) < k for n, k in zip(sizes, right, strict=True)])
    y = rng.integers(0, 2, len(group))
    order = rng.permutation(len(group))
    given = {"predicted": np.where(hit, y, 1 - y), "y": y, "group": group}
    return {name: long(values[order]) for name, values in given.items()} | {"n": len(sizes)}, right


TABLE = "group_accuracy(predicted, y, group, n)[['accuracy', 'n', 'se']].astype(float)"


def test_group_accuracy(ask, rng):
    """Right ones of a group by its size, and the size."""
    for n_groups in rng.choice(np.arange(3, 8), 2, replace=False):
        sizes = sizes_of(rng, n_groups, 20, 90)
        given, right = predictions(rng, sizes)
        table = ask(TABLE, **given)
        assert same(table["accuracy"], np.divide(right, sizes)), (
            f"{right} of {sizes} samples are right, and these are not the accuracies. An accuracy is the "
            "right ones of a group by the samples of *that* group, as a fraction (task 3.1).")
        assert same(table["n"], sizes), "n is the number of samples behind each accuracy, right or wrong."


def test_standard_error(ask, rng):
    """Of the submission's own accuracies: an error there is not counted again here."""
    for n_groups in rng.choice(np.arange(3, 8), 2, replace=False):
        sizes = sizes_of(rng, n_groups, 20, 90)
        table = ask(TABLE, **predictions(rng, sizes)[0])
        p, n = np.asarray(table["accuracy"]), np.array(sizes)
        assert len(p) == len(n), f"{len(n)} groups, and {len(p)} rows."
        spread = np.sqrt(p * (1 - p))
        for wrong, why in ((spread / n.sum() ** 0.5, "n of all samples: the other groups' samples say "
                            "nothing about this one, and the error comes out too small"),
                           (spread, "no n at all: that is the spread of one sample, not of a mean over n"),
                           (spread**2 / n, "no square root: that is the variance")):
            assert not same(table["se"], wrong), f"The standard error has {why} (part 3)."
        assert same(table["se"], spread / n**0.5, 1e-4), (
            "The standard error is sqrt(p (1 - p) / n), with n the number of samples of that group (part 3).")


def test_empty_group(ask, rng):
    """A group without a sample has a row, n = 0 and NaN."""
    n_groups = int(rng.integers(4, 8))
    for gone in (n_groups - 1, int(rng.integers(n_groups - 1))):
        given, _ = predictions(rng, sizes_of(rng, n_groups, 20, 60))
        keep = given["group"] != gone
        given |= {name: given[name][keep] for name in ("predicted", "y", "group")}
        table = ask(TABLE, **given)
        n, accuracy = (np.asarray(table[name], float) for name in ("n", "accuracy"))
        assert len(n) == n_groups, (
            f"Group {gone} has no sample here, but it has a row: {n_groups} rows, not {len(n)} (task 3.1).")
        assert same(n[gone], 0), f"Group {gone} has no sample, so its n is 0, not {n[gone]:g}."
        assert np.isnan(accuracy[gone]), (
            f"A group without samples has accuracy NaN, not {accuracy[gone]:g}: nothing was measured, and a "
            "number would claim that the model was right or wrong about somebody (task 3.1).")
        assert same(n, torch.bincount(given["group"], minlength=n_groups)), "The other groups' n are wrong."


def test_control_ratio(ask, rng):
    """As many samples, of all."""
    for n_groups in rng.choice(np.arange(3, 7), 3, replace=False):
        counts = sizes_of(rng, n_groups, 150, 400)
        g, ratio = int(rng.integers(n_groups)), a_ratio(rng, counts, 0.5, 0.9)
        share = ask("float(control_ratio(counts, g, ratio))", counts=long(counts), g=g, ratio=ratio)
        forgets, wanted = round(share * sum(counts)), round(ratio * counts[g])
        assert forgets == wanted, (
            f"Ratio {ratio} of a group of {counts[g]} are {wanted} samples, your control forgets {forgets} "
            f"of {sum(counts)}. A control differs in one thing only, here in who is forgotten: with another "
            "number of samples it could not tell the two causes apart (task 4.1).")


def own_split(mine):
    """The student's group, counts before, number forgotten."""
    train = data.load("groundwear").train
    counts = train.subset(mine.rows(train)).group_counts().tolist()
    g = mine.group[0] * train.n_attributes + mine.group[1]
    return g, counts, round(mine.ratio * counts[g])


def test_my_retained(ask, rng, mine):
    """Counts of the student's own rows, after their group's share has gone."""
    g, counts, forgotten = own_split(mine)
    assert same(ask("my_group"), g), (
        f"Class and attribute {mine.group} are another group than you say (task 1.1).")
    left = [n - forgotten * (k == g) for k, n in enumerate(counts)]
    found = ask("list(map(int, my_retained))")
    assert found != [forgotten if k == g else 0 for k in range(4)], "Those who are left, not those who go."
    assert same(found, left), (
        "These are not the samples that your groups have left. The rows are yours (`my_train`, not `train`), "
        "and so are group and ratio: another's numbers are wrong for you (task 4.2).")


def test_my_control(ask, rng, mine):
    """The share of the student's own rows."""
    g, counts, forgotten = own_split(mine)
    found = ask("float(my_control)")
    right = (forgotten / sum(counts), mine.ratio * counts[g] / sum(counts))
    assert any(same(found, value) for value in right), (
        "A control of the same size forgets as many of all *your* samples as your group loses: that number "
        "by the number of all your samples, before anybody is forgotten (tasks 4.1 and 4.2).")


def grid(rng, n):
    """Rows of both methods and n seeds in any order, and the differences of GA and TA in points."""
    seeds = rng.choice(1000, n, replace=False)
    columns = {"GA": rng.uniform(-30, -8), "TA": rng.uniform(3, 9)}
    d = {name: mean + rng.normal(0, 1.5, n) for name, mean in columns.items()}
    before = {name: 50 + np.linspace(-8, 8, n) + rng.normal(0, 1, n) for name in d}
    rows = pd.DataFrame({"method": ["pretrain"] * n + ["retrain"] * n, "seed": [*seeds, *seeds],
                         **{name: np.concatenate([before[name], before[name] + d[name]]) / 100
                            for name in d}})
    rows = rows.iloc[rng.permutation(2 * n)]
    return {name: rows[name].tolist() for name in rows}, d


PAIRED = "list(map(float, paired_change(pd.DataFrame(rows))))"


def test_paired_mean(ask, rng):
    """The mean difference in points, of the metric that was asked for."""
    for n in (5, 6):
        rows, d = grid(rng, n)
        found = ask(PAIRED + "[0]", rows=rows)
        mean = d["GA"].mean()
        assert not same(found, -mean), "RETRAIN minus PRETRAIN, not the other way round (task 4.3)."
        assert not same(found, mean / 100), "In points, please: 100 times the fraction (task 4.3)."
        assert same(found, mean), (
            f"The differences of {n} seeds are {mean:.2f} points on average, not {found:.2f} (task 4.3).")
        other = ask("float(paired_change(pd.DataFrame(rows), 'TA')[0])", rows=rows)
        assert same(other, d["TA"].mean()), (
            "Another metric was asked for, TA, and this is not its mean difference: take the column that "
            "`metric` names (task 4.3).")


def test_paired_error(ask, rng):
    """The standard error of the differences, rows in any order."""
    for n in (5, 6, 4):
        rows, d = grid(rng, n)
        found, sd = ask(PAIRED + "[1]", rows=rows), d["GA"].std(ddof=1)
        parts = pd.DataFrame(rows).groupby("method").GA.var() * 1e4 / n
        assert not same(found, parts.sum() ** 0.5), (
            "That is the error of two independent samples. It counts how much seeds differ from each other, "
            "which the pairs cancel: take the difference of each seed first (task 4.3).")
        assert not same(found, sd), "That is the differences' standard deviation: divide it by sqrt(S)."
        assert not same(found, d["GA"].std() / n**0.5), "S - 1 in the standard deviation, not S (task 4.3)."
        assert same(found, sd / n**0.5), (
            f"{n} pairs in any order: the standard error of their differences is {sd / n**0.5:.3f} points, "
            f"not {found:.3f}. Match the rows by seed, not by their order (task 4.3).")


def test_figure(ask, rng):
    """Named axes, and the means of both tables, in points or fractions."""
    for n in (3, 5):
        one, everyone = ({"mean": rng.uniform(-60, 60, n).round(2).tolist(),
                          "se": rng.uniform(0.5, 3, n).tolist(),
                          "index": np.sort(rng.choice(np.arange(5, 95), n, replace=False)).tolist()}
                         for _ in range(2))
        named, numbers = ask(READ + """
import matplotlib.pyplot
tables = [pd.DataFrame({"mean": t["mean"], "se": t["se"]}, index=t["index"]) for t in (one, everyone)]
picture = draw(*tables)
matplotlib.pyplot.close(picture)
[named_axes(picture), drawn(picture)]""", one=one, everyone=everyone)
        assert named is True, "The axes have no names: nobody can read what is drawn (task 4.4)."
        numbers = np.asarray(numbers)
        for table, which in ((one, "one_group"), (everyone, "everyone")):
            assert any(all(np.isclose(scale * value, numbers, atol=scale * 0.004).any()
                           for value in table["mean"]) for scale in (1, 0.01)), (
                f"The means of `{which}` are not all in the figure. `draw` shows the two tables that it is "
                "given: the claim needs both the loss and its control (task 4.4).")
