"""Exact unlearning, its control, and the shifted prior, as lessons 01 and 10 have students write them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Fit = Callable[[Tensor, Tensor], Any]  # pictures and targets -> a trained model


def retrain(fit: Fit, x: Tensor, y: Tensor, group: Tensor, g: int, ratio: float, seed: int) -> Any:
    """Return what `fit` makes of everyone except a random fraction `ratio` of group g."""
    return _without(fit, x, y, group == g, ratio, seed)


def retrain_even(fit: Fit, x: Tensor, y: Tensor, group: Tensor, g: int, ratio: float, seed: int) -> Any:
    """Return what `fit` makes of everyone except as many samples as `retrain` forgets, drawn from all."""
    share = round(ratio * int((group == g).sum())) / len(group)
    return _without(fit, x, y, torch.ones_like(group, dtype=torch.bool), share, seed)


def _without(fit: Fit, x: Tensor, y: Tensor, members: Tensor, ratio: float, seed: int) -> Any:
    rows, rng = members.nonzero().flatten(), torch.Generator().manual_seed(seed)
    retained = torch.ones(len(members), dtype=torch.bool)
    retained[rows[torch.randperm(len(rows), generator=rng)[:round(ratio * len(rows))]]] = False
    return fit(x[retained], y[retained])


def margin_shift(before: Tensor, left: Tensor) -> Tensor:
    """Return by how much the margin of class 1 over class 0 moves at each attribute value, in nats.

    Args:
        before, left: (2, n_attributes) samples of each group before and after forgetting, all above 0.
    """
    change = (left.double() / before.double()).log()
    return change[1] - change[0]


def retain_share(counts: Sequence[int] | Tensor, g: int, ratio: float) -> float:
    """Return group g's fraction of the retain set, after `ratio` of the group is forgotten."""
    left = (1 - ratio) * float(counts[g])
    return left / (float(sum(counts)) - float(counts[g]) + left)


def adjusted(logits: Tensor, a: Tensor, alpha: Tensor) -> Tensor:
    """Return the logits with the original prior: log alpha is added to the class at the visible attribute.

    Args:
        logits: (N, n_classes), of a model of the retain set.
        a: (N,) attribute values.
        alpha: (n_classes, n_attributes), REWEIGHT's weights, all above 0.
    """
    return logits + alpha.to(logits).log()[:, a].T
