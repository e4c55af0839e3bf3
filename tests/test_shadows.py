"""Shadow models: halves, who is what to a model, what it says, and the one that is overfitted on purpose."""

import numpy as np
import pytest
import torch
from conftest import toy

from grmu import Experiment, data, run
from grmu.analysis import shadows
from grmu.analysis.shadows import NEVER, RETAINED, UNLEARNED, Observations, observe, overfitted
from grmu.data.subsets import random_half
from grmu.experiments import load_split, train_or_load
from grmu.training import predict


@pytest.fixture(scope="module", autouse=True)
def small_data(few_pictures):
    """Groundwear is shrunken."""


def test_a_half_takes_half_of_every_group_and_each_row_once_in_ascending_order():
    train = toy([[20, 8], [12, 0]])
    half = random_half(train, 3)
    assert train.subset(half).group_counts().tolist() == [10, 4, 6, 0]
    assert (half[1:] > half[:-1]).all()


def test_a_half_is_a_function_of_its_seed():
    train = toy([[20, 8], [12, 4]])
    assert torch.equal(random_half(train, 3), random_half(train, 3))
    assert not torch.equal(random_half(train, 3), random_half(train, 4))


def test_a_coin_rounds_odd_groups_and_every_sample_is_in_half_of_the_halves():
    train, n = toy([[5, 3], [1, 7]]), 400
    halves = [random_half(train, seed) for seed in range(n)]
    counts = torch.stack([train.subset(half).group_counts() for half in halves])
    for group, size in enumerate((5, 3, 1, 7)):
        assert set(counts[:, group].tolist()) == {size // 2, size // 2 + 1}
    assert len(set(counts.sum(1).tolist())) > 2  # groups have a coin each
    share = torch.bincount(torch.cat(halves), minlength=len(train)) / n
    assert share.sub(0.5).abs().max() < 4 * 0.5 / n**0.5


def test_shadows_are_the_experiment_on_halves_of_their_own():
    e = Experiment(method="retrain", reweight=True, ratio=0.3, overrides={"epochs": 3})
    found = shadows.shadows(e, 5)
    assert [s.seed for s in found] == list(range(5))
    assert all(s.half for s in found)
    assert {(s.method, s.reweight, s.ratio, s.groups, s.config.epochs)
            for s in found} == {("retrain", True, 0.3, "default", 3)}
    assert len({tuple(load_split(s)[0].train.x.sum((1, 2, 3)).tolist()) for s in found}) == 5
    assert len(shadows.shadows(e)) == shadows.SHADOWS


@pytest.fixture(scope="module")
def observed(here):
    """One shadow of fine-tuning on Groundwear's few pictures, and what it says of all of them."""
    e = Experiment(method="finetune", seed=3, half=True, overrides={"epochs": 2})
    return e, observe(e, here)


def test_who_is_unlearned_retained_and_never_seen_is_what_the_split_says(observed):
    e, seen = observed
    (splits, split, _), whole = load_split(e), data.load(e.dataset).train
    assert seen.status.shape == (1, len(whole))
    status = seen.status[0]
    half = random_half(whole, e.seed)
    assert [(status == k).sum() for k in (RETAINED, UNLEARNED)] == [len(split.retain), len(split.forget)]
    assert np.flatnonzero(status != NEVER).tolist() == half.tolist()
    assert torch.equal(whole.x[status == UNLEARNED], split.forget.x)
    assert torch.equal(whole.x[status == RETAINED], split.retain.x)
    assert (whole.group[status == UNLEARNED] == whole.group_id(splits.forget_group)).all()


def test_confidence_and_loss_are_the_model_s_on_every_sample_seen_or_not(observed, here):
    e, seen = observed
    model, whole = train_or_load(e, here), data.load(e.dataset).train
    logits = predict(model, model, whole.x).double()
    p = logits.softmax(1)[torch.arange(len(whole)), whole.y].numpy()
    np.testing.assert_allclose(seen.confidence[0], np.log(p / (1 - p)), rtol=1e-6)
    np.testing.assert_allclose(seen.loss[0], np.log(p), rtol=1e-6)


def test_the_forest_is_the_one_of_the_metric(observed, here):
    e, seen = observed
    forgotten = seen.forest[seen.status == UNLEARNED]
    expected = run(e, here).metrics["MIA"]
    assert (forgotten <= 0.5).mean() == pytest.approx(expected,
                                                      abs=1.01 / len(forgotten))  # losses differ by rounding
    assert 0 <= seen.forest.min() < 0.5 < seen.forest.max() <= 1


def test_a_model_that_is_sure_beyond_rounding_has_a_finite_confidence(observed, here, monkeypatch):
    e, seen = observed
    model = train_or_load(e, here)
    model.head.weight *= 1000
    model.head.bias *= 1000
    monkeypatch.setattr(shadows, "train_or_load", lambda *_: model)
    sure = observe(e, here)
    assert np.isfinite(sure.confidence).all()
    np.testing.assert_allclose(sure.confidence, 1000 * seen.confidence, rtol=1e-3)


def test_observing_again_gives_the_same_bits_from_the_store_and_afresh(observed, here, tmp_path):
    e, seen = observed
    for store in (here, tmp_path):
        for one, other in zip(observe(e, store), seen, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_part_of_the_samples_is_selected_from_all_that_was_observed():
    rng = np.random.default_rng(0)
    seen = Observations(*(rng.integers(3, size=(4, 6)) for _ in range(4)))
    for which in (np.array([1, 4]), np.array([False, True, False, False, True, False])):
        part = shadows.select(seen, which)
        assert isinstance(part, Observations)
        for some, every in zip(part, seen, strict=True):
            np.testing.assert_array_equal(some, every[:, [1, 4]])


def test_rows_are_shadows_in_order(observed, here):
    e, seen = observed
    every = shadows.observe_all(e, 4, here, progress=False)
    for one, all_ in zip(seen, every, strict=True):
        assert all_.shape == (4, one.shape[1])
        np.testing.assert_array_equal(one[0], all_[3])


def test_the_overfitted_control_keeps_who_was_to_be_unlearned_and_leaves_the_store_s_model(observed, here):
    e, seen = observed
    before = {name: v.clone() for name, v in train_or_load(e.original, here).state_dict().items()}
    found = overfitted(e, here)
    np.testing.assert_array_equal(found.status, seen.status)
    member, never = (found.loss[seen.status == kind] for kind in (UNLEARNED, NEVER))
    assert member.mean() > never.mean()
    assert np.exp(member).min() > 0.5  # every one is known
    after = train_or_load(e.original, here).state_dict()
    assert all(torch.equal(v, before[name]) for name, v in after.items())
    ours, pretrain, again = shadows.observe_beside(e, here)
    for expected, other in ((seen, ours), (found, again)):
        for one, two in zip(expected, other, strict=True):
            np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(pretrain.confidence, observe(e.original, here).confidence)
    assert np.isnan(pretrain.forest).all()
