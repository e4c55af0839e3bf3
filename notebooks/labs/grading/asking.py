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
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

LARGEST = 64 * 2**20  # characters of one answer
DTYPES = "?bBhHiIlLqQefd"  # numbers and truth values; no objects
# for questions: the value of a loss, and its gradients (0 where none flows)
GRADIENTS = """
import torch
def with_gradients(loss, *inputs):
    flows = isinstance(loss, torch.Tensor) and loss.requires_grad
    found = torch.autograd.grad(loss, inputs, allow_unused=True) if flows else [None] * len(inputs)
    value = loss.item() if isinstance(loss, torch.Tensor) else float(loss)
    return [value, *(torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found))]
"""


class Ask(Protocol):
    """What a check asks with."""

    def __call__(self, code: str, /, **given: Any) -> Any:
        """The value of the last expression of `code`; the names `given` are bound first."""


class Refused(AssertionError):
    """The submission raised an error where an answer was expected, or answered with what is no plain data."""


def encode(value: Any) -> str:
    """Plain data as text: None, truth values, numbers, strings; lists, tuples and dicts of them; tensors,
    arrays, tables (as a dict of columns).

    Raises:
        TypeError: it is something else; the message names the type.  ValueError: it is too large.
    """
    text = json.dumps(_plain(value))
    if len(text) > LARGEST:
        raise ValueError(f"an answer of {len(text):,} characters: at most {LARGEST:,} are taken.")
    return text


def decode(text: str) -> Any:
    """What `encode` was given: arrays and tensors as tensors, tables as dicts of columns, tuples as lists."""
    return json.loads(text, object_hook=_restored)


def answer(namespace: Mapping[str, Any], code: str, given: str) -> str:
    """Evaluate in a copy of `namespace`; `given` and the answer are encoded, as {"value": ...} or
    {"error": ...}."""
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
    """The value in an answer.

    Raises:
        Refused: there is an error in its place.
    """
    reply = decode(text)
    if not isinstance(reply, dict) or "value" not in reply:
        raise Refused(str(reply.get("error") if isinstance(reply, dict) else "no answer")[:1000])
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
    """Raise an AssertionError unless an answer is right: with a known wrong value's message, else `message`."""
    for value, why in wrong:
        assert not same(answer, value, tolerance), why
    assert same(answer, expected, tolerance), message


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


def check_figure(ask: Ask, code: str, columns: Mapping[str, Iterable[float]], **given: Any) -> None:
    """Raise an AssertionError unless `code` gives a figure with named axes that draws every number in `columns`.

    Numbers may be drawn in points or as fractions of 100.
    """
    from grmu.course.figures import READ

    named, drawn = ask(f"{READ}\nimport matplotlib.pyplot\npicture = {code}\nmatplotlib.pyplot.close(picture)\n"
                       "[named_axes(picture), drawn(picture)]", **given)
    numbers = np.asarray(drawn)
    assert named is True, "The axes have no names, so a reader cannot know what the figure shows."
    assert len(numbers) < 5000, f"The figure draws {len(numbers):,} numbers: draw only the data that you are given."

    def shows(values: Iterable[float], scale: float) -> bool:
        return all(np.isclose(scale * value, numbers, rtol=0, atol=scale * 0.004).any() for value in values)

    for name, values in columns.items():
        assert shows(values, 1) or shows(values, 0.01), (
            f"The figure does not show all values of {name}: draw everything that is passed to the function.")


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    torch, pd = sys.modules.get("torch"), sys.modules.get("pandas")  # else the value is none of theirs
    if pd and isinstance(value, pd.Series):
        value = value.to_numpy()
    if torch and isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.char not in DTYPES:
            return [_plain(item) for item in array.tolist()]
        return {"dtype": array.dtype.str, "shape": array.shape,
                "bytes": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()}
    if pd and isinstance(value, pd.DataFrame):
        return {"names": [str(c) for c in value], "values": [_plain(value[c].to_numpy()) for c in value]}
    if isinstance(value, dict):
        return {"names": [str(k) for k in value], "values": [_plain(v) for v in value.values()]}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(v) for v in value]
    raise TypeError(f"{type(value).__name__} is no plain data: numbers, strings, lists, dicts, arrays, "
                    "tensors, tables.")


def _restored(encoded: dict[str, Any]) -> Any:
    if encoded.keys() == {"dtype", "shape", "bytes"}:
        dtype = np.dtype(encoded["dtype"])
        if dtype.char not in DTYPES:
            raise ValueError(f"an array of {dtype}: numbers only.")
        import torch

        array = np.frombuffer(base64.b64decode(encoded["bytes"]), dtype).reshape(encoded["shape"])
        return torch.from_numpy(array.copy())
    return dict(zip(encoded["names"], encoded["values"], strict=True))
