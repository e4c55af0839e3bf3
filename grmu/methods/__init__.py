"""The methods, by name. To add one, write a file with its losses and add a line here; or call `register`.

The three that are plain cross-entropy are below; each of the others is imported when it is first asked for,
by its name (`get("miu")`) or its class (`methods.MIU`).
"""

from dataclasses import dataclass, is_dataclass
from importlib import import_module

from grmu.data import known, require, short_repr
from grmu.training import Method


@dataclass
class Pretrain(Method):
    """The original model: fresh weights, trained on the whole training set. In tables: no unlearning."""

    init_from = None
    trains_on = "train"


@dataclass
class Retrain(Method):
    """Exact unlearning: fresh weights, trained on the retain set only (with REWEIGHT: the gold standard)."""

    init_from = None


@dataclass
class FineTune(Method):
    """Continue training the original model on the retain set, with cross-entropy."""


registry: dict[str, str | type[Method]] = {  # a text is module.class, not imported yet
    "pretrain": Pretrain, "retrain": Retrain, "finetune": FineTune,
    "group_dro": "group_dro.GroupDRO", "group_dro_pretrain": "group_dro.GroupDROPretrain",
    "rwg": "balanced.RWG", "subg": "balanced.SUBG",
    "l1_sparse": "l1_sparse.L1Sparse", "salun": "salun.SalUn", "scrub": "scrub.SCRUB", "miu": "miu.MIU",
    "miu_released": "miu_released.MIUReleased", "gradient_ascent": "gradient_ascent.GradientAscent",
    "random_labels": "random_labels.RandomLabels", "bad_teacher": "bad_teacher.BadTeacher",
    "boundary_shrink": "boundary.BoundaryShrink", "boundary_expand": "boundary.BoundaryExpand",
    "ssd": "ssd.SSD", "influence": "influence.Influence", "adjust": "adjust.Adjust"}
_CLASSES = {place.split(".")[1]: name for name, place in registry.items() if isinstance(place, str)}


def register(name: str, method: type[Method]) -> type[Method]:
    """Make a `Method` dataclass known under `name`; a second registration replaces the first.

    Raises:
        ValueError: The name is not a text, or the class is not such a dataclass.
    """
    require(isinstance(name, str) and name, f"a method's name must be a text, got {short_repr(name)}.")
    require(isinstance(method, type) and issubclass(method, Method) and is_dataclass(method),
            f"{name} must be a class under Method, with @dataclass above it, got {short_repr(method)}.")
    registry[name] = method
    return method


def get(name: str) -> type[Method]:
    """Return the method of that name; a ValueError that lists the names if there is none."""
    known("method", name, registry)
    method = registry[name]
    if isinstance(method, str):
        module, cls = method.split(".")
        method = register(name, getattr(import_module(f"grmu.methods.{module}"), cls))
    return method


def __getattr__(name: str) -> type[Method]:
    if name in _CLASSES:
        return get(_CLASSES[name])
    raise AttributeError(f"module 'grmu.methods' has no attribute {name!r}")
