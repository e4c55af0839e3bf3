"""The presets are what the recorded search found, and the search never touched a reported seed or the test
set."""

import ast
import math
from types import SimpleNamespace

import pandas as pd
import pytest

from grmu import Experiment, data, methods
from grmu.analysis import grids, rivals, search, shipped_tables, tuning

PATH = shipped_tables.path_of("search")
TABLE = pd.read_csv(PATH) if PATH.is_file() else pd.DataFrame(columns=["dataset", "method", "score"])
SEARCHED = sorted(set(zip(TABLE.dataset, TABLE.method, strict=True)))


def setting_of(row):
    """The setting that a row of the table scores."""
    return {name: row[name] for name in search.GRIDS[row["method"]]}


# --- what is searched ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", data.EMBEDDED)
@pytest.mark.parametrize("method", search.GRIDS)
def test_every_method_has_six_different_settings_that_it_accepts(dataset, method):
    settings = search.settings(dataset, method)
    assert len(settings) == 6
    assert all(list(setting) == list(search.GRIDS[method]) for setting in settings)
    experiments = [Experiment(dataset, method, method not in search.ROBUST, seed=100, overrides=setting)
                   for setting in settings]
    assert len(set(experiments)) == 6
    for e, setting in zip(experiments, settings, strict=True):
        made = vars(e.make_method()) | vars(e.config)
        assert {name: made[name] for name in setting} == setting


def test_the_settings_are_the_grid_and_the_memorising_regime_learns_three_times_as_fast():
    for method, grid in search.GRIDS.items():
        plain, faster = (search.settings(dataset, method)
                         for dataset in ("groundwear", "groundwear-memorised"))
        assert {name: sorted({s[name] for s in plain}) for name in grid} == {
            name: sorted(set(v)) for name, v in grid.items()
        }
        assert search.settings("groundwear-many", method) == plain
        assert [s | ({"lr": pytest.approx(3 * s["lr"])} if "lr" in s else {}) for s in plain] == faster


def test_all_methods_but_those_that_define_the_aim_or_have_nothing_to_tune_are_searched():
    studied = {name for name in methods.registry if methods.get(name).__module__ == "grmu.methods.controls"}
    assert sorted([*search.GRIDS, *rivals.RANGES]) == sorted(
        set(methods.registry) - studied - {"pretrain", "retrain", "adjust", "miu_released"})
    assert set(search.ROBUST) == {name for name in search.GRIDS
                                  if methods.get(name).init_from is None} | set(rivals.RANGES)


def test_tuning_seeds_are_none_of_the_reported_ones():
    assert not set(search.TUNING_SEEDS) & set(grids.MANY_SEEDS)
    assert not set(search.TUNING_SEEDS) & {e.seed for grid in grids.GRIDS.values() for e in grid()}
    assert min(search.TUNING_SEEDS) == 100


# --- scores -------------------------------------------------------------------------------------------------

ALLOWED = {"UA", "val_GA", "val_WG", "val_TA"}  # the forget set is training data


@pytest.fixture
def runs(monkeypatch):
    """Measured values by method; reading one that is none of these, such as any of the test set, is a
    KeyError."""
    values, asked = {}, []

    def measured(experiment, store=None):
        asked.append(experiment)
        found = values[experiment.method]
        if isinstance(found, Exception):
            raise found
        assert set(found) <= ALLOWED
        return SimpleNamespace(metrics=found)

    monkeypatch.setattr(search, "run", measured)
    return SimpleNamespace(values=values, asked=asked)


@pytest.mark.parametrize("method", [name for name in search.GRIDS if name not in search.ROBUST])
def test_the_score_is_the_distance_from_the_gold_standard_without_the_test_set(runs, method):
    runs.values |= {"retrain": {"UA": 0.6, "val_GA": 0.5}, method: {"UA": 0.7, "val_GA": 0.45}}
    e = Experiment(method=method, reweight=True, ratio=0.9, seed=101,
                   overrides=search.settings("groundwear", method)[0])
    assert search.score(e) == pytest.approx(0.1 + 0.05)
    assert runs.asked == [e, Experiment(method="retrain", reweight=True, ratio=0.9, seed=101)]


@pytest.mark.parametrize("method", search.ROBUST)
def test_retraining_for_robustness_is_scored_by_its_worst_group_on_validation_data(runs, method):
    runs.values[method] = {"val_WG": 0.8}
    e = Experiment(method=method, ratio=0.5, seed=100)
    assert search.score(e) == pytest.approx(0.2)
    assert runs.asked == [e]


@pytest.mark.parametrize("method", search.GRIDS)
def test_a_run_that_diverges_has_the_worst_score(runs, method):
    runs.values |= {"retrain": {"UA": 0.6, "val_GA": 0.5}, method: FloatingPointError("the loss is nan")}
    assert search.score(Experiment(method=method)) == math.inf


def test_other_errors_and_a_gold_standard_that_diverges_are_not_taken_for_a_bad_setting(runs):
    runs.values |= {"retrain": FloatingPointError("the loss is nan"), "miu": {"UA": 0.7, "val_GA": 0.45}}
    with pytest.raises(FloatingPointError):
        search.score(Experiment(reweight=True))
    runs.values["miu"] = ValueError("no such group")
    with pytest.raises(ValueError, match="no such group"):
        search.score(Experiment(reweight=True))


def test_a_run_that_really_diverges_is_scored(few_pictures, store):
    bad = {"lr": 100.0, "momentum": 0.9999, "weight_decay": 1.0, "batch_size": 4, "epochs": 60}
    assert search.score(Experiment(method="finetune", reweight=True, seed=100, overrides=bad),
                        store) == math.inf


# --- the search ---------------------------------------------------------------------------------------------


def made_up(experiment, store=None):
    """A score that tells method, setting, ratio and seed apart; every method's fourth setting diverges with
    one seed."""
    method = list(search.GRIDS).index(experiment.method)
    setting = search.settings(experiment.dataset, experiment.method).index(dict(experiment.overrides))
    if (setting, experiment.seed) == (3, 101):
        return math.inf
    return (
        (5 * setting + method) % 7 + 0.01 * method + 0.1 * experiment.ratio + 0.001 * (experiment.seed - 100)
    )


def expected_scores(method):
    """Scores at both ratios of the method's settings, in their order."""
    method = list(search.GRIDS).index(method)
    found = [[(5 * i + method) % 7 + 0.01 * method + 0.1 * ratio + 0.001 for ratio in (0.5, 0.9)]
             for i in range(6)]
    return [scores if i != 3 else [math.inf] * 2 for i, scores in enumerate(found)]


def test_the_search_runs_every_setting_at_both_ratios_and_all_tuning_seeds(monkeypatch):
    seen = []
    monkeypatch.setattr(search, "score", lambda e, store: seen.append(e) or made_up(e))
    search.search("groundwear-memorised", list(search.GRIDS))
    assert len(seen) == 6 * len(search.GRIDS) * len(search.RATIOS) * len(search.TUNING_SEEDS)
    assert len(set(seen)) == len(seen)
    assert {(e.dataset, e.groups) for e in seen} == {("groundwear-memorised", "default")}
    assert all(e.reweight == (e.method not in search.ROBUST) for e in seen)
    for method in search.GRIDS:
        got = {(tuple(e.overrides.items()), e.ratio, e.seed) for e in seen if e.method == method}
        assert got == {(tuple(s.items()), ratio, seed)
                       for s in search.settings("groundwear-memorised", method)
                       for ratio in search.RATIOS for seed in search.TUNING_SEEDS}


@pytest.mark.parametrize("names", [list(search.GRIDS), ["subg", "miu"], ["ssd"]])
def test_scores_are_means_over_seeds_then_ratios_and_the_best_comes_first(monkeypatch, names):
    monkeypatch.setattr(search, "score", made_up)
    table = search.search("groundwear", names)
    assert list(dict.fromkeys(table.method)) == names
    assert set(table) == {"dataset", "method", "score_0.5", "score_0.9", "score",
                          *(k for m in names for k in search.GRIDS[m])}
    for method, rows in table.groupby("method"):
        assert rows.score.is_monotonic_increasing
        assert rows.drop(columns=[*search.GRIDS[method], "dataset",
                                  "method"]).filter(regex="^(?!score)").isna().all(axis=None)
        found = {tuple(setting_of(row).values()): [row["score_0.5"], row["score_0.9"], row["score"]]
                 for row in rows.to_dict("records")}
        assert len(rows) == len(found) == 6
        for setting, scores in zip(search.settings("groundwear", method), expected_scores(method),
                                   strict=True):
            assert found[tuple(setting.values())] == pytest.approx([*scores, sum(scores) / 2])
        assert rows.score.tolist()[-1] == math.inf


def test_the_command_replaces_the_rows_of_its_methods_and_keeps_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(search, "score", made_up)
    monkeypatch.setattr(shipped_tables, "FOLDER", tmp_path / "new")
    assert search.main(["--method", "miu", "ssd", "--jobs", "1"]) == 0
    assert search.main(["--dataset", "groundwear-many", "--method", "ssd", "--jobs", "1"]) == 0
    before = pd.read_csv(shipped_tables.path_of("search"))
    monkeypatch.setattr(search, "score", lambda e, store: 1 + made_up(e))
    capsys.readouterr()
    assert search.main(["--method", "ssd", "scrub", "--jobs", "1"]) == 0
    after, said = pd.read_csv(shipped_tables.path_of("search")), capsys.readouterr().out

    def part(table, dataset, method):
        return table[(table.dataset == dataset) & (table.method == method)].set_index(
            list(search.GRIDS[method]))[["score_0.5", "score_0.9", "score"]]

    assert len(after) == 6 * 4
    assert part(after, "groundwear", "miu").equals(part(before, "groundwear", "miu"))
    assert part(after, "groundwear-many", "ssd").equals(part(before, "groundwear-many", "ssd"))
    pd.testing.assert_frame_equal(part(after, "groundwear", "ssd"), part(before, "groundwear", "ssd") + 1)
    best = min(range(6), key=lambda i: sum(expected_scores("scrub")[i]))
    (line,) = (line for line in said.splitlines() if line.startswith("scrub: "))
    assert (
        ast.literal_eval(line[len("scrub: ") : line.index("}") + 1])
        == search.settings("groundwear", "scrub")[best]
    )


# --- what was found -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "method"), SEARCHED)
def test_the_preset_is_the_best_setting_of_the_recorded_search(dataset, method):
    tried = TABLE[(TABLE.dataset == dataset) & (TABLE.method == method)].to_dict("records")
    chosen = Experiment(dataset, method).settings
    (ours,) = (row for row in tried if setting_of(row) == {name: chosen[name]
                                                           for name in search.GRIDS[method]})
    assert ours["score"] == min(row["score"] for row in tried) < math.inf


@pytest.mark.parametrize(("dataset", "method"), SEARCHED)
def test_the_recorded_search_tried_each_setting_once_and_its_scores_add_up(dataset, method):
    rows = TABLE[(TABLE.dataset == dataset) & (TABLE.method == method)]
    tried = [tuple(setting_of(row).values()) for row in rows.to_dict("records")]
    assert sorted(tried) == sorted(tuple(setting.values()) for setting in search.settings(dataset, method))
    assert rows.score.tolist() == pytest.approx(((rows["score_0.5"] + rows["score_0.9"]) / 2).tolist(),
                                                abs=1.1e-5)
    assert rows.score.is_monotonic_increasing


def test_every_method_was_searched_on_groundwear():
    of = {method for dataset, method in SEARCHED if dataset == "groundwear"}
    assert of == set(search.GRIDS) - {"miu"}  # which `tuning` has searched there
    assert "miu" in tuning.ARMS
