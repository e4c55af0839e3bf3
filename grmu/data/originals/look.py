"""A look at every picture of a data set, without decoding it: what is damaged, and what is odd.

A header and a file's end are read, a matter of minutes for 200,000 pictures; all of a picture is decoded when
the cache is made.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

SMALLEST = 32  # pixels of the shorter side: what is smaller is no picture of these data sets
ORIENTATION = 0x0112  # EXIF's tag
END = b"\xff\xd9"  # of a JPEG


def glance(path: Path, size: tuple[int, int] | None) -> tuple[str, str]:
    """What is damaged in a picture's file, and what is odd about it; "" where nothing is.

    Args:
        size: width and height that it must have, if it must.
    """
    try:
        with open(path, "rb") as file:
            if not (n_bytes := os.fstat(file.fileno()).st_size):
                return "empty", ""
            with Image.open(file) as image:
                width, height = image.size
                turned, mode, kind = image.getexif().get(ORIENTATION, 1) != 1, image.mode, image.format
                file.seek(max(n_bytes - 64, 0))
                ends = file.read().rstrip(b"\0").endswith(END)
    except FileNotFoundError:
        return "missing", ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"no picture ({getattr(error, 'strerror', None) or 'it cannot be identified'})", ""
    if kind == "JPEG" and not ends:
        return "cut short", ""
    if size and (width, height) != size:
        return f"{width} x {height} pixels instead of {size[0]} x {size[1]}", ""
    if min(width, height) < SMALLEST:
        return f"only {width} x {height} pixels", ""
    odd = {"L": "greyscale, shown in all three colours", "CMYK": "CMYK, turned into RGB"}.get(mode, "")
    return "", "turned by its EXIF data, which is not looked at" if turned else odd


def look(folder: Path, files: Sequence[str], size: tuple[int, int] | None,
         name: str) -> tuple[dict[str, str], Counter[str]]:
    """The damaged ones of these files, with what is wrong, and how many are odd in which way."""
    with ThreadPoolExecutor(8) as pool:
        glances = pool.map(lambda file: glance(folder / file, size), files, chunksize=64)
        looks = list(tqdm(glances, f"{name}: pictures", total=len(files), unit=" files", leave=False))
    damaged = {file: damage for file, (damage, _) in zip(files, looks, strict=True) if damage}
    return damaged, Counter(odd for _, odd in looks if odd)
