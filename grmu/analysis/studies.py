"""Small studies beside the grids, shipped as tables of their own; `python -m grmu results` makes them last.

trajectories: UA and GA after every epoch of the approximate methods.
membership: can the attack behind MIA tell members at all, and how much does it depend on its own seed?
cost: each method's time over fine-tuning's.
audit, efficacy, stayers, answers, exposure, distances, relearning: lesson 07.  inferred: lesson 09.
twins: repeated retrains, the noise floor between gold standards of one split.
Elsewhere in `grmu.analysis`: tuning, released, shift, moved, causes, features, layers, pictures, sentences (
same names), rivals_search (`rivals`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import Tensor
from torch.nn.functional import cross_entropy

from grmu.analysis import attacks, shipped_tables
from grmu.analysis import audit as audits
from grmu.analysis.causes import causes
from grmu.analysis.features import features
from grmu.analysis.grids import FURTHER_METHODS, MANY_SEEDS, PAPER_METHODS, SEEDS
from grmu.analysis.groupings import agreement, alpha_of
from grmu.analysis.layers import layers
from grmu.analysis.moved import moved
from grmu.analysis.names import label
from grmu.analysis.pictures import pictures
from grmu.analysis.released import released
from grmu.analysis.rivals import rivals_search
from grmu.analysis.sentences import sentences
from grmu.analysis.shadows import Observations, observe_all, select
from grmu.analysis.shift import shift
from grmu.analysis.shipped_tables import margins as margins
from grmu.analysis.tuning import tuning
from grmu.data import known
from grmu.discover import GROUPINGS, infer
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.metrics import attack_data, membership_attacker, mia_efficacy
from grmu.numerics import fixed_threads
from grmu.training import predict

METHODS = ("finetune", *PAPER_METHODS, *FURTHER_METHODS)
FOREST_SEEDS = range(10)
JUDGED = (("pretrain", False), ("retrain", False), ("retrain", True), *product(PAPER_METHODS, (False, True)))
AUDITED = {  # where models learn, and where they know by heart
    "groundwear": (("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True)),
    "groundwear-memorised": (("pretrain", False), ("retrain", True), ("finetune", True), ("scrub", True),
                             ("miu", True))}


def trajectories(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """Mean UA and GA over seeds after every epoch (0 is PRETRAIN), on `groundwear`."""
    runs = [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed)
            for ratio, method, reweight, seed in product((0.5, 0.9), METHODS, (False, True), SEEDS)]
    rows = []
    for e, result in zip(runs, map_experiments(partial(run, store=store), runs, jobs), strict=True):
        points = [run(e.original, store).metrics, *result.curves.to_dict("records")]
        if len(points) == 1:  # done in one stroke
            points.append(result.metrics)
        rows += [{"method": e.method, "reweight": e.reweight, "ratio": e.ratio, "epoch": epoch,
                  "UA": point["UA"], "GA": point["GA"]} for epoch, point in enumerate(points)]
    by = ["method", "reweight", "ratio", "epoch"]
    return pd.DataFrame(rows).groupby(by, sort=False)[["UA", "GA"]].mean().reset_index()


def attack_accuracy(retain: Tensor, val: Tensor, retain_group: Tensor, val_group: Tensor,
                    seed: int = 0) -> float:
    """How well the attacker of `mia_efficacy` tells members from others at all: balanced accuracy on held-out
    samples.

    Five-fold cross-validation; 0.5 is chance. An efficacy means something only where this is clearly above
    it.
    """
    losses, member, weights = attack_data(retain, val, retain_group, val_group)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guessed = cross_val_predict(membership_attacker(seed), losses, member, cv=folds,
                                params={"sample_weight": weights})
    return float(balanced_accuracy_score(member, guessed, sample_weight=weights))


def membership_of(experiment: Experiment, store: str | None = None) -> dict[str, object]:
    """The attack on one model: its accuracy on members against others, MIA's mean and spread over forests.

    AUC: how well the loss alone ranks the forget set below test samples of its group; 0.5 is chance.
    """
    splits, split, groups = load_split(experiment)
    model = run(experiment, store).model
    with fixed_threads():
        parts = {"retain": split.retain, "val": splits.val, "forget": split.forget, "test": splits.test}
        losses = {name: cross_entropy(predict(model, model, d.x), d.y, reduction="none")
                  for name, d in parts.items()}
    in_group = splits.test.in_groups(groups)
    ours, theirs = losses["forget"].numpy(), losses["test"][in_group].numpy()
    fitted_to, of_groups = (losses["retain"], losses["val"]), (split.retain.group, splits.val.group)
    mia = [mia_efficacy(*fitted_to, losses["forget"], *of_groups, seed) for seed in FOREST_SEEDS]
    return audits.about(experiment) | {
        "attack": attack_accuracy(*fitted_to, *of_groups), "MIA": np.mean(mia), "MIA_sd": np.std(mia, ddof=1),
        "n_forget": len(ours),
        "AUC": roc_auc_score(np.r_[np.ones(len(ours)), np.zeros(len(theirs))], -np.r_[ours, theirs])}


def membership(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`membership_of` references and MIU + REWEIGHT, where models memorise and where they do not."""
    runs = [Experiment(dataset, method, reweight, ratio, seed=seed)
            for dataset, ratio, seed in product(AUDITED, (0.5, 0.9), SEEDS)
            for method, reweight in (("pretrain", False), ("retrain", False), ("retrain", True),
                                     ("miu", True))]
    return pd.DataFrame(map_experiments(partial(membership_of, store=store), runs, jobs)).round(5)


def cost(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """What each method costs on `groundwear` at ratio 0.5: epochs, passes over data, seconds.

    Timed in turns with fine-tuning, alone in one process whatever `jobs` says; the median of three pairs, and
    of its time over fine-tuning's.
    `seen`: pictures in the forward-and-backward passes of the epochs, as a multiple of the training set; what
    `setup` does is in the seconds.
    """
    rows = []
    for method in ("retrain", "group_dro", "rwg", "subg", *METHODS):
        experiment = Experiment(method=method, ratio=0.5)
        plain = Experiment(method="finetune", ratio=0.5)
        with TemporaryDirectory() as scratch:
            run(experiment.original, scratch)
            pairs = np.array([[run(e, scratch, fresh=True).seconds for e in (plain, experiment)]
                              for _ in range(3)])
        _, split, _ = load_split(experiment)
        own, epochs = experiment.make_method(), experiment.config.epochs
        forget_epochs = min(own.forget_epochs, epochs)
        n_retain = len(split.retain)
        if method == "subg":  # as many of every group as the smallest has
            n_retain = split.retain.n_groups * int(split.retain.group_counts().min())
        seen = epochs * n_retain + forget_epochs * len(split.forget)
        rows.append({"method": method, "epochs": epochs, "forget_epochs": forget_epochs,
                     "seen": seen / (len(split.retain) + len(split.forget)),
                     "seconds": np.median(pairs[:, 1]),
                     "over_finetuning": np.median(pairs[:, 1] / pairs[:, 0])})
    return pd.DataFrame(rows).round(3)


@cache
def audited() -> tuple[Experiment, ...]:
    """What lesson 07 audits, at ratio 0.5."""
    return tuple(Experiment(dataset, *one, ratio=0.5) for dataset, chosen in AUDITED.items()
                 for one in chosen)


def _reference(e: Experiment, method: str, reweight: bool) -> Experiment:
    """PRETRAIN or the gold standard among those `audited`, so that what was observed is found again."""
    return next(o for o in audited() if (o.dataset, o.method, o.reweight) == (e.dataset, method, reweight))


@cache
def _seen(experiment: Experiment, store: str | None, jobs: int, overfit: bool = False) -> Observations:
    return observe_all(experiment, store=store, jobs=jobs, overfit=overfit)


def _each(table: Callable[[Experiment], pd.DataFrame], digits: int = 4) -> pd.DataFrame:
    """The tables of all that is `audited`, one below the other, each row with its run."""
    tables = [table(e).assign(dataset=e.dataset, method=e.method, reweight=e.reweight) for e in audited()]
    table_of_all = pd.concat(tables, ignore_index=True)
    return table_of_all[["dataset", "method", "reweight", *list(table_of_all)[:-3]]].round(digits)


def audit(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`grmu.analysis.audit.privacy` of all that is `audited`, on 64 shadow models each."""
    return _each(lambda e: audits.privacy(e, _seen(e, store, jobs), _seen(
        _reference(e, "pretrain", False), store, jobs, True)))


def efficacy(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`grmu.analysis.audit.efficacy` of the same shadow models, beside the gold standard's."""
    return _each(lambda e: audits.efficacy(
        e, _seen(e, store, jobs), _seen(_reference(e, "pretrain", False), store, jobs, True),
        _seen(_reference(e, "retrain", True), store, jobs)))


def stayers(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`grmu.analysis.audit.stayers` of the same shadow models: what they expose beyond PRETRAIN `before`,
    and the gold standard more than RETRAIN, which is REWEIGHT's part."""
    def table(e: Experiment) -> pd.DataFrame:
        befores = [_reference(e, "pretrain", False)]
        if (e.method, e.reweight) == ("retrain", True):
            befores += [o for o in audited() if (o.dataset, o.method, o.reweight) == (
                e.dataset, "retrain", False)]
        return pd.concat([audits.stayers(e, _seen(o, store, jobs), _seen(e, store, jobs)).assign(
            before=o.method) for o in befores])

    return _each(table)


def answers(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """What every shadow model says of every sample of the forget group, where models know by heart.

    A row a shadow and `row` of the training set: what that sample is to it (`status`, as in
    `grmu.analysis.shadows`), and the confidence of PRETRAIN's model and of each that unlearned.
    """
    runs = [e for e in audited() if e.dataset == "groundwear-memorised"]
    splits, _, groups = load_split(runs[0])
    members = splits.train.in_groups(groups).nonzero()[:, 0].numpy()
    seen = [select(_seen(e, store, jobs), members) for e in runs]
    shadow, row = (v.ravel() for v in np.indices(seen[0].status.shape))
    table = pd.DataFrame({"shadow": shadow, "row": members[row], "status": seen[0].status.ravel()})
    return table.assign(**{label(e.method, e.reweight): s.confidence.ravel()
                           for e, s in zip(runs, seen, strict=True)}).round(2)


def exposure(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """How exposed each sample of the forget group is once unlearned (`grmu.analysis.attacks.exposure`).

    `row` of the training set; the values of `even` and of `odd` shadow models.
    """
    def table(e: Experiment) -> pd.DataFrame:
        splits, _, groups = load_split(e)
        members = splits.train.in_groups(groups).nonzero()[:, 0].numpy()
        even, odd = attacks.exposure(select(_seen(e, store, jobs), members))
        return pd.DataFrame({"row": members, "even": even, "odd": odd})

    return _each(table, 3)


def distances(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`grmu.analysis.audit.distances` over seeds, a row a measure; the noise floor is the gold standard's."""
    rows = map_experiments(partial(audits.distances, store=store), _judged(), jobs)
    return pd.DataFrame([row for of_run in rows for row in of_run]).round(5)


def relearning(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`grmu.analysis.audit.relearning` over seeds."""
    return pd.DataFrame(map_experiments(partial(audits.relearning, store=store), _judged(), jobs)).round(4)


def _judged() -> list[Experiment]:
    return [Experiment(dataset, *judged, ratio=0.5, seed=seed)
            for dataset, seed, judged in product(AUDITED, SEEDS, JUDGED)]


def inferred_of(experiment: Experiment, store: str | None = None) -> dict[str, object]:
    """One run with inferred groups, and what became of them.

    `agreement` with the true ones; `alpha` that the retained samples of the forget group get.
    """
    e, (splits, split, groups) = experiment, load_split(experiment)
    grouped = splits.train
    if e.grouping != "true":
        with fixed_threads():
            grouped = infer(e.grouping, train_or_load(e.source, store), splits.train, e.seed)
    metrics = run(e, store).metrics
    alpha = alpha_of(splits.train.group_id(groups[0]), splits.train, grouped, split.retain_index)
    return {"method": e.method, "reweight": e.reweight, "grouping": e.grouping, "ratio": e.ratio,
            "seed": e.seed, **{name: metrics[name] for name in ("GA", "TA", "UA", "RA", "WG", "val_GA")},
            "agreement": agreement(grouped, splits.train), "alpha": alpha}


def inferred(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`inferred_of` on `groundwear`: what needs no groups; REWEIGHT and MIU + REWEIGHT on the true groups and
    on those of every way to infer them."""
    kinds = [("retrain", False, "true"), ("finetune", False, "true"),
             *product(("retrain", "miu"), (True,), ("true", *GROUPINGS))]
    runs = [Experiment(method=method, reweight=reweight, ratio=ratio, seed=seed, grouping=grouping)
            for ratio, seed, (method, reweight, grouping) in product((0.5, 0.9), MANY_SEEDS, kinds)]
    return pd.DataFrame(map_experiments(partial(inferred_of, store=store), runs, jobs)).round(5)


def twins(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """What two gold standards of one split differ by when only their training's seed does: a row per pair.

    Differences in UA, GA and TA, signed, thirty pairs on each data set.
    """
    splits = [Experiment(dataset, ratio=0.5, seed=seed) for dataset, seed in product(AUDITED, MANY_SEEDS)]
    runs = [gold for e in splits for gold in (e.gold, *audits.golds_of(e)[:2])]
    metrics = pd.DataFrame([r.metrics for r in map_experiments(partial(run, store=store), runs, jobs)])
    metrics = metrics[["UA", "GA", "TA"]]
    rows = []
    for e, first in zip(splits, range(0, len(metrics), 3), strict=True):
        for one, other in combinations(range(first, first + 3), 2):
            rows.append({"dataset": e.dataset, "seed": e.seed, **(metrics.loc[one] - metrics.loc[other])})
    return pd.DataFrame(rows).round(5)


STUDIES: dict[str, Callable[..., pd.DataFrame]] = {f.__name__: f for f in (
    trajectories, membership, cost, audit, efficacy, stayers, answers, exposure, distances, relearning,
    inferred, tuning, twins, released, shift, moved, causes, features, layers, pictures, sentences,
    rivals_search)}


def compute(name: str, store: str | None = None, jobs: int = 1) -> Path:
    """Make a study and write its table; ValueError for another name."""
    known("study", name, STUDIES)
    return shipped_tables.write(name, STUDIES[name](store, jobs))


def load(name: str) -> pd.DataFrame:
    """A study's shipped table; errors as of `results.read`, and a ValueError for another name."""
    known("study", name, STUDIES)
    return shipped_tables.read(name)
