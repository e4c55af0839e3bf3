"""Labs for a class. `make labs` writes what students get, without solutions; `make grade` grades what they
hand in.

nbgrader makes the release versions and runs the tests. Each submission runs in a process of its own
(`grmu/teach/grader.py`) with limits on time, memory and output and without network, in a course folder of its
own. That contains accidents and simple tricks;
it is no prison for an attacker: grade strangers' code in a virtual machine.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pandas as pd

from grmu.data.arguments import Parser, between
from grmu.data.shipped import PACKAGE
from grmu.show.kernels import kernel_environment
from grmu.teach import marking, marks, private
from grmu.teach.classes import personal, read_class
from grmu.teach.own import EVERYONE

REPOSITORY = PACKAGE.parent
SOURCE = REPOSITORY / "notebooks" / "labs" / "source"
LABS = ("lab1", "lab2", "lab3", "lab4", "project")
IGNORED = {".ipynb_checkpoints", "timestamp.txt", ".DS_Store"}  # what editors and nbgrader leave
EXPECTED = "LAB_STUDENT.ipynb, STUDENT/LAB.ipynb or STUDENT/LAB/LAB.ipynb"
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child",
           "--mount-proc"]
# hides folders from what runs; a shell stays process 1, because kernels whose parent is process 1 think that
# they are orphans
INSIDE = ('n=$1; shift; while [ "$n" -gt 0 ]; do '
          'mount -t tmpfs none "$1" || exit 9; shift; n=$((n - 1)); done; "$@"; exit $?')

# runs the grader, without what nbformat would import besides: grammars of web addresses, a second and a half
START = """import runpy, sys
sys.modules["rfc3987_syntax"] = None
runpy.run_path(sys.argv[2], run_name="__main__")
"""

README = """# {title}

On Linux or macOS, with Python 3.11 to 3.13 and a network the first time (PyTorch is large):

    sh run

makes an environment beside this file, installs the course's package into it, and opens the lab. On other
systems, do the same by hand: `python -m venv .venv`, activate it, `pip install {wheel}`,
`jupyter lab {lab}.ipynb`.

Write only where it says YOUR CODE HERE or YOUR ANSWER HERE. Before you hand in `{lab}.ipynb`: *Restart
Kernel and Run All Cells*. The tests that you see are some of those that grade you.
"""

RUN = """#!/bin/sh
# Opens the lab; the first time, makes .venv beside this file and installs what the lab needs.
cd "$(dirname "$0")" || exit 1
[ -x .venv/bin/python ] || "${{PYTHON:-python3}}" -m venv .venv || exit 1
.venv/bin/python -c "import grmu, jupyterlab" 2>/dev/null ||
    .venv/bin/python -m pip install --quiet ./{wheel} || exit 1
exec .venv/bin/python -m jupyterlab {lab}.ipynb "$@"
"""


class Submission(NamedTuple):
    """A notebook that was handed in."""

    student: str
    lab: str
    path: Path


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds in all and for a cell, memory of a process.

    Seconds are those that it had: what a kernel waits for a processor that others use does not count (Linux).
    """

    seconds: float = 600
    cell_seconds: float = 180
    gigabytes: float = 4


def labs(source: Path = SOURCE) -> list[str]:
    """The labs that are there, in the order of the course."""
    return [lab for lab in LABS if (source / lab / f"{lab}.ipynb").is_file()]


def recognise(folder: Path) -> tuple[list[Submission], list[str]]:
    """The submissions in a folder: student/lab/lab.ipynb (nbgrader's), student/lab.ipynb, lab_student.ipynb;
    and what is none."""
    found, strange = dict[tuple[str, str], Submission](), list[str]()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not IGNORED & set(p.parts)):
        *parents, name = path.relative_to(folder).parts
        lab = path.stem if path.suffix == ".ipynb" and path.stem in LABS else None
        if loose := re.fullmatch(rf"({'|'.join(LABS)})_(.+)\.ipynb", name):
            key = (loose[2], loose[1])
        elif lab and len(parents) > 1 and parents[-1] == lab:
            key = (parents[-2], lab)
        elif lab and parents and parents[-1] not in LABS:
            key = (parents[-1], lab)
        else:
            strange.append(f"{path.relative_to(folder)}: not recognised, expected {EXPECTED}")
            continue
        if key in found:
            first = found[key].path.relative_to(folder)
            strange.append(
                f"{path.relative_to(folder)}: left out, {key[0]} has handed in {key[1]} already, as {first}"
            )
        else:
            found[key] = Submission(*key, path)
    return list(found.values()), strange


@contextmanager
def course(names: list[str], source: Path = SOURCE) -> Iterator[Path]:
    """A temporary nbgrader course with the release versions of these labs, and the gradebook that remembers
    their tests."""
    if find_spec("nbgrader") is None:
        raise FileNotFoundError(
            "nbgrader is missing: `make labs` and `make grade` install it, or `pip install -e .[labs]`."
        )
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="grmu-labs-") as folder:
        config = Config()
        config.CourseDirectory.root = config.Exchange.root = folder
        os.environ["PATH"] = search_path()
        Path(folder, "runs").mkdir()
        for name in names:
            shutil.copytree(source / name, Path(folder, "source", name),
                            ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
            made = NbGraderAPI(config=config).generate_assignment(name)
            if not made["success"]:
                raise ValueError(f"{name} has no release version: {made.get('error') or made.get('log')}")
        yield Path(folder)


def release(out: Path, source: Path = SOURCE, students: Iterable[str] = (),
            only: str | None = None) -> list[Path]:
    """A folder and a zip for each lab, without solutions: the notebook, how to open it, and the package.
    Returns the zips.

    Args:
        students: a folder for each of them, with notebooks of their own (`grmu.teach.own`).  only: this lab.
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


def search_path() -> str:
    """$PATH, beginning with this environment's programs: nbgrader calls some by name."""
    return os.pathsep.join(dict.fromkeys([str(Path(sys.executable).parent),
                                          *os.environ.get("PATH", "").split(os.pathsep)]))


@lru_cache
def isolated() -> bool:
    """Whether a submission can have namespaces of its own: no network, and no process that outlives it."""
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"],
                                                                  capture_output=True).returncode == 0


def tests(made: Path, lab: str) -> dict[str, tuple[float, bool]]:
    """The graded cells of a lab: their points, and whether nbgrader gives them (else a person does)."""
    nb = nbformat.read(made / "release" / lab / f"{lab}.ipynb", as_version=4)
    graded = [(c.cell_type, c.metadata.nbgrader)
              for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade")]
    return {m.grade_id: (float(m.points), kind == "code" and not m.solution) for kind, m in graded}


def grade_one(made: Path, lab: str, path: Path, limits: Limits, hidden: tuple[Path, ...],
              keep: bool = False) -> dict[str, Any]:
    """Grade one notebook in a process of its own: points by cell, notes, feedback (HTML). Never raises for
    what a notebook does.

    Args:
        made: the course; a submission gets a copy of its finished runs.  hidden: folders that it shall not
        see.
        keep: add this one's runs to the course's.
    """
    with tempfile.TemporaryDirectory(prefix="grmu-",
                                     dir="/tmp") as folder:  # short: a socket's path has room for 100 letters
        own = Path(folder)
        target = own / "submitted" / "student" / lab / f"{lab}.ipynb"
        target.parent.mkdir(parents=True)
        shutil.copyfile(path, target)
        shutil.copytree(made / "release" / lab, own / "release" / lab)
        shutil.copy(made / "gradebook.db", own)
        shutil.copytree(made / "runs", own / "runs")
        (own / "limits.json").write_text(json.dumps({"lab": lab, "block_sockets": not isolated(),
                                                     **vars(limits)}))
        error = _run(own, limits, (made, SOURCE, *hidden))
        try:
            result = json.loads((own / "result.json").read_text())
        except FileNotFoundError:
            result = {"points": {}, "notes": [error], "ok": False}
        pages = list((own / "feedback").rglob("*.html"))
        said = f"<!doctype html><title>{lab}</title><p>{html.escape('; '.join(result['notes']))}</p>"
        result["feedback"] = pages[0].read_text(encoding="utf-8") if pages else said
        if keep:
            shutil.copytree(own / "runs", made / "runs", dirs_exist_ok=True)
        return result


def _run(own: Path, limits: Limits, hidden: tuple[Path, ...]) -> str:
    """Run the grader, contained; a sentence that says how it ended, for the case that it left no result."""
    from grmu.teach.grader import Clock  # needs nbgrader

    command = [sys.executable, "-P", "-c", START, str(own), str(Path(__file__).with_name("grader.py"))]
    if isolated():
        needed = (own, REPOSITORY, Path(sys.prefix), Path(sys.base_prefix))
        away = [str(f) for f in hidden if f.is_dir()
                and not any(p.is_relative_to(f.resolve()) for p in needed)]
        command = [*UNSHARE, "sh", "-c", INSIDE, "sh", str(len(away)), *away, *command]
    environment = kernel_environment() | {"PATH": search_path(), "GRMU_STORE": str(own / "runs"),
                                          "JUPYTER_RUNTIME_DIR": str(own),
                                          "IPYTHONDIR": str(own / "ipython"), "JUPYTER_CONFIG_DIR": str(own)}
    process = subprocess.Popen(command, env=environment, cwd=own, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True,
                               errors="replace", start_new_session=True)
    clock = Clock(process.pid, with_children=True)
    try:
        while clock.seconds() < limits.seconds + 60:
            with suppress(subprocess.TimeoutExpired):
                lines = process.communicate(timeout=1)[1].strip().splitlines()
                why = lines[-1][:300] if lines else f"exit code {process.returncode}"
                return f"grading ended without a result: {why}"
        return f"the notebook took longer than {limits.seconds:g} s and could not be interrupted"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def grade(folder: Path, out: Path, only: str | None = None, limits: Limits = Limits(), jobs: int = 1,
          source: Path = SOURCE) -> pd.DataFrame:
    """Grade a folder of submissions: gradebook.csv and feedback/STUDENT/LAB.html in `out`; returns the
    gradebook.

    Each lab's own solution is graded first: submissions find its finished runs, and a lab that fails itself
    grades nobody.

    Raises:
        FileNotFoundError: no folder, or no submission in it.  ValueError: a lab's own solution does not get
            full marks.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: name the one with the submissions, make grade SUBMISSIONS=folder."
        )
    submissions, strange = recognise(folder.resolve())
    submissions = [s for s in submissions if s.lab in ([only] if only else labs(source))]
    print(*strange, sep="\n", end="\n" if strange else "")
    if not submissions:
        raise FileNotFoundError(
            f"{folder} holds no submission{f' of {only}' if only else ''}: expected {EXPECTED}."
        )
    names = sorted({s.lab for s in submissions})
    print(f"{len(submissions)} submissions of {', '.join(names)}. Network: "
          + ("none (a namespace of its own)." if isolated()
             else "Python's sockets are blocked, other programs' are not."))
    out.mkdir(parents=True, exist_ok=True)
    with course(names, source) as made, ThreadPoolExecutor(jobs) as pool:
        hidden = (folder.resolve(), out.resolve(), source)
        for lab in names:  # in turn: each finds the runs of those before it
            _check_solution(made, lab, limits, hidden)

        def one(s: Submission) -> dict[str, Any]:
            result = grade_one(made, s.lab, s.path, limits, hidden)
            page = out / "feedback" / s.student / f"{s.lab}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(result["feedback"], encoding="utf-8")
            row = _row(s, result, tests(made, s.lab))
            print(f"{s.student:20} {s.lab:8} {row['total']:g} of {row['max']:g}: {row['status']}", flush=True)
            return row

        book = pd.DataFrame(list(pool.map(one, submissions)))
    book.to_csv(out / "gradebook.csv", index=False)
    return book


def _check_solution(made: Path, lab: str, limits: Limits, hidden: tuple[Path, ...]) -> None:
    result = grade_one(made, lab, made / "source" / lab / f"{lab}.ipynb", limits, hidden, keep=True)
    lost = [name for name, (points, auto) in tests(made, lab).items() if auto
            and result["points"].get(name) != points]
    if lost:
        why = ", ".join([*lost, *result["notes"]])
        raise ValueError(
            f"{lab}: its own solution does not get full marks on this machine ({why}). Nothing was graded: "
            "mend the lab, or give it more time or memory."
        )


def _row(s: Submission, result: dict[str, Any], cells: dict[str, tuple[float, bool]]) -> dict[str, Any]:
    """A line of the gradebook. Cells that a person grades are left empty, and 0 where there is no answer."""
    points = {name: result["points"].get(name, 0.0 if auto or not result["ok"] else None)
              for name, (_, auto) in cells.items()}
    by_hand = [name for name, (_, auto) in cells.items() if not auto and points[name] is None]
    waiting = [f"to grade by hand: {', '.join(by_hand)}"] if by_hand else []
    status = "; ".join(["graded" if result["ok"] else "not graded", *result["notes"], *waiting])
    return {"student": s.student, "lab": s.lab, "total": sum(p for p in points.values() if p is not None),
            "max": sum(p for p, auto in cells.values() if auto),
            "by_hand": sum(cells[name][0] for name in by_hand),
            "status": status, **{f"{s.lab}/{name}": value for name, value in points.items()}}


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
    parser.add_argument("--jobs", type=between(1), default=max(1, (os.cpu_count() or 1) // 2),
                        help="notebooks graded at the same time (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out} is a file: name a folder")
    if options.mark:
        made = (options.out or REPOSITORY / "build" / "grades") / "course"
        return subprocess.run(marks.serve(made), cwd=made).returncode
    if options.make_private is not None:
        checks = {lab: found for lab in ([options.lab] if options.lab else labs())
                  if (found := marking.load(lab)) is not None}
        print(*private.make(options.make_private, checks, partial(private.solution, SOURCE)), sep="\n")
        return 0
    if options.grade is None:
        ignored = [action.option_strings[0] for action in parser._actions
                   if action.dest in ("seconds", "cell_seconds", "gigabytes", "jobs")
                   and getattr(options, action.dest) != action.default]
        if ignored:
            parser.error(f"{', '.join(ignored)} says how to grade: name the submissions with --grade, too")
        students = read_class(options.students, LABS) if options.students else []
        print(*release(options.out or REPOSITORY / "build" / "labs", students=students, only=options.lab),
              sep="\n")
        return 0
    out, limits = options.out or REPOSITORY / "build" / "grades", Limits(options.seconds,
                                                                         options.cell_seconds,
                                                                         options.gigabytes)
    grade(options.grade, out, options.lab, limits, options.jobs)
    print(f"written: {out / 'gradebook.csv'}, {out / 'feedback'}")
    return 0
