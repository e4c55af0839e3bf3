"""`make run`: what it refuses and how it is stopped; tests/test_wheel.py runs it."""

import os
import re

import nbformat

from grmu import __main__
from grmu.analysis import tables
from grmu.analysis.names import label
from grmu.data.files import PACKAGE
from grmu.scale import demo
from grmu.scale.batch import Parameters


def test_the_opening_counts():
    said = demo.opening(Parameters(ratio=0.9, n_seeds=3))
    said = " ".join(said.split())
    assert "sneaker on brick, wants to leave: 92 of its 102 training pictures ask to be forgotten, 90" in said
    assert "keep their 5,590. Five answers to that request, 3 seeds each:" in said


def test_a_stopped_notebook_stops_the_command(tmp_path, monkeypatch, capsys):
    import papermill

    def stop(*_, **__):
        raise papermill.PapermillExecutionError(0, 1, "", "KeyboardInterrupt", "", [])

    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setattr(demo, "train", lambda experiments: [])
    monkeypatch.setattr(papermill, "execute_notebook", stop)
    assert __main__.main(["demo"]) == 130
    assert "stopped; finished runs are kept" in capsys.readouterr().err


def test_as_many_runs_at_once_as_there_are_cores_references_first_and_none_is_done_twice(
        few_pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setattr(demo, "cores", lambda: 3)
    asked = []

    def one_process(function, experiments, jobs, progress):
        asked.append((len(experiments), jobs))
        return map(function, experiments)

    monkeypatch.setattr(demo, "map_experiments", one_process)
    experiments = Parameters(n_seeds=2, overrides={"epochs": 1}).experiments()
    assert list(demo.train(experiments)) == [*range(9, -1, -1)]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", seed")[0].split("] ")[1] for line in lines] == [
        label("pretrain")] * 2 + ["RETRAIN", "RETRAIN + REWEIGHT"] * 2 + ["MIU", "MIU + REWEIGHT"] * 2
    assert lines[-1].startswith("[10/10] MIU + REWEIGHT, seed 1: accuracy ")
    assert list(demo.train(experiments)) == []
    assert capsys.readouterr().out == ""
    assert asked == [(10, 3), (0, 1)]


def test_the_kernel_finds_package_and_store_and_the_environment_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRMU_STORE", "here")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    before = dict(os.environ)
    with demo._environment():
        assert os.environ["GRMU_STORE"] == str(tmp_path / "here")
        assert os.environ["PYTHONPATH"] == f"{PACKAGE.parent}{os.pathsep}elsewhere"
        assert "MPLBACKEND" not in os.environ
    assert dict(os.environ) == before


def test_the_page_holds_the_figures(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    demo.write_page(tmp_path / "a.ipynb", tmp_path / "a.html")
    assert "A title" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_legend_explains_every_column():
    for column in ("RA", "UA", "TA", "MIA", "EO", "GA", "avg. gap", "seconds"):
        assert re.search(rf"\b{re.escape(column)}[,:]", demo.LEGEND), column
    assert tables.METRICS == ("RA", "UA", "TA", "MIA", "EO", "GA")
