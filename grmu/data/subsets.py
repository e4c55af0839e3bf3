"""Parts of a training set: a few samples for a dry run, and a random half."""

from collections.abc import Sequence

import numpy as np
import torch

from grmu.data.core import Group, GroupedDataset, Splits


def smoke_subset(dataset: GroupedDataset, groups: Sequence[Group], n: int) -> torch.Tensor:
    """Return the rows for a dry run in ascending order.

    Args:
        dataset: The data set.
        groups: Groups (y, a) that share n rows; up to four other groups have one row each.
        n: Number of rows of `groups`, at least one for each.
    """
    ids = dataset.group_ids(groups)
    each = max(n // len(ids), 1)
    rows_of = [(dataset.group == g).nonzero().flatten() for g in range(dataset.n_groups)]
    others = [rows[:1] for g, rows in enumerate(rows_of) if g not in ids and len(rows)]
    return torch.cat([rows_of[g][:each] for g in ids] + others[:4]).sort().values


def random_half(train: GroupedDataset, seed: int) -> torch.Tensor:
    """Return the rows of a random half of every group, ascending.

    Groups of odd size are rounded up or down at random.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(train))
    groups = train.group.cpu().numpy()[shuffled]
    halves = [shuffled[groups == g][: (n + rng.integers(2)) // 2]
              for g, n in enumerate(train.group_counts().tolist())]
    return torch.from_numpy(np.sort(np.concatenate(halves)))


def smaller(splits: Splits, groups: Sequence[Group], seed: int, half: bool, tiny: bool) -> Splits:
    """Return the splits with half of the training set, with a few samples, or both.

    Args:
        splits: The splits.
        groups: The dominant forget groups (y, a), from which most of the few samples are drawn.
        seed: Seed of the random half.
        half: Whether to halve the training set.
        tiny: Whether to keep only a few samples of each split.
    """
    if half:
        rows = random_half(splits.train, seed)
        splits = splits._replace(train=splits.train.subset(rows))
    if tiny:
        train, val, test = (part.subset(smoke_subset(part, groups, n))
                            for part, n in zip(splits[:3], (10, 1, 1), strict=True))
        splits = splits._replace(train=train, val=val, test=test)
    return splits
