"""Samples decoded once into a memory-mapped array on disk, `<name>.npy`, with a manifest `<name>.json`.

The workers of a `DataLoader` decode blocks of rows, and this process writes them. The manifest records the
CRC-32 of every block on disk. A killed run can therefore resume, and later changes to the array are detected.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from grmu.data.files import naming, write_whole

FORMAT = 2
BLOCK_BYTES = 2**20  # approximate size of a block
RECORD_EVERY = 64  # blocks; a killed run loses at most so many
LISTED = 20  # files that an error lists

Block = tuple[int, int]  # first row, and last row + 1
Content = tuple[bytes, dict[str, str]]  # bytes of a block, or none and the errors by file
Rows = Dataset[Content]  # indexed by block


def default_folder(root: Path) -> Path:
    """Return the folder of the cache of a data set.

    This is grmu-cache/ beside the original files, or a subfolder of $GRMU_CACHE if that is set.
    """
    if not (chosen := os.environ.get("GRMU_CACHE")):
        return root / "grmu-cache"
    return Path(chosen).expanduser() / digest([str(root.resolve())])[:8]


def digest(items: Iterable[str]) -> str:
    """Return the SHA-256 of a list of names, which depends on their order."""
    return hashlib.sha256("\n".join(items).encode()).hexdigest()


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Cache:
    """One array on disk.

    Args:
        folder: Folder of the array.
        name: Name of the array and of its manifest.
        shape: Shape of the array, (N, ...).
        dtype: Data type of the array.
        made_from: JSON values that distinguish it from arrays made from other files.
        workers: Number of processes that decode; 0 decodes in this process.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    made_from: dict[str, Any]
    workers: int = 0

    @property
    def array_file(self) -> Path:
        """File of the array, in NumPy's format."""
        return self.folder / f"{self.name}.npy"

    @property
    def manifest_file(self) -> Path:
        """File that records what the array holds and which blocks are written."""
        return self.folder / f"{self.name}.json"

    @property
    def n_bytes(self) -> int:
        """Size of the whole array in bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def blocks(self) -> list[Block]:
        """Return all blocks in order."""
        n, step = self.shape[0], max(BLOCK_BYTES * self.shape[0] // self.n_bytes, 1)
        return [(i, min(i + step, n)) for i in range(0, n, step)]

    def open(self) -> np.ndarray | None:
        """Return the memory-mapped array, or None if it is not finished.

        The content is read only if the file was copied or modified since it was last verified.

        Raises:
            ValueError: The array is damaged or was made from other files; the message names what to delete.
        """
        manifest = self._manifest()
        if manifest is None or None in manifest["crc32"]:
            return None
        array = self._mapped()
        if manifest["stamp"] != self._stamp():
            self.verify()
        return array

    def load(self, make_rows: Callable[[], Rows]) -> np.ndarray:
        """Return the memory-mapped array, and create or finish it first if necessary.

        Args:
            make_rows: Function that returns the samples, by block.

        Raises:
            ValueError: Samples cannot be read (up to 20 are listed), or the cache is damaged.
            OSError: The disk is full or read-only.
        """
        if self.open() is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f"{self.name}.lock"):
                if self.open() is None:  # another process may have created it meanwhile
                    self._make(make_rows())
        return self._mapped()

    def verify(self) -> None:
        """Read the whole finished array, and raise a ValueError if it differs from what was written."""
        array, crc = self._mapped(), (self._manifest() or {}).get("crc32")
        if [zlib.crc32(array[start:stop].tobytes()) for start, stop in self.blocks()] != crc:
            raise self._broken("is damaged: it differs from what was written")
        with suppress(OSError):  # in a read-only folder, it is verified again next time
            self._record(crc)

    def checksums(self, make_rows: Callable[[], Rows]) -> list[int]:
        """Return the CRC-32 of every block, and create the array first if necessary.

        It raises the same errors as `load`.
        """
        self.load(make_rows)
        return (self._manifest() or {})["crc32"]

    def _make(self, rows: Rows) -> None:
        """Write the missing blocks to the file, because writing to a map on a full disk kills the process."""
        if (manifest := self._manifest()) is None:  # a sparse file of full size
            np.lib.format.open_memmap(self.array_file, mode="w+", dtype=self.dtype, shape=self.shape)
        blocks, offset, bad = self.blocks(), self._mapped().offset, dict[str, str]()
        crc = manifest["crc32"] if manifest else [None] * len(blocks)
        missing = [i for i, value in enumerate(crc) if value is None]
        contents = read(rows, [blocks[i] for i in missing], self.workers, f"{self.name}: cache")
        with naming(self.array_file), closing(contents), open(self.array_file, "r+b") as file:
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
                             f"{' ...' * (len(bad) > LISTED)}. Replace these files and start again; what "
                             "was read is kept.")

    def _stamp(self) -> list[int]:
        """Return the values that change when the file is modified."""
        status = self.array_file.stat()
        return [status.st_size, status.st_mtime_ns]

    def _about(self) -> dict[str, Any]:
        return {"format": FORMAT, "shape": list(self.shape), "dtype": self.dtype, "made_from": self.made_from}

    def _record(self, crc: list[int | None]) -> None:
        write_whole(self.manifest_file, json.dumps({**self._about(), "crc32": crc, "stamp": self._stamp()}))

    def _manifest(self) -> dict[str, Any] | None:
        """Return the manifest or, if there is none, None; check that it is this array's."""
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
        return ValueError(f"the cache {self.array_file} {why}. To create it again, delete it and "
                          f"{self.manifest_file.name}, or set $GRMU_CACHE to another folder.")


def read(rows: Rows, blocks: Sequence[Block], workers: int, title: str) -> Generator[Content]:
    """Generate the content of blocks, in their order, and show a progress bar.

    The workers end with the generator. `tqdm` gets an iterator, because it would start a second set of
    workers for a `DataLoader`.

    Args:
        rows: The samples, by block.
        blocks: The blocks to read.
        workers: Number of processes that read; 0 reads in this process.
        title: Title of the progress bar.
    """
    loader = DataLoader(rows, batch_size=None, sampler=blocks, num_workers=workers)
    yield from tqdm(iter(loader), title, total=len(blocks), unit=" blocks", leave=False)
