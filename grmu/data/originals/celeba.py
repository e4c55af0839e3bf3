"""CelebA: blond hair, with male or not as the attribute (Liu et al., *Deep Learning Face Attributes*, 2015).

Pictures are stored as they are, 218 x 178; a network sees the central 178 x 178 of them as 224 x 224.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from grmu.data.originals.original import Metadata, Original, Pictures, codes, find, read_table
from grmu.data.view import View

SOURCE = """\
CelebA: 202,599 aligned pictures of faces of celebrities, with 40 attributes each.
Get it from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, whose Google and Baidu Drive hold the files.
Terms: for non-commercial research only; the pictures may not be passed on. Read the agreement on that page.
The folder (root) must hold, where the letters after the arrow name where the download has them:
  img_align_celeba/000001.jpg ... 202599.jpg   <- Img/img_align_celeba.zip, unpacked
  list_attr_celeba.txt                         <- Anno/list_attr_celeba.txt
  list_eval_partition.txt                      <- Eval/list_eval_partition.txt
The folders Img, Anno and Eval may also stay as they are. The cache of decoded pictures takes 23.6 GB."""

LABELS = ("list_attr_celeba.txt", "Anno/list_attr_celeba.txt")  # where it may be
PARTITION = ("list_eval_partition.txt", "Eval/list_eval_partition.txt")
PICTURES = ("img_align_celeba", "Img/img_align_celeba")
PLUS_MINUS = {"-1": 0, "1": 1}


def read_attributes(path: Path) -> pd.DataFrame:
    """File name, Blond_Hair and Male of every row, below lines with the number of rows and the names."""
    try:
        with open(path) as file:
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
    partition = read_table(parts, ["file", "partition"], sep=r"\s+", header=None, names=["file", "partition"])
    split = table.file.map(partition.drop_duplicates("file").set_index("file").partition).rename("partition")
    if split.isna().any():
        raise ValueError(f"{parts} says nothing of {int(split.isna().sum())} pictures of {path.name}, "
                         f"the first {table.file[split.isna()].iloc[0]}: get both files again.")
    folder = next((root / place for place in PICTURES if (root / place).is_dir()), root / PICTURES[0])
    return Metadata(folder, table.file.tolist(),
                    codes(table.Blond_Hair, PLUS_MINUS, path), codes(table.Male, PLUS_MINUS, path),
                    codes(split, ("0", "1", "2"), parts))


CELEBA = Original(
    name="celeba", source=SOURCE, labels=(LABELS, PARTITION), samples=(PICTURES,),
    class_names=("not blond", "blond"), attribute_names=("female", "male"), forget_group=(1, 1), read=read,
    pictures=Pictures(218, 178, resize=False, view=View(side=224, height=178, width=178)),
    published={"train": (71629, 66874, 22880, 1387), "val": (8535, 8276, 2874, 182),
               "test": (9767, 7535, 2480, 180)})
load, fingerprint = CELEBA.load, CELEBA.fingerprint
