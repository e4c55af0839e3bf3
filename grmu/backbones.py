"""Networks up to their features: a small CNN and a small transformer. Those with published weights:
`grmu.pretrained`."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset


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
