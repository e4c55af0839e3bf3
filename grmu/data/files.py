"""Files: writing them whole or not at all, and finding what ships, is installed or was downloaded."""

from __future__ import annotations

import hashlib
import lzma
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from grmu.data.checks import require

PACKAGE = Path(__file__).parents[1]
# what an installed package carries, else the checkout's folder
FOLDER = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / "data"


class ShippedFile(NamedTuple):
    """An xz file, its SHA-256, and the script in data/ that builds it."""

    name: str
    sha256: str
    script: str

    def content(self, root: str | Path | None = None) -> bytes:
        """Return what the file under `root` (else in `FOLDER`) holds, remembered while it stays as it is.

        Raises:
            FileNotFoundError: It is not there.
            ValueError: It is not the one that this version ships.
        """
        path = (FOLDER if root is None else Path(root)) / self.name
        if not path.is_file():
            raise FileNotFoundError(f"{self.name} is not in {path.parent}: restore it with `git checkout "
                                    f"data`, or build it with `python data/{self.script}`.")
        return self._unpack(path, path.stat().st_mtime_ns)

    @lru_cache(maxsize=2)  # noqa: B019  # of a constant: nothing is kept alive by it
    def _unpack(self, path: Path, mtime_ns: int) -> bytes:
        packed = path.read_bytes()
        digest = hashlib.sha256(packed).hexdigest()
        require(digest == self.sha256,
                f"{path} is damaged or altered: SHA-256 {digest}, expected {self.sha256}. Restore it with "
                f"`git checkout data`, or build it again with `python data/{self.script}`.")
        return lzma.decompress(packed)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What goes wrong with a file inside names one: of a full disk, the system says no name."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """The content as that file, in one step; text as UTF-8. Folders that are missing are made.

    Whoever reads meanwhile finds the old file.

    Raises:
        OSError: the disk is full or read-only; the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}.tmp")
    try:
        with naming(path):
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def default_store() -> Path:
    """$GRMU_STORE, else runs/ in a checkout, else the user's cache folder: where finished runs are."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "grmu")
    default = PACKAGE.parent / "runs" if (PACKAGE.parent / "pyproject.toml").is_file() else cache
    return Path(os.environ.get("GRMU_STORE") or default).expanduser()


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
