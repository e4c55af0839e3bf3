"""Lessons as slides, made of what is committed: python docs/build_slides.py [build/slides]

One rule for all of them, so that notebooks need no marks. A lesson gives

- a slide with its title and its claim, and one with its first figure;
- in each section a slide for its first equation, and for every guess, table and figure. What answers a guess
  waits for a key, and so does what the text says first of a table or a figure. A section without any of these
  is a slide with its first words and what it printed;
- its verdict, a quiz, and its claim again.

All that the text says goes to the speaker's notes (key S). The marks in between are RISE's,
`slideshow.slide_type`; NAME.ipynb beside a lesson's slides has them.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from grmu.data.files import write_whole

REPOSITORY = Path(__file__).parents[1]
PACKAGES = REPOSITORY / "build" / "npm"  # fetched once; npm compares them with the lock file's SHA-512
LESSONS = sorted(REPOSITORY.glob("notebooks/[01]*.ipynb"))
ASSETS = ("reveal.js/dist/reveal.css", "reveal.js/dist/reveal.js", "reveal.js/plugin/notes/notes.js",
          "mathjax/es5/tex-svg.js")
WORDS, REMARK, LINES = 80, 45, 16  # of a section, of a remark on a figure; of what was printed
GUESS, QUIZ = ("text/markdown", "Your guess: "), ("text/markdown", "<details>")
EQUATION = r"(?:[^\n]+\n)*\n?^\$\$.*?\$\$[^\n]*"  # with the paragraph before it
AGAIN, LIMITS, PAUSE = "**The claim again.**", r"\*\*(Where|Who)", "Let everybody commit to an answer first."

Part = str | NotebookNode  # Markdown, or a cell of code or an output
Said = dict[str, list[Part]]  # by a guess's name, what answers it


@dataclass
class Slide:
    """What one slide holds: Markdown and outputs; what waits for a key; what only the speaker sees."""

    heading: str
    body: list[Part]
    fragments: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def cells(self) -> Iterator[NotebookNode]:
        """As cells with RISE's marks. Notes come first, or they would belong to a fragment."""
        yield from (marked("slide", f"## {self.heading}"), *(marked("-", part) for part in self.body))
        if self.notes:
            yield marked("notes", "\n\n".join(self.notes))
        yield from (marked("fragment", part) for part in self.fragments)


def marked(kind: str, part: Part) -> NotebookNode:
    """A cell of a slide type."""
    cell = new_markdown_cell(part) if isinstance(part, str) else new_code_cell(outputs=[part])
    cell.metadata = nbformat.from_dict({"slideshow": {"slide_type": kind}})
    return cell


def sections(nb: NotebookNode) -> Iterator[tuple[str, list[Part]]]:
    """Each heading with its texts and its cells of code, without exercises and links into the checkout."""
    heading, parts = "", []
    for cell in nb.cells:
        if cell.cell_type == "code":
            parts.append(cell)
            continue
        for text in re.split(r"^(?=##+ )", cell.source, flags=re.M):
            if re.match(r"##+ (Exercise|Try it yourself)", text):
                continue
            if text.startswith("##"):
                yield heading, parts
                heading, _, text = text.lstrip("# ").partition("\n")
                parts = []
            text = re.split(r"^\*\*Exercise ", text, flags=re.M)[0]
            text = re.sub(r"<details>.*?</details>\n*", "", text, flags=re.S)
            if text := re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", text).strip():
                parts.append(text)
    yield heading, parts


def outputs(cell: NotebookNode, mime: str, mark: str = "") -> list[NotebookNode]:
    """Outputs of a kind, with a mark in them."""
    return [output for output in cell.outputs if mark in output.get("data", {}).get(mime, ())]


def visuals(cell: NotebookNode) -> list[NotebookNode]:
    """Tables and figures, but for tables that are folded away below a figure."""
    tables = [output for output in outputs(cell, "text/html", "<table")
              if not output.data["text/html"].startswith("<details")]
    return tables + outputs(cell, "image/png")


def printed(cell: NotebookNode) -> str:
    """What a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream").strip("\n")


def few_lines(*texts: str) -> list[NotebookNode]:
    """As one output, those of the texts that there is room for; nothing if there is none."""
    taken = ""
    for text in filter(None, texts):
        if len((longer := f"{taken}\n\n{text}".strip("\n")).splitlines()) <= LINES:
            taken = longer
    return [new_output("stream", text=taken)] if taken else []


def first(words: int, pieces: list[str]) -> list[str]:
    """The first piece, and as many more as there are words for."""
    counts = accumulate(len(piece.split()) for piece in pieces)
    return pieces[:max(1, sum(count <= words for count in counts))]


def remark(text: str) -> list[Part]:
    """The first sentences of a text, if it begins with such that lead to nothing else."""
    sentences = re.split(r"(?<=[.!?:])\s+(?=[A-Z*`])", text.split("\n\n")[0])
    said = [] if re.match(r"[-|#$<]", text) else [one for one in sentences if not one.endswith(":")]
    return [" ".join(first(REMARK, said))] if said else []


def answers(nb: NotebookNode) -> Said:
    """What a lesson says to each of its guesses, and what it prints beside that."""
    found: Said = {}
    for cell in nb.cells:
        names = re.findall(r"(\w+)\.answer\(", cell.source) if cell.cell_type == "code" else []
        if names:
            said = re.findall(r"^It is: .*", printed(cell), re.M)
            beside = "" if visuals(cell) else re.sub(r"^It is: .*\n?", "", printed(cell), flags=re.M)
            found |= {name: [answer] for name, answer in zip(names, said, strict=False)}
            found[names[0]] += few_lines(beside)
    return found


def asked(cell: NotebookNode, heading: str, said: Said) -> Iterator[Slide]:
    """A slide for each guess of a cell, and for its first quiz; answers wait."""
    for name, output in zip(re.findall(r"(\w+) = guess\(", cell.source), outputs(cell, *GUESS), strict=True):
        question, choices, _ = output.data["text/markdown"].split("\n\n")
        choices = re.sub(r"(?:^| / )(?=.* / )| / ", "\n- ", choices)
        yield Slide(heading, [question, choices], said[name], [PAUSE])
    for output in outputs(cell, *QUIZ)[:1]:
        question, answer = output.data["text/markdown"].split("<details><summary>Answer</summary>")
        yield Slide(heading, [question], [answer.removesuffix("</details>")], [PAUSE])


def section(heading: str, parts: list[Part], said: Said) -> list[Slide]:
    """The slides of a section."""
    slides: list[Slide] = []
    words, lines, equation = [], [], None
    for part in parts:
        if isinstance(part, str) and part.startswith(AGAIN):
            claim, *rest = re.split(r"\n\n(?=\*\*)", part.removeprefix(AGAIN))
            slide = Slide("The claim again", [claim])
            for text in rest:
                (slide.fragments if re.match(LIMITS, text) else slide.notes).append(text)
            slides.append(slide)
        elif isinstance(part, str):
            if slides and not isinstance(slides[-1].body[0], str) and not slides[-1].notes:
                slides[-1].fragments = remark(part)
            if not equation and (equation := re.search(EQUATION, part, re.M | re.S)):
                slides.append(Slide(heading, [equation[0]]))
            (slides[-1].notes if slides else words).append(part)
        elif "verdict" in part.metadata.get("tags", ()):
            slides.append(Slide(heading, [re.sub(r"^(.*): True$", r"- \1", printed(part), flags=re.M)]))
        else:
            slides += [*asked(part, heading, said), *(Slide(heading, [output]) for output in visuals(part))]
            lines.append(printed(part))
    if not slides:
        paragraphs = "\n\n".join(words).split("\n\n")
        slides.append(Slide(heading, ["\n\n".join(first(WORDS, paragraphs)), *few_lines(*lines)]))
    slides[0].notes[:0] = words
    return slides


def deck(nb: NotebookNode) -> NotebookNode:
    """A lesson as a notebook with a slide type on every cell."""
    (_, opening), *rest = sections(nb)
    title, claim, *more = opening[0].split("\n\n")
    title = title.removeprefix("# ")
    hero = next(output for cell in opening if not isinstance(cell, str) for output in visuals(cell))
    text = [part for part in opening[1:] if isinstance(part, str)]
    slides = [Slide(title, [claim], notes=more), Slide("In one picture", [hero], notes=text)]
    said = answers(nb)
    slides += [slide for heading, parts in rest for slide in section(heading, parts, said)]
    return new_notebook(cells=[cell for slide in slides for cell in slide.cells()], metadata={"title": title})


def modules() -> Path:
    """The folder with MathJax and reveal.js; npm fetches them where it does not have what the lock file says.

    Raises:
        FileNotFoundError: npm is not there.  CalledProcessError: it failed, and has said why.
    """
    lock, fetched = REPOSITORY / "docs" / "site" / "package-lock.json", PACKAGES / "package-lock.json"
    if not (fetched.exists() and fetched.read_bytes() == lock.read_bytes()):
        if (npm := shutil.which("npm")) is None:
            raise FileNotFoundError("npm is not there, and MathJax comes by it: install Node.js 20 or newer.")
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
    """Slides as a page, which needs ASSETS and slides.css beside it."""
    exporter = SlidesExporter(template_name="slides", extra_template_basedirs=[str(REPOSITORY / "docs")],
                              exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
                              exclude_anchor_links=True)
    return exporter.from_notebook_node(slides)[0]


def main(to: Path) -> None:
    """All lessons' slides, and what they load, in one folder."""
    to.mkdir(parents=True, exist_ok=True)
    for path in (*(modules() / name for name in ASSETS), REPOSITORY / "docs" / "slides" / "slides.css"):
        shutil.copy2(path, to)
    for path in LESSONS:
        slides = deck(nbformat.read(path, as_version=4))
        write_whole(to / path.name, nbformat.writes(slides) + "\n")
        write_whole(to / f"{path.stem}.html", page(slides))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "build" / "slides"))
