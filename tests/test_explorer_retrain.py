"""The explorer's view that retrains the last layer: its solver beside scikit-learn's, and its data."""

import math

import numpy as np
import pytest
import test_explorer_page

from grmu import data, widgets
from grmu.analysis import results
from grmu.course import last_layer
from grmu.course.last_layer import Samples, accuracy_by_group, fit
from grmu.widgets.settings import LastLayer

EXPORT = np.load(test_explorer_page.explorer.LAYER)
COUNTS = EXPORT["counts"]
ENDS = np.cumsum(COUNTS)


def dequantised(name: str, counts) -> Samples:
    group = np.repeat(np.arange(4), counts)
    x = np.column_stack([EXPORT[name] * EXPORT["scale"], np.ones(len(group))])
    return Samples(x, group // 2, group)


TRAIN, TEST = dequantised("train", COUNTS), dequantised("test", 500)


def random_choices() -> list[dict]:
    """Forty settings: in half of them the groups have weights of their own."""
    rng = np.random.default_rng(0)
    choices = []
    for n in range(40):
        choice = {"group": int(rng.integers(4)), "ratio": rng.random(), "l2": 10 ** rng.uniform(-6, -1),
                  "strength": (0, 1, rng.random())[n % 3]}
        if n % 2:
            choice |= {f"weight{g}": 10 ** rng.uniform(-1, 2) for g in range(4)}
        choices.append(choice)
    return choices


def node(choices: list[dict], tmp_path) -> list[dict]:
    packed = tmp_path / "packed.txt"
    packed.write_text(test_explorer_page.embedded())
    return test_explorer_page.run_node("explorer_retrain.mjs", packed, choices)


def gone(group: int, n: int) -> np.ndarray:
    """1 for samples that are left, 0 for those that are forgotten."""
    kept = np.ones(len(TRAIN.y))
    kept[ENDS[group] - COUNTS[group]:][:n] = 0
    return kept


def right(w: np.ndarray) -> list[int]:
    return (500 * accuracy_by_group(w, TEST)).round().astype(int).tolist()


def test_the_module_solves_forty_random_settings_as_scikit_learn_does(tmp_path):
    for asked, solved in zip(random_choices(), node(random_choices(), tmp_path), strict=True):
        choice, group = solved["choice"], asked["group"]
        n = round(asked["ratio"] * COUNTS[group])
        assert solved["forgotten"] == n
        kept = gone(group, n)
        own = np.array([choice[f"weight{g}"] for g in range(4)], dtype=float)
        own[group] *= (COUNTS[group] / max(COUNTS[group] - n, 1)) ** choice["strength"]
        settings = {"before": np.ones(len(kept)), "after": kept, "weighted": kept * own[TRAIN.group]}
        for kind, weights in settings.items():
            if solved[kind] is None:
                assert (own == 1).all()
                continue
            w = fit(TRAIN, weights, asked["l2"])
            assert np.abs(w - solved[kind]["w"]).max() <= 1e-3
            assert right(w) == solved[kind]["right"]
        moving, exact = solved["moving"], solved["weighted"] or solved["after"]  # as you drag, and at rest
        assert np.abs(np.subtract(moving["w"], exact["w"])).max() <= 1e-3
        assert moving["right"] == exact["right"]


def test_the_prior_shift_that_is_drawn_is_that_of_the_formula(tmp_path):
    (solved,) = node([{"group": 3, "ratio": 0.8}], tmp_path)
    logits = TEST.x @ np.array(solved["before"]["w"])
    brick = (EXPORT["brick"][:, 1] + 0.5) / 256
    shifted = logits + np.log(1 - 0.8 * brick)
    assert solved["predicted"] == [int(((shifted > 0) == TEST.y)[TEST.group == g].sum()) for g in range(4)]


def test_in_the_spiral_groups_leave_as_often_as_the_model_fails_them(tmp_path):
    choices = [{"rounds": 12}, {"rounds": 12}, {"rounds": 5}, {"rounds": 12, "rate": 0},
               {"rounds": 12, "strength": 1}]
    full, again, part, none, weighted = (answer["spiral"] for answer in node(choices, tmp_path))
    assert full == again
    assert full[:6] == part
    assert none[-1]["left"] == COUNTS.tolist()
    shares = np.array(full[-1]["left"]) / COUNTS
    assert shares.argsort().tolist() == np.argsort(full[0]["accuracy"]).tolist()
    kept = np.prod([gone(g, COUNTS[g] - left) for g, left in enumerate(full[-1]["left"])], axis=0)
    assert (right(fit(TRAIN, kept)) - 500 * np.array(full[-1]["accuracy"])).round(6).tolist() == [0] * 4
    assert weighted[-1]["accuracy"][3] > full[-1]["accuracy"][3]
    expected = COUNTS[0] * 0.6 * (1 - full[0]["accuracy"][0])
    assert abs(full[0]["left"][0] - full[1]["left"][0] - expected) < 4 * math.sqrt(expected)


def test_impossible_values_become_the_nearest_possible_and_are_named(tmp_path):
    asked = {"group": 9, "ratio": 7, "strength": -1, "l2": "x", "weight2": 1000, "rounds": 2.6, "rate": ""}
    (answer,) = node([asked], tmp_path)
    shown = {"group": 3, "ratio": 1, "strength": 0, "l2": 1e-5, "weight2": 100, "rounds": 3, "rate": 0.6}
    assert {name: answer["choice"][name] for name in shown} == shown
    named = [sentence.split()[1] for sentence in answer["said"]]
    assert named == sorted(asked, key=list(answer["choice"]).index)


@pytest.mark.slow
def test_the_exported_features_are_the_last_layers_and_leave_in_the_order_of_the_courses_runs():
    exact, splits = last_layer.features(0), data.load("groundwear")
    for g in range(4):
        forget = data.split_forget(splits.train, 0.4, [(g // 2, g % 2)], seed=0).forget_index.numpy()
        exported = TRAIN.x[ENDS[g] - COUNTS[g]:][:len(forget)]
        gap = np.abs(np.sort(exported, 0) - np.sort(exact.train.x[forget], 0))
        assert gap.max() <= EXPORT["scale"].max() / 2 + 1e-9
    rows = np.argsort(exact.test.group, kind="stable")
    close = np.abs(TEST.x - exact.test.x[rows]) <= np.append(EXPORT["scale"], 1) / 2 + 1e-9
    assert close.mean() > 0.999  # a test picture may lie outside of the training set's range


def test_on_paper_the_view_is_the_means_of_five_seeds(monkeypatch):
    shown = []
    monkeypatch.setattr("grmu.widgets.explorer.display", lambda found, **more: shown.append(found))
    view = widgets.explore("How much?", view="retrain", ratio=0.9)
    view._ipython_display_()
    rows = results.load("last_layer", asks=3, ratio=0.9, group=3)
    after, weighted = (round(100 * part.accuracy.mean()) for _, part in rows.groupby("reweight"))
    assert f"to {after} %, or to {weighted} % with REWEIGHT" in shown[0]["text/plain"]
    assert view.view.choice == {"view": "retrain"} | vars(LastLayer(ratio=0.9))
    with pytest.raises(ValueError, match="unknown view 'retry'"):
        widgets.explore(view="retry")
