"""Measure the information that MINE finds in trained and untrained features, and in known cases (lesson 04).

This script writes features.csv: python data/results/features.py

It compares PRETRAIN's features with those of the untrained network, with both after the groups are shuffled
(0 nats), with the information of both about only the shoe or only the ground, and with synthetic features
that share log 2 or 1.2 nats with their group.
"""

import math

import pandas as pd
import torch

from grmu.analysis.results import write_study
from grmu.course import closed_form
from grmu.experiments import Experiment, map_experiments, train_or_load
from grmu.mine import MINE, Estimator
from grmu.models import build
from grmu.numerics import fixed_threads
from grmu.training import predict

KNOWN = (math.log(2), 1.2)  # nats
HIDDEN, RATE, STEPS, BATCH = 128, 3e-3, 200, 256  # the values of lesson 04


def held_out(fit_on, ask, seed):
    """Return MINE's bound in nats on samples that it was not fitted to.

    Args:
        fit_on: Features (N, d) and labels (N,) to fit MINE to, after standardising the features.
        ask: Features and labels to evaluate the bound on.
        seed: Seed of MINE.
    """
    mean, spread = fit_on[0].mean(0), fit_on[0].std(0).clamp(min=1e-8)
    (z, group), (z_new, group_new) = (((z - mean) / spread, group) for z, group in (fit_on, ask))
    estimator = Estimator(MINE(z.shape[1], 1 + int(group.max()), HIDDEN, seed), RATE,
                          torch.Generator().manual_seed(seed), batch_size=BATCH)
    estimator.fit(z, group, STEPS)
    return estimator.bound(z_new, group_new).item()


def shuffled(group, rng):
    """Return the groups in random order."""
    return group[torch.randperm(len(group), generator=rng)]


def cases(e):
    """Yield the name of each case, its information if known, and the samples to fit to and to evaluate."""
    splits, rng = e.load(), torch.Generator().manual_seed(e.seed)
    val, test = splits.val, splits.test
    networks = {"trained": train_or_load(e), "untrained": build(e.network, splits.train, e.seed).eval()}
    for name, model in networks.items():
        z_val, z_test = (predict(model.features, model, part.x) for part in (val, test))
        yield name, math.nan, (z_val, val.group), (z_test, test.group)
        yield (f"{name}, groups shuffled", 0.0, (z_val, shuffled(val.group, rng)),
               (z_test, shuffled(test.group, rng)))
        yield f"{name}, of the shoe", math.nan, (z_val, val.y), (z_test, test.y)
        yield f"{name}, of the ground", math.nan, (z_val, val.a), (z_test, test.a)
    for nats in KNOWN:
        fit_on, ask = (closed_form.noisy_groups(nats, len(part), rng, (0.25,) * 4) for part in (val, test))
        yield f"made to hold {nats:.2f}", nats, fit_on, ask


def features_of(e):
    """Return one row per case for one seed: features, true information and MINE's estimate, in nats."""
    with fixed_threads():
        return [{"seed": e.seed, "features": name, "truth": truth, "nats": held_out(fit_on, ask, e.seed)}
                for name, truth, fit_on, ask in list(cases(e))]


def features(jobs):
    """Return `features_of` 20 seeds of PRETRAIN on groundwear."""
    runs = [Experiment(method="pretrain", seed=seed) for seed in range(20)]
    return pd.DataFrame([row for rows in map_experiments(features_of, runs, jobs) for row in rows]).round(5)


if __name__ == "__main__":
    write_study(features=features)
