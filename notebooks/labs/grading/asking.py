"""Ask a submission questions from a check, and get plain data back, never objects.

    def test_group_counts(ask, rng):                        # a check, named like the graded cell
        group = torch.as_tensor(rng.integers(0, 3, 50))
        counts = ask("group_counts(group, 4)", group=group)
        assert same(counts, torch.bincount(group, minlength=4)), "A group without samples counts 0."

`ask` evaluates code in a copy of the submission's names, wherever the submission runs (`in_process`, or in a kernel
that `sandbox.py` talks to). The check itself runs where the submission cannot reach it. So a submission that rebinds
names can change its answers, but never the values that they are compared with.

A kernel reads this file without the package, so modules that only some answers need are imported late.
"""

from __future__ import annotations

import ast
import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

Ask = Callable[..., Any]  # ask(code, name=value, ...) returns the value of the last expression of `code`
LARGEST = 64 * 2**20  # characters of one answer
ARRAY = "array in base64"
# Code for questions: it returns the value of a loss and its gradients (0 if there is none).
GRADIENTS = """
import torch
def with_gradients(loss, *inputs):
    flows = isinstance(loss, torch.Tensor) and loss.requires_grad
    found = torch.autograd.grad(loss, inputs, allow_unused=True) if flows else [None] * len(inputs)
    value = loss.item() if isinstance(loss, torch.Tensor) else float(loss)
    return [value, *(torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found))]
"""


class Refused(AssertionError):
    """The submission raised an error instead of answering, or its answer is not plain data."""


def encode(value: Any) -> str:
    """Return plain data as JSON.

    Plain data are numbers, texts, lists, dicts, tensors and arrays. Tables become dicts of columns.

    Raises:
        TypeError: The value has another type.
        ValueError: The value is too large.
    """
    text = json.dumps(value, default=_plain)
    if len(text) > LARGEST:
        raise ValueError(f"an answer may have at most {LARGEST:,} characters, got {len(text):,}.")
    return text


def decode(text: str) -> Any:
    """Return the value that was given to `encode`, with arrays as tensors, tables as dicts, tuples as lists."""
    return json.loads(text, object_hook=_restored)


def answer(namespace: Mapping[str, Any], code: str, given: str) -> str:
    """Evaluate code in a copy of `namespace`, and return {"value": ...} or {"error": ...}, encoded like `given`."""
    try:
        names = dict(namespace) | decode(given)
        tree = ast.parse(code)
        last = tree.body.pop()
        if not isinstance(last, ast.Expr):
            raise SyntaxError("a question must end with an expression")
        exec(compile(tree, "<question>", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "<question>", "eval"), names)
        return encode({"value": value})
    except Exception as error:  # the submission may raise any error
        return encode({"error": f"{type(error).__name__}: {error}"[:1000]})


def read(text: str) -> Any:
    """Return the value in an answer.

    Raises:
        Refused: The answer is an error, or it is not plain data.
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
    """Return a function that asks names of this process, encoded as for a kernel, for tests of checks."""
    def ask(code: str, /, **given: Any) -> Any:
        return read(answer(namespace, code, encode(given)))
    return ask


def same(answer: Any, expected: Any, tolerance: float = 1e-6) -> bool:
    """Return whether two numbers, tensors or lists of numbers have the same shape and nearly equal values.

    NaN equals NaN. The result is False if a value is not numeric.

    Args:
        answer: A value.
        expected: The expected value.
        tolerance: Absolute tolerance, and tolerance relative to the expected value.
    """
    try:
        ours, theirs = (np.asarray(v, dtype=float) for v in (expected, answer))
    except (TypeError, ValueError):
        return False
    return ours.shape == theirs.shape and np.allclose(theirs, ours, rtol=tolerance, atol=tolerance,
                                                      equal_nan=True)


def compare(answer: Any, expected: Any, message: str, wrong: Iterable[tuple[Any, str]] = (),
            tolerance: float = 1e-6) -> None:
    """Raise an AssertionError if an answer is wrong.

    Args:
        answer: The answer.
        expected: The correct value.
        message: The message of the error.
        wrong: Common wrong values, each with a better message.
        tolerance: As in `same`.
    """
    if not same(answer, expected, tolerance):
        raise AssertionError(next((why for value, why in wrong if same(answer, value, tolerance)), message))


def own_code(expression: str, *names: str) -> str:
    """Return a question that evaluates `expression` while some functions of the package raise an error.

    It is for functions that other answers need; a lab's NOT_ALLOWED has all others. The result is called `value`.
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
    """Return whether running `code` leaves the global random states of Python, NumPy and PyTorch unchanged."""
    states = "[torch.get_rng_state().tolist(), str(numpy.random.get_state()), str(random.getstate())]"
    return ask(f"import random, numpy, torch\nbefore = {states}\n{code}\nbefore == {states}", **given) is True


def _plain(value: Any) -> Any:
    """Return a replacement for an object that JSON cannot hold."""
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
