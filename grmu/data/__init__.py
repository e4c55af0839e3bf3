"""data: data sets with groups.

`load(name)` gives train, val and test; `split_forget` decides what is forgotten.

Here: grouped data, forget splits, the embedded sets Groundwear and Negation; `originals`: the paper's own
data sets.
Not here: networks, and anything that computes a result. May import: nothing of grmu.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from grmu.data.checks import as_tensor, check_folder, check_ratio, known, number, require, short_repr
from grmu.data.core import ForgetSplit, Group, GroupedDataset, Samples, Splits, check_dataset, split_forget

__all__ = ["EMBEDDED", "LOADERS", "ORIGINALS", "PROTOCOLS", "ForgetSplit", "Group", "GroupedDataset",
           "Samples", "Splits", "as_tensor", "check_dataset", "check_folder", "check_ratio", "fingerprint",
           "from_dataset", "known", "load", "number", "require", "short_repr", "split_forget"]

Loader = Callable[[str, str | Path | None], Splits]
EMBEDDED = ("groundwear", "groundwear-memorised", "groundwear-many", "negation")  # ship with the project
ORIGINALS = ("celeba", "waterbirds", "fairface", "multinli")  # read from their original files
PROTOCOLS = ("ours", "released")
# The module of this wing that has `load` and `fingerprint`, or a function like `load`.
LOADERS: dict[str, str | Loader] = {
    **dict.fromkeys(EMBEDDED[:3], "groundwear"),
    **dict.fromkeys(("negation", "negation-pretrained"), "negation"),  # one has a pretrained network
    **dict.fromkeys(ORIGINALS, "originals.registry"),
}


def load(name: str, root: str | Path | None = None, protocol: str = "ours") -> Splits:
    """Load a data set by name (the names are the keys of `LOADERS`); the last few are remembered.

    Args:
        root: folder of its files; None finds what ships with the project, Groundwear and Negation. What must
            be in it, and where to get that, says `python -m grmu data`.
        protocol: "ours", or what the paper's "released" code makes of its data sets: training crops keep 0.08
            of a picture, not 0.7; CelebA's are seen whole, Waterbirds' not squashed, FairFace's without a
            margin; FairFace's validation set has a sample more; of MultiNLI's long pairs the first sentence
            keeps 63 tokens of 125, not the longer one. The embedded sets know no difference.

    Raises:
        ValueError: an unknown name or protocol (the message lists the known ones), a root that is no
            folder, none for a data set that does not ship, or damaged files; the message names the fix.
        FileNotFoundError: its files are not there.
    """
    loader = _find(name, root, protocol)
    digest = "" if callable(loader) else loader.fingerprint(name, root, protocol)
    return _load(loader, name, root, protocol, digest)


def fingerprint(name: str, root: str | Path | None = None, protocol: str = "ours") -> str:
    """Return the SHA-256 of what the data set holds, wherever its folder is; errors as of `load`."""
    loader = _find(name, root, protocol)
    if callable(loader):
        return import_module("grmu.data.own").digest_of(load(name, root))
    return loader.fingerprint(name, root, protocol)


def _find(name: str, root: object, protocol: str) -> Any:
    """Return a module with `load` and `fingerprint`, or a function of one's own; ValueError if misasked."""
    known("data set", name, LOADERS)
    known("protocol", protocol, PROTOCOLS)
    check_folder("root", root)
    loader = LOADERS[name]
    return import_module(f"grmu.data.{loader}") if isinstance(loader, str) else loader


@lru_cache(maxsize=4)
def _load(loader: Any, name: str, root: str | Path | None, protocol: str, digest: str) -> Splits:
    return loader(name, root) if callable(loader) else loader.load(name, root, protocol)


def __getattr__(name: str) -> Any:
    """`from_dataset`, for data of your own, is imported when it is first used."""
    if name == "from_dataset":
        return import_module("grmu.data.own").from_dataset
    raise AttributeError(f"module 'grmu.data' has no attribute {name!r}")
