"""Retrain only the last layer: logistic regression on the original model's features, solved exactly.

Lessons 12 and 13, and the explorer's view "Retrain it yourself", use this model because it retrains in
milliseconds and because its training problem has exactly one solution. For weights v_i, it minimises

    J(w) = sum_i v_i log(1 + exp(-s_i w.x_i)) / sum_i v_i + l2 |w|^2 / 2,    s_i = 2 y_i - 1.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from grmu import data
from grmu.experiments import Experiment, train_or_load
from grmu.models import Classifier

N_COMPONENTS = 32


class Samples(NamedTuple):
    """Samples of one split.

    Args:
        x: (N, N_COMPONENTS + 1) principal components of the features, and a constant.
        y: (N,) classes, 0 or 1.
        group: (N,) groups.
    """

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray


class Features(NamedTuple):
    """The splits of one seed.

    Args:
        train: The training set.
        val: The validation set.
        test: The test set.
        names: Names of the groups, in group order.
        forget_group: Index of the group that requests deletion.
    """

    train: Samples
    val: Samples
    test: Samples
    names: list[str]
    forget_group: int


@lru_cache(maxsize=16)
def features(seed: int = 0, unit: bool = False, store: str | None = None) -> Features:
    """Return the first principal components of the original model's features on Groundwear.

    Args:
        seed: Seed of the original model.
        unit: Scale every row to norm 1, as certified removal assumes; otherwise the mean norm of the
            components is 1, and the constant is 1.
        store: Folder of finished runs, as `grmu.run` takes it.
    """
    splits = data.load("groundwear")
    model = train_or_load(Experiment(seed=seed).original, store)
    raw = [_features(model, part.x) for part in splits[:3]]
    mean = raw[0].mean(0)
    components = np.linalg.svd(raw[0] - mean, full_matrices=False)[2][:N_COMPONENTS]
    projected = [(z - mean) @ components.T for z in raw]
    scale = np.linalg.norm(projected[0], axis=1).mean()
    parts = []
    for z, part in zip(projected, splits[:3], strict=True):
        x = np.column_stack([z / scale, np.ones(len(z))])
        if unit:
            x = np.column_stack([z / np.linalg.norm(z, axis=1, keepdims=True), np.ones(len(z))]) / np.sqrt(2)
        parts.append(Samples(x, part.y.numpy(), part.group.numpy()))
    train, val, test = parts
    return Features(train, val, test, splits.train.group_names, splits.train.group_id(splits.forget_group))


@torch.no_grad()
def _features(model: Classifier, x: torch.Tensor) -> np.ndarray:
    return torch.cat([model.features(x[rows]) for rows in torch.arange(len(x)).split(512)]).double().numpy()


def fit(samples: Samples, weights: np.ndarray | None = None, l2: float = 1e-5) -> np.ndarray:
    """Return the weights (N_COMPONENTS + 1,) that minimise J.

    Args:
        samples: The training samples; both classes must be present.
        weights: (N,) weights v; None weights all samples equally.
        l2: Strength of the penalty, above 0.
    """
    total = len(samples.y) if weights is None else weights.sum()
    model = LogisticRegression(C=1 / (l2 * total), fit_intercept=False, tol=1e-10, solver="newton-cholesky")
    return model.fit(samples.x, samples.y, weights).coef_[0]


def take(samples: Samples, rows: np.ndarray) -> Samples:
    """Return the samples at `rows`, numbers or a mask."""
    return Samples(samples.x[rows], samples.y[rows], samples.group[rows])


def accuracy_by_group(w: np.ndarray, samples: Samples) -> np.ndarray:
    """Return the accuracy in every group, a fraction; every group must have a sample."""
    right = (samples.x @ w > 0) == samples.y
    return np.bincount(samples.group, right) / np.bincount(samples.group)
