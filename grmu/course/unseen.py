"""A task that a method has not seen: a network has memorised some pictures, and must forget a few of them.

    task = unseen.draw(np.random.default_rng(0))                # the pictures, the forget set, PRETRAIN
    after = unseen.unlearn(MyMethod(), unseen.inputs_of(task))      # the weights that the method leaves
    unseen.compare(MyMethod(), seeds=[0, 1])                    # with PRETRAIN, fine-tuning and RETRAIN

The pictures show three kinds of clothes that look alike, on two of seven grounds. PRETRAIN is trained on 576
pictures of groundwear-many until it classifies all of them correctly, but it classifies only two thirds of
new pictures correctly. So a network that never saw the forgotten pictures treats them very differently. The
project's method is measured here (`notebooks/labs/marking/project.py` has the margins and their origin).
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
from grmu.data.core import split_at
from grmu.metrics import OVERALL
from grmu.models import Classifier, Network
from grmu.numerics import fixed_threads
from grmu.reweight import sample_weights
from grmu.training import Context, Method, TrainConfig, predict

DATASET, CLASSES = "groundwear-many", ("pullover", "coat", "shirt")
EACH, RATIO = 96, 0.75  # training pictures a group; the share of one group that asks to be forgotten
PRETRAINING = TrainConfig(epochs=30, lr=0.1, batch_size=32, warmup_epochs=2)
UNLEARNING = TrainConfig(epochs=5, lr=0.03, batch_size=32)
Weights = dict[str, Tensor]


@dataclass
class FromScratch(Method):
    """Training from fresh weights: PRETRAIN and RETRAIN."""

    init_from = None


@dataclass
class FineTuning(Method):
    """Cross-entropy on the retain set, without an unlearning term: the control."""


class Task(NamedTuple):
    """A drawn task.

    Args:
        train: Training pictures.
        test: Test pictures.
        split: Which training pictures are retained and forgotten.
        group: The forget group.
        seeds: Seed of RETRAIN, and of whatever a method draws.
        pretrain: PRETRAIN's weights.
    """

    train: GroupedDataset
    test: GroupedDataset
    split: ForgetSplit
    group: Group
    seeds: tuple[int, int]
    pretrain: Weights


def draw(rng: np.random.Generator) -> Task:
    """Draw a new task and train its PRETRAIN, which takes two seconds."""
    everyone = data.load(DATASET)
    grounds = np.sort(rng.choice(everyone.train.n_attributes, 2, replace=False)).tolist()
    train, test = (_part(part, grounds, rng) for part in (everyone.train, everyone.test))
    group = (int(rng.integers(len(CLASSES))), int(rng.integers(2)))
    of_split, first, second, third = map(int, rng.integers(2**31, size=4))
    return Task(train, test, data.split_forget(train, RATIO, [group], of_split), group, (second, third),
                _from_scratch(train, train, first, None))


def _part(whole: GroupedDataset, grounds: Sequence[int], rng: np.random.Generator) -> GroupedDataset:
    """Return `EACH` pictures of each class on each of the grounds, with groups renumbered."""
    order = torch.from_numpy(rng.permutation(len(whole)))
    classes = [whole.class_names.index(name) for name in CLASSES]
    rows = torch.cat([order[(whole.y[order] == y) & (whole.a[order] == a)][:EACH]
                      for y in classes for a in grounds])
    return GroupedDataset(whole.x[rows], torch.bucketize(whole.y[rows], torch.tensor(classes)),
                          torch.bucketize(whole.a[rows], torch.tensor(grounds)), CLASSES,
                          [whole.attribute_names[g] for g in grounds], whole.name)


def _from_scratch(train: GroupedDataset, memorised: GroupedDataset, seed: int,
                  weights: Tensor | None) -> Weights:
    """Return the weights of a network that memorises these pictures."""
    nobody, rng = train.subset(torch.arange(0)), torch.Generator().manual_seed(seed + 1)
    return _train(FromScratch(), Context(models.build(Network(), train, seed), None, train, memorised, nobody,
                                         rng, PRETRAINING, weights))


def _train(method: Method, context: Context) -> Weights:
    with fixed_threads():
        training.train(method, context)
    return {name: value.clone() for name, value in context.model.state_dict().items()}


def retrain(task: Task) -> Weights:
    """Train the gold standard, RETRAIN + REWEIGHT: another seed, without the forget set."""
    retain = task.split.retain
    return _from_scratch(task.train, retain, task.seeds[0], sample_weights(task.train, retain))


def inputs_of(task: Task) -> dict[str, Any]:
    """Return what a method may use, as plain data: no test picture, and no other seed."""
    return {"x": task.train.x, "y": task.train.y, "a": task.train.a, "grounds": task.train.attribute_names,
            "forget": task.split.forget_index, "pretrain": task.pretrain, "seed": task.seeds[1]}


def unlearn(method: Method, inputs: Mapping[str, Any]) -> Weights:
    """Return the weights after a method, with REWEIGHT, has started from PRETRAIN's."""
    train = GroupedDataset(inputs["x"], inputs["y"], inputs["a"], CLASSES, inputs["grounds"], DATASET)
    split = split_at(train, inputs["forget"])
    original = network(train, inputs["pretrain"]).requires_grad_(False)
    model = copy.deepcopy(original).requires_grad_(True)
    return _train(method, Context(model, original, train, split.retain, split.forget,
                                  torch.Generator().manual_seed(int(inputs["seed"])), UNLEARNING,
                                  sample_weights(train, split.retain), split.retain_index))


def network(train: GroupedDataset, weights: Mapping[str, Tensor]) -> Classifier:
    """Return the network with these weights, in eval mode."""
    model = models.build(Network(), train, 0)
    model.load_state_dict(weights)
    return model.eval()


def measure(task: Task, weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Return RA, UA, TA and GA (`grmu.metrics`), percent."""
    model, members = network(task.train, weights), task.test.in_groups([task.group])
    right = {name: (predict(model, model, part.x).argmax(1) == part.y).double()
             for name, part in (("RA", task.split.retain), ("UA", task.split.forget), ("TA", task.test))}
    right["GA"] = right["TA"][members]
    return {name: 100 * right[name].mean().item() for name in OVERALL}


@lru_cache(maxsize=16)
def reference(seed: int) -> tuple[Task, dict[str, dict[str, float]]]:
    """Return the task of a seed and the measures of its reference models; four seconds the first time."""
    task = draw(np.random.default_rng(seed))
    weights = {"RETRAIN + REWEIGHT": retrain(task), "original model": task.pretrain,
               "fine-tuning": unlearn(FineTuning(), inputs_of(task))}
    return task, {name: measure(task, value) for name, value in weights.items()}


def compare(method: Method, seeds: Sequence[int] = (0,)) -> pd.DataFrame:
    """Compare a method with the reference models: RA, UA, TA, GA, percent, means over tasks of these seeds.

    "UA from gold" and "all from gold" are distances from the gold standard in points, computed per task.
    """
    tables = []
    for seed in seeds:
        task, rows = reference(seed)
        rows = rows | {"method": measure(task, unlearn(method, inputs_of(task)))}
        gold = rows["RETRAIN + REWEIGHT"]
        tables.append(pd.DataFrame({name: row | {"UA from gold": distance(row, gold, ["UA"]),
                                                "all from gold": distance(row, gold)}
                                   for name, row in rows.items()}).T)
    return sum(tables[1:], tables[0]) / len(tables)


def distance(row: Mapping[str, float], gold: Mapping[str, float], measures: Sequence[str] = OVERALL) -> float:
    """Return the mean distance from the gold standard over these measures, points."""
    return float(np.mean([abs(row[name] - gold[name]) for name in measures]))
