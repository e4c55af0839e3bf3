"""SCRUB (Kurmanji et al. 2024): a student that obeys the original on the retain set and contradicts it on the
forget set.

    d(x) = T^2 KL(softmax(original(x) / T) || softmax(model(x) / T))
    forget pass:  -d(x)                     for the first epochs only
    retain pass:  gamma * CE + alpha * d(x)
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data.checks import within
from grmu.training import Batch, Method


def distillation_kl(model_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || model) of softened predictions, (B, n_classes) each, a mean over samples, in nats."""
    log_p, log_q = (nn.functional.log_softmax(v / temperature, 1) for v in (teacher_logits, model_logits))
    return temperature**2 * nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


@dataclass
class SCRUB(Method):
    """SCalable Remembering and Unlearning unBound.

    Args:
        forget_epochs: epochs that begin with a forget pass.  alpha, gamma: weights of distance and
        cross-entropy.
        temperature: T above.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    alpha: float = within(0, 1e3, default=0.001)
    gamma: float = within(0, 1e3, default=0.99)
    temperature: float = within(0.01, 1e3, default=4.0)

    def distance(self, x: Tensor, logits: Tensor) -> Tensor:
        """d(x) against the original."""
        with torch.no_grad():
            teacher = self.original(x)
        return distillation_kl(logits, teacher, self.temperature)

    def forget_loss(self, batch: Batch) -> Tensor:
        return -self.distance(batch.x, self.model(batch.x))

    def retain_loss(self, batch: Batch) -> Tensor:
        logits = self.model(batch.x)
        return (self.gamma * nn.functional.cross_entropy(logits, batch.y)
                + self.alpha * self.distance(batch.x, logits))
