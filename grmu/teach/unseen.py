"""A task that a method has not seen: pictures that a network knows by heart, some of which it shall forget.

    task = unseen.draw(np.random.default_rng(0))                # the pictures, who goes, PRETRAIN
    after = unseen.unlearn(MyMethod(), unseen.given(task))      # weights: what a method is given, and gives
    unseen.compare(MyMethod(), seeds=[0, 1])                    # beside doing nothing, fine-tuning, RETRAIN

Three kinds of clothes that look alike, on two grounds of seven: PRETRAIN has learnt 576 of groundwear-many's
pictures until it errs in none, and of new ones it knows two thirds. So what one of the forgotten looks like
to a network that never saw it is far from what it looks like to PRETRAIN. The project's method is measured
here (`notebooks/labs/marking/project.py` has the margins, and where they come from).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from grmu import data, models, training
from grmu.data import ForgetSplit, Group, GroupedDataset
from grmu.metrics import OVERALL
from grmu.models import Classifier, Network
from grmu.numerics import fixed_threads
from grmu.reweight import sample_weights
from grmu.training import Context, Method, Recipe, predict

DATASET, CLASSES = "groundwear-many", ("pullover", "coat", "shirt")
EACH, RATIO = 96, 0.75  # training pictures a group; the share of one group that asks to be forgotten
PRETRAINING = Recipe(epochs=30, lr=0.1, batch_size=32, warmup_epochs=2)
UNLEARNING = Recipe(epochs=5, lr=0.03, batch_size=32)
Weights = dict[str, Tensor]


@dataclass
class FromScratch(Method):
    """PRETRAIN and RETRAIN."""

    starts_from = "fresh"


@dataclass
class FineTuning(Method):
    """Cross-entropy on the retain set: a method without an idea of its own."""


class Task(NamedTuple):
    """What is drawn: training and test pictures, the split, the forget group, PRETRAIN's weights; seeds of
    RETRAIN and of what a method draws."""

    train: GroupedDataset
    test: GroupedDataset
    split: ForgetSplit
    group: Group
    seeds: tuple[int, int]
    pretrain: Weights


def draw(rng: np.random.Generator) -> Task:
    """A new task; PRETRAIN is trained for it, which takes two seconds."""
    everyone = data.load(DATASET)
    grounds = np.sort(rng.choice(everyone.train.n_attributes, 2, replace=False)).tolist()
    train, test = (_part(part, grounds, rng) for part in (everyone.train, everyone.test))
    group = (int(rng.integers(len(CLASSES))), int(rng.integers(2)))
    of_split, first, second, third = map(int, rng.integers(2**31, size=4))
    return Task(train, test, data.split_forget(train, RATIO, [group], of_split), group, (second, third),
                _from_scratch(train, train, first, None))


def _part(whole: GroupedDataset, grounds: Sequence[int], rng: np.random.Generator) -> GroupedDataset:
    """`EACH` pictures of each class on each of the grounds, in groups numbered afresh."""
    order = torch.from_numpy(rng.permutation(len(whole)))
    classes = [whole.class_names.index(name) for name in CLASSES]
    rows = torch.cat([order[(whole.y[order] == y) & (whole.a[order] == a)][:EACH]
                      for y in classes for a in grounds])
    return GroupedDataset(whole.x[rows], torch.bucketize(whole.y[rows], torch.tensor(classes)),
                          torch.bucketize(whole.a[rows], torch.tensor(grounds)), CLASSES,
                          [whole.attribute_names[g] for g in grounds], whole.name)


def _from_scratch(train: GroupedDataset, learnt: GroupedDataset, seed: int,
                  weights: Tensor | None) -> Weights:
    """The weights of a network that learns these pictures by heart."""
    nobody, rng = train.subset(torch.arange(0)), torch.Generator().manual_seed(seed + 1)
    return _train(FromScratch(), Context(models.build(Network(), train, seed), None, train, learnt, nobody,
                                         rng, PRETRAINING, weights))


def _train(method: Method, context: Context) -> Weights:
    with fixed_threads():
        training.train(method, context)
    return {name: value.clone() for name, value in context.model.state_dict().items()}


def retrain(task: Task) -> Weights:
    """The gold standard, RETRAIN + REWEIGHT: a network of another seed that never saw the forgotten."""
    retain = task.split.retain
    return _from_scratch(task.train, retain, task.seeds[0], sample_weights(task.train, retain))


def given(task: Task) -> dict[str, Any]:
    """What a method is told, as plain data: no test picture is in it, and no other seed."""
    return {"x": task.train.x, "y": task.train.y, "a": task.train.a, "grounds": task.train.attribute_names,
            "forget": task.split.forget_index, "pretrain": task.pretrain, "seed": task.seeds[1]}


def unlearn(method: Method, told: Mapping[str, Any]) -> Weights:
    """The weights that a method leaves, with REWEIGHT, if it begins with PRETRAIN's."""
    train = GroupedDataset(told["x"], told["y"], told["a"], CLASSES, told["grounds"], DATASET)
    split = data.split_at(train, told["forget"])
    original = network(train, told["pretrain"]).requires_grad_(False)
    model = copy.deepcopy(original).requires_grad_(True)
    return _train(method, Context(model, original, train, split.retain, split.forget,
                                  torch.Generator().manual_seed(int(told["seed"])), UNLEARNING,
                                  sample_weights(train, split.retain), split.retain_index))


def network(train: GroupedDataset, weights: Mapping[str, Tensor]) -> Classifier:
    """The network with these weights, in eval mode."""
    model = models.build(Network(), train, 0)
    model.load_state_dict(weights)
    return model.eval()


def measure(task: Task, weights: Mapping[str, Tensor]) -> dict[str, float]:
    """RA, UA, TA and GA (`grmu.metrics`), percent."""
    model, members = network(task.train, weights), task.test.in_groups([task.group])
    right = {name: (predict(model, model, part.x).argmax(1) == part.y).double()
             for name, part in (("RA", task.split.retain), ("UA", task.split.forget), ("TA", task.test))}
    right["GA"] = right["TA"][members]
    return {name: 100 * right[name].mean().item() for name in OVERALL}


@lru_cache(maxsize=16)
def reference(seed: int) -> tuple[Task, dict[str, dict[str, float]]]:
    """The task of a seed, and the measures of what a method is held against: four seconds the first time."""
    task = draw(np.random.default_rng(seed))
    weights = {"RETRAIN + REWEIGHT": retrain(task), "doing nothing": task.pretrain,
               "fine-tuning": unlearn(FineTuning(), given(task))}
    return task, {name: measure(task, value) for name, value in weights.items()}


def compare(method: Method, seeds: Sequence[int] = (0,)) -> pd.DataFrame:
    """RA, UA, TA, GA of a method and of what it is held against, percent, means over tasks of these seeds.

    "UA from gold" and "all from gold": distances from the gold standard, points, taken in each task.
    """
    found = []
    for seed in seeds:
        task, rows = reference(seed)
        rows = rows | {"method": measure(task, unlearn(method, given(task)))}
        gold = rows["RETRAIN + REWEIGHT"]
        found.append(pd.DataFrame({name: row | {"UA from gold": far(row, gold, ["UA"]),
                                                "all from gold": far(row, gold)}
                                   for name, row in rows.items()}).T)
    return sum(found[1:], found[0]) / len(found)


def far(row: Mapping[str, float], gold: Mapping[str, float], measures: Sequence[str] = OVERALL) -> float:
    """Mean distance from the gold standard over these measures, points."""
    return float(np.mean([abs(row[name] - gold[name]) for name in measures]))
