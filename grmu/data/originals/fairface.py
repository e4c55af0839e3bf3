"""FairFace: nine age classes of faces, with seven races as the attribute.

The pictures are from Karkkainen and Joo, *FairFace*, WACV 2021. As in the paper, only rows whose service_test
is True are used, and FairFace's own validation file is the test set.

Our validation set is a tenth of the train file. It consists of the files whose text `grmu validation FILE`
has the smallest SHA-256. The paper's released code draws these rows at random, anew for every seed, and
rounds their number up. The protocol "released" therefore adds the next row by our rule.

Pictures are stored at 224 x 224, the size of those with padding 0.25. Those with padding 1.25 are resized to
it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from grmu.data.files import write_whole
from grmu.data.memmap import CropTransform
from grmu.data.originals.original import Metadata, Original, Pictures, Protocols, codes, find, read_table

FILES = ("fairface_label_train.csv", "fairface_label_val.csv")
AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
RACES = ("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")
MONTHS = {"mar": 3, "mär": 3, "mrz": 3, "sep": 9, "oct": 10, "okt": 10}  # by their first three letters
DATES = {frozenset((3, 9)): "3-9", frozenset((10, 19)): "10-19"}  # day and month, in any order
VAL_SHARE = 0.1


def read(root: Path, n_val: Callable[[float], int] = round) -> Metadata:
    """Read the labels and the split of the rows that are used, from both files.

    Args:
        root: Folder of the files.
        n_val: Function that rounds the number of validation rows.
    """
    tables = [_read_file(find("fairface", root, name), root) for name in FILES]
    paths, n_train = [root / name for name in FILES], len(tables[0])
    y, a = (np.concatenate([codes(table[column], allowed, path)
                            for table, path in zip(tables, paths, strict=True)])
            for column, allowed in (("age", AGES), ("race", RACES)))
    files = [file for table in tables for file in table.file]
    split = np.repeat([0, 2], [n_train, len(tables[1])])
    split[validation_rows(files[:n_train], n_val)] = 1
    return Metadata(root, files, y, a, split)


def validation_rows(files: list[str], n_val: Callable[[float], int] = round) -> np.ndarray:
    """Return the rows of the train file that form the validation set; the order of the rows does not matter.

    Args:
        files: File names of the rows.
        n_val: Function that rounds the number of validation rows.
    """
    ranks = [hashlib.sha256(f"grmu validation {file}".encode()).digest() for file in files]
    order = sorted(range(len(files)), key=ranks.__getitem__)
    return np.array(sorted(order[: n_val(VAL_SHARE * len(files))]), np.int64)


def restored(text: str) -> str | None:
    """Restore an age that a spreadsheet turned into a date, such as 9-Mar, 03-Sep or Oct-19.

    Returns:
        The age, or None if the text is not such a date.
    """
    parts = re.fullmatch(r"(\d{1,2})[\s./-]*([^\W\d]+)\.?|([^\W\d]+)\.?[\s./-]*(\d{1,2})", text.strip())
    if not parts:
        return None
    number, month = parts[1] or parts[4], MONTHS.get((parts[2] or parts[3])[:3].lower(), 0)
    return DATES.get(frozenset((int(number), month)))


def _read_file(path: Path, root: Path) -> pd.DataFrame:
    table = read_table(path, ["file", "age", "race", "service_test"])
    mangled = table.age.map(restored).notna()
    if mangled.any():
        raise ValueError(f"{path} holds {int(mangled.sum())} ages that a spreadsheet turned "
                         f"into dates ({', '.join(table.age[mangled].unique())}): "
                         f"`python -m grmu data fairface --root {root} --repair` restores them.")
    used = codes(table.service_test.str.lower(), ("false", "true"), path).astype(bool)
    if not used.any():
        raise ValueError(f"{path} has no row whose service_test is True: download it again.")
    return table[used]


def repair(root: Path) -> list[str]:
    """Restore the ages that a spreadsheet turned into dates, and keep the original files.

    Returns:
        One sentence for every changed file.
    """
    changes = []
    for path in (find("fairface", root, name) for name in FILES):
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        if "age" not in table or (ages := table.age.map(restored)).isna().all():
            continue
        table["age"] = ages.fillna(table.age)
        kept = path.with_name(f"{path.name}.original")
        if not kept.exists():
            write_whole(kept, path.read_bytes())
        write_whole(path, table.to_csv(index=False))
        changes.append(f"{path.name}: {ages.notna().sum()} ages restored; the original file is {kept.name}")
    return changes


FAIRFACE = Original(
    name="fairface", labels=tuple((place,) for place in FILES), samples=(("train",), ("val",)),
    class_names=AGES, attribute_names=RACES, forget_group=(3, 1), read=read, repair=repair,
    pictures=Pictures(224, 224, "squash", view=CropTransform(side=224, height=224, width=224)),
    counts_from="counted by us: 36,227 train and 4,025 val, divided by our rule, where the paper's random "
                "division gives 36,226 and 4,026; the test set is the paper's",
    published={"train": (36227,), "val": (4025,), "test": (5162,)})
PROTOCOLS = Protocols(FAIRFACE, replace(
    FAIRFACE, read=partial(read, n_val=math.ceil),
    published={"train": (36226,), "val": (4026,), "test": (5162,)},
    counts_from="counted in the paper's released code, which divides train and val at random",
    pictures=Pictures(224, 224, "squash", CropTransform(224, 196, 196, 0.08))))
