"""Score the settings that the presets were chosen from, on validation data and never on the test set.

    python -m grmu search [--dataset groundwear] [--method miu ...] [--jobs 2]

The settings are those of data/results/search.csv (six per method) and tuning.csv (fine-tuning and MIU, with
the same larger budget). The command computes their scores again; the lowest score wins. To try other
settings, call `score` on an `Experiment` with your own `overrides` and a seed of at least 100.

With REWEIGHT, the score is the sum of two distances from the gold standard:

    score = |UA - UA_gold| + |val_GA - val_GA_gold|

For methods that aim at the worst group (ROBUST), it is 1 minus the worst group's validation accuracy. In
practice there is no gold standard to tune against; only a benchmark has one.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from grmu import data
from grmu.analysis import results
from grmu.experiments import Experiment, map_experiments, run

SEEDS = (100, 101, 102)  # no reported result uses these seeds
ROBUST = ("group_dro", "rwg", "subg")
ALL = tuple(product((0.5, 0.9), SEEDS))
STAGES: dict[str, dict[str, Sequence[tuple[float, int]]]] = {  # the (ratio, seed) of each score
    "search": {"score_0.5": ALL[:3], "score_0.9": ALL[3:], "score": ALL},
    "tuning": {"score_1": [(0.5, 100)], "score_2": [(0.5, 100), (0.9, 100)], "score_3": ALL}}
NO_SETTINGS = ["dataset", "method", "growth", "chosen", *STAGES["search"], *STAGES["tuning"]]


def score(experiment: Experiment) -> float:
    """Return the validation score of one run (lower is better); infinite if its training diverged."""
    try:
        ours = run(experiment).metrics
    except FloatingPointError:
        return math.inf
    if experiment.method in ROBUST:
        return 1 - ours["val_WG"]
    gold = run(experiment.gold).metrics
    return abs(ours["UA"] - gold["UA"]) + abs(ours["val_GA"] - gold["val_GA"])


def settings(row: pd.Series) -> dict[str, Any]:
    """Return the settings of one row of a table, as overrides."""
    preset = Experiment(row["dataset"], row["method"]).preset
    tried = row.drop(labels=NO_SETTINGS, errors="ignore").dropna()
    return {name: int(value) if name.endswith("epochs") else type(preset[name])(value)
            for name, value in tried.items()}


def score_again(table: str, rows: pd.DataFrame, jobs: int = 1) -> pd.DataFrame:
    """Return rows of "search" or "tuning" after computing each of their scores again.

    Args:
        table: "search" or "tuning".
        rows: Rows of this table.
        jobs: Number of processes.
    """
    runs = {}
    for number, row in rows.iterrows():
        overrides = settings(row)
        for column, places in [*STAGES[table].items()][:-1] if table == "search" else STAGES[table].items():
            for ratio, seed in places if pd.notna(row[column]) else ():
                runs[number, ratio, seed] = Experiment(row.dataset, row.method, row.method not in ROBUST,
                                                       ratio, seed=seed, overrides=overrides)
    scores = dict(zip(runs, map_experiments(score, runs.values(), jobs), strict=True))
    again = rows.copy()
    for column, places in STAGES[table].items():
        for number in rows.index[rows[column].notna()]:
            computed = [scores[number, *place] for place in places if (number, *place) in scores]
            again.loc[number, column] = np.mean(computed)
    return again.round(dict.fromkeys(STAGES[table], 5))


def main(argv: list[str]) -> int:
    """Score the recorded settings of methods on one data set, write the tables, and print the best."""
    methods = sorted({*results.read("search").method, *results.read("tuning").arm})
    parser = argparse.ArgumentParser(prog="python -m grmu search", description=main.__doc__)
    parser.add_argument("--dataset", default="groundwear", choices=data.EMBEDDED)
    parser.add_argument("--method", choices=methods, nargs="+", default=methods)
    options = results.add_jobs(parser).parse_args(argv)
    for table, stages in STAGES.items():
        rows = results.read(table).rename(columns={"arm": "method"})
        asked = (rows.dataset == options.dataset) & rows.method.isin(options.method)
        rows.loc[asked] = score_again(table, rows[asked], options.jobs)
        final = [*stages][-1]
        for number in rows[asked].groupby("method", sort=False)[final].idxmin():
            best = rows.loc[number]
            print(f"{best.method}: {settings(best)}   score {best[final]:.3f}")
        names = {"method": "arm"} if table == "tuning" else {}
        print(f"Wrote {results.write(table, rows.rename(columns=names))}.")
    return 0
