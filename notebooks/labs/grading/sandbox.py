"""Execute a submission in a sandbox (bubblewrap), and ask it questions from outside.

The sandbox has no network and no access to other processes. Its file system contains only Python, the package, its
data, and a temporary folder in memory. `inside.py` runs in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib

import grmu
from grading.asking import LARGEST, Refused, encode, read

GRADING, PACKAGE = Path(__file__).parent, Path(grmu.__file__).parent
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
PASSED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")
MISSING = """bubblewrap {why}, but submissions need its sandbox. Either
  install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap), or
  grade in the container that notebooks/labs/Containerfile describes.
UNSAFE=1 grades without a sandbox, so submissions can read and change your files."""
# The kernel runs this code before the first question, so that these functions raise an error.
FORBID = """
import inspect as _inspect, pkgutil as _pkgutil
for _name in {names!r}:
    _space = {{}}
    exec(f"def stub(*_, **__): raise AssertionError('your answer calls {{_name}}: write it yourself')", _space)
    _found = _inspect.unwrap(_pkgutil.resolve_name(_name))
    _found.__code__ = _space["stub"].__code__.replace(co_freevars=_found.__code__.co_freevars)
None
"""


class Unsafe(RuntimeError):
    """No sandbox is available."""


@dataclass(frozen=True)
class Limits:
    """The resources of a submission.

    Args:
        seconds: Total time.
        cell_seconds: Time for one cell.
        ask_seconds: Time for one answer.
        gigabytes: Memory of each process.
    """

    seconds: int = 1800
    cell_seconds: int = 300
    ask_seconds: int = 60
    gigabytes: float = 4


def check_bubblewrap() -> None:
    """Check that a sandbox can be created.

    Raises:
        Unsafe: bubblewrap is not installed, or may not create namespaces here.
    """
    if shutil.which("bwrap") is None:
        raise Unsafe(MISSING.format(why="is not installed"))
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    tried = subprocess.run(command, capture_output=True, text=True)
    if tried.returncode:
        raise Unsafe(MISSING.format(why=f"cannot make a sandbox here ({tried.stderr.strip()})"))


def bubblewrap(given: Path, trusted: bool) -> list[str]:
    """Return the command line of bubblewrap, which defines the files that the sandbox contains."""
    shown = [*SYSTEM, sys.base_prefix, sys.prefix, str(PACKAGE), str(PACKAGE.parent / "data")]
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
               "--size", str(2**31), "--tmpfs", "/tmp"]
    for path in dict.fromkeys(shown):
        command += ["--ro-bind-try", path, path]
    for name in ("inside.py", "asking.py"):
        command += ["--ro-bind", str(GRADING / name), f"/grading/{name}"]
    return [*command, "--bind" if trusted else "--ro-bind", str(given), "/given", "--proc", "/proc", "--dev", "/dev",
            "--remount-ro", "/", "--chdir", "/tmp"]


class Sandbox:
    """The processes of one submission, which end with the `with` block.

    Args:
        given: A folder with runs/ (finished runs) and matplotlib/ (font caches), which is copied for the submission.
        limits: The resources of the submission.
        unsafe: Run without bubblewrap.
        trusted: Save finished runs in `given`, so that submissions can use them.
    """

    def __init__(self, given: Path, limits: Limits, unsafe: bool = False, trusted: bool = False) -> None:
        self.given, self.limits, self.unsafe, self.trusted = given, limits, unsafe, trusted
        self.notes, self.ended = list[str](), ""

    def __enter__(self) -> Sandbox:
        self._home = tempfile.TemporaryDirectory(prefix="grmu-lab-", ignore_cleanup_errors=True)
        self._errors = tempfile.TemporaryFile()
        home, given, code = ((self._home.name, self.given, GRADING) if self.unsafe else ("/tmp", "/given", "/grading"))
        variables = {name: os.environ[name] for name in PASSED if name in os.environ} | {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(PACKAGE.parent), "HOME": home,
            "OMP_NUM_THREADS": "1", "TMPDIR": home, "GRMU_STORE": f"{given if self.trusted else home}/runs",
            "MPLCONFIGDIR": f"{home}/matplotlib", "PYTHONDONTWRITEBYTECODE": "1"}
        settings = [part for pair in variables.items() for part in ("--setenv", *pair)]
        before = [] if self.unsafe else [*bubblewrap(self.given, self.trusted), *settings]
        start = (f"import runpy, shutil; shutil.copytree('{given}', '{home}', dirs_exist_ok=True); "
                 f"runpy.run_path('{code}/inside.py', run_name='__main__')")
        self._process = subprocess.Popen(
            [*before, sys.executable, "-c", start], cwd=self._home.name, env=variables, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True)
        self._watch = threading.Thread(target=self._end_in_time, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._watch.join()
        self._errors.close()
        self._home.cleanup()

    def _end_in_time(self) -> None:
        try:
            self._process.wait(self.limits.seconds)
        except subprocess.TimeoutExpired:
            self.ended = f"the notebook took longer than {self.limits.seconds} s"
            self._process.kill()

    def execute(self, notebook: dict[str, Any], not_allowed: Sequence[str] = ()) -> list[Any] | None:
        """Execute a notebook, and return each cell's outputs.

        The result is None if the submission ended before it returned outputs; `ended` then has the reason.
        """
        task = {"notebook": notebook, "limits": asdict(self.limits), "alone": not self.unsafe,
                "not_allowed": FORBID.format(names=list(not_allowed))}
        outputs = self._exchange(task).get("outputs")
        if isinstance(outputs, list) and len(outputs) == len(notebook["cells"]):
            return outputs
        self.ended = self.ended or "the notebook gave no result"
        return None

    def ask(self, code: str, /, **given: Any) -> Any:
        """Ask a question, as in `grading.asking.Ask`."""
        text = self._exchange({"code": code, "given": encode(given)}).get("answer")
        if not isinstance(text, str):
            raise Refused(self.ended or "The submission gave no answer.")
        return read(text)

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and return the reply; empty if there is none, and `ended` then has the reason."""
        line, stdin, stdout = b"", self._process.stdin, self._process.stdout
        with suppress(OSError):
            stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            stdin.flush()  # type: ignore[union-attr]
            line = stdout.readline(LARGEST + 100_000)  # type: ignore[union-attr]
        try:
            reply = json.loads(line)
            self.notes = [str(note)[:300] for note in reply["notes"]][:30]
        except Exception:  # ended, cut off, or forged
            self._process.kill()
            self._watch.join()
            self._errors.seek(0)
            lines = self._errors.read()[-2000:].decode(errors="replace").splitlines()
            why = [line for line in lines if line.startswith("bwrap")] or ["it gave no reason"]
            self.ended = self.ended or f"the submission ended without an answer ({why[-1]})"
            return {}
        return reply


def prepare(folder: Path) -> None:
    """Create the folder that submissions are given."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    known = shutil.ignore_patterns("tex*")
    shutil.copytree(matplotlib.get_cachedir(), folder / "matplotlib", dirs_exist_ok=True, ignore=known)
