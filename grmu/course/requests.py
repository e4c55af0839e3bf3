"""Read a file of deletion requests, and write and check the page about them.

    requests = read_requests(REQUESTS, train)           # valid, rejected (each with its reason)
    unlearned = grmu.unlearn(model, splits, requests.rows, ...)
    page = write_report({"group": train.group_names, "after": [98.2, 99.6, 87.4, 61.8], ...})
    check_report(page, results)                         # rejects a number that the run did not produce

The file is CSV in UTF-8, with one line per request: `who`, such as train-17 (row 17 of the training set),
`when`, such as 2026-02-14, and `group`, the group that the person named. The page's template is report.md,
beside this file.
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

REQUESTS = files.FOLDER / "requests.csv"  # the lesson's
COLUMNS = ["who", "when", "group"]
HELD_OUT = ("val", "test")  # how ids begin of people on whom the model was tested, and never trained
TEMPLATE = (Path(__file__).parent / "report.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|\.\d)")
NO_RESULT = re.compile(  # numbers that no run produces: ids, dates, references, marks of a list
    r"\b[a-z]+-\d+\b|\b\d{4}-\d\d-\d\d\b|\b\d{1,2} [A-Z][a-z]+ \d{4}\b|^\s*\d+\.\s"
    r"|\b(?:[Aa]rticles?|[Ll]essons?|[Ss]ections?|Opinion) \d[\d./()]*")
Results = Mapping[str, Any]  # by name: a number, a text, or a list of either with an entry for each group


class Requests(NamedTuple):
    """The content of a file of requests.

    Args:
        valid: line, who, when (a date), group, row (of the training set); one line per person.
        rejected: line, who, when, group, and the reason, to be sent as an answer.
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame

    @property
    def rows(self) -> torch.Tensor:
        """(n,) rows of the training set that are to be forgotten, ascending."""
        return torch.tensor(sorted(self.valid.row), dtype=torch.long)


def read_requests(path: str | Path, train: GroupedDataset) -> Requests:
    """Read a file of requests. A bad request is rejected with its reason and does not affect any other.

    Args:
        path: The file.
        train: The training set that `who` and `group` are checked against.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not CSV in UTF-8, or it lacks a column or requests.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig",
                        skip_blank_lines=False)
    require(set(COLUMNS) <= set(table), f"{Path(path).name} needs the columns {', '.join(COLUMNS)}; it has "
                                        f"{', '.join(table.columns)}.")
    table = table[COLUMNS].apply(lambda column: column.str.strip())
    table.insert(0, "line", range(2, len(table) + 2))
    table = table[table[COLUMNS].ne("").any(axis=1)]
    require(len(table), f"{Path(path).name} has no requests.")
    judged, asked_in = [], dict[int, int]()
    for asked in table.itertuples():
        row, reason = _judged(asked, train)
        if not reason and asked_in.setdefault(row, asked.line) != asked.line:
            reason = f"this person has already asked in line {asked_in[row]}."
        judged.append((row, reason))
    table["row"], table["reason"] = zip(*judged, strict=True)
    valid = table[table.reason == ""].drop(columns="reason").reset_index(drop=True)
    valid["when"] = valid.when.map(date.fromisoformat)
    return Requests(valid, table[table.reason != ""].drop(columns="row").reset_index(drop=True))


def _judged(asked: Any, train: GroupedDataset) -> tuple[int, str]:
    """Return the row of the training set that a request names, and why it is rejected, or nothing."""
    form = re.fullmatch(r"([a-z]+)-([0-9]{1,12})", asked.who)
    part, row = (form[1], int(form[2])) if form else ("", -1)
    if part in HELD_OUT:
        return -1, (f"{asked.who} was never in the training set, so there is nothing to unlearn. Remove the "
                    "record from the data on which models are tested.")
    if part != "train" or row >= len(train):
        return -1, (f"{short_repr(asked.who)} is not an id: ids are train-0 to train-{len(train) - 1}. Ask "
                    "who is meant.")
    try:
        date.fromisoformat(asked.when)
    except ValueError:
        return -1, f"{short_repr(asked.when)} is not a date such as 2026-02-14, so the deadline is unknown."
    known = train.group_names[int(train.group[row])]
    if asked.group not in train.group_names:
        names = ", ".join(train.group_names)
        return -1, f"there is no group {short_repr(asked.group)}: the groups are {names}."
    if known != asked.group:
        return -1, (f"the request names {asked.group}, but the recorded group is {known}: either the id or "
                    "the group is wrong. Ask the person, because unlearning the wrong one harms two people.")
    return row, ""


def write_report(results: Results, template: str = TEMPLATE) -> str:
    """Replace the template's {names} by the results of the run.

    Args:
        results: Numbers and texts by name; a list has one entry per group, and `group` holds the names.
        template: Lines with {name} or {name:.1f}; a line that contains [#] is repeated for every group.

    Raises:
        KeyError: The template names something that is not among the results.
    """
    page = ""
    for line in template.splitlines(keepends=True):
        times = len(results["group"]) if "[#]" in line else 1
        page += "".join(line.replace("[#]", f"[{i}]") for i in range(times)).format_map(results)
    return page


def check_report(page: str, results: Results, template: str = TEMPLATE) -> int:
    """Check that a page has every line that the run wrote, and elsewhere no other numbers.

    Ids, dates and numbers of articles or lessons are ignored, and numbers may be rounded to integers.

    Returns:
        How many numbers the page has.

    Raises:
        ValueError: A line is missing or changed, or a number is not the run's: which.
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
