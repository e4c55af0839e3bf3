"""Test that the recorded search chose the presets without the reported seeds or the test set."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from grmu.analysis import grids, results, search
from grmu.experiments import Experiment

SEARCH = results.read("search")
TUNING = results.read("tuning").rename(columns={"arm": "method"})


@pytest.fixture
def runs(monkeypatch):
    """Measured values by method; any other access, such as to the test set, is a KeyError."""
    values = {}

    def measured(experiment):
        if isinstance(values[experiment.method], Exception):
            raise values[experiment.method]
        return SimpleNamespace(metrics=values[experiment.method])

    monkeypatch.setattr(search, "run", measured)
    return values


def test_the_score_is_the_distance_from_the_gold_standard_without_the_test_set(runs):
    runs |= {"retrain": {"UA": 0.6, "val_GA": 0.5}, "miu": {"UA": 0.7, "val_GA": 0.45}}
    runs["rwg"] = {"val_WG": 0.8}
    assert search.score(Experiment(reweight=True)) == pytest.approx(0.1 + 0.05)
    assert search.score(Experiment(method="rwg")) == pytest.approx(0.2)
    runs["miu"] = FloatingPointError("the loss is nan")
    assert search.score(Experiment(reweight=True)) == math.inf
    runs |= {"miu": {"UA": 0.7, "val_GA": 0.45}, "retrain": FloatingPointError("the loss is nan")}
    with pytest.raises(FloatingPointError):
        search.score(Experiment(reweight=True))


@pytest.mark.parametrize(("table", "final"), [(SEARCH, "score"), (TUNING, "score_3")])
def test_presets_and_grids_take_the_best_setting_that_was_tried(table, final):
    for (dataset, method), rows in table.groupby(["dataset", "method"]):
        best = search.settings(rows.loc[rows[final].idxmin()])
        chosen = Experiment(dataset, method).settings
        if method == "finetune" and table is TUNING:
            chosen = grids.FINETUNE[dataset]
        assert {name: chosen[name] for name in best} == best, (dataset, method)
        tried = [search.settings(row) for _, row in rows.iterrows()]
        assert all(tried.count(setting) == 1 for setting in tried)
    assert not set(search.SEEDS) & {e.seed for grid in grids.GRIDS.values() for e in grid()}
    assert SEARCH.score.tolist() == pytest.approx(
        SEARCH[["score_0.5", "score_0.9"]].mean(axis=1).tolist(), abs=1.1e-5)


def test_scores_are_computed_again_from_the_recorded_settings(monkeypatch):
    asked = []

    def made_up(e):
        asked.append(e)
        return e.ratio + e.settings["lr"] + 0.1 * (e.seed - 100)

    monkeypatch.setattr(search, "score", made_up)
    rows = TUNING[(TUNING.method == "miu") & (TUNING.dataset == "groundwear")]
    again = search.score_again("tuning", rows)
    n = rows[["score_1", "score_2", "score_3"]].notna().sum()
    assert len(asked) == len(set(asked)) == n.score_1 + n.score_2 + 4 * n.score_3
    assert all(e.reweight for e in asked)
    pd.testing.assert_frame_equal(again.isna(), rows.isna())
    assert (again.score_1 - (0.5 + rows.lr)).abs().max() < 1e-5
    assert (again.score_2 - (0.7 + rows.lr)).abs().max() < 1e-5
    assert (again.score_3 - (0.8 + rows.lr)).abs().max() < 1e-5


def test_the_command_changes_no_byte_of_what_it_did_not_score(tmp_path, monkeypatch, capsys):
    before = {name: results.read(name) for name in ("search", "tuning")}
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    for name, table in before.items():
        results.write(name, table)
    first = {path.name: path.read_bytes() for path in results.FOLDER.iterdir()}
    monkeypatch.setattr(search, "score_again", lambda table, rows, jobs: rows)
    assert search.main(["--method", "miu", "ssd", "--jobs", "1"]) == 0
    assert {path.name: path.read_bytes() for path in results.FOLDER.iterdir()} == first
    assert "ssd: {'lam': 0.3, 'alpha': " in capsys.readouterr().out
