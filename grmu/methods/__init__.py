"""methods: the unlearning methods, by name.

To add a method, write a file with its losses and add a line to `registry`, or call `register`. The three
methods that use only cross-entropy are defined here. The others are imported when they are first requested,
by name (`get("miu")`) or by class (`methods.MIU`).
"""

from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module

from grmu.data import known, require, short_repr
from grmu.training import Method


@dataclass
class Pretrain(Method):
    """The original model: fresh weights, trained on the whole training set ("no unlearning" in tables)."""

    init_from = None
    trains_on = "train"


@dataclass
class Retrain(Method):
    """Exact unlearning: fresh weights, trained on the retain set only.

    Together with REWEIGHT, this is the gold standard.
    """

    init_from = None


@dataclass
class FineTune(Method):
    """Further training of the original model on the retain set, with cross-entropy."""


registry: dict[str, str | type[Method]] = {  # a text is module.class, to be imported
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
    """Register a `Method` dataclass under a name; a second registration replaces the first.

    Args:
        name: The name.
        method: The class.

    Returns:
        The class.

    Raises:
        ValueError: The name is not a string, or the class is not a dataclass that derives from `Method`.
    """
    require(isinstance(name, str) and name, f"a method's name must be a string, got {short_repr(name)}.")
    require(isinstance(method, type) and issubclass(method, Method) and is_dataclass(method),
            f"{name} must be a subclass of Method, decorated with @dataclass, got {short_repr(method)}.")
    registry[name] = method
    return method


def get(name: str) -> type[Method]:
    """Return the method of that name, or raise a ValueError that lists the known names."""
    known("method", name, registry)
    method = registry[name]
    if isinstance(method, str):
        module, cls = method.split(".")
        method = register(name, getattr(import_module(f"grmu.methods.{module}"), cls))
    return method


def make(method: str | Method) -> Method:
    """Return a method, which may be given by its name; raise a ValueError if the argument is not a method."""
    made = get(method)() if isinstance(method, str) else method
    require(isinstance(made, Method), f"method must be a name or a method, as MIU(), got {short_repr(made)}.")
    return made


def name_of(method: Method) -> str:
    """Return a method's registered name, or its class with the settings that differ from the defaults."""
    kind, settings = type(method), {f: getattr(method, f.name) for f in fields(method)}  # type: ignore[arg-type]
    changed = [f"{f.name}={value}" for f, value in settings.items() if value != f.default]
    known_as = next((name for name, other in registry.items() if other is kind), kind.__name__)
    return f"{kind.__name__}({', '.join(changed)})" if changed else known_as


def __getattr__(name: str) -> type[Method]:
    if name in _CLASSES:
        return get(_CLASSES[name])
    raise AttributeError(f"module 'grmu.methods' has no attribute {name!r}")
