"""DFR, deep feature reweighting (Kirichenko et al. 2023): a new last layer from group-balanced data.

    retain pass:  CE of the head + penalty * |W|_1,   W = 0 at the start, every group drawn equally often

The body stays as unlearning left it. This is the paper's variant that balances the training data themselves
(see `grmu.methods.last_layer` for what is not held out); draws from all samples stand for its mean over many
balanced subsets. It samples by itself, so REWEIGHT has no place here.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from grmu.data.checks import within
from grmu.methods.balanced import RWG
from grmu.methods.last_layer import LastLayer
from grmu.training import Batch, Context


@dataclass
class DFR(LastLayer):
    """A new last layer on group-balanced draws of the retain set.

    Args:
        penalty: on the absolute weights of the head, its bias left out.
    """

    penalty: float = within(0, 1, default=1e-3)

    def setup(self, context: Context) -> None:
        super().setup(context)
        for p in self.model.head.parameters():
            nn.init.zeros_(p)

    sample_epoch = RWG.sample_epoch

    def retain_loss(self, batch: Batch) -> Tensor:
        return super().retain_loss(batch) + self.penalty * self.model.head.weight.abs().sum()
