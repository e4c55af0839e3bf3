"""Equal answers to different data: where everyone has their own, they are a copy or a shared mistake.

A check with a third argument, `mine`, asks for numbers that belong to one student's data. What was answered
to its questions is kept, and compared over the class: a hint to look at two submissions, no proof.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch

from grmu.course.asking import Ask

COLUMNS = ["lab", "cell", "student", "same as", "right for", "numbers"]
SHOWN = 100  # characters of the numbers; longer ones as a hash


class Answers(NamedTuple):
    """What one student answered to the questions of one check, in their order, and whether it was right.
    After a wrong answer a check asks no more."""

    student: str
    lab: str
    cell: str
    answers: Sequence[str]
    right: bool


class Kept:
    """Asks, and keeps the numbers that were answered."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.answers = ask, list[str]()  # an answer each

    def __call__(self, code: str, /, **given: Any) -> Any:
        """As `ask`."""
        answer = self.ask(code, **given)
        text = " ".join(numbers(answer))
        self.answers.append(text if len(text) <= SHOWN else hashlib.sha256(text.encode()).hexdigest())
        return answer


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


def same_answers(answers: Iterable[Answers]) -> pd.DataFrame:
    """Pairs of students with different data and equal numbers, of which at least one is wrong: two right ones
    may be equal by chance."""
    by_cell, rows = dict[tuple[str, str], list[Answers]](), list[tuple[str, ...]]()
    for one in answers:
        by_cell.setdefault((one.lab, one.cell), []).append(one)
    for (lab, cell), answered in sorted(by_cell.items()):
        for one, other in itertools.combinations(sorted(answered), 2):
            if (common := _in_common(one, other)) and not (one.right and other.right):
                right = next((who.student for who in (one, other) if who.right), "neither")
                rows.append((lab, cell, one.student, other.student, right, common))
    return pd.DataFrame(rows, columns=COLUMNS)


def _in_common(one: Answers, other: Answers) -> str:
    """What both answered to all questions that both were asked; "" if they differ, or if no number has two
    digits: 0, 1 or True are equal by chance."""
    pairs = list(zip(one.answers, other.answers, strict=False))
    two_digits = any(sum(map(str.isdigit, word)) > 1 for text, _ in pairs for word in text.split())
    return "; ".join(text for text, _ in pairs) if two_digits and all(a == b for a, b in pairs) else ""


def sentences(table: pd.DataFrame) -> list[str]:
    """What the table says, a line for a pair of students and a lab."""
    lines = []
    for (lab, one, other), part in table.groupby(["lab", "student", "same as"]):
        right = sorted(set(part["right for"]) - {"neither"})
        whose = f"right for {' and '.join(right)}'s data" if right else "right for neither: a shared mistake?"
        lines.append(f"{lab}: {one} and {other} gave equal answers to different data, in "
                    f"{', '.join(part.cell)}; {whose}")
    return lines
