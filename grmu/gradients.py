"""Gradients as flat vectors: of a set, and of every sample; the Fisher information's diagonal from them.

All in eval mode, so that BatchNorm's statistics stay as they are and each sample's gradient is its own. A
flat vector has the order of `model.parameters()`, which `unflatten` undoes. Samples are taken in chunks,
smaller ones for larger networks.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, Samples
from grmu.models import Classifier


def fitting(model: nn.Module, most: int, budget: int) -> int:
    """Samples of a chunk: `most` for a small network, else as many as `budget` holds,
    counted in parameters."""
    return max(1, min(most, budget // sum(p.numel() for p in model.parameters())))


def unflatten(vector: Tensor, model: nn.Module) -> list[Tensor]:
    """A vector (n_parameters,) in the shapes of the model's parameters."""
    sizes = [p.numel() for p in model.parameters()]
    return [part.view_as(p) for part, p in zip(vector.split(sizes), model.parameters(), strict=True)]


def mean_gradient(model: Classifier, data: GroupedDataset, weights: Tensor | None = None) -> Tensor:
    """Gradient of the mean cross-entropy over the data, (n_parameters,); with `weights` (N,), which sum to 1,
    of that mean."""
    parameters, was_training = list(model.parameters()), model.training
    model.eval()
    weights = torch.full((len(data),), 1 / len(data), device=data.y.device) if weights is None else weights
    total = torch.zeros(sum(p.numel() for p in parameters), device=data.y.device)
    for rows in torch.arange(len(data), device=data.y.device).split(fitting(model, 1000, 2**31)):
        losses = nn.functional.cross_entropy(model(data.x[rows]), data.y[rows], reduction="none")
        total += torch.cat([g.flatten() for g in torch.autograd.grad(losses @ weights[rows], parameters)])
    model.train(was_training)
    return total


def sample_gradients(model: Classifier, x: Tensor | Samples, y: Tensor) -> Iterator[Tensor]:
    """Gradient of each sample's cross-entropy, (B, n_parameters), in chunks of B (that fill 1 GB at most)."""
    was_training, chunk = model.training, fitting(model, 250, 2**28)
    model.eval()
    fixed = {k: v.detach() for k, v in (*model.named_parameters(), *model.named_buffers())}
    names = [name for name, _ in model.named_parameters()]

    def loss(parameters: dict[str, Tensor], one_x: Tensor, one_y: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, fixed | parameters, (one_x[None],))
        return nn.functional.cross_entropy(logits, one_y[None])

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    for part_x, part_y in zip(x.split(chunk), y.split(chunk), strict=True):
        gradients = per_sample({name: fixed[name] for name in names}, model.scaled(part_x), part_y)
        yield torch.cat([gradients[name].flatten(1) for name in names], 1)
    model.train(was_training)


def fisher_diagonal(model: Classifier, data: GroupedDataset, weights: Tensor | None = None) -> Tensor:
    """Mean of the squared gradients of single samples, (n_parameters,):
    the diagonal of the empirical Fisher information."""
    weights = torch.full((len(data),), 1 / len(data), device=data.y.device) if weights is None else weights
    total, first = torch.zeros((), device=data.y.device), 0
    for gradients in sample_gradients(model, data.x, data.y):
        total = total + weights[first : first + len(gradients)] @ gradients.square()
        first += len(gradients)
    return total
