"""Networks: a `Classifier` is a backbone f_theta and a linear head h_phi, as in Sec. 3.1 of the paper.

`build` makes one from a seed, without touching the global random state. Samples come in as they are stored
(pictures as uint8, sentences as token ids); the model crops and scales them itself, so that no caller can
forget to. Precision is the backbone's business too: features and logits leave it in 32 bits, so losses need
not know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, Rows, require
from grmu.data.view import View
from grmu.numerics import seeded
from grmu.settings import Settings, one_of


@dataclass(frozen=True)
class Network(Settings):
    """Which network a run uses.

    Args:
        model: "cnn" and "text" are of this file, the others of `grmu.pretrained`.  pretrained: "fresh"
            weights are its published ones (`grmu.pretrained`), but for the head.
        precision: of the backbone, "fp32" or "bf16" (autocast; weights, features and all losses stay in 32
            bits).
    """

    model: str = one_of("cnn", "resnet18", "efficientnet_lite0", "text", "bert", "minilm")
    pretrained: bool = False
    precision: str = one_of("fp32", "bf16")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.pretrained or self.model in PUBLISHED,
                f"{self.model} has no pretrained weights: set pretrained to False, or choose one of "
                f"{', '.join(PUBLISHED)}.")


class Backbone(NamedTuple):
    """A network up to its features.

    Pictures reach it as (x - mean) / std, x in 0 to 1, with `channels` channels (0: any).
    """

    module: nn.Module
    n_features: int
    channels: int = 0
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class Classifier(nn.Module):
    """Backbone and linear head: features z = f_theta(x), (B, n_features), and logits, (B, n_classes).

    Args:
        view: the region of a stored picture that the network sees; None is all of it.
        bf16: the backbone's precision.  channels, mean, std: as in `Backbone`.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: nn.Module, n_features: int, n_classes: int, view: View | None = None,
                 bf16: bool = False, channels: int = 0, mean: tuple[float, ...] = (0.5,),
                 std: tuple[float, ...] = (0.5,)) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(n_features, n_classes)
        self.n_features, self.view, self.bf16, self.channels = n_features, view, bf16, channels
        scale, shift = ([1 / (255 * s) for s in std], [m / s for m, s in zip(mean, std, strict=True)])
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1), persistent=False)

    def scaled(self, x: Tensor) -> Tensor:
        """Pictures as stored (uint8) as the backbone takes them, cropped and scaled;
        other samples as they are."""
        if x.dtype != torch.uint8:
            return x
        if self.view is not None and x.shape[-2:] != (self.view.side, self.view.side):
            x = self.view.centre(x)
        if x.ndim == 4 and self.channels:  # grey pictures are shown to all channels
            x = x.expand(-1, self.channels, -1, -1)
        x = x.to(self.head.weight.dtype)
        if x.ndim != 4:
            return x.mul(self.scale.flatten()).sub_(self.shift.flatten())
        return x.mul(self.scale).sub_(self.shift).contiguous(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """z = f_theta(x), (B, n_features), from samples as stored."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            return self.backbone(self.scaled(x)).to(self.head.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, n_classes)."""
        return self.head(self.features(x))


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


def pooled(tokens: Tensor, of_tokens: Tensor) -> Tensor:
    """Mean over the tokens that are not padding (id 0): (B, 2, L) ids and segments, (B, L, d) -> (B, d)."""
    real = (tokens[:, 0] != 0).to(of_tokens.dtype)[:, :, None]
    return (of_tokens * real).sum(1) / real.sum(1).clamp(min=1)


class TextTransformer(nn.Module):
    """A transformer of two layers for token ids and segments (B, 2, L), mean-pooled;
    knows the words of `train`.

    Words that the training set lacks are one word to it, number 0 like the padding.
    """

    numbers: Tensor

    def __init__(self, train: GroupedDataset, width: int) -> None:
        super().__init__()
        known = train.x[:][:, 0].unique().long()
        numbers = torch.zeros(int(known.max()) + 2, dtype=torch.long)
        numbers[known[known > 0]] = torch.arange(1, int((known > 0).sum()) + 1)
        self.register_buffer("numbers", numbers, persistent=False)
        self.words = nn.Embedding(int(numbers.max()) + 1, width)
        self.places, self.segments = nn.Embedding(train.x[:1].shape[2], width), nn.Embedding(2, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 2, L) -> (B, n_features)."""
        ids, segments = tokens.long().unbind(1)
        words = self.numbers[ids.clamp(max=len(self.numbers) - 1)]
        z = self.words(words) + self.places.weight[: ids.shape[1]] + self.segments(segments)
        return pooled(tokens, self.encoder(z, src_key_padding_mask=ids == 0))


def text(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Two transformer layers of width 64, from scratch."""
    return Backbone(TextTransformer(train, 64), 64)


BACKBONES: dict[str, Callable[[GroupedDataset, bool], Backbone]] = {"cnn": cnn, "text": text}
PUBLISHED = ("resnet18", "efficientnet_lite0", "bert",
             "minilm")  # of `grmu.pretrained`, imported when one is asked for


def build(network: Network, train: GroupedDataset, seed: int) -> Classifier:
    """A classifier for this data as training from scratch begins with it: one seed, one set of weights.

    Raises:
        FileNotFoundError: its pretrained weights are not there.
    """
    with seeded(seed):
        make = BACKBONES.get(network.model) or getattr(import_module("grmu.pretrained"), network.model)
        module, n_features, channels, mean, std = make(train, network.pretrained)
        view = train.x.view if isinstance(train.x, Rows) else None
        bf16 = network.precision == "bf16"
        model = Classifier(module, n_features, train.n_classes, view, bf16, channels, mean, std)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it


def distance(model_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || model) of softened predictions, (B, n_classes) each, a mean over samples, in nats."""
    log_p, log_q = (nn.functional.log_softmax(v / temperature, 1) for v in (teacher_logits, model_logits))
    return temperature**2 * nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
