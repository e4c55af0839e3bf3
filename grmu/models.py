"""Networks: a `Classifier` is a backbone f_theta with a linear head h_phi, as in Sec. 3.1 of the paper.

`build` creates one from a seed without changing the global random state. Samples are passed as they are
stored (pictures as uint8, sentences as token ids). The model itself crops and scales them, so no caller can
forget to do so. The backbone may compute in lower precision, but features and logits always have 32 bits.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, Samples, check_dataset, require
from grmu.data.checks import Settings, one_of
from grmu.numerics import seeded

MODELS = ("cnn", "resnet18", "resnet18_timm", "efficientnet_lite0", "text", "bert", "minilm")
TEXTS = ("text", "bert", "minilm")  # for samples (2, L); the others are for (C, H, W)


@dataclass(frozen=True)
class Network(Settings):
    """Which network a run uses.

    Args:
        model: "cnn", which is defined here, or the name of a network in `grmu.backbones`.
        pretrained: Whether "fresh" weights are the published ones. The head is always initialised at random.
        precision: Precision of the backbone, "fp32" or "bf16". With "bf16", the backbone runs under autocast,
            while weights, features and losses keep 32 bits.

    Raises:
        ValueError: A value is unknown, or the network has no pretrained weights.
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
    """A backbone and a linear head, with features z = f_theta(x) (B, n_features) and logits (B, n_classes).

    Args:
        backbone: Module that maps scaled samples to features.
        n_features: Number of features.
        n_classes: Number of classes.
        crop: The `CropTransform` whose central region the network sees; None uses the whole picture.
        bf16: Whether the backbone runs in bfloat16.
        channels: Number of channels that the backbone expects; 0 accepts any number.
        mean: Mean per channel, subtracted from pictures in 0 to 1.
        std: Standard deviation per channel, by which the difference is divided.
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
        """Crop and scale pictures as the backbone expects them.

        Args:
            x: Samples as they are stored; samples that are not uint8 are returned unchanged.
        """
        if x.dtype != torch.uint8:
            return x
        if self.crop is not None and x.shape[-2:] != (self.crop.side, self.crop.side):
            x = self.crop.centre(x)
        if x.ndim == 4 and self.channels:  # repeats a grey picture in every channel
            x = x.expand(-1, self.channels, -1, -1)
        x = x.to(self.scale.dtype)
        if x.ndim != 4:
            return x.mul(self.scale.flatten()).sub_(self.shift.flatten())
        return x.mul(self.scale).sub_(self.shift).contiguous(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """Compute the features z = f_theta(x), (B, n_features), of samples as they are stored."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            return self.backbone(self.scaled(x)).to(self.scale.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits, (B, n_classes), of samples as they are stored."""
        return self.head(self.features(x))


class Backbone(NamedTuple):
    """A network up to its features.

    The backbone receives pictures as (x - mean) / std, where x is between 0 and 1.

    Args:
        module: Module that maps scaled samples to features.
        n_features: Number of features.
        channels: Number of channels that it expects; 0 accepts any number.
        mean: Mean per channel.
        std: Standard deviation per channel.
    """

    module: nn.Module
    n_features: int
    channels: int = 0
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


def cnn(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build three 3 x 3 convolutions of stride 2 with BatchNorm and ReLU, followed by global average pooling.

    It has 0.55 million multiply-adds at 28 x 28.
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
    """Check that the network accepts such samples.

    Raises:
        ValueError: The shape of the samples does not suit the network; the message names networks that do.
    """
    check_dataset("train", train)
    shape = tuple(train.x[:1].shape[1:])
    fit = [name for name in MODELS if len(shape) == (2 if name in TEXTS else 3)]
    require(network.model in fit,
            f"{network.model} does not accept samples of shape {shape}, which {train.name} has: choose "
            f"{' or '.join(fit) or 'other data'}.")


def build(network: Network, train: GroupedDataset, seed: int) -> Classifier:
    """Build a classifier for this data with its initial weights, which depend only on the seed.

    Args:
        network: Which network to build.
        train: The training set; its shape and number of classes are used.
        seed: Seed of the random weights.

    Raises:
        ValueError: The network does not accept such samples.
        FileNotFoundError: The pretrained weights are missing; the message says how to get them.
    """
    check_fit(network, train)
    with seeded(seed):
        make = cnn if network.model == "cnn" else getattr(import_module("grmu.backbones"), network.model)
        module, n_features, channels, mean, std = make(train, network.pretrained)
        crop = train.x.crop if isinstance(train.x, Samples) else None
        bf16 = network.precision == "bf16"
        model = Classifier(module, n_features, train.n_classes, crop, bf16, channels, mean, std)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it
