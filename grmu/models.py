"""Networks: a `Classifier` is a backbone f_theta and a linear head h_phi, as in Sec. 3.1 of the paper.

`build` makes one from a seed, without touching the global random state. Samples come in as they are stored
(pictures as uint8, sentences as token ids); the model crops and scales them itself, so that no caller can
forget to. Precision is the backbone's business too: features and logits leave it in 32 bits, so losses need
not know.
"""

import copy
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, Samples, check_dataset, require, short_repr
from grmu.data.checks import Settings, one_of
from grmu.numerics import seeded

MODELS = ("cnn", "resnet18", "resnet18_timm", "efficientnet_lite0", "text", "bert", "minilm")
TEXTS = ("text", "bert", "minilm")  # take samples (2, L), the others (C, H, W)


@dataclass(frozen=True)
class Network(Settings):
    """Which network a run uses.

    Args:
        model: "cnn" and "text" are of this file, the others of `grmu.backbones`.  pretrained: "fresh"
            weights are its published ones (`grmu.backbones`), but for the head.
        precision: of the backbone, "fp32" or "bf16" (autocast; weights, features and all losses stay in 32
            bits).
    """

    model: str = one_of(*MODELS)
    pretrained: bool = False
    precision: str = one_of("fp32", "bf16")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.pretrained or self.model in PUBLISHED,
                f"{self.model} has no pretrained weights: set pretrained to False, or choose one of "
                f"{', '.join(PUBLISHED)}.")


class Classifier(nn.Module):
    """Backbone and linear head: features z = f_theta(x), (B, n_features), and logits, (B, n_classes).

    Args:
        crop: the region of a stored picture that the network sees; None is all of it.
        bf16: the backbone's precision.  channels, mean, std: as in `Backbone`.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: nn.Module, n_features: int, n_classes: int, crop: Any = None,
                 bf16: bool = False, channels: int = 0, mean: tuple[float, ...] = (0.5,),
                 std: tuple[float, ...] = (0.5,)) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(n_features, n_classes)
        self.n_features, self.crop, self.bf16, self.channels = n_features, crop, bf16, channels
        scale, shift = ([1 / (255 * s) for s in std], [m / s for m, s in zip(mean, std, strict=True)])
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1), persistent=False)

    def scaled(self, x: Tensor) -> Tensor:
        """Pictures as stored (uint8) as the backbone takes them, cropped and scaled;
        other samples as they are."""
        if x.dtype != torch.uint8:
            return x
        if self.crop is not None and x.shape[-2:] != (self.crop.side, self.crop.side):
            x = self.crop.centre(x)
        if x.ndim == 4 and self.channels:  # grey pictures are shown to all channels
            x = x.expand(-1, self.channels, -1, -1)
        x = x.to(self.scale.dtype)
        if x.ndim != 4:
            return x.mul(self.scale.flatten()).sub_(self.shift.flatten())
        return x.mul(self.scale).sub_(self.shift).contiguous(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """z = f_theta(x), (B, n_features), from samples as stored."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            return self.backbone(self.scaled(x)).to(self.scale.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, n_classes)."""
        return self.head(self.features(x))


class OwnClassifier(Classifier):
    """A copy of a network, divided into its last linear layer, `head`, and the rest, the backbone."""

    def __init__(self, network: nn.Module, head: str) -> None:
        layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        require(head in layers, f"the network has no linear layer {short_repr(head)}: head must name "
                                f"its last one, of {', '.join(layers) or 'which it has none'}.")
        network = copy.deepcopy(network)
        layer: Any = network.get_submodule(head)
        super().__init__(network, layer.in_features, layer.out_features)
        self.head, self.head_name = layer, head
        self._put(nn.Identity())

    def _put(self, layer: nn.Module) -> nn.Module:
        where, _, name = self.head_name.rpartition(".")
        setattr(self.backbone.get_submodule(where), name, layer)
        return self.backbone

    def scaled(self, x: Tensor) -> Tensor:
        """Return the samples as they are: scaling is the network's own business."""
        return x

    def whole(self) -> nn.Module:
        """Return the network with its last layer in place."""
        return self._put(self.head).eval().requires_grad_(False)


class Backbone(NamedTuple):
    """A network up to its features.

    Pictures reach it as (x - mean) / std, x in 0 to 1, with `channels` channels (0: any).
    """

    module: nn.Module
    n_features: int
    channels: int = 0
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


def cnn(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Three 3x3 stride-2 convolutions with BatchNorm and ReLU, then global average pooling.

    It has 0.55 M multiply-adds at 28 x 28.
    """
    layers: list[nn.Module] = []
    in_channels = train.x[:1].shape[1]
    for out_channels in (16, 32, 64):
        layers += [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
                   nn.BatchNorm2d(out_channels), nn.ReLU()]
        in_channels = out_channels
    return Backbone(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), in_channels)


PUBLISHED = ("resnet18", "resnet18_timm", "efficientnet_lite0", "bert", "minilm")  # in `grmu.backbones`


def check_fit(network: Network, train: GroupedDataset) -> None:
    """Raise a ValueError unless the network is for such samples."""
    check_dataset("train", train)
    shape = tuple(train.x[:1].shape[1:])
    fit = [name for name in MODELS if len(shape) == (2 if name in TEXTS else 3)]
    require(network.model in fit,
            f"{network.model} is not for samples of shape {shape}, as {train.name} has: choose "
            f"{' or '.join(fit) or 'other data'}.")


def build(network: Network, train: GroupedDataset, seed: int) -> Classifier:
    """A classifier for this data as training from scratch begins with it: one seed, one set of weights.

    Raises:
        ValueError: the network is not for such samples.  FileNotFoundError: its pretrained weights are not
            there.
    """
    check_fit(network, train)
    with seeded(seed):
        make = cnn if network.model == "cnn" else getattr(import_module("grmu.backbones"), network.model)
        module, n_features, channels, mean, std = make(train, network.pretrained)
        crop = train.x.crop if isinstance(train.x, Samples) else None
        bf16 = network.precision == "bf16"
        model = Classifier(module, n_features, train.n_classes, crop, bf16, channels, mean, std)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it
