"""Live demos: what a press does, with everything that can go wrong: stop, a second press, moves while it
runs, errors."""

import json
import threading

import numpy as np
import pytest

from grmu import Experiment, closed_form
from grmu.experiments import run
from grmu.metrics import evaluate
from grmu.show import model_changes, plots_live, widgets
from grmu.show.alt import describe
from grmu.show.widgets import background
from grmu.show.widgets.live import finite

SHORT = {"epochs": 2}


@pytest.fixture(scope="module")
def original(few_pictures, store):
    return run(Experiment(method="pretrain"), store)


@pytest.fixture
def live(original, store):
    """A live run of fine-tuning, two epochs on a few pictures."""
    return widgets.Live(lambda: Experiment(method="finetune", overrides=SHORT), store=store)


class Gate:
    """Holds a run at the end of an epoch until it is opened."""

    def __init__(self, monkeypatch):
        self.reached, self.open = threading.Event(), threading.Event()
        step = background.Work.step

        def held(this, number):
            self.reached.set()
            assert self.open.wait(600)
            step(this, number)

        monkeypatch.setattr(background.Work, "step", held)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


# --- a live run ---------------------------------------------------------------------------------------------


def drawn(live):
    """Every state of the run that the module was told, and every drawing."""
    states, drawings = [], []
    live.view.observe(lambda change: states.append(change["new"]), names="run")
    live.view.observe(lambda change: drawings.append(change["new"]), names="own")
    return states, drawings


def test_a_run_begins_with_pretrains_point_grows_curves_and_ends_with_its_result(live, original):
    states, drawings = drawn(live)
    live.view._handle_custom_msg("press", [])  # the module's button
    live.wait(600)
    assert live.error is None
    assert [len(own["epochs"]) for own in drawings] == [1, 2, 3, 3]
    first, *rows = live.rows
    assert first == {"epoch": 0, "TA": pytest.approx(original.metrics["TA"]), "GA": pytest.approx(
        original.metrics["GA"]), "UA": pytest.approx(original.metrics["UA"])}
    assert [row["epoch"] for row in rows] == [1, 2]
    assert drawings[-1]["metrics"] == live.result.metrics
    assert drawings[-1]["of"] == 2
    assert [state["step"] for state in states if "left" in state["sentence"]] == [1, 2]
    assert "Done in" in states[-1]["sentence"]
    assert [states[0]["busy"], states[-1]["busy"]] == [True, False]
    assert live.result.metrics == run(live.result.experiment, live.store).metrics
    assert json.loads(json.dumps(live.view.own, allow_nan=False)) == live.view.own


def test_what_is_no_number_is_not_drawn():
    row = {"epoch": 1, "GA": float("nan"), "UA": 0.5, "loss": float("inf")}
    assert finite(row) == {"epoch": 1, "UA": 0.5}


def test_the_original_is_trained_first_where_the_store_lacks_it(few_pictures, tmp_path):
    live = widgets.Live(lambda: Experiment(method="finetune", overrides=SHORT), store=tmp_path)
    states, _ = drawn(live)
    live.press()
    live.wait(600)
    assert live.error is None
    said = [state["sentence"] for state in states]
    assert any(text.startswith("Training the original model first, once: 1 of") for text in said)
    assert [row["epoch"] for row in live.rows] == [0, 1, 2]


def test_pretrain_itself_has_no_point_before(original, store):
    live = widgets.Live(lambda: Experiment(method="pretrain", overrides={}), store=store)
    live.press()
    live.wait(600)
    assert live.error is None
    assert live.rows[0]["epoch"] == 1


def test_a_second_press_starts_no_second_run(live, gate):
    live.press()
    assert gate.reached.wait(600)
    assert live.view.run["busy"]
    for _ in range(3):
        live.press()
    assert background.worker().empty()
    gate.open.set()
    live.wait(600)
    assert live.result is not None


def test_two_demos_train_one_after_the_other_in_one_thread(live, original, store, gate):
    other = widgets.Live(lambda: Experiment(method="finetune", seed=0, overrides={"epochs": 1}), store=store)
    live.press()
    assert gate.reached.wait(600)
    other.press()
    assert "Waiting for another run" in other.view.run["sentence"]
    assert other.running
    gate.open.set()
    other.wait(600)
    assert not live.running  # it was first
    assert live.result is not None
    assert other.result is not None
    assert sum(thread.name == "live runs" for thread in threading.enumerate()) == 1


def test_stop_ends_it_and_it_can_be_started_again(live, gate):
    live.press()
    assert gate.reached.wait(600)
    live.view._handle_custom_msg("stop", [])
    gate.open.set()
    live.wait(600)
    assert not live.running
    assert live.result is None
    assert live.error is None
    assert "Stopped at 0 of 2" in live.view.run["sentence"]
    assert not live.view.run["failed"]
    live.press()
    live.wait(600)
    assert live.result is not None


def test_an_error_inside_a_run_is_shown(original, store):
    absurd = {"lr": 100.0, "weight_decay": 1.0, "epochs": 30}
    live = widgets.Live(lambda: Experiment(method="finetune", overrides=absurd), store=store)
    live.press()
    live.wait(600)
    assert isinstance(live.error, FloatingPointError)
    said = live.view.run
    assert said["sentence"].startswith("FloatingPointError: ")
    assert "lower lr" in said["sentence"]
    assert (said["failed"], said["busy"]) == (True, False)


def test_an_impossible_setting_is_shown_before_anything_is_trained(store):
    live = widgets.Live(lambda: Experiment(ratio=7), store=store)
    live.press()
    live.wait(600)
    assert "ratio must be in (0, 1], got 7" in live.view.run["sentence"]


def test_the_page_is_not_held_up_while_it_trains(live, gate):
    live.press()  # returns at once, whatever the run waits for
    assert live.running
    gate.open.set()
    live.wait(600)


# --- the explorer -------------------------------------------------------------------------------------------


@pytest.fixture
def shown(original, store):
    return widgets.explore(store=store)


def move(shown, **to):
    """What the module says when a control was moved."""
    shown.view.choice = shown.view.choice | to


def test_a_live_run_trains_what_the_controls_say_and_is_drawn_beside_it(shown, original):
    move(shown, method="finetune", ratio=0.45)
    shown.live.press()
    shown.live.wait(600)
    assert shown.live.error is None
    e = shown.live.result.experiment
    assert (e.method, e.reweight, e.ratio, e.seed) == ("finetune", True, 0.45, 0)
    assert shown.view.own["choice"] == shown.view.choice
    assert shown.view.own["metrics"]["GA"] == shown.live.result.metrics["GA"]
    assert shown.view.own["groups"] == shown.live.result.by_group()
    assert shown.model_changes.box.layout.display is None


def test_two_quick_changes_during_a_run_leave_it_the_run_of_its_own_setting(shown, gate):
    move(shown, method="finetune")
    shown.live.press()
    assert gate.reached.wait(600)
    for ratio in (0.3, 0.9):
        move(shown, ratio=ratio)
    gate.open.set()
    shown.live.wait(600)
    assert shown.live.result.experiment.ratio == 0.5
    assert shown.view.own["choice"]["ratio"] == 0.5  # the module draws it only there
    assert shown.view.chosen.ratio == 0.9


def test_where_no_widgets_are_a_figure_stands_for_the_explorer(shown, monkeypatch):
    said = []
    monkeypatch.setattr("grmu.show.widgets.explorer.display", lambda data, **more: said.append((data, more)))
    shown._ipython_display_()
    ((data, more),) = said
    assert data["image/png"].startswith("iVBOR")
    assert "MIU + REWEIGHT, ratio 0.5" in more["metadata"]["image/png"]["alt"]
    widgets.explore(ratio=0.45, store=shown.live.store)._ipython_display_()
    assert "image/png" not in said[1][0]
    assert "was not run so" in said[1][0]["text/plain"]


def test_a_setting_that_cannot_be_run_is_said_in_the_module(shown):
    move(shown, ratio=0)
    shown.live.press()
    shown.live.wait(600)
    assert "ratio must lie in (0, 1]" in shown.view.run["sentence"]


# --- what the model sees ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def changed(original, store):
    result = run(Experiment(method="gradient_ascent", ratio=0.5), store)
    return result, model_changes.find_changes(result, store)


def test_confidences_and_changes_are_those_of_the_two_models(changed, store):
    result, changes = changed
    before, after = run(result.experiment.original, store).model, result.model
    for part in (changes.forget, changes.test):
        x, y = part.data.x, part.data.y
        for model, found in ((before, part.before), (after, part.after)):
            expected = model(x).softmax(1)[range(len(y)), y]
            assert np.allclose(found, expected.detach(), atol=1e-5)
        assert part.changed.tolist() == (before(x).argmax(1) != after(x).argmax(1)).tolist()
        assert part.right.tolist() == (after(x).argmax(1) == y).tolist()
    assert changes.forget.before.mean() != changes.forget.after.mean()


def test_samples_that_moved_most_come_first(changed):
    answers = changed[1].test
    index = answers.most_moved(3, 5)
    moved = (answers.after - answers.before).abs()
    assert set(answers.data.group[index].tolist()) == {3}
    assert moved[index].tolist() == sorted(moved[answers.data.group == 3].tolist(), reverse=True)[:5]
    assert answers.changed[answers.most_moved(3, 50, only_changed=True)].all()


def test_features_lie_on_the_axes_of_the_first_model(changed):
    features = changed[1].features
    assert features.before.shape == features.after.shape == (100, 2)
    assert np.allclose(features.before.mean(0), 0, atol=1e-4)
    assert not np.allclose(features.after.mean(0), 0, atol=1e-3)
    assert features.before[:, 0].var() >= features.before[:, 1].var()


def test_groups_are_told_apart_where_features_give_them_away_and_at_chance_where_they_do_not():
    rng, group = np.random.default_rng(0), np.repeat(range(4), [400, 200, 100, 50])
    given_away = np.eye(4)[group] + 0.05 * rng.normal(size=(750, 4))
    assert model_changes.separability(given_away, group) == pytest.approx(1.0, abs=0.01)
    assert model_changes.separability(rng.normal(size=(750, 4)), group) == pytest.approx(0.25, abs=0.08)


def test_each_view_is_drawn_and_an_error_is_shown(changed, store):
    result, _ = changed
    seen = widgets.ModelChanges(store)
    assert seen.box.layout.display == "none"
    seen.show(result)
    pictures = set()
    for view in seen.view.options:
        seen.view.value = view
        assert seen.error is None, view
        pictures.add(bytes(seen.picture.value))
    assert len(pictures) == 3
    assert seen.box.layout.display is None
    seen.result, seen.changes = None, None
    seen.update()
    assert seen.error is not None
    assert "no run yet" in seen.message.value


# --- MINE, live ---------------------------------------------------------------------------------------------


def test_mine_finds_what_is_known(monkeypatch):
    monkeypatch.setattr("grmu.show.widgets.mine_live.UPDATES", 200)
    demo = widgets.MineLive()
    demo.press()
    demo.wait(600)
    assert demo.error is None
    assert demo.estimates[-1] == pytest.approx(demo.truth()[1], abs=0.1)
    assert demo.canvas.axes[0].lines[-1].get_ydata().tolist() == demo.estimates


@pytest.mark.parametrize(("shares", "bar", "nats", "bounded"), [
    (0, 0, 0.5, 0.5), (0, 1, 0.5, 0.5 + closed_form.from_uniform(closed_form.SHARES)), (1, 0, 0.0, 0.0),
    (1, 1, 0.0, np.log(4))])
def test_what_the_bound_can_reach_depends_on_who_is_there_and_on_the_draw(shares, bar, nats, bounded):
    demo = widgets.MineLive()
    demo.controls["shares"].value = demo.controls["shares"].options[shares]
    demo.controls["bar"].value = demo.controls["bar"].options[bar]
    assert demo.truth() == pytest.approx((nats, bounded))
    assert demo.controls["nats"].disabled is bool(shares)


def test_batch_size_average_and_draw_reach_the_estimator(monkeypatch):
    asked = []
    monkeypatch.setattr(closed_form, "estimates", lambda *a: asked.append(a) or iter([0.1]))
    demo = widgets.MineLive()
    for name, value in (("size", 16), ("ema", False), ("nats", 1.0),
                        ("bar", demo.controls["bar"].options[2])):
        demo.controls[name].value = value
    demo.press()
    demo.wait(600)
    assert asked[0][:5] == (1.0, closed_form.SHARES, "exact", 16, 1.0)


# --- REWEIGHT by hand ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tried(few_pictures, store):
    """Alpha's weights given by hand at ratio 0.5."""
    demo = widgets.ReweightByHand(ratio=0.5, store=store)
    demo.controls[3].value = 2.0
    demo.press()
    demo.wait(600)
    return demo


def test_the_proportions_follow_the_weights(few_pictures, store):
    demo = widgets.ReweightByHand(ratio=0.5, store=store)
    assert demo.shares["by hand"].tolist() == demo.shares["no weights"].tolist() == pytest.approx(
        (np.array([70, 60, 40, 12]) / 182).tolist())
    assert demo.shares["before"].tolist() == demo.shares["α (REWEIGHT)"].tolist() == pytest.approx(
        (np.array([70, 60, 40, 24]) / 194).tolist())
    before = bytes(demo.picture.value)
    demo.controls[3].value = 2.0
    assert demo.shares["by hand"].tolist() == pytest.approx(demo.shares["before"].tolist())
    assert bytes(demo.picture.value) != before


def test_the_figure_says_in_words_what_every_choice_gives_every_group():
    shares = {"before": [0.9, 0.1], "by hand": [0.6, 0.4]}
    right = {"before": [0.8, 0.7], "by hand": [0.75, 0.72]}
    said = describe(plots_live.draw_by_hand(plots_live.by_hand_canvas(1), ["many", "few"], 1, shares, right))
    for what in ("before: many 90, few 10", "by hand: many 60, few 40", "before: many 80, few 70",
                 "by hand: many 75, few 72"):
        assert what in said


def test_weights_by_hand_that_are_alphas_train_the_gold_standard(tried, store):
    assert tried.error is None
    own = run(Experiment(method="by_hand", seed=0, overrides={"group_weights": (1.0, 1.0, 1.0, 2.0)}), store)
    gold = run(tried.references["α (REWEIGHT)"], store)
    assert own.metrics == gold.metrics
    assert tried.accuracies["by hand"].tolist() == tried.accuracies["α (REWEIGHT)"].tolist()


def test_attempts_are_kept_and_compared(tried):
    (weights, distance), = tried.attempts
    assert weights == (1.0, 1.0, 1.0, 2.0)
    gaps = np.abs(tried.accuracies["by hand"] - tried.accuracies["before"])
    assert distance == pytest.approx(gaps.mean())
    assert tried.summary().count("<tr>") == 4
    assert "by hand: 1, 1, 1, 2" in tried.table.value


def test_weights_that_were_moved_on_from_are_listed_but_not_drawn(few_pictures, store, gate):
    demo = widgets.ReweightByHand(ratio=0.5, store=store)
    demo.controls[3].value = 4.0
    demo.press()
    assert gate.reached.wait(600)
    demo.controls[3].value = 8.0
    gate.open.set()
    demo.wait(600)
    assert [weights for weights, _ in demo.attempts] == [(1.0, 1.0, 1.0, 4.0)]
    assert "by hand" not in demo.accuracies
    assert demo.shares["by hand"].tolist() == demo._shares(demo.weights).tolist()


# --- the challenge ------------------------------------------------------------------------------------------


def test_runs_are_counted_scored_on_validation_data_and_revealed_at_the_end(few_pictures, store):
    game = widgets.Challenge(runs=2, store=store)
    assert game.reveal.disabled
    for lr in (0.01, 0.003):
        game.controls["lr"].value, game.controls["epochs"].value = lr, 5
        game.live.press()
        game.live.wait(600)
        assert game.live.error is None
        assert "?" in game.table.value
    assert game.controls["ratio"].disabled
    gold = game.gold()
    metrics = game.live.result.metrics
    assert game.attempts[1]["val"] == pytest.approx(100 * (abs(metrics["UA"] - gold.UA)
                                                           + abs(metrics["val_GA"] - gold.val_GA)))
    assert game.attempts[1]["test"] == pytest.approx(100 * (abs(metrics["UA"] - gold.UA)
                                                            + abs(metrics["GA"] - gold.GA)))
    game.live.press()
    game.live.wait(600)
    assert "all 2 runs are used" in game.live.view.run["sentence"]
    assert len(game.attempts) == 2
    game.reveal.click()
    assert "?" not in game.table.value
    best = int(np.argmin([a["val"] for a in game.attempts]))
    assert f"number {best + 1}, scored {game.attempts[best]['val']:.1f} there" in game.table.value
    assert game.live.view.run["closed"]


def test_the_gold_standard_is_the_shipped_row_of_the_ratio():
    from grmu.analysis import results

    game = widgets.Challenge()
    game.controls["ratio"].value = 0.3
    rows = results.load("references").query("method == 'retrain' and reweight and ratio == 0.3 and seed == 0")
    assert rows.GA.item() == game.gold().GA


def test_nothing_is_revealed_before_the_first_run():
    game = widgets.Challenge()
    game.end()
    assert not game.over


def test_metrics_of_a_live_run_are_those_of_evaluate(live):
    live.press()
    live.wait(600)
    from grmu.experiments import load_split

    splits, split, groups = load_split(live.result.experiment)
    metrics, _ = evaluate(live.result.model, split.retain, split.forget, splits.val, splits.test, groups)
    assert metrics["GA"] == live.result.metrics["GA"]
