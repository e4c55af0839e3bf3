"""Boundary unlearning (Chen et al. 2023): move the decision boundary instead of the weights' memory.

    BoundaryShrink, forget pass:  CE(x, y_near),  y_near = argmax original(x + eps * sign(d CE(x, y) / dx))
    BoundaryExpand, forget pass:  CE over n + 1 classes, the last a shadow class that takes the forget set in
        and is then dropped

Shrinking hands each sample to the class across the nearest boundary (with two classes: flips it, if eps
reaches that far). Both are published as tuning on the forget set alone (retains=False); with the retain pass
of the other methods, REWEIGHT has something to weigh.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data import require
from grmu.data.checks import within
from grmu.training import Batch, Context, Method


@dataclass
class BoundaryShrink(Method):
    """Relabel each forget sample by its nearest neighbouring class.

    Args:
        forget_epochs: epochs that begin with a forget pass.  retains: False leaves out the retain pass.
        eps: how far the neighbour is searched, in grey levels of 255.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    retains: bool = True
    eps: float = within(0, 255, default=25.0)

    def setup(self, context: Context) -> None:
        super().setup(context)
        kind = context.train.x[:1].dtype
        require(kind == torch.uint8 or kind.is_floating_point, f"boundary_shrink moves samples, and {kind} "
                "samples such as token ids cannot be moved: choose another method.")

    def near_labels(self, x: Tensor, y: Tensor) -> Tensor:
        """The original's answer one signed gradient step away, (B,); x as the network scales it,
        in -1 to 1."""
        x = x.detach().requires_grad_(True)
        loss = nn.functional.cross_entropy(self.original(x), y)
        (gradient,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            moved = x + self.eps * 2 / 255 * gradient.sign()
            low, high = x.min().clamp(max=-1), x.max().clamp(min=1)  # wider for samples that are no pictures
            return self.original(moved.clamp(low, high)).argmax(1)

    def forget_loss(self, batch: Batch) -> Tensor:
        x = self.model.scaled(batch.x)
        return nn.functional.cross_entropy(self.model(x), self.near_labels(x, batch.y))


@dataclass
class BoundaryExpand(Method):
    """Make room for the forget set in a shadow class of its own.

    Args:
        forget_epochs: epochs that begin with a forget pass.  retains: False leaves out the retain pass.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    retains: bool = True

    def setup(self, context: Context) -> None:
        super().setup(context)
        bound = 1 / math.sqrt(self.model.n_features)  # as nn.Linear starts
        weight = (2 * torch.rand(self.model.n_features + 1, generator=context.rng) - 1) * bound
        self.shadow = nn.Parameter(weight.to(context.device))

    def forget_loss(self, batch: Batch) -> Tensor:
        z = self.model.features(batch.x)
        logits = torch.cat([self.model.head(z), (z @ self.shadow[:-1] + self.shadow[-1])[:, None]], 1)
        return nn.functional.cross_entropy(logits, torch.full_like(batch.y, logits.shape[1] - 1))
