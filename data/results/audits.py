"""Shadow models of the methods that lesson 07 audits.

audit.csv, efficacy.csv, stayers.csv, answers.csv and exposure.csv: python data/results/audits.py
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
    """What 64 shadow models say."""
    return observe_all(e, jobs=jobs, overfit=overfit)


def reference(e, method, reweight):
    """PRETRAIN or a RETRAIN among RUNS, so that what was observed is found again."""
    return next((o for o in RUNS if (o.dataset, o.method, o.reweight) == (e.dataset, method, reweight)), None)


def each(table, digits=4):
    """The tables of all RUNS, one below the other, each row with its run."""
    parts = []
    for e in RUNS:
        part = table(e)
        for place, column in enumerate(("dataset", "method", "reweight")):
            part.insert(place, column, getattr(e, column))
        parts.append(part)
    return pd.concat(parts, ignore_index=True).round(digits)


def audit(jobs):
    """Privacy, on 64 shadow models each."""
    return each(lambda e: audits.privacy(
        e, seen_by(e, jobs), seen_by(reference(e, "pretrain", False), jobs, True)))


def efficacy(jobs):
    """The same shadow models, compared with the gold standard's."""
    return each(lambda e: audits.efficacy(
        e, seen_by(e, jobs), seen_by(reference(e, "pretrain", False), jobs, True),
        seen_by(reference(e, "retrain", True), jobs)))


def stayers(jobs):
    """What they expose of members who stay beyond PRETRAIN, and the gold standard beyond RETRAIN."""
    def table(e):
        befores = [reference(e, "pretrain", False)]
        if (e.method, e.reweight) == ("retrain", True) and reference(e, "retrain", False):
            befores.append(reference(e, "retrain", False))
        return pd.concat([audits.stayers(e, seen_by(o, jobs), seen_by(e, jobs)).assign(before=o.method)
                          for o in befores])

    return each(table)


def members_of(e):
    """Rows of the training set that are in the forget group."""
    splits, _, groups = load_split(e)
    return splits.train.in_groups(groups).nonzero()[:, 0].numpy()


def answers(jobs):
    """What every shadow model says of every sample of the forget group, on memorised data."""
    runs = [e for e in RUNS if e.dataset == "groundwear-memorised"]
    members = members_of(runs[0])
    seen = {label(e.method, e.reweight): select(seen_by(e, jobs), members) for e in runs}
    status = next(iter(seen.values())).status
    shadow, row = (v.ravel() for v in np.indices(status.shape))
    table = pd.DataFrame({"shadow": shadow, "row": members[row], "status": status.ravel()})
    return table.assign(**{name: s.confidence.ravel() for name, s in seen.items()}).round(2)


def exposed(seen):
    """How far each sample's confidence once unlearned lies above never seen, in standard deviations, from the
    even and from the odd shadows, (2, N)."""
    both = []
    for start in (0, 1):
        status, c = seen.status[start::2], seen.confidence[start::2]
        values = [np.where(status == k, c, np.nan) for k in (UNLEARNED, NEVER)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a sample that no shadow of this half has: NaN
            centred = [v - np.nanmean(v, 0) for v in values]
            gap = np.nanmean(values[0], 0) - np.nanmean(values[1], 0)
            both.append(gap / np.nanstd(np.concatenate(centred)))
    return np.array(both)


def exposure(jobs):
    """`exposed`, of the forget group's samples."""
    def table(e):
        members = members_of(e)
        even, odd = exposed(select(seen_by(e, jobs), members))
        return pd.DataFrame({"row": members, "even": even, "odd": odd})

    return each(table, 3)


if __name__ == "__main__":
    write_study(audit=audit, efficacy=efficacy, stayers=stayers, answers=answers, exposure=exposure)
