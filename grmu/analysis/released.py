"""Two metrics as the paper's released code computes them, beside Eqs. 10 and 11 as `grmu.metrics` has them.

The printed tables hold these, so a perfect reproduction has the printed avg. gap with these alone.
docs/full-scale.md says what is wrong with both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grmu.data import Group, GroupedDataset
from grmu.experiments import Experiment
from grmu.experiments.run import load_split, run, run_keys
from grmu.experiments.store import Store, digest
from grmu.numerics import fixed_threads
from grmu.training import predict


def membership(retain: Tensor, val: Tensor, forget: Tensor) -> float:
    """Return the largest share of the forget set that one of six forests takes for non-members.

    The forests (20, 50 or 100 trees; gini or entropy) see the loss alone and no weights. Each fits all
    samples, so it mostly learns which side is larger, and the best is chosen by the reported number itself.

    Args:
        retain, val, forget: Losses, (N,) each; retained samples are the members, validation samples are not.
    """
    from sklearn.ensemble import RandomForestClassifier

    losses = torch.cat([retain, val])[:, None].numpy()
    member = np.r_[np.ones(len(retain)), np.zeros(len(val))]
    shares = []
    for n_trees, criterion in product((20, 50, 100), ("gini", "entropy")):
        forest = RandomForestClassifier(n_trees, criterion=criterion, random_state=0).fit(losses, member)
        shares.append(1 - forest.predict(forget[:, None].numpy()).mean())
    return float(max(shares))


def equalized_odds(by_group: Sequence[float], data: GroupedDataset, groups: Sequence[Group]) -> float:
    """Return the mean over the target of the difference in accuracy between the two values of the attribute.

    Target and attribute are made binary: those of the groups that forget, and the others. With two classes
    and two attribute values this is Eq. 11.

    Args:
        by_group: Test accuracy of every group, in group order.
        data: The test set, for the sizes of its groups.
        groups: The groups that forget.
    """
    hits = np.nan_to_num(np.array(by_group)) * data.group_counts().numpy()
    counts = data.group_counts().numpy()
    targets, attributes = ({value[i] for value in groups} for i in (0, 1))
    y, a = np.divmod(np.arange(data.n_groups), data.n_attributes)
    y, a = np.isin(y, list(targets)), np.isin(a, list(attributes))
    differences = []
    for target in (False, True):
        rates = [hits[cell].sum() / counts[cell].sum() for cell in ((y == target) & a, (y == target) & ~a)]
        differences.append(abs(rates[0] - rates[1]))
    return float(np.mean(differences))


def membership_of(experiment: Experiment, store: str | Path | None = None, device: str = "cpu") -> float:
    """Return `membership` of a run; train it if the store lacks it, and keep the number there."""
    key = digest("released membership", run_keys(experiment).result)[:20]

    def compute() -> tuple[dict[str, float], None]:
        splits, split, _ = load_split(experiment)
        model = run(experiment, store, device).model.to(device)
        losses = []
        with fixed_threads():
            for part in (split[0], splits.val, split[1]):
                part = part.to(device)
                logits = predict(model, model, part.x).float()
                losses.append(torch.nn.functional.cross_entropy(logits, part.y, reduction="none").cpu())
            return {"share": membership(*losses)}, None

    return float(Store(store).get_or_compute("results", key, compute)["share"])
