"""Grade a class: each submission contained and checked (`grmu.course.marker`), its verdicts written into the
executed notebook, which nbgrader then grades into the gradebook of a course folder, and its feedback.

What is finished is kept in the course folder and not done again, unless the submission, the secret, the lab
or its checks have changed.
"""

from __future__ import annotations

import hashlib
import html
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import pandas as pd
from nbformat import NotebookNode
from tqdm.auto import tqdm

from grmu.course import contain, marks
from grmu.course.classes import personal
from grmu.course.contain import USUAL, Limits
from grmu.course.copied import Answers, same_answers, sentences
from grmu.course.course import SOURCE, course, labs, tests
from grmu.course.marker import Marked, Task, end_all, mark_apart
from grmu.course.marking import MARKING, PUBLIC, LabChecks, load
from grmu.course.own import EVERYONE
from grmu.course.rubrics import configure, put_beside, rubrics
from grmu.course.submissions import EXPECTED, Submission, content, notebook, owner, recognise, restore
from grmu.data.files import write_whole


@dataclass(frozen=True)
class Class:
    """What all submissions share: the course folder, a folder with a short path for what runs, and how they
    are graded."""

    course: Path
    base: Path
    hidden: tuple[Path, ...]
    limits: Limits
    secret: str = field(repr=False)
    checks: Path
    students: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def whose(self, nb: NotebookNode, s: Submission) -> str:
        """Whose data a submission is to work on: with a class list, its student's own."""
        return s.student if self.students else owner(nb, s.student)

    @property
    def apart(self) -> bool:
        """Whether what runs has namespaces of its own."""
        return contain.isolated()

    def result(self, s: Submission) -> Path:
        """Where a finished submission is remembered."""
        return self.course / "results" / s.student / f"{s.lab}.json"


def grade(folder: Path, out: Path, only: str | None = None, limits: Limits = USUAL, jobs: int = 1,
          source: Path = SOURCE, secret: str = PUBLIC, checks: Path = MARKING,
          hidden: tuple[Path, ...] = (), students: Mapping[str, Mapping[str, str]] = {}) -> pd.DataFrame:
    """Grade a folder of submissions: gradebook.csv, the same for Moodle and Canvas, feedback/STUDENT/LAB.html
    and same_answers.csv in `out`; returns the gradebook.

    Each lab's own solution is graded first: submissions find its finished runs, and a lab that fails itself
    grades nobody.

    Args:
        secret: what the checks draw from.  checks: the folder with LAB.py.  hidden: other folders that no
            submission shall see.
        students: a class list (`grmu.course.classes.identities`), if everyone was handed out their own.

    Raises:
        FileNotFoundError: no folder, or no submission in it.  ValueError: a lab's own solution does not get
            full marks.
    """
    submissions, strange = handed_in(folder, out, only, source)
    folder, out = folder.resolve(), out.resolve()
    print(*strange, sep="\n", end="\n" if strange else "")
    names = sorted({s.lab for s in submissions})
    print(f"{len(submissions)} submissions of {', '.join(names)}. Network: "
          + ("none (a namespace of its own)." if contain.isolated()
             else "Python's sockets are blocked, other programs' are not."))
    out.mkdir(parents=True, exist_ok=True)
    # its path is short: that of a socket has room for 100 letters
    with (course(names, source, out / "course") as made,
          tempfile.TemporaryDirectory(prefix="grmu-", dir="/tmp") as base):
        shared = Class(made, Path(base), (folder, out, source, checks, *hidden), limits, secret, checks,
                       students)
        rows = _grade_all(shared, submissions, folder, out, jobs)
        book = _with_marks(shared, submissions, rows, out)
        _report_same(shared, submissions, out)
    return book


def handed_in(folder: Path, out: Path, only: str | None = None,
              source: Path = SOURCE) -> tuple[list[Submission], list[str]]:
    """The submissions in a folder, of one lab or of all; and a sentence for each file that is none.

    Raises:
        FileNotFoundError: no folder, or no submission in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: name the one with the submissions, make grade SUBMISSIONS=folder."
        )
    submissions, strange = recognise(folder.resolve(), out.resolve())
    submissions = [s for s in submissions if s.lab in ([only] if only else labs(source))]
    if not submissions:
        raise FileNotFoundError("\n".join([
            *strange, f"{folder} holds no submission{f' of {only}' if only else ''}: expected {EXPECTED}."]))
    return submissions, strange


def _with_marks(shared: Class, submissions: list[Submission], rows: list[dict[str, Any]],
                out: Path) -> pd.DataFrame:
    """Merge what persons have given by now; write the tables, and the pages that have changed with it."""
    given = dict[tuple[str, str], Mapping[str, marks.Mark]]()
    for index, s in enumerate(submissions):
        if not shared.result(s).is_file() or not rows[index]["status"].startswith("graded"):
            continue
        now = given[s.student, s.lab] = marks.read(shared.course, s.student, s.lab)
        rows[index] = marks.merged(rows[index], now)
        known, page = shared.result(s).with_suffix(".marks"), out / "feedback" / s.student / f"{s.lab}.html"
        if not (page.is_file() and known.is_file() and known.read_text() == marks.digest(now)):
            write_whole(page, feedback(shared.course, s))
            write_whole(known, marks.digest(now))
    book = pd.DataFrame(rows)
    write_whole(out / "gradebook.csv", book.to_csv(index=False))
    marks.exports(out, book, given, shared.students)
    return book


def _report_same(shared: Class, submissions: list[Submission], out: Path) -> None:
    """Say and write who gave equal answers to different data."""
    answers = []
    for s in submissions:
        with suppress(OSError, ValueError, LookupError):
            answers += [Answers(*one) for one in json.loads(shared.result(s).read_text())["answers"]]
    table = same_answers(answers)
    write_whole(out / "same_answers.csv", table.to_csv(index=False))
    print(*sentences(table), sep="\n", end="\n" if len(table) else "")


def _grade_all(shared: Class, submissions: list[Submission], folder: Path, out: Path,
               jobs: int) -> list[dict[str, Any]]:
    """The gradebook's lines, in the order of the submissions."""
    rows = dict[Submission, dict[str, Any]]()
    waiting = dict[Submission, tuple[NotebookNode, list[str], str]]()
    cells = {lab: tests(shared.course, lab) for lab in sorted({s.lab for s in submissions})}
    checks = {lab: load(lab, shared.checks) for lab in cells}
    for s in submissions:
        try:
            text = content(s, folder)
            key = _key(shared, s, text, checks[s.lab])
            if (kept := _kept(shared, s, key)) is not None:
                rows[s] = kept
            else:
                nb = notebook(text)
                notes = restore(nb, released(shared.course, s.lab, shared.whose(nb, s)))
                if shared.students and s.student not in shared.students:
                    notes.append("not in the class list")
                waiting[s] = nb, notes, key
        except ValueError as error:
            rows[s] = _refused(s, str(error), cells[s.lab], out)
    for lab in sorted({s.lab for s in waiting}):  # in turn: each finds the runs of those before it
        _check_solution(shared, checks[lab], cells[lab])
    for lab in sorted({s.lab for s in waiting}):
        prepare(shared, lab)

    def one(s: Submission, number: int) -> Marked:
        nb = waiting[s][0]
        return mark_apart(_task(shared, s.lab, nb, shared.whose(nb, s), f"home{number}"))

    with _pool(jobs) as pool, tqdm(
            total=len(submissions), initial=len(rows), unit=" submissions", leave=False, disable=None) as bar:
        jobs_of: dict[Future[Marked], Submission] = {pool.submit(one, s, i): s for i, s in enumerate(waiting)}
        for done in as_completed(jobs_of):
            s = jobs_of.pop(done)
            nb, notes, key = waiting.pop(s)
            row = rows[s] = _finish(shared, s, nb, done.result(), notes, cells[s.lab], out, key)
            bar.write(f"{s.student:20} {s.lab:8} {row['total']:g} of {row['max']:g}: {row['status']}")
            bar.update()
    return [rows[s] for s in submissions]


@contextmanager
def _pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for what is being marked; on Ctrl-C all of it is ended."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end_all()
        raise
    finally:
        pool.shutdown()


def released(made: Path, lab: str, student: str) -> NotebookNode:
    """The release version, as it was handed out to this student."""
    nb = nbformat.read(made / "release" / lab / f"{lab}.ipynb", as_version=4)
    personal(nb, student)
    return nb


def _is_test(cell: NotebookNode) -> bool:
    meta = cell.metadata.get("nbgrader", {})
    return bool(cell.cell_type == "code" and meta.get("grade") and not meta.get("solution"))


def prepare(shared: Class, lab: str) -> Path:
    """What each submission of a lab is given: the files beside the notebook, finished runs, known fonts."""
    given = shared.base / "given" / lab
    shutil.rmtree(given, ignore_errors=True)
    shutil.copytree(shared.course / "release" / lab, given / "work", ignore=shutil.ignore_patterns("*.ipynb"))
    shutil.copytree(shared.course / "runs", given / "runs")
    shutil.copytree(matplotlib.get_cachedir(), given / "matplotlib", ignore=shutil.ignore_patterns("tex*"))
    return given


def _task(shared: Class, lab: str, nb: NotebookNode, student: str, home: str, keep: bool = False) -> Task:
    place = shared.base / (home if keep or not shared.apart else "home")
    place.mkdir(exist_ok=True)
    return Task(lab, json.loads(json.dumps(nb)), student, place, shared.base / "given" / lab,
                shared.hidden, shared.limits, shared.secret, shared.checks, shared.apart, keep)


def _check_solution(shared: Class, checks: LabChecks, cells: dict[str, tuple[float, bool]]) -> None:
    """Grade the lab's own solution, and keep its runs.

    Raises:
        ValueError: it loses a point, or a graded cell has no check.
    """
    lab, tested = checks.lab, {name for name, (_, auto) in cells.items() if auto}
    if missing := tested ^ checks.checks.keys():
        raise ValueError(f"{lab}: graded cells and checks do not fit together: {', '.join(sorted(missing))}.")
    nb = nbformat.read(shared.course / "source" / lab / f"{lab}.ipynb", as_version=4)
    prepare(shared, lab)
    task = _task(shared, lab, nb, EVERYONE, f"solution-{lab}", keep=True)
    marked = mark_apart(task)
    write_verdicts(nb, marked)
    failed = {c.metadata.nbgrader.grade_id: c.outputs for c in nb.cells if _is_test(c) and _has_failed(c)}
    if marked.outputs is None or failed:
        errors = [f"{name}: {outputs[0].get('evalue', '')[:300]}" for name, outputs in failed.items()]
        why = "; ".join([*errors, *marked.notes])
        raise ValueError(
            f"{lab}: its own solution does not get full marks on this machine ({why}). Nothing was graded: "
            "mend the lab, or give it more time or memory."
        )
    shutil.copytree(task.home / "runs", shared.course / "runs", dirs_exist_ok=True)


def _has_failed(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)


def write_verdicts(nb: NotebookNode, marked: Marked) -> None:
    """Outputs into the notebook's cells, and into each graded cell its verdict: nothing, or an error."""
    for cell, outputs in zip(nb.cells, marked.outputs or [[]] * len(nb.cells), strict=True):
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [nbformat.from_dict(o) for o in outputs or []], None
        if _is_test(cell):
            message = (marked.verdicts or {}).get(cell.metadata.nbgrader.grade_id, "There is no verdict.")
            cell.outputs = [nbformat.v4.new_output("error", ename="Not yet", evalue=message,
                                                   traceback=[f"Not yet: {message}"])] if message else []


def _finish(shared: Class, s: Submission, nb: NotebookNode, marked: Marked, notes: list[str],
            cells: dict[str, tuple[float, bool]], out: Path, key: str) -> dict[str, Any]:
    """nbgrader's part; the gradebook's line."""
    notes = [*notes, *marked.notes]
    if marked.verdicts is None:
        return _refused(s, "; ".join(notes), cells, out)
    write_verdicts(nb, marked)
    try:
        nbformat.validate(nb)
    except Exception:
        notes.append("outputs that no notebook can hold were left out")
        write_verdicts(nb, Marked(None, marked.verdicts, []))
    put_beside(nb, rubrics(nbformat.read(shared.course / "source" / s.lab / f"{s.lab}.ipynb", as_version=4)))
    write_whole(shared.course / "submitted" / s.student / s.lab / f"{s.lab}.ipynb", nbformat.writes(nb))
    points, why = autograde(shared.course, s)
    if why:
        return _refused(s, "; ".join([*notes, why]), cells, out)
    row = _row(s, points, True, notes, cells)
    answers = [] if shared.whose(nb, s) == EVERYONE else [
        (s.student, s.lab, name, numbers, not marked.verdicts.get(name, "no"))
        for name, numbers in marked.answers.items()]
    shared.result(s).with_suffix(".marks").unlink(missing_ok=True)
    write_whole(shared.result(s), json.dumps({"key": key, "row": row, "answers": answers}))
    return row


def autograde(made: Path, s: Submission) -> tuple[dict[str, float | None], str]:
    """Let nbgrader grade an executed notebook: points by cell (None: a person gives them), or why it refuses.
    Marks that a person has given stay."""
    from nbgrader.api import Gradebook

    api = configured(made)
    path = made / "autograded" / s.student / s.lab / f"{s.lab}.ipynb"
    before = nbformat.read(path, as_version=4) if path.is_file() else None
    if why := _failed(lambda: api.autograde(s.lab, s.student)):
        return {}, why
    marks.settle(made, s.student, s.lab, before)
    with Gradebook(api.coursedir.db_url) as book:
        (graded,) = book.find_submission(s.lab, s.student).notebooks
        return {grade.name: grade.auto_score for grade in graded.grades}, ""


def feedback(made: Path, s: Submission) -> str:
    """A student's page, as things stand in the gradebook."""
    if why := _failed(lambda: configured(made).generate_feedback(s.lab, s.student)):
        return f"<!doctype html><title>{s.lab}</title><p>{html.escape(why)}</p>"
    return (made / "feedback" / s.student / s.lab / f"{s.lab}.html").read_text(encoding="utf-8")


def configured(made: Path) -> Any:
    """nbgrader for notebooks that were executed and put right elsewhere."""
    from nbgrader.apps import NbGraderAPI
    from nbgrader.converters import Autograde
    from nbgrader.preprocessors import ClearOutput, Execute, OverwriteCells
    from traitlets.config import Config

    config, theirs = Config(), Autograde()
    config.CourseDirectory.root = config.Exchange.root = str(made)
    config.Autograde.sanitize_preprocessors = [p for p in theirs.sanitize_preprocessors
                                               if p not in (ClearOutput, OverwriteCells)]  # as `restore` did
    config.Autograde.autograde_preprocessors = [p for p in theirs.autograde_preprocessors if p is not Execute]
    configure(config)
    return NbGraderAPI(config=config)


def _failed(step: Callable[[], dict[str, Any]]) -> str:
    """Why a step of nbgrader's has failed; "" if it has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the gradebook's library
        done = step()
    if done["success"]:
        return ""
    last = (done.get("error") or done.get("log") or "no reason given").strip().splitlines()[-1]
    return f"grading failed: {last[:300]}"


def _refused(s: Submission, why: str, cells: dict[str, tuple[float, bool]], out: Path) -> dict[str, Any]:
    """The line, and a page, of a submission that cannot be graded."""
    write_whole(out / "feedback" / s.student / f"{s.lab}.html",
                f"<!doctype html><title>{s.lab}</title><p>{html.escape(why)}</p>")
    return _row(s, {}, False, [why], cells)


def _key(shared: Class, s: Submission, text: bytes, checks: LabChecks) -> str:
    """Of all that a result depends on."""
    digest = hashlib.sha256(text)
    release = (shared.course / "release" / s.lab / f"{s.lab}.ipynb").read_bytes()
    for part in (repr(bool(shared.students)), shared.secret, checks.source,
                 json.dumps(asdict(shared.limits))):
        digest.update(hashlib.sha256(part.encode()).digest())
    digest.update(hashlib.sha256(release).digest())
    return digest.hexdigest()


def _kept(shared: Class, s: Submission, key: str) -> dict[str, Any] | None:
    """The line of a finished submission, if nothing has changed since."""
    try:
        kept = json.loads(shared.result(s).read_text(encoding="utf-8"))
        return kept["row"] if kept["key"] == key else None
    except (OSError, ValueError, LookupError):
        return None


def _row(s: Submission, scores: dict[str, float | None], ok: bool, notes: list[str],
         cells: dict[str, tuple[float, bool]]) -> dict[str, Any]:
    """A line of the gradebook. Cells that a person grades are left empty, and 0 where there is no answer."""
    points = {name: scores.get(name, 0.0 if auto or not ok else None) for name, (_, auto) in cells.items()}
    by_hand = [name for name, (_, auto) in cells.items() if not auto and points[name] is None]
    waiting = [f"to grade by hand: {', '.join(by_hand)}"] if by_hand else []
    status = "; ".join(["graded" if ok else "not graded", *notes, *waiting])
    return {"student": s.student, "lab": s.lab, "total": sum(p for p in points.values() if p is not None),
            "max": sum(p for name, (p, _) in cells.items() if points[name] is not None),
            "by_hand": sum(cells[name][0] for name in by_hand),
            "status": status, **{f"{s.lab}/{name}": value for name, value in points.items()}}
