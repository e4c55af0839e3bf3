"""Read a file of deletion requests; `grmu.course.report` writes the page about them.

    requests = read_requests(REQUESTS, train)           # valid, rejected (each with its reason), notes
    unlearned = grmu.unlearn(model, splits, requests.rows, ...)

The file is CSV in UTF-8, with one line per request: `who`, such as train-17 (row 17 of the training set),
`when`, such as 2026-02-14, and `group`, the group that the person named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from grmu import data
from grmu.course.report import check_report, write_report
from grmu.data import GroupedDataset, files, require, short_repr

__all__ = ["REQUESTS", "Requests", "check_report", "read_requests", "write_report"]

REQUESTS = files.FOLDER / "requests.csv"  # the lesson's
COLUMNS = ["who", "when", "group"]


class Requests(NamedTuple):
    """The content of a file of requests.

    Args:
        valid: line, who, when (a date), group, row (of the training set); one line per person.
        rejected: line, who, when, group, and the reason, to be sent as an answer.
        notes: Sentences about all requests, such as a group that leaves as a whole.
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame
    notes: list[str]

    @property
    def rows(self) -> torch.Tensor:
        """(n,) rows of the training set that are to be forgotten, ascending."""
        return torch.tensor(sorted(self.valid.row), dtype=torch.long)


def read_requests(path: str | Path, train: GroupedDataset,
                  held_out: Sequence[str] = ("val", "test")) -> Requests:
    """Read a file of requests. A bad request is rejected with its reason and does not affect any other.

    Args:
        path: The file.
        train: The training set that `who` and `group` are checked against.
        held_out: How ids begin of people on whom the model was tested, and never trained.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not CSV in UTF-8, or it lacks a column or requests.
    """
    data.check_dataset("train", train)
    table = _table(Path(path))
    judged = [_row(asked, train, held_out) for asked in table.itertuples()]
    table["row"], table["reason"] = zip(*judged, strict=True)
    repeated = table.index[(table.reason == "") & table[table.reason == ""].duplicated("row")]
    for i in repeated:
        first = table[(table.reason == "") & (table.row == table.row[i])].line.min()
        table.loc[i, "reason"] = f"this person has already asked in line {first}."
    valid = table[table.reason == ""].drop(columns="reason").reset_index(drop=True)
    valid["when"] = [date.fromisoformat(when) for when in valid.when]
    rejected = table[table.reason != ""].drop(columns="row").reset_index(drop=True)
    return Requests(valid, rejected, list(_notes(valid, train)))


def _table(path: Path) -> pd.DataFrame:
    """Return the requests as text, with their line numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path.name} in {path.parent}: name the file of requests.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True,
                            encoding="utf-8-sig", skip_blank_lines=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path.name} is not CSV in UTF-8 ({str(error).strip()}).") from None
    table.columns = table.columns.str.strip()
    missing = [name for name in COLUMNS if name not in table]
    require(not missing, f"{path.name} needs the columns {', '.join(COLUMNS)}; it has "
                         f"{', '.join(table.columns)}.")
    table = table[COLUMNS].apply(lambda column: column.str.strip())
    table.insert(0, "line", range(2, len(table) + 2))
    table = table[table[COLUMNS].ne("").any(axis=1)]
    require(len(table), f"{path.name} has no requests.")
    return table


def _row(asked: Any, train: GroupedDataset, held_out: Sequence[str]) -> tuple[int, str]:
    """Return the row of the training set that a request names, and why it is rejected, or nothing."""
    form = re.fullmatch(r"([a-z]+)-([0-9]{1,12})", asked.who)
    part, row = (form[1], int(form[2])) if form else ("", -1)
    ids = f"ids are train-0 to train-{len(train) - 1}. Ask who it is."
    if part in held_out:
        return -1, (f"{asked.who} was never in the training set, so there is nothing to unlearn. Remove the "
                    "record from the data on which models are tested.")
    if part != "train" or row >= len(train):
        return -1, f"{short_repr(asked.who)} is not an id: {ids}"
    try:
        date.fromisoformat(asked.when)
    except ValueError:
        return -1, f"{short_repr(asked.when)} is not a date such as 2026-02-14, so the deadline is unknown."
    if asked.group not in train.group_names:
        known = ", ".join(train.group_names)
        return -1, f"there is no group {short_repr(asked.group)}: the groups are {known}."
    known = train.group_names[int(train.group[row])]
    if known != asked.group:
        return -1, (f"the request says {asked.group}, the data say {known}: either the id or the group is "
                    "wrong. Ask, because unlearning the wrong person harms two people.")
    return row, ""


def _notes(valid: pd.DataFrame, train: GroupedDataset) -> Iterator[str]:
    if len(valid) == 0:
        yield "No request is valid, so there is nothing to unlearn."
    for name, n in zip(train.group_names, train.group_counts().tolist(), strict=True):
        if n and (valid.group == name).sum() == n:
            yield (f"All {n} members of {name} have asked. The requests are valid, but REWEIGHT cannot "
                   "restore a group without members: the model will forget it.")
