"""CelebA: blond hair, with male or not as the attribute (Liu et al., *Deep Learning Face Attributes*, 2015).

Pictures are stored as they are, 218 x 178; a network sees the central 178 x 178 of them as 224 x 224. The
paper's released code squeezes the whole of them to 224 x 224.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from grmu.data.memmap import CropTransform
from grmu.data.originals.original import Metadata, Original, Pictures, Protocols, codes, find, read_table

SOURCE = """\
CelebA: 202,599 aligned pictures of faces of celebrities, with 40 attributes each.
Get it from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, whose Google and Baidu Drive hold the files.
Terms: for non-commercial research only; the pictures may not be passed on. Read the agreement on that page.
The folder (root) must hold, where the letters after the arrow name where the download has them:
  img_align_celeba/000001.jpg ... 202599.jpg   <- Img/img_align_celeba.zip, unpacked
  list_attr_celeba.txt                         <- Anno/list_attr_celeba.txt
  list_eval_partition.txt                      <- Eval/list_eval_partition.txt
The folders Img, Anno and Eval may also stay as they are, and Kaggle's copy may: list_attr_celeba.csv,
list_eval_partition.csv, and the pictures in img_align_celeba/img_align_celeba. All may lie in a folder celeba
below root. The cache of decoded pictures takes 23.6 GB."""

LABELS = ("list_attr_celeba.txt", "Anno/list_attr_celeba.txt", "list_attr_celeba.csv")  # where it may be
PARTITION = ("list_eval_partition.txt", "Eval/list_eval_partition.txt", "list_eval_partition.csv")
PICTURES = ("img_align_celeba", "Img/img_align_celeba")
NESTED = "img_align_celeba/img_align_celeba"
PLUS_MINUS = {"-1": 0, "1": 1}


def read_attributes(path: Path) -> pd.DataFrame:
    """File name, Blond_Hair and Male of every row, below lines with the number of rows and the names.

    Kaggle's copy is a plain table.
    """
    if path.suffix == ".csv":
        return read_table(path, ["image_id", "Blond_Hair", "Male"]).rename(columns={"image_id": "file"})
    try:
        with open(path, encoding="utf-8-sig") as file:
            n_rows, names = file.readline().strip(), file.readline().split()
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): get it again.") from error
    table = read_table(path, ["file", "Blond_Hair", "Male"], sep=r"\s+", skiprows=2, header=None,
                       names=["file", *names])
    if n_rows != str(len(table)):
        raise ValueError(f"{path} has {len(table)} rows, but its first line says {n_rows or 'nothing'}: "
                         "it was cut short, or edited without that line. "
                         "Get it again, or correct the first line.")
    return table


def read(root: Path) -> Metadata:
    """Labels and partition of every row of list_attr_celeba.txt."""
    path, parts = find("celeba", root, *LABELS), find("celeba", root, *PARTITION)
    table = read_attributes(path)
    partition = _read_partition(parts)
    split = table.file.map(partition.set_index("file").partition).rename("partition")
    if split.isna().any():
        raise ValueError(f"{parts} says nothing of {int(split.isna().sum())} pictures of {path.name}, "
                         f"the first {table.file[split.isna()].iloc[0]}: get both files again.")
    places = [root / place for place in (NESTED, *PICTURES) if os.path.isdir(root / place)]
    folder = [*places, root / PICTURES[0]][0]
    return Metadata(folder, table.file.tolist(),
                    codes(table.Blond_Hair, PLUS_MINUS, path), codes(table.Male, PLUS_MINUS, path),
                    codes(split, ("0", "1", "2"), parts))


def _read_partition(path: Path) -> pd.DataFrame:
    names = ["file", "partition"]
    table = (read_table(path, ["image_id", "partition"]).rename(columns={"image_id": "file"})
             if path.suffix == ".csv" else read_table(path, names, sep=r"\s+", header=None, names=names))
    if (twice := table.file[table.file.duplicated()]).size:
        raise ValueError(f"{path} lists {twice.iloc[0]} twice: get it again.")
    return table


CELEBA = Original(
    name="celeba", source=SOURCE, labels=(LABELS, PARTITION), samples=(PICTURES,),
    class_names=("not blond", "blond"), attribute_names=("female", "male"), forget_group=(1, 1), read=read,
    pictures=Pictures(218, 178, "refuse", view=CropTransform(side=224, height=178, width=178)),
    counts_from="published: the data set's own partition, and its groups as group DRO's authors count them",
    published={"train": (71629, 66874, 22880, 1387), "val": (8535, 8276, 2874, 182),
               "test": (9767, 7535, 2480, 180)})
WHOLE = Pictures(218, 178, "refuse", CropTransform(224, 218, 178, 0.08))
PROTOCOLS = Protocols(CELEBA, replace(CELEBA, pictures=WHOLE))
load, fingerprint = PROTOCOLS.load, PROTOCOLS.fingerprint
