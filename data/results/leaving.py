"""Who leaves next: members leave more often if the model serves their group less well (lesson 12).

leaving.csv: python data/results/leaving.py

Stated before the rows were computed. Primary comparison, for the forget group after round 12 at RATE, paired
by seed: the accuracy on new pictures, and the share of the group that is left, of retrain against retrain +
REWEIGHT and against the control. In the control everyone leaves with one probability: in each round, the mean
over the members of the probabilities that the same seed's retrain arm had in that round.

Fine-tuning and MIU continue from the model of the round before, and forget those who left in this round.
Finished arms of a seed are taken from the store.
"""

import contextlib
import copy
import io
import warnings

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from shift import by_group

from grmu import models, training
from grmu.analysis.results import write_study
from grmu.course import last_layer
from grmu.course.leaving import ROUNDS, average_chance, last_layer_update, plain, restore, spiral
from grmu.data import load
from grmu.experiments import Experiment, train_or_load
from grmu.experiments.run import code_digest
from grmu.experiments.store import Store, digest
from grmu.numerics import fixed_threads
from grmu.reweight import group_weights
from grmu.training import correct

SEEDS, NETWORK_SEEDS = range(20), range(5)
RATE, SWEEP = 0.6, (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
CONTROL = "same average"  # follows "retrain", whose probabilities it needs
LAST_LAYER = ("retrain", "retrain + REWEIGHT", CONTROL)
NETWORK = {**dict.fromkeys(LAST_LAYER, "retrain"), "fine-tuning + REWEIGHT": "finetune",
           "MIU + REWEIGHT": "miu"}


def network_update(arm, seed):
    """The update of the whole network: trained from scratch on the members who are left, or continued from
    the network of the round before."""
    e, splits = Experiment(method=NETWORK[arm], seed=seed), load("groundwear")
    train, n_updates = splits.train, 0
    before, model = np.ones(len(train), dtype=bool), train_or_load(e.original)

    def update(here):
        nonlocal before, model, n_updates
        if (before & ~here).any():
            n_updates += 1
            start = None if arm in LAST_LAYER else model
            new = copy.deepcopy(start) or models.build(e.network, train, seed)
            present, retained = train.subset(torch.from_numpy(before)), torch.from_numpy(here[before])
            retain, weights = present.subset(retained), None
            if "REWEIGHT" in arm:
                with warnings.catch_warnings(action="ignore"):  # of an empty group
                    weights = group_weights(train.group_counts(), retain.group_counts())[retain.group]
            rng = torch.Generator().manual_seed(seed + 1 + 100 * n_updates)
            context = training.Context(new.requires_grad_(True), start, present, retain,
                                       present.subset(~retained), rng, e.config, weights,
                                       retained.nonzero().flatten())
            training.train(e.make_method(), context)
            model, before = new.eval().requires_grad_(False), here
        return by_group(correct(model, splits.test), splits.test).numpy()

    return update


def network_arm(arm, seed, chance):
    """Members left and accuracies of an arm, from the store if they are there."""
    identity = [arm, seed, RATE, ROUNDS, code_digest(), torch.__version__]

    def compute():
        with fixed_threads():
            left, accuracy = spiral(load("groundwear").train.group.numpy(), network_update(arm, seed), RATE,
                                    seed, ROUNDS, chance)
        return {"left": left.tolist(), "accuracy": accuracy.tolist()}, None

    record = Store().get_or_compute("leaving", digest(identity)[:20], compute)
    return np.array(record["left"]), np.array(record["accuracy"])


def rows_of(model, arm, seed, rate, left, accuracy):
    """A row a round and group; of rates other than RATE only of the first and the last round."""
    rounds = range(ROUNDS + 1) if rate == RATE else (0, ROUNDS)
    names = load("groundwear").train.group_names
    return [{"model": model, "arm": arm, "seed": seed, "rate": rate, "round": n, "group": name,
             "left": int(left[n, g]), "accuracy": float(accuracy[n, g])}
            for n in rounds for g, name in enumerate(names)]


def rows_of_arms(model, arms, seed, rate, play):
    """Rows of all arms: `play` takes an arm and the chances of the control, or None."""
    chance, rows = None, []
    for arm in arms:
        left, accuracy = play(arm, chance if arm == CONTROL else None)
        chance = average_chance(left, accuracy, rate) if arm == "retrain" else chance
        rows += rows_of(model, arm, seed, rate, left, accuracy)
    return rows


def last_layer_rows(seed, rate):
    """Rows of all arms of the last layer."""
    data = last_layer.features(seed)

    def play(arm, chance):
        update = last_layer_update(data, restore if "REWEIGHT" in arm else plain)
        return spiral(data.train.group, update, rate, seed, ROUNDS, chance)

    return rows_of_arms("last layer", LAST_LAYER, seed, rate, play)


def network_rows(seed):
    """Rows of all arms of the network."""
    return rows_of_arms("network", NETWORK, seed, RATE, lambda arm, chance: network_arm(arm, seed, chance))


def leaving(jobs):
    """All rows; accuracies as fractions."""
    with contextlib.redirect_stdout(io.StringIO()):  # which groups are empty
        rows = [last_layer_rows(seed, rate) for seed in SEEDS for rate in SWEEP]
    rows += Parallel(jobs)(delayed(network_rows)(seed) for seed in NETWORK_SEEDS)
    return pd.DataFrame([row for some in rows for row in some]).round(5)


if __name__ == "__main__":
    write_study(leaving=leaving)
