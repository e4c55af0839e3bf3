"""Find submissions in a folder, read them without trusting them, and restore what students must not change."""

from __future__ import annotations

import copy
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from grmu.data import require

IGNORED = {".ipynb_checkpoints", "timestamp.txt", ".DS_Store", "__MACOSX"}  # files of editors and nbgrader
EXPECTED = "LAB_STUDENT.ipynb, STUDENT/LAB.ipynb, STUDENT/LAB/LAB.ipynb, or a .zip of that name"
LARGEST = 50 * 2**20  # maximum bytes of a notebook


class Submission(NamedTuple):
    """A notebook that was submitted, or a zip file that contains it."""

    student: str
    lab: str
    path: Path


def find(folder: Path, labs: Sequence[str]) -> tuple[list[Submission], list[str]]:
    """Return the submissions in a folder, and one message for each file that is not a submission.

    Raises:
        FileNotFoundError: The folder does not exist, or it has no submission.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}: run `make grade SUBMISSIONS=folder`.")
    found, others = dict[tuple[str, str], Submission](), list[str]()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not IGNORED & set(p.parts)):
        name = path.relative_to(folder)
        loose = re.fullmatch(rf"({'|'.join(labs)})_(.+)", path.stem)
        parents = [part for part in name.parts[:-1] if part != path.stem]
        student, lab = (loose[2], loose[1]) if loose else (parents[-1] if parents else "", path.stem)
        if path.suffix not in (".ipynb", ".zip") or lab not in labs or not student.strip("."):
            others.append(f"{name}: ignored, expected {EXPECTED}")
        elif (student, lab) in found:
            others.append(f"{name}: ignored, {student} has already submitted {lab}")
        else:
            found[student, lab] = Submission(student, lab, path)
    if not found:
        raise FileNotFoundError("\n".join([*others, f"{folder} has no submissions, expected {EXPECTED}."]))
    return list(found.values()), others


def content(submission: Submission) -> bytes:
    """Return the bytes of a notebook. A zip file is read, but never unpacked.

    Raises:
        ValueError: The submission is rejected. The message says why.
    """
    path = submission.path
    try:
        require(not path.is_symlink(), "it is a link to another file")
        if path.suffix != ".zip":
            with path.open("rb") as file:
                text = file.read(LARGEST + 1)
        else:
            text = _from_zip(path, submission.lab)
        require(len(text) <= LARGEST, f"it is larger than {LARGEST >> 20} MB")
    except Exception as error:  # including errors of damaged or encrypted zip files
        raise ValueError(f"{path.name} was rejected: {error}") from None
    return text


def _from_zip(path: Path, lab: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        outside = [name for name in names if name.startswith(("/", "\\")) or ".." in name]
        require(not outside, f"{(outside or [''])[0]!r} lies outside its folder")
        members = [name for name in names if Path(name).name == f"{lab}.ipynb" and not IGNORED & set(Path(name).parts)]
        require(len(members) == 1, f"it has {len(members)} notebooks named {lab}.ipynb, expected 1")
        with archive.open(members[0]) as file:
            return file.read(LARGEST + 1)


def notebook(text: bytes) -> NotebookNode:
    """Return the notebook in these bytes.

    Raises:
        ValueError: The bytes are not a notebook.
    """
    try:
        nb = nbformat.reads(text.decode("utf-8"), as_version=4)
        nbformat.validate(nb)
    except Exception as error:
        raise ValueError(f"This is not a readable notebook: {str(error)[:200]}") from None
    return nb


def restore(nb: NotebookNode, release: NotebookNode) -> list[str]:
    """Restore metadata, locked cells and missing cells in place, and return what was restored."""
    changed, missing = [], []
    nb.metadata = copy.deepcopy(release.metadata)
    originals = {cell.metadata.nbgrader.grade_id: cell for cell in release.cells if "nbgrader" in cell.metadata}
    names = {cell.id: name for name, cell in originals.items()}
    last = {}  # if a cell was copied, the last copy counts
    for cell in nb.cells:
        about = cell.metadata.pop("nbgrader", {})
        last[about.get("grade_id", names.get(cell.get("id")))] = cell  # some editors drop unknown metadata
    previous = None
    for name, original in originals.items():
        answer = original.metadata.nbgrader.solution
        cell = last.get(name)
        if cell is None:
            missing.append(name)
            cell = copy.deepcopy(original)
            nb.cells.insert(nb.cells.index(previous) + 1 if previous else 0, cell)
        elif not answer and cell.source != original.source:
            changed.append(name)
        source = cell.source if answer else original.source
        cell.clear()
        cell.update(copy.deepcopy(original) | {"source": source})
        previous = cell
    return [f"{what}: {', '.join(names)}"
            for what, names in (("changed cells restored", changed), ("missing cells restored", missing)) if names]
