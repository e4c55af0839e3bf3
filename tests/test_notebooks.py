"""The lessons' form: normalised, executed without errors, with parameters, an exercise and a verdict."""

import ast
import base64
import io
import re
import warnings

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from grmu.course import notebooks

LESSONS = notebooks.lessons()
MAX_LINES = 40
WIDGET = {notebooks.WIDGET: {"model_id": "1"}, "text/plain": "interactive(children=...)"}


def stdout(text):
    return new_output("stream", name="stdout", text=text)


@pytest.fixture
def messy():
    """A notebook with each thing that normalising removes, as a front end leaves it."""
    training = new_code_cell("run()", id="train", execution_count=7, outputs=[
        stdout("one\n"), new_output("stream", name="stderr", text="100%|##########| 3/3"), stdout("two\n"),
        new_output("display_data", data=WIDGET),
        new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure>"}),
        new_output("execute_result", data={"text/plain": "3"}, execution_count=7)])
    training.metadata = nbformat.from_dict({
        "tags": ["nbval-ignore-output"], "execution": {"iopub.status.busy": "2026-01-01"}, "ExecuteTime": {},
        "papermill": {"duration": 1.2}, "collapsed": False, "scrolled": True,
        "jupyter": {"source_hidden": True}})
    metadata = {"kernelspec": {"name": "my-env", "display_name": "My env"}, "papermill": {"duration": 3},
                "language_info": {"name": "python", "version": "3.11.7"},
                "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"1": {}}}}}
    return new_notebook(metadata=metadata, cells=[new_markdown_cell("# Title", id="title"), training,
                                                  new_code_cell("1", id="last", execution_count=9)])


def test_normalise_removes_what_is_live_or_timed(messy):
    nb = notebooks.normalise(messy)
    assert nb.metadata == {"kernelspec": {"name": "python3", "display_name": "Python 3",
                                          "language": "python"},
                           "language_info": {"name": "python"}}
    _, cell, last = nb.cells
    assert cell.metadata == {"tags": ["nbval-ignore-output"], "jupyter": {"source_hidden": True}}
    kinds = [(o.output_type, o.get("name"), o.get("text")) for o in cell.outputs]
    assert kinds == [("stream", "stdout", "one\ntwo\n"), ("display_data", None, None),
                     ("execute_result", None, None)]
    assert cell.outputs[1].data["image/png"] == "AAAA"
    assert [cell.execution_count, cell.outputs[2].execution_count, last.execution_count] == [1, 1, 2]
    assert [c.id for c in nb.cells] == ["title", "train", "last"]


def test_normalise_is_idempotent_and_leaves_its_argument_alone(messy):
    before = nbformat.writes(messy)
    once = notebooks.normalise(messy)
    assert nbformat.writes(messy) == before
    assert nbformat.writes(notebooks.normalise(once)) == nbformat.writes(once)
    nbformat.validate(once)


@pytest.mark.parametrize("text", ["see /home/ada/course", "'/tmp/abc/model'", "/Users/ada/x",
                                  "file:///root/x"])
def test_a_machine_path_is_named_with_its_cell(text):
    source = new_notebook(cells=[new_markdown_cell("fine"), new_markdown_cell(text)])
    printed = new_notebook(cells=[new_code_cell("1"), new_code_cell("p", outputs=[stdout(text)])])
    for nb in (source, printed):
        with pytest.raises(ValueError, match="cell 1 holds a path of this machine"):
            notebooks.normalise(nb)


@pytest.mark.parametrize("text", ["runs/demo", "~/work/course", "https://example.org/home/page",
                                  "and/or/work/play"])
def test_other_paths_are_fine(text):
    notebooks.normalise(new_notebook(cells=[new_markdown_cell(text)]))


def test_pictures_are_not_searched_for_paths_but_weighed():
    picture = "+/tmp/" + "A" * 200_000
    figure = new_output("display_data", data={"image/png": picture})
    nb = new_notebook(cells=[new_code_cell("plot()", outputs=[figure])])
    with pytest.warns(UserWarning, match="150 kB"):
        notebooks.normalise(nb)


def test_plots_are_saved_in_256_colours_once():
    rng = np.random.default_rng(0)
    whole = Image.fromarray(rng.integers(0, 4, (200, 300, 3), dtype=np.uint8) * 80, "RGB").convert("RGBA")
    buffer = io.BytesIO()
    whole.save(buffer, "png")
    figure = new_output("display_data", data={"image/png": base64.b64encode(buffer.getvalue()).decode()
                                              + "\n"})
    once = notebooks.normalise(new_notebook(cells=[new_code_cell("plot()", id="a", outputs=[figure])]))
    png = base64.b64decode(once.cells[0].outputs[0].data["image/png"])
    shown = Image.open(io.BytesIO(png))
    assert shown.mode == "P"
    assert len(png) < len(buffer.getvalue())
    assert np.array_equal(np.asarray(shown.convert("RGB")),
                          np.asarray(whole.convert("RGB")))  # 64 colours: none is lost
    assert nbformat.writes(notebooks.normalise(once)) == nbformat.writes(once)


def test_execute_saves_normalised_in_the_lessons_folder(tmp_path):
    path = tmp_path / "00_tiny.ipynb"
    parameters = new_code_cell("seeds = [0, 1, 2]", id="p", metadata={"tags": ["parameters"]})
    body = new_code_cell(
        "import os, sys\nprint(os.path.basename(os.getcwd()), seeds)\nprint('bar', file=sys.stderr)",
        id="body",
    )
    nbformat.write(new_notebook(cells=[parameters, body]), path)
    with pytest.warns(UserWarning, match="cell 1 shows widgets or writes to stderr"):
        notebooks.execute(path)
    assert notebooks.check([path]) == []
    assert nbformat.read(path, 4).cells[1].outputs == [stdout(f"{tmp_path.name} [0, 1, 2]\n")]
    with warnings.catch_warnings(action="ignore"):
        notebooks.execute(path, {"seeds": [5]})
    assert nbformat.read(path, 4).cells[-1].outputs == [stdout(f"{tmp_path.name} [5]\n")]


def test_execute_leaves_the_file_as_it_was_when_a_cell_fails(tmp_path):
    path = tmp_path / "00_broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0", id="a")]), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"00_broken.ipynb, cell 0 failed.*(?s:.)*ZeroDivisionError"):
        notebooks.execute(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_check_names_every_problem(tmp_path, messy):
    error = new_output("error", ename="KeyError", evalue="x", traceback=["KeyError: x"])
    (tmp_path / "labs").mkdir()
    written = {"messy": messy, "empty": notebooks.normalise(new_notebook(cells=[new_code_cell("1")])),
               "failed": notebooks.normalise(new_notebook(cells=[new_code_cell("x", outputs=[error])])),
               "labs/lab": new_notebook(cells=[new_code_cell("1")])}
    paths = [tmp_path / f"{name}.ipynb" for name in written]
    for path, nb in zip(paths, written.values(), strict=True):
        path.write_text(nbformat.writes(nb) + "\n", encoding="utf-8")
    problems = [problem.split(";")[0] for problem in notebooks.check(paths)]
    assert problems == ["messy.ipynb: not normalised", "empty.ipynb: holds no outputs",
                        "failed.ipynb: cell 0 ended in KeyError."]


def test_main_reports_and_returns_one(tmp_path, messy, capsys):
    path = tmp_path / "00_x.ipynb"
    nbformat.write(messy, path)
    assert notebooks.main(["--check", str(path)]) == 1
    assert "not normalised" in capsys.readouterr().out


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


def tagged(nb, tag):
    return [cell for cell in nb.cells if cell.cell_type == "code" and tag in cell.metadata.get("tags", ())]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lessons_are_committed_normalised_and_executed(path):
    assert notebooks.check([path]) == []


def test_lessons_have_one_parameters_cell_with_seeds(lesson):
    cells = tagged(lesson, "parameters")
    assert len(cells) == 1
    assert re.search(r"^seeds\b.*=", cells[0].source, re.MULTILINE)


def test_lessons_end_in_a_verdict_that_holds_and_is_compared(lesson):
    cells = tagged(lesson, "verdict")
    assert len(cells) == 1
    assert "nbval-ignore-output" not in cells[0].metadata.tags
    assert {output.output_type for output in cells[0].outputs} == {"stream"}
    lines = "".join(output.text for output in cells[0].outputs).splitlines()
    assert any(line.endswith("True") for line in lines)
    assert [line for line in lines if re.search(r"\b(False|nan)\b", line)] == []
    printed = [node for node in ast.walk(ast.parse(cells[0].source)) if isinstance(node, ast.JoinedStr)]
    for node in (part for whole in printed for part in ast.walk(whole)):  # a verdict is computed, never typed
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, str) and "True" in node.value)
    assert all(not (isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Constant))
               for whole in printed for part in whole.values)


def test_lessons_have_an_exercise_with_hint_and_solution(lesson):
    prose = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    assert re.search(r"^(#+ .*|\*\*)Exercise", prose, re.MULTILINE)
    folded = re.findall(r"<details>\s*<summary>(.*?)</summary>", prose, re.DOTALL)
    for name in ("hint", "solution"):
        assert [summary for summary in folded
                if name in summary.lower()], f"no <details> block for the {name}"


def test_code_cells_of_lessons_are_short(lesson):
    long = {cell.id: n for cell in lesson.cells
            if cell.cell_type == "code" and (n := len(cell.source.splitlines())) > MAX_LINES}
    assert long == {}
