"""Test the structure of the package: import boundaries, and the modules that imports load."""

import os
import subprocess
import sys

from conftest import REPOSITORY


def call(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )


def test_an_import_across_a_boundary_is_reported(tmp_path):
    settings = (REPOSITORY / "pyproject.toml").read_text()
    contract = settings[settings.index("[tool.importlinter]"):settings.index("[tool.ruff]")]
    upside_down = contract
    for old, new in (("experiments", "swap"), ("analysis", "experiments"), ("swap", "analysis")):
        upside_down = upside_down.replace(f'    "{old}",', f'    "{new}",')
    (tmp_path / "contract.toml").write_text(upside_down)
    lint = call("-c", "import sys; from importlinter.cli import lint_imports; "
                f"sys.exit(lint_imports(config_filename={str(tmp_path / 'contract.toml')!r}, no_cache=True))")
    assert lint.returncode == 1
    assert "grmu.experiments is not allowed to import grmu.analysis" not in lint.stdout
    assert "grmu.analysis is not allowed to import grmu.experiments" in lint.stdout


def test_the_package_has_its_names_and_loads_no_figures_no_forests_and_no_data():
    typed = "grmu.run, grmu.data.load, grmu.reweight, grmu.methods, grmu.metrics"
    loaded = call("-c", f"import sys, grmu; {typed}; print(*sys.modules)")
    assert loaded.returncode == 0, loaded.stderr
    heavy = ("matplotlib", "IPython", "sklearn.ensemble", "grmu.data.groundwear", "grmu.data.negation",
             "grmu.data.originals", "grmu.methods.", "grmu.analysis", "grmu.plots", "grmu.widgets",
             "grmu.course", "grmu.batch")
    assert "torch" in loaded.stdout.split()
    assert [name for name in loaded.stdout.split() if name.startswith(heavy)] == []
