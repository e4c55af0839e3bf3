"""Gradient ascent (Golatkar et al. 2020; Thudi et al. 2022):
undo training by climbing the loss of the forget set.

    forget pass:  -CE

The loss has no upper end, so few and small steps are all it stands. Alone (retains=False) it never sees the
retain set; with the retain pass it is what Kurmanji et al. (2024) call NegGrad+, and REWEIGHT has something
to weigh.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from grmu.data.checks import within
from grmu.training import Batch, Method


@dataclass
class GradientAscent(Method):
    """Ascent on the forget set, descent on the retain set.

    Args:
        forget_epochs: epochs that begin with a forget pass.  retains: False leaves out the retain pass.
    """

    forget_epochs: int = within(0, 10_000, default=1)
    retains: bool = True

    def forget_loss(self, batch: Batch) -> Tensor:
        return -nn.functional.cross_entropy(self.model(batch.x), batch.y)
