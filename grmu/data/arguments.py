"""How commands read their arguments: options by their whole names, and mistakes in one sentence."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from grmu.data.checks import MOST_SEED, number


class Parser(argparse.ArgumentParser):
    """Reads a command's arguments: options by their whole names, and mistakes as a ValueError."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """All arguments are known, or refused by the parser that they were meant for."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Raise a ValueError: the message, and what may be written, unless it says that."""
        allowed = "choose from" in message or " must be " in message
        raise ValueError(message if allowed else f"{message} ({' '.join(self.format_usage().split())})")


def between(low: float, high: float = MOST_SEED, whole: bool = True) -> Callable[[str], float]:
    """What an option's `type` may be: a number from low to high."""
    def read(written: str) -> float:
        try:
            value: Any = int(written) if whole else float(written)
        except ValueError:
            value = written
        try:
            return number("it", value, low, high, whole)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return read
