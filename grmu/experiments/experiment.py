"""An `Experiment` is everything that a run's result depends on. Bad values are rejected before any work.

Its settings are those of the network, of the training and of the method. Each has a default, which the data
set's preset replaces (presets/NAME.yaml), which `overrides` replace. On the paper's data sets, the settings
that its code was run with replace the preset's (presets/released.csv has a row for each of its files).
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
RELEASED_FOR = ("dataset", "network", "groups", "ratio", "method", "reweight")  # what a row is for
TINY = {"epochs": 1, "batch_size": 8, "first_updates": 1, "later_updates": 1, "n_fisher": 8,
        "pretrained": False}  # at most
SHARED = models.Network, training.TrainConfig  # what has settings beside the method


@dataclass(frozen=True, eq=False)
class Experiment(Settings):
    """Everything that a run's result depends on. Equal settings make equal experiments.

    Args:
        dataset: A name that `grmu.data.load` knows.
        method: A name in `grmu.methods.registry`.
        reweight: Sample the retain set with REWEIGHT.
        ratio: Share of the groups' samples to forget, in (0, 1].
        groups: "default" (the data set's forget group), "uniform" (all samples alike), or pairs (y, a).
        seed: Seed of everything random. It also chooses the forget set, which is the same for all methods.
        overrides: Settings that replace the preset's: fields of `models.Network`, `training.TrainConfig` or
            the method.
        root: Folder of the data set's files; None finds what ships with the project.
        split_seed: Chooses the forget set in place of `seed`, for several trainings on one split.
        half: Train on a random half of the training set, drawn by `seed` (a shadow model of an audit).
        grouping: Where the method's groups come from: "true", or a name in `grmu.discover`. The forget set
            and the metrics always use the true groups.
        pretraining: Fields of `training.TrainConfig` that replace the preset's wherever training starts from
            scratch: in this run, in the PRETRAIN that it starts from, and in its gold standard.
        protocol: "ours", or "released" for what the paper's code does (docs/full-scale.md lists it).
        tiny: A dry run with a few samples and one epoch. Its numbers mean nothing.

    Raises:
        ValueError: A value is not allowed; the message names it, what is allowed, and the fix.
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
        vars(self).update(  # as a frozen dataclass is written to
            ratio=data.check_ratio(self.ratio), groups=check_groups(self.groups),
            overrides=check_settings(f"{self.method} overrides", self.overrides, defaults(*SHARED, method)),
            pretraining=check_settings("pretraining", self.pretraining, defaults(training.TrainConfig)))
        made = self.make_method(), self.network, self.config  # all check their values
        if self.pretraining and method.init_from is not None:
            _ = self.original  # checks its values
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
        """Every field by name, with all settings in place of the overrides: JSON values."""
        return asdict(self) | {"overrides": self.settings}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(json.dumps(self.identity, sort_keys=True))

    @property
    def method_class(self) -> type[training.Method]:
        """The class that is trained: under the protocol "released", the released variant if there is one."""
        variant = f"{self.method}_{self.protocol}"
        return methods.get(variant if variant in methods.registry else self.method)

    @cached_property
    def preset(self) -> dict[str, Any]:
        """Every setting before `overrides`: the defaults, then the data set's preset, then `pretraining`."""
        method, own, blocks = self.method_class, self.method.removesuffix("_released"), _read(self.dataset)
        fresh = method.init_from is None
        chosen = blocks["network"] | blocks["fresh" if fresh else "original"] | blocks["methods"].get(own, {})
        chosen |= self._nearest_released(own)  # of the paper's data sets
        if self.protocol == "released":  # what the paper's code does and no settings file of it says
            chosen |= {"warmup_by": "step", "keep": "best" if fresh else "last"}
            chosen |= {"retain_batch_size": 128} if own == "scrub" else {}
            chosen["model"] = chosen["model"].replace("resnet18", "resnet18_timm")
        return {**defaults(*SHARED, method), **chosen, **(self.pretraining if fresh else {})}

    def _nearest_released(self, method: str) -> dict[str, Any]:
        """Settings of the paper's code, of the same REWEIGHT, nearest number of groups and nearest ratio."""
        n_groups = 1 if isinstance(self.groups, str) else len(self.groups)

        def distance(row: dict[str, Any]) -> tuple[bool, float, float]:
            return (row["reweight"] != self.reweight, abs(row.get("groups", n_groups) - n_groups),
                    abs(row.get("ratio", self.ratio) - self.ratio))

        rows = [row for row in released() if (row["dataset"], row["method"]) == (self.dataset, method)]
        nearest = min(rows, key=distance, default={}).items()
        return {name: value for name, value in nearest if name not in RELEASED_FOR}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting of the run."""
        settings = {**self.preset, **self.overrides}
        if self.tiny:
            settings |= {name: min(settings[name], most) for name, most in TINY.items() if name in settings}
        if "warmup_epochs" not in self.overrides:  # a shorter training has room for a shorter warm-up
            settings["warmup_epochs"] = min(settings["warmup_epochs"], max(settings["epochs"] - 1, 0))
        return settings

    def load(self) -> data.Splits:
        """Load the whole data set; errors as of `data.load`."""
        return data.load(self.dataset, self.root, self.protocol)

    def _make(self, kind: type) -> Any:
        return kind(**{f.name: self.settings[f.name] for f in fields(kind)})

    @cached_property
    def network(self) -> models.Network:
        """Which network is trained."""
        return self._make(models.Network)

    @cached_property
    def config(self) -> training.TrainConfig:
        """How the method is optimised."""
        return self._make(training.TrainConfig)

    def make_method(self) -> training.Method:
        """Make a fresh instance of the method, with this experiment's settings."""
        return self._make(self.method_class)

    @cached_property
    def original(self) -> Self:
        """The PRETRAIN run of the same split: the original model, before unlearning."""
        shared = {k: v for k, v in self.overrides.items() if k in models.Network.__dataclass_fields__}
        return replace(self, method="pretrain", reweight=False, overrides=shared, grouping="true")

    @cached_property
    def start(self) -> Self | None:
        """The run whose model this one starts from; None if it starts from fresh weights."""
        before = self.make_method().init_from
        grouping = "true" if before == "pretrain" else self.grouping
        return replace(self.original, method=before, grouping=grouping) if before else None

    @cached_property
    def source(self) -> Self | None:
        """The PRETRAIN run whose model infers the groups, which may stop early; None with the true groups."""
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
    """Return the settings of the paper's code, a dict per file of it, without those that its method lacks.

    SalUn's files say nothing about forget epochs, and its code runs the forget pass in every epoch, so they
    have its number of epochs there.
    """
    rows = pd.read_csv(PRESETS / "released.csv").convert_dtypes().to_dict("records")
    return [{str(name): value for name, value in row.items() if pd.notna(value)} for row in rows]
