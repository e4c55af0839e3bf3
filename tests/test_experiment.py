"""Test experiments: accepted values, keys, and that a run depends only on its experiment."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from conftest import REPOSITORY, same_state, start_python, weights_of

from grmu import Experiment, discover, run, run_all, training
from grmu.experiments import load_split
from grmu.experiments.run import run_keys
from grmu.metrics import OVERALL

pytestmark = pytest.mark.usefixtures("few_pictures")

ONE = {"epochs": 1, "warmup_epochs": 0}
RETRAIN = Experiment(method="retrain", overrides=ONE)
MIU = Experiment(method="miu", overrides={"epochs": 2, "first_updates": 3, "later_updates": 2})


@pytest.fixture
def trainings(monkeypatch):
    """The methods that were trained, in order."""
    done, real = [], training.train

    def counted(method, *arguments, **more):
        done.append(type(method).__name__)
        return real(method, *arguments, **more)

    monkeypatch.setattr(training, "train", counted)
    return done


PROGRAM = """
import sys, random, torch, numpy
from grmu import Experiment, run
torch.manual_seed(2), random.seed(2), numpy.random.seed(2), torch.set_num_threads(2)
short = {"epochs": 1, "warmup_epochs": 0}
retrain = Experiment(method="retrain", reweight=True, overrides=short, pretraining=short)
settings = {"epochs": 2, "first_updates": 3, "later_updates": 2}
miu = Experiment(method="miu", overrides=settings, pretraining=short)
for e in (miu, retrain):
    print(run(e, sys.argv[1]).folder.name)
"""


@pytest.fixture(scope="module")
def fresh_process(few_pictures, tmp_path_factory):
    """Run PROGRAM in a fresh process, and meanwhile the same runs here with other seeds and threads."""
    folder = tmp_path_factory.mktemp("processes")
    process = start_python(PROGRAM, folder / "other")
    runs = replace(RETRAIN, reweight=True, pretraining=ONE), replace(MIU, pretraining=ONE)
    keys = [run(e, folder / "one").folder.name for e in runs]
    out, err = process.communicate()
    assert process.returncode == 0, err[-600:]
    return SimpleNamespace(folder=folder, keys=keys, out=out)


# --- settings -----------------------------------------------------------------------------------------------


def test_settings_are_defaults_then_preset_then_overrides():
    preset = yaml.safe_load((REPOSITORY / "grmu" / "experiments" / "presets" / "groundwear.yaml").read_text())
    retrain, miu = Experiment(method="retrain").settings, Experiment(method="miu").settings
    assert retrain["momentum"] == training.TrainConfig.momentum  # in no preset: the default
    assert {k: retrain[k] for k in preset["fresh"]} == preset["fresh"]
    block = preset["original"] | preset["methods"]["miu"]
    assert {k: miu[k] for k in block} == block
    assert miu["model"] == preset["network"]["model"]
    chosen = Experiment(method="miu", overrides={"lr": 0.007, "lam": 4, "momentum": 0.5})
    assert (chosen.config.lr, chosen.make_method().lam, chosen.config.momentum) == (0.007, 4, 0.5)
    untouched = set(miu) - {"lr", "lam", "momentum"}
    assert {k: chosen.settings[k] for k in untouched} == {k: miu[k] for k in untouched}


def test_the_original_and_the_gold_standard_are_on_the_same_split():
    e = Experiment(ratio=0.3, seed=4, groups=((0, 1),), reweight=True, overrides={"model": "cnn", "lam": 2})
    assert (e.original.method, e.original.reweight, e.original.overrides) == ("pretrain", False,
                                                                             {"model": "cnn"})
    assert (e.gold.method, e.gold.reweight, dict(e.gold.overrides)) == ("retrain", True, {"model": "cnn"})
    for other in (e.original, e.gold):
        assert (other.dataset, other.ratio, other.seed, other.groups) == (e.dataset, e.ratio, e.seed,
                                                                          e.groups)


def test_groups_are_asked_of_the_original_or_of_one_that_stops_early():
    e = Experiment(seed=4, half=True, grouping="clusters", overrides={"model": "cnn", "lam": 2})
    assert e.source == e.original
    early = replace(e, grouping="errors").source
    assert (early.method, early.grouping, early.seed, early.half) == ("pretrain", "true", 4, True)
    assert dict(early.overrides) == {"model": "cnn", **discover.GROUPINGS["errors"].early}
    assert early.config.epochs == 1 < e.original.config.epochs


# --- equality -----------------------------------------------------------------------------------------------


def test_experiments_are_equal_if_every_field_and_setting_is():
    e = Experiment()
    same = [Experiment(), Experiment(overrides={"lam": e.settings["lam"]}), Experiment(ratio=0.5)]
    assert set(same) == {e}
    assert Experiment(groups=[[1, 1]]) == Experiment(groups=((1, 1),)) != e
    assert e != "an experiment"
    different = [Experiment(dataset="groundwear-memorised"), Experiment(method="finetune"),
                 Experiment(reweight=True), Experiment(ratio=0.4), Experiment(groups="uniform"),
                 Experiment(groups=((1, 1),)), Experiment(seed=1), Experiment(split_seed=0),
                 Experiment(half=True), Experiment(grouping="clusters"), Experiment(tiny=True),
                 Experiment(pretraining={"epochs": 3}), Experiment(protocol="released")]
    changed = {name: value + 1 for name, value in e.settings.items() if type(value) in (int, float)}
    changed |= {name: not value for name, value in e.settings.items() if isinstance(value, bool)}
    changed |= {"weight_decay": 0.1, "momentum": 0.5, "schedule": "constant", "optimizer": "adamw",
                "precision": "bf16", "model": "resnet18", "warmup_by": "step",
                "keep": "best"}
    assert set(changed) == set(e.settings)
    del changed["pretrained"]  # the CNN has no such weights
    different += [Experiment(overrides={name: value}) for name, value in changed.items()]
    assert len({e, *different}) == len({hash(x) for x in (e, *different)}) == 1 + len(different)


def test_tiny_is_little_of_everything():
    e = Experiment("celeba", "miu", tiny=True)
    assert (e.config.epochs, e.config.batch_size) == (1, 8)
    assert (e.network.pretrained, e.network.model) == (False, "resnet18")
    assert e.original.tiny
    assert e != replace(e, tiny=False)
    assert e.gold.config.epochs == 1
    assert Experiment(method="miu", tiny=True).make_method().first_updates == 1
    splits, *_ = load_split(Experiment(tiny=True))
    assert splits.train.group_counts().tolist() == [1, 1, 1, 10]
    assert splits.test.group_counts().tolist() == [1, 1, 1, 1]
    many, *_ = load_split(Experiment("groundwear-many", tiny=True, groups=((0, 0), (3, 1))))
    assert (many.test.n_groups, len(many.train), len(many.test)) == (63, 2 * 5 + 4, 2 + 4)


def test_pretraining_changes_what_starts_afresh_and_nothing_else():
    e = Experiment(pretraining={"epochs": 3, "augment": False}, overrides={"epochs": 2})
    for started in (e.original, e.gold):
        assert (started.config.epochs, started.config.augment) == (3, False)
        assert started.config.batch_size == Experiment(method="retrain").config.batch_size
    assert e.config == Experiment(overrides={"epochs": 2}).config
    with pytest.raises(ValueError, match="epochs must be a whole number from 0 to 10000, got -1"):
        Experiment(pretraining={"epochs": -1})


# --- running ------------------------------------------------------------------------------------------------


def test_a_run_measures_and_remembers(store):
    result = run(RETRAIN, store)
    assert {"RA", "UA", "TA", "MIA", "EO", "GA", "DP", "EP", "WG"} <= set(result.metrics)
    assert list(result.curves["epoch"]) == [1]
    assert {"retain_loss", "TA", "GA", "UA"} <= set(result.curves)
    assert result.folder == store / "models" / run_keys(RETRAIN).weights
    assert result.seconds > 0
    row = result.row()
    assert (row["method"], row["ratio"], row["TA"], row["epochs"]) == ("retrain", 0.5, result.metrics["TA"],
                                                                       1)
    json.dumps(row)  # plain values only


def test_the_accuracies_by_group_are_those_of_the_table_in_group_order(store):
    result, test = run(RETRAIN, store), load_split(RETRAIN)[0].test
    table = result.accuracy.set_index("group").accuracy
    assert result.by_group() == [table[name] for name in test.group_names] == result.row()["by_group"]
    assert set(table.index) == {*OVERALL, *test.group_names}
    right = training.predict(result.model, result.model, test.x).argmax(1) == test.y
    assert result.by_group() == pytest.approx([right[test.group == g].float().mean().item()
                                               for g in range(4)])


def test_a_finished_run_is_read_and_not_computed_again(store, trainings):
    first = run(RETRAIN, store)
    trainings.clear()
    second = run(RETRAIN, store)
    assert trainings == []
    assert second.metrics == first.metrics
    assert second.seconds == first.seconds
    pd.testing.assert_frame_equal(second.accuracy, first.accuracy)
    pd.testing.assert_frame_equal(second.curves, first.curves)


def test_fresh_trains_again_to_the_same_numbers(store, trainings):
    first = run(RETRAIN, store)
    before, epochs = weights_of(first), []
    trainings.clear()
    again = run(RETRAIN, store, fresh=True, on_epoch=lambda epoch, row: epochs.append(epoch))
    assert trainings == ["Retrain"]
    assert epochs == [1]
    assert again.metrics == first.metrics
    assert same_state(weights_of(again), before)


def test_the_original_is_trained_once_for_all_methods_and_splits(tmp_path, trainings):
    finetune = Experiment(method="finetune", overrides={"epochs": 1}, pretraining=ONE)
    run(finetune, tmp_path)
    run(replace(finetune, ratio=0.25), tmp_path)
    run(replace(MIU, pretraining=ONE), tmp_path)
    run(finetune.original, tmp_path)
    assert trainings == ["Pretrain", "FineTune", "FineTune", "MIU"]


def test_a_run_without_epochs_measures_what_it_starts_from(store):
    e = Experiment(method="finetune", overrides={"epochs": 0})
    result, original = run(e, store), run(e.original, store)
    assert same_state(weights_of(result), weights_of(original))
    assert result.metrics == original.metrics
    assert result.curves.empty
    again = run(e, store)
    assert (again.metrics, again.by_group()) == (result.metrics, result.by_group())
    assert again.curves.empty


def test_a_split_seed_chooses_the_forget_set_and_the_seed_all_else(store):
    e = replace(RETRAIN, seed=3)
    one, other = (replace(RETRAIN, seed=seed, split_seed=3) for seed in (4, 5))
    chosen = [load_split(x)[1].forget_index for x in (e, one, other)]
    assert torch.equal(chosen[0], chosen[1])
    assert torch.equal(chosen[0], chosen[2])
    assert not torch.equal(chosen[0], load_split(replace(RETRAIN, seed=4))[1].forget_index)
    assert not same_state(weights_of(run(one, store)), weights_of(run(other, store)))
    assert same_state(weights_of(run(replace(e, split_seed=3), store)), weights_of(run(e, store)))
    assert load_split(replace(e, split_seed=0))[1].forget_index.tolist() == \
        load_split(RETRAIN)[1].forget_index.tolist()  # 0 is a seed, not "unset"


def test_rows_show_these_fields_where_they_are_set(store):
    set_fields = {"split_seed": 2, "half": True, "grouping": "random"}
    plain = run(RETRAIN, store).row()
    assert not set(set_fields) & set(plain)
    for name, value in set_fields.items():
        row = run(replace(RETRAIN, **{name: value}), store).row()
        assert row[name] == value
        assert set(row) == {*plain, name}
        json.dumps(row)
    table = run_all([RETRAIN, replace(RETRAIN, half=True), replace(RETRAIN, split_seed=2)], store,
                    progress=False)
    assert table.half.isna().tolist() == [True, False, True]
    assert table.split_seed.isna().tolist() == [True, True, False]
    assert "grouping" not in table


def test_uniform_forgetting_takes_all_groups_and_measures_the_default_one():
    splits, split, groups = load_split(Experiment(groups="uniform", ratio=0.5))
    assert (split.forget.group_counts() > 0).all()
    assert groups == (splits.forget_group,) == ((1, 1),)


def test_two_processes_give_the_rows_that_one_gives(tmp_path):
    # not "groundwear": other processes do not see that it was shrunken
    quick = Experiment("groundwear-memorised", "retrain", tiny=True)
    runs = [replace(quick, seed=1), replace(quick, reweight=True), quick]
    one, two = (run_all(runs, tmp_path / str(jobs), progress=False, jobs=jobs) for jobs in (1, 2))
    assert list(one["seed"]) == [1, 0, 0]
    assert list(one["reweight"]) == [False, True, False]
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"), check_exact=True)
    pd.testing.assert_frame_equal(run_all(runs, tmp_path / "2", progress=False), two,
                                  check_exact=True)  # kept in the store
    # weights are called by their SHA-256
    one, two = (sorted(p.name for p in (tmp_path / jobs).glob("models/*/*.safetensors")) for jobs in "12")
    assert one == two
    assert len(set(one)) == 3


def test_loss_that_explodes_stops_the_run_and_stores_nothing(tmp_path):
    e = replace(RETRAIN, overrides={"epochs": 2, "warmup_epochs": 0, "lr": 100.0, "weight_decay": 1.0})
    with pytest.raises(FloatingPointError, match="Retrain"):
        run(replace(e, overrides=dict(e.overrides) | {"momentum": 0.9999, "epochs": 60, "batch_size": 4}),
            tmp_path)
    assert list(tmp_path.glob("models/*")) == []
    assert list(tmp_path.glob("results/*")) == []


def records(folder):
    actual = {}
    for path in sorted(folder.glob("*/*/*")):
        content = path.read_bytes()
        if path.name == "record.json":
            content = json.loads(content) | {"seconds": None, "sha256": None}
        actual[path.relative_to(folder).as_posix()] = content
    return actual


def test_a_fresh_process_gives_the_same_bits_as_this_one_in_any_order_on_any_load(fresh_process):
    assert fresh_process.out.split()[:2] == fresh_process.keys[::-1]
    one, other = records(fresh_process.folder / "one"), records(fresh_process.folder / "other")
    assert len([name for name in one if name.endswith(".safetensors")]) == 3
    assert len([name for name in one if name.startswith("results/")]) == 3
    assert one.keys() == other.keys()
    for name in one:
        assert one[name] == other[name], name


# --- interruptions ------------------------------------------------------------------------------------------


