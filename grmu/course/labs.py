"""Labs for a class. `make labs` writes what students get, without solutions; `make grade` grades what they
hand in (`grmu.course.grading`).

nbgrader makes the release versions and keeps the gradebook. What decides marks runs where no submission can
reach it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import nbformat

from grmu.course import marking, marks, private
from grmu.course.classes import identities, personal
from grmu.course.contain import REPOSITORY, Limits
from grmu.course.course import LABS, SOURCE, course, labs
from grmu.course.grading import grade, handed_in
from grmu.course.own import EVERYONE
from grmu.data.arguments import Parser, between

README = """# {title}

On Linux or macOS, with Python 3.11 to 3.13 and a network the first time (PyTorch is large):

    sh run

makes an environment beside this file, installs the course's package into it, and opens the lab. On other
systems, do the same by hand: `python -m venv .venv`, activate it, `pip install {wheel}`,
`jupyter lab {lab}.ipynb`.

Write only where it says YOUR CODE HERE or YOUR ANSWER HERE. Before you hand in `{lab}.ipynb`: *Restart
Kernel and Run All Cells*. The tests that you see are of the kind that grades you, with other numbers.
"""

RUN = """#!/bin/sh
# Opens the lab; the first time, makes .venv beside this file and installs what the lab needs.
cd "$(dirname "$0")" || exit 1
[ -x .venv/bin/python ] || "${{PYTHON:-python3}}" -m venv .venv || exit 1
.venv/bin/python -c "import grmu, jupyterlab" 2>/dev/null ||
    .venv/bin/python -m pip install --quiet ./{wheel} || exit 1
exec .venv/bin/python -m jupyterlab {lab}.ipynb "$@"
"""


def release(out: Path, source: Path = SOURCE, students: Iterable[str] = (),
            only: str | None = None) -> list[Path]:
    """A folder and a zip for each lab, without solutions: the notebook, how to open it, and the package.
    Returns the zips.

    Args:
        students: a folder for each of them, with notebooks of their own (`grmu.course.own`).  only: this lab.
    """
    zips, names = [], [only] if only else labs(source)
    with course(names, source) as made:
        subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
                        "--no-deps",
                        "--no-build-isolation", "--wheel-dir", made, REPOSITORY], check=True)
        (wheel,) = made.glob("*.whl")
        for student in students or [EVERYONE]:
            for name in names:
                zips.append(_hand_out(made / "release" / name, out / student if students else out, wheel,
                                      student))
    return zips


def _hand_out(released: Path, out: Path, wheel: Path, student: str) -> Path:
    """One lab for one student, or for everyone: a folder and a zip in `out`. Returns the zip."""
    lab = released.name
    shutil.rmtree(out / lab, ignore_errors=True)
    shutil.copy(wheel, shutil.copytree(released, out / lab))
    path = out / lab / f"{lab}.ipynb"
    nb = nbformat.read(path, as_version=4)
    if personal(nb, student):
        nbformat.write(nb, path)
    title = nb.cells[0].source.splitlines()[0].lstrip("# ")
    for file, text in (("README.md", README), ("run", RUN)):
        (out / lab / file).write_text(text.format(title=title, lab=lab, wheel=wheel.name), encoding="utf-8")
    (out / lab / "run").chmod(0o755)
    with zipfile.ZipFile(out / f"{lab}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in sorted((out / lab).rglob("*")):
            packed = zipfile.ZIP_STORED if part.suffix == ".whl" else None  # it is compressed already
            archive.write(part, part.relative_to(out), packed)
    return out / f"{lab}.zip"


def main(argv: list[str]) -> int:
    """`python -m grmu labs [--class LIST.csv] [--lab LAB] [--out FOLDER]`, or
    `python -m grmu labs --grade SUBMISSIONS [--lab LAB] [--out FOLDER]`."""
    parser = Parser(prog="python -m grmu labs", description=__doc__.split("\n\n")[0])
    parser.add_argument("--grade", type=Path, metavar="SUBMISSIONS",
                        help="grade this folder, else write the release versions")
    parser.add_argument("--class", dest="students", type=Path, metavar="LIST.csv",
                        help='everyone their own: a CSV file with a column "student"')
    parser.add_argument("--make-private", type=Path, metavar="FOLDER",
                        help="make an instructor's folder: a secret, and what checks draw from it")
    parser.add_argument("--private", type=Path, metavar="FOLDER",
                        help="grade with the secret in this folder (default: one of this checkout)")
    parser.add_argument("--mark", action="store_true",
                        help="open nbgrader's formgrader on what was graded, for marks that a person gives")
    parser.add_argument("--lab", choices=LABS, help="only this lab")
    parser.add_argument("--out", type=Path, help="where to write (default: build/labs, build/grades)")
    parser.add_argument("--seconds", type=between(1, whole=False), default=Limits.seconds,
                        help="time for a notebook (default: %(default)g)")
    parser.add_argument("--cell-seconds", type=between(1, whole=False), default=Limits.cell_seconds,
                        help="time for a cell (default: %(default)g)")
    parser.add_argument("--gigabytes", type=between(0.1, 1e6, whole=False), default=Limits.gigabytes,
                        help="memory of a kernel (default: %(default)g)")
    parser.add_argument("--jobs", type=between(1), default=os.cpu_count() or 1,
                        help="notebooks graded at the same time (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out} is a file: name a folder")
    if options.mark:
        made = (options.out or REPOSITORY / "build" / "grades") / "course"
        return subprocess.run(marks.serve(made), cwd=made).returncode
    students = identities(options.students, LABS) if options.students else {}
    if options.make_private is not None:
        checks = {lab: marking.load(lab) for lab in ([options.lab] if options.lab else labs())}
        print(*private.make(options.make_private, checks, partial(private.solution, SOURCE)), sep="\n")
        return 0
    if options.grade is None:
        ignored = [action.option_strings[0] for action in parser._actions
                   if action.dest in ("seconds", "cell_seconds", "gigabytes", "jobs")
                   and getattr(options, action.dest) != action.default]
        if ignored:
            parser.error(f"{', '.join(ignored)} says how to grade: name the submissions with --grade, too")
        print(*release(options.out or REPOSITORY / "build" / "labs", students=students, only=options.lab),
              sep="\n")
        return 0
    out, limits = options.out or REPOSITORY / "build" / "grades", Limits(options.seconds,
                                                                         options.cell_seconds,
                                                                         options.gigabytes)
    if options.private is None:
        handed_in(options.grade, out, options.lab)  # before a secret is made
    secret, message = private.secret_or_made(options.private)
    print(message)
    grade(options.grade, out, options.lab, limits, options.jobs, secret=secret, students=students,
          hidden=(options.private,) if options.private else ())
    print(f"written: {out / 'gradebook.csv'}, moodle.csv, canvas.csv, same_answers.csv, {out / 'feedback'}")
    return 0
