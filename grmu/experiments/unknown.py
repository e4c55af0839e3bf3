"""The errors for settings that do not exist."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import TYPE_CHECKING

from grmu import methods

if TYPE_CHECKING:
    from grmu.experiments.experiment import Experiment

FORMER = ("form", "group_bar", "calibrate_to", "mine_optimizer", "mine_momentum", "mine_ema", "ema_in_passes",
          "tune_on", "target_on", "retune_target", "extra_update", "own_start")  # of MIU


def reject(experiment: Experiment, settings: Collection[str], trainable: Collection[str]) -> None:
    """Raise the ValueError for the first setting that does not exist; it lists those that do.

    Args:
        experiment: What was asked for.
        settings: Names that its `overrides` may have.
        trainable: Names that its `pretraining` may have.
    """
    unknown = sorted(map(str, set(experiment.overrides) - set(settings)))
    if former := [name for name in unknown if name in FORMER]:
        raise ValueError(f"{', '.join(former)} no longer exists: miu is the paper's Algorithm 1, and the "
                         "authors' released variant is the method miu_released.")
    if unknown:
        readers = [name for name in methods.registry if set(unknown) <= _fields(name)]
        instead = f", but a setting of {' and '.join(readers)}" if readers else ""
        raise ValueError(f"unknown setting {', '.join(unknown)} for {experiment.method}{instead}: choose "
                         f"from {', '.join(sorted(settings))}.")
    stray = sorted(map(str, set(experiment.pretraining) - set(trainable)))
    raise ValueError(f"unknown setting {', '.join(stray)} in pretraining: choose from "
                     f"{', '.join(sorted(trainable))}.")


def _fields(name: str) -> set[str]:
    return {f.name for f in fields(methods.get(name))}  # type: ignore[arg-type]  # a dataclass
