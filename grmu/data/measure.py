"""Two measurements of the real data sets' loading, on generated files of CelebA's form; the benchmark calls them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from grmu.data.cache import cores, picture_cache
from grmu.data.celeba import CELEBA, read
from grmu.data.original import SPLITS

HEIGHT, WIDTH = 218, 178
ATTRIBUTES = [{9: "Blond_Hair", 20: "Male"}.get(i, f"Attribute_{i}") for i in range(40)]

# Prints seconds and the peak of resident memory in kB. On Linux getrusage also counts the parent's, the status file does not.
LOAD = """
import time; start = time.perf_counter()
from grmu import data
splits = data.load("celeba", sys.argv[1])
seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform == "linux":
    peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(seconds, peak if sys.platform == "linux" else peak / 1024)
"""


def write_labels(root: Path, counts: dict[str, Sequence[int]]) -> list[str]:
    """CelebA's two text files with these group counts per split, in mixed order; returns the pictures' names."""
    kinds = [(i, y, a) for i, split in enumerate(SPLITS)
             for (y, a), n in zip([(0, 0), (0, 1), (1, 0), (1, 1)], counts[split], strict=True) for _ in range(n)]
    kinds = [kinds[i] for i in np.random.default_rng(0).permutation(len(kinds))]
    names = [f"{i:06d}.jpg" for i in range(1, len(kinds) + 1)]
    values = {(y, a): " ".join(f"{v:2d}" for v in np.where(np.isin(range(40), [9] * y + [20] * a), 1, -1))
              for y in (0, 1) for a in (0, 1)}
    rows = [f"{name} {values[y, a]}\n" for name, (_, y, a) in zip(names, kinds, strict=True)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "list_attr_celeba.txt").write_text(f"{len(kinds)}\n{' '.join(ATTRIBUTES)} \n" + "".join(rows))
    (root / "list_eval_partition.txt").write_text("".join(f"{name} {i}\n" for name, (i, _, _) in zip(names, kinds, strict=True)))
    return names


def write_picture(path: Path, seed: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A JPEG of smooth shapes and noise, about as large in bytes as a photograph of its size."""
    rng = np.random.default_rng(seed)
    shapes = Image.fromarray(rng.integers(0, 256, (14, 12, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(shapes).astype(int) + rng.integers(-6, 7, (height, width, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def loading_seconds_and_memory(folder: Path) -> tuple[float, float]:
    """Seconds and peak resident megabytes of a fresh process that imports grmu and loads a cached data set of CelebA's size.

    The cache is a sparse file of zeros, so it takes no space in `folder`.
    """
    if not (folder / "list_attr_celeba.txt").is_file():
        write_labels(folder, CELEBA.published)
    cache, _ = CELEBA.cache(folder, read(folder))
    cache.folder.mkdir(exist_ok=True)
    np.lib.format.open_memmap(cache.array_file, mode="w+", dtype=cache.dtype, shape=cache.shape)
    crc = {n: zlib.crc32(bytes(n * cache.row_bytes)) for n in {stop - start for start, stop in cache.blocks()}}
    manifest = cache.fresh_manifest() | {"crc32": [crc[stop - start] for start, stop in cache.blocks()], "verified": True}
    cache.manifest_file.write_text(json.dumps(manifest))
    done = subprocess.run([sys.executable, "-c", f"import resource, sys\n{LOAD}", str(folder)], stdout=subprocess.PIPE, text=True,
                          check=True)
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes * 1024 / 1e6


def caching_ratio(folder: Path, n: int = 4000) -> tuple[float, float, float]:
    """Decoding, caching and verifying n JPEGs of CelebA's size against only reading and decoding them over all cores.

    Returns (ratio, seconds of caching, seconds of the bare loop); the pictures are made in `folder` first and stay there.
    """
    files = [f"{i:06d}.jpg" for i in range(n)]
    folder.mkdir(parents=True, exist_ok=True)
    for i, file in enumerate(files):
        if not (folder / file).is_file():
            write_picture(folder / file, i)
    cache, make_fill = picture_cache(folder, "measured", folder, files, HEIGHT, WIDTH, resize=False)
    chunks = [files[i : i + 100] for i in range(0, n, 100)]
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        list(pool.map(partial(_decode, folder), chunks[: 2 * cores()]))  # until all processes run
        bare, caching = [], []
        for _ in range(3):  # side by side, the best of each: other work on the machine disturbs less
            start = time.perf_counter()
            list(pool.map(partial(_decode, folder), chunks))
            bare.append(time.perf_counter() - start)
            cache.array_file.unlink(missing_ok=True)
            cache.manifest_file.unlink(missing_ok=True)
            start = time.perf_counter()
            cache.load(make_fill)
            caching.append(time.perf_counter() - start)
    return min(caching) / min(bare), min(caching), min(bare)


def _decode(folder: Path, files: list[str]) -> None:
    for file in files:
        with Image.open(folder / file) as image:
            image.load()
