"""The ensembles are the loop in another form: the same logits, the same weights after training, and no model touches another."""

import copy
import re

import numpy as np
import pytest
import torch
from conftest import same_state, small_network, state_of

from grmu import bench, bench_ensemble, data, models
from grmu.bench_ensemble import WAYS, Loop
from grmu.models import Network
from grmu.training import Recipe

K, STEPS, RECIPE = 3, 3, Recipe(batch_size=32)
TOGETHER = [name for name, make in WAYS.items() if make is not Loop]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def train(few_pictures):
    return data.load("groundwear").train


@pytest.fixture(scope="module")
def given(train):
    """Models of different seeds, moved off BatchNorm's first statistics and scales, which are the same for all."""
    networks = [models.build(Network(), train, seed) for seed in range(K)]
    loop = Loop(networks, RECIPE)
    for x, y in drawn(train, 2, seed=1):
        loop.step(x, y)
    return loop.models


def drawn(train, n_steps, seed=0):
    """A batch of its own for each model, step by step: (x, y), (K, B, ...)."""
    rows = torch.randint(len(train), (n_steps, K, RECIPE.batch_size), generator=torch.Generator().manual_seed(seed))
    return [(train.x[index], train.y[index]) for index in rows]


def states_after(way, steps):
    """Copies of all models' weights and buffers once those steps are done."""
    for x, y in steps:
        way.step(x, y)
    return [{name: value.clone() for name, value in way.state(k).items()} for k in range(K)]


def furthest(one, other):
    """The largest difference of any weight or statistic."""
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize("name", TOGETHER)
def test_an_ensemble_gives_every_model_s_own_logits_in_training_mode(name, given, train):
    ((x, _),) = drawn(train, 1)
    with torch.no_grad():
        together, alone = WAYS[name](given, RECIPE).logits(x), Loop(given, RECIPE).logits(x)
    assert together.shape == (K, RECIPE.batch_size, train.n_classes)
    torch.testing.assert_close(together, alone, **TOLERANCE)
    assert (together[0] - together[1]).abs().max() > 0.1  # or the order of the models would not show


@pytest.mark.parametrize("name", TOGETHER)
def test_three_steps_together_leave_the_weights_and_statistics_of_three_steps_alone(name, given, train):
    steps = drawn(train, STEPS)
    together, alone = (states_after(WAYS[way](given, RECIPE), steps) for way in (name, "one after the other"))
    for k, (ours, theirs) in enumerate(zip(together, alone, strict=True)):
        assert set(ours) == set(theirs) == set(given[k].state_dict())
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, **TOLERANCE, msg=lambda text, key=key: f"{key}: {text}")
        before = given[k].state_dict()
        for key in ("backbone.0.weight", "head.weight", "backbone.4.bias", "backbone.7.running_mean"):
            assert (ours[key] - before[key]).abs().max() > 1e-3, key  # or standing still would pass
        assert ours["backbone.1.num_batches_tracked"] == before["backbone.1.num_batches_tracked"] + STEPS


@pytest.mark.parametrize("name", WAYS)
def test_other_samples_for_one_model_change_that_model_alone(name, given, train):
    steps = drawn(train, STEPS)
    swapped = [(x.clone(), y.clone()) for x, y in steps]
    for (x, y), (other_x, other_y) in zip(swapped, drawn(train, STEPS, seed=9), strict=True):
        x[1], y[1] = other_x[1], other_y[1]
    first, second = (states_after(WAYS[name](given, RECIPE), these) for these in (steps, swapped))
    changes = [furthest(one, other) for one, other in zip(first, second, strict=True)]
    assert max(changes[0], changes[2]) < 1e-5
    assert changes[1] > 0.01


@pytest.mark.parametrize("name", WAYS)
def test_different_models_on_the_same_samples_stay_different(name, given, train):
    steps = [(x[:1].expand_as(x), y[:1].expand_as(y)) for x, y in drawn(train, STEPS)]
    states = states_after(WAYS[name](given, RECIPE), steps)
    back = states_after(WAYS[name](given[::-1], RECIPE), steps)[::-1]
    for k in range(K):
        assert furthest(states[k], back[k]) < 1e-5
        assert furthest(states[k], states[k - 1]) > 0.1


@pytest.mark.parametrize("name", WAYS)
def test_the_models_given_and_the_random_state_stay_as_they_are(name, given, train):
    def looks():
        return [(model.training, [v.stride() for v in model.state_dict().values()]) for model in shown]

    shown = [copy.deepcopy(model).eval() for model in given]
    before, looked, random = [state_of(model) for model in shown], looks(), torch.get_rng_state()
    states_after(WAYS[name](shown, RECIPE), drawn(train, 1))
    assert all(same_state(state, state_of(model)) for state, model in zip(before, shown, strict=True))
    assert looks() == looked
    assert torch.equal(torch.get_rng_state(), random)


def test_a_network_without_a_grouped_form_is_refused_by_name():
    with pytest.raises(ValueError, match="Linear has no grouped form"):
        bench_ensemble.grouped([small_network()] * 2, RECIPE)


def test_every_way_has_a_time_a_round(few_pictures):
    took = bench_ensemble.milliseconds(2, 3, 1)
    assert list(took) == list(WAYS)
    for values in took.values():
        assert values.shape == (3,)
        assert (values > 0).all()


def test_the_command_prints_a_line_for_every_way_and_number_of_models(few_pictures, capsys, monkeypatch):
    monkeypatch.setattr(bench_ensemble, "SIZES", (2, 3))
    monkeypatch.setattr(bench_ensemble, "MODEL_STEPS", 3)
    assert bench.main(["--ensemble"]) == 0
    head, blank, titles, *lines = capsys.readouterr().out.splitlines()
    assert re.match(r"\d+ processors, load [\d.]+ before, 1 thread, torch \S+, 7 rounds", head)
    assert (blank, titles.split()[:2]) == ("", ["models", "trained"])
    numbers = r"[\d.]+ \([\d.]+ to [\d.]+\)"
    for line, (n, name) in zip(lines, [(n, name) for n in (2, 3) for name in WAYS], strict=True):
        assert re.fullmatch(rf" +{n}   {name} +{numbers} +{numbers}", line)


def test_medians_and_ratios_by_hand(capsys, monkeypatch):
    threads, seen = torch.get_num_threads(), []

    def known(n, rounds, n_steps):
        seen.append((n, rounds, n_steps, torch.get_num_threads()))
        times = [2, 4, 3], [4, 4, 9], [1, 1, 1.5]
        return dict(zip(WAYS, map(np.array, times), strict=True))

    monkeypatch.setattr(bench_ensemble, "milliseconds", known)
    try:
        torch.set_num_threads(2)
        bench_ensemble.main()
    finally:
        torch.set_num_threads(threads)
    assert seen == [(4, 7, 32, 1), (16, 7, 8, 1), (64, 7, 2, 1)]
    loop, stacked, grouped = (re.findall(r"\d\.\d\d", line) for line in capsys.readouterr().out.splitlines()[3:6])
    assert loop == ["3.00", "2.00", "4.00", "1.00", "1.00", "1.00"]
    assert stacked == ["4.00", "4.00", "9.00", "2.00", "1.00", "3.00"]  # of the same round: 4/2, 4/4, 9/3
    assert grouped == ["1.00", "1.00", "1.50", "0.50", "0.25", "0.50"]
