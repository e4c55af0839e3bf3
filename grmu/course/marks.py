"""Marks that a person gives, in nbgrader's gradebook: kept when a lab is graded again, merged into tables.

`make mark` opens nbgrader's formgrader on the course folder that `make grade` has left; marks, comments and
corrections that are given there stand in its gradebook.db, which grading never empties.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pandas as pd
from nbformat import NotebookNode

from grmu.data.files import write_whole

CONFIG = """# For `make mark`: nbgrader's formgrader on this course. Students' HTML is shown without scripts.
c = get_config()
c.CourseDirectory.root = c.Exchange.root = {root!r}
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {{"markdown2html": "grmu.course.rubrics.clean_markdown",
                           "clean_html": "grmu.course.rubrics.clean"}}
"""


class Mark(NamedTuple):
    """A graded cell in the gradebook. points: None as long as a person has to give them. again: given for an
    answer that has changed since."""

    points: float | None
    most: float
    by_hand: bool
    again: bool
    comment: str


def read(made: Path, student: str, lab: str) -> dict[str, Mark]:
    """The marks of one submission by grade_id; empty if it is not in the gradebook."""
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(_database(made)) as book:
        try:
            notebook = book.find_submission_notebook(lab, lab, student)
        except MissingEntry:
            return {}
        comments = {comment.name: comment.comment or "" for comment in notebook.comments}
        by_name = {}
        for grade in notebook.grades:
            by_hand = grade.manual_score is not None
            none = grade.auto_score is None and not by_hand
            by_name[grade.name] = Mark(None if none else grade.score, grade.max_score, by_hand,
                                     by_hand and bool(grade.needs_manual_grade), comments.get(grade.name, ""))
        return by_name


def settle(made: Path, student: str, lab: str, before: NotebookNode | None) -> None:
    """After nbgrader has graded again: marks given by hand need another look only where the answer is another
    than in `before`, the notebook that they were given for."""
    from nbgrader.api import Gradebook

    after = _sources(nbformat.read(made / "autograded" / student / lab / f"{lab}.ipynb", as_version=4))
    known = _sources(before) if before is not None else {}
    with Gradebook(_database(made)) as book:
        for grade in book.find_submission_notebook(lab, lab, student).grades:
            same = grade.name in known and known[grade.name] == after.get(grade.name)
            if grade.manual_score is not None and grade.needs_manual_grade and same:
                grade.needs_manual_grade = False
        book.db.commit()


def merged(row: Mapping[str, Any], marks: Mapping[str, Mark]) -> dict[str, Any]:
    """A line of the gradebook with the marks as they are now: `total` of `max` points that are given, and the
    points that a person has yet to give, `by_hand`."""
    student, lab = row["student"], row["lab"]
    waiting = [name for name, mark in marks.items() if mark.points is None]
    notes = [note for note in row["status"].split("; ")
             if not note.startswith(("to grade by hand", "look again"))]
    if waiting:
        notes.append(f"to grade by hand: {', '.join(waiting)}")
    if again := [name for name, mark in marks.items() if mark.again]:
        notes.append(f"look again, the answer is another than the one that was marked: {', '.join(again)}")
    given = [mark for mark in marks.values() if mark.points is not None]
    return {**row, "student": student, "total": sum(mark.points or 0.0 for mark in given),
            "max": sum(mark.most for mark in given),
            "by_hand": sum(marks[name].most for name in waiting), "status": "; ".join(notes),
            **{f"{lab}/{name}": mark.points for name, mark in marks.items()}}


def digest(marks: Mapping[str, Mark]) -> str:
    """Of all marks of a submission: a page of feedback is written anew when it has changed."""
    text = json.dumps({name: list(mark) for name, mark in marks.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def moodle(book: pd.DataFrame, comments: Mapping[tuple[str, str], str],
           identities: Mapping[str, Mapping[str, str]] = {}) -> pd.DataFrame:
    """As Moodle imports grades from CSV: who it is, in columns that its own export has, then a grade and a
    feedback a lab. Both are empty as long as a mark is missing: Moodle then leaves what it has."""
    rows = []
    for student, part in _by_student(book):
        known = identities.get(student, {})
        row: dict[str, Any] = {"Username": known.get("login", student), "ID number": known.get("id", ""),
                               "Email address": known.get("email", "")}
        for line in part:
            row[line["lab"]] = None if line["by_hand"] else line["total"]
            feedback = "" if line["by_hand"] else comments.get((student, line["lab"]), "")
            row[f"{line['lab']} (feedback)"] = _no_formula(feedback)
        rows.append(row)
    return pd.DataFrame(rows)


def canvas(book: pd.DataFrame, most: Mapping[str, float],
           identities: Mapping[str, Mapping[str, str]] = {}) -> pd.DataFrame:
    """As Canvas imports a gradebook: its five columns of who it is, a column a lab; the points possible in a
    row of their own."""
    who = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    rows: list[dict[str, Any]] = [dict.fromkeys(who, "") | {"Student": "    Points Possible"} | dict(most)]
    for student, part in _by_student(book):
        known = identities.get(student, {})
        rows.append({"Student": student, "ID": "", "SIS User ID": known.get("id", ""),
                     "SIS Login ID": known.get("login", student), "Section": known.get("section", "")}
                    | {line["lab"]: None if line["by_hand"] else line["total"] for line in part})
    return pd.DataFrame(rows)


def exports(out: Path, book: pd.DataFrame, given: Mapping[tuple[str, str], Mapping[str, Mark]],
            identities: Mapping[str, Mapping[str, str]] = {}) -> None:
    """Write moodle.csv and canvas.csv beside gradebook.csv; `given`: the marks by student and lab."""
    comments, most = dict[tuple[str, str], str](), dict[str, float]()
    for (student, lab), marks in given.items():
        comments_of = [f"{name}: {mark.comment}" for name, mark in marks.items() if mark.comment]
        comments[student, lab] = " ".join(" ".join(comments_of).split())
        most[lab] = sum(mark.most for mark in marks.values())
    write_whole(out / "moodle.csv", moodle(book, comments, identities).to_csv(index=False))
    write_whole(out / "canvas.csv", canvas(book, most, identities).to_csv(index=False))


def serve(made: Path, arguments: Iterable[str] = ()) -> list[str]:
    """The command that opens the formgrader on a course folder; writes the settings that it reads there.

    Raises:
        FileNotFoundError: nothing has been graded yet.
    """
    made = made.resolve()
    if not (made / "gradebook.db").is_file():
        raise FileNotFoundError(f"{made} holds no gradebook: grade first, make grade SUBMISSIONS=folder.")
    write_whole(made / "nbgrader_config.py", CONFIG.format(root=str(made)))
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={made}",
            "--LabApp.default_url=/formgrader/gradebook", *arguments]


def _database(made: Path) -> str:
    return f"sqlite:///{made.resolve() / 'gradebook.db'}"


def _sources(nb: NotebookNode) -> dict[str, str]:
    return {c.metadata.nbgrader.grade_id: c.source for c in nb.cells if "nbgrader" in c.metadata}


def _by_student(book: pd.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(str(student), part.to_dict("records")) for student, part in book.groupby("student", sort=True)]


def _no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
