"""Test the form of the lessons: how they are saved, their length, and the parts that each must have."""

import ast
import functools
import re

import diagrams
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebooks
from grmu import data
from grmu.analysis import paper

LIMITS = {"cells": 40, "words": 2000, "tables": 4, "figures": 6}
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)")  # unsigned: a minus may be a dash
EVERYWHERE = {"0", "1", "2", "95", "100"}


@pytest.fixture(params=notebooks.lessons(), ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


def prose(nb):
    """Return the Markdown of each cell without code."""
    return [re.sub(r"```.*?```", "", cell.source, flags=re.S) for cell in nb.cells
            if cell.cell_type == "markdown"]


def outputs(nb):
    return [output for cell in nb.cells for output in cell.get("outputs", ())]


def tagged(nb, tag):
    (cell,) = (cell for cell in nb.cells if tag in cell.metadata.get("tags", ()))
    return cell


def code(nb):
    """Return (position, tree) of every code cell."""
    return [(i, ast.parse(re.sub(r"^\s*[%!].*", "", cell.source, flags=re.M)))
            for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]


def test_a_lesson_is_no_longer_than_it_may_be(lesson):
    shown = [output.get("data", {}) for output in outputs(lesson)]
    found = {"cells": len(lesson.cells),
             "words": len(re.findall(r"\S*\w\S*", re.sub(r"!\[.*?\]\(.*?\)", "", "\n".join(prose(lesson))))),
             "tables": sum("<table" in data.get("text/html", "") for data in shown),
             "figures": sum("image/png" in data for data in shown)}
    assert {name: n for name, n in found.items() if n > LIMITS[name]} == {}


def test_a_lesson_has_objectives_times_parameters_and_an_exercise(lesson):
    opening, text = lesson.cells[0].source, "\n".join(prose(lesson))
    assert opening.startswith("# ")
    assert "After this lesson you can" in opening
    assert re.search(r"\d+ minutes", opening)
    assert re.search(r"^seeds\b.*=", tagged(lesson, "parameters").source, re.MULTILINE)
    folded = " ".join(re.findall(r"<details>\s*<summary>(.*?)</summary>", text, re.DOTALL)).lower()
    assert "exercise" in text.lower()
    assert "hint" in folded
    assert "solution" in folded


def test_the_verdict_is_computed_and_holds(lesson):
    cell = tagged(lesson, "verdict")
    lines = "".join(output.text for output in cell.outputs).splitlines()
    assert "nbval-ignore-output" not in cell.metadata.tags
    assert any(line.endswith("True") for line in lines)
    assert not [line for line in lines if re.search(r"\b(False|nan)\b", line)]
    assert not re.search(r"True['\"]", cell.source)


def test_every_figure_has_alt_text_with_a_number(lesson):
    for output in outputs(lesson):
        if "image/png" in output.get("data", {}):
            alt = output.metadata.get("image/png", {}).get("alt", "")
            assert len(alt) >= 40
            assert re.search(r"\d", alt), alt


def test_diagrams_are_drawn_by_the_script_and_shown_with_alt_text(tmp_path):
    diagrams.main(tmp_path)
    kept = {path.name: path.read_text(encoding="utf-8") for path in diagrams.FOLDER.glob("*.svg")}
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == kept
    cells = [cell for path in notebooks.lessons() for cell in nbformat.read(path, as_version=4).cells]
    shown = [image for cell in cells for image in re.findall(r"!\[(.*)\]\(diagrams/(.*?)\)", cell.source)]
    assert sorted(name for _, name in shown) == sorted(kept)
    assert min(len(alt) for alt, _ in shown) >= 40
    for svg in kept.values():
        assert re.search(r"<title>\w.*</title><desc>\w.*</desc>", svg)
        assert '<rect width="100%" height="100%" fill="#ffffff"/>' in svg


def test_the_diagrams_have_the_numbers_of_the_data():
    train, _, _, asked = data.load("groundwear")
    left = data.split_forget(train, 0.5, [asked], seed=0).retain.group_counts()
    said = (diagrams.FOLDER / "reweight.svg").read_text(encoding="utf-8")
    for part in (train.group_counts(), left):
        assert all(f"{n:,} ({100 * n / part.sum():.1f} %)" in said for n in part)
    said = (diagrams.FOLDER / "two_forget_sets.svg").read_text(encoding="utf-8")
    assert f"forget {len(train) - left.sum()} of {len(train):,} training pictures" in said


def test_guesses_come_before_their_answers_and_are_counted_at_the_end(lesson):
    asked, answered, counted = {}, {}, set()
    for position, tree in code(lesson):
        for node in ast.walk(tree):
            called = getattr(getattr(node, "value", None), "func", None)
            if isinstance(node, ast.Assign) and getattr(called, "attr", "") == "guess":
                asked[node.targets[0].id] = position
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "answer":
                answered[node.func.value.id] = position
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "score_guesses":
                counted = {argument.id for argument in node.args}
    assert 2 <= len(asked) <= 5
    assert asked.keys() == answered.keys() == counted
    assert all(answered[name] > asked[name] + 1 for name in asked)


def plain_numbers(text):
    """Return the numbers in prose, without formulas, code, links, headings, tables, references and years."""
    for pattern in (r"(?s)<details>.*?</details>", r"(?s)\$\$.*?\$\$", r"(?s)\$.*?\$", r"`[^`]*`",
                    r"\]\([^)]*\)", r"https?://\S+", r"(?m)^#.*$", r"(?m)^\*\*Exercise[^*]*\*\*[^.]*\.",
                    r"(?m)^\|.*\|$",
                    r"(?i)\b(?:lessons?|sections?|eqs?\.|equations?|figs?\.|tables?|algorithms?|articles?"
                    r"|labs?|step)\s*\d[\d.]*(?:(?:,| and| to|\u2013)\s*\d[\d.]*)*", r"\b(?:19|20)\d\d\b",
                    r"\[\d+[^\]]*\]"):
        text = re.sub(pattern, " ", text)
    return typed(text)


def typed(text):
    """Return the numbers of a text without signs and thousands separators."""
    return [found.replace(",", "") for found in NUMBER.findall(text)]


@functools.cache
def paper_numbers():
    """Return every value in the paper's tables as the paper prints it."""
    tables = (paper.table(name) for name in ("results", "ablation", "fairness"))
    values = [value for table in tables for value in table.select_dtypes("number").to_numpy().flatten()]
    return {f"{value:{form}}" for value in values for form in (".0f", ".1f", ".2f", "g")}


def test_no_line_of_prose_begins_with_a_per_cent_sign_which_the_site_reads_as_a_comment(lesson):
    assert [text for text in prose(lesson) if re.search(r"^ *%", text, re.M)] == []


def test_every_number_in_prose_is_computed_in_the_lesson_or_printed_by_the_paper(lesson):
    shown = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    for output in outputs(lesson):
        data = output.get("data", {})
        shown += [output.get("text", ""), data.get("text/plain", ""),
                  re.sub(r"<[^>]*>", " ", data.get("text/html", "")),
                  output.get("metadata", {}).get("image/png", {}).get("alt", "")]
    known = set(typed("\n".join(shown)))
    known |= {f"{round(float(n))}" for n in known if n} | paper_numbers() | EVERYWHERE
    assert {number for text in prose(lesson)[1:] for number in plain_numbers(text)} - known == set()


# --- how lessons are saved ----------------------------------------------------------------------------------


def stdout(text):
    return new_output("stream", name="stdout", text=text)


def test_lessons_are_saved_normalised_and_executed():
    assert [problem for path in notebooks.lessons() for problem in notebooks.problems(path)] == []


def test_normalising_removes_what_is_live_or_timed_and_changes_nothing_the_second_time():
    widget = {notebooks.WIDGET: {"model_id": "1"}, "text/plain": "interactive()"}
    cell = new_code_cell("run()", id="train", execution_count=7, outputs=[
        stdout("one\n"), new_output("stream", name="stderr", text="100%"), stdout("two\n"),
        new_output("display_data", data=widget), new_output("execute_result", data={"text/plain": "3"})])
    cell.metadata = nbformat.from_dict({"tags": ["kept"], "ExecuteTime": {}, "papermill": {"duration": 1.2}})
    nb = new_notebook(metadata={"papermill": {}}, cells=[new_markdown_cell("# A"), cell])
    once = notebooks.normalise(nb)
    assert once.metadata == notebooks.METADATA
    assert once.cells[1].metadata == {"tags": ["kept"]}
    assert [output.get("text") for output in once.cells[1].outputs] == ["one\ntwo\n", None]
    assert once.cells[1].execution_count == 1
    assert nbformat.writes(notebooks.normalise(once)) == nbformat.writes(once)
    nbformat.validate(once)


def test_a_path_of_this_machine_is_rejected():
    printed = new_code_cell("p", outputs=[stdout("/" + "tmp/model")])
    for cell in (new_markdown_cell("see /" + "home/ada/course"), printed):
        with pytest.raises(ValueError, match="cell 0 has a path of this machine"):
            notebooks.normalise(new_notebook(cells=[cell]))
    notebooks.normalise(new_notebook(cells=[new_markdown_cell("~/work/course and/or/work")]))


def test_a_lesson_that_fails_stays_as_it_was(tmp_path):
    path = tmp_path / "00_broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0", id="a")]), path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.execute(path)
    assert path.read_bytes() == before
    assert "no outputs" in " ".join(notebooks.problems(path))
