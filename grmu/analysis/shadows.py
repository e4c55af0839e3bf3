"""Train shadow models: the same method on many random halves of the training set, and their confidences.

The forget set is drawn anew in each half, so each sample of the forget group is *unlearned* by some models,
*retained* by some and *never seen* by others. A shadow model is an `Experiment` with `half=True`. All methods
share the PRETRAIN runs, and the store keeps finished runs. `overfitted` makes the control that an attack must
detect. `grmu.analysis.attacks` attacks the models.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from grmu import data
from grmu.data import GroupedDataset
from grmu.data.subsets import random_half
from grmu.experiments import Experiment, load_split, map_experiments, train_or_load
from grmu.methods import FineTune
from grmu.metrics import membership_forest
from grmu.models import Classifier
from grmu.numerics import fixed_threads
from grmu.training import Context, OnEpoch, TrainConfig, predict, train

SHADOWS = 64
NEVER, RETAINED, UNLEARNED, UNSEEN, LEFT_OUT = 0, 1, 2, 3, -1
OVERFITTING_STEPS, OVERFITTING_RATE = 50, 0.05


class Observations(NamedTuple):
    """Observations of N samples by K shadow models; all arrays have the shape (K, N).

    Args:
        status: NEVER, RETAINED or UNLEARNED; LEFT_OUT if the sample is not used for this model; UNSEEN as in
            `beside_retrained`.
        confidence: log(p / (1 - p)), where p is the probability of the correct class.
        loss: Minus the cross-entropy.
        forest: Probability of membership according to the paper's random forest.
    """

    status: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    forest: np.ndarray


def shadows(experiment: Experiment, n: int = SHADOWS) -> list[Experiment]:
    """Return the experiment on n random halves of the training set, each with its own forget set.

    Raises:
        ValueError: n is not a whole number of at least 1.
    """
    data.number("shadows", n, 1, whole=True)
    return [replace(experiment, seed=seed, half=True) for seed in range(n)]


def observe(experiment: Experiment, forest: bool = True) -> Observations:
    """Return the observations of one shadow model, (1, N); train the model if the store does not have it.

    Args:
        experiment: The shadow model.
        forest: Also fit the forest, which takes as long as everything else. Otherwise its values are NaN.
    """
    return _say(experiment, train_or_load(experiment), forest)


def overfitted(experiment: Experiment) -> Observations:
    """Return the observations of a control: PRETRAIN on the same half, overfitted on purpose.

    PRETRAIN is trained further on few pictures, without augmentation or weight decay: all members of the
    forget groups, and as many of each other group. So the control keeps the samples that the experiment
    should unlearn.
    """
    splits, _, groups = load_split(experiment)
    asking = splits.train.in_groups(groups)
    few = torch.cat([(splits.train.group == g).nonzero()[:, 0][:int(asking.sum())]
                     for g in range(splits.train.n_groups)])
    model = train_or_load(experiment.original).requires_grad_(True)
    keep_training(model, splits.train.subset(few), OVERFITTING_STEPS, OVERFITTING_RATE)
    return _say(experiment, model.requires_grad_(False), forest=False)


def observe_beside(experiment: Experiment) -> tuple[Observations, ...]:
    """Return the observations of a shadow model, its PRETRAIN, and its `overfitted` control, (1, N) each."""
    return observe(experiment), observe(experiment.original, forest=False), overfitted(experiment)


def observe_all(experiment: Experiment, n: int = SHADOWS, jobs: int = 1, progress: bool = True,
                overfit: bool = False, forest: bool = True) -> Observations:
    """Return the observations of n shadow models, or of their `overfitted` controls, (n, N).

    Args:
        experiment: The experiment.
        n: Number of shadow models.
        jobs: Number of processes.
        progress: Show a progress bar.
        overfit: Observe the `overfitted` controls.
        forest: As in `observe`.
    """
    one = overfitted if overfit else partial(observe, forest=forest)
    return stacked(*map_experiments(one, shadows(experiment, n), jobs, progress))


def _say(experiment: Experiment, model: Classifier, forest: bool) -> Observations:
    """Return the observations of one model on the whole training set."""
    splits, split, _ = load_split(experiment)
    whole = experiment.load().train
    half, status = random_half(whole, experiment.seed), np.full(len(whole), NEVER)
    status[half[split.retain_index]], status[half[split.forget_index]] = RETAINED, UNLEARNED
    member = np.full(len(whole), np.nan)
    with fixed_threads():
        logits = predict(model, model, whole.x).double()
        others = logits.scatter(1, whole.y[:, None], -torch.inf).logsumexp(1)
        losses = cross_entropy(logits, whole.y, reduction="none")
        if forest:
            val_losses = cross_entropy(predict(model, model, splits.val.x).double(), splits.val.y,
                                       reduction="none")
            fitted = membership_forest(losses[half[split.retain_index]], val_losses, split.retain.group,
                                       splits.val.group)
            member = fitted.predict_proba(losses[:, None].numpy())[:, 1]
    confidence = logits.gather(1, whole.y[:, None])[:, 0] - others
    return Observations(*(v[None] for v in (status, confidence.numpy(), -losses.numpy(), member)))


def keep_training(model: Classifier, part: GroupedDataset, steps: int, lr: float,
                  on_step: OnEpoch | None = None) -> None:
    """Train a model in place on all samples of a data set at once, without augmentation or weight decay.

    Args:
        model: The model.
        part: The data set.
        steps: Number of steps.
        lr: Learning rate.
        on_step: Called after each step, as `on_epoch` in `grmu.run`.
    """
    config = TrainConfig(epochs=steps, lr=lr, batch_size=max(2, len(part)), weight_decay=0.0,
                         schedule="constant")
    rng = torch.Generator().manual_seed(0)
    with fixed_threads():
        train(FineTune(), Context(model, None, part, part, part, rng, config), on_step)


def stacked(*seen: Observations) -> Observations:
    """Return the observations of several sets of models on the same samples, stacked along the models."""
    return Observations(*map(np.concatenate, zip(*seen, strict=True)))


def select(seen: Observations, samples: np.ndarray) -> Observations:
    """Return the observations of some samples only."""
    return Observations(*(v[:, samples] for v in seen))


def never_again(seen: Observations) -> Observations:
    """Return the control that must not be detected.

    A random third of the observations of samples never seen is labelled as unlearned. Observations of members
    are left out.
    """
    pretended = np.random.default_rng(0).random(seen.status.shape) < 1 / 3
    status = np.where(seen.status != NEVER, LEFT_OUT, np.where(pretended, UNLEARNED, NEVER))
    return seen._replace(status=status)


def beside_retrained(seen: Observations, retrained: Observations) -> Observations:
    """Return observations of models (K rows) above those of gold standards on the same halves, for efficacy.

    NEVER are a random half of the gold standards' observations of samples that they never saw. UNSEEN are the
    models' own observations of samples that they never saw, where the gold standard's observation is in the
    other half. If unlearning is what makes the models differ, these must not differ: they are a control.
    """
    chosen = np.random.default_rng(0).random(seen.status.shape) < 0.5
    ours = np.where(seen.status != NEVER, seen.status, np.where(chosen, LEFT_OUT, UNSEEN))
    theirs = np.where((retrained.status == NEVER) & chosen, NEVER, LEFT_OUT)
    return stacked(seen._replace(status=ours), retrained._replace(status=theirs))
