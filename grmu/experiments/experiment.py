"""Describe a run by an `Experiment`, which holds everything that its result depends on.

An experiment has the settings of the network, of training and of the method. Each setting has a default
value. The data set's preset (presets/NAME.yaml) replaces defaults, and `overrides` replace the preset. On the
paper's data sets, the settings that the paper's code was run with (presets/released.csv, one row per settings
file) replace those of the preset. Invalid values raise an error before any work starts.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd
import yaml

from grmu import data, methods, models, training
from grmu.data.checks import Settings, check_groups, check_settings, defaults, one_of, within

PRESETS = Path(__file__).parent / "presets"
RELEASED_FOR = ("dataset", "network", "groups", "ratio", "method", "reweight")  # columns that identify a row
TINY = {"epochs": 1, "batch_size": 8, "first_updates": 1, "later_updates": 1, "n_fisher": 8,
        "pretrained": False}  # upper limits in a dry run
SHARED = models.Network, training.TrainConfig  # their fields are settings of every method


@dataclass(frozen=True, eq=False)
class Experiment(Settings):
    """Everything that a run's result depends on.

    Two experiments with equal settings are equal.

    Args:
        dataset: A name that `grmu.data.load` knows.
        method: A name in `grmu.methods.registry`.
        reweight: Whether the retain set is sampled with REWEIGHT.
        ratio: Share of the groups' samples to forget, in (0, 1].
        groups: "default" (the data set's forget group), "uniform" (samples of all groups), or pairs (y, a).
        seed: Seed of all random numbers. It also selects the forget set, which all methods share.
        overrides: Settings that replace those of the preset: fields of `models.Network`,
            `training.TrainConfig` or the method.
        root: Folder of the data set's files. None uses the data that ships with the project.
        split_seed: Selects the forget set instead of `seed`, so that several runs can share one split.
        half: Train on a random half of the training set, selected by `seed` (a shadow model of an audit).
        grouping: Source of the groups that the method uses: "true", or a name in `grmu.discover`. The forget
            set and the metrics always use the true groups.
        pretraining: Fields of `training.TrainConfig` that replace the preset's wherever a model is trained
            from scratch: in this run, in the PRETRAIN run that it starts from, and in its gold standard.
        protocol: "ours", or "released" to do what the paper's code does (see docs/paper.md).
        tiny: Do a dry run with a few samples and one epoch. Its numbers mean nothing.

    Raises:
        ValueError: A value is not allowed. The message says what is allowed and how to fix it.
    """

    dataset: str = "groundwear"
    method: str = "miu"
    reweight: bool = False
    ratio: float = 0.5
    groups: str | tuple[data.Group, ...] = "default"
    seed: int = within(0, default=0)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    root: str | None = None
    split_seed: int | None = within(0, default=None)
    half: bool = False
    grouping: str = one_of("true", "clusters", "errors", "probe", "probe_last", "random")
    pretraining: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = one_of(*data.PROTOCOLS)
    tiny: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        data.known("data set", self.dataset, data.LOADERS)
        data.check_folder("root", self.root)
        method = methods.get(self.method)
        vars(self).update(  # the dataclass is frozen, so plain assignment is impossible
            ratio=data.check_ratio(self.ratio), groups=check_groups(self.groups),
            overrides=check_settings(f"{self.method} overrides", self.overrides, defaults(*SHARED, method)),
            pretraining=check_settings("pretraining", self.pretraining, defaults(training.TrainConfig)))
        made = self.make_method(), self.network, self.config  # each of them checks its values
        if self.pretraining and method.init_from is not None:
            _ = self.original  # checks the values of `pretraining`
        forgets = method.trains_on != "train"
        data.require(self.grouping == "true" or forgets, f"grouping must be true for {self.method}, which "
                     f"forgets nothing, got {self.grouping!r}.")
        no_reweight = {"sees the whole training set": not forgets, "has no retain pass": not made[0].retains,
                       "samples by itself": method.sample_epoch is not training.Method.sample_epoch}
        for why, holds in no_reweight.items():
            data.require(not (self.reweight and holds), f"{self.method} does not combine with REWEIGHT, "
                         f"because it {why}: set reweight=False.")

    def __str__(self) -> str:
        return f"{self.method}{' + REWEIGHT' * self.reweight}, r={self.ratio:.3g}, seed {self.seed}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All fields by name, as JSON values, with the complete settings in place of the overrides."""
        return asdict(self) | {"overrides": self.settings}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(json.dumps(self.identity, sort_keys=True))

    @property
    def method_class(self) -> type[training.Method]:
        """The class to train: the method's "released" variant if the protocol asks for it and it exists."""
        variant = f"{self.method}_{self.protocol}"
        return methods.get(variant if variant in methods.registry else self.method)

    @cached_property
    def preset(self) -> dict[str, Any]:
        """All settings before `overrides`: the defaults, then the data set's preset, then `pretraining`."""
        method, own, blocks = self.method_class, self.method.removesuffix("_released"), _read(self.dataset)
        fresh = method.init_from is None
        chosen = blocks["network"] | blocks["fresh" if fresh else "original"] | blocks["methods"].get(own, {})
        chosen |= self._nearest_released(own)  # empty for the embedded data sets
        if self.protocol == "released":  # behaviour that is hard-coded in the paper's code
            chosen |= {"warmup_by": "step", "keep": "best" if fresh else "last"}
            chosen |= {"retain_batch_size": 128} if own == "scrub" else {}
            chosen["model"] = chosen["model"].replace("resnet18", "resnet18_timm")
        return {**defaults(*SHARED, method), **chosen, **(self.pretraining if fresh else {})}

    def _nearest_released(self, method: str) -> dict[str, Any]:
        """Return the paper's settings that are nearest in REWEIGHT, number of groups and ratio."""
        n_groups = 1 if isinstance(self.groups, str) else len(self.groups)

        def distance(row: dict[str, Any]) -> tuple[bool, float, float]:
            return (row["reweight"] != self.reweight, abs(row.get("groups", n_groups) - n_groups),
                    abs(row.get("ratio", self.ratio) - self.ratio))

        rows = [row for row in released() if (row["dataset"], row["method"]) == (self.dataset, method)]
        nearest = min(rows, key=distance, default={}).items()
        return {name: value for name, value in nearest if name not in RELEASED_FOR}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All settings of the run."""
        settings = {**self.preset, **self.overrides}
        if self.tiny:
            settings |= {name: min(settings[name], most) for name, most in TINY.items() if name in settings}
        if "warmup_epochs" not in self.overrides:  # the warm-up must be shorter than the training
            settings["warmup_epochs"] = min(settings["warmup_epochs"], max(settings["epochs"] - 1, 0))
        return settings

    def load(self) -> data.Splits:
        """Load the whole data set.

        Raises:
            ValueError: As in `data.load`.
            FileNotFoundError: As in `data.load`.
        """
        return data.load(self.dataset, self.root, self.protocol)

    def _make(self, kind: type) -> Any:
        return kind(**{f.name: self.settings[f.name] for f in fields(kind)})

    @cached_property
    def network(self) -> models.Network:
        """The architecture of the network."""
        return self._make(models.Network)

    @cached_property
    def config(self) -> training.TrainConfig:
        """The training config of the method."""
        return self._make(training.TrainConfig)

    def make_method(self) -> training.Method:
        """Create a new instance of the method with this experiment's settings."""
        return self._make(self.method_class)

    @cached_property
    def original(self) -> Self:
        """The PRETRAIN run of the same split, which is the original model before unlearning."""
        shared = {k: v for k, v in self.overrides.items() if k in models.Network.__dataclass_fields__}
        return replace(self, method="pretrain", reweight=False, overrides=shared, grouping="true")

    @cached_property
    def start(self) -> Self | None:
        """The run whose model this one starts from, or None if it starts from random weights."""
        before = self.make_method().init_from
        grouping = "true" if before == "pretrain" else self.grouping
        return replace(self.original, method=before, grouping=grouping) if before else None

    @cached_property
    def source(self) -> Self | None:
        """The PRETRAIN run whose model infers the groups, or None if the true groups are used.

        Some groupings need a PRETRAIN run that stops early.
        """
        if self.grouping == "true":
            return None
        from grmu.discover import GROUPINGS

        return replace(self.original, overrides={**self.original.overrides, **GROUPINGS[self.grouping].early})

    @cached_property
    def gold(self) -> Self:
        """The gold standard of this seed and split: RETRAIN + REWEIGHT."""
        return replace(self.original, method="retrain", reweight=True)


@cache
def _read(dataset: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS / f"{dataset}.yaml").read_text())


@cache
def released() -> list[dict[str, Any]]:
    """Return the settings of the paper's code: one dict per settings file, without empty settings.

    SalUn's files do not set the number of forget epochs. The paper's code runs SalUn's forget pass in every
    epoch, so the table sets this number to the number of epochs.
    """
    rows = pd.read_csv(PRESETS / "released.csv").convert_dtypes().to_dict("records")
    return [{str(name): value for name, value in row.items() if pd.notna(value)} for row in rows]
