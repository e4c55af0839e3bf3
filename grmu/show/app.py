"""The explorer as a page of its own, for a lecture hall. It asks no other machine for anything.

    python -m grmu app [--port 8866] [--ip 127.0.0.1] [--no-browser]

Everybody who opens the page gets a kernel of their own. On any other address than this machine's own, whoever
reaches it can start trainings on it, but run nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentTypeError
from ipaddress import ip_address

from grmu.data.arguments import Parser, between
from grmu.show.kernels import NOTEBOOKS, kernel_environment

STRANGERS = ["@jupyter/nbgrader",
             "@jupyter-notebook/lab-extension"]  # extensions of JupyterLab that fail on such a page
FOLDER = NOTEBOOKS / "app"


def command(port: int, ip: str = "127.0.0.1", open_browser: bool = True) -> list[str]:
    """The module and arguments that serve the page."""
    return ["voila", str(FOLDER / "explorer.ipynb"), "--template=offline", f"--port={port}",
            f"--Voila.ip={ip}",
            "--VoilaConfiguration.show_tracebacks=True",
            f"--VoilaConfiguration.extension_denylist={STRANGERS}",
            *([] if open_browser else ["--no-browser"])]


def environment() -> dict[str, str]:
    """Where Voila finds the template without style sheets from the network."""
    return {"JUPYTER_PATH": os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("JUPYTER_PATH", "")]))}


def address(written: str) -> str:
    """What may stand after --ip."""
    try:
        return written if written == "localhost" else str(ip_address(written))
    except ValueError:
        raise ArgumentTypeError("it must be localhost or an address such as 127.0.0.1 (this machine alone) "
                                f"or 0.0.0.0 (others, too), but is {written!r}.") from None


def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    parser = Parser(prog="python -m grmu app", description=__doc__)
    parser.add_argument("--port", type=between(1, 65535), default=8866)
    parser.add_argument("--ip", type=address, default="127.0.0.1",
                        help="address to listen on; 0.0.0.0 lets others in")
    parser.add_argument("--no-browser", action="store_true", help="only serve")
    options = parser.parse_args(argv)
    if not FOLDER.is_dir():
        raise FileNotFoundError(f"{FOLDER} is not there: run this in a checkout of the repository.")
    host = "127.0.0.1" if options.ip == "0.0.0.0" else options.ip
    print(f"The explorer: http://{host}:{options.port}/   (Ctrl-C ends it)", flush=True)
    serve = [sys.executable, "-m", *command(options.port, options.ip, not options.no_browser)]
    try:
        return subprocess.run(serve, env=kernel_environment() | environment()).returncode
    except KeyboardInterrupt:
        return 0
