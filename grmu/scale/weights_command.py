"""python -m grmu weights: which pretrained weights are there, and the one way that any are fetched.

    python -m grmu weights                          what is known, and where it was found
    python -m grmu weights resnet18 --download      fetch it from where its authors publish it

On a cluster without internet, copy the files into the folder of weights (see `grmu.models`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from grmu.backbones import SOURCES, find
from grmu.data.arguments import Parser
from grmu.data.downloads import downloads, sha256

TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights"


def _get_resnet18(folder: Path) -> None:
    from torchvision.models import ResNet18_Weights

    target = folder / SOURCES["resnet18"].file
    torch.hub.download_url_to_file(ResNet18_Weights.IMAGENET1K_V1.url, str(target),
                                   SOURCES["resnet18"].sha256)


def _get_resnet18_timm(folder: Path) -> None:
    source = SOURCES["resnet18_timm"]
    torch.hub.download_url_to_file(f"{TIMM}/{source.file}", str(folder / source.file), source.sha256)


def _get_bert(folder: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("google-bert/bert-base-uncased", local_dir=folder / "bert-base-uncased",
                      allow_patterns=["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"])


DOWNLOADS: dict[str, Callable[[Path], None]] = {
    "resnet18": _get_resnet18, "resnet18_timm": _get_resnet18_timm, "bert": _get_bert}


def main(argv: list[str]) -> int:
    """Say which pretrained weights are there, or download some."""
    parser = Parser(prog="python -m grmu weights", description=main.__doc__)
    parser.add_argument("name", nargs="?", choices=SOURCES)
    parser.add_argument("--download", action="store_true",
                        help="fetch them from where their authors publish them")
    options = parser.parse_args(argv)
    if options.download:
        if options.name is None or options.name not in DOWNLOADS:
            raise ValueError(f"--download needs one of {', '.join(DOWNLOADS)}.")
        downloads().mkdir(parents=True, exist_ok=True)
        DOWNLOADS[options.name](downloads())
    missing = 0
    for name in [options.name] if options.name else SOURCES:
        try:
            print(f"{name:20} {find(name)}  (SHA-256 {sha256(find(name))[:16]})")
        except (FileNotFoundError, ValueError) as error:
            missing += 1
            print(f"{name:20} missing: {error}")
    return int(options.name is not None and missing > 0)
