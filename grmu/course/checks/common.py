"""What the checks share: an error that Jupyter shows as one sentence, calls of a student's function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
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


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a student's function; a stub gets a friendly word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)
    except NotImplementedError:
        raise CheckError(f"{function.__name__} still raises NotImplementedError: "
                         "replace that line by your answer.") from None


def number(function: Callable[..., Any], *args: Any) -> float:
    """Call a student's function that is to return one number."""
    value = call(function, *args)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise CheckError(f"{function.__name__} should return one number, but returned {value!r}.") from None


def close(value: Any, target: Any, tolerance: float = 1e-4) -> bool:
    """Whether two numbers, arrays or tensors agree in shape and value."""
    value, target = (np.asarray(v.detach() if isinstance(v, Tensor) else v, dtype=float)
                     for v in (value, target))
    return value.shape == target.shape and bool(np.allclose(value, target, atol=tolerance, rtol=tolerance))
