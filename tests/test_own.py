"""Everyone their own: of equal difficulty, and yet no two alike."""

import numpy as np
import pytest
import torch

from grmu import data
from grmu.analysis import results
from grmu.course.own import EVERYONE, GROUPS, RATIOS, own

CLASS = [f"student {i}" for i in range(100)]


@pytest.fixture(scope="module")
def train():
    return data.load("groundwear").train


def varies(values):
    """The largest distance from the middle, as a share of it."""
    low, high = min(values), max(values)
    return (high - low) / (high + low)


def test_everyone_has_what_the_labs_use_for_all(train):
    mine = own(EVERYONE, "lab1")
    assert (mine.seed, mine.group) == (0, data.load("groundwear").forget_group)
    assert (mine.ratio, mine.threshold) == (0.5, 0.5)
    assert mine.rows(train).tolist() == list(range(len(train)))
    assert mine.one_of("lam", [2, 3], everyone=1) == mine.between("lam", 2, 3, everyone=1) == 1


def test_it_is_the_same_on_every_machine_and_in_every_version(train):
    mine = own("Zoë Ann", "lab1")
    assert mine == own(" Zoe\u0308 Ann", "lab1")  # another way to write it
    assert (mine.seed, mine.group, mine.ratio, mine.threshold) == (182415855, (0, 0), 0.505, 0.586)
    assert mine.rows(train)[:5].tolist() == [0, 1, 2, 3, 5]
    assert (mine.one_of("lam", "abc", "d"), mine.between("t", 2, 3, everyone=1)) == ("c", 2.19)


def test_no_two_of_a_class_are_alike(train):
    drawn = [own(name, "lab1") for name in CLASS]
    assert len({mine.seed for mine in drawn}) == len(CLASS)
    counts = {tuple(train.subset(mine.rows(train)).group_counts().tolist()) for mine in drawn}
    assert len(counts) == len(CLASS)
    assert {mine.group for mine in drawn} == set(GROUPS)
    assert {mine.ratio for mine in drawn} == set(RATIOS)
    assert len({mine.threshold for mine in drawn}) > 50
    assert own(CLASS[0], "lab1").seed != own(CLASS[0], "lab2").seed
    a, b = (own(CLASS[0], "lab1").rng(what).rand() for what in "ab")
    assert a != b


def test_each_ones_groups_are_of_one_size_within_3_percent(train):
    counts = np.array([train.subset(own(name, "lab1").rows(train)).group_counts().tolist() for name in CLASS])
    assert max(varies(column) for column in counts.T) < 0.03
    forgotten = [round(own(name, "lab1").ratio * 102) for name in CLASS]
    assert min(forgotten) >= 47


def test_each_ones_rows_hold_nobody_twice(train):
    rows = own("ann", "lab1").rows(train)
    assert torch.equal(rows, rows.unique())


def test_by_the_shipped_runs_the_ratio_moves_ga_of_retrain_by_less_than_3_percent():
    rows = results.load("references")
    rows = rows[(rows.method == "retrain") & ~rows.reweight]
    ga = rows.groupby("ratio").GA.mean()
    assert varies(np.interp(RATIOS, ga.index, ga)) < 0.03
    assert varies(np.interp(RATIOS, *zip(*rows.groupby("ratio").TA.mean().items(), strict=True))) < 0.01


def test_a_reference_model_of_each_ones_data_scores_within_3_percent(train):
    """RETRAIN on a student's rows without the forgotten; a linear model, which has one right solution."""
    def features(part):
        x = torch.nn.functional.avg_pool2d(part.x.double() / 255, 2).flatten(1)
        return torch.cat([x, torch.ones(len(x), 1).double()], dim=1)

    test = data.load("groundwear").test
    pictures, new = features(train), features(test)

    def score(mine):
        rows = mine.rows(train)
        rows = rows[data.split_forget(train.subset(rows), mine.ratio, [(1, 1)], mine.seed).retain_index]
        x, y = pictures[rows], 2.0 * train.y[rows].double() - 1
        weights = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]), x.T @ y)
        return ((new @ weights > 0).long() == test.y).double().mean().item()

    scores = [score(own(name, "lab1")) for name in CLASS[:30]]
    assert varies(scores) < 0.03
    assert abs(score(own(EVERYONE, "lab1")) / np.mean(scores) - 1) < 0.03
    assert np.mean(scores) > 0.7


def test_a_name_is_needed():
    with pytest.raises(ValueError, match="student is empty"):
        own("  ", "lab1")
