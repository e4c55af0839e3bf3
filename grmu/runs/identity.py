"""What a run is called: names made of all that its numbers depend on.

An experiment's id covers its settings; the keys that its weights and its result are stored under cover the
code that it needs, its data and the libraries, too, so that nothing stale is ever mistaken for it.
"""

import hashlib
import json
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from typing import Any

from grmu import data, discover, methods, models, training
from grmu.data.shipped import sha256
from grmu.runs import code

UNSET: dict[str, Any] = {  # fields that came later, as they were before
    "split_seed": None, "half": False, "grouping": "true", "pretraining": {},
    "recipe": "ours", "tiny": False}
VERSIONS = {library: version(library) for library in ("torch", "torchvision", "numpy")}


class Identity:
    """The names of an experiment; `Experiment` has them by inheritance."""

    def describe(self: Any) -> dict[str, Any]:
        """Everything but the data's location, as plain JSON values."""
        later = {**training.Recipe.later, **methods.get(self.method).later}
        settings = {name: value for name, value in sorted(self.settings.items())
                    if name not in later or value != later[name]}
        config = asdict(self) | {"settings": settings}
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

        Raises:
            ValueError, FileNotFoundError: its data cannot be read.
        """
        method, config = methods.get(self.method), self.describe()
        found = data.fingerprint(self.dataset, self.root, self.recipe)
        config |= {"code": self._code(), "data": found, **VERSIONS}
        if self.network.pretrained:
            from grmu import pretrained

            config["weights"] = sha256(pretrained.find(self.network.model))
        if self.start is not None:
            config["original"] = self.start.training_key
        if self.grouping != "true":
            infer = discover.GROUPINGS[self.grouping].infer
            config["groups from"] = [self.inferred_from.training_key, code.text(infer)]
        if method.trains_on == "train":
            config = {name: v for name, v in config.items() if name not in ("ratio", "groups", "split_seed")}
        return _hash(config)

    @cached_property
    def key(self: Any) -> str:
        """Names the result: the weights, measured on one split."""
        return _hash([self.training_key, self.ratio, self.groups, self.split_seed])

    def _modules(self: Any) -> set[str]:
        """The modules of the package that the run begins with."""
        found = [cls.__module__ for cls in self._classes()] + [data.module(self.dataset), "grmu.runs.runner"]
        found += ["grmu.pretrained"] * (self.network.model in models.PUBLISHED)
        return {name for name in found if name and name.startswith("grmu.")}

    def _code(self: Any) -> list[str]:
        """Of the package what the run needs; of a method that a notebook defines the text, and that of the
        notebook's functions and classes that it calls."""
        seen: set[str] = set()
        own = [cls for cls in self._classes() if not cls.__module__.startswith("grmu.")]
        return [code.digest(*self._modules())] + [text for cls in own for text in code.texts(cls, seen)]

    def _classes(self: Any) -> tuple[type, ...]:
        """The method's class and its bases, up to the one of all methods."""
        classes = methods.get(self.method).__mro__
        return classes[: classes.index(training.Method)]


def _hash(config: object) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:20]
