"""Test the guides against the repository: the labs' points, the citation, the set-up check and commands."""

import re
import shlex
import subprocess
from itertools import pairwise

import nbformat
import papermill
import pytest
import yaml
from conftest import REPOSITORY

import grmu
from grmu.__main__ import main, make_parser
from grmu.course import checks
from grmu.experiments.run import CODE
from grmu.training import Method

LABS = REPOSITORY / "notebooks" / "labs"
TEACH = (REPOSITORY / "docs" / "teach.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (LABS / "source").glob("*/*.ipynb"))


@pytest.mark.parametrize("lab", NAMES)
def test_the_guide_states_the_points_of_a_lab(lab):
    cells = nbformat.read(LABS / "source" / lab / f"{lab}.ipynb", as_version=4).cells
    graded = [c.metadata.nbgrader for c in cells if c.metadata.get("nbgrader", {}).get("grade")]
    tested, read = (sum(m.points for m in graded if m.solution == by_hand) for by_hand in (False, True))
    title = "Project" if lab == "project" else f"Lab {lab.removeprefix('lab')}"
    (row,) = (line for line in TEACH.splitlines() if re.match(rf"\| {title}\b", line))
    assert row.endswith(f"| {tested:g} | {read:g} |")


def test_the_citation_names_this_version_and_the_paper_of_the_readme():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (grmu.__version__, "MIT")
    (paper,) = citation["references"]
    readme = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    assert all(f"{author['given-names']} {author['family-names']}" in readme for author in paper["authors"])
    assert all(str(paper[key]) in readme for key in ("title", "journal", "year", "url"))
    assert f"## {grmu.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_who_reports_a_failing_cell_is_asked_for_the_check_of_lesson_00(capsys):
    template = REPOSITORY / ".github" / "ISSUE_TEMPLATE" / "cell-fails.yml"
    form = yaml.safe_load(template.read_text(encoding="utf-8"))
    (asked,) = (part for part in form["body"] if part.get("id") == "check")
    assert asked["validations"]["required"]
    command = re.search(r"python -c '(.*?)'", asked["attributes"]["description"])[1]
    exec(command, {"checks": checks})
    assert "set-up complete" in capsys.readouterr().out


def test_the_guide_lists_the_hooks_of_a_method_and_the_files_that_a_key_depends_on():
    guide = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    hooks = {name for name in vars(Method) if not name.startswith("_")}
    table = guide[guide.index("| hook |"):]
    assert {re.match(r"\w+", name)[0] for row in table[:table.index("\n\n")].splitlines()[2:]
            for name in re.findall(r"`(.+?)`", row.split("|")[1])} == hooks
    assert len(hooks) == 10
    assert all(f"`grmu/{pattern}`" in guide for pattern in CODE)


def kept(folder):
    """Return the project's own files, which excludes installed, computed and built ones."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and path.name not in {"runs", "build", "mutants", "node_modules"}:
            yield from kept(path) if path.is_dir() else [path]


KEPT = list(kept(REPOSITORY))
PAGES = [path for path in KEPT if path.suffix == ".md"]
SOURCES = [path for path in KEPT if path.suffix in {".js", ".mjs", ".css", ".html", ".toml"}
           and path.name != "explorer.js"]  # which is built


def test_workflows_name_what_others_wrote_by_its_commit():
    workflows = (REPOSITORY / ".github" / "workflows").glob("*.yml")
    used = [action for path in workflows for action in re.findall(r"uses: (\S+)", path.read_text())]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []


def test_lines_that_ruff_does_not_read_are_short():
    assert len(SOURCES) > 10
    assert [(path.name, line) for path in SOURCES
            for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 110] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_lines_of_a_page_are_short_and_its_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > 110 and line[0] != "|"] == []
    links = re.findall(r"\]\(([^)#\s]+)\)|^\[\w+\]: (\S+)$", text, re.MULTILINE)
    files = [one or other for one, other in links if "://" not in one + other]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_the_readme_is_short():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


# --- commands -----------------------------------------------------------------------------------------------

NOT_RUN = {  # why a command is only checked
    r"make ": "installs, or takes minutes; `make -n` shows whether the target exists",
    r"(apt|conda|pip|python3? -m (pip|venv)|git|docker|podman|pre-commit|nbdime|jupyter|ls|cp|unzip) ":
        "installs, opens a page or looks at files",
    r".*(/data|FOLDER|--device cuda|--download|--profile|--rows|torch\.cuda)":
        "needs data, a GPU, a cluster or the network",
    r"papermill ": "trains for a minute; tests/test_papermill.py runs both notebooks",
    r"python -m grmu (demo|dry-run|results|search|audit|cost|paper)":
        "trains for minutes, or another test runs it (tests/test_paper.py, for example)",
    r"python (-m pytest|tests/|docs/|data/results/)": "a test, or a script that a test runs",
}
FILE = re.compile(r"(tests|docs|data|notebooks|workflow)/\S+\.\w+")


def commands():
    """The commands of all pages: in blocks without a language or with `sh`, up to the first empty line."""
    for page in PAGES:
        blocks = re.findall(r"^ *```(.*?)\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S)
        printed = [block.partition("\n\n")[0] for language, block in blocks if language in ("", "sh")]
        for line in "\n".join(printed).replace("\\\n", " ").splitlines():
            yield tuple(shlex.split(line, comments=True))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the repository's files in which commands may write."""
    for name in (".venv", "data", "docs", "notebooks", "workflow"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)


def check_only(words):
    """Check the target, options or parameters of a command that is not run."""
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=REPOSITORY, check=True, capture_output=True)
    elif words[:3] == ["python", "-m", "grmu"]:
        make_parser().parse_known_args(words[3:])
    elif words[0] == "papermill":
        chosen = {after.split(":")[0] for before, after in pairwise(words) if before in ("-p", "-y")}
        assert chosen
        assert chosen <= set(papermill.inspect_notebook(str(REPOSITORY / words[1])))


@pytest.mark.parametrize("words", sorted(set(commands()) - {()}), ids=" ".join)
def test_a_command_of_a_page_works(words, folder, capsys):
    assert not words[0].startswith(".venv/"), "the environment is entered once: see the README"
    assert [name for name in words if FILE.fullmatch(name) and not (REPOSITORY / name).exists()] == []
    if any(re.match(pattern, " ".join(words)) for pattern in NOT_RUN):
        check_only(words)
    elif words[:3] == ["python", "-m", "grmu"]:  # in this process, which has imported the package
        assert main(words[3:]) == 0
    else:
        subprocess.run(["bash", "-c", f"source .venv/bin/activate && {shlex.join(words)}"], check=True)
