"""AFR, automatic feature reweighting (Qiu et al. 2023): the last layer trained on, errors weighing more.

    w_i  ~  exp(-gamma * p_i) / n_y,   p_i = the old model's p(y_i | x_i), n_y = samples of the class, mean 1
    retain pass:  mean of w_i CE_i over the batch  +  lam * |head - old head|^2

No groups are used: low p stands for a small group. The weights are fixed before the first step. REWEIGHT may
choose the batches, for what is drawn and what it weighs are two things.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data.checks import within
from grmu.methods.last_layer import LastLayer
from grmu.training import Batch, Context


@dataclass
class AFR(LastLayer):
    """The last layer trained on with weights that fall with the old model's confidence in the right class.

    Args:
        gamma: how fast.  lam: of the pull towards the old head, bias included.
    """

    gamma: float = within(0, 1e3, default=5.0)
    lam: float = within(0, 1e3, default=0.01)

    @torch.no_grad()
    def setup(self, context: Context) -> None:
        super().setup(context)
        retain, head = context.retain, self.model.head
        p = head(self.z).softmax(1).gather(1, retain.y[:, None])[:, 0]
        weights = (-self.gamma * p).exp() / retain.y.bincount()[retain.y]
        self.weights = weights / weights.mean()  # (N,)
        self.old = [p.clone() for p in head.parameters()]

    def retain_loss(self, batch: Batch) -> Tensor:
        losses = nn.functional.cross_entropy(self.model.head(self.z[batch.index]), batch.y, reduction="none")
        moved = zip(self.model.head.parameters(), self.old, strict=True)
        pull = torch.stack([(new - old).square().sum() for new, old in moved]).sum()
        return (self.weights[batch.index] * losses).mean() + self.lam * pull
