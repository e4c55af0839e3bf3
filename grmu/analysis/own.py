"""Compare unlearning methods on your own network with retraining, the gold standard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import pandas as pd
from torch import nn

from grmu.analysis.names import label
from grmu.analysis.tables import summary
from grmu.data.own import as_splits
from grmu.experiments.unlearning import unlearn
from grmu.methods import Retrain, make, name_of
from grmu.own_network import reset
from grmu.training import Method, TrainConfig


class Comparison(NamedTuple):
    """The result of `compare`.

    Args:
        table: One row per model, in percent, as `grmu.analysis.tables.summary` makes it from `rows`.
        rows: The same as fractions, with all metrics (see `grmu.metrics`).
        models: The networks in eval mode, by their names in the table.
    """

    table: pd.DataFrame
    rows: pd.DataFrame
    models: dict[str, nn.Module]


def compare(model: nn.Module, splits: Any, forget: Any, methods: Sequence[str | Method] = ("miu",),
            fresh: Callable[[], nn.Module] | None = None, config: TrainConfig | None = None,
            retraining: TrainConfig | None = None, seed: int = 0, progress: bool = True,
            **more: Any) -> Comparison:
    """Compare the original model, RETRAIN, RETRAIN + REWEIGHT, fine-tuning and methods of your choice.

    Args:
        model: The original model, from samples to logits.
        splits: Train, val and test set, as of `grmu.unlearn`.
        forget: Row numbers of the training set, or a mask over it.
        methods: Names of methods, or methods such as MIU(lam=2.0). They use REWEIGHT if they can.
        fresh: Makes a network with fresh weights, for retraining. By default, the layers of a copy of `model`
            are reset.
        config: How fine-tuning and the methods are optimised, as of `grmu.unlearn`.
        retraining: How to train from scratch. Use the settings with which you trained `model`; by default, 15
            epochs of SGD at 0.01.
        seed: Seed of everything random.
        progress: Show a progress bar for each training.
        **more: `head`, as of `grmu.unlearn`.

    Raises:
        ValueError: As of `grmu.unlearn`, or a layer cannot be reset (the message names it).
    """
    splits = as_splits(splits, forget)
    plan: dict[tuple[str, bool], Method] = {("retrain", False): Retrain(), ("retrain", True): Retrain()}
    for method in map(make, ("finetune", *methods)):
        plan[name_of(method), method.retains and type(method).sample_epoch is Method.sample_epoch] = method
    start = fresh() if fresh else reset(model, seed)
    models, rows = {label("pretrain"): model}, []
    for at, ((name, reweight), method) in enumerate(plan.items(), 1):
        began, scratch = perf_counter(), method.init_from is None
        done = unlearn(model, splits, forget, method, reweight=reweight, seed=seed, **more,
                       config=(retraining or TrainConfig(lr=0.01)) if scratch else config,
                       progress=progress and f"{at} of {len(plan)}: {label(name, reweight)}",
                       start=start if scratch else None)
        models[label(name, reweight)] = done.model
        rows.append({"method": name, "reweight": reweight, **done.metrics.loc["after"],
                     "seconds": perf_counter() - began})
    rows.insert(0, {"method": "pretrain", "reweight": False, **done.metrics.loc["before"], "seconds": 0.0})
    frame = pd.DataFrame(rows).assign(seed=seed)
    return Comparison(summary(frame), frame, models)
