"""Call students' functions, compare their results, and report mistakes in one sentence."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor

Answer = Callable[..., Any]  # a function that a student wrote
Wrong = Iterable[tuple[Any, str]]  # known wrong values, and the message for each


class CheckError(AssertionError):
    """Raised when an answer is not right yet; the message explains why."""

    def _render_traceback_(self) -> list[str]:  # Jupyter shows this instead of a traceback
        return [f"Not yet: {self}"]


def expect(condition: object, otherwise: str) -> None:
    """Raise a CheckError with the message `otherwise` if the condition is false."""
    if not condition:
        raise CheckError(otherwise)


def passed(what: str) -> None:
    """Print that a check passed."""
    print(f"\N{CHECK MARK} {what}")


def call(function: Answer, *args: Any) -> Any:
    """Call a student's function and suppress its warnings.

    Raises:
        CheckError: The function still raises NotImplementedError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args)
    except NotImplementedError:
        message = f"{function.__name__} still raises NotImplementedError: replace that line with your answer."
        raise CheckError(message) from None


def or_ours(student: Answer, ours: Answer) -> Answer:
    """Return the student's function, or ours if the student's is unfinished, and print which."""
    unfinished = "NotImplementedError" in student.__code__.co_names
    print(f"`{student.__name__}` is not finished yet, so the lesson goes on with the course's version."
          if unfinished else f"The lesson goes on with your `{student.__name__}`.")
    return ours if unfinished else student


def scalar(value: Any) -> Tensor:
    """Check that a value is a scalar tensor with a gradient, and return it."""
    expect(isinstance(value, Tensor) and value.shape == (), "return a scalar tensor, without .item().")
    expect(value.requires_grad, "no gradient flows through your result: do not use .item() or numpy.")
    return value


def array(value: Any) -> np.ndarray:
    """Convert numbers, an array or a tensor to an array of floats."""
    return np.asarray(value.detach() if isinstance(value, Tensor) else value, dtype=float)


def close(value: Any, target: Any, tolerance: float = 1e-4) -> bool:
    """Return whether two numbers, arrays or tensors agree in shape and value."""
    ours, theirs = array(value), array(target)
    return ours.shape == theirs.shape and np.allclose(ours, theirs, atol=tolerance, rtol=tolerance)


def compare(value: Any, right: Any, why: str, wrong: Wrong = (), tolerance: float = 1e-4) -> None:
    """Raise a CheckError if a value is wrong, with its own message for each known mistake."""
    for mistake, because in wrong:
        expect(not close(value, mistake, tolerance), because)
    expect(close(value, right, tolerance), f"{why} Expected {array(right).round(4).tolist()}, "
           f"got {array(value).round(4).tolist()}.")


def returns(function: Answer, args: Iterable[Any], right: Any, why: str, wrong: Wrong = (),
            tolerance: float = 1e-4) -> None:
    """Check the return value of a student's function as `compare` does, and its type if it is a tensor."""
    value = call(function, *(arg.clone() if isinstance(arg, Tensor) else arg for arg in args))
    if isinstance(right, Tensor):
        expect(isinstance(value, Tensor) and value.shape == right.shape,
               f"return a tensor of shape {tuple(right.shape)}.")
    compare(value, right, why, wrong, tolerance)
