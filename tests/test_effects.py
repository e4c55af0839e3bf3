"""MIU's factorial, asked in a made-up world whose effects are planted; and what is shipped."""

import math
from functools import cache
from itertools import combinations, product
from runpy import run_path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from grmu import Experiment
from grmu.study import effects, factorial, grids, miu_map, shipped_tables
from grmu.study.tuning import DATASETS

LIFT = {"group_bar": ("exact", 2.0), "calibrate_to": ("unlearned", -3.0), "target_on": ("stored", 0.0),
        "lam": (1.0, 4.0), "unlearning": (False, 1.0)}  # points of UA that a departure from paper adds


def level(e):
    """A run's metrics in the made-up world, fractions."""
    noise = math.sin(e.seed + 1)  # the same for all runs of a seed
    ua = ga = {"pretrain": 80.0, "retrain": 60.0, "finetune": 63.0}.get(e.method, 61.0) + noise
    if e.method == "miu":
        s = e.settings
        ua += sum(lift for name, (value, lift) in LIFT.items() if s[name] == value)
        ua += 5 * (s["group_bar"] == "exact" and s["lam"] == 1.0)
        ga += 7 * (s["form"] == "released") + 0.1 * noise
    return {"UA": ua / 100, "GA": ga / 100, "TA": 0.9, "val_GA": ga / 100 - 0.02}


@pytest.fixture
def world(monkeypatch):
    asked = [e for name in ("forms", "terms", "departures", "factorial") for e in grids.GRIDS[name]()]
    rows = {e.id: level(e) for e in asked}
    monkeypatch.setattr(effects, "_shipped", lambda: rows)
    pairs = pd.DataFrame([{"dataset": d, "seed": s, "UA": 0.02, "GA": -0.04, "TA": 0.01} if s % 2 else
                          {"dataset": d, "seed": s, "UA": -0.02, "GA": 0.04, "TA": -0.01}
                          for d, s in product(DATASETS, range(10))])
    read = shipped_tables.read
    monkeypatch.setattr(shipped_tables, "read", lambda name: pairs if name == "twins" else read(name))
    for cached in (effects.comparisons, effects._factorial):
        cached.cache_clear()
    yield rows
    for cached in (effects.comparisons, effects._factorial):
        cached.cache_clear()


def test_gaps_are_signed_in_points_and_to_the_gold_standard_of_the_seed(world):
    found = effects.arm("groundwear", "nothing")
    assert found.loc[3].to_dict() == pytest.approx({"UA": 20, "GA": 20, "TA": 0, "distance": 20})
    assert found.index.tolist() == list(range(10))
    assert effects.arm("groundwear", "finetune").distance.tolist() == pytest.approx([3] * 10)


def test_planted_main_effects_and_the_planted_interaction_are_found_and_nothing_else(world):
    found = {which: i.mean for which, i in effects.drawn("groundwear", "UA").items()}
    settings = ("calibrate_to", "group_bar", "target_on", "lam", "unlearning")
    names = dict(zip(factorial.FACTORS, settings, strict=True))
    expected = {(name,): LIFT[setting][1] for name, setting in names.items()}
    expected[("ḡ",)] += 2.5  # half of the interaction
    expected[("λ",)] += 2.5
    expected |= dict.fromkeys(combinations(factorial.FACTORS, 2), 0.0) | {("ḡ", "λ"): 2.5}
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_margin_is_the_mean_distance_of_twins(world):
    assert effects.margins("groundwear") == pytest.approx({"UA": 2, "GA": 4, "TA": 1, "distance": 3})


def test_every_question_is_asked_on_both_data_sets_and_worded_once(world):
    table = effects.comparisons()
    assert set(table.question) == {"1", "2", "3", "4", "5", "factorial", "gap", "control"}
    assert (table.groupby("question").dataset.nunique() == 2).all()
    assert not table.duplicated(["dataset", "ratio", "what", "measure"]).any()
    first = table[table.question == "1"]
    assert set(zip(first.dataset, first.ratio, strict=True)) == set(product(DATASETS, (0.5, 0.9)))
    wins = table[(table.what == "paper - doing nothing") & (table.measure == "distance")]
    assert (wins.verdict == "lower").all()
    released = table[(table.what == "released - paper") & (table.measure == "GA")]
    assert released["mean"].tolist() == pytest.approx([7] * 4)
    assert set(released.verdict) == {"higher"}
    assert (table[table.question == "control"].verdict != "higher").all()


def test_the_default_form_is_judged_on_validation_pictures(world):
    for key, row in world.items():
        world[key] = row | {"GA": 0.0}
    found = effects.default_form()
    assert list(found.index) == [f"{form} - steady, {d}" for form in ("paper", "released") for d in DATASETS]
    assert found.loc["released - steady, groundwear", "mean"] != 0


def test_a_run_that_is_missing_is_named(world):
    world.clear()
    with pytest.raises(FileNotFoundError, match=r"no shipped results for .*, pretrain on ground"):
        effects.arm("groundwear", "nothing")


def test_the_pages_hold_what_the_shipped_rows_say():
    pages = run_path(str(REPOSITORY / "docs" / "results.py"))["pages"]()
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python docs/results.py"
    assert np.isfinite(effects.comparisons()[["mean", "low", "high"]].to_numpy()).all()


@cache
def planned():
    """What the map's rows are about."""
    return [about for about, _ in miu_map.planned()]


def of_the_map(nearer=0.0, seed=0):
    """Rows as the map's, with noise; in the cells of ratio 0.9 fine-tuning's GA misses by `nearer` more."""
    rng = np.random.default_rng(seed)
    noise = {about["seed"]: rng.normal(0, 0.02, 2) for about in planned()}  # a seed's own
    lines = []
    for about in planned():
        off = nearer * (about["arm"] == "finetune" and about["ratio"] == 0.9)
        known = 0.3 * (about["arm"] == "pretrain" and about["level"] == "by heart")
        own = noise[about["seed"]] + rng.normal(0, 0.01, 2)
        lines.append(about | {"UA": 0.6 + own[0] + known, "GA": 0.6 + own[1] - off})
    return pd.DataFrame(lines).sample(frac=1, random_state=seed)  # in any order


def test_the_map_finds_a_place_where_miu_helps_and_none_where_there_is_none():
    found = miu_map.comparisons(of_the_map(nearer=0.2))
    assert len(found) == 54
    help_ = found[(found.question == "MIU - fine-tuning") & (found.ratio == 0.9)]
    assert (help_.verdict == "lower").all()
    assert ((help_["mean"] > -11) & (help_["mean"] < -8)).all()  # half of 20 points: UA is as good
    assert (found.drop(help_.index).verdict == "equal").all()
    assert (miu_map.comparisons(of_the_map()).verdict == "equal").all()


def test_the_map_says_how_much_pretrain_knows_by_heart():
    found = miu_map.comparisons(of_the_map()).groupby("level").by_heart.mean()
    assert found["by heart"] == pytest.approx(30, abs=2)
    assert found["learnt"] == pytest.approx(0, abs=2)


def test_the_maps_distance_is_to_the_gold_standard_of_the_same_seed_and_cell():
    rows = of_the_map()
    cell = (rows.level == "learnt") & (rows.group == 840) & (rows.ratio == 0.3) & (rows.seed == 3)
    of = rows[cell].set_index("arm")
    expected = 50 * (abs(of.UA.miu - of.UA.gold) + abs(of.GA.miu - of.GA.gold))
    assert miu_map.distances(rows).loc[("learnt", 840, 0.3, 3), "miu"] == pytest.approx(expected)


def test_a_run_that_diverged_has_no_numbers_and_is_left_out_of_its_cell(few_pictures, tmp_path):
    rows = of_the_map()
    one = (rows.level == "learnt") & (rows.group == 840) & (rows.ratio == 0.3) & (rows.seed == 3)
    rows.loc[one & (rows.arm == "miu"), ["UA", "GA"]] = math.nan
    found = miu_map.comparisons(rows)
    assert sorted(found.n.tolist()) == [9] + [10] * 53
    assert found[found.n == 9][["question", "level", "group", "ratio"]].iloc[0].tolist() == [
        "MIU - fine-tuning", "learnt", 840, 0.3]
    mad = Experiment(method="finetune", overrides={"lr": 100.0, "weight_decay": 1.0},
                     pretraining={"epochs": 1})
    assert all(map(math.isnan, miu_map.accuracies(mad, str(tmp_path)).values()))


def test_what_the_map_s_page_says_by_hand_is_what_the_shipped_rows_say():
    page = " ".join((REPOSITORY / "docs" / "miu_map.md").read_text(encoding="utf-8").split())
    found = miu_map.comparisons()
    ours, passes = (found[found.question == question] for question in miu_map.QUESTIONS)
    assert "Of 27 cells, 22 are *equal*, four are not distinguished, and in one it is farther" in page
    assert ours.verdict.value_counts().to_dict() == {"equal": 22, "not distinguished": 4, "higher": 1}
    farther = ours[ours.verdict == "higher"].iloc[0]
    assert (farther.level, farther.group, farther.ratio) == ("partly by heart", 840, 0.9)
    assert "26 of 27 cells are *equal*, within the margin, and one is not distinguished" in page
    assert passes.verdict.value_counts().to_dict() == {"equal": 26, "not distinguished": 1}
    lean = ours[(ours.verdict == "not distinguished") & (ours["mean"] > ours.margin)]
    assert f"({lean['mean'].min():.1f} and {lean['mean'].max():.1f} points)" in page
    assert len(lean) == 2
    known = ours[ours.group == 102].groupby("level").by_heart.first()
    assert f"({known['partly by heart']:.1f} and {known['by heart']:.1f} points of the small group)" in page
