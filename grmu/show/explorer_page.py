"""The explorer without a kernel: one page that works from a file, without a network.

    python -m grmu explorer [--to build/explorer.html]    # the page, from the committed module
    python -m grmu explorer --build                       # first the module anew, by npm (make explorer)
"""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template

from grmu.data.arguments import Parser
from grmu.data.files import write_whole
from grmu.show import explorer, explorer_data

SOURCES, MODULE = Path(__file__).parent / "js", Path(__file__).parent / "explorer.js"
TO = Path("build") / "explorer.html"
TOO_OLD = ("This browser is too old for the explorer, which needs Chrome or Edge 111, Firefox 113, "
           "Safari 16.4, or a newer one.")


def build(folder: Path, data: str, offline: bool = False) -> str:
    """The module, made in a folder of its own from the sources, packed data and npm's lock file.

    Raises:
        FileNotFoundError: npm is not there.  RuntimeError: npm failed, with what it said.
    """
    if (npm := shutil.which("npm")) is None:
        raise FileNotFoundError("npm is not there: install Node.js 20 or newer, or use explorer.js as it is.")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    (folder / "src" / "shipped.txt").write_text(data)
    for command in (["ci", "--no-audit", "--no-fund", *(["--offline"] if offline else [])], ["run", "build"]):
        done = subprocess.run([npm, *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm {command[0]} failed:\n{done.stdout}{done.stderr}")
    return (folder / "explorer.js").read_text()


def page(module: str) -> str:
    """explorer.html with the module inside; without scripts, what it begins with, as a figure and a table."""
    if "</script" in module.lower():
        raise ValueError("explorer.js holds </script, which would end it inside the page: write it otherwise")
    shown = explorer.printed(explorer.Choice("retrain", reweight=False))  # as the module begins
    png, words = shown.picture()
    return Template((SOURCES / "page.html").read_text()).substitute(
        module=module, too_old=TOO_OLD, sentence=f"{escape(shown.sentence)}, means of five seeds.",
        picture=b64encode(png).decode(), words=escape(words), table=shown.table())


def main(argv: list[str]) -> int:
    """Write the page, and the module if asked."""
    parser = Parser(prog="python -m grmu explorer", description=__doc__)
    parser.add_argument("--to", type=Path, default=TO, help="where the page goes")
    parser.add_argument("--build", action="store_true", help="make explorer.js anew, with npm")
    options = parser.parse_args(argv)
    if options.build:
        data = explorer_data.packed(explorer_data.contents())
        write_whole(MODULE, build(TO.parent / "explorer", data))
    write_whole(options.to, page(MODULE.read_text()))
    print(f"{options.to}: {options.to.stat().st_size / 1000:.0f} kB, opens in a browser without a network")
    return 0
