"""Data sets with groups. `load(name)` gives train, val and test; `split_forget` decides what is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from grmu.data import groundwear
from grmu.data.core import ForgetSplit, Group, GroupedDataset, Splits, split_forget

__all__ = ["LOADERS", "ForgetSplit", "Group", "GroupedDataset", "Splits", "load", "split_forget"]

LOADERS: dict[str, Callable[[str, str | Path | None], Splits]] = dict.fromkeys(groundwear.VARIANTS, groundwear.load)


@lru_cache(maxsize=4)
def load(name: str, root: str | Path | None = None) -> Splits:
    """Load a data set by name (the names are the keys of `LOADERS`).

    Args:
        name: "groundwear", "groundwear-memorised" or "groundwear-many".
        root: folder of its files; None finds what ships with the project.

    Raises:
        ValueError: an unknown name (the message lists the known ones), or a file that fails its checksum.
        FileNotFoundError: its files are not there.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(LOADERS)}.")
    return LOADERS[name](name, root)
