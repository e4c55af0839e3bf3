"""What is asked: an `Experiment` holds all that a run depends on,
and refuses what cannot be done before any work."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import torch

from grmu import data, discover, methods, models, training
from grmu.runs import preset
from grmu.runs.identity import Identity
from grmu.settings import Settings, one_of, within

GROUPS = "'default', 'uniform' or pairs (y, a)"
TINY = {"epochs": 1, "batch_size": 8, "first_updates": 1, "later_updates": 1, "n_fisher": 8}  # at most


@dataclass(frozen=True, eq=False)
class Experiment(Settings, Identity):
    """All that a run depends on. Bad values raise a ValueError here, before any work.

    Args:
        dataset: a name that `grmu.data.load` knows.  method: a name in `grmu.methods.registry`.
        reweight: sample the retain set with REWEIGHT.
        ratio: share of the groups' samples to forget, in (0, 1]; one number, or one for each of the pairs.
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
        pretraining: settings of `training.Recipe` that replace the preset's wherever training starts afresh:
            in the PRETRAIN that this run starts from, in its gold standard, and in it if it does so itself.
        recipe: what neither presets nor overrides say: "ours", or as the paper's "released" code does it
            (docs/full-scale.md has the differences): how its data sets are read (`data.load`), what is
            forgotten (`data.split_forget`), and the settings in `preset.RELEASED`.
        tiny: a dry run, to see that all goes through: a few samples, one epoch of everything, no published
            weights. Its numbers mean nothing.
    """

    dataset: str = "groundwear"
    method: str = "miu"
    reweight: bool = False
    ratio: float | tuple[float, ...] = 0.5
    groups: str | tuple[data.Group, ...] = "default"
    seed: int = within(0, default=0)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    root: str | None = None
    split_seed: int | None = within(0, default=None)
    half: bool = False
    grouping: str = "true"
    pretraining: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = one_of(*data.RECIPES)
    tiny: bool = False

    def __post_init__(self) -> None:
        data.known("data set", self.dataset, data.LOADERS)
        data.known("grouping", self.grouping, ("true", *discover.GROUPINGS))
        object.__setattr__(self, "groups", _groups(self.groups))
        data.check_ratio(self.ratio, self.groups)
        data.check_folder("root", self.root)
        for name, given in {"overrides": self.overrides, "pretraining": self.pretraining}.items():
            data.require(isinstance(given, Mapping),
                         f"{name} must map setting names to values, but is {data.said(given)}.")
            object.__setattr__(self, name, dict(given))
        super().__post_init__()
        shares = tuple(map(float, self.ratios))
        object.__setattr__(self, "ratio", shares if isinstance(self.ratio, list | tuple) else shares[0])
        _check_method(self)

    def __str__(self) -> str:
        said = " ".join(f"{ratio:.3g}" for ratio in self.ratios)
        return f"{self.method}{' + REWEIGHT' * self.reweight}, r={said}, seed {self.seed}"

    @property
    def ratios(self) -> tuple[float, ...]:
        """The share of each of `groups`, or the one that all share."""
        return tuple(self.ratio) if isinstance(self.ratio, list | tuple) else (self.ratio,)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting of the run: defaults, then the data set's preset, then `overrides`.

        What is None then is what the method makes of it.
        """
        method = methods.get(self.method)
        n_groups = 1 if isinstance(self.groups, str) else len(self.groups)
        ratio, defaults = sum(self.ratios) / len(self.ratios), _defaults(method)
        chosen = preset.settings(self.dataset, self.method, method.starts_from, self.reweight, ratio,
                                 n_groups, self.recipe, defaults)
        stray = sorted(set(chosen) - set(defaults))
        data.require(not stray,
                     f"the preset of {self.dataset} sets {', '.join(stray)}, unknown to {self.method}.")
        if method.starts_from == "fresh":
            chosen |= dict(self.pretraining)
        asked = {**defaults, **chosen, **self.overrides}
        if self.tiny:
            asked |= {name: min(asked[name], most) for name, most in TINY.items() if name in asked}
            asked["pretrained"] = False
        if "warmup_epochs" not in self.overrides:  # fewer epochs have room for no more
            asked["warmup_epochs"] = min(asked["warmup_epochs"], max(asked["epochs"] - 1, 0))
        own = {f.name: asked[f.name] for f in fields(method)}  # type: ignore[arg-type]  # it is a dataclass
        return {**asked, **method(**own).meant()} if None in own.values() else asked

    def load(self) -> data.Splits:
        """The whole of its data; errors as of `data.load`."""
        return data.load(self.dataset, self.root, self.recipe)

    def _make(self, kind: type) -> Any:
        return kind(**{f.name: self.settings[f.name] for f in fields(kind)})

    @cached_property
    def network(self) -> models.Network:
        """What is trained."""
        return self._make(models.Network)

    @cached_property
    def optimisation(self) -> training.Recipe:
        """How the method is optimised."""
        return self._make(training.Recipe)

    def make_method(self) -> training.Method:
        """A fresh instance of the method with this experiment's settings."""
        return self._make(methods.get(self.method))

    @cached_property
    def original(self) -> Self:
        """The PRETRAIN run that this one is compared with, and most start from, on the same split."""
        shared = {k: v for k, v in self.overrides.items() if k in models.Network.__dataclass_fields__}
        return replace(self, method="pretrain", reweight=False, overrides=shared, grouping="true")

    @cached_property
    def start(self) -> Self | None:
        """The run whose model this one goes on from: PRETRAIN, or what the method names; None if it starts
        afresh."""
        if methods.get(self.method).starts_from == "fresh":
            return None
        before = self.make_method().goes_on_from
        return self.original if before == "pretrain" else replace(self.original, method=before,
                                                                  grouping=self.grouping)

    @cached_property
    def inferred_from(self) -> Self:
        """The PRETRAIN run whose model `grouping` infers groups with; some stop early."""
        early = discover.GROUPINGS[self.grouping].early
        return replace(self.original, overrides={**self.original.overrides, **early})

    @cached_property
    def gold(self) -> Self:
        """The gold standard of this seed and split: RETRAIN + REWEIGHT."""
        return replace(self.original, method="retrain", reweight=True)


def check_device(device: object) -> None:
    """Raise a ValueError unless this machine has what is named."""
    data.require(isinstance(device, str) and re.fullmatch(r"cpu|cuda(:\d+)?", device),
                 f"device must be 'cpu' or 'cuda', but is {data.said(device)}.")
    data.require(device == "cpu" or torch.cuda.is_available(),
                 f"device is {device!r}, but PyTorch sees no GPU: use device cpu, or install a CUDA build of "
                 "torch.")


def check_call(experiment: object, store: object = None, device: object = "cpu", on_epoch: object = None,
               fresh: object = False) -> None:
    """Raise a ValueError unless a run can be asked with these."""
    data.require(isinstance(experiment, Experiment),
                 f"what is run must be an Experiment, such as Experiment(), but is {data.said(experiment)}.")
    data.check_folder("store", store)
    check_device(device)
    data.require(on_epoch is None or callable(on_epoch),
                 f"on_epoch must be a function of an epoch and its row, but is {data.said(on_epoch)}.")
    data.require(isinstance(fresh, bool), f"fresh must be one of False, True, but is {data.said(fresh)}.")


def _groups(groups: Any) -> str | tuple[data.Group, ...]:
    if isinstance(groups, str) and groups in ("default", "uniform"):
        return groups
    try:
        pairs = tuple((operator.index(y), operator.index(a)) for y, a in groups)
    except (TypeError, ValueError):
        pairs = ()
    data.require(pairs and min(map(min, pairs)) >= 0, f"groups must be {GROUPS}, but is {data.said(groups)}.")
    return pairs


def _check_method(e: Experiment) -> None:
    method = methods.get(e.method)
    sees_all, known = method.trains_on == "train", _defaults(method)
    data.require(e.grouping == "true" or not sees_all,
                 f"grouping must be true for {e.method}, which forgets nothing, but is {e.grouping!r}.")
    samples_itself = method.sampling_weights is not training.Method.sampling_weights
    data.require(not e.reweight or not (sees_all or samples_itself),
            f"{e.method} does not combine with REWEIGHT: it "
            f"{'sees the whole training set' if sees_all else 'samples by itself'}.")
    if unknown := sorted(map(str, set(e.overrides) - set(known))):
        readers = [name for name in methods.registry if set(unknown) <= set(_defaults(methods.get(name)))]
        instead = f", but a setting of {' and '.join(readers)}" if readers else ""
        raise ValueError(f"unknown setting {', '.join(unknown)} for {e.method}{instead}: choose from "
                         f"{', '.join(sorted(known))}.")
    recipe = training.Recipe.__dataclass_fields__
    stray = sorted(map(str, set(e.pretraining) - set(recipe)))
    data.require(not stray, f"unknown setting {', '.join(stray)} in pretraining: choose from "
                            f"{', '.join(sorted(recipe))}.")
    if e.pretraining and method.starts_from != "fresh":
        _ = e.original  # checks its values
    made = e.network, e.optimisation, e.make_method()  # all check their values
    data.require(not e.reweight or made[2].retains,
            f"{e.method} without a retain pass has nothing for REWEIGHT to weigh: set reweight to False.")


def _defaults(method: type[training.Method]) -> dict[str, Any]:
    return {f.name: f.default for kind in (models.Network, training.Recipe, method)
            for f in fields(kind)}  # type: ignore[arg-type]  # settings are dataclasses
