"""Samples decoded once into one memory-mapped array on disk: `<name>.npy`, and its manifest `<name>.json`.

The workers of a `DataLoader` decode blocks of rows, and this process writes them. The manifest has the CRC-32
of every block that is on the disk, so a killed run is resumed, and an array that was changed since is
noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from grmu.data.files import naming, write_whole

FORMAT = 2
BLOCK_BYTES = 2**20  # bytes of a block, about
RECORD_EVERY = 64  # blocks that a killed run may lose
LISTED = 20  # files that an error names

Block = tuple[int, int]  # its first row, and the row after its last
Content = tuple[bytes, dict[str, str]]  # of a block: its bytes, or none and what is wrong with its files
Rows = Dataset[Content]  # by block


def default_folder(root: Path) -> Path:
    """Return grmu-cache/ beside the original files, or in $GRMU_CACHE a folder for these files' folder."""
    if not (chosen := os.environ.get("GRMU_CACHE")):
        return root / "grmu-cache"
    return Path(chosen).expanduser() / digest([str(root.resolve())])[:8]


def digest(items: Iterable[str]) -> str:
    """Return the SHA-256 of an ordered list of names."""
    return hashlib.sha256("\n".join(items).encode()).hexdigest()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Cache:
    """One array on disk.

    Args:
        folder: Where it is.
        name: Its name, and its manifest's.
        shape: Its shape, (N, ...).
        dtype: Its type.
        made_from: JSON values that tell it from another array.
        workers: Processes that decode; 0 decodes in this one.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    made_from: dict[str, Any]
    workers: int = 0

    @property
    def array_file(self) -> Path:
        """The array, in NumPy's format."""
        return self.folder / f"{self.name}.npy"

    @property
    def manifest_file(self) -> Path:
        """What the array holds, and which of its blocks are there."""
        return self.folder / f"{self.name}.json"

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole array."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def blocks(self) -> list[Block]:
        """Return all blocks."""
        n, step = self.shape[0], max(BLOCK_BYTES * self.shape[0] // self.n_bytes, 1)
        return [(i, min(i + step, n)) for i in range(0, n, step)]

    def open(self) -> np.ndarray | None:
        """Return the memory-mapped array, or None if it is not finished.

        Its content is read only if the file was copied or written to since it was last verified.

        Raises:
            ValueError: It is damaged, or was made from other files; the message names what to delete.
        """
        manifest = self._manifest()
        if manifest is None or None in manifest["crc32"]:
            return None
        array = self._mapped()
        if manifest["stamp"] != self._stamp():
            self.verify()
        return array

    def load(self, make_rows: Callable[[], Rows]) -> np.ndarray:
        """Return the memory-mapped array, made or finished first if need be.

        Raises:
            ValueError: Samples cannot be read (up to 20 are named), or the cache is damaged.
            OSError: The disk is full or read-only.
        """
        if self.open() is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f"{self.name}.lock"):
                if self.open() is None:  # another process may have made it meanwhile
                    self._make(make_rows())
        return self._mapped()

    def verify(self) -> None:
        """Read the whole of a finished array; a ValueError if it is not what was written."""
        array, crc = self._mapped(), (self._manifest() or {}).get("crc32")
        if [zlib.crc32(array[start:stop].tobytes()) for start, stop in self.blocks()] != crc:
            raise self._broken("is damaged: it is not what was written")
        with suppress(OSError):  # whoever may only read verifies again the next time
            self._record(crc)

    def checksums(self, make_rows: Callable[[], Rows]) -> list[int]:
        """Return the CRC-32 of every block, making the array first if need be; errors as of `load`."""
        self.load(make_rows)
        return (self._manifest() or {})["crc32"]

    def _make(self, rows: Rows) -> None:
        """Write the blocks that are missing: into a file, since a full disk kills whoever writes to a map."""
        if (manifest := self._manifest()) is None:  # an empty array of full size takes no space yet
            np.lib.format.open_memmap(self.array_file, mode="w+", dtype=self.dtype, shape=self.shape)
        blocks, offset, bad = self.blocks(), self._mapped().offset, dict[str, str]()
        crc = manifest["crc32"] if manifest else [None] * len(blocks)
        missing = [i for i, value in enumerate(crc) if value is None]
        contents = read(rows, [blocks[i] for i in missing], self.workers, f"{self.name}: cache")
        with naming(self.array_file), open(self.array_file, "r+b") as file:
            for i, (content, wrong) in zip(missing, contents, strict=True):
                if content:
                    file.seek(offset + blocks[i][0] * self.n_bytes // self.shape[0])
                    file.write(content)
                    crc[i] = zlib.crc32(content)
                bad |= wrong
                if i % RECORD_EVERY == 0 or i == missing[-1]:
                    file.flush()
                    os.fsync(file.fileno())
                    self._record(crc)
        if bad:
            names = [f"{file} is {why}" for file, why in bad.items()][:LISTED]
            raise ValueError(f"{len(bad)} samples of {self.name} cannot be read: {'; '.join(names)}"
                             f"{' ...' * (len(bad) > LISTED)}. Put the right files in their place and start "
                             "again; what was read is kept.")

    def _stamp(self) -> list[int]:
        """Return what changes when the file is written to."""
        status = self.array_file.stat()
        return [status.st_size, status.st_mtime_ns]

    def _about(self) -> dict[str, Any]:
        return {"format": FORMAT, "shape": list(self.shape), "dtype": self.dtype, "made_from": self.made_from}

    def _record(self, crc: list[int | None]) -> None:
        write_whole(self.manifest_file, json.dumps({**self._about(), "crc32": crc, "stamp": self._stamp()}))

    def _manifest(self) -> dict[str, Any] | None:
        """Return the manifest, or None if there is none; a ValueError if it is not this array's."""
        try:
            manifest = json.loads(self.manifest_file.read_text())
            ours = self._about().items() <= manifest.items() and len(manifest["crc32"]) == len(self.blocks())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise self._broken(f"has a damaged manifest ({error!r})") from error
        if not ours:
            raise self._broken("was made from other files or by another version")
        return manifest

    def _mapped(self) -> np.memmap:
        try:
            return np.load(self.array_file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self._broken(f"is damaged ({error})") from error

    def _broken(self, why: object) -> ValueError:
        return ValueError(f"the cache {self.array_file} {why}. To have it made again, delete it and "
                          f"{self.manifest_file.name}, or name another folder in $GRMU_CACHE.")


def read(rows: Rows, blocks: Sequence[Block], workers: int, title: str) -> Iterable[Content]:
    """Return the content of blocks in their order, read by `workers` processes, under a progress bar."""
    loader = DataLoader(rows, batch_size=None, sampler=blocks, num_workers=workers)
    return tqdm(loader, title, unit=" blocks", leave=False)
