"""What runs contained: one submission, executed in a kernel that is then asked. `grmu.course.contain` starts
this file and talks to it through a socket, a line of JSON for each message.

First comes the task: {"notebook", "limits", "home", "given", "apart"}. The answer is {"outputs", "notes"};
then each question, {"code", "given"}, is answered by what `grmu.course.asking` makes of it in the kernel.
Nothing here is secret: whoever takes this process over can forge only what the kernel answers.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import platform
import re
import resource
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

import nbformat
import psutil
from jupyter_client.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

SHOWN = 20_000  # characters of text that are kept of a cell
PICTURES = 8_000_000  # characters of all that it displays
PATIENCE = 20  # however busy the machine is, a second of a limit takes at most so many
GRACE = 4.0  # seconds that a cell has to obey an interrupt
PROCESSES = 512  # processes and threads
ROOM = 2  # times the memory of a kernel, for all its processes together
REVIVALS = 5  # kernels that may die before no other is started
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
        pids, ready_for = [self.pid], {}
        with suppress(psutil.Error):
            if self.with_children:
                pids += [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        for pid in pids:
            with suppress(OSError, IndexError):
                ready_for[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        return ready_for

    def seconds(self) -> float:
        """Seconds since the clock was made, waiting not counted."""
        passed = monotonic() - self.begun
        self.waits |= self._waits()
        waited = sum(now - self.at_first.get(pid, 0.0) for pid, now in self.waits.items())
        return max(passed - waited, passed / PATIENCE)


class Contained(NotebookClient):
    """Executes a submission to its end, whatever its cells do, and answers questions about it; `notes` says
    in sentences what was stopped or cut."""

    km: Any
    kc: Any

    error_on_timeout = {"ename": "CellTimeoutError", "evalue": "",
                        "traceback": ["CellTimeoutError: No reply from kernel before timeout"]}

    def __init__(self, nb: NotebookNode, limits: dict[str, float], home: Path) -> None:
        config = Config()
        config.KernelManager.transport, config.KernelManager.ip = "ipc", str(home / "k")
        # each second `_async_handle_timeout` asks whether a cell's time is over; that a machine is busy is no
        # fault of a submission's
        super().__init__(nb, timeout=1, allow_errors=True, interrupt_on_timeout=True, iopub_timeout=60,
                         startup_timeout=600, shutdown_kernel="immediate", kernel_name="python3",
                         config=config)
        self.limits, self.notes = limits, list[str]()
        self.ended, self.left, self.fatal = "", float(limits["seconds"]), set[int]()
        self.left_to_ask, self.revived = float(limits["cell_seconds"]), 0
        self.asking = str(Path(__file__).with_name("asking.py"))

    async def run(self, skip: frozenset[int] = frozenset()) -> None:
        """Run all cells but these, in a new kernel."""
        await self.async_start_new_kernel()
        await self.async_start_new_kernel_client()
        for index, cell in enumerate(self.nb.cells):
            if index not in skip:
                await self.async_execute_cell(cell, index)
        if self.kc is not None:
            self.kc.iopub_channel.stop()  # nobody reads what is printed from now on

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *args: Any,
                                 **options: Any) -> NotebookNode:
        """Run one cell within what is left of the time."""
        if cell.cell_type != "code" or not cell.source.strip():
            return cell
        self.shown, self.displayed, self.stopped, self.idle = 0, 0, False, False
        place = f"cell {cell_index + 1}"
        if not self.ended and self.left <= 0:
            self._end(f"the notebook took longer than {self.limits['seconds']:g} s: "
                      f"from {place} on nothing was run")
        if self.ended:
            self._fail(cell, "NotRun", self.ended)
            return cell
        self.allowed = min(self.left, self.limits["cell_seconds"])
        self.clock = Clock(self.km.provisioner.pid)
        try:
            cell = await super().async_execute_cell(cell, cell_index, *args, **options)
        except (DeadKernelError, CellTimeoutError) as error:
            how = "could not be interrupted" if self.stopped else "died"
            self._end(f"the kernel {how} in {place}: the cells after it were not run")
            self.fatal.add(cell_index)
            self._fail(cell, type(error).__name__, self.ended)
        self.left -= self.clock.seconds()
        if self.stopped:
            self._note(f"{place} was stopped after {round(self.allowed, 1):g} s")
        if any("allocate memory" in str(o.get("evalue")) or o.get("ename") == "MemoryError"
               for o in cell.outputs):
            self._note(f"{place} wanted more than {self.limits['gigabytes']:g} GB of memory")
        if self.shown > SHOWN:
            self._note(f"{place} printed {self.shown:,} characters: cut")
        return cell

    def on_cell_executed(self, cell: NotebookNode, execute_reply: dict[str, Any], **_: Any) -> None:
        """An error that a cell kept from being shown is one all the same."""
        reply = execute_reply["content"]
        if reply["status"] == "error" and not any(o.get("ename") == reply["ename"] for o in cell.outputs):
            self._fail(cell, reply["ename"], reply["evalue"] or reply["ename"])

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
            return super().output(outs, msg, display_id, cell_index)
        if kind == "error":
            content["evalue"] = content["evalue"][:2000]
            content["traceback"] = [line[:4000] for line in content["traceback"][:50]]
        elif kind in ("display_data", "execute_result"):
            for form, value in content["data"].items():
                if not form.startswith("image/") and len(str(value)) > 10 * SHOWN:
                    content["data"][form] = "... cut ..."
        self.displayed += len(str(content))
        return super().output(outs, msg, display_id, cell_index) if self.displayed < PICTURES else None

    async def ask(self, code: str, given: str) -> str:
        """What the kernel answers, as text; in place of one that died another is started, without what killed
        it."""
        if self.ended and not await self._revive():
            return error(self.ended)
        allowed = min(self.left_to_ask, self.limits["ask_seconds"])
        if allowed <= 0:
            return error(f"all answers together took longer than {self.limits['cell_seconds']:g} s")
        call = f"__import__('runpy').run_path({self.asking!r})['answer'](globals(), {code!r}, {given!r})"
        asked = self.kc.execute("", silent=True, store_history=False, user_expressions={"answer": call})
        clock, self.stopped = Clock(self.km.provisioner.pid), False
        reply = await self._reply(asked, clock, allowed)
        self.left_to_ask -= min(clock.seconds(), allowed)
        if self.stopped:
            why = f"an answer took longer than {round(allowed, 1):g} s"
            self._note(why)
            return error(why)
        if reply is None:
            return error(self.ended)
        reply_value = reply.get("user_expressions", {}).get("answer", {})
        with suppress(Exception):
            return str(ast.literal_eval(reply_value["data"]["text/plain"]))
        return error(f"{reply_value.get('ename', 'no answer')}: {reply_value.get('evalue', '')}"[:1000])

    async def _reply(self, asked: str, clock: Clock, allowed: float) -> dict[str, Any] | None:
        """The kernel's reply to a question; None if the kernel died, or had to be ended."""
        interrupted: Clock | None = None
        while True:
            with suppress(Empty):
                message = await ensure_async(self.kc.shell_channel.get_msg(timeout=0.2))
                if message["parent_header"].get("msg_id") == asked:
                    return message["content"]
                continue
            if not await ensure_async(self.km.is_alive()):
                self._end("the kernel died when an answer was asked for")
                return None
            if interrupted is None and clock.seconds() > allowed:
                self.stopped, interrupted = True, Clock(clock.pid)
                await ensure_async(self.km.interrupt_kernel())
            elif interrupted is not None and interrupted.seconds() > GRACE:
                self._end("the kernel could not be interrupted when an answer was asked for")
                return None

    async def _revive(self) -> bool:
        """Another kernel, in which all cells are run but tests and what ended a kernel; False if it ends,
        too."""
        self.revived += 1
        if self.revived > REVIVALS or self.left <= 0:
            return False
        kept = self.notes.copy()
        await self._async_cleanup_kernel()
        self.create_kernel_manager()
        self.ended = ""
        tests = {i for i, cell in enumerate(self.nb.cells) if graded(cell)}
        await self.run(frozenset(tests | self.fatal))
        self.notes[:] = kept
        return not self.ended

    def _end(self, why: str) -> None:
        self.ended = why
        self._note(why)

    def _note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)

    @staticmethod
    def _fail(cell: NotebookNode, name: str, why: str) -> None:
        cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=why,
                                                   traceback=[f"{name}: {why}"]))


def graded(cell: NotebookNode) -> bool:
    """Whether a cell is a test."""
    about = cell.metadata.get("nbgrader", {})
    return bool(about.get("grade") and not about.get("solution"))


def error(why: str) -> str:
    """An answer that is none, as `grmu.course.asking` writes it."""
    return json.dumps({"names": ["error"], "values": [why]})


class Channel:
    """Lines of JSON to and from whoever started this process."""

    def __init__(self, fd: int) -> None:
        self.socket, self.lock = socket.socket(fileno=fd), threading.Lock()
        self.socket.set_inheritable(False)
        self.lines = self.socket.makefile("rb")

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def send(self, text: str) -> None:
        """One line; a message that is larger than its reader takes is its reader's matter."""
        with self.lock:
            self.socket.sendall(text.encode() + b"\n")


def watch(channel: Channel, limits: dict[str, float], apart: bool) -> None:
    """End everything if processes become too many, or too large together: twice a second, in a thread."""
    me, gigabytes = psutil.Process(), ROOM * limits["gigabytes"]

    def together(measure: Callable[[psutil.Process], int]) -> int:
        sizes = [0]
        for process in others:
            with suppress(psutil.Error):
                sizes.append(measure(process))
        return sum(sizes)

    while True:
        time.sleep(0.5)
        others = list(psutil.process_iter()) if apart else me.children(recursive=True)
        why = ""
        if len(others) > PROCESSES // 2:
            why = f"more than {PROCESSES // 2} processes were started"
        elif together(lambda process: process.memory_info().rss) > gigabytes * 2**30 and together(
                lambda process: process.memory_full_info().uss) > gigabytes * 2**30:  # slower, and exact
            why = f"its processes together wanted more than {gigabytes:g} GB of memory"
        if why:
            channel.send(json.dumps({"ended": f"everything was ended: {why}"}))
            for child in [] if apart else me.children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
            os._exit(3)  # apart, nothing outlives the process that waits for this one


def limit(limits: dict[str, float], apart: bool) -> None:
    """What this process and all its children may use."""
    size = int(limits["gigabytes"] * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**29, 2**29))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    version = [int(part) for part in re.findall(r"\d+", platform.release())[:2]]
    if apart and version >= [5, 14]:  # before, all processes of the user counted, not only those in here
        resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))


async def serve(channel: Channel, task: dict[str, Any]) -> None:
    """Execute the notebook, then answer until nobody asks."""
    notebook = Contained(nbformat.from_dict(task["notebook"]), task["limits"], Path(task["home"]))
    notebook.create_kernel_manager()
    await notebook.run()
    outputs = [cell.get("outputs") for cell in notebook.nb.cells]
    channel.send(json.dumps({"outputs": outputs, "notes": notebook.notes}))
    while (question := channel.receive()) is not None:
        text = await notebook.ask(question["code"], question["given"])
        channel.send(json.dumps({"answer": text, "notes": notebook.notes}))
    await notebook._async_cleanup_kernel()


def main(fd: int) -> None:
    """Do what the socket says."""
    channel = Channel(fd)
    task = channel.receive()
    assert task is not None
    home = Path(task["home"])
    shutil.copytree(task["given"], home, dirs_exist_ok=True)
    if not task["apart"]:
        startup = home / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-no-network.py").write_text(NO_SOCKETS)
    os.chdir(home / "work")
    limit(task["limits"], task["apart"])
    threading.Thread(target=watch, args=(channel, task["limits"], task["apart"]), daemon=True).start()
    asyncio.run(serve(channel, task))


if __name__ == "__main__":
    main(int(sys.argv[1]))
