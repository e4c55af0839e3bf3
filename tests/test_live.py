"""Test live runs: starting, stopping, a second press, controls that move during a run, and errors."""

import json
import threading

import numpy as np
import pytest

from grmu import Experiment, widgets
from grmu.experiments import run
from grmu.widgets import model_changes
from grmu.widgets.live import finite
from grmu.widgets.work import Work

SHORT = {"epochs": 2}


@pytest.fixture(scope="module")
def original(few_pictures, store):
    return run(Experiment(method="pretrain"), store)


@pytest.fixture
def live(original, store):
    """A live run of fine-tuning for two epochs on a few pictures."""
    return widgets.Live(lambda: Experiment(method="finetune", overrides=SHORT), store=store)


class Gate:
    """A callback that holds a run at the end of an epoch until it is opened."""

    def __init__(self, monkeypatch):
        self.reached, self.open = threading.Event(), threading.Event()
        step = Work.step

        def held(this, number):
            self.reached.set()
            assert self.open.wait(600)
            step(this, number)

        monkeypatch.setattr(Work, "step", held)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


def test_a_run_begins_with_pretrains_point_grows_curves_and_ends_with_its_result(live, original):
    states, drawings = [], []
    live.view.observe(lambda change: states.append(change["new"]), names="run")
    live.view.observe(lambda change: drawings.append(change["new"]), names="own")
    live.view._handle_custom_msg("press", [])  # the module's button
    live.wait(600)
    assert live.error is None
    assert [len(own["epochs"]) for own in drawings] == [1, 2, 3, 3]
    assert live.rows[0] == {"epoch": 0} | {name: original.metrics[name] for name in ("TA", "GA", "UA")}
    assert [row["epoch"] for row in live.rows] == [0, 1, 2]
    assert drawings[-1]["metrics"] == live.result.metrics
    assert drawings[-1]["of"] == 2
    progress = [state for state in states if "Training finetune" in state["sentence"] and state["step"]]
    assert [(state["step"], state["of"]) for state in progress] == [(1, 2), (2, 2)]
    assert "Done in" in states[-1]["sentence"]
    assert [states[0]["busy"], states[-1]["busy"]] == [True, False]
    assert live.result.metrics == run(live.result.experiment, live.store).metrics
    assert json.loads(json.dumps(live.view.own, allow_nan=False)) == live.view.own


def test_what_is_not_finite_is_not_drawn():
    row = {"epoch": 1, "GA": float("nan"), "UA": 0.5, "loss": float("inf")}
    assert finite(row) == {"epoch": 1, "UA": 0.5}


def test_two_runs_follow_each_other_and_a_second_press_starts_none(live, store, gate):
    other = widgets.Live(lambda: Experiment(method="finetune", overrides={"epochs": 1}), store=store)
    live.press()  # returns at once, whatever the run waits for
    assert gate.reached.wait(600)
    assert live.view.run["busy"]
    live.press()
    other.press()
    assert "Waiting for another run" in other.view.run["sentence"]
    gate.open.set()
    other.wait(600)
    assert not live.running  # it was first
    assert live.result is not None
    assert other.result is not None
    assert len(live.rows) == 3


def test_stop_ends_it_and_it_can_be_started_again(live, gate):
    live.press()
    assert gate.reached.wait(600)
    live.view._handle_custom_msg("stop", [])
    gate.open.set()
    live.wait(600)
    assert live.result is None
    assert live.error is None
    assert "Stopped after 0 of 2" in live.view.run["sentence"]
    assert not live.view.run["failed"]
    live.press()
    live.wait(600)
    assert live.result is not None


@pytest.mark.parametrize(("settings", "said"), [
    ({"overrides": {"lr": 100.0, "weight_decay": 1.0, "epochs": 30}}, "FloatingPointError: "),
    ({"ratio": 7}, "ValueError: ratio must")])
def test_an_error_is_shown(original, store, settings, said):
    live = widgets.Live(lambda: Experiment(**{"method": "finetune"} | settings), store=store)
    live.press()
    live.wait(600)
    assert live.view.run["sentence"].startswith(said)
    assert (live.view.run["failed"], live.view.run["busy"]) == (True, False)


def test_the_explorer_trains_the_setting_of_the_press_and_shows_what_changed(original, store, gate):
    shown = widgets.explore(store=store)
    shown.view.choice = shown.view.choice | {"method": "finetune", "ratio": 0.45}
    shown.live.press()
    assert gate.reached.wait(600)
    shown.view.choice = shown.view.choice | {"ratio": 0.9}
    gate.open.set()
    shown.live.wait(600)
    assert shown.live.error is None
    e = shown.live.result.experiment
    assert (e.method, e.reweight, e.ratio, e.seed) == ("finetune", True, 0.45, 0)
    assert shown.view.own["choice"]["ratio"] == 0.45  # the module draws it only there
    assert shown.view.own["groups"] == shown.live.result.by_group()
    assert shown.model_changes.box.layout.display is None
    pictures = set()
    for view in shown.model_changes.view.options:
        shown.model_changes.view.value = view
        assert not shown.model_changes.message.value
        pictures.add(bytes(shown.model_changes.picture.value))
    assert len(pictures) == 2


def test_answers_are_those_of_the_two_models_the_largest_change_first(original, store):
    result = run(Experiment(method="gradient_ascent", ratio=0.5), store)
    before, after, test = original.model, result.model, result.experiment.load().test
    table = model_changes.answers(before, after, test)
    assert (table.after - table.before).abs().is_monotonic_decreasing
    index, x = table.index.to_numpy(), test.x[:]
    for model, found in ((before, table.before), (after, table.after)):
        expected = model(x).softmax(1)[range(len(test)), test.y].detach().numpy()
        assert np.allclose(found, expected[index], atol=1e-5)
    assert table.right.tolist() == (after(x).argmax(1) == test.y)[index].tolist()
    assert table.changed.tolist() == (before(x).argmax(1) != after(x).argmax(1))[index].tolist()
