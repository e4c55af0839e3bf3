"""The methods, by name. Adding one is a file with its losses and a line here; a notebook may call `register`
instead."""

from __future__ import annotations

from typing import TypeVar

from grmu.methods.bad_teacher import BadTeacher
from grmu.methods.balanced import RWG, SUBG
from grmu.methods.boundary import BoundaryExpand, BoundaryShrink
from grmu.methods.erm import FineTune, Pretrain, Retrain
from grmu.methods.gradient_ascent import GradientAscent
from grmu.methods.group_dro import GroupDRO
from grmu.methods.influence import Influence
from grmu.methods.l1_sparse import L1Sparse
from grmu.methods.miu import MIU
from grmu.methods.random_labels import RandomLabels
from grmu.methods.salun import SalUn
from grmu.methods.scrub import SCRUB
from grmu.methods.ssd import SSD
from grmu.training import Method

__all__ = ["MIU", "RWG", "SCRUB", "SSD", "SUBG", "BadTeacher", "BoundaryExpand", "BoundaryShrink", "FineTune",
           "GradientAscent",
           "GroupDRO", "Influence", "L1Sparse", "Pretrain", "RandomLabels", "Retrain", "SalUn", "get",
           "register", "registry"]

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
register("rwg", RWG)
register("subg", SUBG)
register("finetune", FineTune)
register("l1_sparse", L1Sparse)
register("salun", SalUn)
register("scrub", SCRUB)
register("miu", MIU)
register("gradient_ascent", GradientAscent)
register("random_labels", RandomLabels)
register("bad_teacher", BadTeacher)
register("boundary_shrink", BoundaryShrink)
register("boundary_expand", BoundaryExpand)
register("ssd", SSD)
register("influence", Influence)
