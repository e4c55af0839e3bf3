"""The methods' losses against the same terms put together by hand."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import context_of, same_state, small_network, state_of, toy
from torch import nn
from torch.nn.functional import cross_entropy

from grmu import methods, training
from grmu.data import split_forget
from grmu.methods import MIU, FineTune, GroupDRO, Pretrain, Retrain
from grmu.methods.controls import ByHand
from grmu.mine import draw_group_bar, dv_bound
from grmu.training import Batch, Method, Recipe, predict

QUICK = Recipe(epochs=2, lr=0.05, batch_size=16)


def batch_of(dataset, rows):
    index = torch.tensor(rows)
    return Batch(dataset.x[index], dataset.y[index], dataset.group[index], index)


# --- the registry -------------------------------------------------------------------------------------------


def test_methods_are_found_by_name_and_carry_it():
    assert methods.get("miu") is MIU
    assert methods.get("retrain") is Retrain
    assert methods.get("group_dro") is GroupDRO
    assert {"pretrain", "retrain", "group_dro", "rwg", "subg", "finetune", "l1_sparse", "salun", "scrub",
            "miu",
            "gradient_ascent", "random_labels", "bad_teacher", "boundary_shrink", "boundary_expand", "ssd",
            "influence", "adjust", "dfr", "afr", "self", "lisa", "jtt"} <= set(methods.registry)
    assert all(methods.get(name).name == name for name in methods.registry)


def test_a_method_is_imported_when_its_name_is_asked_for(monkeypatch):
    monkeypatch.setattr(methods, "registry", dict(methods.BUILT_IN))
    assert methods.get("salun") is methods.registry["salun"] is methods.SalUn
    assert methods.get("finetune") is FineTune
    assert methods.registry["scrub"] == "scrub.SCRUB"  # not asked for yet


def test_an_unknown_method_is_refused_with_the_known_ones(monkeypatch):
    monkeypatch.setattr(methods, "registry", {"one": "a.One", "two": "b.Two"})
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole sentence is compared
        methods.get("three")
    assert str(caught.value) == "unknown method 'three': choose one of one, two."


def test_every_method_that_the_package_offers_is_registered():
    files = {p.stem for p in Path(methods.__file__).parent.glob("*.py")}
    files -= {"__init__", "miu_forms", "miu_features",  # parts of MIU
              "last_layer", "controls"}  # a base of several, and what studies register
    assert files == {methods.get(name).__module__.split(".")[-1] for name in methods.BUILT_IN}
    for name in methods.BUILT_IN:
        assert getattr(methods, methods.get(name).__name__) is methods.get(name)
    with pytest.raises(AttributeError, match="no attribute 'MUI'"):
        methods.MUI  # noqa: B018


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'salmon'") as caught:
        methods.get("salmon")
    assert all(name in str(caught.value) for name in methods.registry)


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
    assert Second.name == "mine_own"


def test_the_cross_entropy_methods_differ_in_where_they_start_and_in_what_they_see():
    assert [(m.starts_from, m.trains_on, m().forget_epochs)
            for m in (Pretrain, Retrain, FineTune, GroupDRO)] == [
        ("fresh", "train", 0), ("fresh", "retain", 0), ("original", "retain", 0), ("fresh", "retain", 0)]
    assert (MIU.starts_from, MIU.trains_on) == ("original", "retain")


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


def test_group_dro_takes_a_batch_that_lacks_groups(train, split):
    context, method = context_of(train, split, QUICK), GroupDRO(eta=0.1)
    method.setup(context)
    batch = batch_of(split.retain, (split.retain.group == 2).nonzero().squeeze(1).tolist())
    loss = method.retain_loss(batch)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in context.model.parameters())
    assert method.q.argmax() == 2


def test_group_dros_loss_does_not_push_gradients_through_q(train, split):
    context, method = context_of(train, split, QUICK), GroupDRO(eta=2.0)
    method.setup(context)
    context.model.eval()
    batch = batch_of(split.retain, range(20))
    method.retain_loss(batch).backward()
    found, q = context.model.head.weight.grad.clone(), method.q.clone()
    context.model.zero_grad()
    ce = cross_entropy(context.model(batch.x), batch.y, reduction="none")
    sum(q[g] * ce[batch.group == g].mean() for g in batch.group.unique()).backward()
    torch.testing.assert_close(found, context.model.head.weight.grad)


def test_group_dro_starts_each_run_with_even_q_and_draws_balanced_batches(train, split):
    method = GroupDRO(eta=1.0)
    method.setup(context_of(train, split, QUICK))
    method.retain_loss(batch_of(split.retain, range(10)))
    method.setup(context_of(train, split, QUICK))
    assert method.q.tolist() == [0.25] * 4
    weights = method.sampling_weights()
    totals = torch.zeros(4).index_add_(0, split.retain.group, weights)
    np.testing.assert_allclose(totals, [0.25] * 4, atol=1e-6)


@pytest.mark.parametrize("eta", [-0.1, math.nan, "big"])
def test_group_dro_refuses_a_bad_step_size(eta):
    with pytest.raises(ValueError, match="eta must be"):
        GroupDRO(eta=eta)


# --- MIU ----------------------------------------------------------------------------------------------------


def prepared(train, split, first_updates=5, **settings):
    """MIU after its tuning of epoch 1, on a model that differs from the original."""
    method = MIU(mine_hidden=8, first_updates=first_updates, later_updates=2, mine_lr=0.01, **settings)
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=2))
    method.setup(context)
    method.before_epoch(0)
    context.model.train()
    return method, context


def draw_again(context, method, group):
    """The g_bar that the next loss will draw."""
    rng = torch.Generator()
    rng.set_state(context.rng.get_state())
    return draw_group_bar(method.chosen.group_bar, group, 4, rng)


@pytest.mark.parametrize("group_bar", ["exact", "uniform", "shuffle"])
def test_mius_forget_loss_is_the_bound_on_the_forget_features(train, split, group_bar):
    method, context = prepared(train, split, group_bar=group_bar)
    batch = batch_of(split.forget, range(6))
    g_bar = draw_again(context, method, batch.group)
    found = method.forget_loss(batch)
    expected = dv_bound(method.mi.mine, context.model.features(batch.x), batch.group, g_bar)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("group_bar", ["exact", "uniform", "shuffle"])
def test_mius_retain_loss_is_cross_entropy_plus_lambda_times_the_squared_difference(train, split, group_bar):
    method, context = prepared(train, split, lam=3.0, group_bar=group_bar)
    batch = batch_of(split.retain, [5, 1, 30, 44, 17, 60, 61, 62])
    g_bar = draw_again(context, method, batch.group)
    found = method.retain_loss(batch)
    z, z_o = context.model.features(batch.x), context.original.features(batch.x)
    now, before = (
        dv_bound(method.mi.mine, z, batch.group, g_bar),
        dv_bound(method.mi_o.mine, z_o, batch.group, g_bar),
    )
    expected = cross_entropy(context.model.head(z), batch.y) + 3.0 * (now - before) ** 2
    torch.testing.assert_close(found, expected)
    assert abs(now - before) > 1e-3  # else lambda would not matter


def test_mius_terms_can_be_switched_off_one_by_one(train, split):
    rows = [5, 1, 30, 44, 17, 60, 61, 62]
    both, calibration, retaining = (
        prepared(train, split, lam=3.0, **off)[0].retain_loss(batch_of(split.retain, rows)).item()
        for off in ({}, {"retaining": False}, {"calibration": False}))
    _, context = prepared(train, split, calibration=False)
    batch = batch_of(split.retain, rows)
    assert retaining == pytest.approx(cross_entropy(context.model(batch.x), batch.y).item(), rel=1e-5)
    assert calibration > 0
    assert both == pytest.approx(calibration + retaining, rel=1e-4)
    assert not MIU(unlearning=False, forget_epochs=5).forgets(0)
    assert [MIU(forget_epochs=5).forgets(epoch) for epoch in (0, 4, 5)] == [True, True, False]


def trained(train, split, **settings):
    method = MIU(mine_hidden=8, first_updates=5, later_updates=2, **settings)
    context, rows = context_of(train, split, QUICK, original=small_network(seed=1),
                               model=small_network(seed=1)), []
    training.train(method, context, on_epoch=lambda epoch, row: rows.append(row))
    return state_of(context.model), rows


def test_lambda_zero_is_the_same_run_as_no_calibration(train, split):
    assert same_state(trained(train, split, lam=0.0)[0], trained(train, split, calibration=False)[0])
    assert not same_state(trained(train, split, lam=0.0)[0], trained(train, split, lam=1.0)[0])


def test_without_the_unlearning_term_there_is_no_forget_pass(train, split):
    assert "forget_loss" not in trained(train, split, unlearning=False)[1][0]
    rows = trained(train, split, forget_epochs=1)[1]
    assert ["forget_loss" in row for row in rows] == [True, False]
    assert all({"mi_train", "mi_forget"} <= set(row) for row in rows)


def test_a_forget_pass_lowers_the_bound_on_the_forget_set(train, split):
    method, context = prepared(train, split, first_updates=200)
    optimizer = torch.optim.SGD(context.model.parameters(), 0.05)
    batch = batch_of(split.forget, range(6))
    losses = []
    for _ in range(20):
        loss = method.forget_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize(("setting", "said"), [
    ({"lam": -1}, "lam must be"), ({"lam": math.nan}, "lam must be"),
    ({"group_bar": "even"}, "group_bar must be one of"),
    ({"calibrate_to": "itself"}, "calibrate_to must be one of"),
    ({"forget_epochs": -1}, "forget_epochs must be"),
    ({"mine_lr": -0.1}, "mine_lr must be"), ({"mine_hidden": 0}, "mine_hidden must be"),
    ({"first_updates": 1.5}, "first_updates must be"), ({"later_updates": -1}, "later_updates must be"),
    ({"retaining": False, "calibration": False}, "both off"), ({"retaining": False, "lam": 0}, "both off"),
])
def test_miu_refuses_bad_settings(setting, said):
    with pytest.raises(ValueError, match=said):
        MIU(**setting)


def test_the_models_losses_give_mines_weights_no_gradient(train, split):
    method, context = prepared(train, split, lam=2.0)
    networks = [method.mi.mine, method.mi_o.mine]
    for network in networks:
        network.zero_grad(set_to_none=True)
    method.forget_loss(batch_of(split.forget, range(6))).backward()
    method.retain_loss(batch_of(split.retain, range(16))).backward()
    assert all(p.grad is None for network in networks for p in network.parameters())
    assert all(p.grad is not None for p in context.model.parameters())
    assert all(p.grad is None for p in context.original.parameters())


def test_a_run_leaves_the_original_and_its_statistics_as_they_were(train, split):
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=1))
    before = state_of(context.original)
    training.train(MIU(mine_hidden=8, first_updates=5, later_updates=2), context)
    assert same_state(before, state_of(context.original))
    assert not same_state(before, state_of(context.model))


def test_tuning_the_estimators_changes_nothing_in_the_model(train, split):
    method = MIU(mine_hidden=8, first_updates=5, later_updates=2)
    context = context_of(train, split, QUICK, original=small_network(seed=1),
                         model=small_network(seed=2).train())
    before = state_of(context.model)
    method.setup(context)
    for epoch in range(2):
        method.before_epoch(epoch)
    assert same_state(before, state_of(context.model))  # BatchNorm's statistics and counters included
    assert context.model.training


def fitted_on(monkeypatch, train, split, **settings):
    """The features that each estimator was given, and those of both models."""
    method = MIU(mine_hidden=8, first_updates=5, later_updates=2, **settings)
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=2))
    method.setup(context)
    seen = {}
    for which in ("mi", "mi_o"):
        estimator = getattr(method, which)

        def noting_fit(z, group, steps, which=which, fit=estimator.fit):
            seen[which] = (z, group, steps)
            return fit(z, group, steps)

        monkeypatch.setattr(estimator, "fit", noting_fit)
    method.before_epoch(0)
    assert [v[2] for v in seen.values()] == [5, 5]
    features = {"model": predict(context.model.features, context.model, train.x),
                "original": predict(context.original.features, context.original, train.x)}
    method.before_epoch(1)
    assert [v[2] for v in seen.values()] == [2, 2]
    return seen, features


@pytest.mark.parametrize(("calibrate_to", "expected"), [("original", "original"), ("unlearned", "model")])
def test_the_originals_estimator_is_fitted_to_the_features_that_the_setting_names(
        monkeypatch, train, split, calibrate_to, expected):
    seen, features = fitted_on(monkeypatch, train, split, calibrate_to=calibrate_to)
    for which, whose in (("mi", "model"), ("mi_o", expected)):
        z, group, _ = seen[which]
        distance = torch.cdist(z, features[whose], compute_mode="donot_use_mm_for_euclid_dist")
        rows = distance.argmin(1)
        assert distance.amin(1).max() < 1e-5
        assert torch.equal(train.group[rows], group)  # and each with its own group


def test_without_calibration_the_original_is_never_asked(monkeypatch, train, split):
    assert set(fitted_on_without_calibration(monkeypatch, train, split)) == {"mi"}


def fitted_on_without_calibration(monkeypatch, train, split):
    method = MIU(mine_hidden=8, first_updates=5, later_updates=2, calibration=False)
    context = context_of(train, split, QUICK, model=small_network(seed=2))
    method.setup(context)
    seen = []
    for which in ("mi", "mi_o"):
        monkeypatch.setattr(getattr(method, which), "fit", lambda *_, which=which: seen.append(which))
    method.before_epoch(0)
    return seen


def test_the_two_estimators_share_neither_network_nor_moving_average(train, split):
    method, _ = prepared(train, split)
    assert method.mi.mine is not method.mi_o.mine
    assert method.mi.mine.log_partition != method.mi_o.mine.log_partition


def test_miu_trains_where_the_forgotten_group_has_vanished(train):
    split = split_forget(train, 1.0, [(1, 1)])
    assert not (split.retain.group == 3).any()
    state, rows = trained(train, split)
    assert all("forget_loss" in row for row in rows)
    assert all(v.isfinite().all() for v in state.values())
    assert not same_state(state, state_of(small_network(seed=1)))


def test_miu_is_shown_augmented_pictures_in_both_passes():
    flat = toy([[40, 20], [20, 12]], n_features=16)
    train = replace(flat, x=flat.x.reshape(-1, 1, 4, 4))
    split, shown = split_forget(train, 0.5, [(1, 1)]), {}

    class Watched(MIU):
        def forget_loss(self, batch):
            shown.setdefault("forget", []).append((batch.x, split.forget.x[batch.index]))
            return super().forget_loss(batch)

        def retain_loss(self, batch):
            shown.setdefault("retain", []).append((batch.x, split.retain.x[batch.index]))
            return super().retain_loss(batch)

    models = [small_network(16), small_network(16)]
    for model in models:
        model.backbone.insert(0, nn.Flatten())
    recipe = replace(QUICK, augment=True)
    context = context_of(train, split, recipe, original=models[0], model=models[1])
    training.train(Watched(mine_hidden=8, first_updates=5, later_updates=2), context)
    for pairs in shown.values():
        seen, stored = map(torch.cat, zip(*pairs, strict=True))
        assert seen.shape == stored.shape
        assert not torch.equal(seen, stored)
        assert set(seen.unique().tolist()) <= set(stored.unique().tolist())  # moved, and no value made up
    assert shown.keys() == {"forget", "retain"}
    assert all(v.isfinite().all() for v in state_of(context.model).values())


def test_weights_by_hand_are_those_of_the_groups_in_proportion(train, split):
    method = ByHand(group_weights=(1.0, 2.0, 3.0, 4.0))
    method.setup(context_of(train, split, Recipe(epochs=1)))
    weights = method.sampling_weights()
    assert weights.sum().item() == pytest.approx(1)
    assert torch.allclose(weights / weights[split.retain.group == 0][0], split.retain.group + 1.0)
