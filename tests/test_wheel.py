"""The package as `pip install` brings it: the wheel, unpacked onto an empty path far from the checkout."""

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

from grmu.analysis import results
from grmu.analysis.names import label
from grmu.experiments.store import default_folder

STORE = "real runs"  # relative on purpose
IN_THE_WHEEL = """
import json
import grmu
from grmu import data
from grmu.experiments.store import default_folder
from grmu.analysis import results
from grmu.course.requests import REQUESTS, read_requests
splits = data.load("groundwear"), data.load("negation")
sizes = [len(s.train) for s in splits]
requests = read_requests(REQUESTS, splits[0].train)
print(json.dumps({"asking": len(requests.rows), "grmu": grmu.__file__, "sizes": sizes,
                  "runs": len(results.load())}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the package from its wheel and nothing else."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
                    "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, REPOSITORY], check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(installed, here, *arguments):
    """What a command prints that is given in the folder `here` by someone who has no checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    environment |= {"PYTHONPATH": str(installed), "GRMU_STORE": STORE}
    done = subprocess.run([sys.executable, "-P", *arguments], cwd=here, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return done.stdout


def test_every_module_and_preset_of_the_checkout_is_in_the_wheel(installed):
    def files(folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*")
                if path.is_file() and "__pycache__" not in path.parts}

    shipped = {name for name in files(installed / "grmu") if name.startswith("shipped/")}
    assert files(installed / "grmu") - shipped == files(REPOSITORY / "grmu")
    assert {"shipped/run_experiment.ipynb", "shipped/requests.csv", "shipped/results/runs.csv"} <= shipped


def test_data_and_results_come_with_the_package(installed, tmp_path):
    printed = json.loads(python(installed, tmp_path, "-c", IN_THE_WHEEL))
    assert printed["grmu"] == str(installed / "grmu" / "__init__.py")
    assert printed["sizes"] == [5692, 2883]
    assert printed["asking"] == 77
    assert printed["runs"] == len(results.load())


def test_the_demo_prints_table_and_sentence_and_leaves_its_files(installed, tmp_path_factory):
    here, lessons = tmp_path_factory.mktemp("here"), default_folder().resolve()
    (here / STORE).mkdir()
    for kind in ("models", "results"):  # a run that this code has done for a lesson is not done again
        (lessons / kind).mkdir(parents=True, exist_ok=True)
        (here / STORE / kind).symlink_to(lessons / kind)
    printed = python(installed, here, "-m", "grmu", "demo", "--seeds", "1")
    assert not re.search(r"\d \(?seeds|seed\(s\)|1 seeds", printed)
    for name in (label("pretrain"), "RETRAIN", "RETRAIN + REWEIGHT", "MIU", "MIU + REWEIGHT"):
        assert re.search(rf"^{re.escape(name)} +\d+\.\d", printed, re.MULTILINE), name
    assert printed.count("Forgetting 50 % of one group") == 1
    paths = dict(re.findall(r"^(\w+): +(/.+)$", printed, re.MULTILINE))
    assert set(paths) == {"notebook", "page", "figure", "numbers"}
    assert all(os.path.getsize(path) > 1000 for path in paths.values())
    assert os.path.dirname(paths["page"]) == str(here / STORE / "demo")
    executed = nbformat.read(paths["notebook"], as_version=4)
    assert str(REPOSITORY) not in nbformat.writes(executed)
    data = [output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", ())]
    verdict = next(d["text/markdown"] for d in data if d.get("text/markdown", "").startswith("Forgetting"))
    assert " ".join(verdict.split()) in " ".join(printed.split())
    assert verdict in Path(paths["page"]).read_text(encoding="utf-8")
