"""Write files atomically, and find those that are shipped, installed or downloaded."""

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
# an installed package has its own folder of data; a checkout uses data/
FOLDER = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / "data"


class ShippedFile(NamedTuple):
    """An xz file that ships with the project.

    Args:
        name: Its name.
        sha256: Its SHA-256.
        script: The script in data/ that builds it.
    """

    name: str
    sha256: str
    script: str

    def content(self, root: str | Path | None = None) -> bytes:
        """Return the unpacked content of the file, which is cached until the file changes.

        Args:
            root: Folder of the file; None for `FOLDER`.

        Raises:
            FileNotFoundError: The file is missing.
            ValueError: The file is not the one that this version ships.
        """
        path = (FOLDER if root is None else Path(root)) / self.name
        if not path.is_file():
            raise FileNotFoundError(f"{self.name} is not in {path.parent}: restore it with `git checkout "
                                    f"data`, or build it with `python data/{self.script}`.")
        return self._unpack(path, path.stat().st_mtime_ns)

    @lru_cache(maxsize=2)  # noqa: B019  # only constants have it, so it keeps nothing alive
    def _unpack(self, path: Path, mtime_ns: int) -> bytes:
        packed = path.read_bytes()
        digest = hashlib.sha256(packed).hexdigest()
        require(digest == self.sha256,
                f"{path} is damaged or altered: SHA-256 {digest}, expected {self.sha256}. Restore it with "
                f"`git checkout data`, or build it again with `python data/{self.script}`.")
        return lzma.decompress(packed)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file name to an OSError raised inside, because the system omits it if the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically and create missing folders; text is encoded as UTF-8.

    A process that reads the file in the meantime gets the old content.

    Raises:
        OSError: The disk is full or read-only; the old file is kept.
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
    """Return the folder of finished runs.

    It is $GRMU_STORE if that is set, else runs/ in a checkout, else the user's cache folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "grmu")
    default = PACKAGE.parent / "runs" if (PACKAGE.parent / "pyproject.toml").is_file() else cache
    return Path(os.environ.get("GRMU_STORE") or default).expanduser()


def downloads() -> Path:
    """Return $GRMU_WEIGHTS, or PyTorch's folder of downloaded weights if that is not set."""
    chosen = os.environ.get("GRMU_WEIGHTS") or Path(torch.hub.get_dir()) / "checkpoints"
    return Path(chosen).expanduser()


def in_package(package: str, inside: str) -> list[Path]:
    """Return the paths of a file in an installed package, or no path if the package is missing."""
    spec = find_spec(package)
    return [Path(place) / inside for place in (spec and spec.submodule_search_locations) or ()]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, which is cached until the file changes."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
