"""One submission: executed contained, its checks run out here, in a process of its own that may be ended.

Such a process is forked from one that has imported PyTorch once. What goes in and comes out is plain data.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from grmu.course.asking import Ask, Refused
from grmu.course.contain import Limits, Sandbox
from grmu.course.marking import LabChecks, load, verdicts
from grmu.course.own import own

CHECK_SECONDS = 60  # of a processor, for one check: whatever an answer makes it do
GIGABYTES = 6  # for all checks
RUNNING = set[BaseProcess]()  # the processes that mark, for whoever has to end them

# Asked of a kernel after its notebook: which functions of libraries are now the notebook's own? That is for
# the instructor to know; checks rely on nothing over there.
REPLACED = """
import sys
def _ours(value):
    return type(value) is type(_ours) and "ipykernel_" in value.__code__.co_filename
_found = []
for _name, _module in sorted(sys.modules.items()):
    if _name.split(".")[0] in ("builtins", "torch", "grmu", "numpy", "pandas", "json", "runpy", "sys"):
        for _key, _value in list(vars(_module).items()):
            if _ours(_value):
                _found.append(f"{_name}.{_key}")
            elif isinstance(_value, type) and _value.__module__ == _name:
                _found += [f"{_name}.{_key}.{k}" for k, v in list(vars(_value).items()) if _ours(v)]
_found[:20]
"""


@dataclass(frozen=True)
class Task:
    """What there is to do. home, given, hidden, apart, keep: as `grmu.course.contain.Sandbox` takes them.

    notebook: as JSON has it.  student: whose data, if the lab has everyone their own.  checks: the folder
    with LAB.py.
    """

    lab: str
    notebook: dict[str, Any] = field(repr=False)
    student: str
    home: Path
    given: Path
    hidden: tuple[Path, ...]
    limits: Limits
    secret: str = field(repr=False)
    checks: Path
    apart: bool = True
    keep: bool = False


@dataclass(frozen=True)
class Marked:
    """What came out: outputs of each cell, if there were any; verdicts by grade_id, None if checking itself
    has ended; what the instructor is told; what was answered about a student's own data."""

    outputs: list[Any] | None
    verdicts: dict[str, str] | None
    notes: list[str]
    answers: dict[str, list[str]] = field(default_factory=dict)


def mark(task: Task) -> Marked:
    """Execute and check, in this process."""
    checks = load(task.lab, task.checks)
    with Sandbox(task.home, task.given, task.limits, task.hidden, task.apart, task.keep) as box:
        outputs = box.execute(task.notebook)
        notes, answers = list[str](), dict[str, list[str]]()
        if outputs is None:
            messages = dict.fromkeys(checks.checks, f"Nothing could be asked: {box.ended}.")
        else:
            notes = _replaced(box.ask)
            messages = verdicts(_limited(checks), box.ask, task.secret, own(task.student, task.lab), answers)
    return Marked(outputs, messages, [*box.notes, *notes, *([box.ended] if box.ended else [])], answers)


def mark_apart(task: Task) -> Marked:
    """Do what `mark` does in a separate process, and report whatever happens to it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["grmu.course.marker", "grmu.course.grader"])
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, sending))
    process.start()
    RUNNING.add(process)
    sending.close()
    try:
        return receiving.recv()
    except EOFError:
        process.join()
        return Marked(None, None, [f"checking it ended without a verdict (exit code {process.exitcode})"])
    finally:
        RUNNING.discard(process)
        process.kill()
        process.join()


def end_all() -> None:
    """End what is being marked."""
    for process in list(RUNNING):
        process.kill()


def _work(task: Task, sending: Connection) -> None:
    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (GIGABYTES * 2**30, most))
    os.setsid()  # a Ctrl-C is for the one who waits
    torch.set_num_threads(1)
    sending.send(mark(task))


def _replaced(ask: Ask) -> list[str]:
    try:
        replaced = ask(REPLACED)
    except Refused as error:
        replaced = str(error)
    if not isinstance(replaced, list):
        return ["asked which names of libraries were replaced, it answered something else"]
    names = ", ".join(str(name)[:60] for name in replaced[:5])
    return [f"names of libraries replaced: {names}"] if names else []


def _limited(lab: LabChecks) -> LabChecks:
    """The same checks, each ended when an answer makes it compute for too long."""
    def limited(check: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(check)
        def run(*arguments: Any) -> None:
            with _at_most(CHECK_SECONDS):
                check(*arguments)
        return run

    return LabChecks(lab.lab, {name: limited(check) for name, check in lab.checks.items()}, lab.source)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise after so many seconds of this process's own computing."""
    def stop(number: int, frame: FrameType | None) -> None:
        raise Refused("checking this answer took too long")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
