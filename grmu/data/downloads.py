"""Where downloaded files and the files of installed packages are, and their SHA-256."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch


def downloads() -> Path:
    """$GRMU_WEIGHTS, else the folder that PyTorch keeps downloaded weights in."""
    chosen = os.environ.get("GRMU_WEIGHTS") or Path(torch.hub.get_dir()) / "checkpoints"
    return Path(chosen).expanduser()


def in_package(package: str, inside: str) -> list[Path]:
    """Where a file of an installed package is; empty if the package is not there."""
    spec = find_spec(package)
    return [Path(place) / inside for place in (spec and spec.submodule_search_locations) or ()]


def sha256(path: Path) -> str:
    """SHA-256 of a file, remembered while the file stays as it is."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
