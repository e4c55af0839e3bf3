"""Use nbgrader for release versions, points, the gradebook, feedback pages, and manual grading.

nbgrader gets submissions that are already executed. The output of each graded cell is the verdict of its check.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bleach
import nbformat
import pandas as pd
from nbconvert.filters import markdown2html
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import ClearOutput, Execute, OverwriteCells
from traitlets import Bool
from traitlets.config import Config

from grmu.data.files import write_whole

TAGS = {*bleach.ALLOWED_TAGS, "br", "details", "div", "h1", "h2", "h3", "h4", "hr", "img", "p", "pre", "s", "span",
        "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
ATTRIBUTES = {"*": ["class", "id"], "a": ["href"], "img": ["alt", "height", "src", "width"]}
UNSEEN = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
STYLE = "#toc { display: none } td, th { vertical-align: top; text-align: left; padding: 0.1em 0.6em }"
LMS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]  # Canvas's columns; Moodle uses the login
CONFIG = """c = get_config()
c.CourseDirectory.root = c.Exchange.root = {root!r}
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {{"markdown2html": "grading.gradebook.clean_markdown",
                           "clean_html": "grading.gradebook.clean"}}
"""


def clean(element: Any) -> str:
    """Return HTML without anything that a browser would execute."""
    text = element.decode() if isinstance(element, bytes) else str(element)
    return bleach.clean(UNSEEN.sub("", text), tags=TAGS, attributes=ATTRIBUTES, strip=True,
                        protocols={*bleach.ALLOWED_PROTOCOLS, "data"})


def clean_markdown(source: str) -> str:
    """Convert Markdown to clean HTML."""
    return clean(markdown2html(source))


class Points(Preprocessor):
    """Add a table of points and comments to the top of nbgrader's feedback page."""

    enabled = Bool(True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Add the table, after nbgrader's GetGrades has written scores and comments into the cells."""
        about, lines = resources["nbgrader"], list[str]()
        for cell in nb.cells:
            meta = cell.metadata.get("nbgrader", {})
            if not meta.get("grade"):
                continue
            verdict = " ".join(output.get("evalue", "") for output in cell.get("outputs", ()))
            waits = " (not marked yet)" if meta.get("solution") and not meta["score"] else ""
            points = f"{meta['score']:g} of {meta['points']:g}{waits}"
            lines.append(f"<tr><td>{meta['grade_id']}</td><td>{points}</td>"
                         f"<td>{html.escape(meta.get('comment') or verdict)}</td></tr>")
        head = f"<div><b>{about['score']:g} of {about['max_score']:g} points</b> so far.</div>"
        nb.cells.insert(0, nbformat.v4.new_markdown_cell(f"{head}\n\n<table>{''.join(lines)}</table>"))
        resources["inlining"]["css"] = [*resources["inlining"]["css"], STYLE]
        return nb, resources


class Course:
    """An nbgrader course folder with the release versions of some labs.

    Args:
        folder: Path of the course folder. Existing files are kept.
        source: Folder with LAB/LAB.ipynb, including solutions.
        labs: Names of the labs.

    Raises:
        ValueError: nbgrader cannot make a release version.
    """

    def __init__(self, folder: Path, source: Path, labs: list[str]) -> None:
        self.folder, self.source, config = folder.resolve(), source, Config()
        config.CourseDirectory.root = config.Exchange.root = str(self.folder)
        theirs = Autograde()
        config.Autograde.sanitize_preprocessors = [
            p for p in theirs.sanitize_preprocessors if p not in (ClearOutput, OverwriteCells)]
        config.Autograde.autograde_preprocessors = [p for p in theirs.autograde_preprocessors if p is not Execute]
        config.GenerateFeedback.preprocessors = [*GenerateFeedback().preprocessors, Points]
        config.HTMLExporter.sanitize_html = True
        config.HTMLExporter.filters = {"markdown2html": clean_markdown, "clean_html": clean}
        self.folder.mkdir(parents=True, exist_ok=True)
        # nbgrader calls alembic, which may not be on the path
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        write_whole(self.folder / "nbgrader_config.py", CONFIG.format(root=str(self.folder)))
        self._nbgrader = NbGraderAPI(config=config)
        for lab in labs:
            ours, copied = source / lab / f"{lab}.ipynb", self.folder / "source" / lab / f"{lab}.ipynb"
            if self.release(lab).is_file() and copied.read_bytes() == ours.read_bytes():
                continue
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ours, copied)
            _must(lambda lab=lab: self._nbgrader.generate_assignment(lab))

    def release(self, lab: str) -> Path:
        """Return the path of the students' version."""
        return self.folder / "release" / lab / f"{lab}.ipynb"

    def grade(self, student: str, lab: str, executed: NotebookNode) -> None:
        """Save the points of an executed submission with nbgrader."""
        write_whole(self.folder / "submitted" / student / lab / f"{lab}.ipynb", nbformat.writes(executed))
        _must(lambda: self._nbgrader.autograde(lab, student))

    def points(self, student: str, lab: str) -> pd.DataFrame:
        """Return one row per graded cell: points (NaN if not graded yet), max, by_hand and comment."""
        with Gradebook(self._nbgrader.coursedir.db_url) as book:
            nb = book.find_submission_notebook(lab, lab, student)
            comments = {comment.name: comment.comment for comment in nb.comments}
            rows = [(g.name, None if g.auto_score is None and g.manual_score is None else g.score, g.max_score,
                     bool(g.needs_manual_grade), comments.get(g.name) or "") for g in nb.grades]
        return pd.DataFrame(rows, columns=["name", "points", "max", "by_hand", "comment"]).set_index("name")

    def feedback(self, student: str, lab: str) -> str:
        """Return the student's feedback page."""
        _must(lambda: self._nbgrader.generate_feedback(lab, student))
        return (self.folder / "feedback" / student / lab / f"{lab}.html").read_text(encoding="utf-8")


def for_lms(book: pd.DataFrame) -> pd.DataFrame:
    """Return the points so far in the format that Canvas and Moodle import: a row per student, a column per lab."""
    wide = book.pivot(index="student", columns="lab", values="total")
    people = pd.DataFrame("", wide.index, LMS)
    people["Student"] = people["SIS Login ID"] = wide.index
    return people.join(wide)


def _must(step: Callable[[], dict[str, Any]]) -> None:
    """Do a step of nbgrader.

    Raises:
        ValueError: The step failed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the database library issues deprecation warnings
        done = step()
    if not done["success"]:
        reasons = re.findall(r"^\s*[\w.]*(?:Error|Exception)\b.*", done.get("log") or "", re.MULTILINE)
        raise ValueError(f"nbgrader failed: {(reasons or ['it gave no reason'])[0].strip()[:300]}")
