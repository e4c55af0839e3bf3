"""Make slides from the saved lessons.

    python docs/build_slides.py [build/slides]

Each section of a lesson becomes a slide with its heading and first paragraph. Each guess, table, figure and
diagram becomes one more slide. A key press reveals the answer to a guess. The speaker's notes (key S) contain
the complete text.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from grmu.data.files import write_whole

REPOSITORY = Path(__file__).parents[1]
PACKAGES = REPOSITORY / "build" / "npm"  # downloaded once; npm checks them against the lock file's SHA-512
LESSONS = sorted(REPOSITORY.glob("notebooks/[01]*.ipynb"))
ASSETS = ("reveal.js/dist/reveal.css", "reveal.js/dist/reveal.js", "reveal.js/plugin/notes/notes.js",
          "mathjax/es5/tex-svg.js")
FOLDED = re.compile(r"(?s)<details>.*?</details>\n*|^\*\*Exercise .*", re.MULTILINE)
DIAGRAM = re.compile(r"!\[[^]]+\]\((diagrams/[^)]+)\)")
LINK = re.compile(r"\[([^]]+)\]\((?!https?:)[^)]*\)")  # a link to a file of the checkout


def marked(kind: str, part: str | NotebookNode) -> NotebookNode:
    """Return a cell with a slide type, from Markdown or from an output."""
    cell = new_markdown_cell(part) if isinstance(part, str) else new_code_cell(outputs=[part])
    cell.metadata = nbformat.from_dict({"slideshow": {"slide_type": kind}})
    return cell


def visuals(cell: NotebookNode) -> list[NotebookNode]:
    """Return a cell's tables and figures, without collapsed tables."""
    found = []
    for output in cell.outputs:
        data = output.get("data", {})
        table = data.get("text/html", "")
        if "image/png" in data or ("<table" in table and not table.startswith("<details")):
            found.append(output)
    return found


def questions(cell: NotebookNode) -> list[str]:
    """Return a cell's guesses and quizzes."""
    shown = [output.get("data", {}).get("text/markdown", "") for output in cell.outputs]
    return [text for text in shown if "Your guess: " in text or "<summary>Answer</summary>" in text]


def answers(nb: NotebookNode) -> Iterator[str]:
    """Yield the collapsed answers to the lesson's guesses, in order."""
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            html = output.get("data", {}).get("text/html", "")
            yield from re.findall(r"<summary>The answer [^<]*</summary>(.*?)</details>", html)


def question_slide(text: str, answered: Iterator[str]) -> Iterator[NotebookNode]:
    """Yield the cells of a guess or a quiz: the question, a note, and the answer, which appears later."""
    question, _, folded = text.partition("<details><summary>Answer</summary>")
    answer = folded.removesuffix("</details>") or next(answered, "")
    yield marked("slide", re.sub(r"\n\nYour guess: _*", "", question))
    yield marked("notes", "Let everybody commit to an answer first.")
    yield marked("fragment", answer)


def deck(nb: NotebookNode) -> NotebookNode:
    """Return a lesson as a notebook with a slide type on each cell."""
    cells, heading, answered = [], "", answers(nb)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            text = LINK.sub(r"\1", DIAGRAM.sub("", FOLDED.sub("", cell.source))).strip()
            first, _, rest = text.partition("\n\n")
            if first.startswith("#"):
                heading, paragraph = first.lstrip("# "), rest.partition("\n\n")[0]
                cells += [marked("slide", f"## {heading}"), marked("-", paragraph)]
            if text and cells:
                cells.append(marked("notes", text))
            for name in DIAGRAM.findall(cell.source):
                svg = (REPOSITORY / "notebooks" / name).read_text(encoding="utf-8")
                cells.append(marked("slide", new_output("display_data", {"image/svg+xml": svg})))
            continue
        for question in questions(cell):
            cells += question_slide(question, answered)
        for output in visuals(cell):
            cells += [marked("slide", f"## {heading}"), marked("-", output)]
    return new_notebook(cells=cells, metadata={"title": nb.cells[0].source.splitlines()[0].lstrip("# ")})


def modules() -> Path:
    """Return the folder with MathJax and reveal.js, after npm has installed what the lock file lists.

    Raises:
        FileNotFoundError: npm is not installed.
        CalledProcessError: npm failed and printed why.
    """
    lock, fetched = REPOSITORY / "docs" / "site" / "package-lock.json", PACKAGES / "package-lock.json"
    if not (fetched.exists() and fetched.read_bytes() == lock.read_bytes()):
        if (npm := shutil.which("npm")) is None:
            raise FileNotFoundError("npm is missing, which installs MathJax: install Node.js 20 or newer.")
        PACKAGES.mkdir(parents=True, exist_ok=True)
        shutil.copy(lock.with_name("package.json"), PACKAGES)
        shutil.copy(lock, PACKAGES)
        try:
            subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                           cwd=PACKAGES, check=True)
        except BaseException:
            fetched.unlink()
            raise
    return PACKAGES / "node_modules"


def page(slides: NotebookNode) -> str:
    """Return slides as a page, which needs ASSETS and slides.css in the same folder."""
    exporter = SlidesExporter(template_name="slides", extra_template_basedirs=[str(REPOSITORY / "docs")],
                              exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
                              exclude_anchor_links=True)
    return exporter.from_notebook_node(slides)[0]


def main(to: Path) -> None:
    """Write the slides of all lessons, and the files that they load, into one folder."""
    to.mkdir(parents=True, exist_ok=True)
    for path in (*(modules() / name for name in ASSETS), REPOSITORY / "docs" / "slides" / "slides.css"):
        shutil.copy2(path, to)
    for path in LESSONS:
        slides = deck(nbformat.read(path, as_version=4))
        write_whole(to / path.name, nbformat.writes(slides) + "\n")
        write_whole(to / f"{path.stem}.html", page(slides))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "build" / "slides"))
