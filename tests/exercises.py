"""Exercises as the lessons show them: the stub, the folded solution, and the check that belongs to them."""

import re
from collections.abc import Callable

import nbformat
import numpy as np
import torch

from grmu import checks, notebooks


def cells(lesson: str) -> list:
    (path,) = notebooks.FOLDER.glob(f"{lesson}_*.ipynb")
    return nbformat.read(path, as_version=4).cells


def defined(code: str, name: str) -> Callable:
    """The function `name` that a piece of a lesson's code defines."""
    space = {"torch": torch, "np": np}
    exec(code, space)
    return space[name]


def solution(lesson: str, name: str) -> Callable:
    """The solution as the lesson shows it, in its folded block."""
    prose = "\n".join(cell.source for cell in cells(lesson) if cell.cell_type == "markdown")
    folded = re.findall(r"<details><summary>Solution</summary>(.*?)</details>", prose, re.DOTALL)
    (code,) = (c for block in folded for c in re.findall(r"```python\n(.*?)```", block, re.DOTALL) if f"def {name}(" in c)
    return defined(code, name)


def stub(lesson: str, name: str) -> Callable:
    """The unfinished function that the lesson hands to the student."""
    sources = [c.source for c in cells(lesson) if c.cell_type == "code" and f"def {name}(" in c.source]
    (source,) = (s for s in sources if "NotImplementedError" in s)
    return defined(source, name)


def check(name: str, function: Callable) -> None:
    """Run the check of that exercise."""
    getattr(checks, f"check_{name}")(function)
