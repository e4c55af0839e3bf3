"""Retraining with one thing changed: what a cause is held against (`grmu.study.causes`).

Not among the registered methods: who uses one says `methods.register("by_hand", ByHand)` first.
"""

from dataclasses import dataclass

import torch

from grmu.settings import within
from grmu.training import Context, Method


@dataclass
class ByHand(Method):
    """RETRAIN, the retain set drawn with replacement, each sample with the weight of its group.

    group_weights: one a group, in group order. All alike, it is RETRAIN on bootstrap samples.
    """

    group_weights: tuple[float, ...] = ()
    starts_from = "fresh"

    def sampling_weights(self) -> torch.Tensor:
        weights = torch.tensor(self.group_weights)[self.context.retain.group]
        return weights / weights.sum()


@dataclass
class Repeated(Method):
    """RETRAIN, an epoch being a pass over `copies` of the retain set: of few samples as long as of many."""

    copies: int = within(1, 1000, default=1)
    starts_from = "fresh"

    def setup(self, context: Context) -> None:
        super().setup(context)
        once = torch.arange(len(context.retain), device=context.device)
        context.retain = context.retain.subset(once.repeat(self.copies))
