"""Test `adjust`, which corrects a shifted prior after training: its logits, its state and how it resumes."""

import math

import pytest
import torch
from conftest import context_of, same_state, small_network, state_of
from torch import nn

from grmu import data, prior, training
from grmu.experiments import Experiment, run, train_or_load
from grmu.experiments.run import run_keys
from grmu.methods import Adjust
from grmu.training import TrainConfig, predict

NONE = TrainConfig(epochs=0)


@pytest.fixture
def adjusted(train, split):
    """A model, the result of `adjust` on it, and the context."""
    before = small_network(seed=1)
    context = context_of(train, split, NONE, original=before, model=small_network(seed=1))
    training.train(Adjust(), context)
    return before.eval(), context.model.eval(), context


def test_adjust_adds_log_one_over_what_stays_of_each_group(adjusted, train, split):
    before, after, _ = adjusted
    z = predict(before.features, before, train.x)
    p = prior.attribute_head(predict(before.features, before, split.retain.x), split.retain.y, split.retain.a,
                             2, 2)[0](z)
    up = torch.log(p[:, 1, 0] + p[:, 1, 1] / (1 - 0.5))  # half of group (1, 1) was forgotten
    expected = before(train.x) + torch.stack([0 * up, up], 1)
    torch.testing.assert_close(predict(after, after, train.x), expected, atol=1e-5, rtol=1e-5)
    assert up.max() > 0.5
    assert up.min() < 0.1


def test_adjust_without_visible_attribute_shifts_the_class_and_says_so(train, split):
    class Blind(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 6)

    model = small_network()
    model.backbone = Blind()
    context = context_of(train, split, NONE, original=small_network(), model=model)
    with pytest.warns(UserWarning, match="the features do not reveal the attribute.*50% by chance"):
        training.train(Adjust(), context)
    r = 6 / 26  # of what stays of class 1, 20 and 6, the 6 count twice
    shift = predict(model, model, train.x) - (model.head.bias.detach())
    torch.testing.assert_close(shift, torch.tensor([0, math.log(1 - r + 2 * r)]).expand(92, 2), atol=0.02,
                               rtol=0)


def test_adjust_goes_on_from_the_model_that_it_is_asked_to_correct():
    e = Experiment(method="adjust", ratio=0.3, seed=4)
    assert (e.start.method, e.start.reweight, e.start.ratio, e.start.seed) == ("retrain", False, 0.3, 4)
    assert e.original.method == "pretrain"
    tuned = Experiment(method="adjust", overrides={"of": "finetune"})
    assert tuned.start == Experiment(method="finetune")
    assert len({run_keys(x).weights for x in (e, tuned, Experiment(method="adjust"))}) == 3
    assert Experiment(method="miu").start == Experiment(method="pretrain")
    assert Experiment(method="retrain").start is None
    with pytest.raises(ValueError, match="of must be one of retrain, finetune"):
        Experiment(method="adjust", overrides={"of": "pretrain"})


@pytest.mark.filterwarnings("ignore:the features do not reveal the attribute")  # after three epochs
@pytest.mark.parametrize("of", ["retrain", "finetune"])
def test_a_run_of_adjust_is_its_starts_model_with_another_head(store, few_pictures, of):
    short = {"epochs": 3, "warmup_epochs": 0}
    e = Experiment(method="adjust", ratio=0.8, pretraining=short, overrides={"of": of})
    actual, before = run(e, store), train_or_load(e.start, store)
    assert actual.curves.empty
    assert isinstance(actual.model.head, prior.ShiftedHead)
    assert actual.model.head.r.tolist() == pytest.approx(torch.tensor([[0, 0], [0, 19 / 24]]).numpy())
    state = state_of(actual.model)
    assert all(torch.equal(v, state[k]) for k, v in state_of(before).items())
    test = data.load("groundwear").test
    up = predict(actual.model, actual.model, test.x) - predict(before, before, test.x)
    assert (up[:, 0].abs() < 1e-6).all()
    assert (up[:, 1] > -1e-6).all()
    assert up[:, 1].max() > 0.5
    assert actual.metrics["GA"] >= run(e.start, store).metrics["GA"]
    assert same_state(state_of(train_or_load(e, store)), state)


