"""The shipped runs: one table, a row per run, found by its columns; `load` reads it, `compute` makes it.

Grids overlap, and a run that several need is done once. Finished runs are taken from the store, so an
interrupted call resumes where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from grmu.analysis import grids
from grmu.analysis.shipped_tables import path_of, read, write
from grmu.data import known, number
from grmu.experiments import Experiment, Result, map_experiments, run
from grmu.metrics import FAIRNESS, METRICS

KEYS = ["dataset", "method", "reweight", "ratio", "groups", "seed", "overrides"]
MEASURED = [*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"]


def columns_of(e: Experiment) -> tuple[Any, ...]:
    """Return the columns that identify a run, `KEYS`: `overrides` is JSON, without what the preset says."""
    changed = {name: e.settings[name] for name in sorted(e.overrides) if e.settings[name] != e.preset[name]}
    return e.dataset, e.method, e.reweight, e.ratio, str(e.groups), e.seed, json.dumps(changed)


def _key(columns: Iterable[Any]) -> tuple[Any, ...]:
    """The same with the ratio as text, to five digits."""
    dataset, method, reweight, ratio, *rest = columns
    return dataset, method, reweight, f"{ratio:.5g}", *rest


@lru_cache
def table() -> pd.DataFrame:
    """Return all shipped runs as the file has them, indexed by their `KEYS`."""
    rows = read("runs")
    keys = [_key(row) for row in rows[KEYS].itertuples(index=False)]
    return rows.set_index(pd.Index(keys, tupleize_cols=False))


@lru_cache
def _rows(grid: str | None) -> pd.DataFrame:
    if grid is None:
        rows = table().reset_index(drop=True)
        return rows.assign(overrides=rows.overrides.map(json.loads), by_group=rows.by_group.map(json.loads))
    experiments = {_key(columns_of(e)): e for e in grids.GRIDS[grid]()}
    if missing := [e for key, e in experiments.items() if key not in table().index]:
        raise FileNotFoundError(
            f"{len(missing)} of {len(experiments)} runs of {grid} have no shipped results, such as "
            f"{missing[0]} on {missing[0].dataset}: compute them with `python -m grmu results --only {grid} "
            "--missing`.")
    rows = table().loc[list(experiments)].reset_index(drop=True)
    settings = pd.DataFrame([dict(e.overrides) for e in experiments.values()], index=rows.index)
    rows = rows.assign(by_group=rows.by_group.map(json.loads))
    return pd.concat([rows.drop(columns="overrides"), settings], axis=1)


def load(grid: str | None = None, **where: Any) -> pd.DataFrame:
    """Return the shipped runs, of a grid or all, that are as `where` says; fractions, one row per run.

        load("references")    load("calibration", ratio=0.5, lam=1.0)    load(method="miu", overrides={})

    Columns: those of `Result.row`, versions and machine. A setting that the grid varies is a column; among
    all runs there is `overrides` instead, the settings that differ from the preset, a dict.

    Raises:
        ValueError: The grid or a column is unknown.
        FileNotFoundError: Some runs of the grid were never computed.
    """
    if grid is not None:
        known("grid", grid, grids.GRIDS)
    rows = select(_rows(grid), **where)
    return rows.assign(by_group=rows.by_group.map(list))  # lists of the caller's own


def select(rows: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the rows whose columns have these values: ratios to five digits, groups as in an `Experiment`.

    Raises:
        ValueError: There is no such column, or a ratio is not a number.
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
    """Return a run as it stands in the table."""
    row = {key: value for key, value in result.row().items() if key not in result.experiment.overrides}
    row |= {metric: round(row[metric], 5) for metric in MEASURED}
    return {**row, **dict(zip(KEYS, columns_of(result.experiment), strict=True)),
            "by_group": json.dumps([round(v, 4) for v in row["by_group"]]), **result.made_by}


def compute(names: Iterable[str], store: str | None = None, jobs: int = 1, missing: bool = False) -> Path:
    """Compute (or resume) grids and put their rows into the table; rows that no grid plans are dropped.

    Args:
        names: Grids.
        store: As of `run`.
        jobs: Processes that share the work.
        missing: Leave out runs that the table has already.

    Raises:
        ValueError: A grid is unknown.
    """
    for name in (names := list(names)):
        known("grid", name, grids.GRIDS)
    by_grid = {name: {_key(columns_of(e)): e for e in grid()} for name, grid in grids.GRIDS.items()}
    planned = {key: e for grid in by_grid.values() for key, e in grid.items()}
    chosen = list({key: e for name in names for key, e in by_grid[name].items()}.items())
    table.cache_clear()
    old = table() if path_of("runs").is_file() else pd.DataFrame(columns=KEYS)
    rows = {key: row for key, row in zip(old.index, old.to_dict("records"), strict=True) if key in planned}
    todo = [e for key, e in chosen if not (missing and key in rows)]
    try:
        for result in map_experiments(partial(run, store=store), todo, jobs):
            rows[_key(columns_of(result.experiment))] = as_row(result)
    finally:  # what is finished is kept, also when it is stopped
        finished = pd.DataFrame([rows[key] for key in planned if key in rows])
        path = write("runs", finished.reindex(columns=KEYS + [c for c in finished.columns if c not in KEYS]))
        table.cache_clear()
        _rows.cache_clear()
    return path
