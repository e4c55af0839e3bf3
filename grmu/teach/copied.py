"""Equal answers to different data: where everyone has their own, they are a copy or a shared mistake.

A check with a third argument, `mine`, asks for numbers that belong to one student's data. What was answered
to its questions is kept, and compared over the class: a hint to look at two submissions, no proof.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd
import torch

from grmu.teach.asking import Ask

COLUMNS = ["lab", "cell", "student", "same as", "right for", "numbers"]
SHOWN = 100  # characters of the numbers; longer ones as a hash


class Answers(NamedTuple):
    """What one student answered to the questions of one check, as `numbers` writes it, and whether the check
    took it."""

    student: str
    lab: str
    cell: str
    numbers: str
    right: bool


class Kept:
    """Asks, and keeps the numbers that were answered."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.found = ask, list[str]()

    def __call__(self, code: str, /, **given: Any) -> Any:
        """As `ask`."""
        answer = self.ask(code, **given)
        self.found += numbers(answer)
        return answer

    def text(self) -> str:
        """All numbers so far; "" if none has two digits: 0, 1 or True are equal by chance."""
        if not any(sum(map(str.isdigit, number)) > 1 for number in self.found):
            return ""
        said = " ".join(self.found)
        return said if len(said) <= SHOWN else hashlib.sha256(said.encode()).hexdigest()


def numbers(answer: Any) -> list[str]:
    """The numbers in plain data in their order, to three digits if they are no whole ones: a copy may be
    rounded."""
    if isinstance(answer, dict):
        return numbers(list(answer.values()))
    if isinstance(answer, list):
        return [number for part in answer for number in numbers(part)]
    if isinstance(answer, torch.Tensor):
        return numbers(answer.flatten().tolist())
    if isinstance(answer, float):
        return [f"{answer:.3g}"]
    return [str(answer)] if isinstance(answer, int) else []


def same_answers(found: Iterable[Answers]) -> pd.DataFrame:
    """Pairs of students with different data and equal numbers, of which at least one is wrong: two right ones
    may be equal by chance."""
    by_cell, rows = dict[tuple[str, str], list[Answers]](), list[tuple[str, ...]]()
    for one in found:
        if one.numbers:
            by_cell.setdefault((one.lab, one.cell), []).append(one)
    for (lab, cell), answered in sorted(by_cell.items()):
        for one, other in itertools.combinations(sorted(answered), 2):
            if one.numbers == other.numbers and not (one.right and other.right):
                right = next((who.student for who in (one, other) if who.right), "neither")
                rows.append((lab, cell, one.student, other.student, right, one.numbers))
    return pd.DataFrame(rows, columns=COLUMNS)


def sentences(table: pd.DataFrame) -> list[str]:
    """What the table says, a line for a pair of students and a lab."""
    said = []
    for (lab, one, other), part in table.groupby(["lab", "student", "same as"]):
        right = sorted(set(part["right for"]) - {"neither"})
        whose = f"right for {' and '.join(right)}'s data" if right else "right for neither: a shared mistake?"
        said.append(f"{lab}: {one} and {other} gave equal answers to different data, in "
                    f"{', '.join(part.cell)}; {whose}")
    return said
