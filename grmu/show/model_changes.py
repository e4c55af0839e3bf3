"""What unlearning did inside a model: confidences before and after, sample by sample, and where features lie.

The model before is PRETRAIN, the model after any run that begins with it or replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from grmu.data import GroupedDataset
from grmu.experiments import Result, load_split, run
from grmu.models import Classifier
from grmu.numerics import fixed_threads
from grmu.training import predict


@dataclass(frozen=True)
class Answers:
    """What two models say of the same samples.

    before, after: (N,) confidence in the true class.  changed: (N,) bool, the prediction is another one.
    right: (N,) bool, the prediction after is the true class.
    """

    data: GroupedDataset
    before: Tensor
    after: Tensor
    changed: Tensor
    right: Tensor

    def most_moved(self, group: int, n: int, only_changed: bool = False) -> Tensor:
        """Up to n samples of a group, those first whose confidence moved most."""
        index = ((self.data.group == group) & (self.changed | (not only_changed))).nonzero().squeeze(1)
        return index[(self.after - self.before)[index].abs().argsort(descending=True, stable=True)][:n]


@dataclass(frozen=True)
class Features:
    """Test features in the plane of PRETRAIN's first two principal components.

    before, after: (N, 2).  group: (N,).  separability: of the groups, before and after (see `separability`).
    """

    before: np.ndarray
    after: np.ndarray
    group: np.ndarray
    separability: tuple[float, float]
    group_names: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """What one run changed: on its forget set, on the test set, and in the test set's features."""

    forget: Answers
    test: Answers
    features: Features


def find_changes(result: Result, store: str | Path | None = None) -> Changes:
    """The run's forget set and test set, before and after it.

    Raises:
        ValueError: the samples are no pictures.
    """
    splits, split, _ = load_split(result.experiment)
    before, after = run(result.experiment.original, store).model, result.model
    with fixed_threads():
        return Changes(answers(before, after, split.forget), answers(before, after, splits.test),
                       features(before, after, splits.test))


def answers(before: Classifier, after: Classifier, data: GroupedDataset) -> Answers:
    """What both models say of the data."""
    one, other = (predict(model, model, data.x).softmax(1) for model in (before, after))
    true = torch.arange(len(data)), data.y
    return Answers(data, one[true], other[true], one.argmax(1) != other.argmax(1), other.argmax(1) == data.y)


def features(before: Classifier, after: Classifier, data: GroupedDataset) -> Features:
    """Features of both models, on the axes of the first."""
    one, other = (predict(model.features, model, data.x).numpy() for model in (before, after))
    plane, group = PCA(2, svd_solver="full").fit(one), data.group.numpy()
    return Features(plane.transform(one), plane.transform(other), group,
                    (separability(one, group), separability(other, group)), tuple(data.group_names))


def separability(z: np.ndarray, group: np.ndarray) -> float:
    """Balanced accuracy of a logistic regression of groups (N,) on features (N, d), cross-validated.

    Chance is 1 / number of groups.
    """
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced"))
    guessed = cross_val_predict(classifier, z, group, cv=StratifiedKFold(5, shuffle=True, random_state=0))
    return float(balanced_accuracy_score(group, guessed))
