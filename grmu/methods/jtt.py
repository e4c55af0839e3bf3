"""JTT, just train twice (Liu et al. 2021): train briefly, then again with the errors drawn more often.

    first:  a few epochs of cross-entropy on the retain set, at a constant rate
    again:  fresh weights, CE,  P(x_i) ~ up where the first model was wrong, else 1

No groups are used: errors stand for small groups. Both trainings see the retain set only and begin with the
same weights. The paper repeats errors in a longer epoch; here an epoch keeps its length. It samples by
itself, so REWEIGHT has no place here.
"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from grmu.data.checks import within
from grmu.methods import Retrain
from grmu.reweight import draw_epoch
from grmu.training import Context, Method, correct, train


@dataclass
class JTT(Method):
    """Retraining with the errors of a brief first training upweighted.

    Args:
        first_epochs: of the first training.  up: how many times more often an error is drawn.
    """

    first_epochs: int = within(1, 10_000, default=1)
    up: float = within(1, 1e6, default=20.0)
    init_from = None

    def setup(self, context: Context) -> None:
        super().setup(context)
        first = copy.deepcopy(context.model)
        brief = replace(context.config, epochs=self.first_epochs, warmup_epochs=0, schedule="constant")
        train(Retrain(), replace(context, model=first, config=brief, weights=None))
        self.weights = torch.where(correct(first, context.retain), 1.0, self.up)

    def sample_epoch(self) -> Tensor:
        return draw_epoch(len(self.weights), self.weights / self.weights.sum(), self.context.rng)
