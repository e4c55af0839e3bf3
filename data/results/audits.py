"""Audit the methods of lesson 07 with shadow models.

This script writes audit.csv, efficacy.csv, stayers.csv, answers.csv and exposure.csv: python
data/results/audits.py
"""

import warnings
from functools import cache

import numpy as np
import pandas as pd

from grmu.analysis import audit as audits
from grmu.analysis.names import label
from grmu.analysis.results import write_study
from grmu.analysis.shadows import NEVER, UNLEARNED, observe_all, select
from grmu.experiments import Experiment, load_split

AUDITED = {"groundwear": (("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True)),
           "groundwear-memorised": (("pretrain", False), ("retrain", True), ("finetune", True),
                                    ("scrub", True), ("miu", True))}
RUNS = tuple(Experiment(dataset, *kind, ratio=0.5) for dataset, kinds in AUDITED.items() for kind in kinds)


@cache
def seen_by(e, jobs, overfit=False):
    """Return the observations of 64 shadow models."""
    return observe_all(e, jobs=jobs, overfit=overfit)


def reference(e, method, reweight):
    """Return PRETRAIN or RETRAIN from RUNS, so that its observations are cached; None if missing."""
    return next((o for o in RUNS if (o.dataset, o.method, o.reweight) == (e.dataset, method, reweight)), None)


def each(table, digits=4):
    """Return the tables of all RUNS, one below the other, with columns that identify the run."""
    parts = []
    for e in RUNS:
        part = table(e)
        for place, column in enumerate(("dataset", "method", "reweight")):
            part.insert(place, column, getattr(e, column))
        parts.append(part)
    return pd.concat(parts, ignore_index=True).round(digits)


def audit(jobs):
    """Return the privacy audit, with 64 shadow models per run."""
    return each(lambda e: audits.privacy(
        e, seen_by(e, jobs), seen_by(reference(e, "pretrain", False), jobs, True)))


def efficacy(jobs):
    """Return the comparison of the same shadow models with those of the gold standard."""
    return each(lambda e: audits.efficacy(
        e, seen_by(e, jobs), seen_by(reference(e, "pretrain", False), jobs, True),
        seen_by(reference(e, "retrain", True), jobs)))


def stayers(jobs):
    """Return how unlearning changes the exposure of retained members, relative to PRETRAIN.

    For the gold standard, the table also has the change relative to RETRAIN.
    """
    def table(e):
        befores = [reference(e, "pretrain", False)]
        if (e.method, e.reweight) == ("retrain", True) and reference(e, "retrain", False):
            befores.append(reference(e, "retrain", False))
        return pd.concat([audits.stayers(e, seen_by(o, jobs), seen_by(e, jobs)).assign(before=o.method)
                          for o in befores])

    return each(table)


def members_of(e):
    """Return the rows of the training set that are in the forget groups."""
    splits, _, groups = load_split(e)
    return splits.train.in_groups(groups).nonzero()[:, 0].numpy()


def answers(jobs):
    """Return the confidence of each shadow model in each sample of the forget group, on memorised data."""
    runs = [e for e in RUNS if e.dataset == "groundwear-memorised"]
    members = members_of(runs[0])
    seen = {label(e.method, e.reweight): select(seen_by(e, jobs), members) for e in runs}
    status = next(iter(seen.values())).status
    shadow, row = (v.ravel() for v in np.indices(status.shape))
    table = pd.DataFrame({"shadow": shadow, "row": members[row], "status": status.ravel()})
    return table.assign(**{name: s.confidence.ravel() for name, s in seen.items()}).round(2)


def exposed(seen):
    """Return the exposure of each sample, from the even and from the odd shadow models, (2, N).

    The exposure is the mean confidence of models that unlearned the sample minus that of models that never
    saw it, in standard deviations.
    """
    both = []
    for start in (0, 1):
        status, c = seen.status[start::2], seen.confidence[start::2]
        values = [np.where(status == k, c, np.nan) for k in (UNLEARNED, NEVER)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NaN if no model in this half has the sample
            centred = [v - np.nanmean(v, 0) for v in values]
            gap = np.nanmean(values[0], 0) - np.nanmean(values[1], 0)
            both.append(gap / np.nanstd(np.concatenate(centred)))
    return np.array(both)


def exposure(jobs):
    """Return `exposed` for the samples of the forget group."""
    def table(e):
        members = members_of(e)
        even, odd = exposed(select(seen_by(e, jobs), members))
        return pd.DataFrame({"row": members, "even": even, "odd": odd})

    return each(table, 3)


if __name__ == "__main__":
    write_study(audit=audit, efficacy=efficacy, stayers=stayers, answers=answers, exposure=exposure)
