"""Who pays, predicted from PRETRAIN alone: what a shifted prior (`grmu.prior`) says of a group's accuracy,
beside what RETRAIN has.

    python -m grmu results --only shift

The prediction has no free parameter and no training: PRETRAIN's logits on test pictures, moved by the shares
that are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from grmu.analysis.compare import interval
from grmu.analysis.grids import MANY, NINE_GROUPS, PAPER_RATIOS, RATIOS, TWENTY_FIVE_GROUPS
from grmu.data import ForgetSplit, Group, GroupedDataset
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.models import Classifier
from grmu.numerics import fixed_threads
from grmu.prior import attribute_head, predict_shift, shares_forgotten, temperature
from grmu.training import predict

SEEDS = tuple(range(20))
CEILING_SEEDS = tuple(range(10))  # have a RETRAIN of the same split with another training seed, too
TWIN = 1000  # is added to the seed of that one
ASKING: dict[str, tuple[tuple[str | tuple[Group, ...], Sequence[float]], ...]] = {
    "groundwear": (("default", RATIOS), (((0, 0),), PAPER_RATIOS)),
    "groundwear-memorised": (("default", RATIOS),),
    MANY: (("default", PAPER_RATIOS), (NINE_GROUPS, (0.5,)), (TWENTY_FIVE_GROUPS, (0.5,)))}


def planned() -> Iterator[Experiment]:
    """Every PRETRAIN that predicts."""
    for seed, dataset in product(SEEDS, ASKING):
        yield Experiment(dataset, "pretrain", seed=seed)


def forgetting(pretrain: Experiment) -> Iterator[Experiment]:
    """RETRAIN for all that is predicted from a PRETRAIN."""
    for groups, ratios in ASKING[pretrain.dataset]:
        for ratio in ratios:
            yield replace(pretrain, method="retrain", ratio=ratio, groups=groups)


def by_group(right: Tensor, data: GroupedDataset) -> Tensor:
    """(n_groups,) accuracy from (N,) right or wrong; NaN for a group without samples."""
    hits = torch.bincount(data.group, right.double(), data.n_groups)
    return hits / torch.bincount(data.group, minlength=data.n_groups)


def temperatures(logits: Tensor, val: GroupedDataset, train_counts: Tensor) -> Tensor:
    """(n_attributes,) the temperature that calibrates p(y | x) where a is known; 1 for a without samples.

    Not by group: a group has one class, and the temperature that suits it best is 0 or infinite. Validation
    samples are weighted to the groups' shares of the training set.
    """
    weights = (train_counts / val.group_counts().clamp(min=1))[val.group]
    by_attribute = torch.ones(val.n_attributes)
    for a in val.a.unique():
        of = val.a == a
        by_attribute[a] = temperature(logits[of], val.y[of], weights[of])
    return by_attribute


def prior_of(experiment: Experiment, train: GroupedDataset, split: ForgetSplit) -> Tensor:
    """The prior that a run trains on over that of the training set, (n_classes, n_attributes), up to a common
    factor; REWEIGHT, and who adjusts, has the old one. Groups that vanished are not provided for."""
    e, shape = experiment, (train.n_classes, train.n_attributes)
    counts, left = (part.group_counts().double().view(shape) for part in (train, split.retain))
    if e.reweight or e.method in ("pretrain", "adjust"):
        return torch.ones(shape, dtype=torch.float64)
    if e.method == "group_dro":
        return 1 / counts  # groups are drawn equally often
    drawn = torch.tensor(e.settings.get("group_weights", [1.0] * train.n_groups)).view(shape)
    return left / counts * drawn


def in_sight(test: GroupedDataset, logits: Tensor) -> Tensor:
    """p(a | x, y) of one who sees a in every sample, (N, n_classes, n_attributes)."""
    return one_hot(test.a, test.n_attributes).to(logits)[:, None].expand(-1, test.n_classes, -1)


class Answers(NamedTuple):
    """What PRETRAIN says of test samples, before anything is forgotten.

    logits, calibrated: (N, n_classes).  head: p(a | x, y), (N, n_classes, n_attributes).
    visibility: the head's accuracy on held-out samples of the training set, a mean over groups.
    """

    logits: Tensor
    calibrated: Tensor
    head: Tensor
    visibility: float


def answers(model: Classifier, train: GroupedDataset, val: GroupedDataset, test: GroupedDataset) -> Answers:
    """What all predictions start from; the head is fitted to the training set, which takes the time."""
    logits, z = predict(model, model, test.x), predict(model.features, model, test.x)
    head, seen = attribute_head(predict(model.features, model, train.x), train.y, train.a, train.n_classes,
                                train.n_attributes)
    of_attribute = temperatures(predict(model, model, val.x), val, train.group_counts())
    return Answers(logits, logits / of_attribute[test.a][:, None], head(z), seen.accuracy)


def predictions(before: Answers, test: GroupedDataset, r: Tensor) -> dict[str, Tensor]:
    """Accuracy by group (n_groups,) of a model of the training set once the shares r are forgotten.

    Args:
        r: (n_classes, n_attributes), the share forgotten of each group.

    Returns:
        before: as it is.  visible: predicted with the attribute taken for visible in every picture.
        head: with p(a | x, y) of a head on the model's features, fitted to the training set.
        calibrated: as visible, logits first divided by their attribute's temperature on validation data.
    """
    sure = in_sight(test, before.logits)
    shifted = {"before": before.logits, "visible": predict_shift(before.logits, sure, r),
               "head": predict_shift(before.logits, before.head, r),
               "calibrated": predict_shift(before.calibrated, sure, r)}
    return {name: by_group(logits.argmax(1) == test.y, test) for name, logits in shifted.items()}


def shift_of(pretrain: Experiment, store: str | None = None) -> list[dict[str, object]]:
    """A row a group of every RETRAIN: what was predicted of it from this PRETRAIN, and what it has.

    after: RETRAIN's accuracy.  twin: that of another training on the same split, for the seeds that have one.
    """
    model, splits = train_or_load(pretrain, store), pretrain.load()
    with fixed_threads():
        before = answers(model, splits.train, splits.val, splits.test)
    return [row for e in forgetting(pretrain) for row in _rows(e, before, store)]


def _rows(e: Experiment, before: Answers, store: str | None) -> Iterator[dict[str, object]]:
    splits, split, groups = load_split(e)
    train, shape = splits.train, (splits.train.n_classes, splits.train.n_attributes)
    r = shares_forgotten(train.group_counts().view(shape), split.retain.group_counts().view(shape))
    with fixed_threads():
        columns = predictions(before, splits.test, r)
    columns["after"] = torch.tensor(run(e, store).by_group())
    if e.seed in CEILING_SEEDS:
        twin = replace(e, seed=e.seed + TWIN, split_seed=e.seed)
        columns["twin"] = torch.tensor(run(twin, store).by_group())
    n_test = splits.test.group_counts()
    for g in range(train.n_groups):
        yield {"dataset": e.dataset, "asking": len(groups), "asks": train.group_id(groups[0]),
               "ratio": e.ratio, "seed": e.seed, "visibility": before.visibility, "group": g,
               "r": r.flatten()[g].item(), "n": int(n_test[g]),
               **{name: accuracy[g].item() for name, accuracy in columns.items()}}


def shift(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`shift_of` all that is planned; accuracies and shares as fractions."""
    by_run = map_experiments(partial(shift_of, store=store), planned(), jobs)
    return pd.DataFrame([row for rows in by_run for row in rows]).round(5)


def explained(rows: pd.DataFrame, by: str = "visible") -> pd.DataFrame:
    """How much a column says of what RETRAIN has: a row a data set and number of groups that ask.

    Args:
        rows: as `shift` gives.  by: the prediction, or "twin" for the ceiling: another training's accuracies.

    Returns:
        n, and R2 = 1 - sum (after - predicted)^2 / sum (after - mean)^2 of the accuracies and of the changes
        since PRETRAIN, over groups, ratios and seeds. Below 0 is worse than the mean.
    """
    lines = {}
    for key, part in rows.dropna(subset=["before", by, "after"]).groupby(["dataset", "asking"], sort=False):
        missed = ((part.after - part[by]) ** 2).sum()
        lines[key] = {"n": len(part)} | {
            name: 1 - missed / ((values - values.mean()) ** 2).sum()
            for name, values in (("R2", part.after), ("R2 of changes", part.after - part.before))}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(index=["dataset", "asking"])


def misses(rows: pd.DataFrame, by: str = "visible") -> pd.DataFrame:
    """Predicted minus observed on the groups that ask, in points, by data set, who asks and ratio: the mean
    over groups of a seed, and its 95 % interval over seeds."""
    asked = rows[rows.r > 0]
    gap = 100 * (asked[by] - asked.after)
    keys = ["dataset", "asking", "asks", "ratio"]
    by_seed = gap.groupby([asked[name] for name in (*keys, "seed")]).mean()
    return pd.DataFrame({key: interval(part.to_numpy())._asdict()
                         for key, part in by_seed.groupby(keys)}).T.rename_axis(keys)
