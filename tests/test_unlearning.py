"""Unlearning from a network that is not ours: a torchvision ResNet-18, and what does not fit is said."""

import copy
import re
from itertools import product

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, same_state, toy
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

import grmu
from grmu import data, methods
from grmu.data import GroupedDataset, Splits
from grmu.training import TrainConfig

SHORT = TrainConfig(epochs=2, lr=0.01, batch_size=16)


class Small(nn.Sequential):
    """Two layers on vectors of four."""

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
    """Samples that are made when they are asked for; `asked` notes which."""

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
    with pytest.raises(ValueError, match=r"must hold triples \(x, y, a\), .*, but item 1 is \(ten.* 0\)\."):
        data.from_dataset([(torch.zeros(2), 0, 1), (torch.zeros(2), 0)])


@pytest.mark.parametrize(("change", "message"), [
    ({"head": "fc"}, "has no linear layer 'fc': head must name its last one, of body.0, last"),
    ({"head": "body.0"}, r"head must be the network's last layer, but what body.0 gives is not what"),
    ({"model": 3}, "model must be a torch module, got 3"),
    ({"method": "miu"}, r"method must be one that continues from a model, such as MIU\(\), got 'miu'"),
    ({"method": methods.Retrain()}, "method must be one that continues from a model"),
    ({"forget": [-1]}, "forget must be some, not all, of the row numbers 0 to 81"),
    ({"forget": []}, "forget must be some, not all"),
    ({"forget": list(range(82))}, "forget must be some, not all"),
    ({"forget": "all"}, "forget must be an array of numbers, got 'all'")])
def test_what_does_not_fit_is_said_before_any_work(splits, model, change, message):
    asked = {"model": model, "splits": splits, "forget": [0, 1], "head": "last", "config": SHORT} | change
    with pytest.raises(ValueError, match=message):
        grmu.unlearn(**asked)


def test_the_page_on_ones_own_model_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    """On few and small pictures, whose second target is brighter."""
    rng = np.random.default_rng(0)
    for split, target, attribute, n in product(("train", "val", "test"), (0, 1), (0, 1), range(10)):
        folder = tmp_path / "pictures" / split / f"target{target}" / f"attribute{attribute}"
        folder.mkdir(parents=True, exist_ok=True)
        colour = rng.integers(0, 100, 3) + 120 * target
        Image.new("RGB", (16, 16), tuple(map(int, colour))).save(folder / f"{n}.jpg")
    page = (REPOSITORY / "docs" / "your-own.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "your-own.md", "exec"), {"__name__": "page"})
    sentence = capsys.readouterr().out
    assert "'target1 attribute1': 10" in sentence
    assert "before" in sentence
    assert (tmp_path / "unlearned.pt").is_file()
