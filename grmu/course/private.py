"""An instructor's folder: the secret from which checks draw, and what they draw, to be read beforehand.

`make labs-private DIR=folder` makes it, `make grade SUBMISSIONS=... PRIVATE=folder` grades with it. It is a
git repository of its own and never part of this one.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import torch

from grmu.course.asking import Ask, in_process
from grmu.course.marking import LabChecks, generator, verdict
from grmu.course.own import EVERYONE, own
from grmu.data.files import PACKAGE, write_whole

REPOSITORY = PACKAGE.parent
DEFAULT = REPOSITORY / "build" / "labs-private"  # git ignores build/
SECRET = "secret"
SHOWN = 8  # values of a tensor in a preview
README = """# What decides marks, of one course

Keep this folder to yourself, and back it up: whoever has `secret` can compute every input that the checks
draw, and without it the same submissions are asked other questions.

- `secret`: from it, the lab's name and the check's, each check draws its inputs. The same for the whole
  course, so grading again asks the same.
- `preview/LAB.md`: what each check of a lab will draw, and what the lab's own solution answers.

    make grade SUBMISSIONS=folder PRIVATE=this-folder

For the next course make another folder. Previews were written when this one was made; after a change of the
checks, what is drawn may be something else.
"""


class Recorded:
    """Asks, and remembers what was asked, with what, and what was answered."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.asked = ask, list[tuple[str, dict[str, Any], Any]]()

    def __call__(self, code: str, /, **given: Any) -> Any:
        """As `ask`."""
        self.asked.append((code, given, None))
        answer = self.ask(code, **given)
        self.asked[-1] = (code, given, answer)
        return answer


def secret(folder: Path) -> str:
    """The secret in an instructor's folder.

    Raises:
        FileNotFoundError: it holds none.  ValueError: it is too short to be one.
    """
    path = folder / SECRET
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no secret: make it with make labs-private DIR={folder}.")
    text = path.read_text(encoding="utf-8").strip()
    if len(text) < 32:
        raise ValueError(f"{path} is too short to be kept from guessing: 32 characters at least.")
    return text


def secret_or_made(folder: Path | None) -> tuple[str, str]:
    """The secret of `folder`, or this checkout's own, made the first time; and a line that says which."""
    if folder is not None:
        return secret(folder), f"Checks draw from the secret in {folder}."
    if not (DEFAULT / SECRET).is_file():
        _write_secret(DEFAULT)
    where = DEFAULT.relative_to(REPOSITORY) / SECRET
    return secret(DEFAULT), (f"No PRIVATE=folder: checks draw from {where}, made "
                             "for this checkout alone. Keep it, or grading again asks other questions.")


def make(folder: Path, labs: Mapping[str, LabChecks], solved: Callable[[str], Ask]) -> list[str]:
    """Make an instructor's folder; returns sentences that say what was done.

    Args:
        labs: the checks of each lab.  solved: how to ask a lab's own solution.

    Raises:
        ValueError: the folder is in use, or git would take it into this repository.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty: nothing was written. Name a new folder.")
    if folder.resolve().is_relative_to(REPOSITORY) and not _ignored(folder):
        raise ValueError(f"{folder} lies in this repository, and git would take it in: name one outside.")
    _write_secret(folder)
    drawn_from = secret(folder)
    write_whole(folder / "README.md", README)
    for lab, checks in labs.items():
        write_whole(folder / "preview" / f"{lab}.md", preview(checks, solved(lab), drawn_from))
    return [f"{folder}: a secret, a README, previews of {', '.join(labs) or 'no lab'}.", _committed(folder)]


def preview(lab_checks: LabChecks, ask: Ask, drawn_from: str) -> str:
    """What the checks of a lab draw and what the solution answers, as Markdown. A check that the solution
    fails says so."""
    lines = [f"# {lab_checks.lab}: what its checks draw", ""]
    for name, check in lab_checks.checks.items():
        recorded = Recorded(ask)
        message = verdict(check, recorded, generator(drawn_from, lab_checks.lab, name),
                          own(EVERYONE, lab_checks.lab))
        lines += [f"## {name}", ""]
        lines += [f"**The solution fails it: {message}**", ""] if message else []
        for code, given, answer in recorded.asked:
            lines += ["```python", code.strip(), "```", ""]
            lines += [f"- `{key}` = {shown(value)}" for key, value in given.items()]
            lines += [f"- answered: {shown(answer)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def shown(value: Any) -> str:
    """Plain data in a line: the type and shape of arrays, and their first values."""
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim:
        tensor = torch.as_tensor(value)
        first = ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v)
                          for v in tensor.flatten()[:SHOWN].tolist())
        more = ", ..." if tensor.numel() > SHOWN else ""
        return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}: {first}{more}"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {shown(part)}" for key, part in value.items()) or "nothing"
    if isinstance(value, list | tuple) and any(isinstance(part, torch.Tensor | np.ndarray) for part in value):
        return "; ".join(map(shown, value))
    text = str(value).replace("\n", " ")
    return text if len(text) <= 200 else text[:200] + " ..."


def solution(source: Path, lab: str) -> Ask:
    """Ask a lab's own solution: its cells are run in this process, figures not shown.

    Raises:
        ValueError: a cell fails.
    """
    import matplotlib
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    matplotlib.use("Agg")
    nb = nbformat.read(source / lab / f"{lab}.ipynb", as_version=4)
    main = sys.modules["__main__"]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}), ipython_dir=folder)
        try:
            for number, cell in enumerate(nb.cells, 1):
                if cell.cell_type == "code" and not (done := shell.run_cell(cell.source)).success:
                    raise ValueError(f"{lab}: cell {number} of its own solution fails: {done.error_in_exec}")
        finally:
            sys.modules["__main__"] = main
    return in_process(shell.user_ns)


def _write_secret(folder: Path) -> None:
    write_whole(folder / SECRET, secrets.token_hex(32) + "\n")
    (folder / SECRET).chmod(0o600)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)


def _ignored(folder: Path) -> bool:
    """Whether this repository's git leaves the folder out; False without git."""
    return shutil.which("git") is not None and _git(REPOSITORY, "check-ignore", "-q",
                                                    str(folder.resolve() / SECRET)).returncode == 0


def _committed(folder: Path) -> str:
    """Make the folder a repository with one commit; a sentence that says how that went."""
    if shutil.which("git") is None:
        return "git is not here: the folder is no repository. Back it up by other means."
    who = [] if _git(folder, "config", "user.email").returncode == 0 else [
        "-c", "user.name=instructor", "-c", "user.email=instructor@localhost"]
    for arguments in (["init", "--quiet"], ["add", "--all"],
                      [*who, "-c", "commit.gpgsign=false", "commit", "--quiet", "-m", "What decides marks"]):
        done = _git(folder, *arguments)
        if done.returncode:
            return f"git failed ({done.stderr.strip()[:200]}): the folder is no repository yet."
    return "It is a git repository of its own, with one commit. Push it nowhere that students can read."
