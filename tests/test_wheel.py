"""Test the wheel that `pip install` uses, unpacked in an empty folder outside the checkout."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from conftest import REPOSITORY

from grmu.analysis.names import label
from grmu.data.files import default_store

STORE = "real runs"  # relative on purpose
IN_THE_WHEEL = """
import json
import grmu
from grmu import data
from grmu.analysis import results
splits = data.load("groundwear"), data.load("negation")
print(json.dumps({"grmu": grmu.__file__, "sizes": [len(s.train) for s in splits],
                  "references": len(results.load("references"))}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that contains only the package from its wheel."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
                    "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, REPOSITORY], check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(installed, here, *arguments):
    """Return the output of a command in the folder `here`, without the checkout."""
    environment = os.environ | {"PYTHONPATH": str(installed), "GRMU_STORE": STORE}
    done = subprocess.run([sys.executable, "-P", *arguments], cwd=here, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_files_of_the_package_data_and_results_are_in_the_wheel(installed, tmp_path):
    def files(folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*")
                if path.is_file() and "__pycache__" not in path.parts}

    shipped = {name for name in files(installed / "grmu") if name.startswith("shipped/")}
    assert files(installed / "grmu") - shipped == files(REPOSITORY / "grmu")
    assert {"shipped/run_experiment.ipynb", "shipped/requests.csv", "shipped/results/runs.csv"} <= shipped
    printed = json.loads(python(installed, tmp_path, "-c", IN_THE_WHEEL))
    assert printed["grmu"] == str(installed / "grmu" / "__init__.py")
    assert printed["sizes"] == [5692, 2883]
    assert printed["references"] > 0


def test_the_demo_prints_table_and_sentence_and_leaves_its_files(installed, tmp_path_factory):
    here, lessons = tmp_path_factory.mktemp("here"), default_store().resolve()
    (here / STORE).mkdir()
    for kind in ("models", "results"):  # a run that this code has done for a lesson is not done again
        (lessons / kind).mkdir(parents=True, exist_ok=True)
        (here / STORE / kind).symlink_to(lessons / kind)
    printed = python(installed, here, "-m", "grmu", "demo", "--seeds", "1")
    for name in (label("pretrain"), "RETRAIN", "RETRAIN + REWEIGHT", "MIU", "MIU + REWEIGHT"):
        assert re.search(rf"^{re.escape(name)} +\d+\.\d", printed, re.MULTILINE), name
    paths = dict(re.findall(r"^(\w+): +(/.+)$", printed, re.MULTILINE))
    assert set(paths) == {"notebook", "page", "figure", "numbers"}
    assert all(os.path.getsize(path) > 1000 for path in paths.values())
    assert os.path.dirname(paths["page"]) == str(here / STORE / "demo")
    assert str(REPOSITORY) not in nbformat.writes(nbformat.read(paths["notebook"], as_version=4))
    (verdict,) = re.findall(r"^Forgetting 50 % of one group.*$", printed, re.MULTILINE)
    assert verdict in Path(paths["page"]).read_text(encoding="utf-8")
