"""Solve the exercises of lesson 05 with parts of the package, and provide what they need to run."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset
from grmu.experiments import Experiment
from grmu.experiments.run import load_split
from grmu.mine import MINE, Estimator, dv_bound
from grmu.models import Classifier
from grmu.training import Batch, TrainConfig, batches

Bound = Callable[[Tensor], Tensor]  # from g_bar to M


def load_sets(setting: Experiment, device: str) -> tuple[GroupedDataset, dict[str, GroupedDataset]]:
    """Return the training set, and by name the group's forget set and its pictures in the test set."""
    splits, split, groups = load_split(setting)
    new = splits.test.subset(splits.test.in_groups(groups).nonzero()[:, 0])
    return splits.train.to(device), {"forget set": split.forget.to(device), "new pictures": new.to(device)}


def new_mine(model: Classifier, n_groups: int, lr: float) -> Estimator:
    """Return an untrained MINE for a model's features, with the optimiser of the released code."""
    device = next(model.parameters()).device
    network, rng = MINE(model.n_features, n_groups, seed=0).to(device), torch.Generator().manual_seed(0)
    return Estimator(network, lr, rng, "uniform", ema=0.01, optimizer="sgd", momentum=0.9, corrected=True)


def some_batches(train: GroupedDataset, config: TrainConfig, rng: torch.Generator, n: int) -> Iterator[Batch]:
    """Yield n batches of a data set, starting new epochs as needed."""
    return islice(chain.from_iterable(batches(train, config, rng) for _ in count()), n)


def measure(network: MINE, z: Tensor, group: Tensor, n_groups: int) -> Tensor:
    """Return M, where each sample is paired with every group instead of a random one."""
    return dv_bound(network, z, group)


def unlearning_loss(mine: Estimator, z: Tensor, group: Tensor) -> Tensor:
    """Return M of a forget batch (Eq. 3)."""
    return mine.bound(z, group)  # `bound` draws the mismatched groups


def tune_mine(mine: Estimator, loss: Callable[..., Tensor], features: Callable[[Batch], Tensor],
              steps: Iterable[Batch]) -> None:
    """Maximise M with one step of MINE's optimiser per batch."""
    for batch in steps:
        with torch.no_grad():
            z = features(batch)
        mine.update(z, batch.group)


def retain_loss(logits: Tensor, batch: Batch, m: Bound, m_original: Bound, draw: Callable[[Tensor], Tensor],
                lam: float) -> Tensor:
    """Return the retaining term plus lam times the calibration term (Eqs. 7 and 6)."""
    group_bar = draw(batch.group)
    gap = m(group_bar) - m_original(group_bar).detach()
    return nn.functional.cross_entropy(logits, batch.y) + lam * gap**2
