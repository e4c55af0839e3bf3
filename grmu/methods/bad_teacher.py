"""Bad Teacher (Chundawat et al. 2023): learn from two teachers, one of which knows nothing.

    forget pass:  KL(ignorant(x) || model(x))
    retain pass:  KL(original(x) || model(x))

The ignorant teacher is a network with fresh weights. Both teachers receive the same batches as the model,
with the same augmentation. No labels are used.
"""

from dataclasses import dataclass

import torch

from grmu.data.checks import within
from grmu.methods.scrub import distillation_kl
from grmu.own_network import reset
from grmu.training import Batch, Context, Method


@dataclass
class BadTeacher(Method):
    """Unlearning with a competent and an incompetent teacher.

    Args:
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        temperature: Temperature of both distances.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    temperature: float = within(0.01, 1e3, default=1.0)

    def setup(self, context: Context) -> None:
        super().setup(context)
        seed = int(torch.randint(2**31, (1,), generator=context.rng))
        self.ignorant = reset(self.original, seed).eval()

    def forget_loss(self, batch: Batch) -> torch.Tensor:
        return distillation_kl(self.model(batch.x), self.ignorant(batch.x), self.temperature)

    def retain_loss(self, batch: Batch) -> torch.Tensor:
        return distillation_kl(self.model(batch.x), self.original(batch.x), self.temperature)
