"""Networks: a `Classifier` is a backbone f_theta and a linear head h_phi, as in Sec. 3.1 of the paper.

`build(name, ...)` makes one from a seed, without touching the global random state. Images come in as they are stored
(uint8); the model scales them itself, so that no caller can forget to.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Backbone and linear head: `features(x)` is z = f_theta(x), (B, n_features); `forward(x)` the logits (B, n_classes)."""

    def __init__(self, backbone: nn.Module, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(n_features, n_classes)
        self.n_features = n_features

    def scaled(self, x: Tensor) -> Tensor:
        """Images as stored (uint8) in the range -1 to 1 that the backbone takes; other samples as they are."""
        if x.dtype == torch.uint8:
            x = x.to(self.head.weight.dtype).mul_(2 / 255).sub_(1)
            if x.ndim == 4:
                x = x.contiguous(memory_format=torch.channels_last)
        return x

    def features(self, x: Tensor) -> Tensor:
        """z = f_theta(x), (B, n_features), from images as stored."""
        return self.backbone(self.scaled(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, n_classes)."""
        return self.head(self.features(x))


def cnn(in_channels: int, width: int = 16) -> tuple[nn.Module, int]:
    """Three 3x3 stride-2 convolutions with BatchNorm and ReLU, then global average pooling: 0.55 M multiply-adds at 28 x 28."""
    layers: list[nn.Module] = []
    for out_channels in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
                   nn.BatchNorm2d(out_channels), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), in_channels


BACKBONES: dict[str, Callable[[int], tuple[nn.Module, int]]] = {"cnn": cnn}


def build(name: str, in_channels: int, n_classes: int, seed: int) -> Classifier:
    """A freshly initialised classifier: the same seed gives the same weights, whatever ran before.

    Raises:
        ValueError: unknown model name (the message lists the known ones).
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(BACKBONES)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, n_features = BACKBONES[name](in_channels)
        return Classifier(backbone, n_features, n_classes).to(memory_format=torch.channels_last)


def distance(model_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || model) of softened predictions, (B, n_classes) each, a mean over samples, in nats."""
    log_p, log_q = (nn.functional.log_softmax(v / temperature, 1) for v in (teacher_logits, model_logits))
    return temperature**2 * nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
