"""Samples decoded once into one memory-mapped array on disk: `<name>.npy`, and its manifest `<name>.json`.

The array is filled in blocks of rows by threads. A block that was written is recorded in the manifest, with
its CRC-32, so what a killed run finished is kept. When all blocks are there, and on the disk, they are read
back and compared once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from grmu.data.files import write_whole

FORMAT = 1
BLOCK_BYTES = 2**20  # of a block, about: what fits a core's cache is decoded, summed and written fastest
RECORD_SECONDS = 0.25  # of work that a killed run may lose
SYNC_SECONDS = 0.2  # between writes to the disk
LISTED = 20  # files that an error names

# (start, stop) -> those rows, what is wrong with their files
Fill = Callable[[int, int], tuple[Sequence[np.ndarray] | np.ndarray, list[str]]]
Manifest = dict[str, Any]  # JSON


def default_folder(root: Path) -> Path:
    """grmu-cache/ beside the original files, or in $GRMU_CACHE a folder for these files' folder."""
    if not (chosen := os.environ.get("GRMU_CACHE")):
        return root / "grmu-cache"
    return Path(chosen).expanduser() / digest([str(root.resolve())])[:8]


def digest(items: Iterable[str]) -> str:
    """SHA-256 of an ordered list of names."""
    return hashlib.sha256("\n".join(items).encode()).hexdigest()


@dataclass(frozen=True)
class Cache:
    """One array of `shape` (N, ...) and `dtype`; `made_from`: JSON values that tell it from another's."""

    folder: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    made_from: Manifest

    @property
    def array_file(self) -> Path:
        """The array, in NumPy's format."""
        return self.folder / f"{self.name}.npy"

    @property
    def manifest_file(self) -> Path:
        """What it holds, and which of its blocks are there."""
        return self.folder / f"{self.name}.json"

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        return max(BLOCK_BYTES // self.row_bytes, 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample."""
        return int(np.prod(self.shape[1:])) * np.dtype(self.dtype).itemsize

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole array."""
        return self.shape[0] * self.row_bytes

    def blocks(self) -> list[tuple[int, int]]:
        """First row and row after the last, of every block."""
        n, step = self.shape[0], self.block_rows
        return [(i, min(i + step, n)) for i in range(0, n, step)]

    def open(self) -> np.ndarray | None:
        """The memory-mapped array, None where it is not finished.

        Its content is read only if the file was copied or written to since it was last verified.

        Raises:
            ValueError: it is damaged, or was made from other files; the message names what to delete.
        """
        manifest = self._manifest()
        if manifest is None or not manifest["verified"]:
            return None
        array = self._mapped()
        if manifest["verified"] != self._stamp():
            self.verify()
        return array

    def load(self, make_fill: Callable[[], Fill]) -> np.ndarray:
        """The memory-mapped array, made or finished first if need be; `make_fill` is only called then.

        Raises:
            ValueError: samples that cannot be read (up to 20 are named), a full or read-only disk, a damaged
                cache.
        """
        array = self.open()
        if array is not None:
            return array
        with self._explained(), self._locked():
            manifest = self._manifest() or self._start()  # another process may have made it meanwhile
            if not manifest["verified"]:
                self._make(manifest, make_fill())
        return self._mapped()

    def verify(self) -> None:
        """Read the whole of a finished array and compare it with its checksums.

        Raises:
            ValueError: the array is not what was written.
        """
        manifest = self._manifest() or self.fresh_manifest()
        with self._explained():
            wrong = self._differing(manifest)
        if wrong:
            raise self._broken("is damaged "
                               f"({len(wrong)} of {len(self.blocks())} blocks are not what was written)")
        with suppress(OSError), self._locked():  # who may only read verifies again the next time
            self._record(manifest | {"verified": self._stamp()})

    def checksums(self, make_fill: Callable[[], Fill]) -> list[int]:
        """CRC-32 of every block of the array as it is now, finished first if need be; errors as of `load`."""
        manifest = self._manifest()
        if manifest is None or not manifest["verified"]:
            self.load(make_fill)
            manifest = self._manifest()
        untouched = manifest is not None and manifest["verified"] == self._stamp()
        return manifest["crc32"] if manifest and untouched else self._read()

    def _stamp(self) -> list[int]:
        """What changes when the file is written to."""
        status = self.array_file.stat()
        return [status.st_size, status.st_mtime_ns]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{self.name}.lock"):
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.filename is None and isinstance(error, FileNotFoundError):  # of the samples, and says so
                raise
            raise ValueError(f"the cache {self.array_file} cannot be written: {error.strerror or error}. "
                             "Free some space, or name a folder that can be written to in the environment "
                             "variable GRMU_CACHE.") from error

    def _broken(self, why: object) -> ValueError:
        return ValueError(f"the cache {self.array_file} {why}: "
                          f"delete it and {self.manifest_file.name} to have it made again, "
                          "or name another folder in the environment variable GRMU_CACHE.")

    def fresh_manifest(self) -> Manifest:
        """The manifest of an array that has no block yet."""
        return {"format": FORMAT, "shape": list(self.shape), "dtype": self.dtype, "made_from": self.made_from,
                "block_rows": self.block_rows, "crc32": [None] * len(self.blocks()), "verified": False}

    def _manifest(self) -> Manifest | None:
        """The manifest if it is this array's, None if there is none."""
        try:
            manifest = json.loads(self.manifest_file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise self._broken(f"has a manifest that cannot be read ({error})") from error
        fresh = self.fresh_manifest()
        differ = [k for k in fresh if not isinstance(manifest, dict) or k not in manifest
                  or (k not in ("crc32", "verified") and manifest[k] != fresh[k])]
        if differ:
            raise self._broken("was made from other files or by another version "
                               f"(its {', '.join(differ)} differ)")
        crc = manifest["crc32"]
        if (not isinstance(crc, list) or len(crc) != len(fresh["crc32"])
                or (manifest["verified"] and None in crc)):
            raise self._broken("has a damaged manifest")
        return manifest

    def _mapped(self) -> np.memmap:
        try:
            array = np.load(self.array_file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self._broken(f"is damaged ({getattr(error, 'strerror', None) or error})") from error
        if array.shape != self.shape or array.dtype != self.dtype:
            raise self._broken(f"is damaged (it holds {array.dtype} {array.shape}, "
                               f"not {self.dtype} {self.shape})")
        return array

    def _record(self, manifest: Manifest) -> None:
        write_whole(self.manifest_file, json.dumps(manifest))

    def _start(self) -> Manifest:
        """An empty array of full size, which takes no space yet, and its manifest."""
        needed, free = self.shape[0] * self.row_bytes, shutil.disk_usage(self.folder).free
        if needed > free:
            raise ValueError(f"the cache of {self.name} needs {needed / 1e9:.1f} GB in {self.folder}, "
                             f"which has {free / 1e9:.1f} GB free: free some space, "
                             "or name another folder in the environment variable GRMU_CACHE.")
        np.lib.format.open_memmap(self.array_file, mode="w+", dtype=self.dtype, shape=self.shape)
        manifest = self.fresh_manifest()
        self._record(manifest)
        return manifest

    def _make(self, manifest: Manifest, fill: Fill) -> None:
        """Make what is missing, see that it is on the disk, and read all of it back.

        Blocks of a run that ended with its machine may be recorded, but never have come to the disk: they are
        made again.
        """
        for _ in range(2):
            with reaching_the_disk(self.array_file):
                self._fill(manifest, fill)
                wrong = self._differing(manifest)
            for i in wrong:
                manifest["crc32"][i] = None
            self._record(manifest | {"verified": False if wrong else self._stamp()})
            if not wrong:
                return
        raise self._broken("does not keep what is written to it "
                           f"({len(wrong)} of {len(self.blocks())} blocks)")

    def _fill(self, manifest: Manifest, fill: Fill) -> None:
        """Make the blocks that are missing, over all cores, and record them."""
        blocks, crc, offset = self.blocks(), manifest["crc32"], self._mapped().offset
        missing = [i for i, value in enumerate(crc) if value is None]
        finished: dict[int, int] = {}
        bad: list[str] = []

        def make(i: int) -> tuple[int, list[str]]:
            start, stop = blocks[i]
            samples, complaints = fill(start, stop)
            if not complaints:
                finished[i] = write_at(file.fileno(), samples, offset + start * self.row_bytes)
            return stop - start, complaints

        def record() -> None:
            for i, value in finished.copy().items():
                crc[i] = value
            self._record(manifest)

        there = sum(stop - start for i, (start, stop) in enumerate(blocks) if crc[i] is not None)
        with (open(self.array_file, "r+b") as file, ThreadPoolExecutor(cores()) as pool,
              tqdm(total=self.shape[0], initial=there, desc=f"{self.name}: cache", unit=" samples") as bar):
            try:
                last = time.monotonic()
                for future in as_completed([pool.submit(make, i) for i in missing]):
                    n_rows, complaints = future.result()
                    bad += complaints
                    bar.update(n_rows)
                    if time.monotonic() - last > RECORD_SECONDS:
                        record()
                        last = time.monotonic()
            finally:  # also when stopped: what has not begun is dropped, what is done is kept
                pool.shutdown(cancel_futures=True)
                record()
        if bad:
            raise ValueError(f"{len(bad)} samples of {self.name} cannot be read: {listed(sorted(bad))}. "
                             "Put the right files in their place and start again; what was read is kept.")

    def _differing(self, manifest: Manifest) -> list[int]:
        """The blocks that are not what was written."""
        return [i for i, pair in enumerate(zip(self._read(), manifest["crc32"], strict=True))
                if pair[0] != pair[1]]

    def _read(self) -> list[int]:
        """CRC-32 of every block: all is read."""
        array, blocks = self._mapped(), self.blocks()

        def crc32(i: int) -> int:
            start, stop = blocks[i]
            return zlib.crc32(os.pread(file.fileno(), (stop - start) * self.row_bytes,
                                       array.offset + start * self.row_bytes))

        with open(self.array_file, "rb") as file, ThreadPoolExecutor(cores()) as pool:
            return list(tqdm(pool.map(crc32, range(len(blocks))), f"{self.name}: verification", len(blocks),
                             unit=" blocks"))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def reaching_the_disk(path: Path) -> Iterator[None]:
    """Have the disk write what is written to the file meanwhile; at the end all of it is there."""
    with open(path, "r+b") as file, ThreadPoolExecutor(1) as pool:
        ended = threading.Event()

        def keep_up() -> None:
            while not ended.wait(SYNC_SECONDS):
                os.fsync(file.fileno())
            os.fsync(file.fileno())

        kept = pool.submit(keep_up)
        try:
            yield
        finally:
            ended.set()
        kept.result()


def write_at(file: int, samples: Iterable[np.ndarray], offset: int) -> int:
    """Write samples one after the other at that place of the file, and return the CRC-32 of them all.

    By calls, since a full disk kills who writes to a memory map; from where the decoder left them, since a
    copy takes time.
    """
    crc = 0
    for sample in samples:
        rest = memoryview(np.ascontiguousarray(sample).data).cast("B")
        crc = zlib.crc32(rest, crc)
        while rest:
            written = os.pwrite(file, rest, offset)
            rest, offset = rest[written:], offset + written
    return crc


def listed(names: list[str], separator: str = "; ", n: int = LISTED) -> str:
    """The first n names, and how many more there are."""
    return separator.join(names[:n]) + (f"{separator}and {len(names) - n} more" if len(names) > n else "")


def decode(path: Path, height: int, width: int, fit: str) -> np.ndarray:
    """One picture as uint8 (height, width, 3); of another size: see `Pictures` (antialiased).

    Raises:
        ValueError, OSError, RuntimeError: it is damaged, no picture, or of another size.
    """
    if fit == "refuse":  # torchvision needs less time than PIL, and less of it keeps other threads waiting
        from torchvision.io import ImageReadMode, decode_jpeg

        content = path.read_bytes()
        if not content:
            raise ValueError("the file is empty")
        picture = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8),
                              ImageReadMode.RGB).permute(1, 2, 0)
        if picture.shape[:2] != (height, width):
            raise ValueError(f"{picture.shape[1]} x {picture.shape[0]} pixels instead of {width} x {height}")
        return picture.numpy()
    with Image.open(path) as image:
        image.draft("RGB", (width, height))  # a JPEG of twice the size or more is decoded at half of it
        picture = image.convert("RGB")
        if picture.size == (width, height):
            return np.asarray(picture)
        if fit == "crop":
            return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR))
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def try_decode(folder: Path, file: str, height: int, width: int,
               fit: str) -> tuple[np.ndarray | None, str]:
    """The picture, or None and a word on what is wrong with its file."""
    try:
        return decode(folder / file, height, width, fit), ""
    except FileNotFoundError:
        return None, f"{file} is missing"
    except (OSError, ValueError, RuntimeError, SyntaxError) as error:  # what decoders raise
        why = (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0]
        return None, f"{file} cannot be decoded ({why})"


def picture_cache(root: Path, name: str, folder: Path, files: list[str], height: int, width: int,
                  fit: str) -> tuple[Cache, Callable[[], Fill]]:
    """The cache of those files in `folder`, uint8 (N, height, width, 3), and what fills it."""
    cropped = fit == "crop"  # then it is an array of its own
    cache = Cache(default_folder(root), name + "-cropped" * cropped, (len(files), height, width, 3), "uint8",
                  {"files": digest(files), "height": height, "width": width, "resized": fit != "refuse"})

    def make_fill() -> Fill:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is no folder, but should hold the pictures: `python -m grmu "
                                    f"data {name} --root {root}` says what is missing and where to get it.")

        def fill(start: int, stop: int) -> tuple[list[np.ndarray], list[str]]:
            looks = [try_decode(folder, file, height, width, fit) for file in files[start:stop]]
            return ([picture for picture, _ in looks if picture is not None],
                    [complaint for _, complaint in looks if complaint])

        return fill

    return cache, make_fill
