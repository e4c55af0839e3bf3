"""SELF, selective last-layer finetuning (LaBonte et al. 2023): where an early-stopped model disagrees most.

    d(x) = KL(model(x) || early(x)),   early: fresh weights after few epochs on the retain set
    retain pass:  CE of the head on the n_points samples of each class with the largest d, drawn evenly

No groups are used: what is learnt late stands for a small group. The paper takes the largest of all classes
together and balances the draws; as many from each class are the same balance, with no class left out. It
samples by itself, so REWEIGHT has no place here. The head goes on from the old one.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from grmu.data.checks import within
from grmu.methods import Retrain
from grmu.methods.bad_teacher import reinitialised
from grmu.methods.last_layer import LastLayer
from grmu.models import Classifier
from grmu.reweight import draw_epoch
from grmu.training import Context, TrainConfig, predict, train


@dataclass
class SELF(LastLayer):
    """The last layer trained on with a class-balanced disagreement set.

    Args:
        n_points: samples of each class; at most as many as the smallest class has.
        early_epochs, early_lr: of the early-stopped model, at a constant rate, without augmentation.
    """

    n_points: int = within(1, 1_000_000, default=50)
    early_epochs: int = within(1, 10_000, default=1)
    early_lr: float = within(0, 100, default=0.1)

    def setup(self, context: Context) -> None:
        early = predict(stopped := self.early(context), stopped, context.retain.x).log_softmax(1)
        super().setup(context)
        retain = context.retain
        with torch.no_grad():
            ours = self.model.head(self.z).log_softmax(1)
        self.disagreement = (ours.exp() * (ours - early)).sum(1)  # (N,), nats
        members = [(retain.y == c).nonzero().flatten() for c in retain.y.unique().tolist()]
        n = min(self.n_points, *map(len, members))
        self.chosen = torch.cat([rows[self.disagreement[rows].topk(n).indices] for rows in members])

    def early(self, context: Context) -> Classifier:
        """A network with fresh weights after few epochs on the retain set."""
        model = reinitialised(context.model, context.rng, context.device)
        config = TrainConfig(epochs=self.early_epochs, lr=self.early_lr, batch_size=context.config.batch_size,
                             schedule="constant")
        train(Retrain(), replace(context, model=model, config=config, weights=None))
        return model

    def sample_epoch(self) -> Tensor:
        weights = torch.zeros_like(self.disagreement)
        weights[self.chosen] = 1 / len(self.chosen)
        return draw_epoch(len(weights), weights, self.context.rng)
