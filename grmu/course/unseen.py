"""Measure a method on random tasks, in which a network has memorised pictures and must forget some.

    task = unseen.draw(np.random.default_rng(0))                # the pictures, the forget set, PRETRAIN
    after = unseen.unlearn(MyMethod(), unseen.inputs_of(task))  # the weights that the method leaves
    unseen.compare(MyMethod(), seeds=[0, 1])                    # a table with four reference models

The pictures show three similar kinds of clothes on two of seven grounds. PRETRAIN is trained on 576 pictures
of groundwear-many until it classifies all of them correctly, but it classifies only two thirds of new
pictures correctly. Therefore, a network that never saw the forgotten pictures treats them very differently.
The project uses these tasks to measure the student's method, with the margins in
`notebooks/labs/grading/checks/project.py`.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from grmu import data, models, training
from grmu.data import ForgetSplit, Group, GroupedDataset
from grmu.data.core import split_at
from grmu.methods import FineTune, Retrain
from grmu.metrics import OVERALL, accuracies
from grmu.models import Classifier, Network
from grmu.numerics import fixed_threads
from grmu.reweight import sample_weights
from grmu.training import Context, Method, TrainConfig, correct

DATASET, CLASSES = "groundwear-many", ("pullover", "coat", "shirt")
EACH, RATIO = 96, 0.75  # training pictures per group; the share of one group that is forgotten
PRETRAINING = TrainConfig(epochs=30, lr=0.1, batch_size=32, warmup_epochs=2)
UNLEARNING = TrainConfig(epochs=5, lr=0.03, batch_size=32)
Weights = dict[str, Tensor]


class Task(NamedTuple):
    """An unlearning task.

    Attributes:
        train: The training pictures.
        test: The test pictures.
        split: The retained and the forgotten training pictures.
        group: The forget group.
        seeds: The seed of RETRAIN and the seed of a method's random draws.
        pretrain: The weights of PRETRAIN.
    """

    train: GroupedDataset
    test: GroupedDataset
    split: ForgetSplit
    group: Group
    seeds: tuple[int, int]
    pretrain: Weights


def draw(rng: np.random.Generator) -> Task:
    """Draw a task and train its original model, which takes two seconds."""
    everyone = data.load(DATASET)
    grounds = np.sort(rng.choice(everyone.train.n_attributes, 2, replace=False)).tolist()
    train, test = (_part(part, grounds, rng) for part in (everyone.train, everyone.test))
    group = (int(rng.integers(len(CLASSES))), int(rng.integers(2)))
    of_split, first, second, third = map(int, rng.integers(2**31, size=4))
    return Task(train, test, data.split_forget(train, RATIO, [group], of_split), group, (second, third),
                _from_scratch(train, train, first, None))


def _part(whole: GroupedDataset, grounds: Sequence[int], rng: np.random.Generator) -> GroupedDataset:
    """Return `EACH` pictures of each class on each ground, with their groups renumbered."""
    order = torch.from_numpy(rng.permutation(len(whole)))
    classes = [whole.class_names.index(name) for name in CLASSES]
    rows = torch.cat([order[(whole.y[order] == y) & (whole.a[order] == a)][:EACH]
                      for y in classes for a in grounds])
    return GroupedDataset(whole.x[rows], torch.bucketize(whole.y[rows], torch.tensor(classes)),
                          torch.bucketize(whole.a[rows], torch.tensor(grounds)), CLASSES,
                          [whole.attribute_names[g] for g in grounds], whole.name)


def _from_scratch(train: GroupedDataset, memorised: GroupedDataset, seed: int,
                  weights: Tensor | None) -> Weights:
    """Train a network until it memorises the given pictures, and return its weights."""
    nobody, rng = train.subset(torch.arange(0)), torch.Generator().manual_seed(seed + 1)
    return apply(Retrain(), Context(models.build(Network(), train, seed), None, train, memorised, nobody, rng,
                                    PRETRAINING, weights))


def apply(method: Method, context: Context, *more: Any) -> Weights:
    """Train with a method and return the weights; `more` is passed on to `training.train`."""
    with fixed_threads():
        training.train(method, context, *more)
    return {name: value.clone() for name, value in context.model.state_dict().items()}


def inputs_of(task: Task) -> dict[str, Any]:
    """Return what a method may use as plain data, without test pictures and without RETRAIN's seed."""
    return {"x": task.train.x, "y": task.train.y, "a": task.train.a, "grounds": task.train.attribute_names,
            "forget": task.split.forget_index, "pretrain": task.pretrain, "seed": task.seeds[1]}


def context_of(inputs: Mapping[str, Any]) -> Context:
    """Return the training context of a task: five epochs with REWEIGHT that start from PRETRAIN."""
    train = GroupedDataset(inputs["x"], inputs["y"], inputs["a"], CLASSES, inputs["grounds"], DATASET)
    split, original = split_at(train, inputs["forget"]), network(train, inputs["pretrain"])
    return Context(copy.deepcopy(original), original.requires_grad_(False), train, split.retain, split.forget,
                   torch.Generator().manual_seed(int(inputs["seed"])), UNLEARNING,
                   sample_weights(train, split.retain), split.retain_index)


def unlearn(method: Method, inputs: Mapping[str, Any]) -> Weights:
    """Unlearn from PRETRAIN with a method and REWEIGHT, and return the weights."""
    return apply(method, context_of(inputs))


def wreck(task: Task) -> Weights:
    """Return PRETRAIN's weights with an untrained last layer, which is the control for damage."""
    fresh = models.build(Network(), task.train, task.seeds[1]).state_dict()
    return {name: fresh[name] if name.startswith("head") else value for name, value in task.pretrain.items()}


def network(train: GroupedDataset, weights: Mapping[str, Tensor]) -> Classifier:
    """Return a network with the given weights in eval mode."""
    model = models.build(Network(), train, 0)
    model.load_state_dict(weights)
    return model.eval()


def measure(task: Task, weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Return RA, UA, TA and GA (see `grmu.metrics`) in percent."""
    model = network(task.train, weights)
    right = accuracies(model, task.test, task.split.forget, [task.group])
    right["RA"] = correct(model, task.split.retain).float().mean().item()
    return {name: 100 * right[name] for name in OVERALL}


@lru_cache(maxsize=16)
def reference(seed: int) -> tuple[Task, dict[str, dict[str, float]]]:
    """Return the task of a seed and the metrics of its reference models. The first call takes 4 s."""
    task = draw(np.random.default_rng(seed))
    retain = task.split.retain
    gold = _from_scratch(task.train, retain, task.seeds[0], sample_weights(task.train, retain))
    weights = {"RETRAIN + REWEIGHT": gold, "original model": task.pretrain,
               "fine-tuning": unlearn(FineTune(), inputs_of(task)), "wrecked model": wreck(task)}
    return task, {name: measure(task, value) for name, value in weights.items()}


def compare(method: Method, seeds: Sequence[int] = (0,)) -> pd.DataFrame:
    """Compare a method with the reference models on one task per seed.

    Args:
        method: A method with its settings.
        seeds: The seeds of the tasks.

    Returns:
        RA, UA, TA and GA in percent, averaged over the tasks. "UA from gold" is the distance in UA from
        RETRAIN + REWEIGHT in points, and "all from gold" is the mean distance over the four metrics.
    """
    tables = [judge(seed, unlearn(method, inputs_of(reference(seed)[0]))) for seed in seeds]
    return sum(tables[1:], tables[0]) / len(tables)


def judge(seed: int, after: Mapping[str, Tensor]) -> pd.DataFrame:
    """Return the table of `compare` for one task and the weights that a method left on it."""
    task, rows = reference(seed)
    made = pd.DataFrame(rows | {"method": measure(task, after)}).T
    distances = (made - made.loc["RETRAIN + REWEIGHT"]).abs()
    return made.assign(**{"UA from gold": distances["UA"], "all from gold": distances.mean(axis=1)})
