"""Retraining with one thing changed: what a cause is held against (data/results/causes.py).

Not among the registered methods: who uses one says `methods.register("by_hand", ByHand)` first.
"""

from dataclasses import dataclass

import torch

from grmu.data.checks import within
from grmu.reweight import draw_epoch
from grmu.training import Method


@dataclass
class ByHand(Method):
    """RETRAIN, the retain set drawn with replacement, each sample with the weight of its group.

    group_weights: one a group, in group order. All alike, it is RETRAIN on bootstrap samples.
    """

    group_weights: tuple[float, ...] = ()
    init_from = None

    def sample_epoch(self) -> torch.Tensor:
        retain = self.context.retain
        weights = torch.tensor(self.group_weights)[retain.group.cpu()]
        return draw_epoch(len(retain), weights / weights.sum(), self.context.rng)


@dataclass
class Repeated(Method):
    """RETRAIN, an epoch being a pass over `copies` of the retain set: of few samples as long as of many."""

    copies: int = within(1, 1000, default=1)
    init_from = None

    def sample_epoch(self) -> torch.Tensor:
        n = len(self.context.retain)
        return draw_epoch(n * self.copies, None, self.context.rng) % n
