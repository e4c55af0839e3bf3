"""A class in which everyone has their own: graded with a list, again after marks were given, after a kill."""

import copy
import importlib.util
import multiprocessing
import time

import pandas as pd
import pytest
from lab_cells import cell, written
from nbformat import v4
from test_marks import RUBRIC, give

from grmu.course import classes, grading
from grmu.course.contain import Limits
from grmu.course.own import own

if importlib.util.find_spec("nbgrader") is None:
    pytest.skip("nbgrader is not installed", allow_module_level=True)

ROOM = Limits(seconds=300, cell_seconds=120, gigabytes=4, ask_seconds=30)  # PyTorch is imported
CHECKS = """
from grmu.course.asking import same

def test_my_ratio(ask, rng, mine):
    assert same(ask("my_ratio"), mine.ratio), "your own ratio, mine.ratio."
    assert same(ask("my_seed"), mine.seed), "your own seed, mine.seed."
"""
CELLS = [
    cell(v4.new_code_cell, "student", 'from grmu.course.own import own\nstudent = "everyone"\n'
         'mine = own(student, "lab1")', locked=True),
    cell(v4.new_code_cell, "my_ratio", "### BEGIN SOLUTION\nmy_ratio, my_seed = mine.ratio, mine.seed\n"
         "### END SOLUTION", solution=True),
    cell(v4.new_code_cell, "test_my_ratio", "assert my_ratio > 0", grade=True, locked=True, points=2),
    cell(v4.new_markdown_cell, "why", f"Because.\n\n{RUBRIC}", grade=True, solution=True, points=4)]
RIGHT = "my_ratio, my_seed = mine.ratio, mine.seed"
STUDENTS = ("ann", "bo", "cy", "di")


def handed_in(cells, student, answer):
    cells = copy.deepcopy(cells)
    cells[0].source = cells[0].source.replace("everyone", student)
    cells[1].source, cells[3].source = answer, "It is so."
    return cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A lab with a check of one's own data. ann is right; bo has copied her numbers; cy hands in for ann; di
    would rather have everyone's data."""
    folder = tmp_path_factory.mktemp("own")
    written(folder / "source" / "lab1", CELLS)
    (folder / "checks").mkdir()
    (folder / "checks" / "lab1.py").write_text(CHECKS)
    ann = own("ann", "lab1")
    copied = f"my_ratio, my_seed = {ann.ratio}, {ann.seed}"
    for student, name, answer in (("ann", "ann", RIGHT), ("bo", "bo", copied), ("cy", "ann", RIGHT),
                                  ("di", "everyone", "my_ratio, my_seed = 0.5, 0")):
        written(folder / "in" / student, handed_in(CELLS, name, answer))
    (folder / "class.csv").write_text("student,id\nann,007\nbo,008\ncy,009\n")
    return folder


def grade(folder, **options):
    book = grading.grade(folder / "in", folder / "out", limits=ROOM, source=folder / "source",
                         checks=folder / "checks", secret="of this class", jobs=2,
                         students=classes.identities(folder / "class.csv"), **options)
    return book.set_index("student")


@pytest.fixture(scope="module")
def book(folder):
    return grade(folder)


def page(folder, student):
    return (folder / "out" / "feedback" / student / "lab1.html").read_text()


@pytest.mark.parametrize(("student", "points", "status"), [
    ("ann", 2, "graded; to grade by hand: why"), ("bo", 0, "graded; to grade by hand: why"),
    ("cy", 2, "changed cells put back: student"), ("di", 0, "not in the class list")])
def test_everyone_is_graded_with_their_own_data_whatever_name_stands_in_the_notebook(
        book, student, points, status):
    assert book.loc[student, "lab1/test_my_ratio"] == points, book.loc[student, "status"]
    assert status in book.loc[student, "status"]


def test_equal_answers_to_different_data_are_reported(folder, book):
    table = pd.read_csv(folder / "out" / "same_answers.csv")
    assert table[["student", "same as", "right for"]].values.tolist() == [["ann", "bo", "ann"]]


def test_the_page_says_what_was_wrong_and_not_the_rubric(folder, book):
    assert "your own ratio, mine.ratio." in page(folder, "bo")
    assert "0 of 2" in page(folder, "bo")
    assert "ubric" not in page(folder, "bo")
    marked = folder / "out" / "course" / "autograded" / "bo" / "lab1" / "lab1.ipynb"
    assert "Rubric (4)" in marked.read_text()


def test_grading_again_keeps_marks_and_tells_the_student(folder, book, monkeypatch):
    made = folder / "out" / "course"
    give(made, "ann", "why", 3, "Which claim?")
    monkeypatch.setattr(grading, "mark_apart", lambda task: pytest.fail("it is finished"))
    for _ in range(2):
        line = grade(folder).loc["ann"]
        assert (line.total, line["max"], line.by_hand, line.status) == (5, 6, 0, "graded")
    assert "Which claim?" in page(folder, "ann")
    assert "3 of 4" in page(folder, "ann")
    assert pd.read_csv(folder / "out" / "canvas.csv").lab1.tolist()[:2] == [6, 5]
    moodle = pd.read_csv(folder / "out" / "moodle.csv", dtype=str).set_index("Username")
    assert moodle.loc["ann", ["ID number", "lab1", "lab1 (feedback)"]].tolist() == [
        "007", "5.0", "why: Which claim?"]


def test_a_kill_and_another_answer_lose_no_mark(folder, book):
    made = folder / "out" / "course"
    give(made, "ann", "why", 3, "Which claim?")
    give(made, "bo", "why", 1)
    for student, number in (("ann", 1), ("bo", 2)):  # handed in again: everything is to be done
        cells = handed_in(CELLS, student, f"{RIGHT}  # {number}")
        cells[3].source += " Is it?" if student == "bo" else ""
        written(folder / "in" / student, cells)
    child = multiprocessing.get_context("fork").Process(target=grade, args=(folder,))
    child.start()
    executed = made / "submitted" / "ann" / "lab1" / "lab1.ipynb"
    while child.is_alive() and "# 1" not in executed.read_text():  # nbgrader is about to grade it
        time.sleep(0.02)
    child.kill()
    child.join()
    line = grade(folder).loc[["ann", "bo"]]
    assert line["lab1/why"].tolist() == [3, 1]
    assert line["lab1/test_my_ratio"].tolist() == [2, 2]
    assert line.status.tolist() == [
        "graded", "graded; look again, the answer is another than the one that was marked: why"]
