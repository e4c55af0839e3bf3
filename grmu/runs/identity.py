"""What a run is called: names made of all that its numbers depend on.

An experiment's id covers its settings; the keys that its weights and its result are stored under cover the
code, too, so that an edited method is never mistaken for the old one.
"""

import hashlib
import inspect
import json
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property, lru_cache
from typing import Any

import torch

from grmu import discover, methods, training
from grmu.data.shipped import PACKAGE

CODE = ("data/core.py", "data/groundwear.py", "data/negation.py", "data/rows.py", "numerics.py",
        "settings.py",
        "models.py", "reweight.py", "training.py", "mine.py", "gradients.py", "runs/experiment.py",
        "runs/runner.py")
UNSET = {"split_seed": None, "half": False, "grouping": "true"}  # fields that came later, as they were before


class Identity:
    """The names of an experiment; `Experiment` has them by inheritance."""

    def describe(self: Any) -> dict[str, Any]:
        """Everything but the data's location, as plain JSON values."""
        config = asdict(self) | {"settings": dict(sorted(self.settings.items()))}
        left_out = {"root", "overrides", *(name for name, unset in UNSET.items() if config[name] == unset)}
        return {name: value for name, value in config.items() if name not in left_out}

    @cached_property
    def id(self: Any) -> str:
        """Names the experiment, whatever code will run it: rows of shipped results are found by it."""
        return _hash(self.describe())

    @cached_property
    def training_key(self: Any) -> str:
        """Names the trained weights.

        PRETRAIN's do not depend on what is forgotten, so all splits share them.
        """
        method, config = methods.get(self.method), self.describe()
        config["code"] = [_source(*CODE), *_own_code(method)]
        if self.network.pretrained:
            from grmu import pretrained

            config["weights"] = pretrained.fingerprint(pretrained.find(self.network.model))
        if method.starts_from == "original":
            config["original"] = self.original.training_key
        if self.grouping != "true":
            infer = discover.GROUPINGS[self.grouping].infer
            config["groups from"] = [self.inferred_from.training_key, _source("discover.py"), _text(infer)]
        if method.trains_on == "train":
            config = {name: v for name, v in config.items() if name not in ("ratio", "groups", "split_seed")}
        return _hash(config)

    @cached_property
    def key(self: Any) -> str:
        """Names the result: the weights, measured on one split."""
        return _hash([self.training_key, self.ratio, self.groups, self.split_seed, _source("metrics.py")])


@lru_cache
def _source(*names: str) -> str:
    """Hash of source files of this package, and of the torch they run on."""
    return _hash([torch.__version__, *((PACKAGE / name).read_text() for name in names)])


def _own_code(method: type[training.Method]) -> list[str]:
    """The text of a method and its bases: the files of the package's, by function what a notebook defines."""
    classes = method.__mro__[: method.__mro__.index(training.Method)]
    files = [_source(cls.__module__.removeprefix("grmu.").replace(".", "/") + ".py")
             for cls in classes if cls.__module__.startswith("grmu.methods.")]
    return files + [_text(value) for cls in classes for name, value in sorted(vars(cls).items())
                    if inspect.isfunction(value) or not name.startswith("__")]


def _text(value: Any) -> str:
    """The text of a function, the value of a constant; "" for what @dataclass makes,
    whose fields are settings."""
    if isinstance(value, str | bool | int | float):
        return repr(value)
    with suppress(OSError, TypeError):
        return inspect.getsource(inspect.unwrap(getattr(value, "fget", None)
                                                or getattr(value, "__func__", value)))
    return ""


def _hash(config: object) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:20]
