"""Run an experiment: load the data, split off the forget set, get the original model, train, evaluate, save.

On one machine, the result depends only on the experiment, and not on earlier runs. A finished run is never
computed again, because the store keeps its weights and its metrics under the keys that `run_keys` returns.
"""

import copy
import hashlib
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from safetensors.torch import load, save

from grmu import data, models, reweight, training
from grmu.data.checks import check_device
from grmu.data.files import PACKAGE, sha256
from grmu.data.subsets import smaller
from grmu.experiments.experiment import Experiment
from grmu.experiments.store import Checkpoint, Record, Store, digest
from grmu.metrics import OVERALL, accuracies, evaluate
from grmu.numerics import fixed_threads, made_by

# The files that compute and store results: a change to any of them changes the keys of all runs.
CODE = ("data/**/*.py", "*.py", "methods/*.py", "experiments/run.py", "experiments/store.py")
COLUMNS = ("dataset", "method", "reweight", "ratio", "groups", "seed")  # in every row


class Keys(NamedTuple):
    """The keys of a run's weights and of its result in the store."""

    weights: str
    result: str


@dataclass
class Result:
    """The result of `run`.

    Args:
        experiment: The experiment.
        metrics: Metrics by name, as fractions (see `grmu.metrics`).
        accuracy: One row per metric and per group: an accuracy, its number of samples and its standard error.
        curves: One row per epoch: losses, TA, GA, UA, values that the method adds, and val_TA if it selected
            the epoch.
        seconds: Training time when the run was computed.
        made_by: Software versions and machine that computed the run.
        folder: Folder of the weights.
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
        """The trained network, on the CPU and in eval mode."""
        return load_model(self.experiment, self.folder)

    def by_group(self) -> list[float]:
        """Return the test accuracy of each group, in group order; NaN for a group without test samples."""
        return self.accuracy.accuracy[~self.accuracy.group.isin(OVERALL)].tolist()

    def row(self) -> dict[str, Any]:
        """Return the run as one flat row of a table.

        The row has all `COLUMNS`, the metrics, and each other field that is not at its default.
        """
        e, default = asdict(self.experiment), asdict(Experiment())
        shown = {name: e[name] for name in e if name in COLUMNS or e[name] != default[name]}
        shown |= {"groups": str(self.experiment.groups), **shown.pop("overrides", {})}
        return {**shown, **self.metrics, "by_group": self.by_group(), "seconds": round(self.seconds, 2)}


def load_model(experiment: Experiment, folder: Path) -> models.Classifier:
    """Return the network whose weights are in a folder of the store."""
    e, weights = experiment, load(Store(folder.parents[1]).payload("models", folder.name))
    model = models.build(replace(e.network, pretrained=False), e.load().train, e.seed)
    if "head.r" in weights:  # `adjust` has replaced the head
        from grmu.prior import shifted_head

        model.head = shifted_head(model, weights["head.r"])
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def run(experiment: Experiment, store: str | Path | None = None, device: str = "cpu",
        on_epoch: training.OnEpoch | None = None, fresh: bool = False) -> Result:
    """Run the experiment, or load its result if the store has it.

    Args:
        experiment: The experiment to run.
        store: Folder of finished runs. None uses $GRMU_STORE, or else runs/ in the checkout.
        device: "cpu" or "cuda".
        on_epoch: Called after each epoch of training with its number (from 1) and its row of the curves.
        fresh: Train even if the store has the run, in order to time it or to watch it.

    Raises:
        ValueError: The experiment does not fit its data. The message says how to fix it.
        FloatingPointError: A loss became NaN or infinite.
        StoreError: A file of the store is damaged.
        OSError: The store cannot be read or written, for example because the disk is full.
    """
    data.require(isinstance(experiment, Experiment), f"run an Experiment, got {data.short_repr(experiment)}.")
    data.check_folder("store", store)
    check_device(device)
    e, (splits, split, groups) = experiment, load_split(experiment)
    keys, records = run_keys(e), Store(store)
    folder = records.folder("models", keys.weights)

    def train_model() -> Record:
        train, (retain, forget, *_, retained) = splits.train, split
        if e.source:
            from grmu.discover import regroup

            source = train_or_load(e.source, store, device)
            train, (retain, forget, *_) = regroup(e.grouping, source, train, split, e.seed)
        if e.method_class.trains_on == "train":  # PRETRAIN retains all samples, because all splits share it
            retain, forget, retained = train, train.subset(retained[:0]), torch.arange(len(train))
        original = train_or_load(e.start, store, device).to(device) if e.start else None
        model = copy.deepcopy(original) or models.build(e.network, e.load().train, e.seed).to(device)
        weights = reweight.sample_weights(train, retain).to(device) if e.reweight else None
        context = training.Context(
            model.requires_grad_(True), original, train.to(device), retain.to(device), forget.to(device),
            torch.Generator().manual_seed(e.seed + 1), e.config, weights, retained.to(device),
            splits.val.to(device))
        checkpoint, test = Checkpoint(records, keys.weights), splits.test.to(device)

        def record(epoch: int, row: dict[str, float]) -> None:
            row |= {"epoch": epoch, **accuracies(model, test, context.forget, groups)}
            if on_epoch:
                on_epoch(epoch, row)

        curves = training.train(e.make_method(), context, record, None if fresh else checkpoint)
        summary = {"curves": curves, "seconds": checkpoint.seconds(), "made_by": made_by(device)}
        return summary, save({name: w.contiguous().cpu() for name, w in model.state_dict().items()})

    def evaluate_model() -> Record:
        retain, forget, val, test = (part.to(device) for part in (*split[:2], *splits[1:3]))
        metrics, accuracy = evaluate(load_model(e, folder).to(device), retain, forget, val, test, groups)
        return {"metrics": metrics, "accuracy": accuracy.to_dict("records")}, None

    with fixed_threads():
        trained = records.get_or_compute("models", keys.weights, train_model, fresh)
        shutil.rmtree(records.folder("checkpoints", keys.weights), ignore_errors=True)
        evaluated = records.get_or_compute("results", keys.result, evaluate_model, fresh)
    return Result(e, evaluated["metrics"], pd.DataFrame(evaluated["accuracy"]),
                  pd.DataFrame(trained["curves"]), trained["seconds"], trained["made_by"], folder)


def train_or_load(e: Experiment, store: str | Path | None = None, device: str = "cpu") -> models.Classifier:
    """Return an experiment's model, on the CPU and in eval mode; train it if the store does not have it."""
    return run(e, store, device).model


def run_keys(experiment: Experiment) -> Keys:
    """Return the keys of the run's weights and of its result: hashes of everything that they depend on.

    A key depends on the experiment's fields and settings, the bytes of the files that compute, the data,
    published weights, and PyTorch's version. The weights of PRETRAIN do not depend on the forget set, so all
    splits share them. A method that is defined in a notebook gets a new key in each call, so it is trained
    each time.
    """
    e, method = experiment, experiment.method_class
    split = {"ratio": e.ratio, "groups": e.groups, "split_seed": e.split_seed}
    config = e.identity | {"root": "", "data": data.fingerprint(e.dataset, e.root, e.protocol),
                           "code": code_digest(), "torch": torch.__version__}
    config["after"] = [run_keys(before).weights for before in (e.start, e.source) if before]
    if e.network.pretrained:
        from grmu.backbones import find

        config["published"] = sha256(find(e.network.model))
    if not method.__module__.startswith("grmu."):
        config["defined"] = uuid.uuid4().hex
    if method.trains_on == "train":
        config |= dict.fromkeys(split, "")
    weights = digest(config)[:20]
    return Keys(weights, digest(weights, split)[:20])


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the SHA-256 of the files that compute results, which `CODE` lists."""
    files = sorted({path for pattern in CODE for path in PACKAGE.glob(pattern)} - {PACKAGE / "__main__.py"})
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def load_split(experiment: Experiment) -> tuple[data.Splits, data.ForgetSplit, tuple[data.Group, ...]]:
    """Load an experiment's data and split off its forget set.

    Returns:
        The splits (train, val and test set), the forget split, and the groups that GA is measured on.

    Raises:
        ValueError: The network does not fit the data, or the data lacks one of the groups.
    """
    e, splits = experiment, experiment.load()
    models.check_fit(e.network, splits.train)
    groups = (splits.forget_group,) if isinstance(e.groups, str) else e.groups
    splits = smaller(splits, groups, e.seed, e.half, e.tiny)
    split = data.split_forget(splits.train, e.ratio, None if e.groups == "uniform" else groups,
                              e.seed if e.split_seed is None else e.split_seed, e.protocol == "ours")
    return splits, split, groups
