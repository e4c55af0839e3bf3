"""How fast the real data sets load, measured on generated files of CelebA's form.

    python -m grmu.scale.bench_cache [--pictures 20000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from grmu.data.originals.cache import cores, decode, picture_cache, write_at
from grmu.data.originals.celeba import CELEBA, read
from grmu.data.originals.original import SPLITS

HEIGHT, WIDTH = 218, 178
DIFFERENT = 2000  # pictures that are made; more are read again
ATTRIBUTES = [{9: "Blond_Hair", 20: "Male"}.get(i, f"Attribute_{i}") for i in range(40)]

# Prints seconds and the peak of resident memory in kB. On Linux getrusage also counts the parent's, the
# status file does not.
LOAD = """
import resource, sys, time
start = time.perf_counter()
from grmu import data
imported = time.perf_counter()
data.load("celeba", sys.argv[1])
loaded, peak = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform == "linux":
    peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(imported - start, loaded - imported, peak if sys.platform == "linux" else peak / 1024)
"""


def write_labels(root: Path, counts: Mapping[str, Sequence[int]]) -> list[str]:
    """CelebA's two text files with these group counts per split, mixed; returns the pictures' names."""
    kinds = [(i, y, a) for i, split in enumerate(SPLITS)
             for (y, a), n in zip([(0, 0), (0, 1), (1, 0), (1, 1)], counts[split], strict=True)
             for _ in range(n)]
    kinds = [kinds[i] for i in np.random.default_rng(0).permutation(len(kinds))]
    names = [f"{i:06d}.jpg" for i in range(1, len(kinds) + 1)]
    values = {(y, a): " ".join(f"{v:2d}" for v in np.where(np.isin(range(40), [9] * y + [20] * a), 1, -1))
              for y in (0, 1) for a in (0, 1)}
    rows = [f"{name} {values[y, a]}\n" for name, (_, y, a) in zip(names, kinds, strict=True)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "list_attr_celeba.txt").write_text(f"{len(kinds)}\n{' '.join(ATTRIBUTES)} \n" + "".join(rows))
    partition = "".join(f"{name} {i}\n" for name, (i, _, _) in zip(names, kinds, strict=True))
    (root / "list_eval_partition.txt").write_text(partition)
    return names


def write_picture(path: Path, seed: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A JPEG of smooth shapes and noise, about as large in bytes as a photograph of its size."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (14, 12, 3), dtype=np.uint8))
    shapes = small.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(shapes).astype(int) + rng.integers(-6, 7, (height, width, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def loading(folder: Path) -> tuple[float, float, float]:
    """Of a fresh process: seconds to import grmu, to load a cached CelebA, and peak resident megabytes.

    The cache is a sparse file of zeros, so it takes no space in `folder`.
    """
    if not (folder / "list_attr_celeba.txt").is_file():
        write_labels(folder, CELEBA.published)
    cache, _ = CELEBA.cache(folder, read(folder))
    cache.folder.mkdir(exist_ok=True)
    np.lib.format.open_memmap(cache.array_file, mode="w+", dtype=cache.dtype, shape=cache.shape)
    sizes = [stop - start for start, stop in cache.blocks()]
    crc = {n: zlib.crc32(bytes(n * cache.row_bytes)) for n in set(sizes)}
    manifest = cache.fresh_manifest() | {"crc32": [crc[n] for n in sizes], "verified": True}
    cache.manifest_file.write_text(json.dumps(manifest))
    done = subprocess.run([sys.executable, "-c", LOAD, str(folder)], stdout=subprocess.PIPE, text=True,
                          check=True)
    importing, seconds, kilobytes = map(float, done.stdout.split())
    return importing, seconds, kilobytes * 1024 / 1e6


def caching(folder: Path, n: int, repeats: int) -> dict[str, list[float]]:
    """Seconds that n JPEGs of CelebA's size take, `repeats` times side by side, the pictures being made in
    `folder` first.

    "cache" decodes, writes and verifies them; the others only read and decode them to arrays, in a process a
    core: "Pillow" as one would write it, "torchvision" with the decoder of the cache. "write" only writes as
    many bytes to the disk.
    """
    files = [f"{i % DIFFERENT:06d}.jpg" for i in range(n)]
    folder.mkdir(parents=True, exist_ok=True)
    for i, file in enumerate(files[:DIFFERENT]):
        if not (folder / file).is_file():
            write_picture(folder / file, i)
    cache, make_fill = picture_cache(folder, "measured", folder, files, HEIGHT, WIDTH, "refuse")
    chunks = [files[i : i + 100] for i in range(0, n, 100)]

    def clear() -> None:  # not timed: to delete a file takes time, too
        for file in (cache.array_file, cache.manifest_file, folder / "measured.tmp"):
            file.unlink(missing_ok=True)

    def write() -> None:
        with open(folder / "measured.tmp", "wb") as file:
            write_at(file.fileno(), repeat(np.ones(HEIGHT * WIDTH * 3, np.uint8), n), 0)
            os.fsync(file.fileno())

    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        ways: dict[str, Callable[[], object]] = {
            "cache": lambda: cache.load(make_fill),
            "Pillow": lambda: list(pool.map(partial(_pillow, folder), chunks)),
            "torchvision": lambda: list(pool.map(partial(_torchvision, folder), chunks)), "write": write}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats + 1):
            for name, way in ways.items():
                clear()
                start = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in seconds.items()}  # the first time, processes start


def _pillow(folder: Path, files: list[str]) -> None:
    for file in files:
        with Image.open(folder / file) as image:
            np.asarray(image.convert("RGB"))


def _torchvision(folder: Path, files: list[str]) -> None:
    for file in files:
        decode(folder / file, HEIGHT, WIDTH, "refuse")


def spread(values: Sequence[float] | np.ndarray) -> str:
    """Median, and smallest and largest."""
    return f"{np.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def main() -> None:
    """Print both measurements: median, smallest and largest of several runs."""
    parser = argparse.ArgumentParser(prog="python -m grmu.scale.bench_cache", description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000,
                        help="JPEGs to decode (on the disk, 116 kB each)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        runs = [loading(Path(folder)) for _ in range(options.repeats)]
        importing, loads, megabytes = zip(*runs, strict=True)
        print(f"CelebA's size, cached: import {spread(importing)} s, load {spread(loads)} s, "
              f"together {spread(np.add(importing, loads))} s (target: at most 5), "
              f"peak {spread(megabytes)} MB (at most 500)", flush=True)
        seconds = caching(Path(folder) / "pictures", options.pictures, options.repeats)
    print(f"{options.pictures} JPEGs, seconds: "
          + ", ".join(f"{name} {spread(values)}" for name, values in seconds.items()))
    for name, target in (("Pillow", " (target: at most 1.3)"), ("torchvision", "")):
        print(f"cache / bare loop with {name}: {spread(np.divide(seconds['cache'], seconds[name]))}{target}")


if __name__ == "__main__":
    main()
