"""Balancing the groups (Idrissi et al. 2022): two simple retraining references beside GROUP-DRO.

RWG draws every group equally often; SUBG cuts every group down to the size of the smallest. Neither restores
the old proportions, which is what REWEIGHT does.
"""

from dataclasses import dataclass

import torch

from grmu.data import GroupedDataset
from grmu.reweight import draw_epoch
from grmu.training import Context, Method


def balanced_weights(retain: GroupedDataset) -> torch.Tensor:
    """Equal total weight for every group present (RWG, Idrissi et al. 2022):
    what REWEIGHT is often mistaken for."""
    weights = 1.0 / retain.group_counts()[retain.group]
    return weights / weights.sum()


@dataclass
class RWG(Method):
    """Retraining on group-balanced draws."""

    init_from = None

    def sample_epoch(self) -> torch.Tensor:
        retain = self.context.retain
        return draw_epoch(len(retain), balanced_weights(retain), self.context.rng)


@dataclass
class SUBG(Method):
    """Retraining on as many samples of each group as the smallest has left; an epoch is a pass over those."""

    init_from = None

    def setup(self, context: Context) -> None:
        super().setup(context)
        retain, rng = context.retain, context.rng
        smallest = int(min(n for n in retain.group_counts().tolist() if n))
        order = torch.randperm(len(retain), generator=rng).to(context.device)
        chosen = [order[retain.group[order] == g][:smallest] for g in range(retain.n_groups)]
        self.chosen = torch.cat(chosen).sort().values.cpu()

    def sample_epoch(self) -> torch.Tensor:
        return self.chosen[draw_epoch(len(self.chosen), None, self.context.rng)]


@dataclass
class ByHand(RWG):
    """Retraining on draws of the retain set with weights that you give; a control, not registered.

    Args:
        group_weights: One weight per group, in group order. If all are alike, this is RETRAIN on bootstrap
            samples.
    """

    group_weights: tuple[float, ...] = ()

    def sample_epoch(self) -> torch.Tensor:
        retain = self.context.retain
        weights = torch.tensor(self.group_weights)[retain.group.cpu()]
        return draw_epoch(len(retain), weights / weights.sum(), self.context.rng)
