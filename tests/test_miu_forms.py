"""MIU's forms: the released one against a run of the released code, and what each choice does.

`miu_trace.json` is that run: a small network on 40 samples, every draw and every evaluation of a bound in the
order in which they came. Only what is random is taken from it here: batches, g_bar, starting weights.
"""

import copy
import json
from dataclasses import asdict, fields, replace
from itertools import chain, product

import numpy as np
import pytest
import torch
from conftest import TESTS, context_of, same_state, small_network, state_of
from torch import nn
from torch.nn.functional import cross_entropy

from grmu import methods, mine, training
from grmu.data import ForgetSplit, GroupedDataset
from grmu.methods import MIU, miu_features
from grmu.methods.miu_forms import FORMS, Form
from grmu.mine import MINE, Estimator, dv_bound
from grmu.models import Classifier
from grmu.runs import Experiment
from grmu.training import Batch, Recipe, predict

TRACE = json.loads((TESTS / "miu_trace.json").read_text())
QUICK = Recipe(epochs=2, lr=0.05, batch_size=16)


# --- the released code --------------------------------------------------------------------------------------


def put(network, first, scales, shifts=(0,) * 6):
    """Starting weights of the trace: shift + scale * sin(first + 0.7 i), computed in 64 bits."""
    with torch.no_grad():
        for k, (p, scale, shift) in enumerate(zip(network.parameters(), scales, shifts, strict=False)):
            i = torch.arange(p.numel(), dtype=torch.float64)
            p.copy_((shift + scale * (first + k + 0.7 * i).sin()).view_as(p))
    return network


def loaders(retained):
    """The rows of each epoch of a loader, for the sets of 40, 4 and 36 samples, in place of `draw_epoch`."""
    left = iter(TRACE["train_batches"])
    tuning = [[next(left) for _ in range(steps)] for steps in (101, 11, 11)]
    # each tuning begins an epoch of the loader, and ends in the middle of one
    train = [part[i:i + 5] for part in tuning for i in range(0, len(part), 5)]
    retain = [TRACE["retain_batches"][i:i + 5] for i in (0, 5, 10)]
    sets = {40: (range(40), train), 4: (TRACE["forget"], [[b] for b in TRACE["forget_batches"]]),
            36: (retained.tolist(), retain)}
    orders = {n: iter([torch.tensor([list(rows).index(row) for row in chain(*epoch)]) for epoch in epochs])
              for n, (rows, epochs) in sets.items()}
    return lambda n, weights, rng: next(orders[n])


def bars():
    """Every g_bar in its order, in place of `draw_group_bar`; readings for the curves get any."""
    tuning, passes, order = iter(TRACE["tune_bar"]), iter(TRACE["pass_bar"]), []
    for steps, n_batches in ((101, 6), (11, 6), (11, 5)):
        order += [next(tuning) for _ in range(steps)] + [None] * 2 + [next(passes) for _ in range(n_batches)]
    left = iter(order)

    def draw(how, group, n_groups, rng):
        assert how == "uniform"
        drawn = next(left)
        return torch.zeros_like(group) if drawn is None else torch.tensor(drawn)

    return draw


def follow(**choices):
    """The released form on the trace's data and draws: the method, and its evaluations in their order."""
    with pytest.MonkeyPatch.context() as patch:
        said, chosen = [], TRACE["settings"]
        train = GroupedDataset(torch.tensor(TRACE["x"]), TRACE["y"], TRACE["a"])
        forgotten = torch.tensor(TRACE["forget"])
        retained = torch.tensor([i for i in range(40) if i not in TRACE["forget"]])
        split = ForgetSplit(train.subset(retained), train.subset(forgotten), forgotten, retained)
        patch.setattr(training, "draw_epoch", loaders(retained))
        patch.setattr(mine, "draw_group_bar", bars())
        patch.setattr(miu_features, "MINE",
                      lambda *sizes, seed: put(MINE(*sizes), 20 + 10 * seed, [0.05] * 4))
        method = methods.get("miu")(form="released", **{name: chosen[name] for name in (
            "forget_epochs", "mine_lr", "lam", "first_updates", "later_updates")} | choices)

        def noting(function):
            def noted(self, z, group, group_bar=None):
                bound = function(self, z, group, group_bar)
                said.append(("psi" if self is method.mi else "psi_o", bound.item(),
                             self.mine.log_partition.exp().item()))
                return bound

            return noted

        for name in ("update", "bound"):
            patch.setattr(Estimator, name, noting(getattr(Estimator, name)))
        backbone = nn.Sequential(nn.Linear(6, 512), nn.BatchNorm1d(512), nn.ReLU())
        original = put(Classifier(backbone, 512, 2), 1, (0.3, 0.1, 0.1, 0.1, 0.3, 0.1), (0, 0, 1, 0, 0, 0))
        recipe = Recipe(schedule="constant", **{name: chosen[name] for name in (
            "epochs", "batch_size", "lr", "momentum", "weight_decay")})
        context = context_of(train, split, recipe, original=original, model=copy.deepcopy(original))
        training.train(method, context)
    return method, said


@pytest.fixture(scope="module")
def followed():
    return follow()


def test_the_released_form_evaluates_the_same_bounds_as_the_released_code(followed):
    said, expected = followed[1], TRACE["values"]
    assert len(expected) == 278
    assert [name for name, _, _ in said] == [value["of"] for value in expected]
    for i, name in ((1, "bound"), (2, "average")):
        np.testing.assert_allclose([values[i] for values in said], [value[name] for value in expected],
                                   rtol=0, atol=1e-4)


def test_the_released_form_ends_with_the_weights_of_the_released_code(followed):
    method, end = followed[0], TRACE["end"]
    for network, name in ((method.model, "model"), (method.mi.mine, "psi"), (method.mi_o.mine, "psi_o")):
        assert len(list(network.parameters())) == len(end[name])
        for p, expected in zip(network.parameters(), end[name].values(), strict=True):
            assert p.norm().item() == pytest.approx(expected["norm"], abs=1e-4)
            np.testing.assert_allclose(p.detach().flatten()[:6], expected["first"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(method.model.backbone[1].running_mean[:6], end["batchnorm_mean_first"],
                               rtol=0, atol=1e-4)


@pytest.mark.parametrize("other", [
    {"calibrate_to": "original"}, {"mine_momentum": 0.0}, {"mine_optimizer": "adam", "mine_momentum": 0.0},
    {"mine_ema": 0.05}, {"ema_in_passes": False}, {"own_start": False}])
def test_the_trace_tells_each_choice_from_the_other(followed, other):
    said = [bound for name, bound, _ in follow(**other)[1]]
    expected = [value["bound"] for value in TRACE["values"]]
    assert np.abs(np.subtract(said, expected)).max() > 1e-3


# --- the forms ----------------------------------------------------------------------------------------------


def test_the_forms_differ_as_their_sources_do():
    assert Form() == FORMS["steady"]  # so that runs that name no form are those of before
    paper, released = asdict(FORMS["paper"]), asdict(FORMS["released"])
    differ = {name for name in paper if paper[name] != released[name]}
    assert differ == {"calibrate_to", "retune_target", "extra_update"}


def test_a_method_has_the_choices_of_its_form_but_those_that_are_asked_for():
    assert (MIU().form, MIU().chosen) == ("steady", FORMS["steady"])
    for name, form in FORMS.items():
        assert MIU(form=name).chosen == form
        method = MIU(form=name, group_bar="shuffle", retune_target=False)
        assert method.chosen == replace(form, group_bar="shuffle", retune_target=False)
        assert (method.group_bar, method.mine_ema) == ("shuffle", None)  # as they were asked for
        found = Experiment(overrides={"form": name, "group_bar": "shuffle", "retune_target": False})
        assert found.settings.items() >= asdict(method.chosen).items()


def test_forms_leave_no_trace_in_the_names_of_runs_without_one():
    e = Experiment(method="miu", reweight=True, ratio=0.5, seed=0)
    assert e.id == "0bdee931c38da1fd9cbc"  # as before there were forms
    assert not {"form", "mine_ema", "own_start"} & e.describe()["settings"].keys()
    named = e.describe()["settings"]
    for same in ({"form": "steady"}, asdict(Form()), {"mine_optimizer": "adam"}, {"group_bar": None}):
        assert replace(e, overrides=same).id == e.id
    for name in ("paper", "released"):
        other = replace(e, overrides={"form": name})
        assert other.describe()["settings"].items() >= {"form": name, **asdict(FORMS[name])}.items() - {
            (f.name, f.default) for f in fields(Form)}
        assert replace(other, overrides={"form": name, **asdict(FORMS[name])}).id == other.id
    changed = [{"mine_momentum": 0.5, "mine_optimizer": "sgd"}, {"mine_ema": 0.5}, {"own_start": True},
               {"ema_in_passes": True}, {"tune_on": "batches"}, {"target_on": "batch"},
               {"retune_target": False}, {"extra_update": True}, {"form": "paper"}, {"form": "released"}]
    assert len({replace(e, overrides=o).id for o in [{}, *changed]}) == len(changed) + 1
    assert named == e.describe()["settings"]


@pytest.mark.parametrize(("setting", "said"), [
    ({"form": "published"}, "form must be one of steady, paper, released, but is 'published'"),
    ({"form": None}, "form must be one of steady, paper, released, but is None"),
    ({"form": "paper", "mine_optimizer": "lbfgs"}, "mine_optimizer must be one of adam, sgd, but is 'lbfgs'"),
    ({"form": "released", "mine_optimizer": "adam"},
     "mine_momentum must be 0 where .* 'adam', but form 'released' has 0.9"),
    ({"mine_momentum": 0.5}, "mine_momentum must be 0 where .* 'adam', but form 'steady' has 0.5"),
    ({"mine_momentum": 1}, "mine_momentum must be a number from 0 to 0.9999, but is 1"),
    ({"mine_ema": 0}, "mine_ema must be a number from 1e-06 to 1, but is 0"),
    ({"ema_in_passes": "yes"}, "ema_in_passes must be one of False, True, but is 'yes'"),
    ({"tune_on": "loader"}, "tune_on must be one of stored, batches, but is 'loader'"),
    ({"target_on": "batches"}, "target_on must be one of stored, batch, but is 'batches'"),
    ({"retune_target": 1}, "retune_target must be one of"), ({"own_start": "no"}, "own_start must be one of"),
    ({"extra_update": 1}, "extra_update must be one of"),
    ({"form": "released", "calibration": False}, "lam must be 0 in form 'released' where .* off, but is 1.0"),
])
def test_what_no_form_can_be_is_refused(setting, said):
    with pytest.raises(ValueError, match=said):
        MIU(**setting)
    with pytest.raises(ValueError, match=said):
        Experiment(method="miu", overrides={"lam": 1.0} | setting)


# --- what the choices do ------------------------------------------------------------------------------------


def prepared(train, split, epochs=1, **settings):
    """MIU after its first tunings, on a model that differs from the original."""
    method = MIU(**{"mine_hidden": 8, "first_updates": 5, "later_updates": 2} | settings)
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=2))
    method.setup(context)
    for epoch in range(epochs):
        method.before_epoch(epoch)
    context.model.train()
    return method


def batch_of(dataset, rows, moved=0.0):
    """A batch whose samples are moved, as augmentation does."""
    index = torch.tensor(rows)
    return Batch(dataset.x[index] + moved, dataset.y[index], dataset.group[index], index)


def tuned(monkeypatch, train, split, **settings):
    """The method, and of both estimators the features, groups and g_bars of every update."""
    seen, function = {}, Estimator.update

    def noting(self, z, group, group_bar=None):
        seen.setdefault(self, []).append((z, group, group_bar))
        return function(self, z, group, group_bar)

    monkeypatch.setattr(Estimator, "update", noting)
    method = prepared(train, split, epochs=2, **settings)
    return method, seen.get(method.mi, []), seen.get(method.mi_o, [])


@pytest.mark.parametrize("form", FORMS)
def test_only_tuning_in_train_mode_moves_batchnorms_statistics(train, split, form):
    for tune_on in ("stored", "batches"):
        method = prepared(train, split, form=form, tune_on=tune_on)
        before = state_of(small_network(seed=2)), state_of(small_network(seed=1))
        moved = [k for k, v in state_of(method.model).items() if not torch.equal(v, before[0][k])]
        statistics = ["running_mean", "running_var", "num_batches_tracked"]
        assert moved == ([f"backbone.1.{name}" for name in statistics] if tune_on == "batches" else [])
        assert same_state(state_of(method.original), before[1])


def test_batches_are_those_of_a_loader_and_both_networks_see_the_same(monkeypatch, train, split):
    _, psi, psi_o = tuned(monkeypatch, train, split, form="released")
    assert len(psi) == len(psi_o) == 5 + 1 + 2 + 1
    assert [len(group) for _, group, _ in psi] == [16] * 5 + [12] + [16] * 3  # 92 samples, then a new epoch
    counts = sum(torch.bincount(group, minlength=4) for _, group, _ in psi[:6])
    assert torch.equal(counts, train.group_counts())
    for (z, group, bar), (z_o, group_o, bar_o) in zip(psi, psi_o, strict=True):
        assert z is z_o
        assert group is group_o
        assert bar is bar_o


def test_psi_o_sees_the_originals_features_of_the_same_batches_once(monkeypatch, train, split):
    method, psi, psi_o = tuned(monkeypatch, train, split, form="paper")
    assert (len(psi), len(psi_o)) == (5 + 2, 5)
    stored = predict(method.original.features, method.original, train.x)
    for (z, group, bar), (z_o, _, bar_o) in zip(psi, psi_o, strict=False):
        assert not torch.equal(z, z_o)
        assert bar is bar_o
        rows = torch.cdist(z_o, stored).argmin(1)
        torch.testing.assert_close(z_o, stored[rows])
        assert torch.equal(group, train.group[rows])


@pytest.mark.parametrize("form", FORMS)
def test_psi_o_is_tuned_again_only_if_the_choice_says_so(train, split, form):
    for again in (False, True):
        once, twice = (prepared(train, split, epochs, form=form, retune_target=again) for epochs in (1, 2))
        assert same_state(state_of(once.mi_o.mine), state_of(twice.mi_o.mine)) != again
        assert not same_state(state_of(once.mi.mine), state_of(twice.mi.mine))


@pytest.mark.parametrize("form", FORMS)
def test_an_update_more_is_one_more(monkeypatch, train, split, form):
    for extra in (False, True):
        with monkeypatch.context() as patch:
            _, psi, _ = tuned(patch, train, split, form=form, extra_update=extra)
        assert len(psi) == 5 + 2 + 2 * extra


@pytest.mark.parametrize("form", FORMS)
def test_without_updates_nothing_is_tuned(monkeypatch, train, split, form):
    settings = {"form": form, "first_updates": 0, "later_updates": 0, "extra_update": False}
    assert tuned(monkeypatch, train, split, **settings)[1:] == ([], [])


@pytest.mark.parametrize("form", FORMS)
def test_the_networks_start_alike_or_apart(train, split, form):
    for apart in (False, True):
        method = prepared(train, split, epochs=0, form=form, own_start=apart)
        assert same_state(*({k: v for k, v in state_of(e.mine).items() if k != "log_partition"}
                            for e in (method.mi, method.mi_o))) != apart


@pytest.mark.parametrize("target_on", ["stored", "batch"])
@pytest.mark.parametrize("group_bar", ["exact", "uniform"])
def test_the_target_is_of_stored_samples_or_of_those_that_are_shown(train, split, target_on, group_bar):
    method = prepared(train, split, lam=3.0, target_on=target_on, group_bar=group_bar)
    batch = batch_of(split.retain, [5, 1, 30, 44, 17, 60, 61, 62], moved=0.5)
    rng = torch.Generator()
    rng.set_state(method.context.rng.get_state())
    bar = mine.draw_group_bar(group_bar, batch.group, 4, rng)
    found = method.retain_loss(batch)
    shown = batch.x if target_on == "batch" else split.retain.x[batch.index]
    z = method.model.features(batch.x)
    now = dv_bound(method.mi.mine, z, batch.group, bar)
    target = dv_bound(method.mi_o.mine, method.original.features(shown), batch.group, bar)
    expected = cross_entropy(method.model.head(z), batch.y) + 3.0 * (now - target) ** 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_passes_move_the_averages_only_if_the_choice_says_so(train, split, form):
    for in_passes in (False, True):
        method = prepared(train, split, form=form, ema_in_passes=in_passes, target_on="batch")

        def averages(method=method):
            return [e.mine.log_partition.item() for e in (method.mi, method.mi_o)]

        start = averages()
        method.forget_loss(batch_of(split.forget, range(6)))
        forgotten = averages()
        method.retain_loss(batch_of(split.retain, range(16)))
        assert [a != b for a, b in zip(start, forgotten, strict=True)] == [in_passes, False]
        assert [a != b for a, b in zip(forgotten, averages(), strict=True)] == [in_passes, in_passes]


@pytest.mark.parametrize("form", FORMS)
def test_what_the_passes_leave_for_mine_to_learn_is_nothing(train, split, form):
    method = prepared(train, split, form=form)
    networks = [method.mi.mine, method.mi_o.mine]
    for network in networks:
        network.zero_grad(set_to_none=True)
    method.forget_loss(batch_of(split.forget, range(6))).backward()
    method.retain_loss(batch_of(split.retain, range(16))).backward()
    assert all(p.grad is None for network in [*networks, method.original] for p in network.parameters())
    assert all(p.grad is not None for p in method.model.parameters())


# --- whole runs ---------------------------------------------------------------------------------------------


def trained(train, split, seed=5, original=1, **settings):
    method = MIU(**{"mine_hidden": 8, "first_updates": 5, "later_updates": 2} | settings)
    context = context_of(train, split, QUICK, seed, small_network(seed=1) if original else None,
                         small_network(seed=1))
    torch.manual_seed(len(settings))  # a global state that no run looks at
    training.train(method, context)
    return state_of(context.model)


@pytest.mark.parametrize("form", FORMS)
def test_a_run_of_a_form_is_a_function_of_its_seed(train, split, form):
    one = trained(train, split, form=form)
    assert same_state(one, trained(train, split, form=form, mine_ema=FORMS[form].mine_ema))
    assert not same_state(one, trained(train, split, 6, form=form))


@pytest.mark.parametrize("form", FORMS)
def test_without_calibration_the_original_is_never_asked(train, split, form):
    alone = trained(train, split, original=None, form=form, lam=0)
    assert same_state(alone, trained(train, split, form=form, lam=0, calibration=False))


def test_every_cell_of_a_factorial_is_a_run_of_its_own(train, split):
    axes = {"calibrate_to": ("original", "unlearned"), "group_bar": ("exact", "uniform"),
            "target_on": ("stored", "batch"), "lam": (1.0, 5.0), "unlearning": (True, False)}
    for form in FORMS:
        cells = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        ends = [trained(train, split, form=form, **cell) for cell in cells]
        assert all(v.isfinite().all() for end in ends for v in end.values())
        ids = {Experiment(method="miu", overrides={"form": form, **cell}).id for cell in cells}
        assert len(ids) == 32
