"""Compute the tables of lesson 06: curves, the membership attack, costs and repeated retrains.

This script writes trajectories.csv, membership.csv, cost.csv and twins.csv: python data/results/benchmark.py
"""

from itertools import combinations, product
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from distances import golds_of
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch.nn.functional import cross_entropy

from grmu.analysis.grids import MANY_SEEDS, METHODS, SEEDS
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, load_split, map_experiments, run
from grmu.metrics import attack_data, membership_attacker, mia_efficacy
from grmu.numerics import fixed_threads
from grmu.training import predict

DATASETS = ("groundwear", "groundwear-memorised")
RATIOS = (0.5, 0.9)


def trajectories(jobs):
    """Return the mean UA and GA over seeds after each epoch on groundwear; epoch 0 is the original model."""
    runs = [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed)
            for ratio, method, reweight, seed in product(RATIOS, METHODS, (False, True), SEEDS)]
    rows = []
    for e, result in zip(runs, map_experiments(run, runs, jobs), strict=True):
        points = [run(e.original).metrics, *result.curves.to_dict("records")]
        if len(points) == 1:  # a method without epochs
            points.append(result.metrics)
        rows += [{"method": e.method, "reweight": e.reweight, "ratio": e.ratio, "epoch": epoch,
                  "UA": point["UA"], "GA": point["GA"]} for epoch, point in enumerate(points)]
    by = ["method", "reweight", "ratio", "epoch"]
    return pd.DataFrame(rows).groupby(by, sort=False)[["UA", "GA"]].mean().reset_index()


def attack_accuracy(retain, val, retain_group, val_group, seed=0):
    """Return the cross-validated balanced accuracy of the attacker behind MIA on held-out samples.

    Chance is 0.5. MIA is only meaningful if the accuracy is clearly above chance.
    """
    losses, member, weights = attack_data(retain, val, retain_group, val_group)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guessed = cross_val_predict(membership_attacker(seed), losses, member, cv=folds,
                                params={"sample_weight": weights})
    return float(balanced_accuracy_score(member, guessed, sample_weight=weights))


def membership_of(e):
    """Return the results of the attack on one model.

    These are its accuracy, the mean and spread of MIA over ten forests, and the AUC of the loss alone between
    the forget set and test samples of its group.
    """
    splits, split, groups = load_split(e)
    model = run(e).model
    with fixed_threads():
        parts = {"retain": split.retain, "val": splits.val, "forget": split.forget, "test": splits.test}
        losses = {name: cross_entropy(predict(model, model, d.x), d.y, reduction="none")
                  for name, d in parts.items()}
    ours, theirs = losses["forget"].numpy(), losses["test"][splits.test.in_groups(groups)].numpy()
    fitted_to, of_groups = (losses["retain"], losses["val"]), (split.retain.group, splits.val.group)
    mia = [mia_efficacy(*fitted_to, losses["forget"], *of_groups, seed) for seed in range(10)]
    return {"dataset": e.dataset, "method": e.method, "reweight": e.reweight, "ratio": e.ratio,
            "seed": e.seed, "attack": attack_accuracy(*fitted_to, *of_groups), "MIA": np.mean(mia),
            "MIA_sd": np.std(mia, ddof=1), "n_forget": len(ours),
            "AUC": roc_auc_score(np.r_[np.ones(len(ours)), np.zeros(len(theirs))], -np.r_[ours, theirs])}


def membership(jobs):
    """Return `membership_of` the references and of MIU + REWEIGHT."""
    kinds = (("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True))
    runs = [Experiment(dataset, *kind, ratio, seed=seed)
            for dataset, ratio, seed in product(DATASETS, RATIOS, SEEDS) for kind in kinds]
    return pd.DataFrame(map_experiments(membership_of, runs, jobs)).round(5)


def cost(jobs):
    """Return what each method costs on groundwear at ratio 0.5.

    The columns are epochs, passes over the data (`seen`, as a multiple of the training set), and seconds: the
    median of three pairs with fine-tuning, in one process.
    """
    rows = []
    for method in ("retrain", "group_dro", "rwg", "subg", *METHODS):
        e, plain = Experiment(method=method, ratio=0.5), Experiment(method="finetune", ratio=0.5)
        with TemporaryDirectory() as scratch:
            run(e.original, scratch)
            pairs = np.array([[run(one, scratch, fresh=True).seconds for one in (plain, e)]
                              for _ in range(3)])
        _, split, _ = load_split(e)
        epochs = e.config.epochs
        forget_epochs = min(e.make_method().forget_epochs, epochs)
        n_retain = len(split.retain)
        if method == "subg":  # it uses as many samples of each group as the smallest group has
            n_retain = split.retain.n_groups * int(split.retain.group_counts().min())
        seen = epochs * n_retain + forget_epochs * len(split.forget)
        rows.append({"method": method, "epochs": epochs, "forget_epochs": forget_epochs,
                     "seen": seen / (len(split.retain) + len(split.forget)),
                     "seconds": np.median(pairs[:, 1]),
                     "over_finetuning": np.median(pairs[:, 1] / pairs[:, 0])})
    return pd.DataFrame(rows).round(3)


def twins(jobs):
    """Return the differences between gold standards of one split with different training seeds."""
    splits = [Experiment(dataset, ratio=0.5, seed=seed) for dataset, seed in product(DATASETS, MANY_SEEDS)]
    runs = [gold for e in splits for gold in (e.gold, *golds_of(e)[:2])]
    metrics = pd.DataFrame([r.metrics for r in map_experiments(run, runs, jobs)])[["UA", "GA", "TA"]]
    rows = []
    for e, first in zip(splits, range(0, len(metrics), 3), strict=True):
        for one, other in combinations(range(first, first + 3), 2):
            rows.append({"dataset": e.dataset, "seed": e.seed, **(metrics.loc[one] - metrics.loc[other])})
    return pd.DataFrame(rows).round(5)


if __name__ == "__main__":
    write_study(trajectories=trajectories, membership=membership, cost=cost, twins=twins)
