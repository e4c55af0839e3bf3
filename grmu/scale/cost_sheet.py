"""What each table of the paper costs; what REWEIGHT and MIU add, and what sharing PRETRAINs saves.

By the formula of `grmu.scale.sweep_cost`, whose `runs` all of it is made of.
A run that tables share counts for each of them, and as new only for the first: so what is new sums to all.
"""

from __future__ import annotations

import math
from dataclasses import replace
from textwrap import wrap

import pandas as pd

from grmu import methods
from grmu.analysis import paper
from grmu.experiments import Experiment
from grmu.scale.sweep import job_name, prerequisites
from grmu.scale.sweep_cost import cache_bytes, passes, shown_hours

NO_TABLE = "none"
EXPLAINED = """\
runs, GPU hours and GB are what a table takes alone: its runs, the references that these start from or are
compared with, and the caches of its data sets. new: what no table above it has; these sum to the total."""


def by_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a table of the paper: its data sets, runs, GPU hours, GB, and of these what is new.

    The last row, if any, has the runs that are in no table.
    """
    tables = {job: paper.tables_of(e) for job, e in runs.experiment.items()}
    for job, e in runs.experiment.items():
        for before in map(job_name, prerequisites(e)):
            tables[before] |= tables[job]
    rows, done = {}, runs[:0]
    for table in [*sorted(set().union(*tables.values())), NO_TABLE]:
        need = runs[[table in own or (table == NO_TABLE and not own) for own in tables.values()]]
        if len(need):
            new = need[~need.index.isin(done.index)]
            rows[table] = {"data sets": ", ".join(need.dataset.unique()), **_cost(need, runs[:0]),
                           **{f"new {name}": value for name, value in _cost(new, done).items()}}
            done = pd.concat([done, new])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("table")


def _cost(runs: pd.DataFrame, done: pd.DataFrame) -> dict[str, float]:
    """Of these runs, beside those that are done: their caches are there."""
    caches = sum(map(cache_bytes, set(runs.dataset) - set(done.dataset)))
    return {"runs": len(runs), "GPU hours": runs.hours.sum(skipna=False),
            "GB": (runs.bytes.sum() + caches) / 1e9}


def reweight(runs: pd.DataFrame) -> float:
    """Work of the runs with REWEIGHT over that without it, settings alike; NaN if there are none."""
    asked = [e for e in runs.experiment if e.reweight]
    without = sum(work(replace(e, reweight=False, overrides=e.settings)) for e in asked)
    return sum(map(work, asked)) / without if asked else math.nan


def miu(runs: pd.DataFrame) -> pd.Series:
    """Return MIU's work over that of fine-tuning with its epochs, by data set; of the first run of each."""
    first = {e.dataset: e for e in reversed(runs.experiment.tolist()) if e.method == "miu"}
    return pd.Series({dataset: over_finetuning(e) for dataset, e in sorted(first.items())}, dtype=float)


def over_finetuning(e: Experiment) -> float:
    """Work of a run over that of fine-tuning with the same epochs."""
    return work(e) / work(replace(e, method="finetune", overrides={"epochs": e.config.epochs}))


def work(e: Experiment) -> float:
    """Samples trained, and a third of those passed forward."""
    trained, forward = passes(e)
    return trained + forward / 3


def pretraining(runs: pd.DataFrame) -> pd.DataFrame:
    """Number, GPU hours and GB of the PRETRAINs: as they are, and if each run had its own to start from."""
    starts = [e for e in runs.experiment if methods.get(e.method).init_from is not None]
    own = runs.loc[[job_name(e.original) for e in starts]]
    once = runs[[e.method == "pretrain" for e in runs.experiment]]
    return pd.DataFrame({"shared": _cost(once, once), "one each": _cost(own, once)}).T


def sheet(runs: pd.DataFrame) -> str:
    """All of it as text; the tables only if the grid has runs of one."""
    tables, parts = by_table(runs), []
    if list(tables.index) != [NO_TABLE]:
        shown = tables.round(1)
        for column in ("GPU hours", "new GPU hours"):
            shown[column] = tables[column].map(shown_hours)
        parts += ["The tables of the paper:", shown.to_string(), EXPLAINED, ""]
    if (ratio := reweight(runs)) > 0:
        parts += [f"REWEIGHT, a sampler: {ratio:.3f} times the work of the same runs without it."]
    if not (factors := miu(runs)).empty:
        listed = ", ".join(f"{dataset} {factor:.2f}" for dataset, factor in factors.items())
        parts += wrap(f"MIU's work over that of fine-tuning with the same epochs: {listed}.", 110)
    shared, own = (row for _, row in pretraining(runs).iterrows())
    parts += [f"PRETRAIN: {shared.runs:.0f} trainings, which {own.runs:.0f} runs start from."]
    if (saved := own["GPU hours"] - shared["GPU hours"]) > 0:
        parts += [f"One each would be {own['GPU hours']:.1f} GPU hours in place of "
                  f"{shared['GPU hours']:.1f}: sharing saves {saved:.1f}."]
    return "\n".join(parts)
