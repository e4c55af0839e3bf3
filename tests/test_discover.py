"""Test inferred groups: the data that each way uses, the quality of its groups, and training on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import toy
from torch import nn

from grmu import Experiment, reweight, run, training
from grmu.analysis.groupings import agreement
from grmu.discover import GROUPINGS, completed, infer, labelled, layer_features
from grmu.experiments import load_split, train_or_load
from grmu.metrics import OVERALL
from grmu.models import Classifier
from grmu.training import predict

pytestmark = pytest.mark.usefixtures("few_pictures")

ONE = {"epochs": 1, "warmup_epochs": 0}


@pytest.fixture(scope="module")
def asked(few_pictures, here):
    """A model, and the few training pictures on which it was trained."""
    e = Experiment(method="pretrain")
    return train_or_load(e, here), load_split(e)[0].train


def as_they_are(train):
    """A network whose features are its inputs."""
    return Classifier(nn.Identity(), train.x.shape[1], train.n_classes)


def with_attribute(train, a, names=None):
    return replace(train, a=torch.as_tensor(a), attribute_names=names or train.attribute_names)


# --- every way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GROUPINGS)
def test_an_inferred_attribute_takes_the_place_of_the_true_one_and_nothing_else_changes(name, asked):
    model, train = asked
    before = train.a.clone()
    actual = infer(name, model, train, 0)
    assert torch.equal(actual.x, train.x)
    assert torch.equal(actual.y, train.y)
    assert actual.class_names == train.class_names
    assert actual.a.shape == (len(train),)
    assert actual.a.min() == 0
    assert actual.attribute_names == tuple(f"{name} {i}" for i in range(int(actual.a.max()) + 1))
    assert torch.equal(actual.group, actual.y * actual.n_attributes + actual.a)
    assert torch.equal(train.a, before)


# --- clusters -----------------------------------------------------------------------------------------------


def test_clusters_are_found_within_each_class_as_many_as_there_are():
    train = toy([[40, 30, 0], [25, 35, 30]], spread=0.2)
    actual = infer("clusters", as_they_are(train), train, 0)
    assert [len(actual.a[train.y == c].unique()) for c in (0, 1)] == [2, 3]
    assert agreement(actual, train) == pytest.approx(1)
    assert actual.n_attributes == 3


# --- errors -------------------------------------------------------------------------------------------------


def test_errors_are_exactly_the_wrong_predictions(here, few_pictures):
    e = Experiment(method="retrain", grouping="errors").source
    model, train = train_or_load(e, here), load_split(e)[0].train
    wrong = model(train.x).argmax(1) != train.y
    assert 0 < wrong.sum() < len(train)
    assert infer("errors", model, train, 0).a.bool().tolist() == wrong.tolist()


# --- probes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["probe", "probe_last"])
def test_the_labelled_keep_what_is_known_of_them_even_if_nothing_explains_it(name, asked):
    model, train = asked
    coins = torch.randint(3, (len(train),), generator=torch.Generator().manual_seed(3))
    tossed = with_attribute(train, coins, ["heads", "tails", "edge"])
    known = labelled(tossed, 0)
    actual = infer(name, model, tossed, 0)
    assert actual.a[known].tolist() == coins[known].tolist()
    assert (actual.a != coins).any()


def test_the_rest_is_told_from_features_and_class_as_learnt_on_the_labelled():
    train = toy([[50, 50], [50, 50]])
    known = labelled(train, 0, 0.2)
    rng = np.random.default_rng(0)
    nothing = rng.normal(size=(len(train), 2))
    hint = np.c_[train.a.numpy() * 4 + rng.normal(size=len(train)) * 0.1, nothing]
    assert (completed(hint, train, known) == train.a.numpy()).all()
    coins = (completed(nothing, train, known) == train.a.numpy()).mean()
    assert 0.35 < coins < 0.75
    by_class = with_attribute(train, train.y)
    assert (completed(np.zeros((len(train), 1)), by_class, known) == train.y.numpy()).all()


# --- what layers see ----------------------------------------------------------------------------------------


def test_layer_features_are_mean_and_spread_of_every_relu_s_maps_then_the_last_features(asked):
    model, train = asked
    some = train.subset(torch.arange(20))
    actual = layer_features(model, some)
    assert actual.shape == (20, 2 * (16 + 32 + 64) + 64)
    maps, x = [], model.scaled(some.x)
    for layer in model.backbone:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            maps += [x.mean((2, 3)), x.std((2, 3), correction=0)]
    np.testing.assert_allclose(actual, torch.cat([*maps, x], 1), rtol=1e-5, atol=1e-6)


def test_no_hook_is_left_behind_even_after_an_error(asked):
    model, train = asked
    layer_features(model, train.subset(torch.arange(5)))
    with pytest.raises(RuntimeError):
        layer_features(model, replace(train, x=train.x.expand(-1, 3, -1, -1)))
    assert not any(m._forward_hooks for m in model.modules())


# --- experiments --------------------------------------------------------------------------------------------


@pytest.fixture
def contexts(monkeypatch):
    """The data on which each method trained, by name, in order."""
    given, real = [], training.train

    def noting(method, context, *more):
        given.append((type(method).__name__, context))
        return real(method, context, *more)

    monkeypatch.setattr(training, "train", noting)
    return given


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_method_trains_on_inferred_groups_of_the_same_samples(grouping, here, contexts):
    e = Experiment(method="retrain", reweight=True, grouping=grouping, overrides=ONE, seed=1)
    run(e, here)
    name, given = contexts[-1]
    splits, split, _ = load_split(e)
    expected = infer(grouping, train_or_load(e.source, here), splits.train, e.seed)
    assert name == "Retrain"
    assert torch.equal(given.train.group, expected.group)
    for part, index, true in ((given.retain, split.retain_index, split.retain),
                              (given.forget, split.forget_index, split.forget)):
        assert torch.equal(part.group, expected.group[index])
        assert torch.equal(part.x, true.x)
        assert torch.equal(part.y, true.y)
    assert torch.equal(given.weights, reweight.sample_weights(expected, expected.subset(split.retain_index)))
    assert torch.equal(given.retain_index, split.retain_index)


@pytest.mark.parametrize("grouping", ["random", "clusters"])
def test_what_is_forgotten_and_what_is_measured_goes_by_the_true_groups(grouping, here):
    e = Experiment(method="retrain", reweight=True, grouping=grouping, overrides=ONE, seed=1)
    true = replace(e, grouping="true")
    result, (splits, split, groups) = run(e, here), load_split(e)
    assert torch.equal(split.forget_index, load_split(true)[1].forget_index)
    assert set(split.forget.group.tolist()) == {splits.train.group_id(splits.forget_group)}
    assert groups == (splits.forget_group,)
    right = predict(result.model, result.model, splits.test.x).argmax(1) == splits.test.y
    by_group = [right[splits.test.group == g].float().mean().item() for g in range(4)]
    assert result.by_group() == pytest.approx(by_group)
    assert result.metrics["GA"] == pytest.approx(by_group[3])
    assert result.curves["GA"].iloc[-1] == pytest.approx(by_group[3])
    assert list(result.accuracy.group) == [*OVERALL, *splits.test.group_names]
    forgotten = predict(result.model, result.model, split.forget.x).argmax(1) == split.forget.y
    assert result.metrics["UA"] == pytest.approx(forgotten.float().mean().item())


