"""An instructor's folder: made once, never inside this repository, readable, secret."""

import re
import shutil
import subprocess

import pytest
import torch

from grmu.course import labs, marking, private
from grmu.course.asking import in_process

CHECKS = '''
import torch
from grmu.course.asking import same

def test_double(ask, rng):
    x = torch.as_tensor(rng.normal(size=(3, 4)))
    assert same(ask("double(x)", x=x), 2 * x), "twice."

def test_mine(ask, rng, mine):
    ask("[1.5, None]")
    assert ask("number", ratio=mine.ratio) == mine.seed, "your seed."
'''
RIGHT = {"double": lambda x: 2 * x, "number": 0}


@pytest.fixture
def checks(tmp_path):
    (tmp_path / "lab1.py").write_text(CHECKS)
    return marking.load("lab1", tmp_path)


@pytest.fixture
def made(checks, tmp_path):
    return tmp_path / "mine", private.make(tmp_path / "mine", {"lab1": checks}, lambda lab: in_process(RIGHT))


def test_a_folder_has_a_secret_a_readme_and_a_preview(made):
    folder, _ = made
    assert re.fullmatch("[0-9a-f]{64}", private.secret(folder))
    assert (folder / "secret").stat().st_mode & 0o77 == 0
    assert "PRIVATE=" in (folder / "README.md").read_text()
    preview = (folder / "preview" / "lab1.md").read_text()
    x = torch.as_tensor(marking.generator(private.secret(folder), "lab1", "test_double").normal(size=(3, 4)))
    assert f"- `x` = float64 (3, 4): {x[0, 0]:.4g}, " in preview
    assert f"- answered: float64 (3, 4): {2 * x[0, 0]:.4g}, " in preview
    assert "double(x)" in preview
    assert "- `ratio` = 0.5\n- answered: 0" in preview
    assert "fails" not in preview


def test_a_check_that_the_solution_fails_is_said_in_the_preview(checks):
    found = private.preview(checks, in_process(RIGHT | {"number": 3}), "s" * 32)
    assert found.count("**The solution fails it: your seed.**") == 1


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_it_is_a_repository_of_its_own_with_all_committed(made):
    folder, said = made
    git = ["git", "-C", str(folder)]
    found = [subprocess.run([*git, *asked], capture_output=True, text=True, check=True).stdout.strip()
             for asked in (["status", "--short"], ["rev-parse", "--show-toplevel"])]
    assert found == ["", str(folder.resolve())]
    assert "a git repository of its own" in said[1]


def test_without_git_it_is_said(checks, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "git is not here" in private.make(tmp_path / "p", {"lab1": checks}, lambda _: in_process(RIGHT))[1]


def test_two_folders_draw_differently_and_one_the_same_again(made, checks, tmp_path):
    private.make(tmp_path / "other", {"lab1": checks}, lambda lab: in_process(RIGHT))
    one, other = private.secret(made[0]), private.secret(tmp_path / "other")
    assert one != other
    assert private.preview(checks, in_process(RIGHT), one) == (made[0] / "preview" / "lab1.md").read_text()


def test_nothing_is_overwritten(made, checks):
    with pytest.raises(ValueError, match="exists and is not empty: nothing was written"):
        private.make(made[0], {"lab1": checks}, lambda lab: in_process(RIGHT))


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_folder_that_this_repository_would_take_in_is_refused(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/build/\n")
    monkeypatch.setattr(private, "REPOSITORY", tmp_path.resolve())
    with pytest.raises(ValueError, match="lies in this repository"):
        private.make(tmp_path / "marks", {}, in_process)
    assert not (tmp_path / "marks").exists()
    private.make(tmp_path / "build" / "marks", {}, in_process)


def test_without_a_folder_a_secret_is_made_once_where_git_ignores_it(tmp_path, monkeypatch):
    assert private.DEFAULT.parent == labs.REPOSITORY / "build"
    monkeypatch.setattr(private, "REPOSITORY", tmp_path)
    monkeypatch.setattr(private, "DEFAULT", tmp_path / "build" / "labs-private")
    first, said = private.secret_or_made(None)
    assert private.secret_or_made(None) == (first, said)
    assert "No PRIVATE=folder" in said


def test_a_folder_without_a_secret_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no secret: make it with make labs-private"):
        private.secret_or_made(tmp_path)
    (tmp_path / "secret").write_text("abc")
    with pytest.raises(ValueError, match="too short"):
        private.secret(tmp_path)


def test_a_lab_s_own_solution_can_be_asked(tmp_path):
    from nbformat import v4, write

    (tmp_path / "lab1").mkdir()
    cells = [v4.new_code_cell("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 3"),
             v4.new_code_cell("def double(x): return 2 * x\nprint(A().x)")]
    write(v4.new_notebook(cells=cells), tmp_path / "lab1" / "lab1.ipynb")
    assert private.solution(tmp_path, "lab1")("double(A().x)") == 6
    cells[1].source = "1 / 0"
    write(v4.new_notebook(cells=cells), tmp_path / "lab1" / "lab1.ipynb")
    with pytest.raises(ValueError, match="cell 2 of its own solution fails: division by zero"):
        private.solution(tmp_path, "lab1")
