"""Build the site, with warnings as errors.

    python docs/build_site.py [build/site]

Pages keep their folders, so that the links between them work; only the landing page moves to the top. The
script generates the pages about the paper's claims and results, the list of methods, the explorer and the
slides. It also writes the lessons for Colab into build/colab, each with a first code cell that installs the
course's wheel.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import build_explorer
import build_slides
import conf
import matplotlib.pyplot as plt
import nbformat
from nbformat.v4 import new_code_cell

from grmu import methods, plots
from grmu.analysis import claims, reproduced
from grmu.analysis.printed import ITEMS, TITLES
from grmu.batch.paper import WORDS
from grmu.data.files import write_whole

REPOSITORY = Path(__file__).parents[1]
PAGES = ("README.md", "docs/*.md", "docs/*.png", "docs/conf.py", "docs/site/**/*.*", "notebooks/*.ipynb",
         "notebooks/diagrams/*.svg", "data/*.md", "data/*.png")
# Links to files of the repository that are not on the site
OUTSIDE = re.compile(r"\[([^]]+)\]\((?:\.\./)*"
                     r"((?:grmu/|data/results/|CONTRIBUTING|CHANGELOG|LICENSE(?=\)))[^)]*)\)")

INSTALL = """\
# On Colab, this cell installs the course (a minute or two). If it is installed, the cell does nothing.
from importlib.util import find_spec

if find_spec("grmu") is None:
    %pip install --quiet {wheel}"""


def claims_page() -> str:
    """Return the page with the table of claims and with each effect, the paper's and ours."""
    effects, judged = [], claims.all_claims()
    for c in judged:
        printed = ", ".join(f"{at} {value:.1f}" for at, value in c.published.items() if value == value)
        ours = ", ".join(f"{at} {i.mean:.1f} [{i.low:.1f}, {i.high:.1f}]" for at, i in c.intervals.items())
        effects.append(f"### {c.text}\n\n*{c.verdict}* ({c.where}).\n\n- Ours: {ours}.\n"
                       f"- The paper's: {printed or 'not printed'}.\n")
    return "\n".join([
        "# The paper's claims, one by one", "",
        "An effect is a difference that is positive where the claim holds. Ours is paired by seed, and the "
        "paper's comes from its published means. Lesson 06 explains the verdicts.", "", claims.RULE, "",
        claims.claims_table(judged).to_markdown(), "", "## Every effect", "",
        "Effects are in points, ours with 95 % intervals before Holm's correction.", "", *effects])


def paper_page(folder: Path) -> str:
    """Return the page of the paper's tables and figures on embedded data; write the figures into a folder."""
    plots.use_style()
    sections = []
    for item in ITEMS.values():
        rows, missing = reproduced.shipped(item)
        table = reproduced.cells(item, rows)
        figure = plots.paper_item(item, table)
        plots.save(figure, folder / f"{item.name}.png")
        caption = plots.caption_of(figure)
        shown = reproduced.layout(item, table).map(lambda text: str(text).replace("|", "\\|"))
        plt.close(figure)
        fewer = f" {len(missing)} of the rows have fewer than five seeds." if missing else ""
        gone = sorted({f"{row.name} for {TITLES[row.dataset]}" for row in missing if row not in rows})
        fewer += f" Missing, because the loss diverged: {', '.join(gone)}." if gone else ""
        sections += [f"## {item.words}: {item.title}", "", f"![{caption}]({item.name}.png)", "",
                     f"{caption}{fewer}", "", "<details><summary>The numbers</summary>", "",
                     shown.to_markdown(index=False), "", "</details>", ""]
    return "\n".join([
        "# The paper, reproduced at small scale", "",
        "This page has every table and figure of De Min et al. (2025), computed on the data that come with "
        "this course. Groundwear stands in for CelebA, its memorised variant for Waterbirds, its variant "
        "with many groups for FairFace, and Negation for MultiNLI. The data differ and the networks are "
        "smaller, so the numbers differ. You can compare the direction of the effects and the order of the "
        "methods.",
        "", WORDS, "",
        "`python -m grmu paper table1 --on embedded` prints the first table.", "", *sections])


def methods_list() -> str:
    """Return reStructuredText that documents all methods, each below its name."""
    classes = {name: methods.get(name) for name in methods.registry}
    return "\n".join(f"`{name}`\n\n.. autoclass:: {cls.__module__}.{cls.__name__}\n"
                     for name, cls in classes.items())


def embedded(page: str) -> str:
    """Return the explorer from its own page, including what a browser without scripts shows instead."""
    words = re.search(r"<script>.*?</script>", page, re.DOTALL)[0]
    return words + "\n" + page[page.index("<div data-grmu-explorer>"):page.index("</main>")] \
        + page[page.index('<script type="module">'):page.index("</body>")]


def stage(source: Path) -> None:
    """Copy all files that Sphinx reads into a folder, and generate the others.

    Files keep their times, so Sphinx reads only what has changed.
    """
    shutil.rmtree(source, ignore_errors=True)
    for path in sorted(path for pattern in PAGES for path in REPOSITORY.glob(pattern)):
        to = source / path.relative_to(REPOSITORY)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
    on_github = rf"[\1](https://github.com/{conf.SLUG}/blob/main/\2)" if conf.SLUG else r"\1"
    for path in source.rglob("*.md"):  # put alt text on one line, and direct links to files outside the site
        text = path.read_text(encoding="utf-8")
        read = re.sub(r"!\[[^]]+\]\(", lambda alt: " ".join(alt[0].split()), text)
        read = OUTSIDE.sub(on_github, read).replace("LIST OF METHODS", methods_list())
        if read != text:
            path.write_text(read, encoding="utf-8")
    page = build_explorer.page(build_explorer.MODULE.read_text(encoding="utf-8"))
    write_whole(source / "explorer.html", page)
    landing = source / "docs" / "site" / "index.md"
    text = landing.read_text(encoding="utf-8").replace("EXPLORER", embedded(page))
    (source / "index.md").write_text(text, encoding="utf-8")
    landing.unlink()
    (source / "docs" / "small-scale.md").write_text(paper_page(source / "docs"), encoding="utf-8")
    (source / "docs" / "claims.md").write_text(claims_page(), encoding="utf-8")
    shutil.copy2(source / "docs" / "conf.py", source)
    (source / "_static").mkdir()
    shutil.copy2(build_slides.modules() / "mathjax" / "es5" / "tex-svg.js", source / "_static")


def for_colab(lesson: Path, wheel: str) -> nbformat.NotebookNode:
    """Return a lesson whose first code cell installs the wheel if the course is not installed."""
    nb = nbformat.read(lesson, as_version=4)
    first = next(at for at, cell in enumerate(nb.cells) if cell.cell_type == "code")
    for cell in nb.cells:  # Colab opens only the notebook, without its diagrams
        cell.source = cell.source.replace("](diagrams/", f"]({conf.RAW}/notebooks/diagrams/")
    nb.cells.insert(first, new_code_cell(INSTALL.format(wheel=wheel), id="install-grmu"))
    return nb


def main(to: Path) -> int:
    """Build the site, and return Sphinx's exit code."""
    work, colab = to.parent / f"{to.name}-work", to.parent / "colab"
    shutil.rmtree(to, ignore_errors=True)  # or pages that were deleted would stay
    build_slides.main(to / "slides")
    colab.mkdir(exist_ok=True)
    for lesson in build_slides.LESSONS if conf.SLUG else ():
        write_whole(colab / lesson.name, nbformat.writes(for_colab(lesson, conf.WHEEL)) + "\n")
    stage(work / "source")
    return subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d",
                           work / "doctrees", work / "source", to], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "build" / "site")))
