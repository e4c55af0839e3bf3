"""What MINE finds in features, trained and untrained, and what it finds where the answer is known.

    python -m grmu results --only features

Lesson 04 estimates what PRETRAIN's features say of the group. Beside it stand here: the same network before
it learnt anything, the same features with the groups shuffled (0 nats), and features of as many samples made
to share log 2 and 1.2 nats with their group. docs/causes.md announced these. What features say of the shoe
alone and of the ground alone was asked afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from grmu import closed_form
from grmu.analysis import shipped_tables
from grmu.analysis.causes import SEEDS
from grmu.analysis.compare import verdicts
from grmu.experiments import Experiment, map_experiments, train_or_load
from grmu.mine import MINE, Estimator
from grmu.models import build
from grmu.numerics import fixed_threads
from grmu.training import predict

KNOWN = (math.log(2), 1.2)  # nats
MARGIN = 0.1  # nats, too little to matter
HIDDEN, RATE, STEPS, BATCH = 128, 3e-3, 200, 256  # as in lesson 04

Part = tuple[Tensor, Tensor]  # features (N, d), groups (N,)


def held_out(fit_on: Part, ask: Part, seed: int) -> float:
    """The bound in nats on samples that MINE was not fitted to; ḡ exact, features standardised.

    Groups may be any labels from 0 on, such as the ground's.
    """
    mean, spread = fit_on[0].mean(0), fit_on[0].std(0).clamp(min=1e-8)
    (z, group), (z_new, group_new) = (((z - mean) / spread, group) for z, group in (fit_on, ask))
    estimator = Estimator(MINE(z.shape[1], 1 + int(group.max()), HIDDEN, seed), RATE,
                          torch.Generator().manual_seed(seed), batch_size=BATCH)
    estimator.fit(z, group, STEPS)
    return estimator.bound(z_new, group_new).item()


def shuffled(part: Part, rng: torch.Generator) -> Part:
    """The same features with other samples' groups."""
    z, group = part
    return z, group[torch.randperm(len(group), generator=rng)]


def cases(experiment: Experiment, store: str | None = None) -> Iterator[tuple[str, float, Part, Part]]:
    """What is measured for a seed: features' name, their information where it is known (else NaN), what to
    fit on and what to ask about."""
    splits, rng = experiment.load(), torch.Generator().manual_seed(experiment.seed)
    networks = {"trained": train_or_load(experiment, store),
                "untrained": build(experiment.network, splits.train, experiment.seed).eval()}
    for name, model in networks.items():
        z_fit, z_ask = (predict(model.features, model, part.x) for part in (splits.val, splits.test))
        fit_on, ask = (z_fit, splits.val.group), (z_ask, splits.test.group)
        yield name, math.nan, fit_on, ask
        yield f"{name}, groups shuffled", 0.0, shuffled(fit_on, rng), shuffled(ask, rng)
        yield f"{name}, of the shoe", math.nan, (z_fit, splits.val.y), (z_ask, splits.test.y)
        yield f"{name}, of the ground", math.nan, (z_fit, splits.val.a), (z_ask, splits.test.a)
    for nats in KNOWN:
        fit_on, ask = (closed_form.noisy_groups(nats, len(part), rng, (0.25,) * 4)
                       for part in (splits.val, splits.test))
        yield f"made to hold {nats:.2f}", nats, fit_on, ask


def features_of(experiment: Experiment, store: str | None = None) -> list[dict[str, object]]:
    """A row a case of this seed's PRETRAIN: features, truth and MINE's estimate, in nats."""
    with fixed_threads():
        asked = list(cases(experiment, store))
        return [{"seed": experiment.seed, "features": name, "truth": truth,
                 "nats": held_out(fit_on, ask, experiment.seed)} for name, truth, fit_on, ask in asked]


def features(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """`features_of` some seeds of PRETRAIN on `groundwear`."""
    by_run = map_experiments(partial(features_of, store=store),
                            [Experiment(method="pretrain", seed=seed) for seed in SEEDS], jobs)
    return pd.DataFrame([row for rows in by_run for row in rows]).round(5)


def comparisons(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """Trained minus untrained, and each control minus its truth, by seed, in nats: `compare.verdicts`.

    Args:
        rows: as `features` gives; None is those that ship.
    """
    rows = shipped_tables.read("features") if rows is None else rows
    nats = rows.pivot(index="seed", columns="features", values="nats")
    truth = rows.groupby("features", sort=False).truth.first().dropna()
    asked = {"trained - untrained": nats.trained - nats.untrained}
    asked |= {f"{name}: found - truth": nats[name] - known for name, known in truth.items()}
    return verdicts(asked, dict.fromkeys(asked, MARGIN))
