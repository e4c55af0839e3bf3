"""SSD, selective synaptic dampening (Foster et al. 2024): shrink weights that matter more for the forget set.

    I(D) = diagonal of the Fisher information on D
    theta <- theta * min(lam * I(D) / I(D_f), 1)  where  I(D_f) > alpha * I(D)

There is no training, because `setup` does all the work and the presets set epochs to 0. D is the whole
training set. With REWEIGHT, the weighted retain set takes its place, because its groups have the same
proportions.
"""

from dataclasses import dataclass

import torch

from grmu.data.checks import within
from grmu.gradients import fisher_diagonal, unflatten
from grmu.training import Context, Method


@dataclass
class SSD(Method):
    """Selective synaptic dampening.

    Args:
        alpha: Factor by which a weight must be more important for the forget set than for D.
        lam: Factor of the dampening; a smaller value dampens more.
    """

    alpha: float = within(0, 1e6, default=10.0)
    lam: float = within(0, 1e6, default=1.0)

    @torch.no_grad()
    def setup(self, context: Context) -> None:
        super().setup(context)
        of_all = (fisher_diagonal(self.model, context.train) if context.weights is None
                  else fisher_diagonal(self.model, context.retain, context.weights))
        of_forget = fisher_diagonal(self.model, context.forget)
        factor = torch.where(of_forget > self.alpha * of_all, (self.lam * of_all / of_forget).clamp(max=1),
                             1.0)
        for p, part in zip(self.model.parameters(), unflatten(factor, self.model), strict=True):
            p.mul_(part)
