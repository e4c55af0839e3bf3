"""Verdicts on a submission: load the checks of a lab, and run them where the submission cannot reach them.

The checks of LAB are the functions of notebooks/labs/marking/LAB.py that are named as graded cells are:
`test_group_counts(ask, rng)`, or `test_my_counts(ask, rng, mine)` where a student's own data are concerned
(`grmu.course.own`). `rng` is made anew for each check, from the instructor's secret, the lab and the name:
what is drawn is the same for a whole class, and unknown to it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grmu.course.asking import Ask, Refused
from grmu.course.copied import Kept
from grmu.data.files import PACKAGE

MARKING = PACKAGE.parent / "notebooks" / "labs" / "marking"
PUBLIC = "public"  # the secret of those who have none: what is drawn with it can be known
LONGEST = 1000  # characters of a verdict


@dataclass(frozen=True)
class LabChecks:
    """The checks of a lab by grade_id, in the order of their file.

    source: the file's text, for a hash: other checks, other verdicts.
    """

    lab: str
    checks: Mapping[str, Callable[..., None]]
    source: str = field(default="", repr=False)


def load(lab: str, folder: Path = MARKING) -> LabChecks:
    """The checks in `folder`/LAB.py.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = folder / f"{lab}.py"
    if not path.is_file():
        raise FileNotFoundError(f"{lab} has no checks: {path} is missing.")
    spec = importlib.util.spec_from_file_location(f"grmu_marking_{lab}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checks = {name: value for name, value in vars(module).items()
             if name.startswith("test_") and inspect.isfunction(value)}
    return LabChecks(lab, checks, path.read_text(encoding="utf-8"))


def generator(secret: str, lab: str, name: str) -> np.random.Generator:
    """The random numbers of one check."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{secret}\n{lab}\n{name}".encode()).digest()))


def verdicts(lab_checks: LabChecks, ask: Ask, secret: str = PUBLIC, mine: Any = None,
             answers: dict[str, list[str]] | None = None) -> dict[str, str]:
    """What each check says: "" for an answer that is right, else what was mistaken.

    Args:
        mine: the `grmu.course.own.Own` of the student, for checks with a third argument.
        answers: gets what these checks were answered, by name (`grmu.course.copied`).
    """
    messages = {}
    for name, check in lab_checks.checks.items():
        asking = Kept(ask)
        messages[name] = verdict(check, asking, generator(secret, lab_checks.lab, name), mine)
        if answers is not None and len(inspect.signature(check).parameters) > 2:
            answers[name] = asking.answers
    return messages


def verdict(check: Callable[..., None], ask: Ask, rng: np.random.Generator, mine: Any = None) -> str:
    """What one check says. An error in it that is no assertion comes from an answer whose form nobody
    expected: with the lab's own solution the same check ran to its end."""
    arguments: tuple[Any, ...] = (ask, rng, mine)[:len(inspect.signature(check).parameters)]
    try:
        check(*arguments)
    except Refused as error:
        message = f"Where an answer was expected, there was an error. {error}"
    except AssertionError as error:
        message = str(error) or "This is not what was asked for."
    except Exception as error:
        message = ("The answer does not have the form that was asked for: its type, its shape, or its names "
                f"({type(error).__name__}: {error}).")
    else:
        return ""
    return re.sub(r"\s*\n\s*", " ", message).strip()[:LONGEST]
