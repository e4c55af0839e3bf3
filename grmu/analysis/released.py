"""What the other methods of the paper's released code do differently, and what that changes.

docs/released.md has them all; here are those that one run can show.
Each variant is our method with one of that code's choices; those that a setting can express need no class.
Five seeds of `groundwear` at ratio 0.5, with REWEIGHT, settings as in the preset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd
import torch

from grmu import methods
from grmu.experiments import Experiment, run
from grmu.methods.salun import SalUn
from grmu.training import Context, Method

SEEDS = tuple(range(5))


@dataclass
class AnyLabels(SalUn):
    """Random labels are drawn from all classes, so that one in n_classes is the true one."""

    def wrong_labels(self, y: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return torch.randint(self.context.train.n_classes, y.shape, generator=self.context.rng).to(y.device)


@dataclass
class MaskedGradients(SalUn):
    """The mask is laid on gradients alone: weight decay moves the other weights, too."""

    def setup(self, context: Context) -> None:  # noqa: D102
        super().setup(context)
        for p, frozen in zip(self.model.parameters(), self.frozen, strict=True):
            p.register_hook(lambda gradient, frozen=frozen: gradient.masked_fill(frozen, 0))

    def after_step(self) -> None:  # noqa: D102
        pass


VARIANTS: dict[str, tuple[str, str | type[Method], Mapping[str, Any]]] = {
    # name: our method, the class that differs from it or its own name, settings that differ
    "labels drawn from all classes": ("salun", AnyLabels, {}),
    "mask on gradients alone": ("salun", MaskedGradients, {}),
    "forget pass in every epoch": ("salun", "salun", {"forget_epochs": 10}),
    "both teachers in every epoch": ("bad_teacher", "bad_teacher", {"forget_epochs": 10})}


@contextmanager
def _registered(cls: str | type[Method]) -> Iterator[str]:
    """The name to run a variant by, known as long as this lasts."""
    if isinstance(cls, str):
        yield cls
        return
    methods.register(name := f"variant {cls.__name__}", cls)
    try:
        yield name
    finally:
        del methods.registry[name]


def released(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """UA and GA of each variant and of our method: a row a variant and seed. In one process, whatever `jobs`
    says: others do not know the variants."""
    rows = []
    for (variant, (ours, cls, changed)), seed in product(VARIANTS.items(), SEEDS):
        plain = Experiment(method=ours, reweight=True, ratio=0.5, seed=seed)
        with _registered(cls) as name:
            theirs = run(Experiment(method=name, reweight=True, ratio=0.5, seed=seed,
                                    overrides=plain.settings | changed), store).metrics
        own = run(plain, store).metrics
        rows.append({"method": ours, "variant": variant, "seed": seed, "UA": own["UA"], "GA": own["GA"],
                     "UA, variant": theirs["UA"], "GA, variant": theirs["GA"]})
    return pd.DataFrame(rows).round(5)
