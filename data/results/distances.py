"""Measure how far models are from gold standards of their split, and how fast they relearn the forget set.

This script writes distances.csv and relearning.csv for lesson 07: python data/results/distances.py
"""

import copy
from dataclasses import replace
from itertools import product

import pandas as pd
from torch.nn.functional import log_softmax

from grmu.analysis.grids import PAPER_METHODS, SEEDS
from grmu.analysis.results import write_study
from grmu.analysis.shadows import keep_training
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.metrics import METRICS
from grmu.numerics import fixed_threads
from grmu.training import predict

JUDGED = (("pretrain", False), ("retrain", False), ("retrain", True), *product(PAPER_METHODS, (False, True)))
STEPS = 100
SHOWN_STEPS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 100)


def golds_of(e):
    """Return three gold standards of the same split, with different seeds."""
    split_seed = e.seed if e.split_seed is None else e.split_seed
    return [replace(e.gold, seed=1000 * k + e.seed, split_seed=split_seed) for k in (1, 2, 3)]


def about(e):
    """Return the columns that identify a run."""
    return {name: getattr(e, name) for name in ("dataset", "method", "reweight", "ratio", "seed")}


def output_distances(logits, other):
    """Return how much the outputs of two models on the same samples differ, given their logits (N, C).

    The distances are the mean KL(other || one) in nats, the mean total variation, and the share of samples on
    which the models disagree.
    """
    p, q = log_softmax(other, 1), log_softmax(logits, 1)
    return {"KL": (p.exp() * (p - q)).sum(1).mean().item(),
            "TV": ((p.exp() - q.exp()).abs().sum(1) / 2).mean().item(),
            "disagreement": (p.argmax(1) != q.argmax(1)).float().mean().item()}


def distances_of(e):
    """Return the mean distance of a model from three gold standards of its split: one row per measure."""
    splits, split, _ = load_split(e)
    runs = [run(one) for one in (e, *golds_of(e))]
    parts = {"forget": split.forget, "test": splits.test}
    with fixed_threads():
        outputs = [{name: predict(r.model, r.model, part.x) for name, part in parts.items()} for r in runs]
    rows = []
    for r, out in zip(runs[1:], outputs[1:], strict=True):
        row = {name: abs(runs[0].metrics[name] - r.metrics[name]) for name in (*METRICS, "WG")}
        for name, logits in outputs[0].items():
            row |= {f"{what}, {name}": value for what, value in output_distances(logits, out[name]).items()}
        rows.append(row)
    return [about(e) | {"measure": name, "distance": value}
            for name, value in pd.DataFrame(rows).mean().items()]


def relearning_of(e):
    """Return how many fine-tuning steps on the forget set a model needs to reach PRETRAIN's accuracy on it.

    The number is STEPS + 1 if the model never reaches it.
    """
    forget = load_split(e)[1].forget
    learner, curve = copy.deepcopy(train_or_load(e)).requires_grad_(True), []

    def note_accuracy(epoch, row):
        curve.append((predict(learner, learner, forget.x).argmax(1) == forget.y).float().mean().item())

    with fixed_threads():
        note_accuracy(0, {})
    keep_training(learner, forget, STEPS, 0.01, note_accuracy)
    target = run(e.original).metrics["UA"]
    steps = next((step for step, accuracy in enumerate(curve) if accuracy >= target - 1e-6), STEPS + 1)
    shown = {f"UA_{step}": curve[step] for step in SHOWN_STEPS}
    return about(e) | {"target": target, "steps": steps, **shown}


def judged():
    """Return the runs whose distances and relearning are measured."""
    return [Experiment(dataset, *kind, ratio=0.5, seed=seed)
            for dataset, seed, kind in product(("groundwear", "groundwear-memorised"), SEEDS, JUDGED)]


def distances(jobs):
    """Return `distances_of` these runs. The gold standard's own distance is the noise floor."""
    return pd.DataFrame([row for rows in map_experiments(distances_of, judged(), jobs)
                         for row in rows]).round(5)


def relearning(jobs):
    """Return `relearning_of` these runs."""
    return pd.DataFrame(map_experiments(relearning_of, judged(), jobs)).round(4)


if __name__ == "__main__":
    write_study(distances=distances, relearning=relearning)
