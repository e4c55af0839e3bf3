"""The methods, by name. Adding one is a file with its losses and a line here; a notebook may call `register` instead."""

from __future__ import annotations

from typing import TypeVar

from grmu.methods.erm import FineTune, Pretrain, Retrain
from grmu.methods.group_dro import GroupDRO
from grmu.methods.miu import MIU
from grmu.training import Method

__all__ = ["MIU", "FineTune", "GroupDRO", "Pretrain", "Retrain", "get", "register", "registry"]

registry: dict[str, type[Method]] = {}
M = TypeVar("M", bound=type[Method])


def register(name: str, method: M) -> M:
    """Make a `Method` dataclass known under `name`; a second registration replaces the first."""
    method.name = name
    registry[name] = method
    return method


def get(name: str) -> type[Method]:
    """The method of that name; ValueError with the known names otherwise."""
    if name not in registry:
        raise ValueError(f"unknown method {name!r}: choose one of {', '.join(registry)}.")
    return registry[name]


register("pretrain", Pretrain)
register("retrain", Retrain)
register("group_dro", GroupDRO)
register("finetune", FineTune)
register("miu", MIU)
