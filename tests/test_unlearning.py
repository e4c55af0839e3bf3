"""Test unlearning from a torchvision ResNet-18, and the errors for models and data that do not fit."""

import copy
import re
import sys
from functools import partial
from itertools import product
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, same_state, toy
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

import grmu
from grmu import data, methods
from grmu.analysis.tables import summary
from grmu.data import GroupedDataset, Splits
from grmu.numerics import THREADS
from grmu.training import TrainConfig

CLASSES, GROUNDS = ("ankle boot", "sneaker"), ("on brick", "on grass")  # of the page
SHORT = TrainConfig(epochs=2, lr=0.01, batch_size=16)


class Small(nn.Sequential):
    """A network of two layers on vectors of four numbers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.last = nn.Linear(8, 2)


@pytest.fixture
def splits():
    return Splits(*(toy([[30, 20], [20, 12]], seed=seed) for seed in range(3)), (1, 1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Small()


def forget_of(splits, ratio=0.5):
    return data.split_forget(splits.train, ratio, [splits.forget_group], seed=0).forget_index


@pytest.mark.parametrize("name", ["miu", "finetune", "salun", "scrub", "bad_teacher", "ssd",
                                  "boundary_expand"])
@pytest.mark.parametrize("reweight", [False, True])
def test_any_method_unlearns_and_leaves_the_argument_as_it_was(splits, model, name, reweight):
    before, mode = copy.deepcopy(model.state_dict()), model.training
    actual = grmu.unlearn(model, splits, forget_of(splits), methods.get(name)(), "last", reweight, SHORT)
    assert same_state(model.state_dict(), before)
    assert model.training is mode
    assert type(actual.model) is Small
    assert list(actual.metrics.index) == ["before", "after"]
    assert {"RA", "UA", "TA", "GA", "MIA", "val_GA"} <= set(actual.metrics)
    assert len(actual.curves) == 2
    assert same_state(actual.model.state_dict(), before) is False
    x = splits.test.x
    assert actual.model(x).shape == (len(x), 2)
    assert not any(module._forward_pre_hooks for module in actual.model.modules())


def test_before_is_doing_nothing_and_after_is_the_model_that_comes_back(splits, model):
    actual = grmu.unlearn(model, splits, forget_of(splits), head="last", config=SHORT)
    for when, network in (("before", model.eval()), ("after", actual.model)):
        right = (network(splits.test.x).argmax(1) == splits.test.y).float()
        assert actual.metrics.loc[when, "TA"] == pytest.approx(right.mean().item())


def test_it_is_a_function_of_its_arguments(splits, model):
    torch.manual_seed(5)
    one = grmu.unlearn(model, splits, forget_of(splits), head="last", config=SHORT, seed=3)
    torch.manual_seed(6)
    two = grmu.unlearn(model, splits, forget_of(splits), head="last", config=SHORT, seed=3)
    other = grmu.unlearn(model, splits, forget_of(splits), head="last", config=SHORT, seed=4)
    assert same_state(one.model.state_dict(), two.model.state_dict())
    assert not same_state(one.model.state_dict(), other.model.state_dict())


class Triples(Dataset):
    """A dataset that creates samples on request; `asked` records which."""

    def __init__(self, of: GroupedDataset):
        self.of, self.asked = of, []

    def __len__(self):
        return len(self.of)

    def __getitem__(self, i):
        self.asked.append(i)
        return self.of.x[i], self.of.y[i], int(self.of.a[i])


def test_a_dataset_of_triples_gives_the_same_as_arrays(splits, model):
    triples = [Triples(part) for part in splits[:3]]
    lazy = Splits(*map(data.from_dataset, triples), splits.forget_group)
    assert [t.asked for t in triples] == [list(range(len(part))) for part in splits[:3]]
    actual = [grmu.unlearn(model, s, forget_of(splits), head="last", config=SHORT) for s in (splits, lazy)]
    assert same_state(*(f.model.state_dict() for f in actual))
    assert lazy.train.x[3].tolist() == splits.train.x[3].tolist()
    assert lazy.train.name == GroupedDataset(torch.zeros(1), [0], [0]).name
    assert data.from_dataset(triples[0], name="mine").name == "mine"


def test_what_is_no_triple_is_named():
    with pytest.raises(ValueError, match=r"must hold triples \(x, y, a\) .*, but item 1 is \(ten.* 0\)\."):
        data.from_dataset([(torch.zeros(2), 0, 1), (torch.zeros(2), 0)])


@pytest.mark.parametrize(("change", "message"), [
    ({"head": "fc"}, "head must be 'last', the last linear layer, got 'fc'"),
    ({"head": "body.0"}, "head must be 'last', the last linear layer, got 'body.0'"),
    ({"model": 3}, "model must be a torch module, got 3"),
    ({"model": nn.Sequential(nn.Linear(4, 2), nn.Softmax(1))}, "without a softmax, .* these are 0"),
    ({"model": nn.Sequential(nn.Linear(4, 3)), "head": "0"}, "each of the 2 classes of toy, but returns 3"),
    ({"method": "mui"}, "unknown method 'mui': did you mean miu"),
    ({"method": 3}, r"method must be a name or a method, as MIU\(\), got 3"),
    ({"splits": 3}, r"splits must be three data sets .*, got 3"),
    ({"splits": [1, 2]}, r"splits must be three data sets .*, got \[1, 2\]"),
    ({"splits": {"train": 1}}, "splits must be three data sets"),
    ({"method": methods.Retrain()}, "method must be one that continues from a model"),
    ({"forget": [-1]}, "forget must be some, not all, of the row numbers 0 to 81"),
    ({"forget": []}, "forget must be some, not all"),
    ({"forget": list(range(82))}, "forget must be some, not all"),
    ({"forget": "all"}, "forget must be an array of numbers, got 'all'")])
def test_what_does_not_fit_is_said_before_any_work(splits, model, change, message):
    asked = {"model": model, "splits": splits, "forget": [0, 1], "head": "last", "config": SHORT} | change
    with pytest.raises(ValueError, match=message):
        grmu.unlearn(**asked)


class Records(Triples):
    """The same as dicts, with names; `threads` notes with how many threads they are made."""

    class_names, attribute_names = ("cat", "dog"), ("inside", "outside")

    def __getitem__(self, i):
        self.asked.append(torch.get_num_threads())
        return {"x": self.of.x[i], "y": self.of.y[i], "a": self.of.a[i]}


@pytest.mark.parametrize("given", [
    tuple, lambda parts: dict(zip(("train", "val", "test"), parts, strict=True)),
    lambda parts: [DataLoader(part, batch_size=3) for part in parts]])
def test_three_data_sets_are_splits_and_the_group_is_that_of_the_forget_set(splits, model, given):
    parts = given([Records(part) for part in splits[:3]])
    actual = grmu.unlearn(model, parts, forget_of(splits), config=SHORT)
    expected = grmu.unlearn(model, splits, forget_of(splits), head="last", config=SHORT)
    assert same_state(actual.model.state_dict(), expected.model.state_dict())
    assert actual.metrics.equals(expected.metrics)


def test_groups_have_names(splits):
    train = data.from_dataset(Records(splits.train))
    for name in ("dog outside", ("dog", "outside"), (1, 1)):
        assert train.group_id(name) == 3
    with pytest.raises(ValueError, match="cat inside, cat outside, dog inside, dog outside, got 'cow'"):
        train.group_id("cow")


def test_an_attribute_that_holds_the_group_is_noticed(splits):
    part = splits.train
    with pytest.warns(UserWarning, match="occurs in one class only: a must be the attribute"):
        GroupedDataset(part.x, part.y, part.group)


def test_it_sets_its_threads_itself(splits, model):
    parts, before = [Records(part) for part in splits[:3]], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        grouped = [data.from_dataset(part) for part in parts]
        for part in parts:
            part.asked.clear()
        grmu.unlearn(model, grouped, forget_of(splits), "finetune", config=SHORT)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert {threads for part in parts for threads in part.asked} == {THREADS}


@pytest.fixture
def compared(splits, model):
    return grmu.compare(model, splits, forget_of(splits), ["miu", methods.SCRUB(forget_epochs=1)],
                        config=SHORT, retraining=SHORT, seed=3)


def test_compare_has_the_references_and_each_method_with_its_model(splits, model, compared):
    names = ["PRETRAIN (original model)", "RETRAIN", "RETRAIN + REWEIGHT", "fine-tuning + REWEIGHT",
             "MIU + REWEIGHT", "SCRUB(forget_epochs=1) + REWEIGHT"]
    assert list(compared.table.index) == list(compared.models) == names
    assert compared.table.loc["RETRAIN + REWEIGHT", "avg. gap"] == "gold"
    assert compared.table.equals(summary(compared.rows))
    for name, accuracy in zip(names, compared.rows.TA, strict=True):
        network = compared.models[name].eval()
        assert (network(splits.test.x).argmax(1) == splits.test.y).float().mean() == pytest.approx(accuracy)
    alone = grmu.unlearn(model, splits, forget_of(splits), "miu", config=SHORT, seed=3)
    assert same_state(alone.model.state_dict(), compared.models["MIU + REWEIGHT"].state_dict())


def test_retraining_starts_from_fresh_weights(splits, model):
    none = TrainConfig(epochs=0)
    starts = [grmu.compare(model, splits, forget_of(splits), [], config=none, retraining=none, seed=seed,
                           **fresh)
              for seed, fresh in ((0, {}), (0, {}), (1, {}), (1, {"fresh": lambda: model}))]
    first, again, other, given = (start.models["RETRAIN"].state_dict() for start in starts)
    assert same_state(first, again)
    assert not same_state(first, other)
    assert same_state(given, model.state_dict())


def test_a_layer_that_cannot_be_reset_is_named(splits, model):
    model.body.token = nn.ParameterList([torch.zeros(3)])
    with pytest.raises(ValueError, match=r"body.token \(ParameterList\) has weights .* pass fresh="):
        grmu.compare(model, splits, forget_of(splits))


def test_a_table_that_lacks_columns_is_rejected_with_their_names(compared):
    with pytest.raises(ValueError, match="gives, but lack GA, seed"):
        summary(compared.rows.drop(columns=["seed", "GA"]))


def test_progress_can_be_switched_off(splits, model, capsys):
    grmu.unlearn(model, splits, forget_of(splits), config=SHORT, progress=False)
    assert capsys.readouterr().err == ""
    grmu.unlearn(model, splits, forget_of(splits), config=SHORT)
    assert "unlearning: " in capsys.readouterr().err


def test_the_page_on_ones_own_model_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    """With few epochs, on few and small pictures, whose second target is brighter."""
    rng = np.random.default_rng(0)
    for split, target, attribute, n in product(("train", "val", "test"), (0, 1), (0, 1), range(8)):
        folder = tmp_path / "pictures" / split / CLASSES[target] / GROUNDS[attribute]
        folder.mkdir(parents=True, exist_ok=True)
        colour = rng.integers(0, 100, 3) + 120 * target
        Image.new("RGB", (16, 16), tuple(map(int, colour))).save(folder / f"{n}.png")
    page = (REPOSITORY / "docs" / "your-own.md").read_text(encoding="utf-8")
    eight, _, script = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grmu, "compare", partial(grmu.compare, config=SHORT, retraining=SHORT))
    mine = ModuleType("mine")
    exec(compile(script, "unlearn.py", "exec"), vars(mine))
    first = capsys.readouterr().out
    assert same_state(mine.again.state_dict(), mine.result.models["MIU + REWEIGHT"].state_dict())
    assert "SalUn + REWEIGHT" in first
    monkeypatch.setitem(sys.modules, "mine", mine)
    exec(compile(eight, "eight.py", "exec"), {"__name__": "page"})
    assert "SalUn + REWEIGHT" in capsys.readouterr().out
