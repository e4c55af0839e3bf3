"""SCRUB (Kurmanji et al. 2024): a student that obeys the original on the retain set and contradicts it on the
forget set.

    d(x) = T^2 KL(softmax(original(x) / T) || softmax(model(x) / T))
    forget pass:  -d(x)                     for the first epochs only
    retain pass:  gamma * CE + alpha * d(x)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from grmu.models import distance
from grmu.settings import within
from grmu.training import Batch, Method, Recipe


@dataclass
class SCRUB(Method):
    """SCalable Remembering and Unlearning unBound.

    Args:
        forget_epochs: epochs that begin with a forget pass.  alpha, gamma: weights of distance and
        cross-entropy.
        temperature: T above.  retain_batch_size: of the retain pass; 0 is the recipe's.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    alpha: float = within(0, 1e3, default=0.001)
    gamma: float = within(0, 1e3, default=0.99)
    temperature: float = within(0.01, 1e3, default=4.0)
    retain_batch_size: int = within(0, 1_000_000, default=0)

    later: ClassVar[Mapping[str, Any]] = {"retain_batch_size": 0}

    @property
    def retain_recipe(self) -> Recipe:
        recipe = self.context.recipe
        return replace(recipe, batch_size=self.retain_batch_size or recipe.batch_size)

    def distance(self, x: Tensor, logits: Tensor) -> Tensor:
        """d(x) against the original."""
        with torch.no_grad():
            teacher = self.original(x)
        return distance(logits, teacher, self.temperature)

    def forget_loss(self, batch: Batch) -> Tensor:
        return -self.distance(batch.x, self.model(batch.x))

    def retain_loss(self, batch: Batch) -> Tensor:
        logits = self.model(batch.x)
        return (self.gamma * nn.functional.cross_entropy(logits, batch.y)
                + self.alpha * self.distance(batch.x, logits))
