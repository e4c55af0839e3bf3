"""The house shows its plan: walls between wings, types, style, and what an import may bring along."""

import importlib
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

WINGS = ("data", "data.originals", "runs", "study", "show", "teach", "scale")


def call(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )


def test_imports_point_one_way():
    lint = call(
        "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    assert lint.returncode == 0, lint.stdout
    assert "2 kept, 0 broken" in lint.stdout


def test_a_wall_that_is_broken_is_found(tmp_path):
    settings = (REPOSITORY / "pyproject.toml").read_text()
    contract = settings[settings.index("[tool.importlinter]"):settings.index("[tool.ruff]")]
    upside_down = (
        contract.replace('"runs",', '"swap",').replace('"study",', '"runs",').replace('"swap",', '"study",')
    )
    (tmp_path / "walls.toml").write_text(upside_down)
    lint = call("-c", "import sys; from importlinter.cli import lint_imports; "
                f"sys.exit(lint_imports(config_filename={str(tmp_path / 'walls.toml')!r}, no_cache=True))")
    assert lint.returncode == 1
    assert "grmu.runs is not allowed to import grmu.study" not in lint.stdout
    assert "grmu.study is not allowed to import grmu.runs" in lint.stdout


def test_types_are_right():
    check = call("-m", "mypy", "--no-error-summary")
    assert check.returncode == 0, check.stdout


def test_style_is_kept():
    check = call("-m", "ruff", "check", "--no-cache", "--quiet", ".")
    assert check.returncode == 0, check.stdout


@pytest.mark.parametrize("wing", WINGS)
def test_every_wing_says_what_lives_there_what_does_not_and_what_it_may_import(wing):
    said = importlib.import_module(f"grmu.{wing}").__doc__
    assert said.startswith(f"{wing.split('.')[-1]}: ")
    assert "Not here: " in said
    assert "May import: " in said


def test_the_package_has_its_names_and_loads_no_figures_no_forests_and_no_data():
    typed = "grmu.run, grmu.data.load, grmu.reweight, grmu.mine.MINE, grmu.methods, grmu.metrics"
    loaded = call("-c", f"import sys, grmu; {typed}; print(*sys.modules)")
    assert loaded.returncode == 0, loaded.stderr
    heavy = ("matplotlib", "IPython", "sklearn.ensemble", "grmu.data.groundwear", "grmu.data.negation",
             "grmu.data.originals", "grmu.methods.", "grmu.study", "grmu.show", "grmu.teach", "grmu.scale")
    assert "torch" in loaded.stdout.split()
    assert [name for name in loaded.stdout.split() if name.startswith(heavy)] == []
