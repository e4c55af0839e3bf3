"""MIU as the paper's authors released it.

It differs from Algorithm 1 (`grmu.methods.miu`) in four ways:

1. Both MINE networks are fitted to the features of the *unlearned* model.
2. Both are tuned before every epoch.
3. Each tuning makes one more update than the settings specify.
4. The original model stays in train mode, so its BatchNorm uses the statistics of the batch.

The protocol "released" uses this class when an experiment selects "miu".
"""

import copy
from dataclasses import dataclass

from torch import Tensor

from grmu.methods.miu import MIU
from grmu.training import Batch, Context


@dataclass
class MIUReleased(MIU):
    """MIU with the four differences listed above and the same settings."""

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.original = copy.deepcopy(self.original).train()
        self.z_original = None  # its features depend on the batch

    def tune_mine(self, updates: int, with_original: bool) -> None:
        """Fit both MINE networks with one more update than specified."""
        super().tune_mine(updates + 1, with_original=self.calibrates)

    def tuning_features(self, batch: Batch, z: Tensor) -> Tensor:
        """Return the unlearned model's features, to which `mine_original` is fitted."""
        return z
