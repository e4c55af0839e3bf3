"""The results that ship with the course are those of their grids, and can be had again."""

import math
from collections import Counter

import pandas as pd
import pytest

from grmu import results
from grmu.experiment import Experiment, run
from grmu.metrics import METRICS

SHIPPED = [name for name in results.GRIDS if (results.FOLDER / f"{name}.csv").is_file()]


def identity(row):
    """What tells one run from another, from a row or an experiment's description; numbers as rounded in the files."""
    given = {k: v for k, v in row.items() if v is not None and not (isinstance(v, float) and math.isnan(v))}
    return tuple(sorted((k, f"{v:.5f}" if isinstance(v, int | float) and not isinstance(v, bool) else str(v))
                        for k, v in given.items()))


def planned(experiment):
    groups = experiment.groups if isinstance(experiment.groups, str) else str(experiment.groups)
    return identity({"dataset": experiment.dataset, "method": experiment.method, "reweight": experiment.reweight,
                     "ratio": experiment.ratio, "groups": groups, "seed": experiment.seed, **experiment.overrides})


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_rows_are_the_runs_of_their_grid_each_once(name):
    rows = results.load(name)
    experiments = list(results.GRIDS[name]())
    settings = {key for e in experiments for key in e.overrides}
    known = rows[["dataset", "method", "reweight", "ratio", "groups", "seed", *sorted(settings)]]
    found = Counter(identity(row) for row in known.to_dict("records"))
    assert max(found.values()) == 1
    assert found == Counter(planned(e) for e in experiments)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_values_are_fractions(name):
    rows = results.load(name)
    assert not rows[list(METRICS)].isna().any().any()
    assert ((rows[list(METRICS)] >= 0) & (rows[list(METRICS)] <= 1)).all().all()
    assert (rows.seconds > 0).all()


def test_a_shipped_run_comes_out_alike_when_it_is_done_again(tmp_path):
    """To the last bit only on the machine that made it: elsewhere other sums of floats, and another path from there on."""
    if "references" not in SHIPPED:
        pytest.skip("the references are not shipped")
    rows = results.load("references")
    row = rows[rows.method == "retrain"].sample(1, random_state=20250314).iloc[0]
    again = run(Experiment(row.dataset, row.method, bool(row.reweight), float(row.ratio), seed=int(row.seed)), tmp_path).metrics
    assert abs(again["GA"] - row.GA) < 0.12
    assert abs(again["RA"] - row.RA) < 0.03


def test_what_is_loaded_can_be_changed_without_changing_the_next():
    if not SHIPPED:
        pytest.skip("nothing is shipped")
    rows = results.load(SHIPPED[0])
    rows["GA"] = -1.0
    assert (results.load(SHIPPED[0]).GA >= 0).all()


def test_an_unknown_grid_is_refused():
    with pytest.raises(ValueError, match="unknown grid 'reference': choose one of references, uniform"):
        results.load("reference")


def test_a_grid_without_a_table_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="no results for ablation: compute them with `python -m grmu results --only abl"):
        results.load("ablation")


def test_compute_writes_one_row_a_run(few_pictures, tmp_path, monkeypatch):
    few = [Experiment(method="pretrain", seed=0), Experiment(method="miu", seed=0, overrides={"epochs": 1})]
    monkeypatch.setitem(results.GRIDS, "ablation", lambda: iter(few))
    monkeypatch.setattr(results, "FOLDER", tmp_path / "new")
    path = results.compute("ablation", tmp_path / "store")
    rows = pd.read_csv(path)
    assert rows.method.tolist() == ["pretrain", "miu"]
    assert list(Counter(identity(r) for r in rows[["method", "seed", "epochs"]].to_dict("records")).values()) == [1, 1]
