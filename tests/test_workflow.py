"""Test sweeps: the runs and cost of a grid, and a Snakemake sweep that is killed, fails and resumes."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import torch
import trees
import yaml
from conftest import REPOSITORY

from grmu import data
from grmu.__main__ import main
from grmu.analysis import paper
from grmu.analysis.names import label
from grmu.batch import cost, sweep
from grmu.data import Splits
from grmu.data.originals.fairface import AGES, RACES
from grmu.experiments import Experiment, load_split, run
from grmu.metrics import METRICS
from grmu.models import Classifier

WORKFLOW = REPOSITORY / "workflow"
PAPER = str(WORKFLOW / "paper.yaml")
BLOCK = {"datasets": ["groundwear"], "seeds": [0, 1], "methods": ["miu", "group_dro"]}


def grid(*blocks: dict, output: Path | str = "out", **settings: object) -> dict:
    return sweep.GRID | {"output": str(output), "blocks": [BLOCK | block for block in blocks]} | settings


def script(name: str) -> ModuleType:
    """Import a script of workflow/."""
    spec = importlib.util.spec_from_file_location(f"workflow_{name}", WORKFLOW / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- grids and plans ----------------------------------------------------------------------------------------


def test_every_run_is_a_job_once_and_its_references_come_first():
    found = sweep.experiments(grid({}, {"methods": ["miu"], "seeds": [1, 2], "ratios": [0.5, 0.9]},
                                   {"methods": ["miu"], "overrides": {"lr": 0.001}}))
    assert len(set(found.values())) == len(found)
    kinds = Counter((e.method, e.reweight) for e in found.values())
    assert kinds == {("pretrain", False): 3, ("retrain", False): 5, ("retrain", True): 5,
                     ("group_dro", False): 2, ("miu", False): 7, ("miu", True): 7}
    places = {job: i for i, job in enumerate(found)}
    for job, e in found.items():
        before = sweep.prerequisites(e)
        assert len(before) == (0 if e.method in ("pretrain", "retrain") else 3)
        assert all(places[sweep.job_name(reference)] < places[job] for reference in before)
        assert re.fullmatch(r"[\w./=+-]+", job)  # no quoting in any shell


def test_the_papers_grid_holds_every_run_behind_its_tables_and_no_other():
    found = list(sweep.experiments(sweep.read(PAPER)).values())
    several = [e for e in found if not e.overrides and (e.groups == "default" or len(e.groups) > 2)]
    have = Counter((e.dataset, e.ratio, 1 if e.groups == "default" else len(e.groups), e.method, e.reweight)
                   for e in several)
    published = paper.table("results")
    rows = set(zip(published.dataset, published.unlearning_ratio, published.forget_groups,
                   published.method.map(paper.METHODS), published.reweight.astype(bool), strict=True))
    rows = {row for row in rows if row[3] != "pretrain"}  # the same model for all ratios and groups
    assert all(have[row] == 3 for row in rows)
    ablated = Counter((e.dataset, *e.overrides.items()) for e in found if e.overrides)
    settings = [("calibration", False), ("retaining", False), *(("lam", lam) for lam in (0, 1, 5, 10))]
    assert ablated == {(name, setting): 3 for name in ("celeba", "waterbirds", "fairface")
                       for setting in settings}
    pairs = Counter((e.dataset, e.method) for e in found if e.groups != "default" and len(e.groups) == 2)
    assert pairs["fairface", "retrain"] == 2 * 3 * 3 * 4  # with REWEIGHT too; ratios, seeds, pairs


def test_the_papers_many_groups_of_fairface():
    groups = {frozenset(e.groups) for e in sweep.experiments(sweep.read(PAPER)).values()
              if e.groups != "default" and len(e.groups) > 2}
    nine, more = {"20-29", "50-59", "3-9"}, {"more than 70", "30-39"}
    races, further = {"Black", "Latino_Hispanic", "White"}, {"East Asian", "Middle Eastern"}
    named = {frozenset((AGES[y], RACES[a]) for y, a in pairs) for pairs in groups}
    assert named == {frozenset(product(nine, races)), frozenset(product(nine | more, races | further))}


def test_a_plan_has_the_parameters_and_a_key_that_follows_the_settings(tmp_path):
    plans = []
    for overrides in ({"lr": 1e-5}, {"lr": 2e-5}):
        path = tmp_path / "grid.yaml"
        path.write_text(yaml.safe_dump(grid({"overrides": overrides, "seeds": [1]}, output=tmp_path)))
        assert main(["plan", str(path)]) == 0
        plans.append(json.loads((tmp_path / "plan.json").read_text()))
    for job, changed in zip(*plans, strict=True):
        parameters = job["parameters"]
        is_method = parameters["method"] in BLOCK["methods"]
        assert parameters["overrides"] == ({"lr": 1e-5} if is_method else {})
        assert parameters["references"] == is_method == bool(job["after"])
        assert (job["key"] != changed["key"]) == is_method


def test_a_dry_run_does_every_run_and_names_the_first_that_fails(tmp_path, capsys):
    root = trees.waterbirds(tmp_path / "birds", dict.fromkeys(("train", "val", "test"), (8,) * 4))
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(grid({"datasets": ["waterbirds"], "methods": ["scrub"], "seeds": [0]})))
    assert main(["dry-run", str(path), "--root", str(root), "--jobs", "1"]) == 0
    assert "All 5 runs succeeded." in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.safetensors"))
    shutil.rmtree(root / "grmu-cache")
    next(root.rglob("Bird_0000.jpg")).write_bytes(b"")
    assert main(["dry-run", str(path), "--root", str(root), "--jobs", "1"]) == 2
    assert "1 samples of waterbirds cannot be read" in capsys.readouterr().err


# --- costs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "overrides"), [
    ("scrub", {}), ("finetune", {}), ("miu", {"calibration": False}),
    *product(("miu", "miu_released"), ({"augment": True}, {"augment": False}))])
def test_passes_are_those_of_a_real_run_but_for_the_forget_set(method, overrides, here, monkeypatch):
    parts = data.load("groundwear")[:3]
    splits = Splits(*(part.subset(torch.arange(0, len(part), 4)) for part in parts), (1, 1))
    monkeypatch.setitem(data.LOADERS, "groundwear", lambda name, root: splits)
    monkeypatch.setitem(cost.SIZES, "groundwear", [len(part) for part in splits[:3]])
    own = overrides | ({"first_updates": 6, "later_updates": 3} if method.startswith("miu") else {})
    e = Experiment(method=method, overrides=own | {"epochs": 2}, pretraining={"epochs": 1})
    run(e.original, here)  # all start from the same one
    seen, features = Counter(), Classifier.features

    def counted(model: Classifier, x: torch.Tensor) -> torch.Tensor:
        trains = torch.is_grad_enabled() and model.head.weight.requires_grad
        seen["trained" if trains else "forward"] += len(x)
        return features(model, x)

    monkeypatch.setattr(Classifier, "features", counted)
    run(e, here)
    trained, forward = cost.passes(e)
    n_forget = len(load_split(e)[1].forget)
    for difference in (trained - seen["trained"], seen["forward"] - forward):
        assert 0 <= difference <= 4 * n_forget < 0.04 * trained
        assert difference % n_forget == 0


def test_amounts_are_sums_over_the_runs_and_the_data_sets_caches():
    costs = cost.runs(sweep.experiments(sweep.read(PAPER)), 1000, 100)
    total = cost.amounts(costs)
    disk = costs.bytes.sum() + sum(map(cost.cache_bytes, data.ORIGINALS))
    assert total == pytest.approx({"runs": len(costs), "GPU hours": costs.hours.sum(), "GB": disk / 1e9})


def test_weights_are_as_large_as_the_stores_file(tmp_path):
    e = Experiment(method="pretrain", overrides={"model": "resnet18", "batch_size": 7}, tiny=True)
    run(e, tmp_path)
    (file,) = tmp_path.glob("models/*/*.safetensors")
    assert 0 < file.stat().st_size - cost.weights_bytes(e.dataset, e.network) < 16_384


def test_the_page_shows_what_the_script_prints():
    page = (REPOSITORY / "docs" / "paper.md").read_text(encoding="utf-8")
    shown = r"```\npython (-m grmu cost .*?)\n\n(.*?)```"
    command, printed = re.search(shown, page, re.S).groups()
    done = subprocess.run([REPOSITORY / ".venv/bin/python", *command.split()], cwd=REPOSITORY, text=True,
                          capture_output=True, check=True)
    assert [line.rstrip() for line in done.stdout.splitlines()] == printed.splitlines()


# --- a real sweep -------------------------------------------------------------------------------------------

GOOD = {"model": "cnn", "pretrained": False, "precision": "fp32", "epochs": 1}
BAD = GOOD | {"epochs": 30, "lr": 100, "weight_decay": 1, "batch_size": 2}


@pytest.fixture(scope="module")
def snakemake() -> None:
    """Snakemake in its environment, which `make test` has installed."""
    made = subprocess.run(["make", "workflow/.venv/.installed"], cwd=REPOSITORY, capture_output=True,
                          text=True, check=False)
    if made.returncode:
        pytest.skip(f"Snakemake's environment cannot be made: {made.stderr.strip().splitlines()[-1]}")


class Sweep:
    """workflow/embedded.yaml with other blocks on a few birds, in a folder with a blank in its name."""

    def __init__(self, home: Path, root: Path, **block: object) -> None:
        self.home, self.root, self.folder = home, root, home / "a sweep"
        self.block = BLOCK | {"datasets": ["waterbirds"], "methods": ["finetune"], "seeds": [0],
                              "reweight": False} | block

    def start(self, overrides: list[dict], cores: int = 2) -> subprocess.Popen:
        settings = grid(self.block | {"overrides": overrides}, output=self.folder, root=str(self.root))
        self.home.mkdir(exist_ok=True)
        (self.home / "small.yaml").write_text(yaml.safe_dump(settings))
        return self.call("--cores", cores, "--configfile", WORKFLOW / "embedded.yaml", "small.yaml")

    def call(self, *arguments: object) -> subprocess.Popen:
        environment = os.environ | {"XDG_CACHE_HOME": str(self.home / "cache")}
        return subprocess.Popen([WORKFLOW / "sweep", *map(str, arguments)], cwd=self.home, env=environment,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def finish(self, overrides: list[dict]) -> SimpleNamespace:
        process = self.start(overrides)
        output = process.communicate()[0]
        return SimpleNamespace(rc=process.returncode, output=output, times=self.times())

    def kill_after(self, seconds: float, overrides: list[dict], or_when: Callable[[], bool] = lambda: False,
                   cores: int = 2) -> tuple[bool, dict[str, int]]:
        """Kill a sweep after some seconds or when `or_when` holds; return whether it ran, and `finished`."""
        true_before = or_when()
        process, end = self.start(overrides, cores), time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < end and (true_before or not or_when()):
            time.sleep(0.01)
        alive = process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return alive, self.finished()

    def times(self) -> dict[str, int]:
        """Return the time at which each finished job's notebook was written."""
        runs = self.folder / "runs"
        return {str(path.parent.relative_to(runs)): path.stat().st_mtime_ns
                for path in runs.rglob("notebook.ipynb")}

    def finished(self) -> dict[str, int]:
        """Return `times` for the jobs that Snakemake recorded as finished."""
        begun = {urlsafe_b64decode(path.name).decode()
                 for path in (self.folder / ".snakemake" / "incomplete").glob("*")}
        return {job: when for job, when in self.times().items() if f"runs/{job}/metrics.json" not in begun}

    def is_amid(self) -> bool:
        """Return whether one job has finished and another has started."""
        begun = [path for path in (self.folder / "runs").rglob("unfinished.ipynb") if path.stat().st_size]
        return bool(self.finished()) and bool(begun)

    def numbers(self) -> pd.DataFrame:
        """Return the final table without the columns that differ between equal sweeps."""
        return pd.read_csv(self.folder / "runs.csv").drop(columns=["seconds", "root"])


@pytest.fixture(scope="module")
def swept(snakemake, tmp_path_factory) -> SimpleNamespace:
    """A sweep that was killed, and resumed with a failing run."""
    few = {"train": (2,) * 4, "val": (1,) * 4, "test": (1,) * 4}
    sweep_ = Sweep(tmp_path_factory.mktemp("sweep"), trees.waterbirds(tmp_path_factory.mktemp("birds"), few))
    # one job at a time until then: little is lost that is to be done again; `make kills` has many moments
    killed = sweep_.kill_after(300, [GOOD, BAD], sweep_.is_amid, cores=1)
    resumed = sweep_.finish([GOOD, BAD])
    return SimpleNamespace(sweep=sweep_, killed=killed, resumed=resumed)


def test_a_killed_sweep_continues_and_ends_with_the_numbers_of_one_without_a_break(swept, tmp_path):
    alive, finished = swept.killed
    assert alive
    assert finished
    assert {job: swept.resumed.times[job] for job in finished} == finished
    numbers = swept.sweep.numbers().set_index(["method", "reweight"])
    assert len(numbers) == 4
    settings = sweep.read(str(swept.sweep.home / "small.yaml"))
    good = [e for e in sweep.experiments(settings).values() if e.overrides.get("lr") != BAD["lr"]]
    assert len(good) == 4
    for e in good:
        row = numbers.loc[(e.method, e.reweight), list(METRICS)]
        assert row.to_dict() == {m: run(e, tmp_path).metrics[m] for m in METRICS}


def test_a_failed_run_is_named_keeps_its_notebook_and_stops_no_other(swept):
    page = (swept.sweep.folder / "index.html").read_text()
    assert swept.resumed.rc != 0
    assert "4 of 5 runs are done. Report: file://" in swept.resumed.output
    failed = r"run~finetune-.*lr=100.*: failed: FloatingPointError: "
    assert re.search(failed, swept.resumed.output)
    assert re.search(failed, page)
    assert re.search(r'href="(runs/[^"]+lr%3D100[^"]+/unfinished\.ipynb)"', page)


def test_the_report_has_the_tables_and_links_every_notebook(swept):
    folder = swept.sweep.folder
    page = (folder / "index.html").read_text()
    links = re.findall(r'href="(runs/[^"]+/notebook\.ipynb)"', page)
    notebooks = [f"runs/{job}/notebook.ipynb" for job in swept.resumed.times]
    assert sorted(link.replace("%3D", "=") for link in links) == sorted(notebooks)
    tables = pd.read_csv(folder / "tables.csv")
    assert len(tables) == 4
    title = "waterbirds, split 0.5-default, protocol ours, model=cnn, .*; methods with epochs=1 "
    assert tables.iloc[:, 0].str.match(title).all()
    assert tables.method[0] == label("pretrain")
    (head,) = re.findall(r"<thead>(.*?)</thead>", page, re.S)
    assert head.count("<tr>") == 1  # none for the index alone
    assert re.findall(r">([^<&]+)</th>", head) == tables.columns[2:].tolist()
    assert "Closest to the gold standard" in page


def test_what_was_run_with_another_key_counts_as_not_done(swept, tmp_path):
    copy = shutil.copytree(swept.sweep.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("store"))
    (job,) = (job for job in swept.resumed.times if "run~retrain-model" in job)
    (copy / "runs" / job / "key").write_text("of older code")
    said = subprocess.run([sys.executable, WORKFLOW / "report.py", copy], check=True, capture_output=True)
    assert b"3 of 5 runs are done" in said.stdout


def test_jobs_whose_parameters_change_run_again(swept, tmp_path):
    copy = shutil.copytree(swept.sweep.root, tmp_path / "birds")
    process = swept.sweep.call("-n", "--configfile", WORKFLOW / "embedded.yaml", "small.yaml",
                               "--config", f"root={copy}")
    output = process.communicate()[0]
    assert re.search(r"^experiment +5$", output, re.MULTILINE), output
    assert "params have changed since last execution" in output


def test_two_sweeps_do_not_share_a_folder(swept):
    with open(swept.sweep.folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = swept.sweep.finish([GOOD])
    assert second.rc != 0
    assert "another sweep is at work in" in second.output


def test_a_bad_grid_ends_with_a_sentence(swept, tmp_path):
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(grid({"methods": ["mui"]}, output=tmp_path / "x")))
    process = swept.sweep.call("--configfile", tmp_path / "bad.yaml")
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "block 1: unknown method 'mui'" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_deleted_file_is_made_again_with_what_depends_on_it_and_nothing_else(swept):
    before = swept.resumed.times
    (deleted,) = (job for job in before if "run~retrain-model" in job)
    (swept.sweep.folder / "runs" / deleted / "notebook.ipynb").unlink()
    mended = swept.sweep.finish([GOOD])
    assert mended.rc == 0
    again = [job for job, when in mended.times.items() if when != before[job]]
    assert sorted(job.split("run~")[1].split("-")[0] for job in again) == ["finetune", "retrain"]
    assert deleted in again
    assert "All 4 runs are done. Report: file://" in mended.output
    assert "Not done" not in (swept.sweep.folder / "index.html").read_text()


@pytest.mark.kills
def test_sweeps_that_are_killed_again_and_again_end_with_the_table_of_one_that_was_not(snakemake, tmp_path):
    """Twelve runs; the first kill is while the cache of the pictures is written. `make kills`."""
    many = {"train": (12, 8, 8, 10), "val": (100,) * 4, "test": (2,) * 4}
    cells = {"methods": ["finetune", "scrub", "miu"], "seeds": [0, 1], "reweight": True}
    whole = Sweep(tmp_path / "whole", trees.waterbirds(tmp_path / "birds", many), **cells)
    began = time.time()
    assert whole.finish([GOOD]).rc == 0
    first = min(whole.times().values()) / 1e9 - began  # seconds; half the kills come later
    rng, n, rounds = random.Random(0), 0, 0
    while n < 30:
        rounds += 1
        copy = shutil.copytree(whole.root, tmp_path / f"birds {rounds}",
                               ignore=shutil.ignore_patterns("grmu-cache"))
        broken, kept = Sweep(tmp_path / f"broken {rounds}", copy, **cells), {}
        cache, alive = copy / "grmu-cache" / "waterbirds.json", True  # at first, killed when that appears
        while alive:
            seconds = rng.uniform(0.5, 2 * first) if cache.exists() else 2 * first
            alive, finished = broken.kill_after(seconds, [GOOD], cache.exists)
            n += alive
            assert {job: finished.get(job) for job in kept} == kept
            kept = finished
        assert broken.finish([GOOD]).rc == 0
        assert broken.times() == kept
        pd.testing.assert_frame_equal(broken.numbers(), whole.numbers(), check_exact=True)
    print(f"{n} kills in {rounds} sweeps of {len(whole.times())} runs")


def test_slurm_without_sbatch_is_rejected_at_once(tmp_path):
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name))
    for arguments in (["--executor", "slurm"], ["--executor=slurm"], ["--profile", "profiles/slurm"]):
        rejected = subprocess.run([WORKFLOW / "sweep", *arguments], env={"PATH": str(tmp_path)},
                                  capture_output=True, text=True, check=False)
        assert rejected.returncode == 1
        assert rejected.stderr.startswith("error: there is no sbatch here")


@pytest.mark.parametrize(("visible", "expected"), [(None, {"0", "1"}), ("2,3", {"2", "3"}), ("5", {"5"})])
def test_jobs_at_the_same_time_have_different_gpus(visible, expected, tmp_path):
    """A stand-in for nvidia-smi, and jobs that wait until as many run as there are GPUs."""
    job = (f"echo $CUDA_VISIBLE_DEVICES > {tmp_path}/gpu-$$\n"
           f"until [ $(ls {tmp_path}/gpu-* | wc -l) -ge {len(expected)} ]; do sleep 0.05; done")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 0; echo 1\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    if visible:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    jobs = [subprocess.Popen([WORKFLOW / "on_gpu", "sh", "-c", job], env=environment) for _ in expected]
    assert [job.wait(timeout=600) for job in jobs] == [0] * len(jobs)
    assert {path.read_text().strip() for path in tmp_path.glob("gpu-*")} == expected
