"""One submission, graded by nbgrader in a process of its own: `grmu.teach.labs` starts this file, contained,
and reads result.json.

Its folder is a course of one student: submitted/student/LAB/LAB.ipynb, release/LAB/LAB.ipynb, gradebook.db,
limits.json.
"""

from __future__ import annotations

import asyncio
import copy
import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import nbformat
import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute
from traitlets.config import Config

STUDENT = "student"
SHOWN = 20_000  # characters of output that are kept of a cell
PATIENCE = 20  # however busy the machine is, a second of a limit takes at most so many
GRACE = 4.0  # seconds that a cell has to obey an interrupt
NO_SOCKETS = '''"""Grading without a network namespace: Python's own sockets reach no network."""
import socket

def refuse(self, *args):
    raise PermissionError("there is no network while a lab is graded")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
'''


class Clock:
    """How long a process has had: the time that has passed, less what it waited for a processor.

    So a limit means the same on a busy machine. Linux counts the waiting; elsewhere nothing is taken off.
    """

    def __init__(self, pid: int, with_children: bool = False) -> None:
        self.pid, self.with_children, self.begun = pid, with_children, monotonic()
        self.at_first = self._waits()
        self.waits = dict(self.at_first)

    def _waits(self) -> dict[int, float]:
        """Seconds that each process was ready to run and did not; of a process, its main thread counts."""
        pids, found = [self.pid], {}
        with suppress(psutil.Error):
            if self.with_children:
                pids += [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        for pid in pids:
            with suppress(OSError, IndexError):
                found[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        return found

    def seconds(self) -> float:
        """Seconds since the clock was made, waiting not counted."""
        passed = monotonic() - self.begun
        self.waits |= self._waits()
        waited = sum(now - self.at_first.get(pid, 0.0) for pid, now in self.waits.items())
        return max(passed - waited, passed / PATIENCE)


class Contained(Execute):
    """Executes a submission to its end, whatever its cells do; `notes` says in sentences what was stopped or
    cut."""

    notes: list[str] = []
    limits: dict[str, float] = {}

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        """Run all cells."""
        self.ended, self.left = "", float(self.limits["seconds"])
        self.timeout = 1  # each second `_async_handle_timeout` asks whether the cell's time is over
        self.iopub_timeout, self.startup_timeout = 60, 600  # a busy machine is no fault of a submission's
        return super().preprocess(nb, resources)

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> Any:
        """Run one cell within what is left of the time."""
        if cell.cell_type != "code":
            return cell, resources
        self.shown, self.stopped, self.idle = 0, False, False
        if not self.ended and self.left <= 0:
            self._end(f"the notebook took longer than {self.limits['seconds']:g} s: "
                      f"from cell {index + 1} on nothing was run")
        if self.ended:
            self._fail(cell, "NotRun", self.ended)
            return cell, resources
        self.allowed = min(self.left, self.limits["cell_seconds"])
        self.clock = Clock(self.km.provisioner.pid)
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except (DeadKernelError, CellTimeoutError) as error:
            how = "could not be interrupted" if self.stopped else "died"
            self._end(f"the kernel {how} in cell {index + 1}: the cells after it were not run")
            self._fail(cell, type(error).__name__, self.ended)
        self.left -= self.clock.seconds()
        if self.stopped:
            self.notes.append(f"cell {index + 1} was stopped after {round(self.allowed, 1):g} s")
        if any("allocate memory" in str(o.get("evalue")) or o.get("ename") == "MemoryError"
               for o in cell.outputs):
            self.notes.append(f"cell {index + 1} wanted more than {self.limits['gigabytes']:g} GB of memory")
        if self.shown > SHOWN:
            self.notes.append(f"cell {index + 1} printed {self.shown:,} characters: cut")
        if cell.metadata.get("nbgrader", {}).get("grade"):  # nbgrader takes any warning for a failure
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        return cell, resources

    async def _async_handle_timeout(self, timeout: int,
                                    cell: NotebookNode | None = None) -> dict[str, Any] | None:
        """Each second that a cell runs: interrupt it once its time is over, and end a kernel that goes on."""
        if self.clock.seconds() < self.allowed:
            await asyncio.sleep(0.05)
            return None
        self.stopped = True
        reply = await super()._async_handle_timeout(timeout, cell)
        since = Clock(self.clock.pid)
        while not self.idle and since.seconds() < GRACE:
            await asyncio.sleep(0.05)
        if not self.idle:
            await self.km.shutdown_kernel(now=True)
            raise DeadKernelError("the kernel could not be interrupted")
        return reply

    async def _async_poll_output_msg(self, *arguments: Any) -> None:
        """Take a cell's output, until the kernel says that it is idle."""
        await super()._async_poll_output_msg(*arguments)
        self.idle = True

    def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> NotebookNode | None:
        """Keep the first characters of a cell's output, and every error, shortened."""
        content, kind = msg["content"], msg["msg_type"]
        if kind == "stream":
            before, self.shown = self.shown, self.shown + len(content["text"])
            if before > SHOWN:
                return None
            if self.shown > SHOWN:
                content["text"] = content["text"][:SHOWN - before] + "\n... cut ...\n"
        elif kind == "error":
            content["evalue"] = content["evalue"][:2000]
            content["traceback"] = [line[:4000] for line in content["traceback"]]
        elif kind in ("display_data", "execute_result"):
            for form, value in content["data"].items():
                if not form.startswith("image/") and len(str(value)) > 10 * SHOWN:
                    content["data"][form] = "... cut ..."
        return super().output(outs, msg, display_id, cell_index)

    def _end(self, why: str) -> None:
        self.ended = why
        self.notes.append(why)

    @staticmethod
    def _fail(cell: NotebookNode, name: str, why: str) -> None:
        cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=why,
                                                   traceback=[f"{name}: {why}"]))


def restore(nb: NotebookNode, release: NotebookNode) -> list[str]:
    """Put back, in place, what a student may not change: metadata, sources of locked cells, graded cells that
    are gone."""
    changed, missing, gone = [], [], []
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
    said = (("changed cells put back", changed), ("missing cells put back", missing),
            ("answers missing", gone))
    return [f"{what}: {', '.join(names)}" for what, names in said if names]


def configuration(folder: Path) -> Config:
    """nbgrader's settings for a course in `folder`: kernels that talk through files, not through the
    network."""
    config = Config()
    config.CourseDirectory.root = config.Exchange.root = str(folder)
    config.CourseDirectory.student_id = STUDENT
    config.KernelManager.transport, config.KernelManager.ip = "ipc", str(folder / "k")
    config.Autograde.autograde_preprocessors = [Contained if p is Execute else p
                                                for p in Autograde().autograde_preprocessors]
    return config


def grade(folder: Path) -> dict[str, Any]:
    """Autograde the one submission of a course; its points by cell, notes, and whether it worked."""
    limits = json.loads((folder / "limits.json").read_text())
    size = int(limits["gigabytes"] * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**29, 2**29))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits["block_sockets"]:
        startup = folder / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-no-network.py").write_text(NO_SOCKETS)
    Contained.limits, Contained.notes, lab = limits, [], limits["lab"]
    path = folder / "submitted" / STUDENT / lab / f"{lab}.ipynb"
    try:
        nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(nb)
    except Exception as error:
        why = str(error).strip().splitlines() or [type(error).__name__]
        return {"points": {}, "notes": [f"this is not a notebook that can be read: {why[0][:200]}"],
                "ok": False}
    release = nbformat.read(folder / "release" / lab / f"{lab}.ipynb", as_version=4)
    Contained.notes += restore(nb, release)
    path.write_text(nbformat.writes(nb), encoding="utf-8")
    api = NbGraderAPI(config=configuration(folder))
    done = api.autograde(lab, STUDENT)
    if not done["success"]:
        last = (done.get("error") or done.get("log") or "no reason given").strip().splitlines()[-1]
        return {"points": {}, "notes": [*Contained.notes, f"grading failed: {last[:300]}"], "ok": False}
    api.generate_feedback(lab, STUDENT)
    with Gradebook(api.coursedir.db_url) as book:
        (notebook,) = book.find_submission(lab, STUDENT).notebooks
        points = {grade.name: None if grade.needs_manual_grade else grade.auto_score
                  for grade in notebook.grades}
    return {"points": points, "notes": Contained.notes, "ok": True}


if __name__ == "__main__":
    where = Path(sys.argv[1])
    (where / "result.json").write_text(json.dumps(grade(where)))
