"""Random labels (Golatkar et al. 2020; Graves et al. 2021): teach the forget set wrong answers,
the retain set right ones.

    forget pass:  CE(x, y'),  y' drawn evenly from the classes that are not y

With two classes there is only one wrong answer: the labels are flipped.
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
        forget_epochs: epochs that begin with a forget pass.
    """

    forget_epochs: int = within(0, 10_000, default=5)

    def wrong_labels(self, y: Tensor) -> Tensor:
        """A class other than y for each sample, (B,)."""
        n_classes = self.context.train.n_classes
        shift = torch.randint(1, n_classes, (len(y),), generator=self.context.rng)
        return (y + shift.to(y.device, non_blocking=True)) % n_classes

    def forget_loss(self, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(self.model(batch.x), self.wrong_labels(batch.y))
