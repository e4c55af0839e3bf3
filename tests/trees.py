"""Small folders in exactly the original layouts of the four data sets, made by the tests. Generated, so
nothing is downloaded."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from grmu.data.originals.fairface import AGES, RACES
from grmu.data.originals.multinli import LABELS
from grmu.data.originals.original import SPLITS
from grmu.data.originals.waterbirds import FOLDER

Counts = dict[str, Sequence[int]]  # per split, samples of every group, in group order

FEW = {"train": (5, 4, 3, 2), "val": (2, 1, 1, 1), "test": (1, 2, 1, 1)}
FEW_TEXTS = {"train": (6, 3, 5, 2, 4, 3), "val": (2, 1, 2, 1, 1, 1), "test": (1, 1, 2, 1, 3, 1)}


HEIGHT, WIDTH = 218, 178  # of CelebA's pictures
ATTRIBUTES = [{9: "Blond_Hair", 20: "Male"}.get(i, f"Attribute_{i}") for i in range(40)]


def write_picture(path: Path, seed: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A JPEG of smooth shapes and noise, about as large in bytes as a photograph of its size."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (14, 12, 3), dtype=np.uint8))
    shapes = small.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(shapes).astype(int) + rng.integers(-6, 7, (height, width, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def write_labels(root: Path, counts: Counts) -> list[str]:
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


def mixed(counts: Counts, n_attributes: int) -> list[tuple[int, int, int]]:
    """(split, y, a) of every sample, in an order that mixes all."""
    kinds = [(i, *divmod(group, n_attributes)) for i, split in enumerate(SPLITS)
             for group, n in enumerate(counts[split]) for _ in range(n)]
    return [kinds[i] for i in np.random.default_rng(1).permutation(len(kinds))]


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def celeba(root: Path, counts: Counts = FEW, pictures: bool = True) -> Path:
    names = write_labels(root, counts)
    if pictures:
        (root / "img_align_celeba").mkdir()
        for i, name in enumerate(names):
            write_picture(root / "img_align_celeba" / name, i)
    return root


def waterbirds(root: Path, counts: Counts = FEW, pictures: bool = True) -> Path:
    kinds = mixed(counts, 2)
    files = [f"{1 + i % 3:03d}.Bird/Bird_{i:04d}.jpg" for i in range(len(kinds))]
    write_rows(root / FOLDER / "metadata.csv",
               ["img_id", "img_filename", "y", "split", "place", "place_filename"],
               [(i, file, y, split, a, f"/o/ocean/{i:08d}.jpg")
                for i, (file, (split, y, a)) in enumerate(zip(files, kinds, strict=True), 1)])
    for i, file in enumerate(files if pictures else ()):
        (root / FOLDER / file).parent.mkdir(exist_ok=True)
        write_picture(root / FOLDER / file, i, *((375, 500) if i % 2 else (500, 333)))
    return root


def fairface(root: Path, n_train: int = 30, n_test: int = 12, unused: int = 5, mangled: bool = False,
             size: int = 224,
             pictures: bool = True) -> Path:
    """Every third age and race, in turn; `unused` rows a file have service_test False."""
    labels = list(product(AGES, RACES))
    for part, n in (("train", n_train), ("val", n_test)):
        rows = []
        for i in range(1, n + unused + 1):
            age, race = labels[(4 * i) % len(labels)]
            if mangled:
                age = {"3-9": "9-Mar", "10-19": "19-Oct"}.get(age, age)
            rows.append((f"{part}/{i}.jpg", age, "Female" if i % 2 else "Male", race, i > unused))
            if pictures:
                (root / part).mkdir(parents=True, exist_ok=True)
                write_picture(root / part / f"{i}.jpg", i, size, size)
        write_rows(root / f"fairface_label_{part}.csv", ["file", "age", "gender", "race", "service_test"],
                   rows)
    return root


def multinli(root: Path, counts: Counts = FEW_TEXTS, texts: bool = True) -> Path:
    """Every seventh line of all but the train file has no gold label, and so no row."""
    kinds = mixed(counts, 2)
    parts = np.array_split(np.arange(len(kinds)), [int(0.8 * len(kinds)), int(0.9 * len(kinds))])
    lines, rows = [], []
    for name, chosen in zip(("train", "dev_matched", "dev_mismatched"), parts, strict=True):
        first = len(lines)
        for i in chosen:
            split, y, a = kinds[i]
            if name != "train" and (len(lines) - first) % 7 == 0:
                lines.append({"gold_label": "-", "sentence1": "Nobody agreed.",
                              "sentence2": "They had no label."})
            rows.append((len(lines), y, a, split))
            lines.append({"gold_label": LABELS[y],
                          "sentence1": f"There were {i} horses, by the river; none drank.",
                          "sentence2": f"NEVER! said horse {i}." if a
                          else f"Nothings and noble knots: horse {i} drank."})
        if texts:
            path = root / "multinli_1.0" / f"multinli_1.0_{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(line) + "\n" for line in lines[first:]))
    write_rows(root / "metadata_random.csv", ["", "gold_label", "sentence2_has_negation", "split"], rows)
    return root


def for_a_dry_run(root: Path) -> Path:
    """All four below one root, with as many samples as a dry run of every grid of the paper's looks at."""
    few = dict.fromkeys(SPLITS, (12, 12, 12, 12))
    celeba(root / "celeba", few)
    waterbirds(root / "waterbirds", few)
    fairface(root / "fairface", n_train=63 * 13, n_test=63 * 2)
    multinli(root / "multinli", dict.fromkeys(SPLITS, (12,) * 6))
    return root


TREES = {"celeba": celeba, "waterbirds": waterbirds, "fairface": fairface, "multinli": multinli}
