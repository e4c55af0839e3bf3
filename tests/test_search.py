"""The presets are what the recorded search found, and the search never touched a reported seed or the test set."""

import pandas as pd
import pytest

from grmu import Experiment, results, search


@pytest.mark.parametrize("method", search.GRIDS)
def test_the_preset_is_the_best_setting_of_the_recorded_search(method):
    table = pd.read_csv(search.table_path("groundwear"))
    tried = table[table.method == method]
    best = tried.loc[tried.score.idxmin()]
    chosen = Experiment("groundwear", method).settings
    assert {name: chosen[name] for name in search.GRIDS[method]} == {name: best[name] for name in search.GRIDS[method]}
    assert len(tried) == pd.Series([len(values) for values in search.GRIDS[method].values()]).prod()


def test_tuning_seeds_are_none_of_the_reported_ones():
    assert not set(search.TUNING_SEEDS) & set(results.MANY_SEEDS)


def test_the_score_needs_no_column_measured_on_the_test_set(monkeypatch):
    def rows(experiments, store, progress):
        values = {"retrain": (0.6, 0.5), "miu": (0.7, 0.45), "group_dro": (0.9, 0.8)}
        return pd.DataFrame([dict(zip(("UA", "val_GA"), values[e.method], strict=True)) for e in experiments])

    monkeypatch.setattr(search, "run_all", rows)
    assert search.score("groundwear", "miu", {}, 0.5) == pytest.approx(0.1 + 0.05)
    assert search.score("groundwear", "group_dro", {}, 0.5) == pytest.approx(0.2)
