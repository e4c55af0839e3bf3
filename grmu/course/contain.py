"""A submission, contained: executed and asked in processes of its own that see neither other submissions nor
what decides marks.

On Linux with util-linux (`isolated`) these processes have namespaces of their own: no network, no other
process, a file system that is read-only but for a folder in memory, and tmpfs over what shall not be seen;
they hold no privilege that could undo it. Elsewhere there are limits on time, memory, output and Python's
sockets. It is no prison: grade strangers' code in a virtual machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from grmu.course.asking import LARGEST, Refused, encode, read
from grmu.data.files import PACKAGE

REPOSITORY = PACKAGE.parent
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--ipc", "--mount", "--pid", "--fork",
           "--kill-child"]
# A shell stays process 1, because kernels whose parent is process 1 think that they are orphans.
# $1: the one folder that can be written; $2: "keep" if what is there stays; $3: how many folders follow that
# shall not be seen
INSIDE = """home=$1; keep=$2; n=$3; shift 3
mount -o remount,bind,ro=recursive / 2>/dev/null || cut -d' ' -f5 /proc/self/mountinfo | while read -r at; do
    mount -o remount,bind,ro "$at" 2>/dev/null; done
if [ "$keep" = keep ]; then mount --bind "$home" "$home" && mount -o remount,bind,rw "$home" || exit 9
else mount -t tmpfs -o size=2g none "$home" || exit 9; fi
[ -d /dev/shm ] && mount -t tmpfs -o size=1g none /dev/shm
while [ "$n" -gt 0 ]; do mount -t tmpfs -o ro,size=4k none "$1" || exit 9; shift; n=$((n - 1)); done
mount -t proc proc /proc || exit 9
(echo 512 > /proc/sys/kernel/pid_max) 2>/dev/null
mount --bind -o ro /proc/sys /proc/sys || exit 9
setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"; exit $?"""
# runs the grader, without what nbformat would import besides: grammars of web addresses, a second and a half
START = """import runpy, sys
sys.modules["rfc3987_syntax"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TICK = 5  # seconds between two looks at the time of a submission that does not answer
PASSED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS",
          "MKL_NUM_THREADS", "TZ")


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds in all, for a cell, and for an answer; memory of a process. All
    answers together get the time of one cell.

    Seconds are those that it had: what a kernel waits for a processor that others use does not count (Linux).
    """

    seconds: float = 600
    cell_seconds: float = 180
    gigabytes: float = 4
    ask_seconds: float = 30


USUAL = Limits()


@lru_cache
def isolated() -> bool:
    """Whether a submission can have namespaces of its own: no network, and no process that outlives it."""
    return all(map(shutil.which, ("unshare", "setpriv", "mount"))) and subprocess.run(
        [*UNSHARE, "sh", "-c", "mount -t proc proc /proc && setpriv --no-new-privs true"],
        capture_output=True).returncode == 0


def search_path() -> str:
    """$PATH, beginning with this environment's programs: nbgrader calls some by name."""
    return os.pathsep.join(dict.fromkeys([str(Path(sys.executable).parent),
                                          *os.environ.get("PATH", "").split(os.pathsep)]))


def secrets() -> list[Path]:
    """What of this repository a submission shall not see: labs with solutions, checks, known mistakes, what
    was graded, history."""
    git = REPOSITORY / ".git"
    if git.is_file():  # of a worktree: the repository that it belongs to
        git = Path(git.read_text().removeprefix("gitdir:").strip()).parent.parent
    return [REPOSITORY / "notebooks" / "labs", REPOSITORY / "tests", REPOSITORY / "build", git]


class Sandbox:
    """Processes in which a notebook is executed and then asked; leaving the `with` block ends them.

    Args:
        home: an empty folder with a short path, the only one that can be written.  given: what is copied into
        it: work/ (the working folder), runs/ (the store).  hidden: folders that shall not be seen.
        keep: Keep what is written to `home`; otherwise it is lost at the end.
    """

    def __init__(self, home: Path, given: Path, limits: Limits, hidden: Iterable[Path] = (),
                 apart: bool = True, keep: bool = False) -> None:
        self.home, self.given, self.limits, self.apart = home, given, limits, apart
        self.notes, self.ended = list[str](), ""
        self._hidden, self._keep = hidden, keep

    def __enter__(self) -> Sandbox:
        from grmu.course.grader import Clock  # needs nbclient

        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-c", START, str(Path(__file__).with_name("grader.py")),
                   str(theirs.fileno())]
        if self.apart:
            away = self._away()
            command = ["setpriv", "--pdeathsig", "KILL", *UNSHARE, "sh", "-c", INSIDE, "sh", str(self.home),
                       "keep" if self._keep else "lose", str(len(away)), *away, *command]
        with theirs:
            self.process = subprocess.Popen(command, env=self._environment(), cwd="/",
                                            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                            start_new_session=True)
        self._said = b""
        threading.Thread(target=self._listen, daemon=True).start()
        self._socket, self._buffer, self._seen = ours, bytearray(), 0
        self._socket.settimeout(TICK)
        self._clock = Clock(self.process.pid, with_children=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        if not self.apart:  # kernels have sessions of their own: let the process end them
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _away(self) -> list[str]:
        """The folders that can be hidden: those that are there, and hold nothing that is needed."""
        needed = [self.home, self.given, PACKAGE, Path(sys.prefix), Path(sys.base_prefix)]
        folders = [f.resolve() for f in (*self._hidden, *secrets()) if f.is_dir()]
        return [str(f) for f in dict.fromkeys(folders)
                if not any(p.resolve().is_relative_to(f) for p in needed)]

    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        return {name: os.environ[name] for name in PASSED if name in os.environ} | {
            "PATH": search_path(), "HOME": home, "TMPDIR": home, "JUPYTER_RUNTIME_DIR": home,
            "JUPYTER_CONFIG_DIR": home, "IPYTHONDIR": f"{home}/ipython", "GRMU_STORE": f"{home}/runs",
            "MPLCONFIGDIR": f"{home}/matplotlib", "PYTHONDONTWRITEBYTECODE": "1"}

    def execute(self, notebook: dict[str, Any]) -> list[Any] | None:
        """The outputs of each cell; None if the submission ended before there were any (`ended` says how)."""
        self._send({"notebook": notebook, "limits": asdict(self.limits), "home": str(self.home),
                    "given": str(self.given), "apart": self.apart})
        outputs = self._receive().get("outputs")
        if not (isinstance(outputs, list) and len(outputs) == len(notebook["cells"])):
            self.ended = self.ended or "there was no result"
            return None
        return outputs

    def ask(self, code: str, /, **given: Any) -> Any:
        """As `grmu.course.asking.Ask`."""
        self._send({"code": code, "given": encode(given)})
        text = self._receive().get("answer")
        if not isinstance(text, str):
            raise Refused(self.ended or "there was no answer")
        try:
            return read(text)
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"the answer cannot be read: {type(error).__name__}") from error

    def _send(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # it has ended: the answer says so
            self._socket.settimeout(60)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            self._socket.settimeout(TICK)

    def _receive(self) -> dict[str, Any]:
        """The next message; empty if there will be none, and `ended` says why."""
        while not self.ended:
            end = self._buffer.find(b"\n", self._seen)
            if end >= 0:
                line, self._seen = bytes(self._buffer[:end]), 0
                del self._buffer[:end + 1]
                return self._read(line)
            self._seen = len(self._buffer)
            if self._seen > LARGEST + 10_000:
                self.ended = f"what came back was larger than {LARGEST / 2**20:g} MB"
            elif self._clock.seconds() > self.limits.seconds + self.limits.cell_seconds + 60:
                self.ended = (f"the notebook took longer than {self.limits.seconds:g} s and could not be "
                              "interrupted")
            else:
                with suppress(TimeoutError):
                    self._take()
        return {}

    def _take(self) -> None:
        piece = b""
        with suppress(ConnectionError):
            piece = self._socket.recv(2**20)
        self._buffer += piece
        if not piece:
            self.process.wait()
            lines = self._said.decode(errors="replace").strip().splitlines()
            why = lines[-1][:300] if lines else f"exit code {self.process.returncode}"
            self.ended = f"grading ended without a result: {why}"

    def _listen(self) -> None:
        """Keep the last that the processes say, so that none waits for a reader."""
        with self.process.stderr as stream:  # type: ignore[union-attr]
            for piece in iter(lambda: os.read(stream.fileno(), 65536), b""):
                self._said = (self._said + piece)[-2000:]

    def _read(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
            self.notes = [str(note)[:300] for note in message.get("notes", self.notes)][:30]
            self.ended = str(message.get("ended", ""))[:300]
        except (ValueError, AttributeError, TypeError, RecursionError):
            self.ended = "what came back cannot be read"
            return {}
        return message
