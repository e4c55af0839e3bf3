"""Hand out labs and grade them: python -m grading release | grade SUBMISSIONS | mark.

Each submission is executed in a sandbox (`sandbox.py`). The checks of its lab (`checks/LAB.py`) then ask it questions
from outside, with random inputs from a secret seed. nbgrader (`gradebook.py`) keeps the points.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
from nbformat import NotebookNode
from tqdm.auto import tqdm

from grading.asking import Ask, Refused
from grading.gradebook import Course, for_lms
from grading.sandbox import PACKAGE, Limits, Sandbox, Unsafe, check_bubblewrap, prepare
from grading.submissions import Submission, content, find, notebook, restore
from grmu.data import require
from grmu.data.files import write_whole

HERE = Path(__file__).parent
SOURCE, BUILD = HERE.parent / "source", PACKAGE.parent / "build"
LABS = ("lab1", "lab2", "lab3", "lab4", "lab5", "lab6", "lab7", "project")
Done = tuple[NotebookNode | None, list[str], str]  # the checked submission (None if unchanged), notes, key
README = """Unpack a lab beside the .whl file. Then, with Python 3.11 to 3.13, run these commands in that folder:

    python -m venv .venv
    .venv/bin/pip install {wheel} && .venv/bin/jupyter lab
"""
FORMGRADER = "--LabApp.default_url=/formgrader/gradebook"


@dataclass(frozen=True)
class Grading:
    """The settings of grading, which do not change while submissions are graded.

    Args:
        course: Folder of the nbgrader course.
        secret: Seed of the random inputs.
        limits: Resources of a submission.
        unsafe: Grade without a sandbox.
        digest: Hash of the files that decide points.
    """

    course: Path
    secret: str
    limits: Limits
    unsafe: bool
    digest: str

    def run(self, lab: str, nb: NotebookNode, trusted: bool = False) -> tuple[list[Any] | None, dict[str, str], list[str]]:
        """Execute a notebook in a sandbox, and check it.

        Returns:
            The outputs of its cells, the verdict on each graded cell ("" if correct), and notes.
        """
        with Sandbox(self.course / "given", self.limits, self.unsafe, trusted) as box:
            outputs = box.execute(nb, importlib.import_module(f"grading.checks.{lab}").NOT_ALLOWED)
            verdicts = {name: verdict(check, box.ask, self.rng(lab, name)) for name, check in checks(lab).items()}
        warning = ["UNSAFE: graded without a sandbox"] if self.unsafe else []
        return outputs, verdicts, [*box.notes, *filter(None, [box.ended]), *warning]

    def mark(self, s: Submission) -> Done:
        """Execute and check one submission. A submission that cannot be read gets no points."""
        release = nbformat.read(self.course / "release" / s.lab / f"{s.lab}.ipynb", as_version=4)
        before = self.course / "results" / s.student / f"{s.lab}.json"
        kept = json.loads(before.read_text()) if before.is_file() else {"key": None}
        key = ""
        try:
            text = content(s)
            key = hashlib.sha256(repr((text, self)).encode()).hexdigest()
            if kept["key"] == key:
                return None, kept["notes"], key
            nb = notebook(text)
        except ValueError as error:
            write_verdicts(release, None, dict.fromkeys(checks(s.lab), str(error)))
            return release, [f"not graded: {error}"], key
        restored = restore(nb, release)
        outputs, verdicts, notes = self.run(s.lab, nb)
        write_verdicts(nb, outputs, verdicts)
        return nb, [*restored, *notes], key

    def check_solution(self, lab: str) -> None:
        """Grade the lab's own solution once, which also computes the runs that all submissions share.

        Raises:
            ValueError: The solution does not get full marks on this machine.
        """
        passed = self.course / "given" / f"{lab}.passed"
        if passed.is_file() and passed.read_text() == self.digest:
            return
        nb = nbformat.read(SOURCE / lab / f"{lab}.ipynb", as_version=4)
        _, verdicts, notes = self.run(lab, nb, trusted=True)
        wrong = [f"{name}: {message}" for name, message in verdicts.items() if message]
        if wrong or len(notes) > self.unsafe:
            raise ValueError(f"{lab}: the lab's own solution does not get full marks here, so nothing was graded. "
                             + "; ".join([*wrong, *notes]))
        write_whole(passed, self.digest)

    def rng(self, lab: str, name: str) -> np.random.Generator:
        """Return the random generator of a check, which is the same for all submissions."""
        seed = hashlib.sha256(f"{self.secret}\n{lab}\n{name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(seed))


@functools.cache
def checks(lab: str) -> dict[str, Callable[..., None]]:
    """Return a lab's checks by the name of their graded cell. They are loaded before any submission runs."""
    module = importlib.import_module(f"grading.checks.{lab}")
    return {name: value for name, value in vars(module).items() if name.startswith("test_")}


def verdict(check: Callable[..., None], ask: Ask, rng: np.random.Generator) -> str:
    """Return "" if an answer is correct, otherwise what is wrong with it."""
    try:
        check(ask, rng)
    except Refused as error:
        message = f"Your code raised an error instead of giving an answer. {error}"
        message = "Not answered." if "NotImplementedError" in str(error) else message
    except AssertionError as error:
        message = str(error) or "This answer is wrong."
    except Exception as error:  # the answer has an unexpected form, because the lab's own solution passes
        message = f"The answer has a wrong type, shape or name ({type(error).__name__}: {error})."
    else:
        return ""
    return re.sub(r"\s+", " ", message).strip()[:1000]


def digest() -> str:
    """Return a hash of all files that decide points."""
    files = sorted([*HERE.rglob("*.py"), *SOURCE.rglob("*.ipynb")])
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def write_verdicts(nb: NotebookNode, outputs: list[Any] | None, verdicts: dict[str, str]) -> None:
    """Put outputs into the cells, and an error into each graded cell whose check failed."""
    for cell, shown in zip(nb.cells, outputs or [[]] * len(nb.cells), strict=True):
        if cell.cell_type != "code":
            continue
        message = verdicts.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        error = nbformat.v4.new_output("error", ename="Not yet", evalue=message or "", traceback=[message or ""])
        cell.execution_count = None
        cell.outputs = nbformat.from_dict(shown or []) if message is None else [error] if message else []
    nbformat.validate(nb)


def grade(folder: Path, out: Path, only: str | None, limits: Limits, jobs: int, unsafe: bool) -> pd.DataFrame:
    """Grade all submissions in a folder; write gradebook.csv, points.csv and feedback/STUDENT/LAB.html.

    Args:
        folder: Folder of the submissions.
        out: Folder for the results.
        only: Grade only this lab; None grades all labs.
        limits: Resources of a submission.
        jobs: Number of submissions that are graded at the same time.
        unsafe: Grade without a sandbox.

    Returns:
        The gradebook, one row per submission.

    Raises:
        FileNotFoundError: There is no submission.
        Unsafe: There is no sandbox.
        ValueError: A lab's own solution fails.
        RuntimeError: A file that decides points was changed while a submission was graded.
    """
    submissions, others = find(folder, [only] if only else LABS)
    if not unsafe:
        check_bubblewrap()
    print(*others, f"Grading {len(submissions)} submission(s) in a sandbox ...", sep="\n", flush=True)
    labs = sorted({s.lab for s in submissions})
    course, secret, rows = Course(out / "course", SOURCE, labs), out / "secret", []
    if not secret.is_file():
        write_whole(secret, secrets.token_hex(16) + "\n")
        secret.chmod(0o600)
    prepare(course.folder / "given")
    list(map(checks, labs))
    grading = Grading(course.folder, secret.read_text().strip(), limits, unsafe, digest())
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        list(pool.map(grading.check_solution, labs))
        futures = {pool.submit(grading.mark, s): s for s in submissions}
        for future in tqdm(as_completed(futures), total=len(futures), unit=" submissions", disable=None):
            s = futures[future]
            if digest() != grading.digest:
                pool.shutdown(cancel_futures=True)
                raise RuntimeError(f"A file in {HERE} or {SOURCE} was changed while {s.path} was graded, so grading "
                                   "stopped. Restore these files, read that submission, then grade again.")
            rows.append(save(course, s, future.result(), out))
    book = pd.DataFrame(rows).sort_values(["student", "lab"], ignore_index=True)
    write_whole(out / "gradebook.csv", book.to_csv(index=False))
    write_whole(out / "points.csv", for_lms(book).to_csv(index=False))
    return book


def save(course: Course, s: Submission, done: Done, out: Path) -> dict[str, Any]:
    """Save the points with nbgrader, write the feedback page, and return the submission's gradebook row."""
    nb, notes, key = done
    if nb is not None:
        course.grade(s.student, s.lab, nb)
    points = course.points(s.student, s.lab)
    kept, state = course.folder / "results" / s.student / f"{s.lab}.json", points.to_json()
    if nb is not None or json.loads(kept.read_text())["points"] != state:
        write_whole(out / "feedback" / s.student / f"{s.lab}.html", course.feedback(s.student, s.lab))
        write_whole(kept, json.dumps({"key": key, "notes": notes, "points": state}))
    by_hand = list(points.index[points.by_hand])
    waiting = [f"to mark by hand: {', '.join(by_hand)}"] if by_hand else []
    return {"student": s.student, "lab": s.lab, "total": points.points.sum(), "max": points["max"].sum(),
            "status": "; ".join([*notes, *waiting]) or "graded",
            **{f"{s.lab}/{name}": value for name, value in points.points.items()}}


def release(out: Path, only: str | None) -> None:
    """Write LAB.zip, LAB/LAB.ipynb, the package's wheel and a README."""
    labs = [only] if only else list(LABS)
    course = Course(out.parent / "course", SOURCE, labs)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, out, PACKAGE.parent], check=True)
    (wheel,) = out.glob("*.whl")
    write_whole(out / "README.txt", README.format(wheel=wheel.name))
    for lab in labs:
        write_whole(out / lab / f"{lab}.ipynb", course.release(lab).read_bytes())
        shutil.make_archive(str(out / lab), "zip", out, lab)
    print(*sorted(str(path) for path in out.iterdir() if path.is_file()), sep="\n")


def main() -> int:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m grading", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("release", "grade", "mark"):
        commands.add_parser(name).add_argument("--lab", choices=LABS, help="only this lab")
    options = commands.choices["grade"].add_argument
    options("submissions", type=Path)
    options("--out", type=Path, default=BUILD / "grades")
    options("--jobs", type=int, default=os.cpu_count(), help="submissions graded at the same time")
    for field in fields(Limits):
        options(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    given = parser.parse_args()
    try:
        if given.command == "release":
            release(BUILD / "labs", given.lab)
        elif given.command == "mark":
            course = BUILD / "grades" / "course"  # nbgrader reads the configuration in its working directory
            require(course.is_dir(), "Nothing has been graded yet: run `make grade SUBMISSIONS=folder` first.")
            return subprocess.call([sys.executable, "-m", "jupyterlab", "--allow-root", FORMGRADER], cwd=course)
        else:
            limits = Limits(**{field.name: getattr(given, field.name) for field in fields(Limits)})
            grade(given.submissions, given.out, given.lab, limits, given.jobs, os.environ.get("UNSAFE") == "1")
            print(f"Wrote {given.out / 'gradebook.csv'}, points.csv, and pages for students in feedback/.")
    except (FileNotFoundError, Unsafe, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
