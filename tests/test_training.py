"""Test the training loop, its batches, its schedule and its augmentation."""

import math
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from conftest import context_of, same_state, small_network, state_of, toy
from torch import nn

from grmu import training
from grmu.data import GroupedDataset, split_forget
from grmu.data.memmap import MemmapSamples, Storage
from grmu.experiments.store import Checkpoint, Store
from grmu.methods import FineTune, Retrain
from grmu.training import (
    Method,
    TrainConfig,
    augment_images,
    batches,
    predict,
    rate,
)

QUICK = TrainConfig(epochs=3, lr=0.05, batch_size=16, weight_decay=0.0)


@pytest.fixture
def train():
    return toy([[40, 20], [20, 12]], spread=0.5)


@dataclass
class Recorder(Method):
    """A method that records every call and whose losses change nothing."""

    forget_epochs: int = 0

    def setup(self, context):
        super().setup(context)
        self.calls, self.batches = [], []

    def before_epoch(self, epoch):
        self.calls.append(("before", epoch))
        return {"noted": float(epoch)}

    def note(self, term, batch):
        assert self.model.training
        if self.calls[-1] != term:
            self.calls.append(term)
        self.batches.append((term, batch))
        return 0 * self.model(batch.x).sum() + 2.0

    def forget_loss(self, batch):
        return self.note("forget", batch)

    def retain_loss(self, batch):
        return self.note("retain", batch)


SCRIPT = ((1, 1.0), (0, 1.0), (0, 2.0), (1, 2.0))  # per epoch: what the model answers, and its logit


@dataclass
class Scripted(Method):
    """A method whose model predicts the scripted class for every sample after each epoch."""

    def before_epoch(self, epoch):
        self.answer, self.logit = SCRIPT[epoch]
        return {}

    @torch.no_grad()
    def after_step(self):
        self.model.head.weight.zero_()
        self.model.head.bias.copy_(self.logit * torch.eye(2)[self.answer])


# --- the loop -----------------------------------------------------------------------------------------------


def test_the_loss_falls_and_the_model_learns_an_easy_problem(train, split):
    context, rows = context_of(train, split, TrainConfig(epochs=8, lr=0.1, batch_size=16)), []
    training.train(Retrain(), context, on_epoch=lambda epoch, row: rows.append(row["retain_loss"]))
    assert len(rows) == 8
    assert rows[-1] < 0.5 * rows[0]
    predicted = predict(context.model, context.model, split.retain.x).argmax(1)
    assert (predicted == split.retain.y).float().mean() > 0.9


def test_each_epoch_is_preparation_then_forget_pass_then_retain_pass(train, split):
    method, rows = Recorder(forget_epochs=2), []
    training.train(method, context_of(train, split, QUICK),
                   on_epoch=lambda epoch, row: rows.append((epoch, dict(row))))
    assert method.calls == [("before", 0), "forget", "retain", ("before", 1), "forget", "retain",
                            ("before", 2), "retain"]
    assert rows == [(1, {"noted": 0.0, "forget_loss": 2.0, "retain_loss": 2.0}),
                    (2, {"noted": 1.0, "forget_loss": 2.0, "retain_loss": 2.0}),
                    (3, {"noted": 2.0, "retain_loss": 2.0})]


def test_each_pass_sees_every_sample_of_its_own_set_once(train, split):
    method = Recorder(forget_epochs=1)
    training.train(method, context_of(train, split, TrainConfig(epochs=1, batch_size=16)))
    for term, part in (("forget", split.forget), ("retain", split.retain)):
        seen = [batch for t, batch in method.batches if t == term]
        assert torch.cat([b.index for b in seen]).sort().values.tolist() == list(range(len(part)))
        for batch in seen:
            assert torch.equal(batch.x, part.x[batch.index])
            assert torch.equal(batch.y, part.y[batch.index])
            assert torch.equal(batch.group, part.group[batch.index])


def test_the_retain_pass_draws_by_the_weights_and_the_forget_pass_does_not(train, split):
    method = Recorder(forget_epochs=1)
    weights = (split.retain.group == 2).float()
    training.train(method, context_of(train, split, TrainConfig(epochs=1, batch_size=16), weights=weights))
    retained = torch.cat([b.group for term, b in method.batches if term == "retain"])
    forgotten = torch.cat([b.index for term, b in method.batches if term == "forget"])
    assert retained.tolist() == [2] * len(split.retain)
    assert sorted(forgotten.tolist()) == list(range(len(split.forget)))


@pytest.mark.parametrize(("keep", "kept"), [("last", 4), ("best", 2)])
def test_the_weights_of_the_first_best_epoch_on_the_validation_set_are_kept(train, split, keep, kept):
    context, states = context_of(train, split, TrainConfig(epochs=4, keep=keep), val=train), []
    rows = training.train(Scripted(), context, lambda epoch, row: states.append(state_of(context.model)))
    assert same_state(state_of(context.model), states[kept - 1])
    assert not any(same_state(one, other) for i, one in enumerate(states) for other in states[:i])
    shares = (train.y.bincount() / len(train)).tolist()  # of the classes: 60 and 32 samples
    assert [row.get("val_TA") for row in rows] == (
        pytest.approx([shares[answer] for answer, _ in SCRIPT]) if keep == "best" else [None] * 4)


def test_without_an_epoch_better_than_nothing_the_starting_weights_are_kept(train, split):
    wrong = train.subset((train.y == 1).nonzero().flatten())
    context = context_of(train, split, TrainConfig(epochs=2, keep="best"), val=wrong)
    start = state_of(context.model)

    @dataclass
    class AlwaysWrong(Scripted):
        def before_epoch(self, epoch):
            return super().before_epoch(epoch + 1)

    rows = training.train(AlwaysWrong(), context)
    assert [row["val_TA"] for row in rows] == [0, 0]
    assert same_state(state_of(context.model), start)


def test_a_best_epoch_before_a_stop_is_kept_after_it(train, split, tmp_path):
    def stop(epoch, row):
        if epoch == 4:
            raise KeyboardInterrupt

    def trained(on_epoch=None):
        context = context_of(train, split, TrainConfig(epochs=4, keep="best"), val=train)
        rows = training.train(Scripted(), context, on_epoch, Checkpoint(Store(tmp_path), "key"))
        return state_of(context.model), rows

    with pytest.raises(KeyboardInterrupt):
        trained(stop)
    state, rows = trained()  # its only epoch is no better than the second
    assert len(rows) == 4
    assert state["head.bias"].tolist() == [1, 0]


def test_choosing_the_epoch_changes_no_step_of_the_training(train, split):
    seen = []
    for keep in ("last", "best"):
        context = context_of(train, split, replace(QUICK, keep=keep), val=train)
        training.train(Retrain(), context, lambda epoch, row, c=context: seen.append(state_of(c.model)))
    assert all(map(same_state, seen[: QUICK.epochs], seen[QUICK.epochs :]))


@pytest.mark.parametrize("term", ["forget", "retain"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_epoch_term_and_method(train, split, term, bad):
    @dataclass
    class Broken(Recorder):
        forget_epochs: int = 3

        def note(self, which, batch):
            return super().note(which, batch) * (bad if which == term and ("before", 1) in self.calls else 1)

    with pytest.raises(FloatingPointError, match=f"the {term} loss of Broken is (nan|inf) in epoch 2 of 3"):
        training.train(Broken(), context_of(train, split, QUICK))


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_weights_that_end_not_finite_are_no_result_though_every_loss_was(train, split, bad):
    @dataclass
    class Spoilt(Method):
        def after_step(self):
            self.model.head.bias.data[1] = bad

    with pytest.raises(FloatingPointError, match="Spoilt left weights that are not finite"):
        training.train(Spoilt(), context_of(train, split, TrainConfig(epochs=1, batch_size=1000)))


def test_equal_seeds_train_to_equal_bits_whatever_the_global_random_state(train, split):
    states = []
    for disturbed in (1, 2):
        torch.manual_seed(disturbed)
        np.random.seed(disturbed)
        random.seed(disturbed)
        config = TrainConfig(epochs=2, batch_size=16)
        context = context_of(train, split, config, original=small_network(seed=8))
        training.train(FineTune(), context)
        states.append(state_of(context.model))
    assert same_state(*states)


def test_training_does_not_move_the_global_random_state(train, split):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    training.train(Retrain(), context_of(train, split, QUICK, weights=torch.ones(len(split.retain))))
    assert torch.equal(torch.rand(1), expected)


def test_one_step_is_sgd_with_momentum_and_weight_decay():
    train = toy([[8, 8], [8, 8]])
    split = split_forget(train, 0.5, [(0, 0)])
    config = TrainConfig(epochs=2, lr=0.1, batch_size=1000, weight_decay=0.01, schedule="constant")
    context = context_of(train, split, config)
    before = context.model.head.weight.detach().clone()
    twin = small_network()
    twin.load_state_dict(context.model.state_dict())
    # by hand: v <- 0.9 v + (gradient + 0.01 w), w <- w - 0.1 v; the whole set is one batch
    for _ in range(2):
        twin.zero_grad()
        nn.functional.cross_entropy(twin(split.retain.x), split.retain.y).backward()
        with torch.no_grad():
            for p in twin.parameters():
                p.v = 0.9 * getattr(p, "v", 0) + p.grad + 0.01 * p
                p -= 0.1 * p.v
    training.train(Retrain(), context)
    torch.testing.assert_close(context.model.head.weight, twin.head.weight, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(context.model.head.weight, before, atol=1e-3)


# --- batches and augmentation -------------------------------------------------------------------------------


def test_augment_images_is_a_shift_and_a_flip_of_each_image():
    x = torch.randint(256, (12, 2, 5, 7), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    done = augment_images(x, torch.Generator().manual_seed(2), shift=2)
    rng = torch.Generator().manual_seed(2)  # the same draws: row and column moves, then flips
    moves = torch.randint(0, 5, (2, 12, 1), generator=rng).squeeze(2) - 2
    flips = (torch.rand(12, 1, generator=rng) < 0.5).squeeze(1)
    assert moves.unique().tolist() == [-2, -1, 0, 1, 2]
    assert flips.unique().tolist() == [False, True]
    assert done.dtype == x.dtype
    for i in range(12):
        for u in range(5):
            for v in range(7):
                from_v = 6 - v if flips[i] else v
                row = min(max(u + int(moves[0, i]), 0), 4)
                col = min(max(from_v + int(moves[1, i]), 0), 6)
                assert torch.equal(done[i, :, u, v], x[i, :, row, col])


def test_only_images_are_augmented_and_only_on_request():
    labels, rng = toy([[8, 8], [8, 8]]), torch.Generator().manual_seed(0)
    for augment, *shape in ((False, 1, 4, 4), (True, 16), (True, 2, 8), (True, 1, 1, 4, 4)):
        plain = GroupedDataset(torch.arange(32 * 16).reshape(32, *shape), labels.y, labels.a)
        for batch in batches(plain, TrainConfig(batch_size=8, augment=augment), rng):
            assert torch.equal(batch.x, plain.x[batch.index])


# --- predict ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training_mode", [True, False])
def test_predict_leaves_batchnorm_alone_and_restores_the_mode(train, training_mode):
    model = small_network().train(training_mode)
    before = state_of(model)
    outputs = predict(model, model, train.x, batch_size=7)
    assert same_state(before, state_of(model))
    assert model.training is training_mode
    assert all(m.training is training_mode for m in model.modules())
    assert not outputs.requires_grad
    torch.testing.assert_close(outputs, model.eval()(train.x))


def test_predict_of_nothing_has_the_right_width(train):
    model = small_network()
    assert predict(model.features, model, train.x[:0]).shape == (0, 6)
    none = MemmapSamples(Storage(np.zeros((3, 4), np.float32), pictures=False), torch.arange(0))
    assert predict(model.features, model, none).shape == (0, 6)


# --- schedule and config ------------------------------------------------------------------------------------


def rates(config):
    return [rate(config, epoch) for epoch in range(config.epochs)]


@pytest.mark.parametrize(("epochs", "warmup"), [(5, 0), (7, 2), (15, 2), (2, 1)])
def test_cosine_after_linear_warm_up(epochs, warmup):
    expected = [0.4 * (t + 1) / (warmup + 1) for t in range(warmup)]
    rest = epochs - warmup
    expected += [0.4 * (1 + math.cos(math.pi * t / rest)) / 2 for t in range(rest)]
    assert rates(TrainConfig(epochs=epochs, lr=0.4, warmup_epochs=warmup)) == pytest.approx(expected)


def test_constant_after_linear_warm_up():
    config = TrainConfig(epochs=5, lr=0.4, warmup_epochs=3, schedule="constant")
    assert rates(config) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert rates(TrainConfig(epochs=3, lr=0.4, schedule="constant")) == pytest.approx([0.4] * 3)


@dataclass
class Spy(Retrain):
    """A method that records how far each step moves a bias whose gradient is 1."""

    def setup(self, context):
        super().setup(context)
        self.values = [self.model.head.bias[0].item()]

    def retain_loss(self, batch):
        return self.model.head.bias[0] + 0 * self.model(batch.x).sum()

    def after_step(self):
        self.values.append(self.model.head.bias[0].item())


def steps_of(config, train, split):
    """Return the learning rate of every step of a training."""
    spy = Spy()
    training.train(spy, context_of(train, split, replace(config, momentum=0, weight_decay=0)))
    return -np.diff(spy.values)


def test_the_loop_trains_each_epoch_at_its_rate(train, split):
    config = TrainConfig(epochs=5, lr=0.4, batch_size=1000, warmup_epochs=2)
    assert steps_of(config, train, split) == pytest.approx(rates(config), rel=1e-4)


@pytest.mark.parametrize("size", ["batch_size", "retain_batch_size"])
def test_a_warm_up_by_step_rises_from_zero_with_every_batch(train, split, size):
    config = TrainConfig(epochs=6, lr=0.4, warmup_epochs=2, warmup_by="step", **{size: 40})
    assert len(split.retain) == 86  # three batches, of which the last is short
    rising = [0.4 * m / 6 for m in range(6)]
    falling = [0.4 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(4) for _ in range(3)]
    assert steps_of(config, train, split) == pytest.approx(rising + falling, rel=1e-4, abs=1e-6)
    constant = replace(config, schedule="constant")
    assert steps_of(constant, train, split) == pytest.approx(rising + [0.4] * 12, rel=1e-4, abs=1e-6)


def test_the_retain_pass_may_have_batches_of_its_own_size(train, split):
    method = Recorder(forget_epochs=1)
    config = TrainConfig(epochs=1, batch_size=4, retain_batch_size=50)
    training.train(method, context_of(train, split, config))
    assert [(term, len(batch.y)) for term, batch in method.batches] == [
        ("forget", 4), ("forget", 2), ("retain", 50), ("retain", 36)]


def test_nothing_warms_up_where_there_are_no_epochs():
    assert TrainConfig(epochs=0).epochs == 0
    assert TrainConfig(epochs=5, warmup_epochs=4).warmup_epochs == 4
    with pytest.raises(ValueError, match=r"^warmup_epochs must be a number from 0 to 4, got 5\.$"):
        TrainConfig(epochs=5, warmup_epochs=5)
    with pytest.raises(ValueError, match="warmup_epochs must be a number from 0 to 0, got 1"):
        TrainConfig(epochs=0, warmup_epochs=1)


