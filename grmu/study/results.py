"""Shipped results: every experiment of the benchmark, one row a run in one table, and `load`, which asks it.

Grids overlap, and a run that several need is done once. Finished runs are taken from the store, so an
interrupted call resumes where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from grmu.data import known, number
from grmu.metrics import FAIRNESS, METRICS
from grmu.runs import Result, map_experiments, run
from grmu.study import grids
from grmu.study.shipped_tables import path_of, read, write

KEYS = ["id", "dataset", "method", "reweight", "ratio", "groups", "seed", "overrides"]
MEASURED = [*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"]


@lru_cache
def table() -> pd.DataFrame:
    """All shipped runs as the file has them, by the experiment's id: fields, metrics, versions, machine.

    `overrides` is JSON, without what the preset says anyway; `by_group` a JSON list: every group's test
    accuracy, in group order.
    """
    return read("runs").set_index("id")


@lru_cache
def _rows(grid: str | None) -> pd.DataFrame:
    if grid is None:
        rows = table().reset_index(drop=True)
        return rows.assign(overrides=rows.overrides.map(json.loads), by_group=rows.by_group.map(json.loads))
    experiments = {e.id: e for e in grids.GRIDS[grid]()}
    if missing := [e for i, e in experiments.items() if i not in table().index]:
        raise FileNotFoundError(
            f"{len(missing)} of {len(experiments)} runs of {grid} have no shipped results, such as "
            f"{missing[0].describe()}: compute them with `python -m grmu results --only {grid} --missing`.")
    rows = table().loc[list(experiments)].reset_index(drop=True)
    settings = pd.DataFrame([dict(e.overrides) for e in experiments.values()], index=rows.index)
    rows = rows.assign(by_group=rows.by_group.map(json.loads))
    return pd.concat([rows.drop(columns="overrides"), settings], axis=1)


def load(grid: str | None = None, **where: Any) -> pd.DataFrame:
    """The shipped runs, of a grid or all, that are as `where` says; fractions, one row a run.

        load("references")    load("calibration", ratio=0.5, lam=1.0)    load(method="miu", overrides={})

    Columns: those of `Result.row`, versions and machine. A setting that the grid varies is a column; among
    all runs there is `overrides` instead, the settings that differ from the preset, a dict.

    Raises:
        ValueError: unknown grid or column.  FileNotFoundError: some runs of the grid were never computed.
    """
    if grid is not None:
        known("grid", grid, grids.GRIDS)
    rows = select(_rows(grid), **where)
    return rows.assign(by_group=rows.by_group.map(list))  # lists of the caller's own


def select(rows: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """The rows whose columns have these values: ratios to five digits, groups as an `Experiment` takes them.

    Raises:
        ValueError: there is no such column, or a ratio is no number.
    """
    taken = pd.Series(True, index=rows.index)
    for name, value in where.items():
        if name not in rows:
            raise ValueError(f"these runs have no column {name!r}: choose among {', '.join(map(str, rows))}.")
        if name == "ratio":
            taken &= (rows.ratio - number("ratio", value, 0, 1)).abs() < 5e-6
        elif name == "groups":
            taken &= rows.groups.map(str) == str(value)
        elif name == "overrides":
            taken &= rows.overrides.map(value.__eq__)
        else:
            taken &= rows[name] == value
    return rows[taken]


def as_row(result: Result) -> dict[str, object]:
    """A run as it stands in the table."""
    e, row = result.experiment, result.row()
    form = {name: value for name, value in e.overrides.items() if name == "form"}  # other defaults go with it
    preset = replace(e, overrides=form).settings | {"form": "steady"}
    changed = {name: value for name, value in sorted(e.overrides.items()) if e.settings[name] != preset[name]}
    kept = {key: value for key, value in row.items() if key not in e.overrides}
    kept |= {metric: round(kept[metric], 5) for metric in MEASURED}
    return {"id": e.id, **kept, "overrides": json.dumps(changed),
            "by_group": json.dumps([round(v, 4) for v in row["by_group"]]), **result.made_by}


def compute(names: Iterable[str], store: str | None = None, jobs: int = 1, missing: bool = False) -> Path:
    """Compute (or resume) grids and put their rows into the table; those that no grid plans any more go.

    Args:
        missing: leave out runs that the table has already.

    Raises:
        ValueError: an unknown grid.
    """
    for name in (names := list(names)):
        known("grid", name, grids.GRIDS)
    by_grid = {name: {e.id: e for e in grid()} for name, grid in grids.GRIDS.items()}
    planned = {key: e for grid in by_grid.values() for key, e in grid.items()}
    chosen = list({key: e for name in names for key, e in by_grid[name].items()}.items())
    table.cache_clear()
    old = table().reset_index() if path_of("runs").is_file() else pd.DataFrame(columns=KEYS)
    rows = {row["id"]: row for row in old.to_dict("records") if row["id"] in planned}
    todo = [e for key, e in chosen if not (missing and key in rows)]
    try:
        for result in map_experiments(partial(run, store=store), todo, jobs):
            rows[result.experiment.id] = as_row(result)
    finally:  # what is finished is kept, also when it is stopped
        found = pd.DataFrame([rows[key] for key in planned if key in rows])
        path = write("runs", found.reindex(columns=KEYS + [c for c in found.columns if c not in KEYS]))
        table.cache_clear()
        _rows.cache_clear()
    return path
