"""Fork kernels from a process that has already imported PyTorch, which saves each notebook six seconds.

Each kernel still imports the project itself. `serve` starts the process and makes "python3" mean such a
kernel, for this process and its children. Jupyter then starts `python kernels.py`, which requests a kernel
and lives as long as that kernel.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

HEAVY = ("torch._dynamo", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection",
         "fairlearn.metrics", "statsmodels.stats.power", "statsmodels.stats.weightstats", "seaborn",
         "anywidget", "ipywidgets", "ipykernel.kernelapp", "ipykernel.zmqshell")
INLINE = "module://matplotlib_inline.backend_inline"  # what matplotlib finds if a kernel imports it


def serve(folder: Path) -> subprocess.Popen:
    """Start the process to fork from, which ends with its standard input and keeps its files in a folder."""
    from ipykernel.kernelspec import get_kernel_dict

    spec, address = folder / "kernels" / "python3" / "kernel.json", str(folder / "s")
    spec.parent.mkdir(parents=True)
    ask = [sys.executable, "-IS", __file__, address, "-f", "{connection_file}"]
    spec.write_text(json.dumps(get_kernel_dict() | {"argv": ask}))
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))
    return subprocess.Popen([sys.executable, __file__, address], stdin=subprocess.PIPE,
                            env={**os.environ, "MPLBACKEND": INLINE})


def fork_when_asked(address: str) -> None:
    """Fork one kernel per connection."""
    from importlib import import_module

    del sys.path[0]  # this file's folder
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()  # who comes before all is imported waits
        for name in HEAVY:
            import_module(name)
        import_module("pandas").set_option("display.max_columns", 20)  # its default in a kernel
        gc.freeze()  # no kernel need go through all of this
        while 0 not in select.select([0, listening], [], [])[0]:
            connection = listening.accept()[0]
            if os.fork() == 0:
                listening.close()
                become(connection)
            connection.close()


def become(connection: socket.socket) -> None:
    """Turn this process into the requested kernel, which ends with the process that requested it."""
    import numpy as np

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, *_ = socket.recv_fds(connection, 1 << 20, 3)
    asked = json.loads(message)
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[:0] = filter(None, asked["env"].get("PYTHONPATH", "").split(os.pathsep))
    np.random.seed()
    threading.Thread(target=lambda: (connection.recv(1), os._exit(0)), daemon=True).start()
    connection.send(b"%d" % os.getpid())
    # a kernel looks for its parent, which is another here: 1 is none
    sys.argv = ["ipykernel_launcher", *asked["argv"], "--IPKernelApp.parent_handle=1"]
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
    atexit._run_exitfuncs()
    os._exit(0)  # Python would take apart all that was imported first: a second and a half


def ask(address: str, argv: list[str]) -> None:
    """Act as the process that Jupyter started, until the kernel or the parent process ends."""
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        asked = {"argv": argv, "env": {**os.environ}, "cwd": os.getcwd()}
        socket.send_fds(connection, [json.dumps(asked).encode()], [0, 1, 2])
        kernel = int(connection.recv(20))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(kernel, number))
        connection.settimeout(1)
        while os.getppid() == parent:
            try:
                connection.recv(1)
                break
            except TimeoutError:
                pass


if __name__ == "__main__":
    if sys.argv[2:]:
        ask(sys.argv[1], sys.argv[2:])
    else:
        fork_when_asked(sys.argv[1])
