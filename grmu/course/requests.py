"""Requests to be forgotten, read from a file and sorted; the page about them is `grmu.course.report`.

    requests = read_requests(REQUESTS, train)           # valid, refused (each with its reason), notes
    unlearned = grmu.unlearn(model, splits, requests.rows, ...)

A file of requests is CSV in UTF-8, a line a request: `who`, such as train-17 (row 17 of the training set),
`when`, such as 2026-02-14, and `group`, the name that the person gave. Any `GroupedDataset` will do.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from grmu import data
from grmu.course.report import check_report, write_report
from grmu.data import GroupedDataset, files, require, short_repr

__all__ = ["REQUESTS", "Requests", "check_report", "read_requests", "write_report"]

REQUESTS = files.FOLDER / "requests.csv"  # the lesson's
COLUMNS = ("who", "when", "group")
EVERYONE = ("all", "everyone", "everybody", "*")


class Requests(NamedTuple):
    """What a file of requests holds.

    valid: line, who, when (a date), group, row (of the training set); a person once, in the file's order.
    refused: line, who, when, group (as they stand there), reason: what to answer.
    notes: sentences about all of them, such as a group that asks as a whole.
    """

    valid: pd.DataFrame
    refused: pd.DataFrame
    notes: list[str]

    @property
    def rows(self) -> torch.Tensor:
        """(n,) rows of the training set that are to be forgotten, ascending."""
        return torch.tensor(sorted(self.valid.row), dtype=torch.long)


def read_requests(path: str | Path, train: GroupedDataset,
                  held_out: Sequence[str] = ("val", "test")) -> Requests:
    """Read a file of requests; a bad request is refused with its reason and stops no other.

    Args:
        train: the training set that `who` and `group` are held against.
        held_out: how ids begin of those whom the model was tested on, and never trained.

    Raises:
        FileNotFoundError: no such file.  ValueError: it is no CSV in UTF-8, or lacks a column or requests.
    """
    data.check_dataset("train", train)
    place, lines = _table(Path(path))
    valid, refused = [], []
    first: dict[int, int] = {}
    for line, cells in lines:
        filled = [cells[place[name]].strip() if place[name] < len(cells) else "" for name in COLUMNS]
        asked = {"line": line, **dict(zip(COLUMNS, filled, strict=True))}
        row, reason = _judged(filled, train, held_out)
        if len(cells) != len(place):
            reason = (f"the line has {len(cells)} fields, the first line {len(place)}: a comma is missing, "
                      "or one too many.")
        elif not reason and row in first:
            reason = f"the same person asked already, in line {first[row]}: once is enough."
        if reason:
            refused.append(asked | {"reason": reason})
        else:
            first[row] = line
            valid.append(asked | {"when": date.fromisoformat(filled[1]), "row": row})
    accepted = pd.DataFrame(valid, columns=["line", *COLUMNS, "row"])
    return Requests(accepted, pd.DataFrame(refused, columns=["line", *COLUMNS, "reason"]),
                    list(_notes(accepted, train)))


def _table(path: Path) -> tuple[dict[str, int], list[tuple[int, list[str]]]]:
    """Where each column stands, and the lines below the first with their numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path.name} in {path.parent}: name the file of requests.")
    content = path.read_bytes()
    require(content.strip(), f"{path.name} is empty: a file of requests has a line a request.")
    require(b"\0" not in content, f"{path.name} is no text (a spreadsheet?): save it as CSV in UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path.name} is not UTF-8 (line {line}): save it as CSV in UTF-8. Who guesses an "
                         "encoding may take one name for another.") from None
    try:
        reader = csv.reader(text.splitlines(keepends=True), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise ValueError(f"{path.name} is no CSV, line {reader.line_num}: {error}.") from None
    names = [name.strip() for name in lines[0][1]]
    require(len(names) > 1, f"{path.name} is not separated by commas: its first line is "
                            f"{short_repr(names[0])}, and should be {','.join(COLUMNS)}.")
    missing = [name for name in COLUMNS if names.count(name) != 1]
    require(not missing, f"{path.name} needs one column {' and one '.join(missing)}; it has "
                         f"{', '.join(names)}.")
    require(lines[1:], f"{path.name} holds no request: there is nothing below its first line.")
    return {name: i for i, name in enumerate(names)}, lines[1:]


def _judged(asked: Sequence[str], train: GroupedDataset, held_out: Sequence[str]) -> tuple[int, str]:
    """The row of the training set that a request names, and why it cannot be granted, or ""."""
    who, when, group = asked
    form = re.fullmatch(r"([a-z]+)-(-?[0-9]{1,12})", who)
    part, row = (form[1], int(form[2])) if form else ("", -1)
    if who.lower() in EVERYONE or who in train.group_names:
        return row, "a request is for oneself: nobody can ask for a whole group. Let each of them ask."
    if part in held_out and row >= 0:
        return row, (f"{who} was never in the training set: there is nothing to unlearn. Take the record out "
                     "of the data that models are tested on.")
    if part and row < 0:
        return row, f"{who} has a negative number: ids are train-0 to train-{len(train) - 1}. Ask who it is."
    if part != "train":
        return row, f"{short_repr(who)} is no id: ids are train-0 to train-{len(train) - 1}. Ask who it is."
    if row >= len(train):
        return row, f"{who} is unknown: ids are train-0 to train-{len(train) - 1}. Ask who it is."
    if (problem := _undated(when)) or group not in train.group_names:
        return row, problem or (f"there is no group {short_repr(group)}: the groups are "
                                f"{', '.join(train.group_names)}.")
    if (known := train.group_names[int(train.group[row])]) != group:
        return row, (f"the request says {group}, the data say {known}: the id or the group is wrong. "
                     "Ask: who unlearns the wrong person harms two.")
    return row, ""


def _undated(when: str) -> str:
    """Why that is no date, or ""."""
    try:
        require(re.fullmatch(r"\d{4}-\d\d-\d\d", when), "form")
        date.fromisoformat(when)
    except ValueError:
        return (f"{short_repr(when)} is no date such as 2026-02-14: without one nobody knows until when you "
                "must answer.")
    return ""


def _notes(valid: pd.DataFrame, train: GroupedDataset) -> Iterator[str]:
    if len(valid) == 0:
        yield "No request is valid: there is nothing to unlearn."
    if len(valid) == len(train):
        yield "The whole training set asks: nothing is left to train on. Take the model out of service."
        return
    for name, n in zip(train.group_names, train.group_counts().tolist(), strict=True):
        if n and (valid.group == name).sum() == n:
            yield (f"All {n} of {name} ask. The requests are valid, but REWEIGHT cannot bring back a group "
                   "that has vanished: the model will no longer know it.")
