"""The checks behind the exercises: each takes the student's function, prints one line if it is right, and otherwise
fails with a sentence that says what was expected. No check contains or imports a solution's code.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


class CheckError(AssertionError):
    """The answer is not right yet; the message says why."""

    def _render_traceback_(self) -> list[str]:  # what Jupyter shows: the sentence, not the way to it
        return [f"Not yet: {self}"]


def expect(condition: object, otherwise: str) -> None:
    """Raise a CheckError that says `otherwise` unless the condition holds."""
    if not bool(condition):
        raise CheckError(otherwise)


def passed(what: str) -> None:
    """Say that a check was passed."""
    print(f"\N{CHECK MARK} {what}")


def _call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a student's function; a stub gets a friendly word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)
    except NotImplementedError:
        raise CheckError(f"{function.__name__} still raises NotImplementedError: replace that line by your answer.") from None


def close(value: Any, target: Any, tolerance: float = 1e-4) -> bool:
    """Whether two numbers, arrays or tensors agree in shape and value."""
    value, target = (np.asarray(v.detach() if isinstance(v, Tensor) else v, dtype=float) for v in (value, target))
    return value.shape == target.shape and bool(np.allclose(value, target, atol=tolerance, rtol=tolerance))


# Lesson 00


def check_group_accuracy(function: Callable) -> None:
    """`function(predicted, y, group, g)` -> (accuracy, n, standard error) of group g."""
    predicted, y = torch.tensor([0, 1, 1, 0, 1, 1, 0, 0]), torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    group = torch.tensor([0, 1, 0, 0, 1, 1, 1, 0])
    answer = _call(function, predicted, y, group, 0)
    expect(isinstance(answer, tuple) and len(answer) == 3, "return three numbers: accuracy, n, standard error.")
    accuracy, n, se = (float(v) for v in answer)
    expect(n == 4, f"group 0 has 4 samples here, not {n:g}: count only those with group == g.")
    expect(close(accuracy, 0.75), f"3 of the 4 samples of group 0 are right, so the accuracy is 0.75, not {accuracy:g}. "
                                  "A mean over all samples, or a percentage, is another number.")
    expect(close(se, math.sqrt(0.75 * 0.25 / 4)), f"the standard error is sqrt(p (1 - p) / n) = 0.217 here, not {se:.3f}.")
    expect(close(_call(function, predicted, y, group, 1)[0], 0.75), "group 1 has 3 of 4 right as well: does g matter?")
    passed("accuracy, n and standard error of a group")
