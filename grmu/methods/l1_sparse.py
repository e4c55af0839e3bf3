"""L1-sparse (Jia et al. 2023): fine-tune on the retain set with an L1 penalty on the weights.

    retain pass:  CE + gamma_t * |theta|_1
    gamma_t = (1 - t / T) * gamma

A sparse model has less capacity for samples that it no longer sees. The penalty decays over the T epochs, so
that the last ones can restore the accuracy.
"""

from dataclasses import dataclass

from torch import Tensor

from grmu.data.checks import within
from grmu.training import Batch, Method


@dataclass
class L1Sparse(Method):
    """Sparsity-aware fine-tuning.

    Args:
        gamma: Weight of the penalty in the first epoch.
    """

    gamma: float = within(0, 1, default=5e-4)

    def before_epoch(self, epoch: int) -> dict[str, float]:
        self.gamma_t = (1 - epoch / self.context.config.epochs) * self.gamma
        return {}

    def retain_loss(self, batch: Batch) -> Tensor:
        penalty = sum(p.abs().sum() for p in self.model.parameters())
        return super().retain_loss(batch) + self.gamma_t * penalty
