"""data: data sets with groups.

`load(name)` returns train, val and test. `split_forget` divides a training set into a retain set and a forget
set.

Here: grouped data, forget splits, and the embedded data sets Groundwear and Negation. The subpackage
`originals` reads the paper's data sets.

Not here: networks, and anything that computes a result.

May import: nothing of grmu.
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
# A module of this subpackage with `load` and `fingerprint`, or a function with the signature of Loader.
LOADERS: dict[str, str | Loader] = {
    **dict.fromkeys(EMBEDDED[:3], "groundwear"),
    **dict.fromkeys(("negation", "negation-pretrained"), "negation"),  # same data, other network
    **dict.fromkeys(ORIGINALS, "originals.registry"),
}


def load(name: str, root: str | Path | None = None, protocol: str = "ours") -> Splits:
    """Load a data set by name; the names are the keys of `LOADERS`.

    The last few data sets are kept in memory. The protocol "released" follows the paper's released code,
    which differs from ours in the following points. The embedded data sets are the same in both.

    - Random crops of training pictures keep at least 0.08 of the area instead of 0.7.
    - The network sees whole pictures of CelebA, pictures of Waterbirds that are cropped instead of squashed,
      and pictures of FairFace without their margin.
    - The validation set of FairFace has one more sample.
    - If both sentences of a MultiNLI pair are long, the first one always keeps 63 of the 125 tokens; in our
      protocol, the longer one does.

    Args:
        name: Name of the data set.
        root: Folder of its files; None for a data set that comes with the project, such as Groundwear.
            `python -m grmu data` explains what the folder must hold and where to get it.
        protocol: "ours" or "released".

    Raises:
        ValueError: The name or the protocol is unknown, root is not a folder or is missing, or files are
            damaged; the message says how to fix it.
        FileNotFoundError: A file is missing.
    """
    loader = _find(name, root, protocol)
    digest = "" if callable(loader) else loader.fingerprint(name, root, protocol)
    return _load(loader, name, root, protocol, digest)


def fingerprint(name: str, root: str | Path | None = None, protocol: str = "ours") -> str:
    """Return the SHA-256 of the content of a data set, wherever its folder is.

    It raises the same errors as `load`.
    """
    loader = _find(name, root, protocol)
    if callable(loader):
        return import_module("grmu.data.own").digest_of(load(name, root))
    return loader.fingerprint(name, root, protocol)


def _find(name: str, root: object, protocol: str) -> Any:
    """Return the module or function that loads a data set, after checking the arguments."""
    known("data set", name, LOADERS)
    known("protocol", protocol, PROTOCOLS)
    check_folder("root", root)
    loader = LOADERS[name]
    return import_module(f"grmu.data.{loader}") if isinstance(loader, str) else loader


@lru_cache(maxsize=4)
def _load(loader: Any, name: str, root: str | Path | None, protocol: str, digest: str) -> Splits:
    return loader(name, root) if callable(loader) else loader.load(name, root, protocol)


def __getattr__(name: str) -> Any:
    """Import `from_dataset` on first use, because it is needed only for your own data."""
    if name == "from_dataset":
        return import_module("grmu.data.own").from_dataset
    raise AttributeError(f"module 'grmu.data' has no attribute {name!r}")
