"""What the checks share: an error that Jupyter shows as one sentence, and calls of a student's function."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor

Answer = Callable[..., Any]  # a function that a student wrote


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


def number(function: Answer, *args: Any) -> float:
    """Call a student's function that should return one number."""
    value = call(function, *args)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise CheckError(f"{function.__name__} must return one number, got {value!r}.") from None


def tensor(value: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """Return a value that should be a tensor of this shape."""
    expect(isinstance(value, Tensor) and value.shape == shape, f"return {what}.")
    return value


def scalar(value: Any) -> Tensor:
    """Return a value that should be a scalar tensor with a gradient."""
    loss = tensor(value, (), "a scalar tensor, without .item()")
    expect(loss.requires_grad, "no gradient flows through your result: do not use .item() or numpy.")
    return loss


def close(value: Any, target: Any, tolerance: float = 1e-4) -> bool:
    """Return whether two numbers, arrays or tensors agree in shape and value."""
    ours, theirs = (np.asarray(v.detach() if isinstance(v, Tensor) else v, dtype=float)
                    for v in (value, target))
    return ours.shape == theirs.shape and np.allclose(ours, theirs, atol=tolerance, rtol=tolerance)


def compare(value: Any, right: Any, otherwise: str, wrong: Iterable[tuple[Any, str]] = (),
            tolerance: float = 1e-4) -> None:
    """Raise a CheckError unless a value is right; each known wrong value has its own message."""
    for mistake, why in wrong:
        expect(not close(value, mistake, tolerance), why)
    expect(close(value, right, tolerance), otherwise)
