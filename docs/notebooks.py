"""Execute lessons and save them in a normal form.

    python docs/notebooks.py [--check] [LESSON ...]

In this form, two executions differ only where results differ.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image
from tqdm import tqdm

from grmu.data.files import PACKAGE, write_whole
from grmu.plots import small_png

NOTEBOOKS = PACKAGE.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
PAPER = ("text/markdown", "image/png", "text/html")  # the static formats that a widget is saved in
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}
VOLATILE = ("ExecuteTime", "collapsed", "execution", "papermill", "scrolled")
MACHINE_PATH = re.compile(r"(?<![\w.~<}])/(?:home|root|tmp|work|Users|var/folders)/[\w.-]*")


def lessons() -> list[Path]:
    """Return the paths of notebooks/NN_*.ipynb in order; none outside a checkout."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def kernel_environment() -> dict[str, str]:
    """Return the environment for a kernel, without MPLBACKEND, which would prevent inline figures."""
    return {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}


def execute(path: Path) -> None:
    """Execute a lesson in its own folder, and save it in normal form. A lesson that fails is not saved.

    Raises:
        CellExecutionError: A cell fails.
        ValueError: A cell shows a path of this machine.
    """
    nb = nbformat.read(path, as_version=4)
    client = NotebookClient(nb, timeout=1800, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(path.parent)}})
    client.execute(env=kernel_environment())
    write_whole(path, nbformat.writes(normalise(nb)) + "\n")


def normalise(nb: NotebookNode) -> NotebookNode:
    """Return a copy without widgets, standard error, timings and editor state.

    Normalising twice has the same result as normalising once.

    Raises:
        ValueError: A source or an output contains an absolute path in a home or temporary folder.
    """
    nb = nbformat.from_dict(nb)
    nb.metadata, count = nbformat.from_dict(METADATA), 0
    for index, cell in enumerate(nb.cells):
        cell.setdefault("id", f"cell-{index:02d}")
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = list(_merged(paper for output in cell.outputs for paper in _on_paper(output)))
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
        if path := MACHINE_PATH.search(_texts(cell)):
            raise ValueError(f"cell {index} has a path of this machine, {path[0]}: use relative paths.")
    nb.nbformat, nb.nbformat_minor = 4, max(5, nb.nbformat_minor)
    return nb


def _on_paper(output: NotebookNode) -> Iterator[NotebookNode]:
    """Yield the static version of an output, which for a widget is its text and picture."""
    data = output.get("data", {})
    if output.get("name") == "stderr":
        return
    if data.get("image/png", "").startswith("iVBORw0KGgo"):
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
        if picture.mode != "P":
            data["image/png"] = base64.b64encode(small_png(picture)).decode() + "\n"
    if WIDGET not in data:
        yield output
        return
    for kind in PAPER:
        if kind in data:
            plain = {} if kind == "text/markdown" else {"text/plain": data.get("text/plain", "")}
            described = {name: text for name, text in output.metadata.items() if name == kind}
            yield nbformat.v4.new_output("display_data", {kind: data[kind]} | plain, metadata=described)


def _merged(outputs: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """Join adjacent pieces of standard output, because where they are split depends on timing."""
    last = None
    for output in outputs:
        if last is not None and output.output_type == last.output_type == "stream":
            last.text += output.text
        else:
            last = output
            yield output


def _texts(cell: NotebookNode) -> str:
    """Return all text that a cell shows."""
    texts = [cell.source]
    for output in cell.get("outputs", ()):
        texts += [output.get("text", ""), *output.get("traceback", ())]
        data = output.get("data", {})
        texts += [str(value) for kind, value in data.items() if not kind.startswith("image/")]
    return "\n".join(texts)


def problems(path: Path) -> Iterator[str]:
    """Yield the reasons why a lesson should not be committed."""
    text = path.read_text(encoding="utf-8")
    nb = nbformat.reads(text, as_version=4)
    outputs = [output for cell in nb.cells for output in cell.get("outputs", ())]
    if nbformat.writes(normalise(nb)) + "\n" != text:
        yield f"{path.name} is not normalised: run `make notebooks`."
    if not outputs or any(output.output_type == "error" for output in outputs):
        yield f"{path.name} has no outputs or has an error: run `make notebooks`."


def main() -> int:
    """Execute lessons, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", type=Path, help="paths of notebooks (default: all lessons)")
    parser.add_argument("--check", action="store_true", help="only check the saved lessons")
    options = parser.parse_args()
    paths = options.lessons or lessons()
    if not options.check:
        for path in tqdm(paths, unit="lesson"):
            execute(path)
        return 0
    found = [problem for path in paths for problem in problems(path)]
    print("\n".join(found) or f"All {len(paths)} lessons are up to date.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
