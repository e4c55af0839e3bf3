"""python -m grmu store: which runs are kept, how big they are, and which of them today's code can still name.

--prune removes what it cannot: runs of older code or settings, damaged and half-written ones. Runs whose data
are not there, or whose method was registered in a notebook, cannot be judged here and stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import Timeout

from grmu import data, discover, methods
from grmu.data.arguments import Parser
from grmu.runs import Experiment
from grmu.runs.store import Store, StoreError

KINDS = ("models", "results", "checkpoints")
KEPT, STALE, UNKNOWN, DAMAGED = "can be named", "of older code", "cannot be judged here", "damaged or half"


class Kept(NamedTuple):
    """A run in the store: its folder or file, what it is, and what is to be said of it."""

    kind: str
    key: str
    path: Path
    what: str
    state: str

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(p.stat().st_size for p in (self.path, *self.path.rglob("*")) if p.is_file())


def main(argv: list[str]) -> int:
    """List, and remove what nothing can name; returns the exit code."""
    parser = Parser(prog="python -m grmu store", description=__doc__)
    parser.add_argument("--store", type=Path, help="the folder; without it, that of $GRMU_STORE, else runs/")
    parser.add_argument("--prune", action="store_true", help="remove what today's code cannot name")
    options = parser.parse_args(argv)
    store = Store(options.store)
    found = list(contents(store))
    sizes = pd.DataFrame([(k.kind, k.state, k.bytes / 1e6) for k in found], columns=["kind", "state", "MB"])
    print(f"{store.root}: {len(found)} entries, {sizes.MB.sum():.1f} MB")
    if found:
        print(sizes.groupby(["kind", "state"], sort=False).MB.agg(["size", "sum"]).round(1)
              .rename(columns={"size": "number", "sum": "MB"}).reset_index().to_string(index=False))
    prune(store, [kept for kept in found if kept.state in (STALE, DAMAGED)], options.prune)
    return 0


def prune(store: Store, rest: list[Kept], really: bool) -> None:
    """Say what is to be removed, and remove it if so asked."""
    if not rest:
        print("There is nothing to remove.")
        return
    print("Removing:" if really else "`python -m grmu store --prune` would remove:")
    for (state, kind, what), n in pd.Series([(k.state, k.kind, k.what) for k in rest]).value_counts().items():
        print(f"{n:6}  {kind}: {what} ({state})")
    if really:
        removed = [kept for kept in rest if remove(store, kept)]
        busy = "; processes are at work on the others" * (len(removed) < len(rest))
        print(f"removed {len(removed)} of {len(rest)}{busy}")


def contents(store: Store) -> Iterator[Kept]:
    """Everything that is kept, finished or not."""
    for kind in KINDS:
        for path in sorted((store.root / kind).glob("*")):
            yield Kept(kind, path.stem, path, *judge(store, kind, path))


def judge(store: Store, kind: str, path: Path) -> tuple[str, str]:
    """Which run it is, and whether today's code, with the data that are there, gives it this name."""
    try:
        record = store.checkpoint(path.stem).load() if kind == "checkpoints" else store.read(kind, path.name)
    except StoreError:
        record = None
    if record is None or "experiment" not in record:
        return "no whole file", DAMAGED
    asked = dict(record["experiment"])
    what = f"{asked['dataset']}, {asked['method']}"
    grouping = asked.get("grouping", "true")
    if not (asked["dataset"] in data.LOADERS and asked["method"] in methods.registry
            and grouping in ("true", *discover.GROUPINGS)):
        return what, UNKNOWN
    try:
        experiment = Experiment(**{k: v for k, v in asked.items() if k != "settings"},
                                overrides=asked["settings"], root=record["root"])
    except (TypeError, ValueError):  # fields or settings that are no more
        return what, STALE
    try:
        name = experiment.key if kind == "results" else experiment.training_key
    except (ValueError, OSError):  # its data or weights are not there
        return what, UNKNOWN
    return what, KEPT if name == path.stem else STALE


def remove(store: Store, kept: Kept) -> bool:
    """Remove it, unless a process is at work on it."""
    try:
        with store.locked(kept.key, timeout=0), store.explained():
            shutil.rmtree(kept.path) if kept.path.is_dir() else kept.path.unlink()
    except Timeout:
        return False
    return True
