"""Test every metric against an independent computation."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import context_of, same_state, small_network, state_of, toy
from sklearn.ensemble import RandomForestClassifier

from grmu import training
from grmu.data import GroupedDataset, split_forget
from grmu.methods import Retrain
from grmu.metrics import (
    OVERALL,
    accuracy_by_group,
    attack_data,
    evaluate,
    fairness,
    membership_forest,
    mia_efficacy,
)
from grmu.training import TrainConfig


def labelled(y, a, n_classes, n_attributes):
    return GroupedDataset(torch.zeros(len(y), 1), y, a, [f"class {i}" for i in range(n_classes)],
                          [f"place {i}" for i in range(n_attributes)])


def random_case(n_classes, n_attributes, n=600, seed=0):
    rng = np.random.default_rng(seed)
    y, a = rng.integers(n_classes, size=n), rng.integers(n_attributes, size=n)
    right = rng.random(n) < 0.5 + 0.4 * (a == 0)
    predicted = np.where(right, y, rng.integers(n_classes, size=n))
    return torch.tensor(predicted), labelled(y, a, n_classes, n_attributes), y, a, predicted


def rates_by_hand(y, a, predicted):
    """Return the table [y][a] of P(prediction = 1 | Y = y, A = a) from binary arrays."""
    return np.array([[predicted[(y == i) & (a == j)].mean() for j in range(2)] for i in range(2)])


# --- accuracies ---------------------------------------------------------------------------------------------


def test_accuracy_by_group_counts_by_hand():
    predicted, dataset, y, a, p = random_case(2, 3)
    table = accuracy_by_group(predicted, dataset)
    assert table["group"].tolist() == dataset.group_names
    for g, (i, j) in enumerate(itertools.product(range(2), range(3))):
        hits = (p == y)[(y == i) & (a == j)]
        assert table["n"][g] == len(hits)
        assert table["accuracy"][g] == pytest.approx(hits.mean())
        assert table["se"][g] == pytest.approx(math.sqrt(hits.mean() * (1 - hits.mean()) / len(hits)))


def test_a_group_without_samples_has_no_accuracy_and_shifts_no_other():
    dataset = labelled([0, 0, 1, 1, 1], [0, 2, 0, 0, 2], 2, 3)
    table = accuracy_by_group(torch.tensor([0, 1, 1, 0, 1]), dataset)
    assert table["n"].tolist() == [1, 0, 1, 2, 0, 1]
    np.testing.assert_array_equal(table["accuracy"], [1, np.nan, 0, 0.5, np.nan, 1])
    assert np.isnan(table["se"][1])


# --- fairness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_with_two_classes_and_attributes_the_metrics_are_eq_11_and_its_kin(group):
    predicted, dataset, y, a, p = random_case(2, 2)
    table = rates_by_hand(y, a, p)
    actual = fairness(predicted, dataset, [group])
    # whichever class counts as positive
    assert actual["EO"] == pytest.approx(np.abs(table[:, 0] - table[:, 1]).mean())
    assert actual["DP"] == pytest.approx(abs(p[a == 0].mean() - p[a == 1].mean()))
    of_its_class = table[group[0]]  # the forget set's
    assert actual["EP"] == pytest.approx(abs(of_its_class[0] - of_its_class[1]))


@pytest.mark.parametrize("groups", [[(3, 1)], [(3, 1), (3, 4), (0, 1)]])
def test_with_many_classes_labels_are_binarised_first_and_eq_11_applied_then(groups):
    predicted, dataset, y, a, p = random_case(5, 6, n=4000)
    classes, attributes = [g[0] for g in groups], [g[1] for g in groups]
    binary = [np.isin(v, which).astype(int) for v, which in ((y, classes), (a, attributes), (p, classes))]
    table = rates_by_hand(*binary)
    actual = fairness(predicted, dataset, groups)
    assert actual["EO"] == pytest.approx(np.abs(table[:, 0] - table[:, 1]).mean())
    assert actual["EP"] == pytest.approx(abs(table[1, 0] - table[1, 1]))
    assert actual["DP"] == pytest.approx(
        abs(binary[2][binary[1] == 0].mean() - binary[2][binary[1] == 1].mean())
    )
    assert actual["EO"] > 0.01


# --- membership inference -----------------------------------------------------------------------------------


def losses(low, high, n, seed):
    return low + (high - low) * torch.rand(n, generator=torch.Generator().manual_seed(seed))


def test_the_attack_tells_members_from_others_where_their_losses_are_apart():
    members, others = losses(0, 0.1, 400, 1), losses(1, 2, 200, 2)
    groups = torch.arange(400) % 4, torch.arange(200) % 4
    assert mia_efficacy(members, others, losses(0, 0.1, 50, 3), *groups) == 0
    assert mia_efficacy(members, others, losses(1, 2, 50, 3), *groups) == 1
    half = torch.cat([losses(0, 0.1, 30, 3), losses(1, 2, 30, 4)])
    assert mia_efficacy(members, others, half, *groups) == 0.5


def test_the_attack_sees_both_sides_alike_with_the_groups_of_the_retain_set():
    retain_group = torch.tensor([0] * 60 + [1] * 20 + [4] * 10)
    val_group = torch.tensor([0] * 10 + [1] * 30 + [2] * 5)
    retain, val = losses(0, 1, 90, 1), losses(0, 1, 45, 2)
    actual, member, weights = attack_data(retain, val, retain_group, val_group)
    assert actual.shape == (135, 1)
    assert actual[:, 0].tolist() == [*retain.tolist(), *val.tolist()]
    assert member.tolist() == [1] * 90 + [0] * 45
    np.testing.assert_allclose(weights[:90], 135 / 2 / 90, rtol=1e-5)
    shares = np.array([60, 20])[val_group[:40]] / np.array([10, 30])[val_group[:40]]  # nobody retains group 2
    np.testing.assert_allclose(weights[90:130], 135 / 2 * shares / 80, rtol=1e-5)
    np.testing.assert_array_equal(weights[130:], 0)


def test_the_attacker_is_the_forest_that_it_is_said_to_be():
    members, others = losses(0, 1.0, 60, 1), losses(0.5, 2, 40, 2)
    groups = torch.arange(60) % 4, torch.arange(40) % 4
    for forest, seed in ((membership_forest(members, others, *groups), 0),
                         (membership_forest(members, others, *groups, 3), 3)):
        asked = {"n_estimators": 50, "max_depth": 5, "min_weight_fraction_leaf": 0.01, "random_state": seed}
        assert forest.get_params() == RandomForestClassifier(**asked).get_params()


def test_the_attack_is_not_fooled_by_group_proportions():
    # losses depend on the group, not on membership; retain is nearly all easy group, validation half and half
    def sample(easy, hard, seed):
        mixed = torch.cat([losses(0, 1, easy, seed), losses(1, 2, hard, seed + 1)])
        return mixed, torch.tensor([0] * easy + [1] * hard)

    (retain, retain_group), (val, val_group) = sample(1800, 200, 1), sample(600, 600, 11)
    for easy, hard in ((400, 0), (0, 400), (200, 200)):
        forget, _ = sample(easy, hard, 21)
        assert 0.2 < mia_efficacy(retain, val, forget, retain_group, val_group) < 0.8


# --- evaluate -----------------------------------------------------------------------------------------------


@pytest.fixture  # of each test its own, so that make mutants knows which tests call `evaluate`
def evaluated():
    train, val = toy([[40, 20], [20, 12]], seed=0), toy([[9, 8], [7, 6]], seed=1)
    test = toy([[20, 10], [10, 7]], seed=2)
    split = split_forget(train, 0.5, [(1, 1)])
    parts = {"retain": split.retain, "forget": split.forget, "val": val, "test": test}
    model = small_network()
    before = state_of(model)
    actual = evaluate(model, *parts.values(), groups=[(1, 1)])
    assert same_state(before, state_of(model))
    with torch.no_grad():
        right = {k: (model.eval()(d.x).argmax(1) == d.y).numpy() for k, d in parts.items()}
    return parts, right, actual, model


def test_the_worst_group_is_sought_on_validation_data_too():
    train, val, test = (toy(counts, spread=2.0, seed=i) for i, counts in enumerate((
        [[40, 40], [40, 40]], [[30, 20], [20, 17]], [[40, 30], [30, 27]])))
    split = split_forget(train, 0.5, [(1, 1)])
    context = context_of(train, split, TrainConfig(epochs=10, batch_size=16))
    training.train(Retrain(), context)
    metrics, _ = evaluate(context.model, split.retain, split.forget, val, test, groups=[(1, 1)])
    with torch.no_grad():
        for name, part in (("WG", test), ("val_WG", val)):
            right, group = (context.model.eval()(part.x).argmax(1) == part.y).numpy(), part.group.numpy()
            assert metrics[name] == pytest.approx(min(right[group == g].mean() for g in range(4)))
    assert 0 < metrics["val_WG"] != metrics["WG"] > 0  # else the case could not tell them apart


def test_accuracy_rows_are_the_four_totals_then_the_groups_with_their_errors(evaluated):
    parts, _, (metrics, table), _ = evaluated
    assert table["group"].tolist() == [*OVERALL, *parts["test"].group_names] == [
        "RA", "UA", "TA", "GA", *parts["test"].group_names]
    assert table["n"].tolist() == [len(parts["retain"]), 6, 47, 7, 20, 10, 10, 7]
    assert table["accuracy"][:4].tolist() == [metrics[k] for k in ("RA", "UA", "TA", "GA")]
    np.testing.assert_allclose(table["se"], np.sqrt(table["accuracy"] * (1 - table["accuracy"]) / table["n"]))
    assert table.columns.tolist() == ["group", "accuracy", "n", "se"]
    assert table.index.tolist() == list(range(8))


def test_ga_of_several_groups_pools_their_samples(evaluated):
    parts, right, _, model = evaluated
    metrics, table = evaluate(model, *parts.values(), groups=[(1, 1), (0, 1)])
    chosen = np.isin(parts["test"].group.numpy(), [1, 3])
    assert metrics["GA"] == pytest.approx(right["test"][chosen].mean())
    assert table.set_index("group").loc["GA", "n"] == 17


def test_mia_in_evaluate_is_the_attack_on_cross_entropy_losses(evaluated):
    parts, _, (metrics, _), model = evaluated

    def loss(part):
        with torch.no_grad():
            shares = model.eval()(parts[part].x).softmax(1)
        return -shares[torch.arange(len(shares)), parts[part].y].log()

    expected = mia_efficacy(loss("retain"), loss("val"), loss("forget"), parts["retain"].group,
                            parts["val"].group)
    assert metrics["MIA"] == pytest.approx(expected,
                                           abs=1 / 6 + 1e-9)  # one of six samples may sit on a split


