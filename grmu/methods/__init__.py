"""The methods, by name. Adding one is a file with its losses and a line here; a notebook may call `register`.

A method is imported when it is first asked for, by its name (`get("miu")`) or its class (`methods.MIU`).
"""

from dataclasses import is_dataclass
from importlib import import_module

from grmu.data import known, require, said
from grmu.training import Method

BUILT_IN = {
    "pretrain": "erm.Pretrain", "retrain": "erm.Retrain", "group_dro": "group_dro.GroupDRO",
    "rwg": "balanced.RWG",
    "subg": "balanced.SUBG", "finetune": "erm.FineTune", "l1_sparse": "l1_sparse.L1Sparse",
    "salun": "salun.SalUn",
    "scrub": "scrub.SCRUB", "miu": "miu.MIU", "gradient_ascent": "gradient_ascent.GradientAscent",
    "random_labels": "random_labels.RandomLabels", "bad_teacher": "bad_teacher.BadTeacher",
    "boundary_shrink": "boundary.BoundaryShrink", "boundary_expand": "boundary.BoundaryExpand",
    "ssd": "ssd.SSD",
    "influence": "influence.Influence", "adjust": "adjust.Adjust",
    "dfr": "dfr.DFR", "afr": "afr.AFR", "self": "selective.SELF", "lisa": "lisa.LISA", "jtt": "jtt.JTT"}
registry: dict[str, str | type[Method]] = dict(BUILT_IN)  # what was not asked for yet stands as module.class


def register(name: str, method: type[Method]) -> type[Method]:
    """Make a `Method` dataclass known under `name`; a second registration replaces the first.

    Raises:
        ValueError: a name that is no text, or a class that is no such dataclass.
    """
    require(isinstance(name, str) and name, f"a method's name must be a text, but is {said(name)}.")
    require(isinstance(method, type) and issubclass(method, Method) and is_dataclass(method),
            f"{name} must be a class under Method, with @dataclass above it, but is {said(method)}.")
    method.name = name
    registry[name] = method
    return method


def get(name: str) -> type[Method]:
    """The method of that name; ValueError with the known names otherwise."""
    known("method", name, registry)
    method = registry[name]
    if isinstance(method, str):
        module, cls = method.split(".")
        method = register(name, getattr(import_module(f"grmu.methods.{module}"), cls))
    return method


def __getattr__(name: str) -> type[Method]:
    for key, place in BUILT_IN.items():
        if place.split(".")[1] == name:
            return get(key)
    raise AttributeError(f"module 'grmu.methods' has no attribute {name!r}")
