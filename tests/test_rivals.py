"""DFR, AFR, SELF, LISA and JTT: what defines each, by hand, and that none looks at the forget set."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import context_of, same_state, small_network, state_of, toy
from torch.nn.functional import cross_entropy

from grmu import methods, training
from grmu.data import split_forget
from grmu.experiments import Experiment, run, train_or_load
from grmu.methods import AFR, DFR, JTT, LISA, SELF, Retrain
from grmu.training import Batch, TrainConfig, predict

QUICK = TrainConfig(epochs=3, lr=0.1, batch_size=16)
LAST_LAYER = pytest.mark.parametrize("name", ["dfr", "afr", "self"])


def ready(method, train, split, config=QUICK):
    """The context of a method that is set up, and the model that it goes on from, trained a little."""
    context = context_of(train, split, TrainConfig(epochs=4, lr=0.05, batch_size=16))
    training.train(Retrain(), context)
    before = context.model.eval()
    fresh = method.init_from is None
    context = context_of(train, split, config, original=None if fresh else before,
                         model=small_network() if fresh else copy.deepcopy(before).requires_grad_(True))
    method.setup(context)
    return context, before


def batch_of(dataset, rows):
    index = torch.tensor(rows)
    return Batch(dataset.x[index], dataset.y[index], dataset.group[index], index)


@pytest.mark.parametrize("name", ["dfr", "afr", "self", "lisa", "jtt"])
def test_the_forget_set_is_never_looked_at(name, train, split):
    class Closed:
        def __getattr__(self, what):
            raise AssertionError(f"looked at {what} of the forget set")

        def __len__(self):
            return 6  # it has samples, if one asks

    method = methods.get(name)()
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=1))
    context.forget, context.train = Closed(), replace(train, x=torch.zeros_like(train.x))
    method.context = context
    training.train(method, context)
    assert (method.trains_on, method.forget_epochs) == ("retain", 0)


@LAST_LAYER
def test_only_the_head_is_trained_on_features_that_are_computed_once(name, train, split):
    method, seen = methods.get(name)(), []
    context, before = ready(method, train, split)
    torch.testing.assert_close(method.z, predict(before.features, before, split.retain.x))
    context.model.backbone.register_forward_hook(lambda *_: seen.append(1))
    for batch in training.batches(context.retain, QUICK, context.rng):
        method.retain_loss(batch).backward()
    assert seen == []
    assert {of for of, weight in context.model.named_parameters() if weight.requires_grad} == {
        "head.weight", "head.bias"}


@LAST_LAYER
def test_a_run_goes_on_from_the_model_that_is_named(name, few_pictures, store):
    short = {"epochs": 2, "warmup_epochs": 0}
    e = Experiment(method=name, pretraining=short, overrides={"epochs": 2})
    after, before = state_of(run(e, store).model), state_of(train_or_load(e.start, store))
    assert e.start.method == "retrain"
    for key, value in before.items():
        assert torch.equal(value, after[key]) == (not key.startswith("head")), key


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_dfr_draws_every_group_that_is_left_equally_often(train, ratio):
    split = split_forget(train, ratio, [(1, 1)])
    method, counts = DFR(), np.zeros(4)
    context, _ = ready(method, train, split)
    for _ in range(30):
        for batch in training.batches(context.retain, QUICK, context.rng, method.sample_epoch()):
            counts += np.bincount(batch.group, minlength=4)
    left = np.unique(split.retain.group)
    assert counts.sum() == counts[left].sum() == 30 * len(split.retain)
    assert abs(counts[left] - counts.sum() / len(left)).max() < 4 * math.sqrt(counts.sum() / len(left))


def test_dfr_begins_with_an_empty_head_and_its_loss_has_the_absolute_weights(train, split):
    method = DFR(penalty=0.2)
    context, _ = ready(method, train, split)
    head, batch = context.model.head, batch_of(context.retain, range(10))
    assert method.retain_loss(batch).item() == pytest.approx(math.log(2))
    with torch.no_grad():
        head.weight += torch.arange(12).view(2, 6) / 10 - 0.5
        head.bias += 3.0
    expected = cross_entropy(head(method.z[batch.index]), batch.y) + 0.2 * head.weight.abs().sum()
    assert method.retain_loss(batch).item() == pytest.approx(expected.item())


def test_afrs_weights_and_pull_are_those_by_hand(train, split):
    method = AFR(gamma=3.0, lam=0.5)
    context, before = ready(method, train, split)
    y = split.retain.y.numpy()
    p = before(split.retain.x).detach().double().softmax(1).numpy()[np.arange(len(y)), y]
    weights = np.exp(-3 * p) / np.bincount(y)[y]
    weights /= weights.mean()
    np.testing.assert_allclose(method.weights, weights, rtol=1e-4)
    with torch.no_grad():
        context.model.head.weight += 0.1  # 12 numbers
        context.model.head.bias -= 0.3  # 2 numbers
    rows = [7, 3, 80, 41]
    ce = cross_entropy(context.model.head(method.z[rows]), split.retain.y[rows], reduction="none")
    expected = (weights[rows] * ce.detach().numpy()).mean() + 0.5 * (12 * 0.01 + 2 * 0.09)
    assert method.retain_loss(batch_of(context.retain, rows)).item() == pytest.approx(expected, rel=1e-4)


def test_selfs_disagreement_set_is_the_one_by_hand(train, split, monkeypatch):
    early = small_network(seed=9).eval()
    monkeypatch.setattr(SELF, "early", lambda self, context: early)
    method = SELF(n_points=5)
    _, before = ready(method, train, split)
    p, q = (m(split.retain.x).detach().double().softmax(1).numpy() for m in (before, early))
    kl, y = (p * np.log(p / q)).sum(1), split.retain.y.numpy()
    np.testing.assert_allclose(method.disagreement, kl, rtol=1e-3, atol=1e-6)
    expected = {row for c in (0, 1) for row in sorted(np.flatnonzero(y == c), key=lambda i: -kl[i])[:5]}
    assert set(method.chosen.tolist()) == expected
    drawn = torch.cat([method.sample_epoch() for _ in range(50)]).bincount(minlength=86)
    np.testing.assert_allclose(drawn[method.chosen] / drawn.sum(), 0.1, atol=0.02)


@pytest.mark.parametrize("intra_label", [True, False])
def test_lisas_partners_share_one_of_label_and_attribute_and_differ_in_the_other(intra_label):
    train = toy([[30, 20, 9], [20, 12, 7]])
    split, method = split_forget(train, 0.5, [(1, 1)]), LISA()
    ready(method, train, split)
    retain, batch = split.retain, batch_of(split.retain, range(len(split.retain)))
    drawn = torch.stack([method.partners(batch, intra_label) for _ in range(200)])
    same_y, same_a = (getattr(retain, k)[drawn] == getattr(retain, k) for k in ("y", "a"))
    assert (same_y if intra_label else same_a).all()
    assert not (same_a if intra_label else same_y).any()
    allowed = (retain.y == retain.y[0]) == intra_label
    allowed &= (retain.a == retain.a[0]) != intra_label
    assert set(drawn[:, 0].tolist()) == set(allowed.nonzero().flatten().tolist())  # evenly from all of them


def test_lisas_loss_is_that_of_mixed_samples_and_mixed_labels(train, split, monkeypatch):
    method, seen = LISA(intra_label=0.25), []
    context, _ = ready(method, train, split)
    retain, batch = split.retain, batch_of(split.retain, range(12))
    monkeypatch.setattr(LISA, "partners", lambda self, batch, way: seen.append(way) or batch.index + 20)
    context.model.eval()
    state = context.rng.get_state()
    actual = method.retain_loss(batch).item()
    context.rng.set_state(state)
    torch.rand(1, generator=context.rng)  # the coin
    t = torch.rand(3, 12, generator=context.rng).sort(0).values[1]
    logits = context.model(t[:, None] * batch.x + (1 - t[:, None]) * retain.x[20:32])
    ours, theirs = (cross_entropy(logits, y, reduction="none") for y in (batch.y, retain.y[20:32]))
    assert actual == pytest.approx((t * ours + (1 - t) * theirs).mean().item(), rel=1e-4)
    for _ in range(400):
        method.retain_loss(batch)
    assert 0.17 < np.mean(seen) < 0.33  # a coin for each batch
    context.retain = replace(retain, x=torch.zeros(len(retain), 2, 8, dtype=torch.int16))
    with pytest.raises(ValueError, match=r"lisa mixes samples, and torch.int16 samples .* another method"):
        LISA().setup(context)


def test_jtt_draws_the_errors_of_its_first_model_up_times_as_often(train, split):
    method = JTT(first_epochs=1, up=7.0)
    config = TrainConfig(epochs=3, lr=0.01, batch_size=16, warmup_epochs=1)
    context, _ = ready(method, train, split, config)
    first = context_of(train, split, TrainConfig(epochs=1, lr=0.01, batch_size=16, schedule="constant"),
                       model=small_network())
    training.train(Retrain(), first)  # as by hand
    wrong = predict(first.model, first.model, split.retain.x).argmax(1) != split.retain.y
    assert 3 < wrong.sum() < 80
    assert torch.equal(method.weights, torch.where(wrong, 7.0, 1.0))
    drawn = torch.cat([wrong[method.sample_epoch()] for _ in range(50)]).float().mean().item()
    assert drawn == pytest.approx((7 * wrong.sum() / (7 * wrong.sum() + (~wrong).sum())).item(), abs=0.03)
    assert same_state(state_of(context.model), state_of(small_network()))  # the second training begins afresh
