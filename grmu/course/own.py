"""Everyone their own: a student's seed, forget group, ratio, constants and rows, drawn from name and lab.

A lab that uses it has one locked cell, `grade_id` "student", that `make labs CLASS=class.csv` rewrites:

    from grmu.course.own import own
    student = "everyone"
    mine = own(student, "lab1")

Later cells take what they need, and a check that has a third argument, `mine`, draws the same again:

    my_rows = mine.rows(train)                                # the student's own subset of the training set
    my_split = data.split_forget(train.subset(my_rows), mine.ratio, [mine.group], mine.seed)
    my_lam = mine.one_of("lam", [0.5, 0.75, 1.25, 1.5], everyone=1.0)

Equal difficulty (`tests/test_own.py`): each group of `rows` is within 3 % of the same size, and `ratio` is so
near to 0.5 that GA of RETRAIN, as the course shipped it, moves by less than 3 %. What is counted or computed,
such as shares, weights and bounds, is exact for any `group`. What a *trained* model loses depends on the
group, 102 or 2,400: a lab that trains takes its forget group from `data.load`, not from here.

The draws come from SHA-256 and from `numpy.random.RandomState`, whose numbers no version changes.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from grmu.data import GroupedDataset

EVERYONE = "everyone"
GROUPS = ((0, 0), (0, 1), (1, 0), (1, 1))
RATIOS = tuple(round(0.47 + 0.005 * i, 3) for i in range(13))  # of 0.5, today's
KEPT = (0.92, 0.97)  # the share of each group that is in a student's rows

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Own:
    """What is one student's own in one lab; `own` makes it.

    seed: below 2**31.  group: the pair (y, a) that asks to be forgotten.  ratio: its share that goes.
    threshold: between 0.4 and 0.6, for what is cut in two.
    """

    student: str
    lab: str
    seed: int
    group: tuple[int, int]
    ratio: float
    threshold: float

    def rng(self, what: str) -> np.random.RandomState:
        """Random numbers for `what`: the same in each call, others for another name of a thing."""
        return np.random.RandomState(_number(self.student, self.lab, what) % 2**32)

    def one_of(self, what: str, choices: Sequence[Choice], everyone: Choice) -> Choice:
        """The student's own choice of some equally difficult ones; `everyone` where all have the same."""
        return everyone if self.student == EVERYONE else choices[self.rng(what).randint(len(choices))]

    def between(self, what: str, low: float, high: float, everyone: float) -> float:
        """The student's own constant of three digits; `everyone` where all have the same."""
        return everyone if self.student == EVERYONE else float(f"{self.rng(what).uniform(low, high):.3g}")

    def rows(self, dataset: GroupedDataset) -> torch.Tensor:
        """(n,) the student's rows of a data set, ascending: 92 to 97 % of each group, all for everyone.

        The number is drawn for each group, so that two students' counts differ as well as their rows.
        """
        if self.student == EVERYONE:
            return torch.arange(len(dataset))
        rng, kept = self.rng("rows"), []
        for g in range(dataset.n_groups):
            members = (dataset.group.cpu() == g).nonzero().squeeze(1).numpy()
            kept.append(rng.permutation(members)[: round(rng.uniform(*KEPT) * len(members))])
        return torch.from_numpy(np.sort(np.concatenate(kept)))


def own(student: str, lab: str) -> Own:
    """What is this student's own in this lab; "everyone" has what the labs use for all: seed 0, group (1, 1),
    ratio and threshold 0.5, all rows.

    Raises:
        ValueError: no name.
    """
    student = unicodedata.normalize("NFC", student).strip()
    if not student:
        raise ValueError('student is empty: write a name, or "everyone".')
    if student == EVERYONE:
        return Own(student, lab, 0, (1, 1), 0.5, 0.5)
    group, ratio, threshold = (_number(student, lab, what) for what in ("group", "ratio", "threshold"))
    return Own(student, lab, _number(student, lab, "seed") % 2**31, GROUPS[group % len(GROUPS)],
               RATIOS[ratio % len(RATIOS)], round(0.4 + 0.2 * (threshold % 201) / 200, 3))


def _number(*parts: str) -> int:
    """A whole number of 256 bits, of these words and their order."""
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest(), "big")
