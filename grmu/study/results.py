"""Shipped results: every experiment of the benchmark, one row a run in one table; `load` gives the rows of a
grid.

Grids overlap, and a run that several need is done once. Finished runs are taken from the store, so an
interrupted call resumes where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import pandas as pd

from grmu.data import shipped
from grmu.metrics import FAIRNESS, METRICS
from grmu.runs import Result, map_experiments, run
from grmu.study.grids import GRIDS

FOLDER = shipped.FOLDER / "results"
KEYS = ["id", "dataset", "method", "reweight", "ratio", "groups", "seed", "overrides"]
MEASURED = [*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"]


@lru_cache
def table() -> pd.DataFrame:
    """All shipped runs, indexed by the experiment's id: its fields, metrics as fractions, seconds, versions,
    machine.

    `overrides` is JSON, without what the preset says anyway; `by_group` a JSON list: every group's test
    accuracy, in group order.
    """
    path = FOLDER / "runs.csv"
    if not path.is_file():
        raise FileNotFoundError("there are no shipped results: compute them with `python -m grmu results`.")
    return pd.read_csv(path, index_col="id")


@lru_cache
def _rows(name: str) -> pd.DataFrame:
    experiments = {e.id: e for e in GRIDS[name]()}
    if missing := [e for i, e in experiments.items() if i not in table().index]:
        raise FileNotFoundError(f"{len(missing)} of {len(experiments)} runs of {name} have no shipped results, such as "
                                f"{missing[0].describe()}: compute them with `python -m grmu results --only {name} --missing`.")
    rows = table().loc[list(experiments)].reset_index()
    rows["by_group"] = rows.by_group.map(json.loads)
    overrides = pd.DataFrame([dict(e.overrides) for e in experiments.values()], index=rows.index)
    return pd.concat([rows.drop(columns=["id", "overrides"]), overrides], axis=1)


def load(name: str) -> pd.DataFrame:
    """The shipped rows of a grid: the columns of `Result.row`, fractions, one row a run; and versions and
    machine.

    Raises:
        ValueError: unknown grid.  FileNotFoundError: some of its runs were never computed.
    """
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}: choose one of {', '.join(GRIDS)}.")
    rows = _rows(name).copy()
    return rows.assign(by_group=rows.by_group.map(list))  # lists of the caller's own


def as_row(result: Result) -> dict[str, object]:
    """A run as it stands in the table."""
    e, row = result.experiment, result.row()
    preset = replace(e, overrides={}).settings
    changed = {name: value for name, value in sorted(e.overrides.items()) if value != preset[name]}
    kept = {key: value for key, value in row.items() if key not in e.overrides}
    kept |= {metric: round(kept[metric], 5) for metric in MEASURED}
    return {"id": e.id, **kept, "overrides": json.dumps(changed),
            "by_group": json.dumps([round(v, 4) for v in row["by_group"]]), **result.made_by}


def compute(names: Iterable[str], store: str | None = None, jobs: int = 1, missing: bool = False) -> Path:
    """Compute (or resume) grids and put their rows into the table; rows that no grid plans any more are
    dropped.

    Args:
        missing: leave out runs that the table has already.
    """
    planned = {e.id: e for name in GRIDS for e in GRIDS[name]()}
    chosen = list({e.id: e for name in names for e in GRIDS[name]()}.items())
    table.cache_clear()
    old = table().reset_index() if (FOLDER / "runs.csv").is_file() else pd.DataFrame(columns=KEYS)
    rows = {row["id"]: row for row in old.to_dict("records") if row["id"] in planned}
    todo = [e for key, e in chosen if not (missing and key in rows)]
    try:
        for result in map_experiments(partial(run, store=store), todo, jobs):
            rows[result.experiment.id] = as_row(result)
    finally:  # what is finished is kept, also when it is stopped
        _write(pd.DataFrame([rows[key] for key in planned if key in rows]))
    return FOLDER / "runs.csv"


def _write(frame: pd.DataFrame) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    columns = KEYS + [c for c in frame.columns if c not in KEYS]
    frame.reindex(columns=columns).to_csv(FOLDER / "runs.tmp", index=False)
    os.replace(FOLDER / "runs.tmp", FOLDER / "runs.csv")
    table.cache_clear()
    _rows.cache_clear()
