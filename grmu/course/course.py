"""The labs that are there, and an nbgrader course with their release versions."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import nbformat

from grmu.course.contain import REPOSITORY, search_path

SOURCE = REPOSITORY / "notebooks" / "labs" / "source"
LABS = ("lab1", "lab2", "lab3", "lab4", "lab5", "lab6", "project")


def labs(source: Path = SOURCE) -> list[str]:
    """The labs that are there, in the order of the course."""
    return [lab for lab in LABS if (source / lab / f"{lab}.ipynb").is_file()]


@contextmanager
def course(names: list[str], source: Path = SOURCE, folder: Path | None = None) -> Iterator[Path]:
    """An nbgrader course with the release versions of these labs, and the gradebook that remembers their
    tests: in `folder`, which stays, or in one that goes."""
    if find_spec("nbgrader") is None:
        raise FileNotFoundError(
            "nbgrader is missing: `make labs` and `make grade` install it, or `pip install -e .[labs]`."
        )
    os.environ["PATH"] = search_path()
    if folder is not None:
        generate(folder, names, source)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="grmu-labs-") as gone:
        generate(Path(gone), names, source)
        yield Path(gone)


def generate(folder: Path, names: list[str], source: Path) -> None:
    """Make the release versions that are missing, or whose source has changed."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = config.Exchange.root = str(folder)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for name in names:
        copy, released = folder / "source" / name, folder / "release" / name / f"{name}.ipynb"
        if released.is_file() and same_files(source / name, copy):
            continue
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source / name, copy, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        made = NbGraderAPI(config=config).generate_assignment(name)
        if not made["success"]:
            shutil.rmtree(copy)
            raise ValueError(f"{name} has no release version: {made.get('error') or made.get('log')}")


def same_files(one: Path, other: Path) -> bool:
    """Whether all notebooks of two folders have the same bytes."""
    contents = [{path.name: path.read_bytes() for path in folder.glob("*.ipynb")} for folder in (one, other)]
    return contents[0] == contents[1]


def tests(made: Path, lab: str) -> dict[str, tuple[float, bool]]:
    """The graded cells of a lab: their points, and whether nbgrader gives them (else a person does)."""
    nb = nbformat.read(made / "release" / lab / f"{lab}.ipynb", as_version=4)
    graded = [(c.cell_type, c.metadata.nbgrader)
              for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade")]
    return {m.grade_id: (float(m.points), kind == "code" and not m.solution) for kind, m in graded}
