"""Random labels (Golatkar et al. 2020; Graves et al. 2021): train the forget set on wrong labels.

    forget pass:  CE(x, y')

The wrong label y' is drawn uniformly from the classes other than y. With two classes, there is only one wrong
label, so the labels are flipped. The retain pass uses the right labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data.checks import within
from grmu.training import Batch, Method


@dataclass
class RandomLabels(Method):
    """Random relabelling.

    Args:
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
    """

    forget_epochs: int = within(0, 10_000, default=5)

    def wrong_labels(self, y: Tensor) -> Tensor:
        """Draw a class other than y for each sample, (B,)."""
        n_classes = self.context.train.n_classes
        shift = torch.randint(1, n_classes, (len(y),), generator=self.context.rng)
        return (y + shift.to(y.device, non_blocking=True)) % n_classes

    def forget_loss(self, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(self.model(batch.x), self.wrong_labels(batch.y))
