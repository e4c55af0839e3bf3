"""Builds the site from what is there, with warnings as errors: python docs/build_site.py [build/site]

Pages keep the folders that they have here, so that links between them hold; the landing page goes to the top.
What is computed: the paper's claims, the landing page's sentence, the explorer, slides. Beside the site, in
build/colab, lie the lessons as Colab opens them, with a first cell of code that installs the course's wheel.
"""

import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

import build_explorer
import build_slides
import matplotlib.pyplot as plt
import nbformat
from nbformat.v4 import new_code_cell

from grmu import plots
from grmu.analysis import claims, reproduced, results
from grmu.analysis.printed import ITEMS, TITLES
from grmu.batch.paper import WORDS
from grmu.data import load
from grmu.data.files import write_whole

REPOSITORY = Path(__file__).parents[1]
PAGES = ("*.md", "docs/*.md", "docs/*.png", "docs/conf.py", "docs/site/**/*.*", "notebooks/*.ipynb",
         "notebooks/diagrams/*.svg", "notebooks/labs/*.md", "data/**/*.md", "data/*.png", "LICENSE")

INSTALL = """\
# Where the course is not installed, as on Colab: its wheel, and what it needs (a minute or two).
from importlib.util import find_spec

if find_spec("grmu") is None:
    %pip install --quiet {wheel}"""


def claims_page() -> str:
    """The table of claims, and each effect: the paper's, ours with its interval."""
    effects, judged = [], claims.all_claims()
    for c in judged:
        printed = ", ".join(f"{at} {value:.1f}" for at, value in c.published.items() if value == value)
        ours = ", ".join(f"{at} {i.mean:.1f} [{i.low:.1f}, {i.high:.1f}]" for at, i in c.intervals.items())
        effects.append(f"### {c.text}\n\n*{c.verdict}* ({c.where}).\n\n- Ours: {ours}.\n"
                       f"- The paper's: {printed or 'not printed'}.\n")
    return "\n".join([
        "# The paper's claims, one by one", "",
        "An effect is a difference that is positive where the claim holds. Ours is paired by seed, the "
        "paper's comes from its published means. Lesson 06 shows how this is judged.", "", claims.RULE, "",
        claims.claims_table(judged).to_markdown(), "", "## Every effect", "",
        "In points; ours with 95 % intervals over seeds, before Holm's correction.", "", *effects])


def paper_page(folder: Path) -> str:
    """Return every table and figure of the paper on embedded data; the figures are written into a folder."""
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


def finding() -> str:
    """Return the main finding, a sentence with the numbers of the shipped runs."""
    rows = results.load("references", ratio=0.9)
    ga = 100 * rows.groupby(["method", "reweight"]).GA.mean()
    splits = load("groundwear")
    before, after, mended = ga["pretrain", False], ga["retrain", False], ga["retrain", True]
    group = splits.train.group_names[splits.train.group_id(splits.forget_group)]
    return (f"A model that forgets 90 % of *{group}* is right about {after:.0f} % of new pictures of that "
            f"group, where it was right about {before:.0f} %; REWEIGHT brings it back to {mended:.0f} %.")


def embedded(page: str) -> str:
    """The explorer out of its own page, with what a browser without scripts shows instead."""
    words = re.search(r"<script>.*?</script>", page, re.DOTALL)[0]
    return words + "\n" + page[page.index("<div data-grmu-explorer>"):page.index("</main>")] \
        + page[page.index('<script type="module">'):page.index("</body>")]


def stage(source: Path) -> None:
    """All that Sphinx reads, in a folder of its own. Files keep their times, so it reads what changed."""
    shutil.rmtree(source, ignore_errors=True)
    for path in sorted(path for pattern in PAGES for path in REPOSITORY.glob(pattern)):
        to = source / path.relative_to(REPOSITORY)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
    for path in source.rglob("*.md"):  # alt text in one line; a module's page instead of its source
        text = path.read_text(encoding="utf-8")
        read = re.sub(r"!\[[^]]+\]\(", lambda alt: " ".join(alt[0].split()), text)
        read = re.sub(r"\]\(\.\./grmu/(\S+)\.py\)", r"](/api/grmu/\1/index)", read)
        if read != text:
            path.write_text(read, encoding="utf-8")
    page = build_explorer.page(build_explorer.MODULE.read_text(encoding="utf-8"))
    write_whole(source / "explorer.html", page)
    landing = (source / "docs" / "site" / "index.md").read_text(encoding="utf-8")
    landing = re.sub(r"\]\((?!\w+:|#)(\S+?)\)",
                     lambda m: f"]({posixpath.normpath('docs/site/' + m[1])})", landing)
    landing = landing.replace("FOUND", finding()).replace("EXPLORER", embedded(page))
    (source / "docs" / "site" / "index.md").unlink()
    (source / "index.md").write_text(landing, encoding="utf-8")
    (source / "docs" / "paper.md").write_text(paper_page(source / "docs"), encoding="utf-8")
    (source / "docs" / "claims.md").write_text(claims_page(), encoding="utf-8")
    shutil.copy2(source / "docs" / "conf.py", source)
    (source / "_static").mkdir()
    shutil.copy2(build_slides.modules() / "mathjax" / "es5" / "tex-svg.js", source / "_static")


def for_colab(lesson: Path, wheel: str) -> nbformat.NotebookNode:
    """A lesson whose first cell of code installs the wheel where the course is not installed."""
    import conf

    nb = nbformat.read(lesson, as_version=4)
    first = next(at for at, cell in enumerate(nb.cells) if cell.cell_type == "code")
    for cell in nb.cells:  # Colab has the notebook alone
        cell.source = cell.source.replace("](diagrams/", f"]({conf.RAW}/notebooks/diagrams/")
    nb.cells.insert(first, new_code_cell(INSTALL.format(wheel=wheel), id="install-grmu"))
    return nb


def main(to: Path) -> int:
    """Sphinx's exit code."""
    import conf

    work, colab = to.parent / f"{to.name}-work", to.parent / "colab"
    build_slides.main(to / "slides")
    colab.mkdir(exist_ok=True)
    for lesson in build_slides.LESSONS if conf.SLUG else ():
        write_whole(colab / lesson.name, nbformat.writes(for_colab(lesson, conf.WHEEL)) + "\n")
    stage(work / "source")
    return subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d",
                           work / "doctrees", work / "source", to], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "build" / "site")))
