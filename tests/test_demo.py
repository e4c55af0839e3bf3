"""`make run`: what it refuses, and what it prints and leaves."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from grmu import __main__
from grmu.scale import demo
from grmu.scale.batch import Parameters
from grmu.study import tables


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--ratio", "1.5"], "ratio must lie in (0, 1], but is 1.5."),
    (["--ratio", "nan"], "ratio must lie in (0, 1], but is nan."),
    (["--ratio", "0.001"], "ratio 0.001 of 102 samples leaves the forget set empty: raise it."),
    (["--seeds", "0"], "n_seeds must be a whole number from 1, but is 0.")])
def test_a_bad_value_is_refused_in_one_line_before_a_kernel_starts(arguments, sentence, tmp_path, monkeypatch,
                                                                   capsys):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setattr(demo, "execute", lambda *_: pytest.fail("a kernel started"))
    assert __main__.main(["demo", *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"error: {sentence}\n")


def test_the_opening_counts():
    said = demo.opening(Parameters(ratio=0.9, n_seeds=3))
    assert "sneaker on brick, wants to leave: 92 of its 102 training pictures ask to be forgotten, 90 %." in said
    assert "keep their 5,590. Five answers to that request, 3 seeds each:" in said


def test_a_stopped_notebook_stops_the_command(tmp_path, monkeypatch, capsys):
    import papermill

    def stop(*_, **__):
        raise papermill.PapermillExecutionError(0, 1, "", "KeyboardInterrupt", "", [])

    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setattr(papermill, "execute_notebook", stop)
    assert __main__.main(["demo"]) == 130
    assert "stopped; finished runs are kept" in capsys.readouterr().err


def test_the_kernel_gets_an_absolute_store_and_the_environment_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRMU_STORE", "here")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    before = dict(os.environ)
    with demo._environment():
        assert os.environ["GRMU_STORE"] == str(tmp_path / "here")
        assert "MPLBACKEND" not in os.environ
    assert dict(os.environ) == before


def test_the_demo_prints_table_and_sentence_and_leaves_its_files(tmp_path_factory, monkeypatch, capfd):
    base = tmp_path_factory.getbasetemp()
    monkeypatch.chdir(base)
    monkeypatch.setenv("GRMU_STORE", "real runs")  # relative on purpose, and shared with test_batch.py
    assert demo.main(["--seeds", "1"]) == 0
    out, err = capfd.readouterr()
    assert "WARNING" not in out + err
    assert not re.search(r"\d \(?seeds|seed\(s\)|1 seeds", out)
    assert len(re.findall(r"^\[\d/5\] .* seed 0: accuracy", out, re.MULTILINE)) == 5
    for name in ("PRETRAIN (do nothing)", "RETRAIN", "RETRAIN + REWEIGHT", "MIU", "MIU + REWEIGHT"):
        assert re.search(rf"^{re.escape(name)} +\d+\.\d", out, re.MULTILINE), name
    assert out.count("Forgetting 50 % of one group") == 1
    paths = dict(re.findall(r"^(\w+): +(/.+)$", out, re.MULTILINE))
    assert set(paths) == {"notebook", "page", "figure", "numbers"}
    assert all(os.path.getsize(path) > 1000 for path in paths.values())
    assert os.path.dirname(paths["page"]) == str(base / "real runs" / "demo")
    executed = nbformat.read(paths["notebook"], as_version=4)
    data = [output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", ())]
    verdict = next(d["text/markdown"] for d in data if d.get("text/markdown", "").startswith("Forgetting"))
    assert " ".join(verdict.split()) in " ".join(out.split())
    assert verdict in Path(paths["page"]).read_text(encoding="utf-8")


def test_the_page_holds_the_figures(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    demo.write_page(tmp_path / "a.ipynb", tmp_path / "a.html")
    assert "A title" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_legend_explains_every_column():
    for column in ("RA", "UA", "TA", "MIA", "EO", "GA", "avg. gap", "seconds"):
        assert re.search(rf"\b{re.escape(column)}[,:]", demo.LEGEND), column
    assert tables.METRICS == ("RA", "UA", "TA", "MIA", "EO", "GA")
