"""Boundary unlearning (Chen et al. 2023): move the decision boundary.

The forget pass of BoundaryShrink trains each sample on the class across the nearest boundary. With two
classes, this flips the label if the boundary is within eps.

    CE(x, y_near)
    y_near = argmax original(x + eps * sign(d CE(x, y) / dx))

The forget pass of BoundaryExpand minimises the cross-entropy over n + 1 classes. The last one is a shadow
class that receives the forget set and is removed afterwards.

The published methods train on the forget set alone (retains=False). By default, we add the retain pass of the
other methods, to which REWEIGHT can be applied.
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
    """Train each forget sample on its nearest other class.

    Args:
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        retains: Whether epochs have a retain pass.
        eps: Length of the step towards the other class, in grey levels (0 to 255).

    Raises:
        ValueError: The samples are neither uint8 nor floats (in `setup`).
    """

    forget_epochs: int = within(0, 10_000, default=5)
    retains: bool = True
    eps: float = within(0, 255, default=25.0)

    def setup(self, context: Context) -> None:
        super().setup(context)
        kind = context.train.x[:1].dtype
        require(kind == torch.uint8 or kind.is_floating_point, f"boundary_shrink needs uint8 or "
                f"float samples, got {kind}, such as token ids: choose another method.")

    def near_labels(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the class that the original predicts one signed gradient step away, (B,).

        Args:
            x: Samples as the network scales them, in -1 to 1.
            y: (B,) targets.
        """
        x = x.detach().requires_grad_(True)
        loss = nn.functional.cross_entropy(self.original(x), y)
        (gradient,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            moved = x + self.eps * 2 / 255 * gradient.sign()
            low, high = x.min().clamp(max=-1), x.max().clamp(min=1)  # wider unless samples are pictures
            return self.original(moved.clamp(low, high)).argmax(1)

    def forget_loss(self, batch: Batch) -> Tensor:
        x = self.model.scaled(batch.x)
        return nn.functional.cross_entropy(self.model(x), self.near_labels(x, batch.y))


@dataclass
class BoundaryExpand(Method):
    """Move the forget set to a shadow class of its own.

    Args:
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        retains: Whether epochs have a retain pass.
    """

    forget_epochs: int = within(0, 10_000, default=5)
    retains: bool = True

    def setup(self, context: Context) -> None:
        super().setup(context)
        bound = 1 / math.sqrt(self.model.n_features)  # initialised like nn.Linear
        weight = (2 * torch.rand(self.model.n_features + 1, generator=context.rng) - 1) * bound
        self.shadow = nn.Parameter(weight.to(context.device))

    def forget_loss(self, batch: Batch) -> Tensor:
        z = self.model.features(batch.x)
        logits = torch.cat([self.model.head(z), (z @ self.shadow[:-1] + self.shadow[-1])[:, None]], 1)
        return nn.functional.cross_entropy(logits, torch.full_like(batch.y, logits.shape[1] - 1))
