"""Run inside the sandbox: execute one notebook with nbclient, then answer questions about its names.

`sandbox.py` starts this file, and exchanges messages with it through standard input and output. Each message is one
line of JSON:

    in:  {"notebook", "limits", "not_allowed", "alone"}     out: {"outputs", "notes"}
    in:  {"code", "given"}, any number of times             out: {"answer", "notes"}

The tests in the notebook are not executed, because they are only for students and give no points. If a cell ends the
kernel or takes too long, it is skipped and the notebook is executed again without it. Nothing in this file is secret: a
submission that takes over this process can only forge its own answers.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from jupyter_client.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

SHOWN = 2_000_000  # characters of output that are kept per cell, including pictures
PROCESSES = 200  # maximum number of processes and threads
KERNELS = 4  # maximum number of executions of the notebook
ASKING = str(Path(__file__).with_name("asking.py"))


class Client(NotebookClient):
    """Execute cells even if some raise errors, and limit their output."""

    def __init__(self, nb: nbformat.NotebookNode, seconds: float, notes: list[str]) -> None:
        super().__init__(nb, timeout=int(seconds), allow_errors=True, kernel_name="python3",
                         shutdown_kernel="immediate", startup_timeout=300)
        self.kept, self.notes = dict[int, int](), notes

    def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> Any:
        """Keep an output unless the cell has already printed too much."""
        self.kept[cell_index] = self.kept.get(cell_index, 0) + len(str(msg["content"]))
        if self.kept[cell_index] <= SHOWN:
            return super().output(outs, msg, display_id, cell_index)
        note(self.notes, f"cell {cell_index + 1} printed more than {SHOWN:,} characters: cut")
        return None

    async def run_cells(self, left_out: set[int]) -> bool:
        """Execute all other cells; if one ends the kernel, add it to `left_out` and return False."""
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code" or index in left_out:
                continue
            try:
                await self.async_execute_cell(cell, index)
            except (DeadKernelError, CellTimeoutError) as error:
                why = f"took longer than {self.timeout} s" if isinstance(error, CellTimeoutError) else \
                    "ended the kernel (too much memory, or an exit)"
                note(self.notes, f"cell {index + 1} {why}: it was left out")
                cell.outputs = [nbformat.v4.new_output("error", ename=type(error).__name__, evalue=why,
                                                       traceback=[why])]
                left_out.add(index)
                return False
        return True

    async def ask(self, code: str, given: str, seconds: int) -> str | None:
        """Return the kernel's answer as text; None if it did not answer in time, or died."""
        call = f"__import__('runpy').run_path({ASKING!r})['answer'](globals(), {code!r}, {given!r})"
        assert self.kc is not None
        assert self.km is not None
        asked = self.kc.execute("", silent=True, store_history=False, user_expressions={"answer": call})
        for _ in range(seconds):
            with suppress(Empty):
                message = await ensure_async(self.kc.shell_channel.get_msg(timeout=1))
                if message["parent_header"].get("msg_id") == asked:
                    reply = message["content"].get("user_expressions", {}).get("answer", {})
                    text = reply.get("data", {}).get("text/plain", "''")
                    return str(ast.literal_eval(text)) or failed(f"{reply.get('ename')}: {reply.get('evalue')}")
            if not await ensure_async(self.km.is_alive()):
                break
        return None


def note(notes: list[str], what: str) -> None:
    """Add a note unless it is already there."""
    if what not in notes:
        notes.append(what)


def failed(why: str) -> str:
    """Return an error instead of an answer, in the form that `asking.read` expects."""
    return json.dumps({"error": why[:1000]})


def receive() -> dict[str, Any] | None:
    """Return the next message; None at the end."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


async def serve(task: dict[str, Any], send: Any) -> None:
    """Execute the notebook, then answer questions until there are no more."""
    nb, limits, notes = nbformat.from_dict(task["notebook"]), task["limits"], list[str]()
    left_out, reported = {i for i, cell in enumerate(nb.cells) if is_test(cell)}, False
    for _ in range(KERNELS):
        client = Client(nb, limits["cell_seconds"], notes)
        async with client.async_setup_kernel():
            finished = await client.run_cells(left_out)
            if finished and not reported:
                send({"outputs": [cell.get("outputs") for cell in nb.cells], "notes": notes})
                reported = True
            if finished and "error" in (await client.ask(task["not_allowed"], "{}", 60) or "error"):
                note(notes, "the package's functions could still be called")
            while finished and (question := receive()) is not None:
                answer = await client.ask(question["code"], question["given"], limits["ask_seconds"])
                finished = answer is not None
                if not finished:
                    note(notes, f"an answer took longer than {limits['ask_seconds']} s or ended the kernel")
                send({"answer": answer or failed(notes[-1]), "notes": notes})
            if finished:
                return
        with suppress(ProcessLookupError):
            if task["alone"]:
                os.kill(-1, signal.SIGKILL)  # kill what the kernel left: all processes here except this one
    note(notes, f"the kernel ended {KERNELS} times")
    if not reported:
        send({"outputs": [cell.get("outputs") for cell in nb.cells], "notes": notes})
    while receive() is not None:
        send({"answer": failed(notes[-1]), "notes": notes})


def is_test(cell: Any) -> bool:
    """Return whether a cell is a graded test."""
    about = cell.metadata.get("nbgrader", {})
    return bool(cell.cell_type == "code" and about.get("grade") and not about.get("solution"))


def limit(gigabytes: float) -> None:
    """Limit the resources of this process and of each of its children."""
    size = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**29, 2**29))


def main() -> None:
    """Serve messages on standard output, to which nothing else can print."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.set_inheritable(channel.fileno(), False)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def send(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    task = receive()
    assert task is not None
    limit(task["limits"]["gigabytes"])
    if task["alone"]:
        with suppress(OSError, ValueError):  # RLIMIT_NPROC does not apply to root, but this does
            Path("/proc/sys/kernel/pid_max").write_text(str(PROCESSES))
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
    asyncio.run(serve(task, send))


if __name__ == "__main__":
    main()
