"""What other methods of the paper's released code do differently, and what that changes (docs/full-scale.md).

released.csv: python data/results/released.py

Each variant is our method with one choice of that code: five seeds of groundwear at ratio 0.5, with REWEIGHT,
settings as in the preset.
"""

from dataclasses import dataclass
from itertools import product

import pandas as pd
import torch

from grmu import methods
from grmu.analysis.results import write_study
from grmu.experiments import Experiment, run
from grmu.methods.salun import SalUn


@dataclass
class AnyLabels(SalUn):
    """Random labels are drawn from all classes, so that one in n_classes is the true one."""

    def wrong_labels(self, y):
        return torch.randint(self.context.train.n_classes, y.shape, generator=self.context.rng).to(y.device)


@dataclass
class MaskedGradients(SalUn):
    """The mask is laid on gradients alone: weight decay moves the other weights, too."""

    def setup(self, context):
        super().setup(context)
        for p, frozen in zip(self.model.parameters(), self.frozen, strict=True):
            p.register_hook(lambda gradient, frozen=frozen: gradient.masked_fill(frozen, 0))

    def after_step(self):
        pass


VARIANTS = {  # name: our method, the method that differs, settings that differ
    "labels drawn from all classes": ("salun", "any_labels", {}),
    "mask on gradients alone": ("salun", "masked_gradients", {}),
    "forget pass in every epoch": ("salun", "salun", {"forget_epochs": 10}),
    "both teachers in every epoch": ("bad_teacher", "bad_teacher", {"forget_epochs": 10})}
methods.register("any_labels", AnyLabels)
methods.register("masked_gradients", MaskedGradients)


def released(jobs):
    """UA and GA of each variant and of our method: a row a variant and seed. In one process."""
    rows = []
    for (variant, (ours, theirs, changed)), seed in product(VARIANTS.items(), range(5)):
        plain = Experiment(method=ours, reweight=True, ratio=0.5, seed=seed)
        other = run(Experiment(method=theirs, reweight=True, ratio=0.5, seed=seed,
                               overrides=plain.settings | changed)).metrics
        own = run(plain).metrics
        rows.append({"method": ours, "variant": variant, "seed": seed, "UA": own["UA"], "GA": own["GA"],
                     "UA, variant": other["UA"], "GA, variant": other["GA"]})
    return pd.DataFrame(rows).round(5)


if __name__ == "__main__":
    write_study(released=released)
