"""Checks of input. Every error is one sentence that names the value, what is allowed, and the fix.

A dataclass under `Settings` declares its limits beside its types, where an editor and mypy see them:

    @dataclass
    class MyMethod(Method):
        step: float = within(0, 10, default=0.1)
        kind: str = one_of("plain", "signed")      # the first is the default
        retains: bool = True

This is 25 lines instead of a dependency on pydantic: the messages stay in one style, and values keep their
types (`True` is no number, "3" is no integer).
"""

import argparse
import difflib
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch

MOST_SEED = 2**32 - 1  # what scikit-learn takes; all others take more
LONGEST = 120  # characters of a value in a sentence
MOST_LISTED = 12  # names beside the one that was probably meant


def require(condition: object, otherwise: str) -> None:
    """Raise a ValueError unless the condition holds; `otherwise` says the value, what is allowed, the fix."""
    if not bool(condition):
        raise ValueError(otherwise)


def short_repr(value: object) -> str:
    """A value as a sentence has it: on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def hint(unknown: object, names: Iterable[str]) -> str:
    """Return the name that was probably meant, the allowed names, or both if these are few."""
    allowed = list(names)
    spelt = {name.lower(): name for name in allowed}
    near = difflib.get_close_matches(unknown.lower(), spelt, 1) if isinstance(unknown, str) else []
    listed = ", ".join(allowed)
    if not near:
        return f"choose one of {listed}."
    meant = f"did you mean {spelt[near[0]]}?"
    return meant if len(allowed) > MOST_LISTED else f"{meant} Choose one of {listed}."


def known(what: str, name: object, names: Iterable[str]) -> None:
    """Raise a ValueError, with a `hint`, unless `name` is one of the names."""
    names = list(names)
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"unknown {what} {short_repr(name)}: {hint(name, names)}")


def number(name: str, value: Any, low: float, high: float = MOST_SEED, whole: bool = False) -> float:
    """The number, as an int if it should be whole.

    Raises:
        ValueError: no number, one that is not whole, or not from `low` to `high`. True is no number.
    """
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not low <= value <= high or (whole and value != int(value)):
        limits = f"from {low:.10g}" + f" to {high:.10g}" * (high < MOST_SEED or (real and value > high))
        raise ValueError(f"{name} must be a {'whole ' * whole}number {limits}, got {short_repr(value)}.")
    return int(value) if whole else value


def positive_int(text: str) -> int:
    """Return the whole number from 1 that a command's option holds: its `type` for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1, got {text!r}.")
    return int(text)


def check_ratio(ratio: Any) -> float:
    """Return a share that can be forgotten; a ValueError unless it is in (0, 1]."""
    require(isinstance(ratio, int | float) and not isinstance(ratio, bool) and 0 < ratio <= 1,
            f"ratio must be in (0, 1], got {short_repr(ratio)}.")
    return float(ratio)


def check_groups(groups: Any) -> str | tuple[tuple[int, int], ...]:
    """Return "default", "uniform", or pairs (y, a) as tuples of integers; a ValueError if it is neither."""
    if groups in ("default", "uniform"):
        return str(groups)
    try:
        pairs = tuple((operator.index(y), operator.index(a)) for y, a in groups)
    except (TypeError, ValueError):
        pairs = ()
    require(pairs and min(map(min, pairs)) >= 0, "groups must be 'default', 'uniform' or pairs (y, a) such "
            f"as [(1, 1)], got {short_repr(groups)}.")
    return pairs


def check_folder(name: str, folder: object) -> None:
    """Raise a ValueError unless it is what names a folder, or None."""
    require(folder is None or isinstance(folder, str | Path),
            f"{name} must be the name of a folder, or None, got {short_repr(folder)}.")


def check_settings(what: str, settings: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return settings by name as a dict; a ValueError unless they map some of these names to values."""
    require(isinstance(settings, Mapping),
            f"{what} must map setting names to values, got {short_repr(settings)}.")
    for name in settings:
        known(f"setting in {what}", name, names)
    return dict(settings)


def check_device(device: object) -> None:
    """Raise a ValueError unless this machine has the device."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    require(device == "cpu" or device in gpus or (device == "cuda" and gpus),
            f"device must be 'cpu' or 'cuda', got {short_repr(device)}; PyTorch sees "
            f"{len(gpus) or 'no'} GPU here, and 'cuda' needs one and a CUDA build of torch.")


def as_tensor(what: str, values: object) -> torch.Tensor:
    """The values as a tensor; ValueError if they are none."""
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{what} must be an array of numbers, got {short_repr(values)}.") from None


def whole_numbers(what: str, values: object) -> torch.Tensor:
    """One whole number a sample, (N,), as a tensor; ValueError if they are none."""
    tensor = as_tensor(what, values)
    require(tensor.ndim == 1, f"{what} needs one number a sample, but has the shape {tuple(tensor.shape)}.")
    require((tensor == tensor.long()).all(), f"{what} holds values that are not whole numbers.")
    return tensor.long()


def label_names(what: str, values: torch.Tensor, given: Sequence[str]) -> tuple[str, ...]:
    """The names of labels (N,), "y=0", "y=1", ... where none are given; ValueError unless they fit."""
    top = int(values.max()) if len(values) else -1
    require(not isinstance(given, str) and all(isinstance(name, str) for name in given),
            f"the names of {what} must be a list of texts, got {short_repr(given)}.")
    names = tuple(given) or tuple(f"{what}={i}" for i in range(top + 1))
    low = int(values.min()) if len(values) else 0
    require(low >= 0 and top < len(names), f"{what} holds values from {low} to {top}, but the {len(names)} "
                                           f"declared names allow 0 to {len(names) - 1}.")
    return names


def within(low: float, high: float = MOST_SEED, *, default: float | None) -> Any:
    """A field that holds a number from `low` to `high`; a whole one where it is annotated as int.

    If the default is None, None is allowed, too.
    """
    return field(default=default, metadata={"range": (low, high)})


def one_of(default: str, *others: str) -> Any:
    """A field that holds one of these names."""
    return field(default=default, metadata={"allowed": (default, *others)})


def defaults(*kinds: type) -> dict[str, Any]:
    """Return the fields of dataclasses by name, with their defaults."""
    return {f.name: f.default for kind in kinds for f in fields(kind)}


class Settings:
    """Base of dataclasses with such fields.

    Raises:
        ValueError: a value that is not allowed, or of another type; the message names the field, what is
            allowed, and the value.
    """

    def __post_init__(self) -> None:
        numbers, names = _checked(type(self))  # type: ignore[arg-type]  # a class is hashable
        for f in numbers:
            if not (value := getattr(self, f.name)) is None is f.default:
                (low, high), whole = f.metadata["range"], f.type in ("int", int, int | None)
                object.__setattr__(self, f.name, number(f.name, value, low, high, whole))
        for f in names:
            value, allowed = getattr(self, f.name), f.metadata.get("allowed", (False, True))
            if not (isinstance(value, type(f.default)) and value in allowed):
                raise ValueError(f"{f.name} must be one of {', '.join(map(str, allowed))}, "
                                 f"got {short_repr(value)}.")


@cache
def _checked(kind: type) -> tuple[list[Field[Any]], list[Field[Any]]]:
    """The fields of a dataclass that hold numbers within limits, and those that hold names or switches."""
    own = fields(kind)
    return ([f for f in own if "range" in f.metadata],
            [f for f in own if "allowed" in f.metadata or isinstance(f.default, bool)])
