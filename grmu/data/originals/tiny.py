"""Generate a small folder in the layout of CelebA, for dry runs and tests without a download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from grmu.data.originals.original import SPLITS

HEIGHT, WIDTH = 218, 178  # size of CelebA's pictures
ATTRIBUTES = [{9: "Blond_Hair", 20: "Male"}.get(i, f"Attribute_{i}") for i in range(40)]
COUNTS = {"train": (20, 18, 16, 14), "val": (8, 7, 6, 5), "test": (8, 7, 6, 5)}  # 120, in group order


def make_celeba(folder: Path, counts: Mapping[str, Sequence[int]] = COUNTS, pictures: bool = True) -> None:
    """Write the two text files of CelebA and the pictures.

    Each call writes the same bytes, because the random order is fixed.

    Args:
        folder: The folder to create.
        counts: Group counts of each split.
        pictures: Whether to write the pictures.
    """
    kinds = [(part, y, a) for part, split in enumerate(SPLITS)
             for (y, a), n in zip([(0, 0), (0, 1), (1, 0), (1, 1)], counts[split], strict=True)
             for _ in range(n)]
    order = np.random.default_rng(0).permutation(len(kinds))
    people = {f"{i:06d}.jpg": kinds[place] for i, place in enumerate(order, 1)}
    home = folder / "img_align_celeba"
    (home if pictures else folder).mkdir(parents=True, exist_ok=True)
    labels = [str(len(people)), " ".join(ATTRIBUTES) + " "]
    for name, (_, y, a) in people.items():
        values = np.where(np.isin(range(40), [9] * y + [20] * a), 1, -1)
        labels.append(f"{name} " + " ".join(f"{value:2d}" for value in values))
    (folder / "list_attr_celeba.txt").write_text("\n".join(labels) + "\n")
    partition = "".join(f"{name} {part}\n" for name, (part, _, _) in people.items())
    (folder / "list_eval_partition.txt").write_text(partition)
    for seed, name in enumerate(people if pictures else ()):
        write_picture(home / name, seed)


def write_picture(path: Path, seed: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """Write a JPEG of smooth shapes and noise whose size in bytes is that of a photograph."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (14, 12, 3), dtype=np.uint8))
    shapes = small.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(shapes).astype(int) + rng.integers(-6, 7, (height, width, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
