"""Balancing the groups (Idrissi et al. 2022): two simple retraining references beside GROUP-DRO.

RWG draws every group equally often, and SUBG reduces every group to the size of the smallest. Unlike
REWEIGHT, neither restores the original proportions.
"""

from dataclasses import dataclass

import torch

from grmu.data import GroupedDataset
from grmu.reweight import draw_epoch
from grmu.training import Context, Method


def balanced_weights(retain: GroupedDataset) -> torch.Tensor:
    """Return weights, (len(retain),), with the same sum for every group (RWG, Idrissi et al. 2022).

    REWEIGHT is often mistaken for this.
    """
    weights = 1.0 / retain.group_counts()[retain.group]
    return weights / weights.sum()


@dataclass
class RWG(Method):
    """Retraining in which every group is drawn equally often."""

    init_from = None

    def sample_epoch(self) -> torch.Tensor:
        retain = self.context.retain
        return draw_epoch(len(retain), balanced_weights(retain), self.context.rng)


@dataclass
class SUBG(Method):
    """Retraining on the same number of samples from each group.

    This number is the size of the smallest group, and an epoch is one pass over these samples.
    """

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
    """Retraining in which groups are drawn with given weights; this control is not registered.

    Args:
        group_weights: One weight per group, in group order. If all are equal, this is RETRAIN on bootstrap
            samples.
    """

    group_weights: tuple[float, ...] = ()

    def sample_epoch(self) -> torch.Tensor:
        retain = self.context.retain
        weights = torch.tensor(self.group_weights)[retain.group.cpu()]
        return draw_epoch(len(retain), weights / weights.sum(), self.context.rng)
