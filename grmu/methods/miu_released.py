"""MIU as the paper's authors released it. It differs from Algorithm 1 (`grmu.methods.miu`) in four ways:

1. Both MINE networks are fitted to the *unlearned* model's features.
2. Both are tuned before every epoch.
3. Each tuning makes one update more than the settings say.
4. The original model stays in train mode, so its BatchNorm uses the batch.

The protocol "released" trains this class when an experiment asks for "miu".
"""

import copy
from dataclasses import dataclass

from torch import Tensor

from grmu.methods.miu import MIU
from grmu.training import Batch, Context


@dataclass
class MIUReleased(MIU):
    """MIU with the four differences listed above. The settings are the same."""

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.original = copy.deepcopy(self.original).train()
        self.z_original = None  # its features depend on the batch

    def tune_mine(self, updates: int, with_original: bool) -> None:
        """Fit both MINE networks, with one update more, before every epoch."""
        super().tune_mine(updates + 1, with_original=self.calibrates)

    def tuning_features(self, batch: Batch, z: Tensor) -> Tensor:
        """What `mine_original` is fitted to: the unlearned model's features, like `mine`."""
        return z
