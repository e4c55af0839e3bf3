"""Parts of a training set: a few samples for a dry run, and a random half."""

from collections.abc import Sequence

import numpy as np
import torch

from grmu.data.core import Group, GroupedDataset, Splits


def smoke_subset(dataset: GroupedDataset, groups: Sequence[Group], n: int) -> torch.Tensor:
    """Return rows for a dry run, ascending: n samples of these groups, and one of four others."""
    asked = dataset.group_ids(groups)
    each = max(n // len(asked), 1)
    of = [(dataset.group == g).nonzero().flatten() for g in range(dataset.n_groups)]
    others = [rows[:1] for g, rows in enumerate(of) if g not in asked and len(rows)]
    return torch.cat([of[g][:each] for g in asked] + others[:4]).sort().values


def random_half(train: GroupedDataset, seed: int) -> torch.Tensor:
    """Samples of a random half of every group, ascending;
    a coin decides whether an odd group rounds up or down."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(train))
    groups = train.group.cpu().numpy()[shuffled]
    halves = [shuffled[groups == g][: (n + rng.integers(2)) // 2]
              for g, n in enumerate(train.group_counts().tolist())]
    return torch.from_numpy(np.sort(np.concatenate(halves)))


def smaller(splits: Splits, groups: Sequence[Group], seed: int, half: bool, tiny: bool) -> Splits:
    """Return the splits with half of the training set, or with a few samples, or both."""
    if half:
        rows = random_half(splits.train, seed)
        splits = splits._replace(train=splits.train.subset(rows))
    if tiny:
        train, val, test = (part.subset(smoke_subset(part, groups, n))
                            for part, n in zip(splits[:3], (10, 1, 1), strict=True))
        splits = splits._replace(train=train, val=val, test=test)
    return splits
