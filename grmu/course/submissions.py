"""Submissions: find them in a folder, read them without trusting them, and restore changed cells."""

from __future__ import annotations

import copy
import re
import stat
import zipfile
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from grmu.course.classes import named
from grmu.course.course import LABS
from grmu.course.own import EVERYONE

IGNORED = {".ipynb_checkpoints", "timestamp.txt", ".DS_Store", "__MACOSX"}  # what editors and nbgrader leave
EXPECTED = "LAB_STUDENT.ipynb, STUDENT/LAB.ipynb, STUDENT/LAB/LAB.ipynb, or a .zip of that name"
LARGEST = 50 * 2**20  # bytes of a notebook
MEMBERS = 1000  # files in a zip


class Submission(NamedTuple):
    """A notebook that was handed in, or a zip that holds it."""

    student: str
    lab: str
    path: Path


def recognise(folder: Path, but: Path | None = None) -> tuple[list[Submission], list[str]]:
    """The submissions in a folder: student/lab/lab.ipynb (nbgrader's), student/lab.ipynb, lab_student.ipynb,
    or zips of these names; and what is none. What lies in `but`, where results are written, is neither."""
    by_key, strange = dict[tuple[str, str], Submission](), list[str]()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not IGNORED & set(p.parts)):
        if but is not None and path.is_relative_to(but):
            continue
        *parents, name = path.relative_to(folder).parts
        lab = path.stem if path.suffix in (".ipynb", ".zip") and path.stem in LABS else None
        if loose := re.fullmatch(rf"({'|'.join(LABS)})_(.+)\.(ipynb|zip)", name):
            key = (loose[2], loose[1])
        elif lab and len(parents) > 1 and parents[-1] == lab:
            key = (parents[-2], lab)
        elif lab and parents and parents[-1] not in LABS:
            key = (parents[-1], lab)
        else:
            strange.append(f"{path.relative_to(folder)}: not recognised, expected {EXPECTED}")
            continue
        if key in by_key:
            first = by_key[key].path.relative_to(folder)
            strange.append(
                f"{path.relative_to(folder)}: left out, {key[0]} has handed in {key[1]} already, as {first}"
            )
        else:
            by_key[key] = Submission(*key, path)
    return list(by_key.values()), strange


def content(submission: Submission, folder: Path) -> bytes:
    """The notebook's bytes. A zip is read, never unpacked.

    Raises:
        ValueError: refused; the message says why.
    """
    path, name = submission.path, submission.path.name
    if any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(folder)):
        raise ValueError(f"{name} is refused: it is a link to another file")
    if path.suffix != ".zip":
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{name} is refused: it is larger than {LARGEST >> 20} MB")
        return path.read_bytes()
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_zip(archive, submission.lab)
    except ValueError as error:
        raise ValueError(f"{name} is refused: {error}") from None
    except Exception as error:  # torn, encrypted, packed in a way that is not known
        raise ValueError(f"{name} cannot be unpacked: {error}") from None


def _from_zip(archive: zipfile.ZipFile, lab: str) -> bytes:
    members = archive.infolist()
    if len(members) > MEMBERS:
        raise ValueError(f"it holds more than {MEMBERS} files")
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{member.filename!r} in it is a link")
        parts = re.split(r"[/\\]", member.filename)
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise ValueError(f"{member.filename!r} in it leads out of its folder")
    fitting = [m for m in members if Path(m.filename).name == f"{lab}.ipynb"
               and not IGNORED & set(Path(m.filename).parts)]
    if len(fitting) != 1:
        raise ValueError(f"it holds {len(fitting) or 'no'} notebooks named {lab}.ipynb")
    if fitting[0].file_size > LARGEST:
        raise ValueError(f"its notebook is larger than {LARGEST >> 20} MB")
    with archive.open(fitting[0]) as file:
        return file.read(LARGEST)


def notebook(text: bytes) -> NotebookNode:
    """The notebook in these bytes.

    Raises:
        ValueError: there is none.
    """
    try:
        nb = nbformat.reads(text.decode("utf-8"), as_version=4)
        nbformat.validate(nb)
    except Exception as error:
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"this is not a notebook that can be read: {why[0][:200]}") from None
    return nb


def owner(nb: NotebookNode, student: str) -> str:
    """Whose data a notebook works on: everyone's, or its student's own, whoever else's name stands in it."""
    return EVERYONE if named(nb) in (None, EVERYONE) else student


def restore(nb: NotebookNode, release: NotebookNode) -> list[str]:
    """Put back, in place, what a student may not change: metadata, sources of locked cells, graded cells that
    are gone. Returns sentences that say what was put back."""
    changed, missing, gone = [], [], []
    nb.metadata = copy.deepcopy(release.metadata)
    ours = {c.metadata.nbgrader.grade_id: c for c in release.cells if "nbgrader" in c.metadata}
    by_id = {c.id: c for c in ours.values()}
    for cell in nb.cells:
        # some editors drop what they do not know
        if "nbgrader" not in cell.metadata and cell.get("id") in by_id:
            cell.metadata["nbgrader"] = dict(by_id[cell.id].metadata.nbgrader)
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name not in ours:
            cell.metadata.pop("nbgrader", None)
            continue
        original = ours[name]
        if not original.metadata.nbgrader.solution and cell.source != original.source:
            changed.append(name)
            cell.source = original.source
        if cell.cell_type != original.cell_type:
            source = cell.source
            cell.clear()
            cell.update(copy.deepcopy(original) | {"source": source})
        cell.metadata["nbgrader"] = dict(original.metadata.nbgrader)
    seen: set[str] = set()
    for cell in reversed(nb.cells):  # of copies the last counts, as for nbgrader
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name and name in seen:
            cell.metadata.pop("nbgrader")
        seen.add(name)
    previous = None
    for name, original in ours.items():
        place = {c.metadata.nbgrader.grade_id: i for i, c in enumerate(nb.cells) if "nbgrader" in c.metadata}
        if name not in place and (original.metadata.nbgrader.grade or original.metadata.nbgrader.locked):
            missing.append(name)
            nb.cells.insert(place[previous] + 1 if previous in place else len(nb.cells),
                            copy.deepcopy(original))
        elif name not in place:
            gone.append(name)
            continue
        previous = name
    changes = (("changed cells put back", changed), ("missing cells put back", missing),
               ("answers missing", gone))
    return [f"{what}: {', '.join(names)}" for what, names in changes if names]
