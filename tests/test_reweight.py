"""Test REWEIGHT: alpha = nu_tr / nu_r and P(x_i) = alpha_{g_i} / sum_j alpha_{g_j} (Sec. 3.3)."""

import numpy as np
import pytest
import torch
from conftest import context_of, toy

from grmu import methods
from grmu.data import split_forget
from grmu.methods.balanced import balanced_weights
from grmu.reweight import draw_epoch, group_weights, sample_weights
from grmu.training import TrainConfig

CELEBA = [71629, 66874, 22880, 1387]


def by_group(weights, dataset):
    return torch.zeros(dataset.n_groups, dtype=torch.float64).index_add_(0, dataset.group, weights.double())


def test_alpha_on_celeba_is_two_for_the_half_forgotten_group_and_one_elsewhere():
    alpha = group_weights(CELEBA, [*CELEBA[:3], 1387 - 693])
    assert alpha[:3].tolist() == [1, 1, 1]
    assert alpha[3].item() == pytest.approx(1387 / 694, rel=1e-6)
    assert alpha[3].item() == pytest.approx(2, abs=0.01)


def test_a_vanished_group_gets_zero_and_a_warning_that_names_it():
    with pytest.warns(UserWarning, match="boot on brick.*vanished"):
        alpha = group_weights([10, 4], [10, 0], ["boot on grass", "boot on brick"])
    assert alpha.tolist() == [1, 0]
    with pytest.warns(UserWarning, match="group 1"):
        group_weights([10, 4], [10, 0])


@pytest.mark.parametrize(("train", "retain", "sentence"), [
    ([10, 4], [10, 5], "cannot retain [10.0, 5.0] of [10.0, 4.0] samples: count the same groups in both."),
    ([10, 4], [-1, 4], "cannot retain [-1.0, 4.0] of [10.0, 4.0] samples: count the same groups in both."),
    ([10, 4], [10, 4, 1], "need two count vectors of one length, got (2,) and (3,)."),
    ([[10, 4]], [[10, 4]], "need two count vectors of one length, got (1, 2) and (1, 2)."),
])
def test_impossible_counts_are_refused(train, retain, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole sentence is compared
        group_weights(train, retain)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_sample_weights_sum_to_one_and_put_the_training_proportions_back(ratio):
    train = toy([[60, 30], [20, 10]])
    retain = split_forget(train, ratio, [(1, 1), (0, 0)], seed=1).retain
    weights = sample_weights(train, retain)
    assert weights.shape == (len(retain),)
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(by_group(weights, retain), train.group_counts() / len(train), atol=1e-6)


def test_balanced_weights_give_every_group_the_same_total_which_is_not_reweight():
    train = toy([[60, 30], [20, 10]])
    retain = split_forget(train, 0.5, [(1, 1)]).retain
    balanced = balanced_weights(retain)
    np.testing.assert_allclose(by_group(balanced, retain), [0.25] * 4, atol=1e-6)
    assert not torch.allclose(balanced, sample_weights(train, retain), atol=1e-3)


def test_an_epoch_without_weights_is_a_permutation():
    drawn = draw_epoch(50, None, torch.Generator().manual_seed(0))
    assert sorted(drawn.tolist()) == list(range(50))
    assert drawn.tolist() != list(range(50))


def test_an_epoch_with_weights_has_as_many_draws_with_replacement():
    weights = torch.tensor([0.0] * 5 + [1.0] * 45)
    drawn = draw_epoch(50, weights, torch.Generator().manual_seed(0))
    assert drawn.shape == (50,)
    assert drawn.min() >= 5  # weight 0 is never drawn
    assert len(drawn.unique()) < 50




def test_subg_sees_as_many_samples_of_each_group_and_the_same_ones_in_every_epoch():
    train = toy([[40, 20], [20, 12]])
    split = split_forget(train, 0.5, [(1, 1)])
    method = methods.SUBG()
    method.setup(context_of(train, split, TrainConfig(epochs=1)))
    first, second = method.sample_epoch(), method.sample_epoch()
    assert split.retain.group[first].bincount().tolist() == [6, 6, 6, 6]
    assert first.sort().values.tolist() == second.sort().values.tolist()
    assert not torch.equal(first, second)
