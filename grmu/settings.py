"""Settings that know which values they may have: dataclass fields that are checked when one is made.

    @dataclass
    class MyMethod(Method):
        step: float = within(0, 10, default=0.1)
        kind: str = one_of("plain", "signed")      # the first is the default
        retains: bool = True                       # a switch is True or False
"""

from dataclasses import Field, field, fields
from typing import Any

from grmu.data import require


def within(low: float, high: float, *, default: float) -> Any:
    """A field that holds a number from `low` to `high`; a whole one where it is annotated as int."""
    return field(default=default, metadata={"range": (low, high)})


def one_of(default: str, *others: str) -> Any:
    """A field that holds one of these names."""
    return field(default=default, metadata={"allowed": (default, *others)})


class Settings:
    """Base of dataclasses with such fields.

    Raises:
        ValueError: a value that is not allowed; the message names the field, what is allowed, and the value.
    """

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]  # a subclass is a dataclass
            value = getattr(self, f.name)
            if "range" in f.metadata:
                value = _number(f, value, *f.metadata["range"])
                object.__setattr__(self, f.name, value)
            allowed = f.metadata.get("allowed", (False, True) if isinstance(f.default, bool) else (value,))
            require(value in allowed,
                    f"{f.name} must be one of {', '.join(map(str, allowed))}, but is {value!r}.")


def _number(f: Field[Any], value: Any, low: float, high: float) -> float:
    require(isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high,
            f"{f.name} must be a number from {low:g} to {high:g}, but is {value!r}.")
    whole = f.type in ("int", int)
    require(not whole or value == int(value), f"{f.name} must be a whole number, but is {value!r}.")
    return int(value) if whole else value
