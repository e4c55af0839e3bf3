"""Gradients of data sets and of single samples as flat vectors, and the diagonal of the Fisher information.

All gradients are computed in eval mode, so BatchNorm keeps its statistics and the gradient of a sample does
not depend on the other samples. A flat vector follows the order of `model.parameters()`; `unflatten` restores
the shapes. Samples are processed in chunks, which are smaller for larger networks.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, Samples
from grmu.models import Classifier


def fitting(model: nn.Module, most: int, budget: int) -> int:
    """Choose the number of samples in a chunk.

    Args:
        model: The network.
        most: Upper bound, for small networks.
        budget: Largest number of parameters times samples.
    """
    return max(1, min(most, budget // sum(p.numel() for p in model.parameters())))


def unflatten(vector: Tensor, model: nn.Module) -> list[Tensor]:
    """Split a vector (n_parameters,) into tensors with the shapes of the model's parameters."""
    sizes = [p.numel() for p in model.parameters()]
    return [part.view_as(p) for part, p in zip(vector.split(sizes), model.parameters(), strict=True)]


def mean_gradient(model: Classifier, data: GroupedDataset, weights: Tensor | None = None) -> Tensor:
    """Compute the gradient of the mean cross-entropy over the data, (n_parameters,).

    Args:
        model: The network.
        data: The samples.
        weights: (N,) weights of the mean, summing to 1; None weights all samples equally.
    """
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
    """Yield the gradient of each sample's cross-entropy, (B, n_parameters), in chunks of B samples.

    A chunk of gradients takes at most 1 GB.
    """
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
    """Compute the diagonal of the empirical Fisher information, (n_parameters,).

    This is the mean of the squared gradients of single samples.

    Args:
        model: The network.
        data: The samples.
        weights: (N,) weights of the mean, summing to 1; None weights all samples equally.
    """
    weights = torch.full((len(data),), 1 / len(data), device=data.y.device) if weights is None else weights
    total, first = torch.zeros((), device=data.y.device), 0
    for gradients in sample_gradients(model, data.x, data.y):
        total = total + weights[first : first + len(gradients)] @ gradients.square()
        first += len(gradients)
    return total
