"""Test real calls of papermill: run_experiment, a misspelt parameter, and a lesson with other values."""

import json
import os
import subprocess
import sys

import nbformat
import papermill
import pytest
from conftest import REPOSITORY

from grmu.batch.demo import NOTEBOOK
from grmu.data.files import default_store

LESSONS = sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Call papermill as users do, with the lessons' reference runs."""
    monkeypatch.setenv("GRMU_STORE", str(default_store()))
    monkeypatch.delenv("MPLBACKEND", raising=False)

    def execute(path, cwd, **parameters):
        return papermill.execute_notebook(str(path), str(tmp_path / "out.ipynb"), parameters,
                                          kernel_name="python3", progress_bar=False, cwd=str(cwd))

    return execute


def test_run_experiment_runs_and_leaves_its_files(execute, tmp_path):
    executed = execute(NOTEBOOK, tmp_path, overrides={"epochs": 1}, reweight=True, output="out")
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [(run["method"], run["settings"]["epochs"]) for run in record["runs"]] == [
        ("pretrain", 15), ("retrain", 15), ("retrain", 15), ("miu", 1)]
    assert os.path.getsize(tmp_path / "out" / "comparison.png") > 10_000
    page = nbformat.writes(executed)
    assert page.count('"image/png": "') == 3
    assert "groundwear, ratio 0.5, 1 seed, percent; methods with epochs=1 (references: " in page


def test_the_command_line_may_say_true_and_false_in_small_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    settings = "-p tiny true -p reweight false -p references FALSE -p output out -k python3"
    command = f"{sys.executable} -m papermill {NOTEBOOK} out.ipynb --no-progress-bar {settings}"
    done = subprocess.run(command.split(), cwd=tmp_path, check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    parameters = json.loads((tmp_path / "out" / "metrics.json").read_text())["parameters"]
    found = [parameters[name] for name in ("tiny", "reweight", "references")]
    assert found == [True, False, False]


def test_a_misspelt_parameter_ends_it_with_a_sentence(execute, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        execute(NOTEBOOK, tmp_path, raito=0.9)
    assert error.value.evalue == "unknown parameter 'raito': did you mean ratio?"


def test_every_lesson_has_seeds_to_set_and_one_runs_with_other_values(execute):
    names = {path: set(papermill.inspect_notebook(str(path))) for path in LESSONS}
    assert all("seeds" in found for found in names.values())
    others = {"seeds": [1], "ratio": 0.9, "l2": 0.01}
    (path,) = (path for path, found in names.items() if others.keys() <= found)
    executed = execute(path, path.parent, **others)
    (injected,) = (c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", ()))
    assert {f"{name} = {value}" for name, value in others.items()} <= set(injected.source.splitlines())
