"""Test the papermill entry point and the demo: rejected parameters, their runs and the written files."""

import json
import re

import pytest
import torch

from grmu.__main__ import main
from grmu.analysis import tables
from grmu.batch import demo, entry
from grmu.batch.entry import Parameters
from grmu.metrics import METRICS

BEFORE = {"entry", "display"}
PLAIN = [("pretrain", False), ("retrain", False), ("retrain", True)]


def read(**parameters):
    """Read the parameters of a notebook that defines these names."""
    own = {"entry": entry, "display": print, "_i1": "", "before": BEFORE}
    return entry.read_parameters(own | parameters, BEFORE)


def test_parameters_are_read_and_the_notebooks_own_names_are_not():
    assert read(ratio=0.9, n_seeds=2, groups=[[0, 1]]) == Parameters(ratio=0.9, n_seeds=2, groups=[[0, 1]])


@pytest.mark.parametrize(("name", "message"), [
    ("raito", "unknown parameter 'raito': did you mean ratio?"),
    ("xyz", "unknown parameter 'xyz': choose one of dataset, method, ")])
def test_a_misspelt_name_is_rejected_with_the_one_that_was_meant(name, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read(**{name: 0.9})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("FALSE", False), ("True", True)])
def test_true_and_false_may_be_text_in_the_notebook_but_not_in_python(text, value):
    assert read(reweight=text, tiny=text, references=text) == Parameters(
        reweight=value, tiny=value, references=value)
    for name in ("reweight", "tiny"):
        with pytest.raises(ValueError, match=f"{name} must be .*, got '{text}'"):
            Parameters(**{name: text})
        with pytest.raises(ValueError, match=f"{name} must be .*, got 'truth'"):
            read(**{name: "truth"})


def test_a_second_pass_through_a_live_notebook_reads_the_new_values():
    left_behind = {"entry": entry, "parameters": Parameters(), "splits": None, "ratio": 0.9}
    assert entry.read_parameters(left_behind, BEFORE).ratio == 0.9
    assert entry.read_parameters(left_behind, set(left_behind)).ratio == 0.9  # from the top


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_rejected():
    with pytest.raises(ValueError, match="got 'cuda'; PyTorch sees no GPU"):
        Parameters(device="cuda")


def runs(parameters):
    return [(e.method, e.reweight) for e in parameters.experiments()]


@pytest.mark.parametrize(("given", "expected"), [
    ({}, [*PLAIN, ("miu", False), ("miu", True)]),
    ({"reweight": True}, [*PLAIN, ("miu", True)]),
    ({"method": "retrain"}, PLAIN),
    ({"method": "group_dro"}, [*PLAIN, ("group_dro", False)]),  # it cannot be combined with REWEIGHT
    ({"references": False}, [("miu", False), ("miu", True)])])
def test_references_come_first_no_run_twice_and_none_that_is_impossible(given, expected):
    assert runs(Parameters(**given)) == expected
    assert runs(Parameters(n_seeds=2, **given)) == 2 * expected


def test_settings_change_the_method_and_not_the_references():
    experiments = Parameters(lam=3, overrides={"epochs": 2}).experiments()
    assert [e.overrides for e in experiments] == [{}, {}, {}, *[{"epochs": 2, "lam": 3}] * 2]


def test_an_output_folder_that_cannot_be_made_is_named_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.setattr(entry, "run", lambda *_, **__: pytest.fail("something ran"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/out"):
        entry.run_parameters(Parameters(output=str(tmp_path / "file" / "out")))


def test_the_demos_opening_counts():
    said = " ".join(demo.opening(Parameters(ratio=0.9, n_seeds=3), 2).split())
    assert "sneaker on brick, 92 of 102 training pictures (90 %) are forgotten." in said
    assert "The other groups keep their 5,590. The demo compares five models, with 3 seeds each:" in said
    for column in (*tables.METRICS, "avg. gap", "ToW", "seconds"):
        assert re.search(rf"\b{re.escape(column)}[,:]", demo.LEGEND), column


def test_runs_are_reported_and_written_as_strict_json(few_pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "store"))
    parameters = Parameters(overrides={"epochs": 1}, output=str(tmp_path / "new" / "out"))
    results = entry.run_parameters(parameters)
    progress = capsys.readouterr().out.splitlines()
    assert progress[4].startswith("[5/5] MIU + REWEIGHT, seed 0: GA ")
    results[0].accuracy.loc[0, "se"] = float("nan")
    path = entry.write(parameters, results)
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]
    record = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["parameters"] == {**vars(parameters)}
    assert record["runs"][0]["accuracy"][0]["se"] is None
    for run, result in zip(record["runs"], results, strict=True):
        assert {k: run[k] for k in METRICS} == {k: result.metrics[k] for k in METRICS}
        assert run["settings"] == result.experiment.settings
    assert entry.write(Parameters(), results) is None


def test_a_stopped_notebook_stops_the_command(tmp_path, monkeypatch, capsys):
    import papermill

    def stop(*_, **__):
        raise papermill.PapermillExecutionError(0, 1, "", "KeyboardInterrupt", "", [])

    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "new"))
    monkeypatch.setattr(demo, "map_experiments", lambda *_, **__: [])
    monkeypatch.setattr(papermill, "execute_notebook", stop)
    assert main(["demo"]) == 130
    assert "Stopped. Finished runs are kept." in capsys.readouterr().err
