"""Experiments: what they accept, what names them, and that a run is a function of its experiment."""

import json
import os
import platform
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from conftest import REPOSITORY, same_state, start_python, weights_of

from grmu import Experiment, discover, methods, numerics, reweight, run, run_all, training
from grmu.data.subsets import random_half
from grmu.experiments import load_split, map_experiments, train_or_load
from grmu.experiments.run import run_keys
from grmu.experiments.store import Store
from grmu.metrics import OVERALL

pytestmark = pytest.mark.usefixtures("few_pictures")

ONE = {"epochs": 1, "warmup_epochs": 0}
RETRAIN = Experiment(method="retrain", overrides=ONE)
MIU = Experiment(method="miu", overrides={"epochs": 2, "first_updates": 3, "later_updates": 2})


@pytest.fixture
def trainings(monkeypatch):
    """The methods that were really trained, in order."""
    done, real = [], training.train

    def counted(method, *arguments, **more):
        done.append(type(method).__name__)
        return real(method, *arguments, **more)

    monkeypatch.setattr(training, "train", counted)
    return done


# --- what is accepted: what is not, tests/test_wrong_use.py ------------------------------------------------


def test_a_group_that_the_data_lacks_is_rejected_by_the_run(tmp_path, trainings):
    with pytest.raises(ValueError, match=r"unknown group \(7, 7\)"):
        run(replace(RETRAIN, groups=((7, 7),)), tmp_path)
    assert trainings == []


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
    """What a fresh process prints and writes that runs PROGRAM; and meanwhile this process the same runs in
    another order, with other seeds and threads."""
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


def test_every_known_data_set_and_method_has_valid_settings():
    for dataset in ("groundwear", "groundwear-memorised", "groundwear-many"):
        for method in methods.registry:
            e = Experiment(dataset, method)
            assert type(e.make_method()) is methods.get(method)
            in_one_stroke = method in ("ssd", "influence", "adjust")
            assert (e.config.epochs == 0) == in_one_stroke, method


def test_an_experiment_is_called_by_what_runs_differ_in():
    assert str(Experiment(reweight=True, seed=3)) == "miu + REWEIGHT, r=0.5, seed 3"
    assert str(Experiment(method="retrain", ratio=51 / 5692,
                          groups="uniform")) == "retrain, r=0.00896, seed 0"
    assert str(Experiment(ratio=(0.5, 0.1), groups=((1, 1), (0, 0)))) == "miu, r=0.5 0.1, seed 0"


def test_the_original_and_the_gold_standard_are_on_the_same_split():
    e = Experiment(ratio=0.3, seed=4, groups=((0, 1),), reweight=True, overrides={"model": "cnn", "lam": 2})
    assert (e.original.method, e.original.reweight, dict(e.original.overrides)) == (
        "pretrain",
        False,
        {"model": "cnn"},
    )
    assert (e.gold.method, e.gold.reweight, dict(e.gold.overrides)) == ("retrain", True, {"model": "cnn"})
    for other in (e.original, e.gold):
        assert (other.dataset, other.ratio, other.seed, other.groups) == (e.dataset, e.ratio, e.seed,
                                                                          e.groups)


def test_the_original_and_the_gold_standard_of_a_shadow_are_on_its_half_and_split_with_the_true_groups():
    e = Experiment(seed=4, split_seed=9, half=True, grouping="probe", reweight=True)
    for other in (e.original, e.gold):
        assert (other.seed, other.split_seed, other.half, other.grouping) == (4, 9, True, "true")


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
                "precision": "bf16", "model": "resnet18", "warmup_by": "step"}
    assert set(changed) == set(e.settings)
    del changed["pretrained"]  # the CNN has no such weights
    different += [Experiment(overrides={name: value}) for name, value in changed.items()]
    assert len({e, *different}) == len({hash(x) for x in (e, *different)}) == 1 + len(different)


def test_a_ratio_for_each_group_names_another_run_and_one_ratio_the_run_that_it_named_before():
    both = ((1, 1), (0, 0))
    runs = [Experiment(method="retrain", groups=both, ratio=ratio)
            for ratio in (0.5, (0.5, 0.5), (0.5, 0.1), (0.1, 0.5))]
    assert len(set(runs)) == len({run_keys(r).weights for r in runs}) == len(runs)
    assert runs[0].ratio == 0.5
    assert runs[2].ratio == runs[2].gold.ratio == replace(runs[2], seed=1).ratio == (0.5, 0.1)
    assert Experiment(ratio=[0.5, 0.1], groups=both) == Experiment(ratio=(0.5, 0.1), groups=both)
    assert load_split(runs[2]).split.forget.group_counts().tolist() == [7, 0, 0, 12]
    assert len({run_keys(r.original).weights for r in runs}) == 1


def test_the_released_settings_of_a_ratio_for_each_group_are_those_of_their_mean():
    groups = ((0, 0), (1, 1))
    means, apart = (Experiment("celeba", "salun", ratio=r, groups=groups) for r in (0.9, (0.8, 1.0)))
    assert apart.settings == means.settings


def test_a_setting_of_another_method_is_rejected_with_the_methods_that_have_it():
    with pytest.raises(ValueError, match="unknown setting eta for miu, but a setting of group_dro: choose"):
        Experiment(method="miu", overrides={"eta": 0.1})
    with pytest.raises(ValueError, match="unknown setting laam for miu: choose from"):
        Experiment(method="miu", overrides={"laam": 1})


def test_tiny_is_little_of_everything():
    e = Experiment("celeba", "miu", tiny=True)
    assert (e.config.epochs, e.config.batch_size) == (1, 8)
    assert (e.network.pretrained, e.network.model) == (False, "resnet18")
    assert e.original.tiny
    assert e != replace(e, tiny=False)
    assert e.gold.config.epochs == 1
    assert Experiment(method="miu", tiny=True).make_method().first_updates == 1
    parts = load_split(Experiment(tiny=True))
    assert parts.splits.train.group_counts().tolist() == [1, 1, 1, 10]
    assert parts.splits.test.group_counts().tolist() == [1, 1, 1, 1]
    many = load_split(Experiment("groundwear-many", tiny=True, groups=((0, 0), (3, 1)))).splits
    assert (many.test.n_groups, len(many.train), len(many.test)) == (63, 2 * 5 + 4, 2 + 4)


def test_pretraining_changes_what_starts_afresh_and_nothing_else():
    e = Experiment(pretraining={"epochs": 3, "augment": False}, overrides={"epochs": 2})
    for started in (e.original, e.gold):
        assert (started.config.epochs, started.config.augment) == (3, False)
        assert started.config.batch_size == Experiment(method="retrain").config.batch_size
    assert e.config == Experiment(overrides={"epochs": 2}).config
    with pytest.raises(ValueError, match="unknown setting lam in pretraining: choose from augment, b"):
        Experiment(pretraining={"lam": 1.0})
    with pytest.raises(ValueError, match="epochs must be a whole number from 0 to 10000, but is -1"):
        Experiment(pretraining={"epochs": -1})
    with pytest.raises(ValueError, match="pretraining must map setting names to values, but is 3"):
        Experiment(pretraining=3)


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


def test_a_group_without_test_samples_keeps_its_place(store):
    result = run(RETRAIN, store)
    result.accuracy.loc[result.accuracy.group == "sneaker on grass", "accuracy"] = float("nan")
    names = load_split(RETRAIN)[0].test.group_names
    assert [str(v) == "nan" for v in result.by_group()] == [name == "sneaker on grass" for name in names]


def test_a_run_says_with_what_it_was_computed_and_not_with_what_it_is_read(tmp_path):
    expected = {"torch": torch.__version__, "python": platform.python_version(),
                "machine": f"{platform.system()} {platform.machine()}, cpu"}
    result = run(RETRAIN, tmp_path)
    name, _, units = result.made_by["processor"].rpartition(", ")
    assert units == torch.backends.cpu.get_cpu_capability()
    if Path("/proc/cpuinfo").is_file() and "model name" in Path("/proc/cpuinfo").read_text():
        assert f": {name}\n" in Path("/proc/cpuinfo").read_text()
    expected["processor"] = result.made_by["processor"]
    path = result.folder / "record.json"
    record = json.loads(path.read_text())
    assert result.made_by == record["made_by"] == expected
    assert set(record) == {"curves", "seconds", "made_by", "weights", "sha256"}
    del record["sha256"]
    Store(tmp_path).write("models", result.folder.name, record | {"made_by": expected | {"torch": "1.0"}},
                          weights_of(result))
    assert run(RETRAIN, tmp_path).made_by == expected | {"torch": "1.0"}


def test_the_loaded_model_is_the_trained_one(store):
    result = run(RETRAIN, store)
    assert not result.model.training
    assert same_state(result.model.state_dict(), weights_of(result))
    splits, split, _ = load_split(RETRAIN)
    right = training.predict(result.model, result.model, splits.test.x).argmax(1) == splits.test.y
    assert right.float().mean().item() == pytest.approx(result.metrics["TA"])
    assert result.curves["TA"].iloc[-1] == pytest.approx(result.metrics["TA"])
    forgotten = training.predict(result.model, result.model, split.forget.x).argmax(1) == split.forget.y
    assert forgotten.float().mean().item() == pytest.approx(result.metrics["UA"])


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
    run(MIU, tmp_path)
    run(replace(MIU, ratio=0.25), tmp_path)
    run(Experiment(method="finetune", overrides={"epochs": 1}), tmp_path)
    run(MIU.original, tmp_path)
    assert trainings == ["Pretrain", "MIU", "MIU", "FineTune"]


def test_fresh_does_not_train_the_original_again(tmp_path, trainings):
    run(MIU, tmp_path)
    run(MIU, tmp_path, fresh=True)
    assert trainings == ["Pretrain", "MIU", "MIU"]


def test_each_epoch_is_reported_with_its_row_of_the_curves(tmp_path):
    seen = []
    result = run(replace(RETRAIN, overrides={"epochs": 3, "warmup_epochs": 0}), tmp_path,
                 on_epoch=lambda epoch, row: seen.append((epoch, dict(row))))
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert pd.DataFrame([row for _, row in seen]).equals(result.curves)


def test_reweight_and_group_dro_change_what_is_learned(store):
    plain, reweighted, dro = (run(e, store) for e in (
        RETRAIN, replace(RETRAIN, reweight=True), replace(RETRAIN, method="group_dro")))
    assert not same_state(weights_of(plain), weights_of(reweighted))
    assert not same_state(weights_of(plain), weights_of(dro))


@pytest.fixture
def contexts(monkeypatch):
    """The context of every training, in order."""
    contexts, real = [], training.train

    def noting(method, context, *more):
        contexts.append(context)
        return real(method, context, *more)

    monkeypatch.setattr(training, "train", noting)
    return contexts


def test_a_method_is_given_reweights_weights_or_none(tmp_path, contexts):
    for e in (RETRAIN, replace(RETRAIN, reweight=True)):
        run(e, tmp_path)
    plain, reweighted = contexts
    assert plain.weights is None
    assert torch.equal(reweighted.weights, reweight.sample_weights(reweighted.train, reweighted.retain))
    assert reweighted.weights.sum().item() == pytest.approx(1)


def test_a_run_without_epochs_measures_what_it_starts_from(store):
    e = Experiment(method="finetune", overrides={"epochs": 0})
    result, original = run(e, store), run(e.original, store)
    assert same_state(weights_of(result), weights_of(original))
    assert result.metrics == original.metrics
    assert result.curves.empty
    again = run(e, store)
    assert (again.metrics, again.by_group()) == (result.metrics, result.by_group())
    assert again.curves.empty


def test_a_run_without_a_retain_pass_has_no_such_loss(store):
    e = Experiment(method="gradient_ascent", overrides={"epochs": 2, "forget_epochs": 1, "retains": False})
    result = run(e, store)
    assert "retain_loss" not in result.curves
    assert result.curves["forget_loss"].notna().tolist() == [True, False]
    assert not same_state(weights_of(result), weights_of(run(e.original, store)))


def test_methods_of_one_seed_forget_the_same_samples():
    splits = [load_split(Experiment(method=m, seed=3))[1].forget_index
              for m in ("retrain", "miu", "group_dro")]
    assert torch.equal(splits[0], splits[1])
    assert torch.equal(splits[0], splits[2])


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


def test_a_half_is_trained_on_a_half_and_measured_on_all_of_the_test_set(store, contexts):
    e = replace(MIU, seed=6, half=True)
    result = run(e, store)
    splits, split, _ = load_split(e)
    whole = load_split(MIU)[0]
    expected = whole.train.subset(random_half(whole.train, 6))
    assert torch.equal(splits.train.x, expected.x)
    assert (len(split.retain) + len(split.forget), len(split.forget)) == (97, 6)
    assert [torch.equal(c.train.x, expected.x) for c in contexts] == [True, True]  # PRETRAIN's too
    assert torch.equal(contexts[0].retain.x, expected.x)
    assert torch.equal(contexts[1].forget.x, split.forget.x)
    assert (len(splits.val), len(splits.test)) == (len(whole.val), len(whole.test))
    assert result.accuracy.set_index("group").n["TA"] == len(whole.test)
    assert len(whole.train) == 194  # the data that all experiments share is as it was


def test_train_or_load_gives_the_model_of_the_run(tmp_path, trainings):
    model = train_or_load(MIU, tmp_path)
    assert trainings == ["Pretrain", "MIU"]
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert same_state(train_or_load(MIU, tmp_path).state_dict(), model.state_dict())
    assert same_state(weights_of(run(MIU, tmp_path)), model.state_dict())
    assert trainings == ["Pretrain", "MIU"]  # the run is read, and so is the model


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


def test_pretrains_curves_are_of_the_groups_asked_for_in_any_order(tmp_path):
    e = Experiment(method="pretrain", overrides=ONE)
    curves = []
    for name, order in (("one", ("default", ((0, 0),))), ("other", (((0, 0),), "default"))):
        actual = {str(g): run(replace(e, groups=g), tmp_path / name).curves for g in order}
        curves.append([actual[k].to_dict("list") for k in sorted(actual)])
    assert curves[0] == curves[1]


def test_many_runs_become_one_table_in_their_order(store):
    table = run_all([replace(RETRAIN, seed=1), RETRAIN], store, progress=False)
    assert list(table["seed"]) == [1, 0]
    assert {"dataset", "method", "reweight", "ratio", "groups", "RA", "UA", "TA", "MIA", "EO",
            "GA"} <= set(table)


def refuse_one(e):
    if e.seed == 1:
        raise FloatingPointError("one is bad")
    return e.seed, os.getpid()


def meet(e, folder):
    """Come back only when another process has come here too; the first of the list comes back last."""
    actual = refuse_one(e)
    (folder / str(e.seed)).touch()
    patience = time.monotonic() + 300
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > patience:
            raise TimeoutError("nobody else came")
        time.sleep(0.02)
    time.sleep(0.5 * (e.seed == 5))
    return actual


def until_the_error(function, jobs):
    """Two answers, and the error that follows."""
    results = map_experiments(function, [replace(RETRAIN, seed=s) for s in (5, 2, 1, 0)], jobs, False)
    actual = [next(results), next(results)]
    with pytest.raises(FloatingPointError) as caught:
        next(results)
    return actual, caught.value


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory):
    return until_the_error(partial(meet, folder=tmp_path_factory.mktemp("meeting")), 2)


def test_several_processes_share_the_work_and_answer_in_the_order_of_the_list(of_two_processes):
    actual, _ = of_two_processes
    assert [seed for seed, _ in actual] == [5, 2]
    assert len({os.getpid(), *(pid for _, pid in actual)}) == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_comes_before_an_error_is_handed_over_and_the_error_is_passed_on(jobs, of_two_processes):
    actual, error = until_the_error(refuse_one, 1) if jobs == 1 else of_two_processes
    assert [seed for seed, _ in actual] == [5, 2]
    assert str(error) == "one is bad"


def test_one_process_takes_any_function_and_begins_only_what_is_asked_for():
    begun = []
    results = map_experiments(lambda e: begun.append(e.seed), [RETRAIN, replace(RETRAIN, seed=1)],
                              progress=False)
    assert begun == []
    next(results)
    assert begun == [0]


def test_the_bar_tells_what_is_being_run(capsys):
    list(map_experiments(lambda e: None, [replace(RETRAIN, seed=7)]))
    assert "retrain, r=0.5, seed 7" in capsys.readouterr().err
    list(map_experiments(lambda e: None, [replace(RETRAIN, seed=7)], progress=False))
    assert capsys.readouterr().err == ""


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


def test_training_takes_as_many_threads_on_any_machine(tmp_path):
    assert numerics.THREADS == 1
    seen, before = [], torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run(RETRAIN, tmp_path, on_epoch=lambda epoch, row: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_running_leaves_the_number_of_threads_and_the_random_state(tmp_path):
    torch.manual_seed(0)
    expected, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(0)
    run(RETRAIN, tmp_path)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


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


def test_an_interrupt_in_mid_run_leaves_the_store_usable(tmp_path, store):
    def press(epoch, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(RETRAIN, tmp_path, on_epoch=press)
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "locks"]
    assert [p.name for p in left] == ["store.json"]
    result = run(RETRAIN, tmp_path)  # the lock is free again, or this would wait for ever
    undisturbed = run(RETRAIN, store)
    assert result.metrics == undisturbed.metrics
    assert same_state(weights_of(result), weights_of(undisturbed))


def test_whoever_wants_a_run_that_another_is_computing_waits_and_reads_it(tmp_path, store, trainings):
    finished = run(RETRAIN, store)
    trainings.clear()
    here, box = Store(tmp_path), SimpleNamespace()
    key = run_keys(RETRAIN).weights
    with here.locked(key):  # as another process that trains it

        def wait():
            box.result = run(RETRAIN, tmp_path)

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        record = Store(store).read("models", key)
        here.write("models", key, record, weights_of(finished))
    waiting.join()
    assert trainings == []
    assert box.result.metrics == finished.metrics


def test_the_store_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "mine"))
    assert run(RETRAIN).folder.is_relative_to(tmp_path / "mine")
    assert os.environ["GRMU_STORE"]


def test_a_method_registered_here_runs_like_the_others(store, monkeypatch):
    monkeypatch.setattr(methods, "registry", dict(methods.registry))

    @dataclass
    class Ascent(training.Method):
        """Gradient ascent on the forget set, then nothing."""

        forget_epochs: int = 1

        def forget_loss(self, batch):
            return -super().retain_loss(batch)

    methods.register("ascent", Ascent)
    result = run(Experiment(method="ascent", overrides={"epochs": 1}), store)
    assert result.curves["forget_loss"].iloc[0] < 0
    assert result.curves["retain_loss"].iloc[0] > 0
