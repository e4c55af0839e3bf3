"""What the checks share: an error that Jupyter shows as one sentence, and calls of a student's function."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor

Answer = Callable[..., Any]  # a function that a student wrote
Wrong = Iterable[tuple[Any, str]]  # known wrong values, and what is wrong with each


class CheckError(AssertionError):
    """The answer is not right yet; the message says why."""

    def _render_traceback_(self) -> list[str]:  # what Jupyter shows in place of a traceback
        return [f"Not yet: {self}"]


def expect(condition: object, otherwise: str) -> None:
    """Raise a CheckError with the message `otherwise` unless the condition holds."""
    if not condition:
        raise CheckError(otherwise)


def passed(what: str) -> None:
    """Print that a check was passed."""
    print(f"\N{CHECK MARK} {what}")


def call(function: Answer, *args: Any) -> Any:
    """Call a student's function without its warnings.

    Raises:
        CheckError: It is still the stub.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args)
    except NotImplementedError:
        message = f"{function.__name__} still raises NotImplementedError: replace that line with your answer."
        raise CheckError(message) from None


def or_ours(student: Answer, ours: Answer) -> Answer:
    """Return the student's function, or ours as long as the student's is still the stub; say which."""
    unfinished = "NotImplementedError" in student.__code__.co_names
    print(f"`{student.__name__}` is not finished yet, so the lesson goes on with the course's version."
          if unfinished else f"The lesson goes on with your `{student.__name__}`.")
    return ours if unfinished else student


def scalar(value: Any) -> Tensor:
    """Return a value that should be a scalar tensor with a gradient."""
    expect(isinstance(value, Tensor) and value.shape == (), "return a scalar tensor, without .item().")
    expect(value.requires_grad, "no gradient flows through your result: do not use .item() or numpy.")
    return value


def array(value: Any) -> np.ndarray:
    """Return numbers, an array or a tensor as an array of floats."""
    return np.asarray(value.detach() if isinstance(value, Tensor) else value, dtype=float)


def close(value: Any, target: Any, tolerance: float = 1e-4) -> bool:
    """Return whether two numbers, arrays or tensors agree in shape and value."""
    ours, theirs = array(value), array(target)
    return ours.shape == theirs.shape and np.allclose(ours, theirs, atol=tolerance, rtol=tolerance)


def compare(value: Any, right: Any, why: str, wrong: Wrong = (), tolerance: float = 1e-4) -> None:
    """Raise a CheckError unless a value is right; each known wrong value has its own message."""
    for mistake, because in wrong:
        expect(not close(value, mistake, tolerance), because)
    expect(close(value, right, tolerance), f"{why} Expected {array(right).round(4).tolist()}, "
           f"got {array(value).round(4).tolist()}.")


def returns(function: Answer, args: Iterable[Any], right: Any, why: str, wrong: Wrong = (),
            tolerance: float = 1e-4) -> None:
    """Check what a student's function returns, as `compare` does; where a tensor is right, it must be one."""
    value = call(function, *(arg.clone() if isinstance(arg, Tensor) else arg for arg in args))
    if isinstance(right, Tensor):
        expect(isinstance(value, Tensor) and value.shape == right.shape,
               f"return a tensor of shape {tuple(right.shape)}.")
    compare(value, right, why, wrong, tolerance)
