"""Lessons as they are committed: executed, and normalised so that executions differ only where results do."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from PIL import Image
from tqdm import tqdm

from grmu.data.arguments import Parser
from grmu.data.files import naming, write_whole
from grmu.show.kernels import NOTEBOOKS, kernel_environment, lessons
from grmu.show.plots import small_png

CELL_SECONDS, PNG_BYTES = 1800, 100_000
PNG_START = "iVBORw0KGgo"
WIDGET, IMAGES = "application/vnd.jupyter.widget-view+json", ("image/png", "image/jpeg")
PAPER = ("text/markdown", "image/png", "text/html")
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}
VOLATILE = ("ExecuteTime", "collapsed", "execution", "papermill", "scrolled")
MACHINE_PATH = re.compile(r"(?<![\w.~<}])/(?:home|root|tmp|work|Users|var/folders)/[\w.-]*")


def execute(path: Path, parameters: Mapping[str, Any] | None = None) -> NotebookNode:
    """Execute a lesson in place, in its own folder; save it normalised, or not at all if it fails.

    `parameters` are set after the cell tagged "parameters", as papermill does it. ValueError if a cell fails
    (with its traceback) or shows a path of this machine.
    """
    nb = load_notebook_node(str(path))
    if parameters:
        nb = parameterize_notebook(nb, dict(parameters))
    client = NotebookClient(nb, timeout=CELL_SECONDS, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel(env=kernel_environment()):
        for index, cell in enumerate(tqdm(nb.cells, desc=path.stem, unit="cell")):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                raise ValueError(f"{path.name}, cell {index} failed.\n{error}") from error
            if any(map(_live, cell.get("outputs", ()))) and "nbval-ignore-output" not in cell.metadata.tags:
                warnings.warn(f"{path.name}, cell {index} shows widgets or writes to stderr, "
                              "which are not saved: give it the tag nbval-ignore-output.", stacklevel=2)
    nb = normalise(nb)
    with naming(path):
        write_whole(path, nbformat.writes(nb) + "\n")
    return nb


def normalise(nb: NotebookNode) -> NotebookNode:
    """A copy without what is live, timed or of one machine: widgets, stderr, timings, editor state.

    Idempotent. ValueError if a source or an output holds an absolute path under a home or temporary folder.
    """
    nb = nbformat.from_dict(nb)
    nb.metadata = nbformat.from_dict(METADATA)
    count = 0
    for index, cell in enumerate(nb.cells):
        cell.setdefault("id", f"cell-{index:02d}")
        empty = [key for key in ("jupyter", "tags") if not cell.metadata.get(key)]
        for key in (*VOLATILE, *empty):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            on_paper = (paper for output in cell.outputs for paper in _on_paper(output))
            cell.outputs = _merged(output for output in on_paper if not _live(output))
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
                if output.get("data", {}).get("image/png", "").startswith(PNG_START):
                    output.data["image/png"] = _small(output.data["image/png"])
        _check_texts(index, cell)
    nb.nbformat, nb.nbformat_minor = 4, max(5, nb.nbformat_minor)
    return nb


def check(paths: Iterable[Path]) -> list[str]:
    """What keeps these notebooks from being committed, a sentence each; labs have no outputs."""
    checked = [path for path in map(Path, paths) if path.parent.name != "labs"]
    return [f"{path.name}: {problem}" for path in checked for problem in _problems(path)]


def _problems(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
        nb = nbformat.reads(text, as_version=4)
    except ValueError as error:
        yield f"no notebook ({str(error).splitlines()[0][:80]}); restore it with `git checkout`."
        return
    try:
        if nbformat.writes(normalise(nb)) + "\n" != text:
            yield "not normalised; `make notebooks` executes and normalises the lessons."
    except ValueError as error:
        yield str(error)
    outputs = [(index, output) for index, cell in enumerate(nb.cells) for output in cell.get("outputs", ())]
    if not outputs:
        yield "holds no outputs; `make notebooks` executes the lessons."
    yield from (f"cell {i} ended in {output.ename}."
                for i, output in outputs if output.output_type == "error")


def _live(output: NotebookNode) -> bool:
    """Widgets and stderr (progress bars, warnings): never the same twice, and dead on a page."""
    return WIDGET in output.get("data", {}) or output.get("name") == "stderr"


def _on_paper(output: NotebookNode) -> Iterator[NotebookNode]:
    """A widget that says what stands there without it is kept as that: Markdown (a guess), or a picture and
    then its words (the explorer)."""
    kinds = [kind for kind in PAPER if kind in output.get("data", {})]
    if WIDGET not in output.get("data", {}) or not kinds:
        yield output
    for kind in kinds if WIDGET in output.get("data", {}) else ():
        described = {name: text for name, text in output.metadata.items() if name == kind}
        plain = {} if kind == "text/markdown" else {"text/plain": output.data.get("text/plain", "")}
        yield nbformat.v4.new_output("display_data", {kind: output.data[kind]} | plain, metadata=described)


def _merged(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Neighbouring pieces of stdout as one: how they were cut depends on timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        if merged and output.output_type == merged[-1].output_type == "stream":
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _small(png: str) -> str:
    """A PNG (base64) in 256 colours, a third of the size; one that has a palette stays as it is."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":
        return png
    return base64.b64encode(small_png(picture)).decode() + "\n"


def _check_texts(index: int, cell: NotebookNode) -> None:
    texts = [cell.source]
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        texts += [output.get("text", ""), *output.get("traceback", ())]
        texts += [str(value) for kind, value in data.items() if kind not in IMAGES]
        if (size := 3 * len(data.get("image/png", "")) // 4) > PNG_BYTES:
            warnings.warn(f"cell {index} shows a picture of {size // 1000} kB: draw it smaller.",
                          stacklevel=3)
    if path := MACHINE_PATH.search("\n".join(texts)):
        raise ValueError(f"cell {index} holds a path of this machine, {path[0]}: "
                         "show names or relative paths.")


def main(argv: list[str]) -> int:
    """`python -m grmu notebooks [--check] [LESSON ...]`."""
    parser = Parser(prog="python -m grmu notebooks", description=__doc__)
    parser.add_argument("lessons", nargs="*", type=Path,
                        help="paths of notebooks; all lessons if none is given")
    parser.add_argument("--check", action="store_true", help="only say what is wrong with what is there")
    options = parser.parse_args(argv)
    for path in options.lessons:
        if not path.is_file() or path.suffix != ".ipynb":
            raise FileNotFoundError(f"{path} is no notebook: name files that end in .ipynb, or none for all.")
    paths = options.lessons or lessons()
    if not paths:
        raise FileNotFoundError(f"there are no lessons in {NOTEBOOKS}: "
                                "run this in a checkout of the repository.")
    if options.check:
        problems = check(paths)
        print("\n".join(problems) or f"{len(paths)} lessons are as they should be.")
        return int(bool(problems))
    for path in paths:
        execute(path)
    return 0
