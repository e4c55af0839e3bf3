"""Kernels that are forked from a process which has imported PyTorch and its like: to import these anew takes
every lesson and every notebook six seconds.

`python kernels.py` is that process: it reads a line of JSON for each kernel and answers with its number. The
project itself is imported by each kernel, as ever.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from functools import cache
from importlib import import_module
from typing import Any

import psutil

HEAVY = ("torch._dynamo", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection",
         "fairlearn.metrics", "statsmodels.stats.power", "statsmodels.stats.weightstats",
         "matplotlib.pyplot", "anywidget", "ipywidgets", "ipykernel.kernelapp", "ipykernel.zmqshell")
INLINE = "module://matplotlib_inline.backend_inline"  # what a kernel lets matplotlib find when it is imported


class Kernel(psutil.Process):
    """What `subprocess.Popen` is to jupyter_client."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """None while it runs."""
        return None if self.is_running() else 0


@cache
def server() -> subprocess.Popen:
    """The process to fork from, one for each that asks; it ends when that does."""
    return subprocess.Popen([sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, env={**os.environ, "MPLBACKEND": INLINE})


def launch(command: list[str], env: dict[str, str] | None = None, cwd: str | None = None, **_: Any) -> Kernel:
    """In place of jupyter_client's `launch_kernel`."""
    asked = {"argv": command[2:], "env": {**(env or os.environ)}, "cwd": cwd or os.getcwd()}
    process = server()
    print(json.dumps(asked), file=process.stdin, flush=True)
    return Kernel(int(process.stdout.readline()))


def serve() -> None:
    """Fork a kernel for every line."""
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone
    for name in HEAVY:
        import_module(name)
    import_module("pandas").set_option("display.max_columns", 20)  # what it is if imported in a kernel
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become(**json.loads(line))
            break


def become(argv: list[str], env: dict[str, str], cwd: str) -> None:
    """This process goes on as the kernel: `python -m argv...` in that folder and environment."""
    import numpy as np

    os.setsid()
    print(os.getpid(), flush=True)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    np.random.seed()
    sys.argv = [*argv, f"--IPKernelApp.parent_handle={os.getppid()}"]  # without which it does not go on
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
