"""Compute two metrics like the paper's released code, instead of by Eqs. 10 and 11 as `grmu.metrics` does.

The printed tables contain these values, so only they lead to the printed avg. gap. docs/paper.md
explains what is wrong with both metrics.
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
    """Return the largest share of the forget set that one of six forests classifies as non-members.

    The forests have 20, 50 or 100 trees and use gini or entropy. They see only the loss, and samples are not
    weighted. Each forest fits all samples, so it mostly learns which class is larger, and the best forest is
    selected by the reported number itself.

    Args:
        retain: (N,) losses of the retained samples, the members.
        val: (N,) losses of the validation samples, the non-members.
        forget: (N,) losses of the forget set.
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
    """Return the mean over the target of the difference in accuracy between the two attribute values.

    Target and attribute are made binary: values of the forget groups, and all others. With two classes and
    two attribute values, this is Eq. 11.

    Args:
        by_group: Test accuracy of each group, in group order.
        data: The test set, which gives the sizes of the groups.
        groups: The forget groups.
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
    """Return `membership` of a run, and save it in the store; train the run if it is missing.

    Args:
        experiment: The run.
        store: Folder of finished runs, as in `run`.
        device: "cpu" or "cuda".
    """
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
