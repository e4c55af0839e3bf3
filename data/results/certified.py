"""What a certificate costs a group: certified removal and SISA on the last layer (lesson 13).

certified.csv, certified_noise.csv, sisa.csv: python data/results/certified.py

Stated before the rows were computed. Primary comparisons, paired by seed, at RATIO: the residual after one
Newton step for a request from the forget group against one from as many people at random, and with REWEIGHT
against without; and, for SISA, the group's accuracy with each number of shards against one shard.

The noise is drawn before training, so one draw serves all requests of a seed. `epsilon` is the smallest one
that the bound of every draw supports at DELTA. Numbers below SMALLEST are rounding errors, and written as 0.
"""

from itertools import product

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from grmu.analysis.results import write_study
from grmu.course import certified, last_layer

SEEDS, RATIOS, L2 = range(20), (0.1, 0.5, 0.9), 1e-3
DELTA, DRAWS, SMALLEST = 1e-4, 5, 1e-8
SIGMAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
GROUP, RANDOM, REWEIGHTED = "one group", "at random", "one group, REWEIGHT"
SHARDS, RATIO = (1, 2, 5, 10, 20, 50), 0.5
SHUFFLED, TOGETHER = "shuffled", "group together"


def requests(part, seed):
    """Ratio, who asks, and the mask of the samples that are forgotten; the forget group's are nested."""
    train, rng = part.train, np.random.default_rng(seed)
    order = {GROUP: rng.permutation(np.flatnonzero(train.group == part.forget_group)),
             RANDOM: rng.permutation(len(train.y))}
    for ratio, who in product(RATIOS, (GROUP, RANDOM, REWEIGHTED)):
        forgotten = np.zeros(len(train.y), dtype=bool)
        members = order[RANDOM if who == RANDOM else GROUP]
        forgotten[members[:round(ratio * len(order[GROUP]))]] = True
        yield ratio, who, forgotten


def remaining(part, who, forgotten):
    """The remaining samples, and REWEIGHT's weights of them or None."""
    left = last_layer.take(part.train, ~forgotten)
    if who != REWEIGHTED:
        return left, None
    return left, (np.bincount(part.train.group) / np.bincount(left.group))[left.group]


def steps_of(start, left, weights, steps, b=0.0):
    """After each Newton step: its number, the weights w, the residual and its bound."""
    w, loss = start, {"x": left.x, "y": left.y, "l2": L2, "b": b, "weights": weights}
    for n in range(1, steps + 1):
        limit = certified.bound(w, **loss)
        w = certified.newton_step(w, **loss)
        yield n, w, certified.residual(w, **loss), limit


def certified_rows(seed):
    """Without noise: residual, bound, distance to the exactly retrained model, and its accuracy by group."""
    part, rows = last_layer.features(seed, unit=True), []
    start = certified.train(part.train.x, part.train.y, L2)
    for ratio, who, forgotten in requests(part, seed):
        left, weights = remaining(part, who, forgotten)
        exact = last_layer.fit(left, weights, L2)
        accuracy = dict(zip(part.names, last_layer.accuracy_by_group(exact, part.test), strict=True))
        rows += [{"seed": seed, "ratio": ratio, "request": who, "steps": n, "residual": residual,
                  "bound": limit, "distance": np.linalg.norm(w - exact), **accuracy}
                 for n, w, residual, limit in steps_of(start, left, weights, 3)]
    return rows


def noise_rows(seed):
    """With noise: the mean accuracy of every group, and the epsilon that holds for every draw."""
    part, rng, rows = last_layer.features(seed, unit=True), np.random.default_rng(seed), []
    draws = rng.normal(size=(DRAWS, part.train.x.shape[1]))
    for sigma in SIGMAS:
        starts = [certified.train(part.train.x, part.train.y, L2, sigma * b) for b in draws]
        for ratio, who, forgotten in requests(part, seed):
            left, weights = remaining(part, who, forgotten)
            chains = [list(steps_of(w, left, weights, 2, sigma * b))
                      for w, b in zip(starts, draws, strict=True)]
            for n, chain in enumerate(zip(*chains, strict=True), 1):
                accuracy = np.mean([last_layer.accuracy_by_group(w, part.test) for _, w, *_ in chain], axis=0)
                allowed = max(limit for *_, limit in chain)
                rows.append({"seed": seed, "ratio": ratio, "request": who, "steps": n, "sigma": sigma,
                             "epsilon": certified.noise_scale(allowed, 1, DELTA) / sigma,
                             **dict(zip(part.names, accuracy, strict=True))})
    return rows


def sisa_rows(seed):
    """The cost of the requests at RATIO as retrained samples, and the accuracy before and after."""
    part, rows = last_layer.features(seed, unit=True), []
    train, rng = part.train, np.random.default_rng(seed)
    asked = [(who, forgotten) for ratio, who, forgotten in requests(part, seed)
             if ratio == RATIO and who != REWEIGHTED]
    first = np.argsort(train.group != part.forget_group, kind="stable")
    for n, placement in product(SHARDS, (SHUFFLED, TOGETHER)):
        shard = rng.permutation(len(train.y)) * n // len(train.y)
        if placement == TOGETHER:
            shard[first] = np.arange(len(first)) * n // len(first)
        models = certified.sisa(train, shard, L2)
        for who, forgotten in asked:
            new, used = certified.sisa_forget(models, train, shard, forgotten, L2)
            one = np.mean([np.sum(shard == k) - 1 for k in shard[forgotten]])
            states = {"before": models, "after": new}
            rows += [{"seed": seed, "shards": n, "placement": placement, "request": who, "state": state,
                      "one": one, "all": used, **dict(zip(part.names, certified.sisa_accuracy(m, part.test),
                                                          strict=True))} for state, m in states.items()]
    return rows


def table(rows_of):
    """The function that computes a table, from a function of a seed; numbers have five digits."""
    def shown(value):
        return (abs(value) > SMALLEST) * float(f"{value:.5g}") if isinstance(value, float) else value

    def compute(jobs):
        parts = Parallel(jobs)(delayed(rows_of)(seed) for seed in SEEDS)
        return pd.DataFrame([row for part in parts for row in part]).map(shown)
    return compute


if __name__ == "__main__":
    write_study(certified=table(certified_rows), certified_noise=table(noise_rows), sisa=table(sisa_rows))
