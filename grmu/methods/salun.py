"""SalUn (Fan et al. 2024): random labels, but only the weights that matter for the forget set are trained.

The mask selects the weights with the largest |d CE(D_f) / d theta|, computed once on the original model.
After every step, the other weights are reset, so that momentum and weight decay do not change them either:

    theta <- where(mask, theta, theta_o)
"""

from dataclasses import dataclass

import torch

from grmu.data.checks import within
from grmu.gradients import mean_gradient, unflatten
from grmu.methods.random_labels import RandomLabels
from grmu.training import Context


@dataclass
class SalUn(RandomLabels):
    """Saliency unlearning.

    Args:
        share: Share of the weights that are trained. The paper's threshold, the median, corresponds to 0.5.
    """

    share: float = within(0, 1, default=0.5)

    def setup(self, context: Context) -> None:
        super().setup(context)
        saliency = mean_gradient(context.model, context.forget).abs()
        salient = torch.zeros_like(saliency, dtype=torch.bool)
        salient[saliency.topk(round(self.share * len(saliency))).indices] = True
        self.frozen = [~part for part in unflatten(salient, context.model)]
        self.originals = [p.detach().clone() for p in context.model.parameters()]

    @torch.no_grad()
    def after_step(self) -> None:
        for p, frozen, original in zip(self.model.parameters(), self.frozen, self.originals, strict=True):
            torch.where(frozen, original, p, out=p)
