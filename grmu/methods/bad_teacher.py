"""Bad Teacher (Chundawat et al. 2023): learn from the original on the retain set,
from an ignorant network on the forget set.

    forget pass:  KL(ignorant(x) || model(x)),  the ignorant teacher being a network with fresh weights
    retain pass:  KL(original(x) || model(x))

No labels are used. Both teachers answer on the batch as the model sees it.
"""

import copy
from dataclasses import dataclass

import torch

from grmu.data.checks import within
from grmu.methods.scrub import distillation_kl
from grmu.models import Classifier
from grmu.numerics import seeded
from grmu.training import Batch, Context, Method


def reinitialised(model: Classifier, rng: torch.Generator, device: torch.device) -> Classifier:
    """A copy of the network with fresh weights; a gradient goes where it went in the original."""
    fresh, seed = copy.deepcopy(model), int(torch.randint(2**31, (1,), generator=rng))
    with seeded(seed, device):
        for module in fresh.modules():
            if reset := (getattr(module, "reset_parameters", None)
                         or getattr(module, "_reset_parameters", None)):
                reset()
    return fresh


@dataclass
class BadTeacher(Method):
    """Unlearning with a competent and an incompetent teacher.

    Args:
        forget_epochs: epochs that begin with a forget pass.  temperature: of both distances.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    temperature: float = within(0.01, 1e3, default=1.0)

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.ignorant = reinitialised(self.original, context.rng, context.device).eval()

    def forget_loss(self, batch: Batch) -> torch.Tensor:
        return distillation_kl(self.model(batch.x), self.ignorant(batch.x), self.temperature)

    def retain_loss(self, batch: Batch) -> torch.Tensor:
        return distillation_kl(self.model(batch.x), self.original(batch.x), self.temperature)
