"""Checks of input. Each error is one sentence with the value, what is allowed and how to fix it.

A subclass of `Settings` declares its limits next to its types, where editors and mypy see them:

    @dataclass
    class MyMethod(Method):
        step: float = within(0, 10, default=0.1)
        kind: str = one_of("plain", "signed")      # the first is the default
        retains: bool = True

We prefer these few lines to a dependency on pydantic, because all messages have the same style and values
keep their types (True is not a number, and "3" is not an integer).
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

MOST_SEED = 2**32 - 1  # the limit of scikit-learn, the lowest of all
LONGEST = 120  # characters of a value in a message
MOST_LISTED = 12  # a longer list is left out if one name was probably meant


def require(condition: object, otherwise: str) -> None:
    """Raise a ValueError unless the condition holds.

    Args:
        condition: What must be true.
        otherwise: The message: the value, what is allowed, and how to fix it.
    """
    if not bool(condition):
        raise ValueError(otherwise)


def short_repr(value: object) -> str:
    """Return the repr of a value on one line, shortened if it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def hint(unknown: object, names: Iterable[str]) -> str:
    """Return the name that was probably meant, the allowed names, or both if there are few of them."""
    allowed = list(names)
    spelt = {name.lower(): name for name in allowed}
    near = difflib.get_close_matches(unknown.lower(), spelt, 1) if isinstance(unknown, str) else []
    listed = ", ".join(allowed)
    if not near:
        return f"choose one of {listed}."
    meant = f"did you mean {spelt[near[0]]}?"
    return meant if len(allowed) > MOST_LISTED else f"{meant} Choose one of {listed}."


def known(what: str, name: object, names: Iterable[str]) -> None:
    """Raise a ValueError with a `hint` unless `name` is one of the names."""
    names = list(names)
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"unknown {what} {short_repr(name)}: {hint(name, names)}")


def number(name: str, value: Any, low: float, high: float = MOST_SEED, whole: bool = False) -> float:
    """Check a number and return it, as an int if it must be whole.

    Args:
        name: Name of the number, for the message.
        value: The value to check; True and False are not numbers.
        low: Smallest allowed value.
        high: Largest allowed value.
        whole: Whether it must be a whole number.

    Raises:
        ValueError: The value is not a number, is not whole, or is not from `low` to `high`.
    """
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not low <= value <= high or (whole and value != int(value)):
        limits = f"from {low:.10g}" + f" to {high:.10g}" * (high < MOST_SEED or (real and value > high))
        raise ValueError(f"{name} must be a {'whole ' * whole}number {limits}, got {short_repr(value)}.")
    return int(value) if whole else value


def positive_int(text: str) -> int:
    """Parse a whole number from 1, as the `type` of an option of argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}.")
    return int(text)


def check_ratio(ratio: Any) -> float:
    """Return the share to forget, or raise a ValueError unless it is in (0, 1]."""
    require(isinstance(ratio, int | float) and not isinstance(ratio, bool) and 0 < ratio <= 1,
            f"ratio must be in (0, 1], got {short_repr(ratio)}.")
    return float(ratio)


def check_groups(groups: Any) -> str | tuple[tuple[int, int], ...]:
    """Return "default", "uniform", or pairs (y, a) of integers.

    Raises:
        ValueError: The groups are anything else.
    """
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
    """Raise a ValueError unless the value is the path of a folder or None."""
    require(folder is None or isinstance(folder, str | Path),
            f"{name} must be the name of a folder, or None, got {short_repr(folder)}.")


def check_settings(what: str, settings: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return settings as a dict from names to values.

    Args:
        what: What the settings belong to, for the message.
        settings: The settings.
        names: The allowed names.

    Raises:
        ValueError: The settings are not a mapping, or a name is unknown.
    """
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
    """Convert values to a tensor, or raise a ValueError if they are not an array of numbers."""
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{what} must be an array of numbers, got {short_repr(values)}.") from None


def whole_numbers(what: str, values: object) -> torch.Tensor:
    """Convert values to a tensor (N,), or raise a ValueError if they are not whole numbers."""
    tensor = as_tensor(what, values)
    require(tensor.ndim == 1, f"{what} must hold one number per sample, (N,), got {tuple(tensor.shape)}.")
    require((tensor == tensor.long()).all(), f"{what} must hold only whole numbers.")
    return tensor.long()


def label_names(what: str, values: torch.Tensor, declared: Sequence[str]) -> tuple[str, ...]:
    """Return the names of labels; by default "y=0", "y=1" and so on.

    Args:
        what: What the labels are, for the default names and the message.
        values: (N,) labels.
        declared: The names in index order; empty for the default.

    Raises:
        ValueError: The names are not a list of strings, or a label lies outside them.
    """
    top = int(values.max()) if len(values) else -1
    require(not isinstance(declared, str) and all(isinstance(name, str) for name in declared),
            f"the names of {what} must be a list of strings, got {short_repr(declared)}.")
    names = tuple(declared) or tuple(f"{what}={i}" for i in range(top + 1))
    low = int(values.min()) if len(values) else 0
    require(low >= 0 and top < len(names), f"{what} holds values from {low} to {top}, but the {len(names)} "
                                           f"declared names allow 0 to {len(names) - 1}.")
    return names


def within(low: float, high: float = MOST_SEED, *, default: float | None) -> Any:
    """Declare a field that holds a number from `low` to `high`, which must be whole if its type is int.

    Args:
        low: Smallest allowed value.
        high: Largest allowed value.
        default: Default of the field; if it is None, None is allowed, too.
    """
    return field(default=default, metadata={"range": (low, high)})


def one_of(default: str, *others: str) -> Any:
    """Declare a field that holds one of these names, the first of which is the default."""
    return field(default=default, metadata={"allowed": (default, *others)})


def defaults(*kinds: type) -> dict[str, Any]:
    """Return the defaults of the fields of dataclasses by name."""
    return {f.name: f.default for kind in kinds for f in fields(kind)}


class Settings:
    """Base of dataclasses whose fields are checked when an object is created.

    Raises:
        ValueError: A value is not allowed or has another type; the message names the field, what is allowed,
            and the value.
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
    """Return the fields of a dataclass that hold limited numbers, and those that hold names or booleans."""
    own = fields(kind)
    return ([f for f in own if "range" in f.metadata],
            [f for f in own if "allowed" in f.metadata or isinstance(f.default, bool)])
