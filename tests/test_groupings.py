"""How good inferred groups are."""

from dataclasses import replace

import pytest
import torch
from conftest import toy
from sklearn.metrics import adjusted_mutual_info_score

from grmu import data, reweight
from grmu.analysis.groupings import agreement, alpha_of


def with_attribute(train, a, names=None):
    return replace(train, a=torch.as_tensor(a), attribute_names=names or train.attribute_names)


def test_groups_agree_with_themselves_under_any_name():
    train = toy([[50, 20], [30, 60]])
    assert agreement(train, train) == pytest.approx(1)
    assert agreement(with_attribute(train, 1 - train.a), train) == pytest.approx(1)
    renamed_in_one_class = torch.where(train.y == 0, 1 - train.a, train.a)
    assert agreement(with_attribute(train, renamed_in_one_class), train) == pytest.approx(1)


def test_an_attribute_that_only_repeats_the_class_agrees_with_nothing():
    train = toy([[90, 10], [10, 90]])  # class and attribute go together
    assert agreement(with_attribute(train, train.y), train) == pytest.approx(0, abs=1e-9)


def test_agreement_is_a_mean_over_samples_of_what_each_class_has():
    train = toy([[100, 60], [20, 20]])
    coins = torch.randint(2, (len(train),), generator=torch.Generator().manual_seed(0))
    known_in_one = torch.where(train.y == 0, train.a, coins)
    in_other = adjusted_mutual_info_score(train.a[train.y == 1], coins[train.y == 1])
    assert agreement(with_attribute(train, known_in_one), train) == pytest.approx(0.8 + 0.2 * in_other)


def test_alpha_by_the_true_groups_is_reweights():
    train = toy([[40, 20], [30, 12]])
    split = data.split_forget(train, 0.5, [(1, 1), (0, 1)])
    alpha = reweight.group_weights(train.group_counts(), split.retain.group_counts())
    actual = [alpha_of(g, train, train, split.retain_index) for g in range(4)]
    assert actual == pytest.approx(alpha.tolist())
    assert alpha.tolist() == [1, 2, 1, 2]


def test_alpha_by_inferred_groups_is_a_mean_over_the_retained_of_the_true_group():
    # class 1: true group 3 holds samples 0 to 5, of whom 0 to 2 are forgotten; 0, 1, 3 are taken for
    # attribute 0, 2, 4, 5 for 1
    train = data.GroupedDataset(torch.zeros(10, 1), [1] * 10, [1] * 6 + [0] * 4, ["x", "y"], ["p", "q"])
    actual = with_attribute(train, [0, 0, 1, 0, 1, 1, 0, 0, 0, 0])
    retained = torch.arange(3, 10)
    by_hand = {0: 7 / 5, 1: 3 / 2}  # of seven five are left, of three two
    assert alpha_of(3, train, actual, retained) == pytest.approx((by_hand[0] + 2 * by_hand[1]) / 3)
    assert alpha_of(2, train, actual, retained) == pytest.approx(by_hand[0])


@pytest.mark.filterwarnings("error")
def test_an_inferred_group_that_vanished_is_no_reason_to_warn():
    train = toy([[10, 10], [10, 10]])
    gone = (train.group == 3).nonzero()[:, 0][:4]
    actual = with_attribute(train, torch.zeros(40).index_fill(0, gone, 1))
    retained = torch.tensor([i for i in range(40) if i not in gone.tolist()])
    assert alpha_of(3, train, actual, retained) == 1  # nothing is missed in the group that is left
