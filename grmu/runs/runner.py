"""Doing it: `run(Experiment(...))` is a function of its argument, on the same machine, whatever ran before.

Data, original, training, measuring, each kept in the store: `run` and `_train` show the order.
A finished run is never computed twice.
"""

import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from grmu import data, discover, methods, models, reweight, training
from grmu.metrics import OVERALL, evaluate
from grmu.numerics import fixed_threads
from grmu.runs.experiment import Experiment, check_call
from grmu.runs.identity import UNSET
from grmu.runs.store import Made, Store, made_by


@dataclass
class Result:
    """What `run` returns.

    metrics: fractions by name (see `grmu.metrics`).  accuracy: accuracies with n and standard error.
    curves: one row an epoch: losses, TA, GA, UA (not of a shadow model), and what the method adds.
    seconds: training time when it was computed.
    made_by: versions, machine and processor that it was computed with.
    """

    experiment: Experiment
    metrics: dict[str, float]
    accuracy: pd.DataFrame
    curves: pd.DataFrame
    seconds: float
    made_by: dict[str, str]
    folder: Path

    @cached_property
    def model(self) -> models.Classifier:
        """The trained network, on the CPU, in eval mode."""
        return _load_model(self.experiment, Store(self.folder.parents[1]))

    def row(self) -> dict[str, Any]:
        """The run as one flat row of a table; `by_group`: the test accuracy of every group,
        in group order."""
        e = self.experiment
        return {"dataset": e.dataset, "method": e.method, "reweight": e.reweight, "ratio": e.ratio,
                "groups": e.groups if isinstance(e.groups, str) else str(e.groups), "seed": e.seed,
                **{name: getattr(e, name) for name, unset in UNSET.items() if getattr(e, name) != unset},
                **e.overrides, **self.metrics, "by_group": self.by_group(), "seconds": round(self.seconds, 2)}

    def by_group(self) -> list[float]:
        """Test accuracy of every group, in group order; NaN for a group without test samples."""
        return self.accuracy.accuracy[~self.accuracy.group.isin(OVERALL)].tolist()


class Parts(NamedTuple):
    """The data of an experiment: its splits, what is retained and forgotten,
    the group(s) that GA is measured on."""

    splits: data.Splits
    split: data.ForgetSplit
    groups: tuple[data.Group, ...]


def load_split(experiment: Experiment) -> Parts:
    """The data of an experiment; ValueError if its network is not for them."""
    splits = experiment.load()
    models.check_fit(experiment.network, splits.train)
    if experiment.half:
        splits = splits._replace(train=splits.train.subset(data.half_of(splits.train, experiment.seed)))
    groups = (splits.forget_group,) if isinstance(experiment.groups, str) else experiment.groups
    if experiment.tiny:
        train, val, test = (part.subset(data.few(part, groups, n))
                            for part, n in zip(splits[:3], (10, 1, 1), strict=True))
        splits = splits._replace(train=train, val=val, test=test)
    seed = experiment.seed if experiment.split_seed is None else experiment.split_seed
    chosen = None if experiment.groups == "uniform" else groups
    split = data.split_forget(splits.train, experiment.ratio, chosen, seed, experiment.recipe == "ours")
    return Parts(splits, split, groups)


def run(experiment: Experiment, store: str | Path | None = None, device: str = "cpu",
        on_epoch: training.OnEpoch | None = None, fresh: bool = False) -> Result:
    """Do the experiment, or read it from the store if it was done before.

    Args:
        store: folder of finished runs; None takes $GRMU_STORE, else runs/ in the checkout.
        on_epoch: called with the epoch's number (from 1) and its row of the curves, while training.
        fresh: train even if the store has the run (to time it, or to watch it).

    Raises:
        ValueError: the experiment cannot be done on its data (message names the value and the fix).
        FloatingPointError: a loss became NaN or infinite.
        StoreError: the store cannot be read or written.
    """
    check_call(experiment, store, device, on_epoch, fresh)
    parts, kept = load_split(experiment), Store(store)  # what is refused writes nothing
    trained_as = kept.keep("models", experiment.training_key, lambda: _train(
        experiment, parts, kept, device, on_epoch, fresh), fresh)
    found = kept.keep("results", experiment.key, lambda: _measure(experiment, parts, kept, device), fresh)
    return Result(experiment, found["metrics"], pd.DataFrame(found["accuracy"]),
                  pd.DataFrame(trained_as["curves"]), trained_as["seconds"], trained_as["made_by"],
                  kept.folder("models", experiment.training_key))


def trained(experiment: Experiment, store: str | Path | None = None,
            device: str = "cpu") -> models.Classifier:
    """The experiment's model alone, on the CPU, trained unless the store has it; nothing is measured."""
    check_call(experiment, store, device)
    kept = Store(store)
    kept.keep("models", experiment.training_key,
              lambda: _train(experiment, load_split(experiment), kept, device))
    return _load_model(experiment, kept)


def _start(experiment: Experiment, parts: Parts, store: Store,
           device: str) -> tuple[Parts, models.Classifier | None]:
    """What must be there before: the groups, if they are inferred, and the model that it goes on from,
    unless it starts afresh."""
    if experiment.grouping != "true":
        model = trained(experiment.inferred_from, store.root, device)
        with fixed_threads():
            train = discover.infer(experiment.grouping, model, parts.splits.train, experiment.seed)
        split = parts.split._replace(retain=train.subset(parts.split.retain_index),
                                     forget=train.subset(parts.split.forget_index))
        parts = parts._replace(splits=parts.splits._replace(train=train), split=split)
    if experiment.start is None:
        return parts, None
    return parts, trained(experiment.start, store.root, device).to(device)


def _train(experiment: Experiment, parts: Parts, store: Store, device: str,
           on_epoch: training.OnEpoch | None = None, fresh: bool = False) -> Made:
    """What the store keeps of a training, and the weights: what must be there before,
    then the method's epochs."""
    method, (parts, original) = experiment.make_method(), _start(experiment, parts, store, device)
    with fixed_threads():
        context = _context(experiment, method, parts, original, torch.device(device))
        record = on_epoch  # of a shadow model nobody asks for accuracies epoch by epoch
        if not experiment.half:
            record = _recorder(context, parts.splits.test.to(device), parts.groups, on_epoch)
        about = {"experiment": experiment.describe(), "root": experiment.root}
        checkpoint = store.checkpoint(experiment.training_key, about)  # its clock starts
        rows = training.train(method, context, record, None if fresh else checkpoint)
    curves = [{"epoch": epoch} | row for epoch, row in enumerate(rows, 1)]
    return about | {"curves": curves, "seconds": checkpoint.seconds(),
                    "made_by": made_by(device)}, context.model.state_dict()


def _context(experiment: Experiment, method: training.Method, parts: Parts,
             original: models.Classifier | None, device: torch.device) -> training.Context:
    """All that the method may look at, on the device. PRETRAIN retains all, since all splits share it."""
    train, (retain, forget, forgotten, retained) = parts.splits.train.to(device), parts.split
    if method.trains_on == "train":
        retain, forget, retained = train, train.subset(forgotten[:0]), torch.arange(len(train))
    retain, forget = retain.to(device), forget.to(device)
    model = _build(experiment, experiment.network).to(device) if original is None else copy.deepcopy(original)
    return training.Context(
        model.requires_grad_(True), original, train, retain, forget,
        torch.Generator().manual_seed(experiment.seed + 1), experiment.optimisation,
        reweight.sample_weights(train, retain) if experiment.reweight else None, retained.to(device))


def _recorder(context: training.Context, test: data.GroupedDataset, groups: tuple[data.Group, ...],
              then: training.OnEpoch | None) -> training.OnEpoch:
    """Adds to each epoch's row TA, and where a part is forgotten GA and UA."""
    members = test.in_groups(groups)

    def right(part: data.GroupedDataset) -> torch.Tensor:
        return (training.predict(context.model, context.model, part.x).argmax(1) == part.y).float()

    def record(epoch: int, row: dict[str, float]) -> None:
        hits = right(test)
        row["TA"] = hits.mean().item()
        if len(context.forget):
            row |= {"GA": hits[members].mean().item(), "UA": right(context.forget).mean().item()}
        if then:
            then(epoch, {"epoch": epoch} | row)

    return record


def _measure(experiment: Experiment, parts: Parts, store: Store, device: str) -> Made:
    """What the store keeps of the measuring."""
    with fixed_threads():
        metrics, accuracy = evaluate(
            _load_model(experiment, store).to(device), parts.split.retain.to(device),
            parts.split.forget.to(device),
            parts.splits.val.to(device), parts.splits.test.to(device), parts.groups)
    return {"experiment": experiment.describe(), "root": experiment.root, "metrics": metrics,
            "accuracy": accuracy.to_dict("records")}, None


def _build(experiment: Experiment, network: models.Network) -> models.Classifier:
    return models.build(network, experiment.load().train, experiment.seed)


def _load_model(experiment: Experiment, store: Store) -> models.Classifier:
    model = _build(experiment, replace(experiment.network, pretrained=False))
    store.load(experiment.training_key, partial(methods.get(experiment.method).load, model))
    return model.eval().requires_grad_(False)
