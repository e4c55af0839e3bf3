"""What the guides state is what the repository holds: points and mistakes of the labs, the citation, the
set-up check."""

import importlib.util
import re

import nbformat
import pytest
import yaml
from conftest import REPOSITORY

import grmu
from grmu.teach import checks

LABS = REPOSITORY / "notebooks" / "labs"
INSTRUCTORS = (LABS / "INSTRUCTORS.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (LABS / "source").glob("*/*.ipynb"))


def misconceptions(lab):
    spec = importlib.util.spec_from_file_location(f"labs_{lab}", REPOSITORY / "tests" / "labs" / f"{lab}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MISCONCEPTIONS


@pytest.mark.parametrize("lab", NAMES)
def test_the_guide_lists_every_known_mistake_with_its_points(lab):
    rows = [line for line in INSTRUCTORS.splitlines() if line.startswith(f"| {lab.removeprefix('lab')} `")]
    found = [pair for row in rows for pair in re.findall(r"(?:\| |; )([^|`]+?) \(([\d.]+)\)(?=;| \|)", row)]
    stated = {name: float(points) for name, points in found}
    assert stated == {name: sum(lost.values()) for name, (_, lost) in misconceptions(lab).items()}


@pytest.mark.parametrize("lab", NAMES)
def test_the_guide_states_the_points_of_a_lab(lab):
    cells = nbformat.read(LABS / "source" / lab / f"{lab}.ipynb", as_version=4).cells
    graded = [c.metadata.nbgrader for c in cells if c.metadata.get("nbgrader", {}).get("grade")]
    tested, read = (sum(m.points for m in graded if m.solution == by_hand) for by_hand in (False, True))
    title = "Project" if lab == "project" else f"Lab {lab.removeprefix('lab')}"
    (row,) = (line for line in INSTRUCTORS.splitlines() if re.match(rf"\| {title}\b", line))
    assert f"| {tested:g} + {read:g} |" in row


def test_the_citation_names_this_version_and_the_paper_of_the_readme():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (grmu.__version__, "MIT")
    (paper,) = citation["references"]
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace(r"{\`e}", "è").replace(r"{\'e}", "é")
    assert " and ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"]) in readme
    assert all(str(paper[key]) in readme for key in ("title", "journal", "year"))
    assert f"## {grmu.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_who_reports_a_failing_cell_is_asked_for_the_check_of_lesson_00(capsys):
    form = yaml.safe_load((REPOSITORY / ".github" / "ISSUE_TEMPLATE" / "cell-fails.yml").read_text(encoding="utf-8"))
    (asked,) = (part for part in form["body"] if part.get("id") == "check")
    assert asked["validations"]["required"]
    command = re.search(r"python -c '(.*?)'", asked["attributes"]["description"])[1]
    exec(command, {"checks": checks})
    assert "set-up complete" in capsys.readouterr().out
