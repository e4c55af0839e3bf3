"""List or download pretrained weights: the command `python -m grmu weights`.

This is the only command that downloads weights. On a cluster without internet access, copy the files into the
folder of weights instead (see `grmu.backbones`).
"""

from __future__ import annotations

import torch

from grmu.backbones import SOURCES, find
from grmu.data import known
from grmu.data.files import downloads, sha256

URLS = {"resnet18": "https://download.pytorch.org/models",
        "resnet18_timm": "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights"}


def weights(name: str | None, download: bool) -> int:
    """List pretrained weights, or download them from the site where their authors publish them.

    Args:
        name: A network. None lists all of them.
        download: Download the weights of this network.

    Returns:
        1 if the weights of the named network are missing, else 0.
    """
    if download:
        known("network to download", name, [*URLS, "bert"])
        fetch(str(name))
    missing = 0
    for source in [name] if name else SOURCES:
        try:
            print(f"{source:20} {find(source)}  (SHA-256 {sha256(find(source))[:16]})")
        except (FileNotFoundError, ValueError) as error:
            missing += 1
            print(f"{source:20} missing: {error}")
    return int(name is not None and missing > 0)


def fetch(name: str) -> None:
    """Download a network's weights into the folder of weights."""
    downloads().mkdir(parents=True, exist_ok=True)
    if name == "bert":
        from huggingface_hub import snapshot_download

        snapshot_download("google-bert/bert-base-uncased", local_dir=downloads() / "bert-base-uncased",
                          allow_patterns=["*.json", "model.safetensors", "vocab.txt"])
    else:
        file, digest = SOURCES[name].file, SOURCES[name].sha256
        torch.hub.download_url_to_file(f"{URLS[name]}/{file}", str(downloads() / file), digest)
