"""Sweeps: what a grid means and costs, and a real one by Snakemake that is killed, resumed, hit by a failing
run, and mended."""

from __future__ import annotations

import io
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import trees
import yaml

from grmu import data
from grmu.__main__ import main
from grmu.analysis import paper
from grmu.data import Splits
from grmu.data.originals.fairface import AGES, RACES
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment, load_split, run
from grmu.metrics import METRICS
from grmu.models import Classifier
from grmu.scale import cost_sheet, sweep, sweep_cost
from grmu.scale.sweep import Grid

REPOSITORY = Path(__file__).parents[1]
WORKFLOW = REPOSITORY / "workflow"
BLOCK = {"datasets": ["groundwear"], "seeds": [0, 1], "methods": ["miu", "group_dro"]}


def grid(*blocks: dict, output: Path | str = "out", **settings: object) -> Grid:
    return Grid(str(output), [BLOCK | block for block in blocks or ({},)], **settings)


# --- plans --------------------------------------------------------------------------------------------------


def test_every_run_is_a_job_once_and_references_come_first():
    found = grid({}, {"methods": ["miu", "finetune"], "seeds": [1, 2]}).experiments()
    assert len(set(found.values())) == len(found)
    kinds = [(e.method, e.reweight) for e in found.values()]
    assert Counter(kinds) == {("pretrain", False): 3, ("retrain", False): 3, ("retrain", True): 3,
                              ("group_dro", False): 2,
                              ("miu", False): 3, ("miu", True): 3, ("finetune", False): 2,
                              ("finetune", True): 2}
    assert all(method in ("pretrain", "retrain") for method, _ in kinds[:9])


def test_a_method_waits_for_its_own_references():
    found = grid({"ratios": [0.5, 0.9]}, {"overrides": {"lr": 0.001}, "methods": ["miu"]}).experiments()
    for name, e in found.items():
        before = sweep.prerequisites(e)
        assert len(before) == (0 if e.method in ("pretrain", "retrain") else 3)
        assert {(p.seed, p.ratio) for p in before} <= {(e.seed, e.ratio)}
        order = list(found)
        assert all(order.index(sweep.job_name(p)) < order.index(name) for p in before)


def test_names_of_jobs_differ_where_experiments_do():
    plain = Experiment()
    changes: list[dict] = [
        {}, {"ratio": 0.51}, {"groups": "uniform"}, {"groups": ((0, 1),)}, {"groups": ((1, 1),)}, {"seed": 1},
        {"reweight": True},
        {"method": "finetune"}, {"overrides": {"lam": 3}}, {"overrides": {"lam": 3.5}},
        {"dataset": "groundwear-many"}]
    names = [sweep.job_name(replace(plain, **change)) for change in changes]
    assert len(set(names)) == len(names)
    assert names[0] == "groundwear/r0.5/seed0/miu"
    assert all(re.fullmatch(r"[\w./=-]+", name) for name in names)  # no quoting in any shell
    of_pretrain = [sweep.job_name(replace(e, method="pretrain"))
                   for e in (plain, replace(plain, ratio=0.9, groups="uniform"))]
    assert of_pretrain == ["groundwear/seed0/pretrain"] * 2


def test_papers_grid_holds_every_run_behind_its_tables():
    found = list(sweep.read(str(WORKFLOW / "paper.yaml")).experiments().values())
    have = Counter((e.dataset, e.ratio, 1 if e.groups == "default" else len(e.groups), e.method, e.reweight)
                   for e in found if not e.overrides)
    published = paper.table("results")
    rows = set(zip(published.dataset, published.unlearning_ratio, published.forget_groups,
                   published.method.map(paper.METHODS), published.reweight.astype(bool), strict=True))
    for row in rows:
        if row[3] == "pretrain":  # the same model for all ratios and groups
            assert sum(n for key, n in have.items() if (key[0], key[3]) == (row[0], "pretrain")) == 3, row
        else:
            assert have[row] == 3, row
    ablated = Counter((e.dataset, *e.overrides.items()) for e in found if e.overrides)
    assert ablated == {(name, setting): 3 for name in ("celeba", "waterbirds", "fairface")
                       for setting in (("lam", 0), ("retaining", False))}
    different = (
        len({row for row in rows if row[3] != "pretrain"}) + published.dataset.nunique() + len(ablated)
    )
    assert len(found) == 3 * different  # three seeds of each, and nothing besides


def test_papers_many_groups_of_fairface():
    groups = {frozenset(e.groups) for e in sweep.read(str(WORKFLOW / "paper.yaml")).experiments().values()
              if e.groups != "default"}
    nine, more = {"20-29", "50-59", "3-9"}, {"more than 70", "30-39"}
    races, further = {"Black", "Latino_Hispanic", "White"}, {"East Asian", "Middle Eastern"}
    named = {frozenset((AGES[y], RACES[a]) for y, a in pairs) for pairs in groups}
    assert named == {frozenset((age, race) for age in ages for race in of)
                     for ages, of in ((nine, races), (nine | more, races | further))}


@pytest.mark.parametrize(("bad", "sentence"), [
    ({"methods": ["mui"]}, "block 1: unknown method 'mui'"),
    ({"datasets": ["groundware"]}, "block 1: unknown data set 'groundware'"),
    ({"ratios": [1.5]}, "block 1: ratio must lie in (0, 1], but is 1.5"),
    ({"seeds": 3}, "block 1: seeds must be a list that is not empty, but is 3"),
    ({"seeds": ["0"]}, "block 1: seed must be a whole number from 0, but is '0'"),
    ({"methods": []}, "block 1: methods must be a list that is not empty"),
    ({"metods": ["miu"]}, "block 1: unknown name 'metods' in a block: did you mean methods?"),
    ({"groups": {"y": [1]}}, "block 1: groups must be a name, pairs (y, a), or lists y and a"),
    ({"reweight": "yes"}, "block 1: reweight must be true, false or 'both', but is 'yes'"),
    ({"reweight": True}, "block 1: group_dro does not combine with REWEIGHT"),
    ({"overrides": {"laam": 1}}, "block 1: unknown setting laam"),
    ({"overrides": [3]}, "block 1: overrides must map setting names to values, but is 3"),
])
def test_an_impossible_block_is_refused_by_name(bad, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        grid(bad).experiments()


@pytest.mark.parametrize(("text", "sentence"), [
    ("output: x", "a grid lacks blocks."), ("[1, 2]", "a grid must map names to values, but is [1, 2]."),
    ("{output: x, block: []}", "unknown name 'block' in a grid: did you mean blocks?"),
    ("{output: '', blocks: [1]}", "output must be the name of a folder, but is ''."),
    ("{output: x, blocks: []}", "blocks must be a list that is not empty, but is []."),
    ("{output: x, blocks: [1]}", "block 1: a block must map names to values, but is 1."),
    ("{output: x, blocks: [{datasets: [groundwear]}]}", "block 1: a block lacks methods, seeds."),
    ("{output: x, blocks: [1], device: tpu}", "device must be 'cpu' or 'cuda', but is 'tpu'."),
    ("{output: [", "while parsing"),
    ("{output: x, blocks: [{datasets: [celeba], methods: [miu], seeds: [0]}]}",
     "celeba does not come with this project, and"),
    ("{output: x, root: /no, blocks: [{datasets: [celeba], methods: [miu], seeds: [0]}]}",
     "root is '/no': name an existing"),
])
def test_the_command_refuses_a_bad_grid_with_one_sentence(text, sentence, tmp_path, capsys):
    (tmp_path / "grid.yaml").write_text(text)
    assert main(["sweep", "plan", str(tmp_path / "grid.yaml")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (REPOSITORY / "x").exists()


def test_a_grid_that_is_not_there_is_said(tmp_path, capsys):
    assert main(["sweep", "plan", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_numbers_survive_the_way_through_snakemake(monkeypatch):
    settings = {"output": "x", "blocks": [BLOCK | {"overrides": {"lr": 1e-5}}]}
    # writes 1e-05, which YAML takes for text
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(settings)))
    assert {e.overrides.get("lr") for e in sweep.read("-").experiments().values()} == {None, 1e-5}


def test_a_plan_touches_only_what_changed(tmp_path):
    sweep.write_plan(grid({"methods": ["miu", "finetune"]}, output=tmp_path))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    written = yaml.safe_load((tmp_path / "runs/groundwear/r0.5/seed1/miu/parameters.yaml").read_text())
    assert (written["method"], written["seed"], written["references"], written["device"]) == (
        "miu",
        1,
        True,
        "cpu",
    )
    assert written["output"] == str(tmp_path / "runs/groundwear/r0.5/seed1/miu")
    reference = yaml.safe_load((tmp_path / "runs/groundwear/r0.5/seed1/retrain/parameters.yaml").read_text())
    assert (reference["method"], reference["references"]) == ("retrain", False)
    sweep.write_plan(grid({"methods": ["miu", "finetune"], "seeds": [0, 1, 2]}, output=tmp_path))
    changed = [path.name for path, before in files.items() if path.stat().st_mtime_ns != before]
    assert changed == ["plan.json"]


def test_counting_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "plan", str(WORKFLOW / "paper.yaml"), "--count"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "     3  celeba: PRETRAIN (do nothing)" in lines
    assert lines[-1].split() == [str(sum(int(line.split()[0]) for line in lines[:-1])), "runs", "in", "all"]
    assert not list(tmp_path.iterdir())


# --- costs --------------------------------------------------------------------------------------------------


def test_a_run_costs_its_epochs():
    n, n_val, n_test = sweep_cost.SIZES["waterbirds"]
    retrain = Experiment("waterbirds", "retrain")
    assert sweep_cost.passes(retrain) == (30 * n, 30 * n_test + n + n_val + n_test)
    trained, forward = sweep_cost.passes(replace(retrain, method="scrub"))
    assert (trained, forward) == (10 * n, 10 * n_test + n + n_val + n_test
                                  + 10 * n)  # the original beside the unlearned
    assert sweep_cost.passes(replace(retrain, method="miu"))[0] == trained
    assert sweep_cost.passes(replace(retrain, method="miu"))[1] > forward - 10 * n


@pytest.mark.parametrize(("method", "overrides"), [
    ("scrub", {}), ("finetune", {}), ("miu", {"calibration": False}),
    *product(("miu", "miu_released"), ({"augment": True}, {"augment": False}))])
def test_passes_are_those_of_a_real_run_but_for_the_forget_set(method, overrides, here, monkeypatch):
    parts = data.load("groundwear")[:3]
    splits = Splits(*(part.subset(torch.arange(0, len(part), 4)) for part in parts), (1, 1))
    monkeypatch.setitem(data.LOADERS, "groundwear", lambda name, root: splits)
    monkeypatch.setitem(sweep_cost.SIZES, "groundwear", tuple(map(len, splits[:3])))
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
    trained, forward = sweep_cost.passes(e)
    n_forget = len(load_split(e).split.forget)
    assert n_forget < 0.01 * trained
    for difference in (trained - seen["trained"], seen["forward"] - forward):
        assert 0 <= difference <= 4 * n_forget
        assert difference % n_forget == 0


def test_celeba_has_the_published_number_of_pictures():
    assert sweep_cost.SIZES["celeba"] == (162_770, 19_867, 19_962)


@lru_cache
def costs(name: str = "paper.yaml", images: float | None = 1000, texts: float | None = 100) -> pd.DataFrame:
    return sweep_cost.runs(sweep.read(str(WORKFLOW / name)), sweep_cost.typed(images, texts))


def test_hours_are_samples_over_speed(capsys):
    assert main(["sweep", "cost", str(WORKFLOW / "paper.yaml"), "--images-per-second", "1000", "--gpus",
                       "4"]) == 0
    text = capsys.readouterr().out
    table = sweep_cost.table(costs(texts=None))
    images = table[table.index.get_level_values(0) != "multinli"]
    hours = (images["trained (M)"] + images["forward (M)"] / 3) * 1000 / 3600
    assert images["GPU hours"].tolist() == pytest.approx(hours.tolist())
    runs = len(sweep.read(str(WORKFLOW / "paper.yaml")).experiments())
    assert (f"{runs} runs, {hours.sum():.1f} GPU hours: {hours.sum() / 4:.1f} hours on 4 GPUs; "
            "without multinli, whose speed") in text
    assert re.search(r"multinli +PRETRAIN .* not measured", text)
    assert re.search(r"16 +multinli +33 +not measured", text)


def test_the_page_on_sweeps_shows_what_the_command_prints(capsys):
    page = (WORKFLOW.parent / "docs" / "sweeps.md").read_text(encoding="utf-8")
    shown = r"```\npython -m grmu (sweep cost .*? --gpus 8)\n\n(.*?)```"
    command, printed = re.search(shown, page, re.S).groups()
    assert main(command.replace("workflow", str(WORKFLOW)).split()) == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == printed.splitlines()


def test_every_run_is_new_in_one_table():
    runs = costs()
    found = cost_sheet.by_table(runs)
    assert found.index.tolist() == list(range(1, 19))  # and none is in no table
    assert found["new runs"].sum() == len(runs) == len(set(runs.experiment))
    assert found["new GPU hours"].sum() == pytest.approx(runs.hours.sum())
    disk = runs.bytes.sum() + sum(map(sweep_cost.cache_bytes, data.ORIGINALS))
    assert found["new GB"].sum() == pytest.approx(disk / 1e9)
    assert (found["new runs"] <= found.runs).all()
    assert (found.loc[[6, 9, 12, 17, 18], "new runs"] == 0).all()


@pytest.mark.parametrize(("table", "jobs"), [
    (5, r"celeba/(seed|r0.1/).*"), (7, r"celeba/(seed|r0.9/).*"),
    (6, r"celeba/(seed|r0.5/)(?!.*(group_dro|=)).*"), (1, r"celeba/(seed|r0.5/)(?!.*=).*"),
    (14, r"fairface/(seed|r0.5-9groups).*"), (15, r"fairface/(seed|r0.5-25groups).*"), (16, r"multinli/.*"),
    (4, r"(?!multinli)\w+/(seed|r0.5/).*/(pretrain|retrain|miu).*")])
def test_a_table_takes_its_runs_and_their_references(table, jobs):
    runs = costs()
    asked = runs[runs.index.str.fullmatch(jobs)]
    assert len(asked)
    row = cost_sheet.by_table(runs).loc[table]
    assert row.runs == len(asked)
    assert row["GPU hours"] == pytest.approx(asked.hours.sum())
    caches = sum(map(sweep_cost.cache_bytes, asked.dataset.unique()))
    assert pytest.approx((asked.bytes.sum() + caches) / 1e9) == row.GB


def test_runs_of_no_table_are_said_to_be_so():
    asked = grid({"datasets": ["celeba"], "seeds": [0], "methods": ["scrub"], "overrides": [{}, {"lr": 1}]})
    found = cost_sheet.by_table(sweep_cost.runs(asked, {}))
    assert found["new runs"].to_dict() == {1: 5, 6: 0, 18: 0, cost_sheet.NO_TABLE: 2}
    assert "The tables" not in cost_sheet.sheet(costs("embedded.yaml"))


@pytest.mark.parametrize("model", ["cnn", "resnet18"])
def test_weights_are_as_large_as_the_stores_files(model, tmp_path):
    e = Experiment(method="pretrain", overrides={"model": model, "batch_size": 7}, tiny=True)
    run(e, tmp_path)
    (file,) = tmp_path.glob("models/*/*.safetensors")
    assert 0 < file.stat().st_size - sweep_cost.weights_bytes(e.dataset, e.network) < 16_384


@pytest.mark.parametrize("dataset", ["celeba", "waterbirds", "fairface"])
def test_caches_are_as_large_as_real_files(dataset, tmp_path, monkeypatch):
    monkeypatch.delenv("GRMU_CACHE", raising=False)
    splits = data.load(dataset, getattr(trees, dataset)(tmp_path))
    array = np.load(tmp_path / "grmu-cache" / f"{dataset}.npy", mmap_mode="r")
    assert len(array) == sum(map(len, splits[:3]))
    assert sweep_cost.cache_bytes(dataset) == array[0].nbytes * sum(sweep_cost.SIZES[dataset])


def test_caches_are_as_large_as_the_data_command_says():
    for name, original in ORIGINALS.items():
        said = re.search(r"cache\sof\s[\w\s]+\stakes\s([\d.]+)\sGB", original.source)[1]
        assert float(said) == round(sweep_cost.cache_bytes(name) / 1e9, 1)
    assert sweep_cost.cache_bytes("groundwear") == 0


def test_what_reweight_and_miu_cost_and_sharing_saves():
    runs = costs()
    assert cost_sheet.reweight(runs) == 1
    n, test, rest = 4795, 5794, 4795 + 1199 + 5794
    e = runs.experiment["waterbirds/r0.1/seed0/miu"]
    assert (e.config.augment, e.config.epochs, e.settings["first_updates"]) == (True, 10, 100)
    size = e.config.batch_size
    first = sweep_cost._in_batches(100, size, n)
    extra = 2 * first + 9 * 10 * size + 10 * 500 + 10 * n  # tuning, readings, targets
    factors = cost_sheet.miu(runs)
    assert factors["waterbirds"] == pytest.approx(1 + extra / 3 / (10 * n + (10 * test + rest) / 3))
    assert (factors > 1).all()


def test_batches_of_a_pass_and_a_half_have_as_many_samples():
    assert sweep_cost._in_batches(7, 30, 100) == 100 + 3 * 30  # of four batches the last holds ten
    assert sweep_cost._in_batches(4, 30, 100) == 100


def test_what_sharing_saves():
    runs = costs()
    shared, own = (row for _, row in cost_sheet.pretraining(runs).iterrows())
    once = runs[runs.index.str.endswith("pretrain")]
    starts = Counter(e.dataset for e in runs.experiment if e.method in ("l1_sparse", "salun", "scrub", "miu"))
    assert (shared.runs, own.runs) == (12, sum(starts.values()))
    assert shared["GPU hours"] == pytest.approx(once.hours.sum())
    assert own["GPU hours"] == pytest.approx(
        sum(k * once.hours[f"{name}/seed0/pretrain"] for name, k in starts.items()))


def test_a_speed_is_that_of_the_data_set_and_batch_size():
    speeds = {"celeba": {32: 2.0, 256: 5.0}, "images": {16: 1.0, 64: 3.0}, "texts": {32: 7.0}}
    for e, speed in ((Experiment("celeba"), 5.0), (Experiment("celeba", "retrain"), 2.0),
                     (Experiment("celeba", overrides={"batch_size": 8}), 2.0), (Experiment("fairface"), 3.0),
                     (Experiment("waterbirds", "retrain"), 1.0), (Experiment("multinli"), 7.0),
                     (Experiment("negation"), 7.0)):
        assert sweep_cost.speed_of(e, speeds) == speed
    assert math.isnan(sweep_cost.speed_of(Experiment("negation"), {"images": {1: 1.0}}))


@pytest.mark.parametrize(("bad", "said"), [
    (["--images-per-second", "0"], "images per second must be a number above 0, but is 0"),
    (["--texts-per-second", "-1"], "texts per second must be a number above 0, but is -1"),
    (["--gpus", "0"], "--gpus: it must be a whole number from 1")])
def test_impossible_speeds_are_refused(bad, said, capsys):
    assert main(["sweep", "cost", str(WORKFLOW / "embedded.yaml"), *bad]) == 2
    assert said in capsys.readouterr().err


# --- a real sweep -------------------------------------------------------------------------------------------

GOOD = {"model": "cnn", "pretrained": False, "precision": "fp32", "epochs": 1}
BAD = GOOD | {"epochs": 30, "lr": 100, "weight_decay": 1, "batch_size": 2}


@pytest.fixture(scope="module")
def snakemake() -> None:
    """Snakemake in its environment, as `make sweep` installs it (`make test` has done so before)."""
    made = subprocess.run(["make", "workflow/.venv/.installed"], cwd=REPOSITORY, capture_output=True,
                          text=True, check=False)
    if made.returncode:
        pytest.skip(f"Snakemake's environment cannot be made: {made.stderr.strip().splitlines()[-1]}")


def test_cells_of_the_papers_grid_go_through_dry_with_the_real_network_and_nothing_is_kept(
        tmp_path, capsys, monkeypatch):
    few = dict.fromkeys(("train", "val", "test"), (12, 12, 12, 12))
    trees.celeba(tmp_path / "celeba", few)
    trees.waterbirds(tmp_path / "waterbirds", few)
    trees.fairface(tmp_path / "fairface", n_train=63 * 3, n_test=63)
    whole = sweep.read(str(WORKFLOW / "paper.yaml"))
    cells = ["celeba/r0.1/seed0/scrub", "waterbirds/r0.9/seed1/miu-reweight"]
    cells += [name for name in whole.experiments() if "9groups" in name and name.endswith("seed2/l1_sparse")]
    assert len(cells) == 3
    grid = replace(whole, root=str(tmp_path), device="cpu", protocol="released")
    found = grid.experiments()
    monkeypatch.setattr(sweep.Grid, "experiments", lambda self: {c: found[f"released/{c}"] for c in cells})
    assert sweep.dry_run(grid) == 0
    assert "3 of 3 runs went through" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.safetensors"))


ENOUGH = dict.fromkeys(("train", "val", "test"), (8, 8, 8, 8))


def test_a_dry_run_names_what_fails(tmp_path, capsys):
    root = trees.waterbirds(tmp_path / "birds", ENOUGH)
    next(root.rglob("Bird_0000.jpg")).write_bytes(b"")
    grid = tmp_path / "grid.yaml"
    block = {"datasets": ["waterbirds"], "methods": ["finetune"], "seeds": [0], "reweight": False}
    grid.write_text(yaml.safe_dump({"output": "runs/dry", "blocks": [block]}))
    assert main(["sweep", "dry-run", str(grid), "--root", str(root)]) == 1
    out = capsys.readouterr().out
    assert "0 of 4 runs went through" in out
    assert "waterbirds/r0.5/seed0/finetune: 1 samples of waterbirds cannot be read" in out


class Sweep:
    """workflow/embedded.yaml with other blocks, on a few birds, in a folder that has a blank in its name."""

    def __init__(self, home: Path, root: Path, **block: object) -> None:
        self.home, self.root, self.folder = home, root, home / "a sweep"
        self.block = BLOCK | {"datasets": ["waterbirds"], "methods": ["finetune"], "seeds": [0],
                              "reweight": False} | block

    def start(self, overrides: list[dict], cores: int = 2) -> subprocess.Popen:
        grid = {"output": str(self.folder), "root": str(self.root),
                "blocks": [self.block | {"overrides": overrides}]}
        self.home.mkdir(exist_ok=True)
        (self.home / "small.yaml").write_text(yaml.safe_dump(grid))
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
        """Whether it was still at work, and `finished` then. `or_when`: killed when that becomes true."""
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
        """When each finished job's notebook was written."""
        runs = self.folder / "runs"
        return {str(path.parent.relative_to(runs)): path.stat().st_mtime_ns
                for path in runs.rglob("notebook.ipynb")}

    def finished(self) -> dict[str, int]:
        """`times` of the jobs that Snakemake has noted as finished; the others it does again after a kill."""
        begun = {urlsafe_b64decode(path.name).decode()
                 for path in (self.folder / ".snakemake" / "incomplete").glob("*")}
        return {job: when for job, when in self.times().items()
                if not begun & {f"runs/{job}/notebook.ipynb", f"runs/{job}/metrics.json"}}

    def is_amid(self) -> bool:
        """Is a job noted as finished, and another one begun?"""
        return bool(self.finished()) and any((self.folder / "runs").rglob("begun.yaml"))

    def metrics(self, job: str) -> list[dict]:
        return json.loads((self.folder / "runs" / job / "metrics.json").read_text())["runs"]

    def numbers(self) -> pd.DataFrame:
        """The final table, without what is measured in seconds."""
        return pd.read_csv(self.folder / "runs.csv").drop(columns="seconds")


@pytest.fixture(scope="module")
def birds(tmp_path_factory) -> Path:
    """Waterbirds, whose cache no one has made yet."""
    few = {"train": (2,) * 4, "val": (1,) * 4, "test": (1,) * 4}
    return trees.waterbirds(tmp_path_factory.mktemp("birds"), few)


@pytest.fixture(scope="module")
def swept(snakemake, birds, tmp_path_factory) -> SimpleNamespace:
    """Killed; resumed, where one run fails; a file deleted, mended."""
    sweep_ = Sweep(tmp_path_factory.mktemp("sweep"), birds)
    # one job at a time until then: little is lost that is to be done again; `make kills` has many moments
    kills = [sweep_.kill_after(300, [GOOD, BAD], sweep_.is_amid, cores=1)]
    resumed = sweep_.finish([GOOD, BAD])
    left = (sweep_.folder / "runs").rglob("unfinished.ipynb")
    resumed.unfinished = {str(path.parent.relative_to(sweep_.folder / "runs")): path.read_text()
                          for path in left}
    resumed.page = (sweep_.folder / "index.html").read_text()
    (sweep_.folder / "runs" / job_of(resumed.times, "retrain-model") / "notebook.ipynb").unlink()
    return SimpleNamespace(sweep=sweep_, kills=kills, resumed=resumed, mended=sweep_.finish([GOOD]))


def job_of(times: dict[str, int], start: str) -> str:
    (job,) = (job for job in times if job.split("/")[-1].startswith(start))
    return job


def test_a_killed_sweep_goes_on_where_it_was(swept):
    assert all(alive and finished for alive, finished in swept.kills)
    assert len(swept.resumed.times) == 4
    for _, finished in swept.kills:
        assert {job: swept.resumed.times[job] for job in finished} == finished


def test_a_killed_and_resumed_sweep_has_the_numbers_of_one_without_a_break(swept, tmp_path):
    numbers = swept.sweep.numbers().set_index(["method", "reweight"])
    for e in sweep.read(str(swept.sweep.home / "small.yaml")).experiments().values():
        row = numbers.loc[(e.method, e.reweight), METRICS]
        assert row.to_dict() == {m: run(e, tmp_path).metrics[m] for m in METRICS}


@pytest.mark.kills
def test_sweeps_that_are_killed_again_and_again_end_with_the_table_of_one_that_was_not(snakemake, tmp_path):
    """Twelve runs; the first kill is while the cache of the pictures is written. `make kills`."""
    many = {"train": (12, 8, 8, 10), "val": (100,) * 4, "test": (2,) * 4}
    cells = {"methods": ["finetune", "scrub", "miu"], "seeds": [0, 1], "reweight": True, "overrides": [GOOD]}
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


def test_a_failed_run_is_named_at_the_end_and_stops_no_other(swept):
    assert swept.resumed.rc != 0
    assert "4 of 5 runs are done. Report: file://" in swept.resumed.output
    (failed,) = swept.resumed.unfinished
    assert "lr=100" in failed
    assert f"{failed}: failed: FloatingPointError: " in swept.resumed.output[-1500:]
    assert f"{failed}</a>: failed: FloatingPointError: " in swept.resumed.page


def test_a_failed_run_leaves_its_notebook_with_the_error(swept):
    (notebook,) = map(json.loads, swept.resumed.unfinished.values())
    (error,) = (output for cell in notebook["cells"]
                for output in cell.get("outputs", ()) if output["output_type"] == "error")
    assert error["ename"] == "FloatingPointError"


def test_a_deleted_file_is_made_again_and_nothing_else(swept):
    assert swept.mended.rc == 0
    again = [job for job, when in swept.mended.times.items() if when != swept.resumed.times[job]]
    assert again == [job_of(again, "retrain-model")]
    assert "All 4 runs are done. Report: file://" in swept.mended.output


def test_the_tables_hold_every_run_once(swept):
    runs = pd.read_csv(swept.sweep.folder / "runs.csv")
    assert list(zip(runs.method, runs.reweight, strict=True)) == [
        ("pretrain", False), ("retrain", False), ("retrain", True), ("finetune", False)]
    job = job_of(swept.mended.times, "finetune")
    (tuned,) = (r for r in swept.sweep.metrics(job) if r["method"] == "finetune")
    assert runs.GA.iloc[3] == tuned["GA"]
    tables = pd.read_csv(swept.sweep.folder / "tables.csv")
    assert [table.partition(", epochs")[0] for table in tables.table.unique()] == ["waterbirds, ratio 0.5"]
    assert len(tables) == 4


def test_the_report_links_a_page_of_every_notebook(swept):
    folder = swept.sweep.folder
    links = re.findall(r'href="(runs/[^"]+)"', (folder / "index.html").read_text())
    pages = [folder / link.replace("%3D", "=") for link in dict.fromkeys(links)]
    assert len(pages) == 4
    assert all("RETRAIN" in page.read_text() for page in pages)
    assert "Not done" not in (folder / "index.html").read_text()
    assert "Not done" in swept.resumed.page


@pytest.fixture
def job(tmp_path) -> Path:
    """The folder of a job that is done."""
    home = tmp_path / "runs" / "groundwear/seed0/pretrain"
    home.mkdir(parents=True)
    for name in ("parameters.yaml", "notebook.ipynb", "metrics.json", "finished.yaml"):
        (home / name).touch()
    return home


def test_what_was_run_with_older_parameters_counts_as_not_done(job, tmp_path):
    name = "groundwear/seed0/pretrain"
    assert sweep.is_done(tmp_path, name)
    (job / "parameters.yaml").write_text("others")
    assert not sweep.is_done(tmp_path, name)


@pytest.mark.parametrize("hours", [-5, 5])
@pytest.mark.parametrize("done", [True, False])
def test_a_clock_that_jumps_makes_nothing_run_again_and_nothing_old_stay(job, tmp_path, hours, done):
    """Snakemake does a job again if its parameters are younger than what it made."""
    jump = time.time() + 3600 * hours
    for name in ("notebook.ipynb", "metrics.json"):
        os.utime(job / name, (jump, jump))
    if not done:
        (job / "parameters.yaml").write_text("others")
    sweep.settle(tmp_path, "groundwear/seed0/pretrain")
    times = [(job / name).stat().st_mtime_ns for name in (*sweep.MADE, "parameters.yaml")]
    assert (min(times[:2]) >= times[2]) == done


def test_two_sweeps_do_not_share_a_folder(swept):
    import fcntl
    with open(swept.sweep.folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = swept.sweep.finish([GOOD])
    assert second.rc != 0
    assert "another sweep is at work in" in second.output


def test_slurm_without_sbatch_is_refused_at_once(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "sh"):
        (tools / name).symlink_to(next(p for p in map(Path, (f"/usr/bin/{name}", f"/bin/{name}"))
                                       if p.exists()))
    for arguments in (["--executor", "slurm"], ["--executor=slurm"],
                      ["--profile", "workflow/profiles/slurm"]):
        refused = subprocess.run([WORKFLOW / "sweep", *arguments], env={"PATH": str(tools)},
                                 capture_output=True, text=True,
                                 check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: there is no sbatch here")


@pytest.mark.parametrize(("visible", "expected"), [(None, {"0", "1"}), ("2,3", {"2", "3"}), ("5", {"5"})])
def test_jobs_at_the_same_time_have_different_gpus(visible, expected, tmp_path):
    """Stand-ins for nvidia-smi, and for a papermill that waits until as many jobs run as there are GPUs."""
    program = (f"echo $CUDA_VISIBLE_DEVICES > {tmp_path}/gpu-$$\n"
               f"until [ $(ls {tmp_path}/gpu-* | wc -l) -ge {len(expected)} ]; do sleep 0.05; done")
    for name, text in {"nvidia-smi": "echo 0; echo 1", "papermill": program}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)} | (
        {"CUDA_VISIBLE_DEVICES": visible} if visible else {})
    jobs = []
    for i in range(len(expected)):
        home = tmp_path / f"job{i}"
        home.mkdir()
        (home / "parameters.yaml").write_text("device: cuda\n")
        (home / "unfinished.ipynb").touch()
        jobs.append(subprocess.Popen([WORKFLOW / "job.sh", tmp_path / "papermill", "x.ipynb", home],
                                     env=environment))
    assert [job.wait(timeout=600) for job in jobs] == [0] * len(jobs)
    assert {path.read_text().strip() for path in tmp_path.glob("gpu-*")} == expected


def test_a_bad_grid_ends_with_a_sentence(swept, tmp_path):
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"output": str(tmp_path / "x"),
                                                       "blocks": [BLOCK | {"methods": ["mui"]}]}))
    process = swept.sweep.call("--configfile", tmp_path / "bad.yaml")
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "block 1: unknown method 'mui'" in output
    assert "Traceback" not in output
