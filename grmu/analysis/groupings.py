"""How good inferred groups (`grmu.discover`) are: against the true ones, and by the weights they give."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor

from grmu.data import GroupedDataset
from grmu.reweight import group_weights


def agreement(inferred: GroupedDataset, true: GroupedDataset) -> float:
    """Adjusted mutual information of inferred and true attribute within each class, a mean over samples.

    1 is the same, 0 is chance.
    """
    y, a, inferred_a = (v.cpu().numpy() for v in (true.y, true.a, inferred.a))
    return float(sum((y == c).mean() * adjusted_mutual_info_score(a[y == c], inferred_a[y == c])
                     for c in np.unique(y)))


def alpha_of(group: int, true: GroupedDataset, inferred: GroupedDataset, retained: Tensor) -> float:
    """REWEIGHT's alpha by the inferred groups: mean over the samples `retained` (rows) of a true group."""
    counts = inferred.group_counts(), inferred.subset(retained).group_counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a vanished group weighs nothing
        alpha = group_weights(*counts)
    return float(alpha[inferred.group[retained]][true.group[retained] == group].mean())
