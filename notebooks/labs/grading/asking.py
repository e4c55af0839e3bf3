"""What a check asks of a submission, and what comes back: plain data, never objects.

    def test_group_counts(ask, rng):                        # a check: its name is the graded cell's
        group = torch.as_tensor(rng.integers(0, 3, 50))
        counts = ask("group_counts(group, 4)", group=group)
        assert same(counts, torch.bincount(group, minlength=4)), "a group that nobody is in counts 0."

`ask` evaluates code in a copy of the submission's names, wherever the submission runs (`in_process`, or a
kernel that `grmu.course.labs` talks to); the check itself runs where the submission cannot reach it. So
rebinding a name over there changes an answer, and never what an answer is compared with.

A kernel reads this file by itself, without the package; what only some answers need is imported when they
come.
"""

from __future__ import annotations

import ast
import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

Ask = Callable[..., Any]  # ask(code, name=value, ...): the value of the last expression of `code`
LARGEST = 64 * 2**20  # characters of one answer
ARRAY = "array in base64"
# for questions: the value of a loss, and its gradients (0 where none flows)
GRADIENTS = """
import torch
def with_gradients(loss, *inputs):
    flows = isinstance(loss, torch.Tensor) and loss.requires_grad
    found = torch.autograd.grad(loss, inputs, allow_unused=True) if flows else [None] * len(inputs)
    value = loss.item() if isinstance(loss, torch.Tensor) else float(loss)
    return [value, *(torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found))]
"""


class Refused(AssertionError):
    """The submission raised an error where an answer was expected, or answered with what is no plain data."""


def encode(value: Any) -> str:
    """Return plain data as JSON: numbers, texts, lists and dicts; tensors, arrays, and tables as dicts of columns.

    Raises:
        TypeError: The value is of another type.
        ValueError: It is too large.
    """
    text = json.dumps(value, default=_plain)
    if len(text) > LARGEST:
        raise ValueError(f"an answer may have at most {LARGEST:,} characters, got {len(text):,}.")
    return text


def decode(text: str) -> Any:
    """Return what `encode` was given: arrays as tensors, tables as dicts of columns, tuples as lists."""
    return json.loads(text, object_hook=_restored)


def answer(namespace: Mapping[str, Any], code: str, given: str) -> str:
    """Evaluate code in a copy of `namespace`; return {"value": ...} or {"error": ...}, encoded as `given` is."""
    try:
        names = dict(namespace) | decode(given)
        tree = ast.parse(code)
        last = tree.body.pop()
        if not isinstance(last, ast.Expr):
            raise SyntaxError("a question ends with an expression")
        exec(compile(tree, "<question>", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "<question>", "eval"), names)
        return encode({"value": value})
    except Exception as error:  # the submission's, whatever it is
        return encode({"error": f"{type(error).__name__}: {error}"[:1000]})


def read(text: str) -> Any:
    """Return the value in an answer.

    Raises:
        Refused: There is an error in its place, or it is not plain data.
    """
    try:
        reply = decode(text)
        error = None if "value" in reply else str(reply["error"])
    except Exception as wrong:
        error = f"the answer cannot be read: {type(wrong).__name__}"
    if error is not None:
        raise Refused(error[:1000])
    return reply["value"]


def in_process(namespace: Mapping[str, Any]) -> Ask:
    """Ask names of this process, through the same text as a kernel: for tests of checks."""
    def ask(code: str, /, **given: Any) -> Any:
        return read(answer(namespace, code, encode(given)))
    return ask


def same(answer: Any, expected: Any, tolerance: float = 1e-6) -> bool:
    """Whether two numbers, tensors or lists of numbers have one shape, and equal values within a tolerance
    (absolute, and relative to the expected). NaN equals NaN. False for what is no number."""
    try:
        ours, theirs = (np.asarray(v, dtype=float) for v in (expected, answer))
    except (TypeError, ValueError):
        return False
    return ours.shape == theirs.shape and np.allclose(theirs, ours, rtol=tolerance, atol=tolerance,
                                                      equal_nan=True)


def compare(answer: Any, expected: Any, message: str, wrong: Iterable[tuple[Any, str]] = (),
            tolerance: float = 1e-6) -> None:
    """Raise an AssertionError unless an answer is right: with the message of a known wrong value, if any."""
    if not same(answer, expected, tolerance):
        raise AssertionError(next((why for value, why in wrong if same(answer, value, tolerance)), message))


def own_code(expression: str, *names: str) -> str:
    """A question: `expression`, while those functions of the package raise an error.

    For functions that other answers need: a lab's NOT_ALLOWED has all others. The value is called `value`.
    """
    return f"""
import inspect, pkgutil, torch
def refused(*_, **__): raise AssertionError("your answer calls the package: write this function yourself")
shipped = [inspect.unwrap(pkgutil.resolve_name(name)) for name in {names!r}]
codes = [function.__code__ for function in shipped]
for function in shipped: function.__code__ = refused.__code__
try: value = {expression}
finally:
    for function, code in zip(shipped, codes): function.__code__ = code
value
"""


def keeps_random_state(ask: Ask, code: str, **given: Any) -> bool:
    """Whether running `code` leaves the global random states of Python, NumPy and PyTorch unchanged."""
    states = "[torch.get_rng_state().tolist(), str(numpy.random.get_state()), str(random.getstate())]"
    return ask(f"import random, numpy, torch\nbefore = {states}\n{code}\nbefore == {states}", **given) is True


def _plain(value: Any) -> Any:
    """Return what JSON can hold in place of an object."""
    if hasattr(value, "to_dict"):  # pandas
        return value.to_dict("list") if hasattr(value, "columns") else list(value)
    if isinstance(value, set | frozenset | range):
        return list(value)
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(value).__name__} is not plain data: numbers, texts, lists, dicts, arrays, tensors.")
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return {ARRAY: base64.b64encode(file.getvalue()).decode()}


def _restored(encoded: dict[str, Any]) -> Any:
    if encoded.keys() != {ARRAY}:
        return encoded
    import torch

    return torch.from_numpy(np.load(io.BytesIO(base64.b64decode(encoded[ARRAY])), allow_pickle=False))
