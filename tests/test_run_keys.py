"""Test that the key of a run changes if and only if its result can change."""

import shutil
import sys
from dataclasses import dataclass, replace

import pytest
import trees
from conftest import same_state, weights_of
from torch import Tensor

from grmu import Experiment, methods, run, training
from grmu.data.files import PACKAGE
from grmu.experiments.run import run_keys

MODULE = sys.modules["grmu.experiments.run"]
ONE = {"epochs": 1, "warmup_epochs": 0}


# --- code ---------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package from whose files the keys are computed."""
    copied = tmp_path / "grmu"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(MODULE, "PACKAGE", copied)
    MODULE.code_digest.cache_clear()
    yield copied
    MODULE.code_digest.cache_clear()


def keys_after(package, file, old, new):
    """Return the keys of the default experiment after an edit, and undo the edit."""
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    MODULE.code_digest.cache_clear()
    keys = run_keys(Experiment())
    path.write_text(text)
    MODULE.code_digest.cache_clear()
    return keys


def test_an_edited_loss_never_returns_an_old_result(package):
    before = run_keys(Experiment())
    edits = [("methods/miu.py", "loss + self.lam * gap**2", "loss - self.lam * gap**2"),
             ("mine.py", "joint - log_partition", "joint + log_partition"),
             ("training.py", "config.lr * (1 + math.cos", "config.lr * (2 + math.cos"),
             ("metrics.py", "def evaluate", "def  evaluate"), ("data/core.py", "0.5", "0.6"),
             ("experiments/run.py", "e.seed + 1", "e.seed + 2")]
    keys = [before, *(keys_after(package, *edit) for edit in edits)]
    assert len({k.weights for k in keys}) == len({k.result for k in keys}) == 1 + len(edits)
    assert run_keys(Experiment()) == before


def test_code_that_computes_no_result_is_not_in_the_key(package):
    before = run_keys(Experiment())
    for file in ("plots/style.py", "analysis/tables.py", "experiments/parallel.py"):
        assert keys_after(package, file, "import", "\nimport") == before


# --- data and settings --------------------------------------------------------------------------------------


def test_two_data_folders_never_share_a_result_and_a_moved_folder_keeps_its_own(tmp_path):
    one = trees.waterbirds(tmp_path / "one")
    moved, other = (shutil.copytree(one, tmp_path / name) for name in ("moved", "other"))
    picture = sorted(other.rglob("*.jpg"))[0]
    shutil.copy(sorted(other.rglob("*.jpg"))[-1], picture)
    keys = [run_keys(Experiment("waterbirds", "retrain", root=str(root), overrides={"pretrained": False}))
            for root in (one, moved, other)]
    assert keys[0] == keys[1]
    assert not set(keys[0]) & set(keys[2])


def test_a_setting_that_is_given_with_the_presets_value_changes_nothing():
    e = Experiment()
    for name, value in e.settings.items():
        assert run_keys(Experiment(overrides={name: value})) == run_keys(e), name
    assert run_keys(Experiment(groups=[[1, 1]])) == run_keys(Experiment(groups=((1, 1),)))


def test_any_other_setting_or_field_has_keys_of_its_own():
    e = Experiment()
    runs = [e, *(Experiment(overrides={name: value}) for name, value in (
        ("lam", 7), ("lr", 0.5), ("mine_hidden", 8), ("augment", not e.settings["augment"]))),
        *(replace(e, **{name: value}) for name, value in (
            ("dataset", "groundwear-memorised"), ("method", "finetune"), ("reweight", True), ("ratio", 0.4),
            ("groups", "uniform"), ("seed", 1), ("split_seed", 0), ("half", True), ("grouping", "probe"),
            ("pretraining", {"epochs": 3}), ("protocol", "released"), ("tiny", True)))]
    keys = [run_keys(x) for x in runs]
    assert len({k.weights for k in keys}) == len({k.result for k in keys}) == len(runs)


@pytest.mark.parametrize("method", ["pretrain", "group_dro_pretrain"])
def test_all_splits_share_the_weights_of_an_original_model_but_not_its_results(method):
    e = Experiment(method=method)
    splits = [e, replace(e, ratio=0.2), replace(e, groups="uniform"), replace(e, split_seed=7)]
    assert len({run_keys(x).weights for x in splits}) == 1
    assert len({run_keys(x).result for x in splits}) == len(splits)
    others = [replace(e, seed=1), replace(e, half=True), replace(e, half=True, seed=1)]
    assert len({run_keys(x).weights for x in (e, *others)}) == 1 + len(others)
    assert run_keys(replace(e, half=True, split_seed=7)).weights == run_keys(replace(e, half=True)).weights


@pytest.mark.parametrize("method", ["pretrain", "group_dro_pretrain"])
def test_the_weights_of_an_original_model_do_not_depend_on_what_is_forgotten(method, tmp_path, few_pictures):
    e = Experiment(method=method, overrides=ONE)
    others = [replace(e, ratio=0.2), replace(e, groups=((0, 0),), split_seed=7)]
    here, *there = (weights_of(run(x, tmp_path / str(i))) for i, x in enumerate((e, *others)))
    assert all(same_state(here, weights) for weights in there)
    retrained = run(replace(e, method={"pretrain": "retrain"}.get(method, "group_dro")), tmp_path)
    assert not same_state(here, weights_of(retrained))


# --- methods of a notebook ----------------------------------------------------------------------------------


def define(factor):
    """Define and register a method, as a notebook's cell does."""

    @dataclass
    class Scaled(training.Method):
        init_from = None

        def retain_loss(self, batch) -> Tensor:
            return factor * super().retain_loss(batch)

    Scaled.__module__ = "__main__"
    methods.register("scaled", Scaled)


def test_a_method_of_a_notebook_is_trained_each_time_and_each_result_has_its_own_model(
        tmp_path, few_pictures, monkeypatch):
    monkeypatch.setattr(methods, "registry", dict(methods.registry))
    e, results = None, []
    for factor in (1.0, 2.0, 1.0):
        define(factor)
        e = Experiment(method="scaled", overrides=ONE)
        results.append(run(e, tmp_path))
    assert len({result.folder for result in results}) == 3
    one, edited, restored = (result.model.state_dict() for result in results)
    assert not same_state(one, edited)
    assert same_state(one, restored)
    assert all(same_state(result.model.state_dict(), weights_of(result)) for result in results)
    assert run(Experiment(method="retrain", overrides=ONE), tmp_path).metrics == results[0].metrics
