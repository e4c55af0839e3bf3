"""A class list, and each student's own notebook of a lab (`grmu.course.own`)."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from grmu.course.own import EVERYONE

COLUMN, KNOWN = "student", ("login", "id", "email", "section")
CELL = "student"  # grade_id of the locked cell that holds the name
LINE = re.compile(r"""^student = ("[^"\n]*"|'[^'\n]*')""", re.MULTILINE)
LONGEST = 100  # bytes of a name: it names a folder


def read_class(path: Path, taken: Iterable[str] = ()) -> list[str]:
    """The names in the column `student` of a CSV file (commas or semicolons), in its order.

    Args:
        taken: names that mean something else, such as the labs'.

    Raises:
        FileNotFoundError: there is no such file.  ValueError: no such column, or a name that cannot be a
            folder's, in which line and why.
    """
    return list(identities(path, taken))


def identities(path: Path, taken: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """As `read_class`, with what else the list says of each: `login`, `id`, `email`, `section`, where these
    columns are there; for tables that Moodle and Canvas take."""
    head, table = _table(path)
    if COLUMN not in (table.fieldnames or ()):
        raise ValueError(f'{path}, line 1: there is no column "{COLUMN}", '
                         f'only {head.strip() or "nothing"!r}.')
    names, students = dict[str, int](), dict[str, dict[str, str]]()
    for row in table:
        name = unicodedata.normalize("NFC", row[COLUMN] or "").strip()
        why = unfit(name, taken)
        alike = next((known for known in names if known.casefold() == name.casefold()), None)
        if alike is not None:
            why = f"{alike!r} is in line {names[alike]} already: give one of them another name"
        if why:
            raise ValueError(f"{path}, line {table.line_num}: {name!r}: {why}.")
        names[name] = table.line_num
        students[name] = {key: row[key].strip() for key in KNOWN if row.get(key)}
    if not names:
        raise ValueError(f"{path} has a column {COLUMN!r}, and nobody in it.")
    return students


def _table(path: Path) -> tuple[str, csv.DictReader[str]]:
    """The first line of a CSV file, and its rows."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}: name a CSV file with a column "{COLUMN}".')
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8: save it as CSV UTF-8.") from None
    head = text.split("\n", 1)[0]
    return head, csv.DictReader(io.StringIO(text), skipinitialspace=True,
                                delimiter=";" if head.count(";") > head.count(",") else ",")


def unfit(name: str, taken: Iterable[str] = ()) -> str:
    """Why this cannot be a student's name, which is a folder's, too; "" if it can."""
    if not name:
        return "there is no name"
    if character := next((part for part in ("/", "\\", "..", ":", "*", "?", '"', "<", ">", "|")
                      if part in name), None):
        return f"a folder's name cannot hold {character}"
    if name.startswith((".", "-", "=", "+", "@", "'")) or name.endswith("."):  # or a spreadsheet's formula
        return "a name begins with a letter or a digit, and ends without a dot"
    if not name.isprintable():
        return "there is a character in it that cannot be seen"
    if len(name.encode()) > LONGEST:
        return f"a name has at most {LONGEST} bytes"
    if name.casefold() in {EVERYONE, *taken}:
        return "this word has another meaning here"
    return ""


def personal(nb: NotebookNode, student: str) -> bool:
    """Write the student's name into a lab's locked cell, in place. False if the lab has no such cell: then it
    is the same for all."""
    for cell in nb.cells:
        meta = cell.metadata.get("nbgrader", {})
        if meta.get("grade_id") == CELL and LINE.search(cell.source):
            cell.source = LINE.sub(lambda _: f"student = {json.dumps(student, ensure_ascii=False)}",
                                   cell.source, count=1)
            if "checksum" in meta:
                from nbgrader.utils import compute_checksum

                meta["checksum"] = compute_checksum(cell)
            return True
    return False


def named(nb: NotebookNode) -> str | None:
    """The name that a notebook was handed out for; None if its lab has no such cell."""
    for cell in nb.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == CELL and (line := LINE.search(cell.source)):
            return line[1][1:-1]
    return None
