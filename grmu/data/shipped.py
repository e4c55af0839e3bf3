"""Files that need no asking for: what ships with the project, what an installed package brings,
what was downloaded."""

import hashlib
import lzma
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from grmu.data.errors import require

PACKAGE = Path(__file__).parents[1]
# what an installed package carries, else the checkout's folder
FOLDER = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / "data"


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
    found = path.stat()
    return _sha256(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ShippedFile(NamedTuple):
    """An xz file, its SHA-256, and the script in data/ that builds it."""

    name: str
    sha256: str
    script: str

    def find(self, root: str | Path | None = None) -> Path:
        """The file: under `root`, else in `FOLDER`.

        Raises:
            FileNotFoundError: it is not there.
        """
        folder = FOLDER if root is None else Path(root)
        if (folder / self.name).is_file():
            return folder / self.name
        raise FileNotFoundError(f"{self.name} is not in {folder}: restore it with `git checkout data`, "
                                f"or build it with `python data/{self.script}`.")

    def content(self, root: str | Path | None = None) -> bytes:
        """What the file holds, remembered while the file stays as it is.

        Raises:
            FileNotFoundError: it is not there.  ValueError: it is not the one that this version ships.
        """
        path = self.find(root)
        return self._unpack(path, path.stat().st_mtime_ns)

    @lru_cache(maxsize=2)  # noqa: B019  # of a constant: nothing is kept alive by it
    def _unpack(self, path: Path, mtime_ns: int) -> bytes:
        packed = path.read_bytes()
        found = hashlib.sha256(packed).hexdigest()
        require(found == self.sha256,
                f"{path} is damaged or altered: SHA-256 {found}, expected {self.sha256}. Restore it with "
                f"`git checkout data`, or build it again with `python data/{self.script}`.")
        return lzma.decompress(packed)
