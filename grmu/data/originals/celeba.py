"""CelebA: blond hair, with male or female as the attribute.

The pictures are from Liu et al., *Deep Learning Face Attributes in the Wild*, ICCV 2015. They are stored at
their original size, 218 x 178. A network sees their central 178 x 178, enlarged to 224 x 224. In the paper's
released code, it sees the whole picture, squashed to 224 x 224.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from grmu.data.memmap import CropTransform
from grmu.data.originals.original import Metadata, Original, Pictures, Protocols, codes, find, read_table

LABELS = ("list_attr_celeba.txt", "Anno/list_attr_celeba.txt", "list_attr_celeba.csv")  # possible places
PARTITION = ("list_eval_partition.txt", "Eval/list_eval_partition.txt", "list_eval_partition.csv")
PICTURES = ("img_align_celeba", "Img/img_align_celeba")
NESTED = "img_align_celeba/img_align_celeba"
PLUS_MINUS = {"-1": 0, "1": 1}


def read_attributes(path: Path) -> pd.DataFrame:
    """Read the file name, Blond_Hair and Male of every row.

    The original file begins with a line for the number of rows and a line for the column names. Kaggle's copy
    is a plain CSV file.

    Raises:
        ValueError: The file cannot be read, or its number of rows differs from its first line.
    """
    if path.suffix == ".csv":
        return read_table(path, ["image_id", "Blond_Hair", "Male"]).rename(columns={"image_id": "file"})
    n_rows, names, *_ = (path.read_text(encoding="utf-8-sig") + "\n\n").split("\n", 2)
    table = read_table(path, ["file", "Blond_Hair", "Male"], sep=r"\s+", skiprows=2, header=None,
                       names=["file", *names.split()])
    if n_rows.strip() != str(len(table)):
        raise ValueError(f"{path} has {len(table)} rows, but its first line says {n_rows.strip()}: "
                         "it was truncated or edited. Download it again, or correct the first line.")
    return table


def read(root: Path) -> Metadata:
    """Read the labels and the partition of every row of list_attr_celeba.txt."""
    path, parts = find("celeba", root, *LABELS), find("celeba", root, *PARTITION)
    columns = ["image_id" if parts.suffix == ".csv" else "file", "partition"]
    options = {} if parts.suffix == ".csv" else {"sep": r"\s+", "header": None, "names": columns}
    partition = read_table(parts, columns, **options).rename(columns={"image_id": "file"})
    table = read_attributes(path).merge(partition, how="left", on="file")
    table["partition"] = table.partition.fillna("no entry for " + table.file)
    places = [root / place for place in (NESTED, *PICTURES) if os.path.isdir(root / place)]
    return Metadata([*places, root / PICTURES[0]][0], table.file.tolist(),
                    codes(table.Blond_Hair, PLUS_MINUS, path), codes(table.Male, PLUS_MINUS, path),
                    codes(table.partition, ("0", "1", "2"), parts))


CELEBA = Original(
    name="celeba", labels=(LABELS, PARTITION), samples=(PICTURES,),
    class_names=("not blond", "blond"), attribute_names=("female", "male"), forget_group=(1, 1), read=read,
    pictures=Pictures(218, 178, "refuse", view=CropTransform(side=224, height=178, width=178)),
    counts_from="published with the data set, and for its groups by the authors of group DRO",
    published={"train": (71629, 66874, 22880, 1387), "val": (8535, 8276, 2874, 182),
               "test": (9767, 7535, 2480, 180)})
WHOLE = Pictures(218, 178, "refuse", CropTransform(224, 218, 178, 0.08))
PROTOCOLS = Protocols(CELEBA, replace(CELEBA, pictures=WHOLE))
