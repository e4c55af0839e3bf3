"""One experiment: everything a run depends on (`Experiment`), doing it (`run`), and the store that remembers
it.

`run(Experiment(...))` is a function of its argument: the same experiment gives the same numbers on the same
machine, whatever ran before. Weights are stored as safetensors, the rest as JSON, in folders named by a hash
of the experiment and of the code it runs; a finished run is never computed twice, an edited method is never
mistaken for the old one.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import multiprocessing
import operator
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from filelock import FileLock
from tqdm.auto import tqdm

from grmu import data, discover, methods, models, reweight, training, weights
from grmu.metrics import OVERALL, evaluate
from grmu.numerics import THREADS, fixed_threads
from grmu.runs.store import Store

__all__ = ["THREADS", "Experiment", "Result", "each", "fixed_threads", "load_split", "run", "run_all",
           "trained"]

CODE = ("data/core.py", "data/groundwear.py", "data/rows.py", "numerics.py", "models.py", "reweight.py",
        "training.py", "mine.py",
        "gradients.py", "experiment.py")


UNSET = {"split_seed": None, "half": False, "grouping": "true"}


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that a run depends on. Bad values raise a ValueError here, before any work.

    Args:
        dataset: a name that `grmu.data.load` knows.  method: a name in `grmu.methods.registry`.
        reweight: sample the retain set with REWEIGHT.
        ratio: share of the groups' samples to forget, in (0, 1].
        groups: "default" (the data set's forget group), "uniform" (all samples alike), or pairs (y, a).
        seed: of everything random. The forget set depends on it too, and is the same for all methods.
        overrides: settings that replace the preset's: any field of `models.Network`, `training.Recipe` or the
        method.
        root: folder of the data set's files; None finds what ships with the project.
        split_seed: chooses the forget set in place of `seed`, for several trainings on one split.
        half: train on a random half of the training set, drawn by `seed`: a shadow model of
        `grmu.study.audit`.
        grouping: where the method takes its groups from: "true", or a name in `grmu.discover.GROUPINGS`. What
            is asked to be forgotten, and what is measured, goes by the true groups.
    """

    dataset: str = "groundwear"
    method: str = "miu"
    reweight: bool = False
    ratio: float = 0.5
    groups: str | tuple[data.Group, ...] = "default"
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    root: str | None = None
    split_seed: int | None = None
    half: bool = False
    grouping: str = "true"

    def __post_init__(self) -> None:
        if self.dataset not in data.LOADERS:
            raise ValueError(f"unknown data set {self.dataset!r}: choose one of {', '.join(data.LOADERS)}.")
        method = methods.get(self.method)
        if isinstance(self.ratio, bool) or not isinstance(self.ratio,
                                                          (int, float)) or not 0 < self.ratio <= 1:
            raise ValueError(f"ratio must lie in (0, 1], but is {self.ratio!r}.")
        object.__setattr__(self, "ratio", float(self.ratio))
        for name, seed in {"seed": self.seed,
                           "split_seed": self.seed if self.split_seed is None else self.split_seed}.items():
            if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
                raise ValueError(f"{name} must be a whole number from 0, but is {seed!r}.")
        training.check_choice(self, half=(False, True))
        object.__setattr__(self, "half", bool(self.half))
        if not isinstance(self.groups, str):
            try:
                pairs = tuple((operator.index(y), operator.index(a)) for y, a in self.groups)
            except (TypeError, ValueError):
                pairs = ()
            if not pairs:
                raise ValueError(f"groups must be 'default', 'uniform' or pairs (y, a), but is {self.groups!r}.")
            object.__setattr__(self, "groups", pairs)
        elif self.groups not in ("default", "uniform"):
            raise ValueError(f"groups must be 'default', 'uniform' or pairs (y, a), but is {self.groups!r}.")
        if self.grouping != "true" and (self.grouping not in discover.GROUPINGS
                                        or method.trains_on == "train"):
            raise ValueError(f"grouping must be one of true, {', '.join(discover.GROUPINGS)}, and true for pretrain, "
                             f"but is {self.grouping!r} for {self.method}.")
        own_sampling = method.trains_on == "train" or method.sampling_weights is not training.Method.sampling_weights
        if self.reweight and own_sampling:
            raise ValueError(f"{self.method} does not combine with REWEIGHT: it "
                             f"{'sees the whole training set' if method.trains_on == 'train' else 'samples by itself'}.")
        known = {f.name for cls in (models.Network, training.Recipe, method) for f in fields(cls)}
        if unknown := sorted(set(self.overrides) - known):
            raise ValueError(f"unknown setting {', '.join(unknown)} for {self.method}: choose from "
                             f"{', '.join(sorted(known))}.")
        _, _, made = self.network, self.recipe, self.make_method()  # all check their values
        if self.reweight and not made.retains:
            raise ValueError(f"{self.method} without a retain pass has nothing for REWEIGHT to weigh: set reweight to False.")

    def __str__(self) -> str:
        return f"{self.method}{' + REWEIGHT' * self.reweight}, r={self.ratio:.3g}, seed {self.seed}"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting of the run: defaults, then the data set's preset, then `overrides`."""
        preset, method = _preset(self.dataset), methods.get(self.method)
        defaults = {f.name: f.default for cls in (models.Network, training.Recipe, method)
                    for f in fields(cls)}
        chosen = preset["network"] | preset[method.starts_from] | preset["methods"].get(self.method, {})
        if stray := set(chosen) - set(defaults):
            raise ValueError(f"the preset of {self.dataset} sets {', '.join(sorted(stray))}, unknown to {self.method}.")
        return defaults | chosen | dict(self.overrides)

    @cached_property
    def network(self) -> models.Network:
        """What is trained."""
        return models.Network(**{f.name: self.settings[f.name] for f in fields(models.Network)})

    @cached_property
    def recipe(self) -> training.Recipe:
        """How the method is optimised."""
        return training.Recipe(**{f.name: self.settings[f.name] for f in fields(training.Recipe)})

    def make_method(self) -> training.Method:
        """A fresh instance of the method with this experiment's settings."""
        method = methods.get(self.method)
        return method(**{f.name: self.settings[f.name] for f in fields(method)})

    @cached_property
    def original(self) -> Experiment:
        """The PRETRAIN run that this one starts from and is compared with, on the same split."""
        shared = {k: v for k, v in self.overrides.items() if k in models.Network.__dataclass_fields__}
        return replace(self, method="pretrain", reweight=False, overrides=shared, grouping="true")

    @cached_property
    def asked(self) -> Experiment:
        """The PRETRAIN run whose model `grouping` infers groups with; some stop early."""
        early = discover.GROUPINGS[self.grouping].early
        return replace(self.original, overrides=self.original.overrides | early)

    @cached_property
    def gold(self) -> Experiment:
        """The gold standard of this seed and split: RETRAIN + REWEIGHT."""
        return replace(self.original, method="retrain", reweight=True)

    @cached_property
    def id(self) -> str:
        """Names the experiment, whatever code will run it: rows of shipped results are found by it."""
        return _hash(self.describe())

    @cached_property
    def training_key(self) -> str:
        """Names the trained weights. PRETRAIN's do not depend on what is forgotten, so all splits share
        them."""
        config = self.describe() | {"code": _fingerprint(self.method)}
        if self.network.pretrained:
            config["weights"] = weights.fingerprint(weights.find(self.network.model))
        if methods.get(self.method).starts_from == "original":
            config["original"] = self.original.training_key
        if self.grouping != "true":
            infer = discover.GROUPINGS[self.grouping].infer
            config |= {"asked": self.asked.training_key,
                       "inference": [_source("discover.py"), _function_source(infer)]}
        if methods.get(self.method).trains_on == "train":
            del config["ratio"], config["groups"]
            config.pop("split_seed", None)
        return _hash(config)

    @cached_property
    def key(self) -> str:
        """Names the result: the weights, measured on one split."""
        split = [] if self.split_seed is None else [self.split_seed]
        return _hash([self.training_key, self.ratio, self.groups, *split, _source("metrics.py")])

    def describe(self) -> dict[str, Any]:
        """Everything but the data's location, as plain JSON values."""
        config = asdict(self) | {"settings": dict(sorted(self.settings.items()))}
        del config["root"], config["overrides"]
        for name, unset in UNSET.items():  # so that a run keeps its name when a field is added
            if config[name] == unset:
                del config[name]
        return config


@dataclass
class Result:
    """What `run` returns.

    metrics: fractions by name (see `grmu.metrics`).  accuracy: accuracies with n and standard error.
    curves: one row an epoch: losses, TA, GA, UA, and what the method adds.  seconds: training time when it
    was computed.
    made_by: versions and machine that it was computed with.
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
        return _load_model(self.experiment, self.folder, torch.device("cpu"))

    def row(self) -> dict[str, Any]:
        """The run as one flat row of a results table; `by_group` holds the test accuracy of every group, in
        group order."""
        e = self.experiment
        return {"dataset": e.dataset, "method": e.method, "reweight": e.reweight, "ratio": e.ratio,
                "groups": e.groups if isinstance(e.groups, str) else str(e.groups), "seed": e.seed,
                **{name: getattr(e, name) for name, unset in UNSET.items() if getattr(e, name) != unset},
                **e.overrides, **self.metrics, "by_group": self.by_group(), "seconds": round(self.seconds, 2)}

    def by_group(self) -> list[float]:
        """Test accuracy of every group, in group order; NaN for a group without test samples."""
        return self.accuracy.accuracy[~self.accuracy.group.isin(OVERALL)].tolist()


def load_split(experiment: Experiment) -> tuple[data.Splits, data.ForgetSplit, tuple[data.Group, ...]]:
    """The data of an experiment: its splits, what is retained and forgotten, and the group(s) that GA is
    measured on."""
    splits = data.load(experiment.dataset, experiment.root)
    if experiment.half:
        splits = splits._replace(train=splits.train.subset(data.half_of(splits.train, experiment.seed)))
    groups = experiment.groups if not isinstance(experiment.groups, str) else (splits.forget_group,)
    chosen = None if experiment.groups == "uniform" else groups
    seed = experiment.seed if experiment.split_seed is None else experiment.split_seed
    return splits, data.split_forget(splits.train, experiment.ratio, chosen, seed), groups


def run(experiment: Experiment, store: str | Path | None = None, device: str = "cpu",
        on_epoch: Callable[[int, dict[str, float]], None] | None = None, fresh: bool = False) -> Result:
    """Do the experiment, or read it from the store if it was done before.

    Args:
        store: folder of finished runs; None takes $GRMU_STORE, else runs/ in the checkout (see
        `grmu.runs.store`).
        on_epoch: called with the epoch's number (from 1) and its row of the curves, while training.
        fresh: train even if the store has the run (to time it, or to watch it).

    Raises:
        ValueError: the experiment cannot be done on its data (message names the value and the fix).
        FloatingPointError: a loss became NaN or infinite.
        StoreError: the store cannot be read or written.
    """
    store, splits_and_more = Store(store), load_split(experiment)
    found = None if fresh else store.read("results", experiment.key)
    folder = _train(experiment, store, device, on_epoch, fresh, *splits_and_more)
    record = store.read("models", experiment.training_key)
    if found is None:
        splits, split, groups = splits_and_more
        with fixed_threads():
            model = _load_model(experiment, folder, torch.device(device))
            metrics, accuracy = evaluate(model,
                                         *(part.to(device)
                                           for part in (split.retain, split.forget, splits.val,
                                                                               splits.test)), groups)
        found = {"experiment": experiment.describe(), "metrics": metrics,
                 "accuracy": accuracy.to_dict("records")}
        store.write("results", experiment.key, found)
    return Result(experiment, found["metrics"], pd.DataFrame(found["accuracy"]),
                  pd.DataFrame(record["curves"]),
                  record["seconds"], record["made_by"], folder)


def trained(experiment: Experiment, store: str | Path | None = None,
            device: str = "cpu") -> models.Classifier:
    """The experiment's model alone, trained unless the store has it; nothing is measured."""
    store = Store(store)
    return _load_model(experiment, _train(experiment, store, device, None, False, *load_split(experiment)),
                       torch.device("cpu"))


def run_all(experiments: Iterable[Experiment], store: str | Path | None = None, device: str = "cpu",
            progress: bool = True, jobs: int = 1) -> pd.DataFrame:
    """Run many experiments under a progress bar; one row each, in the order given. `jobs`: see `each`."""
    results = each(partial(run, store=store, device=device), experiments, jobs, progress)
    return pd.DataFrame([result.row() for result in results])


def each(function: Callable[[Experiment], Any], experiments: Iterable[Experiment], jobs: int = 1,
         progress: bool = True) -> Iterator[Any]:
    """function(experiment) for each, in the order given, under a progress bar with the time left.

    Args:
        jobs: processes to share the work. With more than one, `function` and its results must be picklable,
            and methods that a notebook registered are unknown.
    """
    experiments = list(experiments)
    with tqdm(total=len(experiments), unit="run", leave=False, disable=not progress, smoothing=0.05) as bar:
        if jobs == 1:
            for experiment in experiments:
                bar.set_description(str(experiment))
                yield function(experiment)
                bar.update()
            return
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))  # a fork would inherit locked threads
        try:
            for result in pool.map(function, experiments):
                yield result
                bar.update()
        finally:  # what has not begun is dropped, what is running is finished and kept
            pool.shutdown(cancel_futures=True)


def _train(experiment: Experiment, store: Store, device: str, on_epoch: Callable | None, fresh: bool,
           splits: data.Splits, split: data.ForgetSplit, groups: tuple[data.Group, ...]) -> Path:
    """Train unless the store has the weights; returns their folder. Other processes wanting the same run
    wait."""
    folder = store.folder("models", experiment.training_key)
    if not fresh and store.read("models", experiment.training_key) is not None:
        return folder
    method, original = experiment.make_method(), None
    if method.starts_from == "original":
        start = experiment.original
        original = _load_model(start, _train(start, store, device, None, False, splits, split, groups),
                               torch.device(device))
    if experiment.grouping != "true":
        splits, split = _regroup(experiment, trained(experiment.asked, store.root, device), splits, split)
    with FileLock(store.lock(experiment.training_key)), fixed_threads():
        if not fresh and store.read("models", experiment.training_key) is not None:
            return folder
        train = splits.train.to(device)
        on_retain = method.trains_on == "retain"
        retain, forget = (part.to(device) for part in split[:2]) if on_retain else (train, None)
        model = copy.deepcopy(original) if original is not None else _build(experiment).to(device)
        context = training.Context(model.requires_grad_(True), original, train, retain, forget,
                                   torch.Generator().manual_seed(experiment.seed + 1), experiment.recipe,
                                   reweight.sample_weights(train, retain) if experiment.reweight else None,
                                   split.retain_index.to(device) if on_retain else None)
        test = splits.test.to(device)
        members = torch.isin(test.group, torch.tensor([test.group_id(g) for g in groups], device=device))

        def record(epoch: int, row: dict[str, float]) -> None:
            right = training.predict(model, model, test.x).argmax(1) == test.y
            row |= {"TA": right.float().mean().item()}
            if forget is not None:  # PRETRAIN is shared by all splits, so it has no forget group
                row["GA"] = right[members].float().mean().item()
                row["UA"] = (training.predict(model, model,
                                              forget.x).argmax(1) == forget.y).float().mean().item()
            if on_epoch is not None:
                on_epoch(epoch, {"epoch": epoch} | row)

        clock = _Clock(store, experiment.training_key)
        rows = training.train(method, context, record, None if fresh else clock)
        curves = [{"epoch": epoch} | row for epoch, row in enumerate(rows, 1)]
        store.write("models", experiment.training_key,
                    {"experiment": experiment.describe(), "curves": curves, "seconds": clock.seconds(),
                     "made_by": made_by(device)}, weights=model.state_dict())
        store.drop_checkpoint(experiment.training_key)
    return folder


def _regroup(experiment: Experiment, asked: models.Classifier, splits: data.Splits,
             split: data.ForgetSplit) -> tuple[data.Splits, data.ForgetSplit]:
    """The same training samples, retained and forgotten, with the groups that are inferred in place of the
    true ones."""
    with fixed_threads():
        train = discover.infer(experiment.grouping, asked, splits.train, experiment.seed)
    return splits._replace(train=train), split._replace(retain=train.subset(split.retain_index),
                                                        forget=train.subset(split.forget_index))


class _Clock:
    """A run's checkpoint in the store, and the time that its training took, over all attempts."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.key, self.before, self.started = store, key, 0.0, time.perf_counter()

    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.started

    def load(self) -> dict[str, Any] | None:
        state = self.store.read_checkpoint(self.key)
        self.before = state["seconds"] if state is not None else 0.0
        return state

    def save(self, state: dict[str, Any]) -> None:
        self.store.write_checkpoint(self.key, state | {"seconds": self.seconds()})


def made_by(device: str) -> dict[str, str]:
    """What numbers may depend on besides the code: versions and machine."""
    return {"torch": torch.__version__, "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {device}"}


def _build(experiment: Experiment, **changes: Any) -> models.Classifier:
    train = data.load(experiment.dataset, experiment.root).train
    return models.build(replace(experiment.network, **changes), train, experiment.seed)


def _load_model(experiment: Experiment, folder: Path, device: torch.device) -> models.Classifier:
    model = _build(experiment, pretrained=False)
    model.load_state_dict(Store(folder.parents[1]).weights(folder.name))
    return model.to(device).eval().requires_grad_(False)


@lru_cache
def _preset(dataset: str) -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / "presets" / f"{dataset}.yaml").read_text())


@lru_cache
def _source(*names: str) -> str:
    """Hash of source files of this package, and of the torch they run on."""
    text = "".join((Path(__file__).parent / name).read_text() for name in names)
    return hashlib.sha256((torch.__version__ + text).encode()).hexdigest()[:16]


def _fingerprint(method: str) -> list[str]:
    """What the numbers of a method depend on besides the experiment: the shared code and the method's own."""
    own = []
    for cls in methods.get(method).__mro__:
        if cls is training.Method:
            break
        if cls.__module__.startswith("grmu.methods."):  # the whole file, with its helpers
            own.append(_source(cls.__module__.removeprefix("grmu.").replace(".", "/") + ".py"))
        for name, value in sorted(vars(cls).items()):  # by function: a class of a notebook cell has no source file
            function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
            if inspect.isfunction(function) and function.__module__ != "dataclasses":
                own.append(_function_source(function))
            elif isinstance(value, str | bool | int | float):
                own.append(f"{name} = {value!r}" if not name.startswith("__") else "")
    return [_source(*CODE), hashlib.sha256("".join(own).encode()).hexdigest()[:16]]


def _function_source(function: Callable) -> str:
    """A function's text; empty for what @dataclass generated, whose fields are among the settings."""
    with suppress(OSError, TypeError):
        return inspect.getsource(function)
    return ""


def _hash(config: object) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:20]
