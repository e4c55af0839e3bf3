"""data: data sets with groups.

`load(name)` gives train, val and test; `split_forget` decides what is forgotten.

Here: grouped data, forget splits, the embedded sets Groundwear and Negation; `originals`: the paper's own
data sets.
Not here: networks, and anything that computes a result. May import: nothing of grmu.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from grmu.data.core import (
    ForgetSplit,
    Group,
    GroupedDataset,
    Splits,
    check_dataset,
    few,
    half_of,
    split_at,
    split_forget,
)
from grmu.data.errors import as_tensor, check_folder, check_ratio, known, number, require, said
from grmu.data.own import from_dataset
from grmu.data.rows import Rows

__all__ = ["EMBEDDED", "LOADERS", "ORIGINALS", "RECIPES", "ForgetSplit", "Group", "GroupedDataset", "Rows",
           "Splits", "as_tensor", "check_dataset", "check_folder", "check_ratio", "few", "fingerprint",
           "from_dataset", "half_of", "known", "load", "module", "number", "require", "said", "split_at",
           "split_forget"]

Loader = Callable[[str, str | Path | None], Splits]
EMBEDDED = ("groundwear", "groundwear-memorised", "groundwear-many",
            "negation")  # what ships with the project
ORIGINALS = ("celeba", "waterbirds", "fairface", "multinli")  # read from their original files
RECIPES = ("ours", "released")
# The module of this wing that has `load` and `fingerprint`, or a function like `load`.
LOADERS: dict[str, str | Loader] = {
    **dict.fromkeys(EMBEDDED[:3], "groundwear"),
    **dict.fromkeys(("negation", "negation-pretrained"), "negation"),  # one has a pretrained network
    **{name: f"originals.{name}" for name in ORIGINALS},
}


def load(name: str, root: str | Path | None = None, recipe: str = "ours") -> Splits:
    """Load a data set by name (the names are the keys of `LOADERS`); the last few are remembered.

    Args:
        root: folder of its files; None finds what ships with the project, Groundwear and Negation. What must
            be in it, and where to get that, says `python -m grmu data`.
        recipe: "ours", or what the paper's "released" code makes of its data sets: training crops keep 0.08
            of a picture, not 0.7; CelebA's are seen whole, Waterbirds' not squashed, FairFace's without a
            margin; FairFace's validation set has a sample more; of MultiNLI's long pairs the first sentence
            keeps 63 tokens of 125, not the longer one. The embedded sets know no difference.

    Raises:
        ValueError: an unknown name or recipe (the message lists the known ones), a root that names no folder,
            none for a data set that does not ship, or files that are damaged; the message names the fix.
        FileNotFoundError: its files are not there.
    """
    check_folder("root", root)
    if place := module(name):
        given = (root, *_recipe(name, recipe))
        return _load(import_module(place).load, name, given, fingerprint(name, root, recipe))
    return _load(LOADERS[name], name, (root,), "")


def fingerprint(name: str, root: str | Path | None = None, recipe: str = "ours") -> str:
    """SHA-256 of what the data set holds, wherever its folder is; errors as of `load`."""
    place = module(name)
    if place is None:
        return _digest(load(name, root))
    return import_module(place).fingerprint(name, root, *_recipe(name, recipe))


def _recipe(name: str, recipe: str) -> tuple[str, ...]:
    """What a loader is given besides the root."""
    known("recipe", recipe, RECIPES)
    return (recipe,) if name in ORIGINALS else ()


def module(name: str) -> str | None:
    """The module that loads a data set; None where a function of one's own does."""
    known("data set", name, LOADERS)
    loader = LOADERS[name]
    return f"grmu.data.{loader}" if isinstance(loader, str) else None


@lru_cache(maxsize=4)
def _load(loader: Loader, name: str, given: tuple[Any, ...], found: str) -> Splits:
    return loader(name, *given)


@lru_cache(maxsize=4)
def _digest(splits: Splits) -> str:
    found = hashlib.sha256(repr(splits.forget_group).encode())
    for part in splits[:3]:
        found.update(repr((part.class_names, part.attribute_names, len(part))).encode())
        for values in (*part.x.split(4096), part.y, part.a):
            found.update(repr((values.shape, values.dtype)).encode())
            found.update(values.contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()
