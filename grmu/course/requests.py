"""Read a file of deletion requests, and write and check the page about them.

    requests = read_requests(REQUESTS, train)           # valid, rejected (each with its reason)
    unlearned = grmu.unlearn(model, splits, requests.rows, ...)
    page = write_report({"group": train.group_names, "after": [98.2, 99.6, 87.4, 61.8], ...})
    check_report(page, results)                         # rejects a number that the run did not produce

The file is CSV in UTF-8 and has one line per request with three columns: `who`, such as train-17 (row 17 of
the training set), `when`, such as 2026-02-14, and `group`, the group that the person named. The template of
the page is report.md in this folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from grmu.data import GroupedDataset, files, require, short_repr

REQUESTS = files.FOLDER / "requests.csv"  # the file that lesson 11 uses
COLUMNS = ["who", "when", "group"]
HELD_OUT = ("val", "test")  # prefixes of the ids of people who were never in the training set
TEMPLATE = (Path(__file__).parent / "report.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|\.\d)")
NO_RESULT = re.compile(  # numbers that no run produces: ids, dates, references, list numbers
    r"\b[a-z]+-\d+\b|\b\d{4}-\d\d-\d\d\b|\b\d{1,2} [A-Z][a-z]+ \d{4}\b|^\s*\d+\.\s"
    r"|\b(?:[Aa]rticles?|[Ll]essons?|[Ss]ections?|Opinion) \d[\d./()]*")
Results = Mapping[str, Any]  # a number, a text, or a list of either with one entry per group, by name


class Requests(NamedTuple):
    """The valid and the rejected requests of a file.

    Attributes:
        valid: One row per person, with the columns line, who, when (a date), group and row (of `train`).
        rejected: One row per request, with the columns line, who, when, group and reason (for the reply).
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame

    @property
    def rows(self) -> torch.Tensor:
        """The (n,) row numbers of the training set that must be forgotten, in ascending order."""
        return torch.tensor(sorted(self.valid.row), dtype=torch.long)


def read_requests(path: str | Path, train: GroupedDataset) -> Requests:
    """Read a file of requests; a bad request is rejected with a reason and does not affect the others.

    Args:
        path: The path of the file.
        train: The training set against which `who` and `group` are checked.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not CSV in UTF-8, lacks a column, or has no requests.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig",
                        skip_blank_lines=False)
    require(set(COLUMNS) <= set(table), f"{Path(path).name} needs the columns {', '.join(COLUMNS)}; it has "
                                        f"{', '.join(table.columns)}.")
    table = table[COLUMNS].apply(lambda column: column.str.strip())
    table.insert(0, "line", range(2, len(table) + 2))
    table = table[table[COLUMNS].ne("").any(axis=1)]
    require(len(table), f"{Path(path).name} has no requests.")
    judged, first_line = [], dict[int, int]()
    for request in table.itertuples():
        row, reason = _judged(request, train)
        if not reason and first_line.setdefault(row, request.line) != request.line:
            reason = f"this person has already asked in line {first_line[row]}."
        judged.append((row, reason))
    table["row"], table["reason"] = zip(*judged, strict=True)
    valid = table[table.reason == ""].drop(columns="reason").reset_index(drop=True)
    valid["when"] = valid.when.map(date.fromisoformat)
    return Requests(valid, table[table.reason != ""].drop(columns="row").reset_index(drop=True))


def _judged(request: Any, train: GroupedDataset) -> tuple[int, str]:
    """Return the row that a request names in the training set and the reason for rejecting it, or ""."""
    form = re.fullmatch(r"([a-z]+)-([0-9]{1,12})", request.who)
    part, row = (form[1], int(form[2])) if form else ("", -1)
    if part in HELD_OUT:
        return -1, (f"{request.who} was never in the training set, so there is nothing to unlearn. Remove "
                    "the record from the data on which models are tested.")
    if part != "train" or row >= len(train):
        return -1, (f"{short_repr(request.who)} is not an id: ids are train-0 to train-{len(train) - 1}. Ask "
                    "who is meant.")
    try:
        date.fromisoformat(request.when)
    except ValueError:
        return -1, f"{short_repr(request.when)} is not a date such as 2026-02-14, so the deadline is unknown."
    known = train.group_names[int(train.group[row])]
    if request.group not in train.group_names:
        names = ", ".join(train.group_names)
        return -1, f"there is no group {short_repr(request.group)}: the groups are {names}."
    if known != request.group:
        return -1, (f"the request names {request.group}, but the recorded group is {known}: either the id or "
                    "the group is wrong. Ask the person, because unlearning the wrong one harms two people.")
    return row, ""


def write_report(results: Results, template: str = TEMPLATE) -> str:
    """Replace each {name} in the template with the result of that name.

    Args:
        results: Numbers and texts by name. A list has one entry per group, and `group` is the list of names.
        template: Lines with {name} or {name:.1f}; a line that contains [#] is repeated for every group.

    Raises:
        KeyError: The results lack a name that the template contains.
    """
    page = ""
    for line in template.splitlines(keepends=True):
        times = len(results["group"]) if "[#]" in line else 1
        page += "".join(line.replace("[#]", f"[{i}]") for i in range(times)).format_map(results)
    return page


def check_report(page: str, results: Results, template: str = TEMPLATE) -> int:
    """Check that a page has all lines of the written report and no numbers from elsewhere.

    Ids, dates and the numbers of articles or lessons are ignored, and numbers may be rounded to integers.

    Args:
        page: The text of the page.
        results: The results that were passed to `write_report`.
        template: The template that was passed to `write_report`.

    Returns:
        The number of numbers on the page.

    Raises:
        ValueError: A line is missing or was changed, or a number is not one of the results. The message lists
            every such line.
    """
    lines, written = page.splitlines(), write_report(results, template).splitlines()
    known = {number for line in written for number in _numbers(line)}
    known |= {f"{float(number.replace(',', '')):.0f}" for number in known}
    problems = [f"The page lacks the line {line!r}." for line in written if line not in lines]
    for at, line in enumerate(lines, 1):
        strange = [number for number in _numbers(line) if line not in written and number not in known]
        problems += [f"Line {at}: {number} is not one of the run's numbers." for number in strange]
    require(not problems, "\n".join(problems))
    return sum(len(_numbers(line)) for line in lines)


def _numbers(line: str) -> list[str]:
    return NUMBER.findall(NO_RESULT.sub(" ", line))
