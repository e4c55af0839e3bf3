"""Marks that a person gives, with the real nbgrader: kept, merged, exported; the rubric beside the answer,
and not before the student."""

import copy
import importlib.util
import multiprocessing
import shutil
import time

import nbformat
import pandas as pd
import pytest
from lab_cells import cell, written
from nbformat import v4

from grmu.course import grading, labs, marks, rubrics

if importlib.util.find_spec("nbgrader") is None:
    pytest.skip("nbgrader is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore:Object of type")  # of nbgrader's own queries

ANSWER = "It is so.\n\n<script>alert(1)</script>"
RUBRIC = "**Rubric (4).** Says why 2.\n\n**For graders.** Ask once."


CELLS = [
    cell(v4.new_markdown_cell, "task", "**Task 1.1.** Double it.", locked=True),
    cell(v4.new_code_cell, "double", "### BEGIN SOLUTION\ndef double(x): return 2 * x\n### END SOLUTION",
         solution=True),
    cell(v4.new_code_cell, "test_double", "assert double(1) == 2", grade=True, locked=True, points=2),
    cell(v4.new_markdown_cell, "part2", "## Why | is it so?", locked=True),
    cell(v4.new_markdown_cell, "why", f"Because.\n\n{RUBRIC}", grade=True, solution=True, points=4),
    cell(v4.new_code_cell, "figure", "### BEGIN SOLUTION\n# Rubric (3): axes 1;\n# a title 2.\nplot()\n"
         "# not of it\n\n# nor this\n### END SOLUTION", grade=True, solution=True, points=3)]


def submit(made, student, wrong="", **sources):
    """What grading leaves: an executed notebook with a verdict in its test cell; graded by nbgrader."""
    nb = nbformat.read(made / "release" / "lab1" / "lab1.ipynb", as_version=4)
    for c in nb.cells:
        name = c.metadata.get("nbgrader", {}).get("grade_id")
        c.source = sources.get(name, c.source)
        if name == "test_double" and wrong:
            c.outputs = [v4.new_output("error", ename="Not yet", evalue=wrong, traceback=[wrong])]
    source = nbformat.read(made / "source" / "lab1" / "lab1.ipynb", as_version=4)
    rubrics.put_beside(nb, rubrics.rubrics(source))
    written(made / "submitted" / student / "lab1", nb.cells)
    done = grading.configured(made).autograde("lab1", student)
    assert done["success"], done


def give(made, student, name, points, comment=""):
    """As the formgrader does it."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{made / 'gradebook.db'}") as book:
        grade = book.find_grade(name, "lab1", "lab1", student)
        grade.manual_score, grade.needs_manual_grade = points, False
        if comment:
            book.find_comment(name, "lab1", "lab1", student).manual_comment = comment
        book.db.commit()


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    written(source / "lab1", CELLS)
    with labs.course(["lab1"], source) as made:
        yield made


@pytest.fixture
def made(once, tmp_path):
    return shutil.copytree(once, tmp_path / "course")


def row(**more):
    return {"student": "ann", "lab": "lab1", "total": 2.0, "max": 2.0, "by_hand": 7.0,
            "status": "graded; cell 3 was stopped; to grade by hand: why, figure",
            "lab1/test_double": 2.0} | more


# Rubrics


def test_the_rubric_is_taken_from_the_solution_as_text_or_comment():
    found = rubrics.rubrics(v4.new_notebook(cells=copy.deepcopy(CELLS)))
    assert found == {"why": RUBRIC, "figure": "Rubric (3): axes 1;\na title 2."}


def test_a_rubric_stands_once_below_its_answer():
    nb = v4.new_notebook(cells=copy.deepcopy(CELLS))
    for _ in range(2):
        rubrics.put_beside(nb, {"why": RUBRIC})
    assert len(nb.cells) == len(CELLS) + 1
    assert "> **Rubric (4).** Says why 2." in nb.cells[5].source
    nbformat.validate(nb)


@pytest.mark.parametrize("lab", labs.labs())
def test_every_answer_that_a_person_marks_has_a_rubric(lab):
    nb = nbformat.read(labs.SOURCE / lab / f"{lab}.ipynb", as_version=4)
    by_hand = {c.metadata.nbgrader.grade_id for c in nb.cells
               if (m := c.metadata.get("nbgrader", {})).get("grade") and m.get("solution")}
    assert rubrics.rubrics(nb).keys() == by_hand


def test_what_a_student_gets_before_the_deadline_holds_no_rubric(once):
    assert "ubric" not in (once / "release" / "lab1" / "lab1.ipynb").read_text()


# Marks


def test_marks_and_comments_stay_when_a_lab_is_graded_again(made):
    submit(made, "ann", why=ANSWER, figure="plot(1)")
    assert marks.read(made, "ann", "lab1")["why"] == marks.Mark(None, 4, False, False, "")
    give(made, "ann", "why", 3, "Which claim?")
    before = nbformat.read(made / "autograded" / "ann" / "lab1" / "lab1.ipynb", as_version=4)
    submit(made, "ann", "twice.", why=ANSWER, figure="plot(2)")
    marks.settle(made, "ann", "lab1", before)
    found = marks.read(made, "ann", "lab1")
    assert found["why"] == marks.Mark(3, 4, True, False, "Which claim?")
    assert found["test_double"].points == 0
    assert found["figure"].points is None


def test_a_mark_for_an_answer_that_has_changed_stays_and_is_said(made):
    submit(made, "ann", why=ANSWER)
    give(made, "ann", "why", 3)
    before = nbformat.read(made / "autograded" / "ann" / "lab1" / "lab1.ipynb", as_version=4)
    submit(made, "ann", why="Otherwise.")
    marks.settle(made, "ann", "lab1", before)
    found = marks.read(made, "ann", "lab1")
    assert found["why"] == marks.Mark(3, 4, True, True, "")
    said = marks.merged(row(), found)["status"]
    assert "look again, the answer is another than the one that was marked: why" in said


def test_a_correction_of_an_automatic_mark_counts(made):
    submit(made, "ann", "twice.", why=ANSWER, figure="plot(2)")
    give(made, "ann", "test_double", 1)
    assert marks.merged(row(), marks.read(made, "ann", "lab1"))["lab1/test_double"] == 1


def again_and_again(made):
    while True:
        submit(made, "ann", why=ANSWER, figure="plot(3)")


def test_a_killed_grading_loses_no_mark(made, tmp_path):
    submit(made, "ann", why=ANSWER, figure="plot(2)")
    give(made, "ann", "why", 3, "Which claim?")
    for wait in (0.2, 0.5, 0.8, 1.1):
        child = multiprocessing.get_context("fork").Process(target=again_and_again, args=(made,))
        child.start()
        time.sleep(wait)
        child.kill()
        child.join()
        found = marks.read(made, "ann", "lab1")["why"]
        assert (found.points, found.comment) == (3, "Which claim?")
    submit(made, "ann", why=ANSWER, figure="plot(2)")
    assert marks.read(made, "ann", "lab1")["why"].points == 3


def test_a_line_of_the_gradebook_is_merged_again_and_again(made):
    submit(made, "ann", why=ANSWER, figure="plot(2)")
    line = marks.merged(row(), marks.read(made, "ann", "lab1"))
    assert (line["total"], line["max"], line["by_hand"]) == (2, 2, 7)
    assert line["status"] == row()["status"]
    first = marks.digest(marks.read(made, "ann", "lab1"))
    give(made, "ann", "why", 3)
    give(made, "ann", "figure", 0)
    assert marks.digest(marks.read(made, "ann", "lab1")) != first
    for _ in range(2):
        line = marks.merged(line, marks.read(made, "ann", "lab1"))
        assert (line["total"], line["max"], line["by_hand"]) == (5, 9, 0)
        assert line["status"] == "graded; cell 3 was stopped"
        assert line["lab1/why"] == 3


def test_who_is_not_in_the_gradebook_has_no_marks(made):
    assert marks.read(made, "nobody", "lab1") == {}


# Tables for Moodle and Canvas


def test_moodle_and_canvas_get_their_columns_and_no_grade_while_a_mark_is_missing(made):
    submit(made, "ann", why=ANSWER, figure="plot(2)")
    submit(made, "bo", "twice.", why=ANSWER, figure="plot(2)")
    for name, points, said in (("why", 3, "=Which claim?"), ("figure", 2, "")):
        give(made, "ann", name, points, said)
    given = {(s, "lab1"): marks.read(made, s, "lab1") for s in ("ann", "bo")}
    book = pd.DataFrame([marks.merged(row(student=s), found) for (s, _), found in given.items()])
    marks.exports(made, book, given, {"ann": {"id": "007", "email": "a@x", "section": "A"}})
    moodle = pd.read_csv(made / "moodle.csv", dtype=str, keep_default_na=False)
    assert moodle.to_dict("records") == [
        {"Username": "ann", "ID number": "007", "Email address": "a@x", "lab1": "7.0",
         "lab1 (feedback)": "why: =Which claim?"},
        {"Username": "bo", "ID number": "", "Email address": "", "lab1": "", "lab1 (feedback)": ""}]
    canvas = (made / "canvas.csv").read_text().splitlines()
    assert canvas == ["Student,ID,SIS User ID,SIS Login ID,Section,lab1", "    Points Possible,,,,,9.0",
                      "ann,,007,ann,A,7.0", "bo,,,bo,,"]


# What a student gets back


def test_a_student_s_page_says_points_by_task_and_what_was_wrong_and_holds_no_rubric_and_no_script(made):
    submit(made, "ann", "the half | is <not> twice: lesson 01.", why=ANSWER, figure="plot(2)")
    give(made, "ann", "figure", 2, "No unit.")
    assert grading.configured(made).generate_feedback("lab1", "ann")["success"]
    page = (made / "feedback" / "ann" / "lab1" / "lab1.html").read_text()
    table = page[page.index("feedback"):page.index("</table>")]
    for part in ("Task 1.1", "Why | is it so?", "0 of 2", "not marked yet", "2 of 3", "No unit.",
                 "the half | is &lt;not&gt; twice: lesson 01.", '<a href="#test_double">'):
        assert part in table
    assert "<b>2 of 9 points</b>, without what is not marked yet" in page
    assert "It is so." in page
    assert "ubric" not in page
    assert "<script>alert" not in page


# The formgrader


def test_marking_needs_something_that_was_graded(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no gradebook: grade first"):
        labs.main(["--mark", "--out", str(tmp_path)])


@pytest.mark.parametrize(("written", "shown"), [
    ("**a** $x<y$", "<p><strong>a</strong> $x&lt;y$</p>"), ("a\n\n| b |\n| - |\n| c |", "<th>b</th>"),
    ("<script>alert(1)</script>b", "b"), ("<style>td {}</style>b", "b"),
    ("<b onclick='f()'>x</b>", "<b>x</b>"),
    ("[x](javascript:f())", ">x</a>"), ("<iframe src='x'></iframe>y", "y"), ("<input id='why'>z", "z")])
def test_a_browser_runs_nothing_of_what_a_student_wrote(written, shown):
    found = rubrics.clean_markdown(written)
    assert shown in found
    assert not [part for part in ("script", "<style", "onclick", "iframe", "<input") if part in found]
