"""Rubrics beside the answers that a person marks, and the page that a student gets back.

A lab's source has the rubric in the solution's cell: text from "**Rubric" on, or comments from "# Rubric" on.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

import bleach
import nbformat
from nbconvert.filters import markdown2html
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from traitlets import Bool

MARK = "rubric-"  # how the id of an inserted cell begins
TEXT = re.compile(r"^\*\*(?:Rubric|For graders)\b.*", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"^[ \t]*# Rubric.*(?:\n[ \t]*#.*)*", re.MULTILINE)
LEAD = re.compile(r"^(?:#+\s+(.+)|\*\*([^*]+)\*\*)", re.MULTILINE)  # a heading, or what begins a task
UNSEEN = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)  # whose text is no text
TAGS = {*bleach.ALLOWED_TAGS, "br", "caption", "dd", "del", "details", "div", "dl", "dt", "h1", "h2", "h3",
        "h4", "h5", "h6", "hr", "img", "p", "pre", "s", "small", "span", "sub", "summary", "sup", "table",
        "tbody", "td", "tfoot", "th", "thead", "tr", "u"}
ATTRIBUTES = {"*": ["class"], "a": ["href", "title"], "img": ["alt", "height", "src", "width"],
              "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan"]}
# nbgrader's own list of scores says "Test cell" of each
STYLE = """#toc { display: none }
table.points td, table.points th { vertical-align: top; text-align: left; padding: 0.2em 1.5em 0.2em 0 }
table.points tr { border-bottom: 1px solid #ddd }
table.points td:nth-child(2) { white-space: nowrap }"""


def rubrics(source: NotebookNode) -> dict[str, str]:
    """The rubric of each answer that a person marks, as Markdown, by grade_id."""
    by_name = {}
    for cell in source.cells:
        meta = cell.metadata.get("nbgrader", {})
        if not (meta.get("grade") and meta.get("solution")):
            continue
        pattern = TEXT if cell.cell_type == "markdown" else COMMENT
        if rubric := pattern.search(cell.source):
            text = rubric[0] if cell.cell_type == "markdown" else re.sub(r"^[ \t]*# ?", "", rubric[0],
                                                                        flags=re.MULTILINE)
            by_name[meta["grade_id"]] = text.strip()
    return by_name


def put_beside(nb: NotebookNode, rubric_of: Mapping[str, str]) -> None:
    """Insert each rubric below its answer, in place; those that are there already are replaced."""
    nb.cells = [cell for cell in nb.cells if not is_rubric(cell)]
    for index in reversed(range(len(nb.cells))):
        name = nb.cells[index].metadata.get("nbgrader", {}).get("grade_id")
        if name in rubric_of:
            quoted = "\n".join(f"> {line}" for line in rubric_of[name].splitlines())
            cell = nbformat.v4.new_markdown_cell(f"> *For whoever marks this:*\n>\n{quoted}")
            cell.id = re.sub(r"[^\w-]", "-", MARK + name)[:64]
            nb.cells.insert(index + 1, cell)


def is_rubric(cell: NotebookNode) -> bool:
    """Whether `put_beside` made this cell."""
    return str(cell.get("id", "")).startswith(MARK)


def clean(element: Any) -> str:
    """HTML without what a browser would run: for pages on which an instructor has rights."""
    text = element.decode() if isinstance(element, bytes) else str(element)
    return bleach.clean(UNSEEN.sub("", text), tags=TAGS, attributes=ATTRIBUTES, strip=True,
                        protocols={*bleach.ALLOWED_PROTOCOLS, "data"})


def clean_markdown(source: str) -> str:
    """Markdown as HTML, cleaned."""
    return clean(markdown2html(source))


def configure(config: Any) -> None:
    """Let nbgrader's feedback be a `StudentPage`, in which nothing of a student's is run."""
    from nbgrader.converters import GenerateFeedback

    config.GenerateFeedback.preprocessors = [*GenerateFeedback().preprocessors, StudentPage]
    config.HTMLExporter.sanitize_html = True
    config.HTMLExporter.filters = {"markdown2html": clean_markdown, "clean_html": clean}


class StudentPage(Preprocessor):
    """nbgrader's feedback, with the points by task and what was wrong at the top, and without rubrics."""

    enabled = Bool(True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """After nbgrader's GetGrades has written scores and comments into the cells."""
        task, waiting, lines = "", _waiting(resources["nbgrader"]), list[str]()
        nb.cells = [cell for cell in nb.cells if not is_rubric(cell)]
        for cell in nb.cells:
            meta = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "markdown" and meta.get("locked") and (leads := LEAD.findall(cell.source)):
                task = max(leads[-1]).partition(" (")[0].strip(" .,:")  # without minutes and points
            if meta.get("grade"):
                name = meta["grade_id"]
                points = "not marked yet" if name in waiting else f"{meta['score']:g} of {meta['points']:g}"
                where = f"{html.escape(task)}, <a href='#{name}'>{name}</a>"
                row = "".join(f"<td>{part}</td>" for part in (where, points, html.escape(_said(cell))))
                lines.append(f"<tr>{row}</tr>")
        total = f"<b>{resources['nbgrader']['score']:g} of {resources['nbgrader']['max_score']:g} points</b>"
        head = "<tr><th>task</th><th>points</th><th>feedback</th></tr>"
        nb.cells.insert(0, nbformat.v4.new_markdown_cell(
            f"<div>{total}{', without what is not marked yet' if waiting else ''}.</div>\n\n"
            f"<table class='points'>{head}{''.join(lines)}</table>"))
        resources["inlining"]["css"] = [*resources["inlining"]["css"], STYLE]
        return nb, resources


def _said(cell: NotebookNode) -> str:
    """A person's comment, or the verdict of a check."""
    errors = [output.get("evalue", "") for output in cell.get("outputs", ()) if output.output_type == "error"]
    return re.sub(r"\s+", " ", cell.metadata.nbgrader.get("comment") or " ".join(errors))


def _waiting(about: Mapping[str, Any]) -> set[str]:
    """The cells that a person has yet to mark."""
    from nbgrader.api import Gradebook

    with Gradebook(about["db_url"]) as book:
        submission = book.find_submission_notebook(about["notebook"], about["assignment"], about["student"])
        return {g.name for g in submission.grades if g.auto_score is None and g.manual_score is None}
