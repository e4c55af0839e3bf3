"""Balancing the groups (Idrissi et al. 2022): two simple retraining references beside GROUP-DRO.

RWG draws every group equally often; SUBG cuts every group down to the size of the smallest. Neither restores
the old proportions, which is what REWEIGHT does.
"""

from dataclasses import dataclass

import torch

from grmu.reweight import balanced_weights
from grmu.training import Context, Method


@dataclass
class RWG(Method):
    """Retraining on group-balanced draws."""

    starts_from = "fresh"

    def sampling_weights(self) -> torch.Tensor:
        return balanced_weights(self.context.retain)


@dataclass
class SUBG(Method):
    """Retraining on as many samples of each group as the smallest has left; an epoch is a pass over those."""

    starts_from = "fresh"

    def setup(self, context: Context) -> None:
        super().setup(context)
        retain, rng = context.retain, context.rng
        smallest = int(min(n for n in retain.group_counts().tolist() if n))
        order = torch.randperm(len(retain), generator=rng).to(context.device)
        chosen = [order[retain.group[order] == g][:smallest] for g in range(retain.n_groups)]
        context.retain, context.weights = retain.subset(torch.cat(chosen).sort().values), None

    def sampling_weights(self) -> None:
        return None  # the subset is the sampling: REWEIGHT has no place here
