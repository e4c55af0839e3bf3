"""The results that ship with the course are those of their grids, and can be had again; how they are computed
and kept."""

import ast
import json
import math
import random
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from grmu import data, methods
from grmu.analysis import compute, grids, results, shipped_tables
from grmu.experiments import Experiment, run
from grmu.experiments.run import made_by
from grmu.metrics import FAIRNESS, METRICS

FIELDS = ["dataset", "method", "reweight", "ratio", "groups", "seed"]
MEASURED = [*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"]
MADE_BY = ["torch", "python", "machine", "processor"]
SHIPPED_WITH = MADE_BY[:3]  # rows that were computed before do not say the processor


def stated(row):
    """What a row says, without the settings that its run did not override."""
    return {k: v for k, v in row.items() if not (isinstance(v, float) and math.isnan(v))}


def planned(experiment):
    """What the row of an experiment must say of it."""
    groups = experiment.groups if isinstance(experiment.groups, str) else str(experiment.groups)
    return {"dataset": experiment.dataset, "method": experiment.method, "reweight": experiment.reweight,
            "ratio": experiment.ratio, "groups": groups, "seed": experiment.seed, **experiment.overrides}


def key(e):
    """What the table calls an experiment."""
    return results._key(results.columns_of(e))


def experiment_of(row):
    """The experiment that a row of the table tells of."""
    groups = ast.literal_eval(row.groups) if row.groups.startswith("(") else row.groups
    return Experiment(row.dataset, row.method, bool(row.reweight), float(row.ratio), groups, int(row.seed),
                      json.loads(row.overrides))


# --- what ships ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", grids.GRIDS)
def test_shipped_rows_are_the_runs_of_their_grid_each_once_in_its_order(name):
    rows, experiments = results.load(name), list(grids.GRIDS[name]())
    settings = {key for e in experiments for key in e.overrides}
    assert set(rows) - {"processor"} == {*FIELDS, *settings, *MEASURED, "by_group", "seconds", *SHIPPED_WITH}
    assert [stated(row) for row in rows[[*FIELDS, *settings]].to_dict("records")] == [
        planned(e) for e in experiments
    ]


def test_every_row_of_the_table_is_an_experiment_that_some_grid_plans_each_once():
    table, experiments = results.table(), {e for grid in grids.GRIDS.values() for e in grid()}
    assert table.index.is_unique
    of_rows = [experiment_of(row) for row in table.itertuples()]
    assert [key(e) for e in of_rows] == table.index.tolist()
    assert set(of_rows) <= experiments


def test_shipped_values_are_fractions():
    table = results.table()
    assert not table[MEASURED].isna().any().any()
    assert ((table[MEASURED] >= 0) & (table[MEASURED] <= 1)).all().all()
    assert (table.seconds > 0).all()
    assert not table[SHIPPED_WITH].isna().any().any()


def test_shipped_accuracies_by_group_agree_with_the_metrics_of_their_run():
    table = results.table()
    for dataset, rows in table.groupby("dataset"):
        counts = data.load(dataset).test.group_counts().numpy()
        found = np.array([json.loads(v) for v in rows.by_group])
        assert found.shape == (len(rows), len(counts))
        np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(counts == 0, found.shape))
        np.testing.assert_allclose(np.nansum(found * counts, 1) / counts.sum(), rows.TA, atol=1e-4)
        np.testing.assert_allclose(np.nanmin(found, 1), rows.WG, atol=1e-4)


def test_shipped_runs_come_out_alike_when_they_are_done_again():
    """A row of the whole table, another one each time; what this code has done already, for the lessons, is
    not done once more. Only the same machine and versions give the same
    bits: elsewhere sums of floats round otherwise, and training goes another way from there on, so each
    accuracy is given some room, and a row of another processor three standard deviations over its setting's
    seeds if that is more."""
    table = results.table()
    # of sentences, tests/test_negation.py does one again
    pictures = table[~table.dataset.str.startswith("negation")]
    far = []
    for place in random.SystemRandom().sample(range(len(pictures)), 1):
        row, name = pictures.iloc[place], pictures.index[place]
        experiment = experiment_of(row)
        again = run(experiment).metrics
        moved = {metric: round(again[metric] - row[metric], 4) for metric in ("GA", "RA", "TA")}
        print(f"{name}:", moved)
        elsewhere = row.processor != made_by("cpu")["processor"]
        setting = [column for column in results.KEYS if column != "seed"]
        noise = 3 * pictures[(pictures[setting] == row[setting]).all(axis=1)][list(moved)].std()  # NaN of one
        far += [(name, metric) for metric, room in (("GA", 0.12), ("RA", 0.03), ("TA", 0.06))
                if abs(moved[metric]) > (max(room, noise[metric]) if elsewhere else room)]
    assert far == []


def test_the_grids_have_every_method_of_the_package():
    planned = {e.method for grid in grids.GRIDS.values() for e in grid()}
    assert planned == set(methods.registry) - {"miu_released"}


@pytest.mark.parametrize("name", grids.GRIDS)
def test_a_grid_plans_no_run_twice(name):
    experiments = list(grids.GRIDS[name]())
    assert len(set(experiments)) == len(experiments)


def test_the_control_forgets_as_many_samples_as_the_references():
    for seed in grids.SEEDS[:2]:
        forgotten = [
            [len(data.split_forget(data.load("groundwear").train, e.ratio, chosen, e.seed).forget)
             for e in grids.GRIDS[grid]() if e.method == "pretrain" and e.seed == seed]
            for grid, chosen in (("references", [data.load("groundwear").forget_group]), ("uniform", None))]
        assert forgotten[0] == forgotten[1]
        assert len(forgotten[0]) == len(grids.RATIOS)


# --- how results are computed and kept ----------------------------------------------------------------------

ONE = {"epochs": 1, "warmup_epochs": 0}
TUNED = {"epochs": 1, "first_updates": 3, "later_updates": 2}
A = Experiment(method="retrain", overrides=ONE)
B = Experiment(method="miu", reweight=True, ratio=51 / 5692, groups="uniform", seed=2, overrides=TUNED)
C = Experiment(method="finetune", groups=((1, 1), (0, 1)), overrides={"epochs": 1, "augment": False})


@pytest.fixture
def plan(few_pictures, tmp_path, monkeypatch):
    """A folder of results with two grids, one = A, B and two = B, C, to be changed by the test."""
    planned = {"one": lambda: iter([A, B]), "two": lambda: iter([B, C])}
    monkeypatch.setattr(grids, "GRIDS", planned)
    monkeypatch.setattr(shipped_tables, "FOLDER", tmp_path / "new" / "results")
    forget_what_was_read()
    yield planned
    forget_what_was_read()


def forget_what_was_read():
    results.table.cache_clear()
    results._rows.cache_clear()


@pytest.fixture
def done(monkeypatch):
    """The experiments that were really asked for, in order."""
    asked = []

    def noting(experiment, store):
        asked.append(experiment)
        return run(experiment, store)

    monkeypatch.setattr(results, "run", noting)
    return asked


def test_a_row_says_what_was_run_what_was_measured_and_with_what(few_pictures, store):
    for e in (A, B, C):
        result = run(e, store)
        row = results.as_row(result)
        assert list(row) == [*results.as_row(run(A, store))]
        assert set(row) == {*FIELDS, "overrides", *MEASURED, "by_group", "seconds", *result.made_by}
        assert {k: row[k] for k in FIELDS} == {k: planned(e)[k] for k in FIELDS}
        assert json.loads(row["overrides"]) == e.overrides
        assert {k: row[k] for k in MEASURED} == {k: pytest.approx(result.metrics[k], abs=5.1e-6)
                                                 for k in MEASURED}
        assert json.loads(row["by_group"]) == pytest.approx(result.by_group(), abs=5.1e-5)
        assert row["seconds"] == pytest.approx(result.seconds, abs=0.0051)
        assert {k: row[k] for k in result.made_by} == result.made_by


def test_a_row_is_the_same_under_any_description_of_its_run(few_pictures, store):
    lam = Experiment().settings["lam"]
    rows = [results.as_row(run(Experiment(overrides=TUNED | more), store))
            for more in ({}, {"lam": lam}, {"augment": False})]
    assert Experiment().settings["augment"] is False
    assert rows[0] == rows[1] == rows[2]
    assert json.loads(rows[0]["overrides"]) == TUNED


def test_compute_writes_one_row_a_run_in_the_order_of_the_grids(plan, store, done):
    path = results.compute(["two", "one"], store)
    assert path == shipped_tables.FOLDER / "runs.csv"
    assert {p.name for p in shipped_tables.FOLDER.iterdir()} == {"runs.csv", shipped_tables.SUMS}
    assert len(done) == 3  # B is in both grids
    written = pd.read_csv(path)
    expected = [results.as_row(run(e, store)) for e in (A, B, C)]
    assert written.columns.tolist() == [
        *FIELDS, "overrides", *(c for c in expected[0] if c not in (*FIELDS, "overrides"))]
    assert written.to_dict("records") == expected


def test_what_is_loaded_is_the_rows_of_the_runs(plan, store):
    results.compute(["one", "two"], store)
    for name, experiments in (("one", [A, B]), ("two", [B, C])):
        rows = results.load(name)
        settings = {key for e in experiments for key in e.overrides}
        assert set(rows) == {*FIELDS, *settings, *MEASURED, "by_group", "seconds", *run(A, store).made_by}
        for row, e in zip(rows.to_dict("records"), experiments, strict=True):
            result = run(e, store)
            given = stated(row)
            assert {k: given[k] for k in given if k in settings or k in FIELDS} == planned(e)
            assert {k: row[k] for k in MEASURED} == pytest.approx({k: result.metrics[k] for k in MEASURED},
                                                                  abs=5.1e-6)
            assert row["by_group"] == pytest.approx(result.by_group(), abs=5.1e-5)
            assert {k: row[k] for k in result.made_by} == result.made_by
    assert rows.augment.tolist()[1] is False


def test_a_setting_that_a_grid_names_is_a_column_also_where_it_is_the_presets_own(plan, store):
    """The run with the preset's value is the run without an override, so grids share it under either
    description."""
    lam = Experiment().settings["lam"]
    plan["plain"] = lambda: iter([Experiment(overrides=TUNED)])
    plan["sweep"] = lambda: iter([Experiment(overrides=TUNED | {"lam": value}) for value in (lam, lam + 2)])
    results.compute(["one", "plain", "sweep"], store)
    assert len(results.table()) == 4
    assert results.load("sweep").lam.tolist() == [lam, lam + 2]
    assert "lam" not in results.load("plain")
    results.compute(["sweep", "plain"], store)
    assert results.load("sweep").lam.tolist() == [lam, lam + 2]
    assert "lam" not in results.load("plain")


def test_what_is_loaded_can_be_changed_without_changing_the_next(plan, store):
    results.compute(["one"], store)
    rows, before = results.load("one"), results.load("one")
    rows["GA"] = -1.0
    pd.testing.assert_frame_equal(results.load("one"), before)


def test_a_second_computation_changes_no_byte_and_trains_nothing(plan, store, done):
    path = results.compute(["one", "two"], store)
    first = path.read_bytes()
    assert results.compute(["two"], store).read_bytes() == first
    assert results.compute(["one", "two"], store, missing=True).read_bytes() == first
    assert done == [A, B, C, B, C]


def test_only_what_is_missing_is_computed_if_that_is_asked_for(plan, store, done):
    path = results.compute(["one"], store)
    marked = pd.read_csv(path).assign(machine="another")
    shipped_tables.write("runs", marked)
    results.compute(["two"], store, missing=True)
    assert done == [A, B, C]
    assert (results.table().machine == "another").tolist() == [True, True, False]
    results.compute(["two"], store)
    assert done[3:] == [B, C]
    assert (results.table().machine == "another").tolist() == [True, False, False]


def test_rows_that_no_grid_plans_any_more_are_dropped_and_those_of_other_grids_kept(plan, store):
    results.compute(["one", "two"], store)
    assert results.table().index.tolist() == [*map(key, (A, B, C))]
    plan["one"] = lambda: iter([B])
    results.compute(["one"], store)
    assert results.table().index.tolist() == [*map(key, (B, C))]
    assert pd.read_csv(shipped_tables.FOLDER / "runs.csv").method.tolist() == [B.method, C.method]


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
def test_a_computation_that_is_cut_short_keeps_what_was_finished_and_what_was_there(
    plan, store, monkeypatch, error
):
    results.compute(["two"], store)
    marked = pd.read_csv(shipped_tables.FOLDER / "runs.csv").assign(machine="another")
    shipped_tables.write("runs", marked)

    def stopped(experiment, store):
        if experiment == C:
            raise error
        return run(experiment, store)

    monkeypatch.setattr(results, "run", stopped)
    with pytest.raises(error):
        results.compute(["one", "two"], store)
    assert results.table().index.tolist() == [*map(key, (A, B, C))]
    assert (results.table().machine == "another").tolist() == [False, False, True]
    assert {p.name for p in shipped_tables.FOLDER.iterdir()} == {"runs.csv", shipped_tables.SUMS}


def test_a_first_computation_that_is_cut_short_can_be_resumed(plan, store, monkeypatch):
    def stop(experiment, store):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        results.compute(["one"], store)
    with pytest.raises(FileNotFoundError, match="2 of 2 runs of one"):
        results.load("one")
    monkeypatch.setattr(results, "run", run)
    results.compute(["one"], store, missing=True)
    assert len(results.load("one")) == 2


def test_all_runs_are_there_once_with_what_differs_from_the_preset(plan, store):
    results.compute(["one", "two"], store)
    rows = results.load()
    assert list(rows) == list(results.table())
    assert rows.overrides.tolist() == [A.overrides, B.overrides, C.overrides]
    one, two = (results.load(name).by_group.tolist() for name in ("one", "two"))
    assert rows.by_group.tolist() == one + two[1:]


@pytest.mark.parametrize(("where", "expected"), [
    ({"method": "miu"}, [B]), ({"reweight": False}, [A, C]), ({"groups": ((1, 1), (0, 1))}, [C]),
    ({"groups": "uniform", "seed": 2}, [B]), ({"ratio": round(51 / 5692, 6)}, [B]), ({"ratio": 0.5}, [A, C]),
    ({"overrides": dict(reversed(C.overrides.items()))}, [C]), ({"overrides": {}}, []), ({"seed": 7}, [])])
def test_runs_are_asked_for_by_what_their_columns_hold(plan, store, where, expected):
    results.compute(["one", "two"], store)
    assert results.load(**where).method.tolist() == [e.method for e in expected]


def test_runs_of_a_grid_are_asked_for_by_the_settings_that_it_varies(plan, store):
    plan["sweep"] = lambda: iter([Experiment(overrides=TUNED | {"lam": value}) for value in (1.0, 3.0)])
    results.compute(["one", "sweep"], store)
    assert results.load("sweep", lam=3.0, method="miu").lam.tolist() == [3.0]


def test_an_unknown_column_is_refused(plan, store):
    results.compute(["one"], store)
    said = r"these runs have no column 'methods': choose among dataset, method, "
    with pytest.raises(ValueError, match=said):
        results.load("one", methods="miu")


def test_an_unknown_grid_is_refused():
    with pytest.raises(ValueError, match="unknown grid 'reference': choose one of references, uniform"):
        results.load("reference")


def test_a_grid_without_all_of_its_runs_says_how_many_are_missing_and_how_to_make_them(plan, store):
    with pytest.raises(
        FileNotFoundError, match=r"there are no shipped results for runs .* with `python -m grmu results`"
    ):
        results.load("one")
    results.compute(["one"], store)
    with pytest.raises(
        FileNotFoundError, match=r"1 of 2 runs of two .*`python -m grmu results --only two --missing`"
    ) as caught:
        results.load("two")
    assert "finetune" in str(caught.value)


def test_the_command_computes_the_grids_that_are_named(plan, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "runs"))
    assert compute.main(["--only", "one", "--jobs", "1"]) == 0
    assert f"written: {shipped_tables.FOLDER / 'runs.csv'}" in capsys.readouterr().out
    assert results.table().index.tolist() == [*map(key, (A, B))]
    with pytest.raises(ValueError, match=r"'three'.*'one', 'two', 'trajectories'"):
        compute.main(["--only", "three"])


def test_the_shipped_tables_have_the_checksums_that_sha256sum_knows():
    folder, sums = shipped_tables.FOLDER, shipped_tables.SUMS
    check = subprocess.run(["sha256sum", "--check", "--quiet", sums], cwd=folder, capture_output=True,
                           text=True)
    assert check.returncode == 0, check.stdout
    listed = {line.split()[1] for line in (folder / sums).read_text().splitlines()}
    assert listed == {path.name for path in folder.glob("*.csv")}


@pytest.mark.parametrize("name", ["runs", "audit", "search"])
def test_a_byte_of_a_shipped_table_that_changed_is_noticed(name, tmp_path, monkeypatch):
    folder = shutil.copytree(shipped_tables.FOLDER, tmp_path / "results")
    monkeypatch.setattr(shipped_tables, "FOLDER", folder)
    content = bytearray((folder / f"{name}.csv").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / f"{name}.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}\.csv is damaged or altered.*git checkout data"):
        shipped_tables.read(name)
