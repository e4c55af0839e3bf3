"""An audit: can anybody tell that a model has unlearned a sample from never having seen it?

U-LiRA (Hayes et al. 2024): shadow models train on random halves of the training set and unlearn by the method
under test, so that every sample is *unlearned* by some, *retained* by some and *never seen* by others. For
each sample, a Gaussian likelihood ratio between two of these states, fitted to the other shadows, guesses its
state in one. A shadow model is an `Experiment` with `half=True`: PRETRAINs are shared by all methods, and the
store remembers what is finished.

    python -m grmu audit --dataset groundwear-memorised --method miu --reweight     some minutes on two cores

Beside it: the same models under attacks on an average (loss, random forest); the noise floor between gold
standards that differ in their seed; how fast the forget set is learnt again.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from grmu import data
from grmu.data import GroupedDataset
from grmu.data.arguments import Parser, between
from grmu.methods import FineTune
from grmu.metrics import METRICS, membership_forest
from grmu.models import Classifier
from grmu.numerics import fixed_threads
from grmu.runs import Experiment, load_split, map_experiments, run, trained
from grmu.study.command import add_jobs
from grmu.study.compare import Interval
from grmu.training import Context, Recipe, predict, train

SHADOWS = 64
NEVER, RETAINED, UNLEARNED = 0, 1, 2
RATES = (0.01, 0.05)  # false positives at which an attack's true positives are reported
MEASURES = ("AUC", *(f"TPR at {rate:.0%} FPR" for rate in RATES))
BLOCKS = 16
GOLDS = 3  # gold standards that a model is compared with
STEPS = 100
SHOWN_STEPS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 100)


class Observations(NamedTuple):
    """What K shadow models say of the N samples of the whole training set, all (K, N).

    status: NEVER, RETAINED or UNLEARNED.  confidence: log p / (1 - p), p the probability of the right class.
    loss: minus the cross-entropy.  forest: probability of membership by the paper's random forest.
    """

    status: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    forest: np.ndarray


def shadows(experiment: Experiment, n: int = SHADOWS) -> list[Experiment]:
    """The experiment on n random halves of the training set; in each, the forget set is drawn anew.

    Raises:
        ValueError: n is no whole number from 1.
    """
    data.number("shadows", n, 1, whole=True)
    return [replace(experiment, seed=seed, half=True) for seed in range(n)]


def observe(experiment: Experiment, store: str | Path | None = None) -> Observations:
    """One shadow model, trained unless the store has it: (1, N) each."""
    splits, split, _ = load_split(experiment)
    whole = experiment.load().train
    half, status = data.half_of(whole, experiment.seed), np.full(len(whole), NEVER)
    status[half[split.retain_index]], status[half[split.forget_index]] = RETAINED, UNLEARNED
    model = trained(experiment, store)
    with fixed_threads():
        logits, val_logits = (predict(model, model, part.x).double() for part in (whole, splits.val))
        others = logits.scatter(1, whole.y[:, None], -torch.inf).logsumexp(1)
        losses = cross_entropy(logits, whole.y, reduction="none")
        forest = membership_forest(losses[half[split.retain_index]],
                                   cross_entropy(val_logits, splits.val.y, reduction="none"),
                                   split.retain.group, splits.val.group)
        member = forest.predict_proba(losses[:, None].numpy())[:, 1]
    confidence = logits.gather(1, whole.y[:, None])[:, 0] - others
    return Observations(*(v[None] for v in (status, confidence.numpy(), -losses.numpy(), member)))


def observe_all(experiment: Experiment, n: int = SHADOWS, store: str | Path | None = None, jobs: int = 1,
                progress: bool = True) -> Observations:
    """`observe` n shadow models, under a progress bar, in `jobs` processes."""
    seen = map_experiments(partial(observe, store=store), shadows(experiment, n), jobs, progress)
    return Observations(*map(np.concatenate, zip(*seen, strict=True)))


def likelihood_ratios(confidence: np.ndarray, status: np.ndarray, positive: int = UNLEARNED) -> np.ndarray:
    """log N(c; mean where positive) - log N(c; mean where never seen), of each shadow and sample, (K, N).

    Each sample has two means, from its confidences in all *other* shadows, so that no shadow is judged by
    itself; all share one variance (Carlini et al. 2022 advise so for few shadows). NaN where a sample is of
    neither status, or fewer than two other shadows are of one of them.
    """
    means, counts, spread, n_all = [], [], 0.0, 0.0
    for kind in (positive, NEVER):
        here = (status == kind).astype(float)
        total, n = (here * confidence).sum(0), here.sum(0)
        spread += (here * (confidence - total / np.maximum(n, 1)) ** 2).sum()
        n_all += np.maximum(n - 1, 0).sum()
        means.append((total - here * confidence) / np.maximum(n - here, 1))
        counts.append(n - here)
    usable = (np.minimum(*counts) >= 2) & np.isin(status, (positive, NEVER))
    ratio = ((confidence - means[1]) ** 2 - (confidence - means[0]) ** 2) * n_all / (2 * spread)
    return np.where(usable, ratio, np.nan)


def as_they_are(scores: np.ndarray, status: np.ndarray, positive: int = UNLEARNED) -> np.ndarray:
    """The scores of an attack that has nothing to fit."""
    return scores


ATTACKS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]]] = {
    "U-LiRA": ("confidence", likelihood_ratios), "loss": ("loss", as_they_are),
    "forest": ("forest", as_they_are)}


def judge(seen: Observations, attack: str = "U-LiRA", positive: int = UNLEARNED) -> dict[str, Interval]:
    """How well an attack tells a status from never seen, over all shadows and samples.

    Returns:
        AUC, and the true positives at each of the `RATES`.

    The 95 % intervals are jackknifed: the attack is fitted and judged anew without each of `BLOCKS` blocks of
    shadow models, since the samples of one model are not independent. They are wider than need be where the
    AUC is near 0.5.

    Raises:
        ValueError: an unknown attack, or too few shadow models.
    """
    data.known("attack", attack, ATTACKS)
    column, fit = ATTACKS[attack]
    values, status = getattr(seen, column), seen.status

    def measures(rows: np.ndarray) -> list[float]:
        scores = fit(values[rows], status[rows], positive)
        taken = np.isin(status[rows], (positive, NEVER)) & ~np.isnan(scores)
        truth, score = status[rows][taken] == positive, scores[taken]
        if truth.all() or not truth.any():
            raise ValueError(f"{len(values)} shadow models are too few: "
                             f"too seldom is a sample of either status; take {SHADOWS}.")
        false, true, _ = roc_curve(truth, score, drop_intermediate=False)  # else rates between are lost
        return [roc_auc_score(truth, score), *(true[false <= rate].max() for rate in RATES)]

    everyone, n_blocks = np.arange(len(values)), min(BLOCKS, len(values))
    point = np.array(measures(everyone))
    without = np.array([measures(np.setdiff1d(everyone, block))
                        for block in np.array_split(everyone, n_blocks)])
    half = stats.t.ppf(0.975, n_blocks - 1) * np.sqrt((n_blocks - 1) * without.var(0))
    low, high = np.clip([point - half, point + half], 0, 1)
    return {name: Interval(float(mean), float(start), float(end), len(everyone))
            for name, mean, start, end in zip(MEASURES, point, low, high, strict=True)}


def never_again(seen: Observations, seed: int = 0) -> Observations:
    """The control: a random third of those never seen passes for unlearned, and nobody else is there."""
    pretended = np.random.default_rng(seed).random(seen.status.shape) < 1 / 3
    status = np.where(seen.status != NEVER, RETAINED, np.where(pretended, UNLEARNED, NEVER))
    return seen._replace(status=status)


def select(seen: Observations, samples: np.ndarray) -> Observations:
    """The observations of some samples only."""
    return Observations(*(v[:, samples] for v in seen))


def exposure(seen: Observations, positive: int = UNLEARNED) -> np.ndarray:
    """How far each sample's confidence where `positive` lies above where it was never seen, (2, N).

    In standard deviations, once from the even and once from the odd shadows: who looks most exposed in one
    half should be looked up in the other.
    """
    both = []
    for start in (0, 1):
        status, c = seen.status[start::2], seen.confidence[start::2]
        values = [np.where(status == k, c, np.nan) for k in (positive, NEVER)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a sample that no shadow of this half has: NaN
            centred = [v - np.nanmean(v, 0) for v in values]
            gap = np.nanmean(values[0], 0) - np.nanmean(values[1], 0)
            both.append(gap / np.nanstd(np.concatenate(centred)))
    return np.array(both)


def audit(experiment: Experiment, seen: Observations) -> pd.DataFrame:
    """All attacks on an experiment's shadow models: a row an attack, `who` it looks for, and group.

    `who`: "unlearned", of the groups that ask to be forgotten; "retained", of every group; "never", the
    control. With numbers of samples, and the `MEASURES` with their intervals.
    """
    train, (_, _, asking) = experiment.load().train, load_split(experiment)
    rows = []
    for group, name in enumerate(train.group_names):
        of_group = select(seen, (train.group == group).numpy())
        asks = any(train.group_id(g) == group for g in asking)
        cases = [("retained", RETAINED, of_group)]
        if asks:
            cases += [("unlearned", UNLEARNED, of_group), ("never", UNLEARNED, never_again(of_group))]
        for (who, positive, those), attack in product(cases, ATTACKS):
            found = judge(those, attack, positive)
            rows.append({"attack": attack, "who": who, "group": name,
                         "n": int((those.status == positive).sum()),
                         "n_never": int((those.status == NEVER).sum()), "shadows": len(seen.status),
                         **{f"{measure}{end}": value for measure, i in found.items()
                            for end, value in (("", i.mean), (" low", i.low), (" high", i.high))}})
    return pd.DataFrame(rows)


def about(e: Experiment) -> dict[str, object]:
    """What a row of a table says of its run."""
    return {"dataset": e.dataset, "method": e.method, "reweight": e.reweight, "ratio": e.ratio,
            "seed": e.seed}


def output_distances(logits: Tensor, other: Tensor) -> dict[str, float]:
    """How differently two models answer the same samples, (N, C) each: mean KL(other || one) in nats, mean
    total variation, and the share of samples on which they disagree."""
    p, q = log_softmax(other, 1), log_softmax(logits, 1)
    return {"KL": (p.exp() * (p - q)).sum(1).mean().item(),
            "TV": ((p.exp() - q.exp()).abs().sum(1) / 2).mean().item(),
            "disagreement": (p.argmax(1) != q.argmax(1)).float().mean().item()}


def distances(experiment: Experiment, store: str | Path | None = None) -> list[dict[str, object]]:
    """How far a model is from `golds_of` its split, a mean over them: one row a measure.

    For a gold standard, this is the noise floor: no method can be asked to come nearer.
    """
    splits, split, _ = load_split(experiment)
    runs = [run(e, store) for e in (experiment, *golds_of(experiment))]
    with fixed_threads():
        outputs = [{name: predict(r.model, r.model, part.x)
                    for name, part in (("forget", split.forget), ("test", splits.test))} for r in runs]
    rows = []
    for r, out in zip(runs[1:], outputs[1:], strict=True):
        row = {name: abs(runs[0].metrics[name] - r.metrics[name]) for name in (*METRICS, "WG")}
        for name, logits in outputs[0].items():
            row |= {f"{what}, {name}": value for what, value in output_distances(logits, out[name]).items()}
        rows.append(row)
    return [about(experiment) | {"measure": name, "distance": value}
            for name, value in pd.DataFrame(rows).mean().items()]


def golds_of(experiment: Experiment) -> list[Experiment]:
    """GOLDS gold standards of the same split, with seeds of their own."""
    seed = experiment.seed
    split_seed = seed if experiment.split_seed is None else experiment.split_seed
    return [replace(experiment.gold, seed=1000 * k + seed, split_seed=split_seed)
            for k in range(1, GOLDS + 1)]


def relearn(model: Classifier, forget: GroupedDataset, steps: int, lr: float = 0.01) -> list[float]:
    """Accuracy on the forget set before and after each of `steps` steps of fine-tuning on all of it."""
    batch_size = max(2, len(forget))
    recipe = Recipe(epochs=steps, lr=lr, batch_size=batch_size, weight_decay=0.0, schedule="constant")
    learner = copy.deepcopy(model).requires_grad_(True)
    accuracies = []

    def note_accuracy(epoch: int, row: dict[str, float]) -> None:
        accuracies.append((predict(learner, learner, forget.x).argmax(1) == forget.y).float().mean().item())

    with fixed_threads():
        note_accuracy(0, {})
        rng = torch.Generator().manual_seed(0)
        train(FineTune(), Context(learner, None, forget, forget, forget, rng, recipe), note_accuracy)
    return accuracies


def relearning(experiment: Experiment, store: str | Path | None = None) -> dict[str, object]:
    """`relearn` a run's forget set; `steps` until its accuracy is PRETRAIN's again, STEPS + 1 if never."""
    _, split, _ = load_split(experiment)
    curve = relearn(trained(experiment, store), split.forget, STEPS)
    target = run(experiment.original, store).metrics["UA"]
    steps = next((step for step, accuracy in enumerate(curve) if accuracy >= target - 1e-6), STEPS + 1)
    return about(experiment) | {"target": target, "steps": steps,
                                **{f"UA_{step}": curve[step] for step in SHOWN_STEPS}}


def main(argv: list[str]) -> int:
    """Audit one method and print what every attack finds."""
    parser = Parser(prog="python -m grmu audit", description=__doc__)
    parser.add_argument("--dataset", default="groundwear-memorised", choices=data.EMBEDDED, metavar="NAME",
                        help=f"one of {', '.join(data.EMBEDDED)} (default: %(default)s)")
    parser.add_argument("--method", default="miu", metavar="NAME",
                        help="a method's name (default: %(default)s)")
    parser.add_argument("--reweight", action="store_true", help="with REWEIGHT")
    parser.add_argument("--ratio", type=float, default=0.5,
                        help="share of the group that is unlearned (default: %(default)s)")
    parser.add_argument("--shadows", type=between(2), default=SHADOWS,
                        help="shadow models (default: %(default)s)")
    add_jobs(parser)
    options = parser.parse_args(argv)
    started = time.perf_counter()
    experiment = Experiment(options.dataset, options.method, options.reweight, options.ratio)
    table = audit(experiment, observe_all(experiment, options.shadows, jobs=options.jobs))
    seconds = time.perf_counter() - started
    for measure in MEASURES:
        ends = zip(*(table.pop(f"{measure}{end}") for end in ("", " low", " high")), strict=True)
        table[measure] = [f"{mean:.2f} [{low:.2f}, {high:.2f}]" for mean, low, high in ends]
    print(f"{experiment.method}{' + REWEIGHT' * experiment.reweight} on {experiment.dataset}, ratio "
          f"{experiment.ratio:g}, {options.shadows} shadow models, {seconds:.0f} s; "
          "attacks and their 95 % intervals\n")
    print(table.drop(columns="shadows").to_string(index=False))
    return 0
