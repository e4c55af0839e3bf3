"""SCRUB (Kurmanji et al. 2024): stay close to the original on the retain set and move away on the forget set.

    d(x) = T^2 KL(softmax(original(x) / T) || softmax(model(x) / T))
    forget pass:  -d(x)
    retain pass:  gamma * CE + alpha * d(x)

Only the first epochs have a forget pass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data.checks import within
from grmu.training import Batch, Method


def distillation_kl(model_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the KL divergence of softened predictions, a mean over samples in nats.

        T^2 KL(teacher || model)

    Args:
        model_logits: (B, n_classes) logits of the model.
        teacher_logits: (B, n_classes) logits of the teacher.
        temperature: T.
    """
    log_p, log_q = (nn.functional.log_softmax(v / temperature, 1) for v in (teacher_logits, model_logits))
    return temperature**2 * nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


@dataclass
class SCRUB(Method):
    """SCalable Remembering and Unlearning unBound.

    Args:
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        alpha: Weight of the distance.
        gamma: Weight of the cross-entropy.
        temperature: T in the formula of the distance.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    alpha: float = within(0, 1e3, default=0.001)
    gamma: float = within(0, 1e3, default=0.99)
    temperature: float = within(0.01, 1e3, default=4.0)

    def distance(self, x: Tensor, logits: Tensor) -> Tensor:
        """Compute d(x), the distance of the model from the original, a mean over samples."""
        with torch.no_grad():
            teacher = self.original(x)
        return distillation_kl(logits, teacher, self.temperature)

    def forget_loss(self, batch: Batch) -> Tensor:
        return -self.distance(batch.x, self.model(batch.x))

    def retain_loss(self, batch: Batch) -> Tensor:
        logits = self.model(batch.x)
        return (self.gamma * nn.functional.cross_entropy(logits, batch.y)
                + self.alpha * self.distance(batch.x, logits))
