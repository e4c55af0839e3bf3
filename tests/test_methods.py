"""Test the methods' losses against the same terms computed by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conftest import context_of
from torch.nn.functional import cross_entropy

from grmu import methods
from grmu.methods import MIU, FineTune, GroupDRO, GroupDROPretrain, Pretrain, Retrain
from grmu.methods.balanced import ByHand
from grmu.training import Batch, Method, TrainConfig

QUICK = TrainConfig(epochs=2, lr=0.05, batch_size=16)


def batch_of(dataset, rows):
    index = torch.tensor(rows)
    return Batch(dataset.x[index], dataset.y[index], dataset.group[index], index)


# --- the registry -------------------------------------------------------------------------------------------


def test_a_method_is_imported_when_its_name_is_first_used(monkeypatch):
    monkeypatch.setattr(methods, "registry", {"finetune": FineTune, "salun": "salun.SalUn",
                                              "scrub": "scrub.SCRUB"})
    assert methods.get("salun") is methods.registry["salun"] is methods.SalUn
    assert methods.get("finetune") is FineTune
    assert methods.registry["scrub"] == "scrub.SCRUB"  # not used yet


def test_registering_adds_and_registering_again_replaces(monkeypatch):
    monkeypatch.setattr(methods, "registry", dict(methods.registry))

    @dataclass
    class First(Method):
        pass

    @dataclass
    class Second(Method):
        pass

    assert methods.register("mine_own", First) is First
    assert methods.get("mine_own") is First
    methods.register("mine_own", Second)
    assert methods.get("mine_own") is Second


def test_the_cross_entropy_methods_differ_in_where_they_start_and_in_what_they_see():
    assert [(m.init_from, m.trains_on, m().forget_epochs)
            for m in (Pretrain, Retrain, FineTune, GroupDRO, GroupDROPretrain)] == [
        (None, "train", 0), (None, "retain", 0), ("pretrain", "retain", 0), (None, "retain", 0),
        (None, "train", 0)]
    assert (MIU.init_from, MIU.trains_on) == ("pretrain", "retain")


@pytest.mark.parametrize("method", [Pretrain, Retrain, FineTune])
def test_their_loss_is_cross_entropy(train, split, method):
    context, method = context_of(train, split, QUICK), method()
    method.setup(context)
    batch = batch_of(split.retain, range(10))
    logits = context.model(batch.x).detach().double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(shares[np.arange(10), batch.y]).mean()
    assert method.retain_loss(batch).item() == pytest.approx(expected, rel=1e-5)


# --- GROUP-DRO ----------------------------------------------------------------------------------------------


def test_group_dro_weighs_group_losses_by_q_and_moves_q_towards_the_worst(train, split):
    context, method = context_of(train, split, QUICK), GroupDRO(eta=0.7)
    method.setup(context)
    assert method.q.tolist() == [0.25] * 4
    q = np.full(4, 0.25)
    for rows in (range(12), range(12, 30)):
        batch = batch_of(split.retain, rows)
        ce = cross_entropy(context.model.eval()(batch.x), batch.y, reduction="none").detach().double().numpy()
        group = batch.group.numpy()
        losses = np.array([ce[group == g].mean() if (group == g).any() else 0.0 for g in range(4)])
        q = q * np.exp(0.7 * losses)
        q /= q.sum()
        assert method.retain_loss(batch).item() == pytest.approx(q @ losses, rel=1e-5)
        np.testing.assert_allclose(method.q, q, rtol=1e-5)
    assert q.argmax() == losses.argmax()


def test_group_dro_starts_each_run_with_even_q_and_draws_balanced_batches(train, split):
    method = GroupDRO(eta=1.0)
    method.setup(context_of(train, split, QUICK))
    method.retain_loss(batch_of(split.retain, range(10)))
    method.setup(context_of(train, split, QUICK))
    assert method.q.tolist() == [0.25] * 4
    drawn = torch.cat([split.retain.group[method.sample_epoch()] for _ in range(50)])
    np.testing.assert_allclose(drawn.bincount() / len(drawn), [0.25] * 4, atol=0.03)


# --- controls of studies ------------------------------------------------------------------------------------


def test_weights_by_hand_are_those_of_the_groups_in_proportion(train, split):
    method = ByHand(group_weights=(1.0, 0.0, 3.0, 4.0))
    method.setup(context_of(train, split, TrainConfig(epochs=1)))
    drawn = torch.cat([split.retain.group[method.sample_epoch()] for _ in range(50)])
    totals = torch.tensor([1.0, 0.0, 3.0, 4.0]) * split.retain.group_counts()
    np.testing.assert_allclose(drawn.bincount(minlength=4) / len(drawn), totals / totals.sum(), atol=0.03)
