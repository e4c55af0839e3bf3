"""Measure how good inferred groups (`grmu.discover`) are, and which weights they lead to."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor

from grmu.data import GroupedDataset
from grmu.reweight import group_weights


def agreement(inferred: GroupedDataset, true: GroupedDataset) -> float:
    """Return the adjusted mutual information of the inferred and the true attribute within each class.

    The result is the mean over samples. It is 1 if the two attributes are equivalent, and 0 at chance.

    Args:
        inferred: The data set with inferred groups.
        true: The same data set with its true groups.
    """
    y, a, inferred_a = (v.cpu().numpy() for v in (true.y, true.a, inferred.a))
    return float(sum((y == c).mean() * adjusted_mutual_info_score(a[y == c], inferred_a[y == c])
                     for c in np.unique(y)))


def alpha_of(group: int, true: GroupedDataset, inferred: GroupedDataset, retained: Tensor) -> float:
    """Return the mean REWEIGHT weight alpha that inferred groups give to the samples of a true group.

    Args:
        group: The true group.
        true: The data set with its true groups.
        inferred: The same data set with inferred groups.
        retained: Rows of the retained samples, over which the mean is taken.
    """
    counts = inferred.group_counts(), inferred.subset(retained).group_counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a group without retained samples gets weight 0
        alpha = group_weights(*counts)
    return float(alpha[inferred.group[retained]][true.group[retained] == group].mean())
