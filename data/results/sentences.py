"""Measure which groups lose accuracy on sentences (lesson 08), on ten seeds that were fixed beforehand.

This script writes sentences.csv: python data/results/sentences.py
"""

import json
from itertools import product

import pandas as pd

from grmu.analysis.grids import SENTENCES, uniform_ratio
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, map_experiments, run

RATIO = 0.9
ARMS = {"PRETRAIN": ("pretrain", False, "default"), "RETRAIN": ("retrain", False, "default"),
        "RETRAIN + REWEIGHT": ("retrain", True, "default"),
        "RETRAIN, from everyone": ("retrain", False, "uniform")}  # as many pairs, but from all groups


def sentences(jobs):
    """Return one row per run: accuracies as fractions, and `by_group` as JSON in group order."""
    names, runs = [], []
    for seed, (name, (method, reweight, groups)) in product(range(5, 15), ARMS.items()):
        share = RATIO if groups == "default" else uniform_ratio(RATIO, SENTENCES)
        names.append(name)
        runs.append(Experiment("negation", method, reweight, share, groups=groups, seed=seed))
    return pd.DataFrame([
        {"arm": name, "seed": result.experiment.seed,
         **{metric: round(result.metrics[metric], 5) for metric in ("UA", "GA", "TA")},
         "by_group": json.dumps([round(float(share), 5) for share in result.by_group()])}
        for name, result in zip(names, map_experiments(run, runs, jobs), strict=True)])


if __name__ == "__main__":
    write_study(sentences=sentences)
