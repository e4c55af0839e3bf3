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

from grmu.data.core import (
    ForgetSplit,
    Group,
    GroupedDataset,
    Splits,
    as_tensor,
    check_dataset,
    half_of,
    split_forget,
)
from grmu.data.errors import check_folder, check_ratio, known, number, require, said
from grmu.data.rows import Rows

__all__ = ["EMBEDDED", "LOADERS", "ORIGINALS", "ForgetSplit", "Group", "GroupedDataset", "Rows", "Splits",
           "as_tensor", "check_dataset", "check_folder", "check_ratio", "half_of", "known", "load", "number",
           "require", "said", "split_forget"]

Loader = Callable[[str, str | Path | None], Splits]


def _of(module: str) -> Loader:
    """The `load` of a module, which is imported when it is first called."""
    return lambda name, root: import_module(f"grmu.data.{module}").load(name, root)


EMBEDDED = ("groundwear", "groundwear-memorised", "groundwear-many",
            "negation")  # what ships with the project
ORIGINALS = ("celeba", "waterbirds", "fairface", "multinli")  # read from their original files
LOADERS: dict[str, Loader] = {
    **dict.fromkeys(EMBEDDED[:3], _of("groundwear")),
    **dict.fromkeys(("negation", "negation-pretrained"),
                    _of("negation")),  # one has a preset with a pretrained network
    **{name: _of(f"originals.{name}") for name in ORIGINALS},
}


@lru_cache(maxsize=4)
def _load(name: str, root: str | Path | None) -> Splits:
    return LOADERS[name](name, root)


def load(name: str, root: str | Path | None = None) -> Splits:
    """Load a data set by name (the names are the keys of `LOADERS`).

    Args:
        root: folder of its files; None finds what ships with the project, Groundwear and Negation. What must
            be in it, and where to get that, says `python -m grmu data`.

    Raises:
        ValueError: an unknown name (the message lists the known ones), a root that names no folder, none for
            a data set that does not ship, or files that are damaged; the message names the fix.
        FileNotFoundError: its files are not there.
    """
    known("data set", name, LOADERS)
    check_folder("root", root)
    return _load(name, root)


load.cache_clear = _load.cache_clear  # type: ignore[attr-defined]  # for who changes LOADERS
