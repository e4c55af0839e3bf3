"""Load the shipped results, or compute them again.

    load("references")                    the runs of a grid (`grmu.analysis.grids`), one row each
    load("calibration", ratio=0.5, lam=1.0)
    load(method="miu", overrides={})      all runs
    load("audit")                         a table of a study (`STUDIES`)

    python -m grmu results [NAME ...] [--missing] [--jobs 2]

Each table is a CSV file in data/results, whose SHA-256 is in SHA256SUMS. The command loads finished runs from
the store, so it can resume after an interruption.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from grmu.analysis import grids
from grmu.data import known, number, require
from grmu.data.checks import positive_int
from grmu.data.files import FOLDER as DATA
from grmu.data.files import write_whole
from grmu.experiments import Experiment, Result, map_experiments, run
from grmu.metrics import FAIRNESS, METRICS

FOLDER = DATA / "results"
SUMS = "SHA256SUMS"  # in the format of `sha256sum --check`
KEYS = ["dataset", "method", "reweight", "ratio", "groups", "seed", "overrides"]
MEASURED = [*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"]
STUDIES = {  # the tables that each script in data/results writes
    "benchmark": ("trajectories", "membership", "cost", "twins"), "pictures": ("pictures",),
    "audits": ("audit", "efficacy", "stayers", "answers", "exposure"), "features": ("features",),
    "distances": ("distances", "relearning"), "groups": ("inferred", "layers"), "sentences": ("sentences",),
    "last_layer": ("last_layer",), "leaving": ("leaving",), "shift": ("shift",), "moved": ("moved",),
    "causes": ("causes",), "why": ("causes_cells", "causes_compared"), "released": ("released",),
    "certified": ("certified", "certified_noise", "sisa")}
TABLES = ("runs", "search", "tuning", *(table for tables in STUDIES.values() for table in tables))


def load(name: str = "runs", **where: Any) -> pd.DataFrame:
    """Return shipped results as a table that the caller may change.

    Args:
        name: A grid, a table of a study, "search", "tuning", or "runs" for the runs of all grids.
        where: Values that columns must have, as in `select`.

    Returns:
        A table of fractions, not percentages. For a grid, each setting that it varies is a column. For
        "runs", the column `overrides` has the settings that differ from the preset, as a dict.

    Raises:
        ValueError: The name or a column is unknown, or the file is damaged.
        FileNotFoundError: Some of the runs were never computed.
    """
    known("table", name, (*grids.GRIDS, *TABLES))
    rows = select(_grid(name) if name in grids.GRIDS else _table(name), **where).copy()
    if "by_group" in rows:
        rows["by_group"] = rows.by_group.map(list)  # copy the lists, because the cache keeps the originals
    return rows


def find(experiments: Iterable[Experiment]) -> pd.DataFrame:
    """Return the shipped rows among these runs; MIA_released is NaN where it was not computed."""
    keys = [key for e in experiments if (key := key_of(e)) in _runs().index]
    rows = _runs().loc[keys].reset_index(drop=True)
    released = read("released").set_index(KEYS).MIA
    rows["MIA_released"] = released.reindex(pd.MultiIndex.from_frame(rows[KEYS])).to_numpy()
    return rows.assign(by_group=rows.by_group.map(json.loads))


def select(rows: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the rows whose columns have the given values.

    Args:
        rows: A table.
        where: Values by column. Ratios are compared to five digits, and groups are given as in an
            `Experiment`.

    Raises:
        ValueError: A column is unknown, or a ratio is not a number.
    """
    taken = pd.Series(True, index=rows.index)
    for name, value in where.items():
        known("column", name, map(str, rows))
        if name == "ratio":
            taken &= (rows.ratio - number("ratio", value, 0, 1)).abs() < 5e-6
        elif name == "groups":
            taken &= rows.groups.map(str) == str(value)
        elif name == "overrides":
            taken &= rows.overrides.map(value.__eq__)
        else:
            taken &= rows[name] == value
    return rows[taken]


def margins(dataset: str) -> dict[str, float]:
    """Return the mean difference between two gold standards of one split, in points.

    Returns:
        One margin each for UA, GA and TA.
    """
    return dict(100 * load("twins", dataset=dataset)[["UA", "GA", "TA"]].abs().mean())


def read(name: str) -> pd.DataFrame:
    """Return a table as it is in its file, after checking its SHA-256.

    Raises:
        ValueError: The file is damaged.
        FileNotFoundError: The file is missing.
    """
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        study = next((script for script, tables in STUDIES.items() if name in tables), "")
        raise FileNotFoundError(f"{path} is missing: compute it with `python -m grmu results {study}`.")
    content = path.read_bytes()
    require(hashlib.sha256(content).hexdigest() == _sums().get(path.name),
            f"{path} is damaged or was changed: its SHA-256 is not the one in {SUMS}. Restore both with "
            "`git checkout data`, or compute the table again with `python -m grmu results`.")
    return pd.read_csv(io.BytesIO(content))


def write(name: str, table: pd.DataFrame) -> Path:
    """Write a table atomically, update its SHA-256, and return its path."""
    path, content = FOLDER / f"{name}.csv", table.to_csv(index=False)
    write_whole(path, content)
    sums = _sums() | {path.name: hashlib.sha256(content.encode()).hexdigest()}
    write_whole(FOLDER / SUMS, "".join(f"{digest}  {file}\n" for file, digest in sorted(sums.items())))
    forget()
    return path


def forget() -> None:
    """Clear the caches, so that all tables are read again."""
    for cached in (_runs, _grid, _table):
        cached.cache_clear()


def _sums() -> dict[str, str]:
    path = FOLDER / SUMS
    lines = path.read_text().splitlines() if path.is_file() else []
    return {file: digest for digest, _, file in (line.partition("  ") for line in lines)}


@lru_cache
def _table(name: str) -> pd.DataFrame:
    rows = read(name)
    parsed = [column for column in ("overrides", "by_group") if column in rows]
    return rows.assign(**{column: rows[column].map(json.loads) for column in parsed})


@lru_cache
def _runs() -> pd.DataFrame:
    """Return all runs as they are in the file, indexed by their keys."""
    rows = read("runs")
    keys = [_key(row) for row in rows[KEYS].itertuples(index=False)]
    return rows.set_index(pd.Index(keys, tupleize_cols=False))


@lru_cache
def _grid(name: str) -> pd.DataFrame:
    experiments = {key_of(e): e for e in grids.GRIDS[name]()}
    missing = [e for key, e in experiments.items() if key not in _runs().index]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(experiments)} runs of {name} have no shipped results, such as "
            f"{missing[0]} on {missing[0].dataset}: compute them with `python -m grmu results {name} "
            "--missing`.")
    rows = _runs().loc[list(experiments)].reset_index(drop=True)
    settings = pd.DataFrame([dict(e.overrides) for e in experiments.values()], index=rows.index)
    rows = rows.assign(by_group=rows.by_group.map(json.loads))
    return pd.concat([rows.drop(columns="overrides"), settings], axis=1)


def columns_of(e: Experiment) -> tuple[Any, ...]:
    """Return the values that identify a run, in the order of `KEYS`.

    `overrides` is JSON, and contains only settings that differ from the preset.
    """
    changed = {name: e.settings[name] for name in sorted(e.overrides) if e.settings[name] != e.preset[name]}
    return e.dataset, e.method, e.reweight, e.ratio, str(e.groups), e.seed, json.dumps(changed)


def key_of(e: Experiment) -> tuple[Any, ...]:
    """Return `columns_of` a run, with the ratio as text with five digits."""
    return _key(columns_of(e))


def _key(columns: Iterable[Any]) -> tuple[Any, ...]:
    dataset, method, reweight, ratio, *rest = columns
    return dataset, method, reweight, f"{ratio:.5g}", *rest


def as_row(result: Result) -> dict[str, object]:
    """Return a run as a row of runs.csv."""
    row = {key: value for key, value in result.row().items() if key not in result.experiment.overrides}
    row |= {metric: round(row[metric], 5) for metric in MEASURED}
    row |= dict(zip(KEYS, columns_of(result.experiment), strict=True))
    row["by_group"] = json.dumps([round(v, 4) for v in row["by_group"]])
    return row | result.made_by


def compute(names: Iterable[str], store: str | None = None, jobs: int = 1, missing: bool = False) -> Path:
    """Compute or resume grids, and write their rows into runs.csv. Rows that are in no grid are dropped.

    Args:
        names: Names of grids.
        store: Folder of finished runs, as in `run`.
        jobs: Number of processes.
        missing: Only compute runs that are not in the table.

    Raises:
        ValueError: A grid is unknown.
    """
    for name in (names := list(names)):
        known("grid", name, grids.GRIDS)
    by_grid = {name: {key_of(e): e for e in grid()} for name, grid in grids.GRIDS.items()}
    planned = {key: e for grid in by_grid.values() for key, e in grid.items()}
    chosen = {key: e for name in names for key, e in by_grid[name].items()}
    forget()
    rows = {}
    if (FOLDER / "runs.csv").is_file():
        rows = dict(zip(_runs().index, _runs().to_dict("records"), strict=True))
    todo = [e for key, e in chosen.items() if not (missing and key in rows)]
    try:
        for result in map_experiments(partial(run, store=store), todo, jobs):
            rows[key_of(result.experiment)] = as_row(result)
    finally:  # save the finished rows, even if the command is interrupted
        finished = pd.DataFrame([rows[key] for key in planned if key in rows])
        path = write("runs", finished.reindex(columns=KEYS + [c for c in finished.columns if c not in KEYS]))
    return path


def add_jobs(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the option --jobs, and return the parser."""
    parser.add_argument("--jobs", type=positive_int, default=min(os.cpu_count() or 1, 4),
                        help="number of processes (default: one per core, at most 4)")
    return parser


def write_study(**tables: Callable[[int], pd.DataFrame]) -> None:
    """Compute and write the tables of a study, as each script in data/results does.

    Args:
        tables: For the name of each table, a function of the number of processes.
    """
    jobs = add_jobs(argparse.ArgumentParser()).parse_args().jobs
    for name, table in tables.items():
        print(f"Wrote {write(name, table(jobs))}.")


def main(argv: list[str]) -> int:
    """Compute the shipped results again: all grids and studies, or only the named ones."""
    parser = argparse.ArgumentParser(prog="python -m grmu results", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"grids ({', '.join(grids.GRIDS)}) or studies ({', '.join(STUDIES)})")
    parser.add_argument("--missing", action="store_true",
                        help="only compute runs that are not in the table, for example of a new method")
    options = add_jobs(parser).parse_args(argv)
    for name in options.names:
        known("grid or study", name, (*grids.GRIDS, *STUDIES))
    chosen = options.names or [*grids.GRIDS, *STUDIES]
    in_grids = [name for name in chosen if name in grids.GRIDS]
    if in_grids:
        print(f"Wrote {compute(in_grids, jobs=options.jobs, missing=options.missing)}.", flush=True)
    for name in [name for name in chosen if name in STUDIES]:
        script = [sys.executable, str(FOLDER / f"{name}.py"), "--jobs", str(options.jobs)]
        if code := subprocess.run(script, check=False).returncode:
            return code
    return 0
