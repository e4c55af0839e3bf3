"""python -m grmu store: what is kept is judged by what today's code calls it; the rest goes when told."""

import json
import re
from dataclasses import dataclass, replace

import pytest
import trees
from filelock import FileLock

from grmu import methods, run, training
from grmu.__main__ import main
from grmu.runs import Experiment, code
from grmu.runs.store import Store

pytestmark = pytest.mark.usefixtures("few_pictures")
E = Experiment(method="retrain", overrides={"epochs": 1, "warmup_epochs": 0})


def interrupted(e, folder):
    """A run that ends in its second epoch, with a checkpoint of the first."""
    def stop(epoch, row):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(replace(e, overrides={"epochs": 3}), folder, on_epoch=stop)


def asked(capsys, *arguments):
    assert main(["store", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def paths(folder):
    return {p.relative_to(folder).as_posix() for kind in ("models", "results", "checkpoints")
            for p in (folder / kind).glob("*")}


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A store with everything that can be in one, and what today's code should keep of it."""
    for e in (replace(E, method="miu", overrides={"epochs": 1, "first_updates": 1}), replace(E, seed=1),
              replace(E, seed=2, split_seed=3, half=True), replace(E, method="pretrain", overrides={})):
        run(e, tmp_path)
    interrupted(replace(E, seed=3), tmp_path)
    gone, network = trees.waterbirds(tmp_path / "birds"), {"model": "cnn", "pretrained": False}
    run(Experiment("waterbirds", "retrain", root=str(gone), groups="uniform",
                   overrides=E.overrides | network | {"precision": "fp32"}), tmp_path)
    gone.rename(tmp_path / "moved")
    monkeypatch.setattr(methods, "registry", dict(methods.registry))
    own = dataclass(type("Own", (training.Method,), {}))
    methods.register("own", own)
    run(Experiment(method="own", overrides={"epochs": 1}), tmp_path)
    methods.registry.pop("own")
    good = paths(tmp_path)
    with monkeypatch.context() as older:
        older.setattr(code, "digest", lambda *roots: "older")
        run(replace(E, seed=4), tmp_path)
        interrupted(replace(E, seed=5), tmp_path)
    stale = paths(tmp_path) - good
    run(replace(E, seed=6), tmp_path)
    damaged = tmp_path / "models" / replace(E, seed=6).training_key
    (damaged / "record.json").write_text("{}")
    (tmp_path / "results" / "half").mkdir()
    return tmp_path, good | {f"results/{replace(E, seed=6).key}"}, stale


def test_it_says_what_is_there_and_removes_nothing_unasked(full, capsys):
    folder, _, stale = full
    before = paths(folder)
    said = asked(capsys, "--store", folder)
    assert f"{len(before)} entries" in said
    assert len(stale) == 3
    assert re.search(r"models +of older code +1 ", said)
    assert re.search(r"checkpoints +of older code +1 ", said)
    assert re.search(r"models +cannot be judged here +2 ", said)
    assert "would remove" in said
    assert paths(folder) == before


def test_prune_removes_the_rest_and_says_what(full, capsys):
    folder, good, _ = full
    said = asked(capsys, "--store", folder, "--prune")
    assert "retrain (of older code)" in said
    assert "no whole file (damaged or half)" in said
    assert re.search(r"removed (\d+) of \1$", said, re.MULTILINE)
    assert paths(folder) == good
    assert "nothing to remove" in asked(capsys, "--store", folder, "--prune")


def test_what_a_process_is_at_work_on_stays(full, capsys):
    folder, good, stale = full
    busy = next(name for name in stale if name.startswith("models"))
    with FileLock(Store(folder).lock(busy.split("/")[1])):
        said = asked(capsys, "--store", folder, "--prune")
    assert "processes are at work on the others" in said
    assert paths(folder) == good | {busy}


def test_an_empty_store_is_no_error(tmp_path, capsys):
    assert "0 entries, 0.0 MB" in asked(capsys, "--store", tmp_path / "new")
    assert json.loads((tmp_path / "new" / "store.json").read_text())
