"""Settings that know which values they may have: dataclass fields that are checked when one is made.

    @dataclass
    class MyMethod(Method):
        step: float = within(0, 10, default=0.1)
        kind: str = one_of("plain", "signed")      # the first is the default
        retains: bool = True                       # a switch is True or False

Any other value is refused with a sentence that says what is allowed.
"""

from dataclasses import Field, field, fields
from functools import cache
from typing import Any

from grmu.data.errors import MOST_SEED, number, said


def within(low: float, high: float = MOST_SEED, *, default: float | None) -> Any:
    """A field that holds a number from `low` to `high`; a whole one where it is annotated as int.

    If the default is None, None is allowed, too.
    """
    return field(default=default, metadata={"range": (low, high)})


def one_of(default: str, *others: str) -> Any:
    """A field that holds one of these names."""
    return field(default=default, metadata={"allowed": (default, *others)})


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
                                 f"but is {said(value)}.")


@cache
def _checked(kind: type) -> tuple[list[Field[Any]], list[Field[Any]]]:
    """The fields of a dataclass that hold numbers within limits, and those that hold names or switches."""
    own = fields(kind)
    return ([f for f in own if "range" in f.metadata],
            [f for f in own if "allowed" in f.metadata or isinstance(f.default, bool)])
