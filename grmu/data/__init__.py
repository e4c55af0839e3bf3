"""Data sets with groups. `load(name)` gives train, val and test; `split_forget` decides what is forgotten.

Groundwear and Negation come with the project. CelebA, Waterbirds, FairFace and MultiNLI are read from their original files, which
`python -m grmu data` says where to get; their samples are decoded once into a memory-mapped array (`grmu.data.cache`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from grmu.data import groundwear, negation
from grmu.data.celeba import CELEBA
from grmu.data.core import ForgetSplit, Group, GroupedDataset, Splits, half_of, split_forget
from grmu.data.fairface import FAIRFACE
from grmu.data.multinli import MULTINLI
from grmu.data.original import Original
from grmu.data.waterbirds import WATERBIRDS

__all__ = ["EMBEDDED", "LOADERS", "ORIGINALS", "ForgetSplit", "Group", "GroupedDataset", "Splits", "half_of", "load",
           "split_forget"]

ORIGINALS: dict[str, Original] = {original.name: original for original in (CELEBA, WATERBIRDS, FAIRFACE, MULTINLI)}

LOADERS: dict[str, Callable[[str, str | Path | None], Splits]] = dict.fromkeys(groundwear.VARIANTS, groundwear.load)
LOADERS["negation"] = negation.load
EMBEDDED = tuple(LOADERS)  # what ships with the project
LOADERS["negation-pretrained"] = negation.load  # the same sentences; its preset has a pretrained network
LOADERS |= {name: original.load for name, original in ORIGINALS.items()}


@lru_cache(maxsize=4)
def load(name: str, root: str | Path | None = None) -> Splits:
    """Load a data set by name (the names are the keys of `LOADERS`).

    Args:
        name: "groundwear", "groundwear-memorised", "groundwear-many", "negation"; "celeba", "waterbirds", "fairface", "multinli".
        root: folder of its files; None finds what ships with the project, Groundwear and Negation.

    Raises:
        ValueError: an unknown name (the message lists the known ones), no root for a data set that does not ship, or files
            that are damaged; the message names the fix.
        FileNotFoundError: its files are not there.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(LOADERS)}.")
    return LOADERS[name](name, root)
