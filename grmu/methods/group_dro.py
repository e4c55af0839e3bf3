"""GROUP-DRO (Sagawa et al. 2020): retrain for the worst group, with group weights q that follow the losses.

    loss = sum_g q_g * CE_g
    q_g <- q_g * exp(eta * CE_g), then normalised, at every step

As in the authors' implementation, all groups are drawn equally often.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data.checks import within
from grmu.methods.balanced import RWG
from grmu.training import Batch, Context


@dataclass
class GroupDRO(RWG):
    """Retraining that minimises the loss of the worst group.

    Args:
        eta: Step size of the group weights q.
    """

    eta: float = within(0, 100, default=0.01)

    def setup(self, context: Context) -> None:
        super().setup(context)
        n_groups = context.retain.n_groups
        self.q = nn.Buffer(torch.full((n_groups,), 1 / n_groups, device=context.device))

    def retain_loss(self, batch: Batch) -> Tensor:
        losses = nn.functional.cross_entropy(self.model(batch.x), batch.y, reduction="none")
        members = nn.functional.one_hot(batch.group, len(self.q)).to(losses.dtype)
        group_losses = losses @ members / members.sum(0).clamp(min=1)  # CE_g; 0 if the batch lacks the group
        self.q.mul_((self.eta * group_losses.detach()).exp())
        self.q.div_(self.q.sum())
        return self.q @ group_losses


@dataclass
class GroupDROPretrain(GroupDRO):
    """The original model, trained with GROUP-DRO on all training samples."""

    trains_on = "train"
