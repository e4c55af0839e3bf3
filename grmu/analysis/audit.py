"""An audit: what shadow models give away of those who were unlearned, and what that proves.

    python -m grmu audit --dataset groundwear-memorised --method miu --reweight     some minutes on two cores

Two questions, each with controls that could have failed. *Privacy*: can an attacker tell who was unlearned
from who was never seen? *Efficacy*: does the model answer for them as one that was trained without them?
Where an attack does not find members who were kept, or those of a model overfitted on purpose, it cannot
tell.

Beside it: what unlearning does to those who stay; the noise floor between gold standards that differ in their
seed; how fast the forget set is learnt again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn.functional import log_softmax

from grmu import data
from grmu.analysis.attacks import (
    ATTACKS,
    RATES,
    change,
    judge,
    resampled,
    too_few,
    verdict,
    would_be_seen,
)
from grmu.analysis.command import add_jobs
from grmu.analysis.compare import Interval
from grmu.analysis.efficacy import differ, excess
from grmu.analysis.shadows import (
    NEVER,
    RETAINED,
    SHADOWS,
    UNLEARNED,
    UNSEEN,
    Observations,
    beside_retrained,
    keep_training,
    never_again,
    observe_all,
    observe_beside,
    select,
    shadows,
    stacked,
)
from grmu.data import GroupedDataset
from grmu.data.arguments import Parser, between
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.metrics import METRICS
from grmu.models import Classifier
from grmu.numerics import fixed_threads
from grmu.training import predict

T = TypeVar("T")
SAMPLES = 200  # at most, of a group that does not ask
GOLDS = 3  # gold standards that a model is compared with
STEPS = 100
SHOWN_STEPS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 100)


def privacy(experiment: Experiment, seen: Observations, overfit: Observations) -> pd.DataFrame:
    """All attacks on an experiment's shadow models: a row an attack, `who` it looks for, and group.

    `who`, of the groups that ask: "unlearned"; "never", the control that must not be found; and for U-LiRA
    the controls that must be: "retained" (members who were kept) and "overfitted" (those who were unlearned,
    but by models overfitted on purpose). Of other groups "retained" alone, of SAMPLES members at most.
    With numbers of samples, the `MEASURES` with their intervals, and for U-LiRA on "unlearned" the AUC that
    would be seen in 80 of 100 cases, and the verdict.
    """
    train, asking = experiment.load().train, _asking(experiment)
    rows = []
    for group, name in enumerate(train.group_names):
        members = np.flatnonzero((train.group == group).numpy())
        if name not in asking:
            members = members if len(members) <= SAMPLES else np.sort(
                np.random.default_rng(0).choice(members, SAMPLES, replace=False))
            cases = [("U-LiRA", "retained", RETAINED, select(seen, members))]
        else:
            mine = select(seen, members)
            cases = [("U-LiRA", "retained", RETAINED, mine),
                     ("U-LiRA", "overfitted", UNLEARNED, select(overfit, members)),
                     *((attack, who, UNLEARNED, those) for attack in ATTACKS
                       for who, those in (("unlearned", mine), ("never", never_again(mine))))]
        aucs: dict[str, Interval] = {}
        for attack, who, positive, those in cases:
            measures = judge(those, attack, positive)
            rows.append({"attack": attack, "who": who, "group": name,
                         "n": int((those.status == positive).sum()),
                         "n_never": int((those.status == NEVER).sum()), "shadows": len(seen.status),
                         **_flat(measures)})
            if attack == "U-LiRA":
                aucs[who] = measures["AUC"]
                rows[-1] |= _judgement(aucs) if who == "unlearned" else {}
    return pd.DataFrame(rows)


def efficacy(experiment: Experiment, seen: Observations, overfit: Observations,
             retrained: Observations) -> pd.DataFrame:
    """Unlearned models beside `retrained` ones, gold standards on the same halves: a row `who` and group.

    `who`: "unlearned"; the controls that must be found, "retained" and "overfitted", as of `privacy`; and
    "unseen", whom neither model saw. AUC of U-LiRA between the two sets of models, `DIFFERENCES`, and the
    `excess` of the AUC over that of the unseen. The verdict is of the excess: detected is who is answered for
    less as by a gold standard than those are whom nobody ever saw.
    """
    train = experiment.load().train
    rows = []
    for name in _asking(experiment):
        members, above = (train.group == train.group_names.index(name)).numpy(), {}
        gold, drawn = select(retrained, members), np.tile(resampled(len(seen.status)), 2)
        for who, positive, models in (("unseen", UNSEEN, seen), ("retained", RETAINED, seen),
                                      ("overfitted", UNLEARNED, overfit), ("unlearned", UNLEARNED, seen)):
            both = beside_retrained(select(models, members), gold)
            above[who] = excess(both, positive, drawn)
            auc = judge(both, "U-LiRA", positive, drawn)["AUC"]
            rows.append({"who": who, "group": name, "n": int((both.status == positive).sum()),
                         "n_never": int((both.status == NEVER).sum()), "shadows": len(seen.status),
                         **_flat({"AUC": auc, **differ(both, positive, drawn), "excess": above[who]})})
        rows[-1] |= _judgement(above, 0)
    return pd.DataFrame(rows)


def stayers(experiment: Experiment, before: Observations, seen: Observations) -> pd.DataFrame:
    """Are members who were kept easier to find after unlearning than before it? U-LiRA, a row group.

    `before`: PRETRAIN on the same halves. After minus before, in AUC and true positives, with intervals.
    """
    train = experiment.load().train
    rows = []
    for name in _asking(experiment):
        members = (train.group == train.group_names.index(name)).numpy()
        measures = change(select(before, members), select(seen, members), RETAINED)
        rows.append({"group": name, "shadows": len(seen.status), **_flat(measures)})
    return pd.DataFrame(rows)


def _asking(experiment: Experiment) -> list[str]:
    """The groups that ask to be forgotten."""
    train, (_, _, groups) = experiment.load().train, load_split(experiment)
    return [train.group_names[k] for k in sorted({train.group_id(g) for g in groups})]


def _flat(measures: Mapping[str, Interval]) -> dict[str, float]:
    return {f"{measure}{end}": value for measure, i in measures.items()
            for end, value in (("", i.mean), (" low", i.low), (" high", i.high))}


def _judgement(aucs: Mapping[str, Interval], chance: float = 0.5) -> dict[str, object]:
    """What would be seen of those unlearned, and the verdict, from what was found by whom it looked for."""
    ours, controls = aucs["unlearned"], (aucs["retained"], aucs["overfitted"])
    return {"seen": would_be_seen(ours, chance), "verdict": verdict(ours, controls, chance)}


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
    learner = copy.deepcopy(model).requires_grad_(True)
    accuracies = []

    def note_accuracy(epoch: int, row: dict[str, float]) -> None:
        accuracies.append((predict(learner, learner, forget.x).argmax(1) == forget.y).float().mean().item())

    with fixed_threads():
        note_accuracy(0, {})
    keep_training(learner, forget, steps, lr, note_accuracy)
    return accuracies


def relearning(experiment: Experiment, store: str | Path | None = None) -> dict[str, object]:
    """`relearn` a run's forget set; `steps` until its accuracy is PRETRAIN's again, STEPS + 1 if never."""
    _, split, _ = load_split(experiment)
    curve = relearn(train_or_load(experiment, store), split.forget, STEPS)
    target = run(experiment.original, store).metrics["UA"]
    steps = next((step for step, accuracy in enumerate(curve) if accuracy >= target - 1e-6), STEPS + 1)
    return about(experiment) | {"target": target, "steps": steps,
                                **{f"UA_{step}": curve[step] for step in SHOWN_STEPS}}


def printed(table: pd.DataFrame) -> str:
    """A table of findings as the command shows it: a measure and its interval in one column."""
    measures = [c.removesuffix(" low") for c in table if c.endswith(" low")]
    shown = table.drop(columns=[f"{m}{end}" for m in measures for end in (" low", " high")])
    for m in measures:
        ends = zip(table[m], table[f"{m} low"], table[f"{m} high"], strict=True)
        shown[m] = [f"{v:.2f} [{low:.2f}, {high:.2f}]" if v == v else "-" for v, low, high in ends]
    return shown.to_string(index=False, na_rep="")


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
    parser.add_argument("--efficacy", action="store_true",
                        help="hold them against as many gold standards, too, which are trained once")
    add_jobs(parser)
    options = parser.parse_args(argv)
    e = Experiment(options.dataset, options.method, options.reweight, options.ratio)
    print(f"{e.method}{' + REWEIGHT' * e.reweight} on {e.dataset}, ratio {e.ratio:g}, {options.shadows} "
          "shadow models; 95 % intervals over models", flush=True)
    seconds: dict[str, float] = {}

    def timed(part: str, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        table = work()
        seconds[part] = time.perf_counter() - started
        return table

    seen, before, overfit = timed("shadow models and controls", lambda: [stacked(*table) for table in zip(
        *map_experiments(observe_beside, shadows(e, options.shadows), options.jobs), strict=True)])
    table = timed("attacks, bootstrap", lambda: privacy(e, seen, overfit))
    print(f"\nPrivacy: unlearned, or never seen?\n\n{printed(table)}\n")
    for row, rate in product(table[table.who == "unlearned"].drop_duplicates("group").itertuples(), RATES):
        if why := too_few(row.n_never, rate):
            print(why)
    print("\nThose who stay, after minus before\n\n"
          + printed(timed("those who stay", lambda: stayers(e, before, seen))))
    if options.efficacy:
        gold = timed("gold standards", lambda: observe_all(e.gold, options.shadows, jobs=options.jobs,
                                                           forest=False))
        table = timed("distances, bootstrap", lambda: efficacy(e, seen, overfit, gold))
        print(f"\nEfficacy: as a gold standard that never saw them?\n\n{printed(table)}")
    print("\nSeconds: " + ", ".join(f"{part} {took:.0f}" for part, took in seconds.items()))
    return 0
