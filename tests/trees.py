"""Generate small folders with the original layouts of the four data sets, so that nothing is downloaded."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from grmu.data.originals.fairface import AGES, RACES
from grmu.data.originals.multinli import LABELS
from grmu.data.originals.original import SPLITS
from grmu.data.originals.tiny import make_celeba, write_picture
from grmu.data.originals.waterbirds import FOLDER

Counts = dict[str, Sequence[int]]  # per split, samples of every group, in group order

FEW = {"train": (5, 4, 3, 2), "val": (2, 1, 1, 1), "test": (1, 2, 1, 1)}
FEW_TEXTS = {"train": (6, 3, 5, 2, 4, 3), "val": (2, 1, 2, 1, 1, 1), "test": (1, 1, 2, 1, 3, 1)}


def mixed(counts: Counts, n_attributes: int) -> list[tuple[int, int, int]]:
    """Return (split, y, a) of every sample in a mixed order."""
    kinds = [(i, *divmod(group, n_attributes)) for i, split in enumerate(SPLITS)
             for group, n in enumerate(counts[split]) for _ in range(n)]
    return [kinds[i] for i in np.random.default_rng(1).permutation(len(kinds))]


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def celeba(root: Path, counts: Counts = FEW, pictures: bool = True) -> Path:
    make_celeba(root, counts, pictures)
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
    """Write every third age and race in turn; `unused` rows per file have service_test False."""
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
    """Write the files; every seventh line outside the train file has no gold label and so no row."""
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
    """Write all four folders below one root, with enough samples for a dry run of the paper's grids."""
    few = dict.fromkeys(SPLITS, (12, 12, 12, 12))
    celeba(root / "celeba", few)
    waterbirds(root / "waterbirds", few)
    fairface(root / "fairface", n_train=63 * 13, n_test=63 * 2)
    multinli(root / "multinli", dict.fromkeys(SPLITS, (12,) * 6))
    return root


TREES = {"celeba": celeba, "waterbirds": waterbirds, "fairface": fairface, "multinli": multinli}
