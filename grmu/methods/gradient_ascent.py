"""Gradient ascent: undo training by increasing the loss of the forget set.

    forget pass:  -CE

The method is due to Golatkar et al. (2020) and Thudi et al. (2022). Because the loss has no upper bound, only
a few small steps are possible before the model breaks down. Alone (retains=False), the method never sees the
retain set. With the retain pass, it is what Kurmanji et al. (2024) call NegGrad+, and REWEIGHT can be applied
to it.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from grmu.data.checks import within
from grmu.training import Batch, Method


@dataclass
class GradientAscent(Method):
    """Ascent on the forget set and descent on the retain set.

    Args:
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        retains: Whether epochs have a retain pass.
    """

    forget_epochs: int = within(0, 10_000, default=1)
    retains: bool = True

    def forget_loss(self, batch: Batch) -> Tensor:
        return -nn.functional.cross_entropy(self.model(batch.x), batch.y)
