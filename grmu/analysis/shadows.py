"""Shadow models: the same method on many random halves of the training set, and what they say of each sample.

In each, the forget set is drawn anew, so that every sample of the forget group is *unlearned* by some,
*retained* by some and *never seen* by others. A shadow model is an `Experiment` with `half=True`: PRETRAINs
are shared by all methods, and the store remembers what is finished. `overfitted` makes the control that an
attack must find. What attacks make of it: `grmu.analysis.attacks`.
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
    """What K shadow models say of N samples, all (K, N).

    status: NEVER, RETAINED or UNLEARNED; LEFT_OUT where a model is not asked about a sample (UNSEEN: see
    `beside_retrained`).
    confidence: log p / (1 - p), p the probability of the right class.
    loss: minus the cross-entropy.  forest: probability of membership by the paper's random forest.
    """

    status: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    forest: np.ndarray


def shadows(experiment: Experiment, n: int = SHADOWS) -> list[Experiment]:
    """Return the experiment on n random halves of the training set; in each, the forget set is drawn anew.

    Raises:
        ValueError: n is not a whole number from 1.
    """
    data.number("shadows", n, 1, whole=True)
    return [replace(experiment, seed=seed, half=True) for seed in range(n)]


def observe(experiment: Experiment, forest: bool = True) -> Observations:
    """Return what one shadow model says, (1, N) each; it is trained unless the store has it. Without its
    forest, which takes as long as the rest, that is NaN."""
    return _say(experiment, train_or_load(experiment), forest)


def overfitted(experiment: Experiment) -> Observations:
    """Return what the same half's PRETRAIN says once it is overfitted on purpose, without a forest.

    It is trained further on few pictures, unaugmented and without weight decay: all members of the forget
    groups, and as many of each other group. It keeps the samples that the experiment should unlearn.
    """
    splits, _, groups = load_split(experiment)
    asking = splits.train.in_groups(groups)
    few = torch.cat([(splits.train.group == g).nonzero()[:, 0][:int(asking.sum())]
                     for g in range(splits.train.n_groups)])
    model = train_or_load(experiment.original).requires_grad_(True)
    keep_training(model, splits.train.subset(few), OVERFITTING_STEPS, OVERFITTING_RATE)
    return _say(experiment, model.requires_grad_(False), forest=False)


def observe_beside(experiment: Experiment) -> tuple[Observations, ...]:
    """Return what a shadow model, its PRETRAIN and the `overfitted` control of its half say, (1, N) each."""
    return observe(experiment), observe(experiment.original, forest=False), overfitted(experiment)


def observe_all(experiment: Experiment, n: int = SHADOWS, jobs: int = 1, progress: bool = True,
                overfit: bool = False, forest: bool = True) -> Observations:
    """Return `observe`, or `overfitted`, of n shadow models, under a progress bar, in `jobs` processes."""
    one = overfitted if overfit else partial(observe, forest=forest)
    return stacked(*map_experiments(one, shadows(experiment, n), jobs, progress))


def _say(experiment: Experiment, model: Classifier, forest: bool) -> Observations:
    """Return what one model says of the whole training set."""
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
    """Train a model in place for `steps` steps on all of a part, unaugmented, without weight decay."""
    config = TrainConfig(epochs=steps, lr=lr, batch_size=max(2, len(part)), weight_decay=0.0,
                         schedule="constant")
    rng = torch.Generator().manual_seed(0)
    with fixed_threads():
        train(FineTune(), Context(model, None, part, part, part, rng, config), on_step)


def stacked(*seen: Observations) -> Observations:
    """Return the observations of several sets of models of the same samples, one below the other."""
    return Observations(*map(np.concatenate, zip(*seen, strict=True)))


def select(seen: Observations, samples: np.ndarray) -> Observations:
    """Return the observations of some samples only."""
    return Observations(*(v[:, samples] for v in seen))


def never_again(seen: Observations) -> Observations:
    """Return the control that must not be detected: a random third of the samples never seen is called
    unlearned, and no other samples are in it."""
    pretended = np.random.default_rng(0).random(seen.status.shape) < 1 / 3
    status = np.where(seen.status != NEVER, LEFT_OUT, np.where(pretended, UNLEARNED, NEVER))
    return seen._replace(status=status)


def beside_retrained(seen: Observations, retrained: Observations) -> Observations:
    """Return, for efficacy, what models say (K rows) above what gold standards on the same halves say.

    NEVER are answers of gold standards about samples that they never saw, a random half of these. UNSEEN are
    the models' own answers about samples that they never saw, where the gold standard's is in the other half:
    the control that must not differ, if it is forgetting that makes models differ.
    """
    chosen = np.random.default_rng(0).random(seen.status.shape) < 0.5
    ours = np.where(seen.status != NEVER, seen.status, np.where(chosen, LEFT_OUT, UNSEEN))
    theirs = np.where((retrained.status == NEVER) & chosen, NEVER, LEFT_OUT)
    return stacked(seen._replace(status=ours), retrained._replace(status=theirs))
