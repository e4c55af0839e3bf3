"""Unlearning from a network of your own, trained anywhere: the same methods, the same loop, no store.

    split = data.split_forget(splits.train, 0.5, [(1, 1)], seed=0)
    result = grmu.unlearn(model, splits, split.forget_index, MIU(lam=1.0), head="fc")
    result.metrics                       # before (the original model) and after, fractions
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from grmu import data, methods, training
from grmu.data import Splits, require
from grmu.data.checks import as_rows
from grmu.data.core import split_at
from grmu.metrics import evaluate
from grmu.models import OwnClassifier
from grmu.numerics import fixed_threads, seeded
from grmu.reweight import sample_weights


@dataclass
class Unlearned:
    """What `unlearn` returns.

    Args:
        model: A network like the one that was given, in eval mode.
        metrics: Rows "before" (the original model) and "after", see `grmu.metrics`, fractions.
        curves: One row per epoch: losses, and what the method adds.
    """

    model: nn.Module
    metrics: pd.DataFrame
    curves: pd.DataFrame


def _check(model: Any, splits: Splits, method: training.Method, head: str) -> None:
    """Raise a ValueError unless the arguments fit together."""
    require(isinstance(model, nn.Module), f"model must be a torch module, got {data.short_repr(model)}.")
    require(isinstance(method, training.Method) and method.init_from is not None, "method must be one that "
            f"continues from a model, such as MIU(), got {data.short_repr(method)}.")
    for name, part in zip(("train", "val", "test"), splits[:3], strict=True):
        data.check_dataset(name, part)
    network, train = OwnClassifier(model, head), splits.train
    x = train.x[torch.arange(min(len(train), 2))].to(network.head.weight.device)
    answer = training.predict(model, model, x)
    try:
        ours = training.predict(network, network, x)
        is_last = ours.shape == answer.shape and torch.allclose(ours, answer, atol=1e-4)
    except RuntimeError:  # what follows an inner layer does not fit
        is_last = False
    require(is_last, f"head must be the network's last layer, but what {head} gives is not what the network "
                     "answers.")
    require(answer.shape[1] == train.n_classes, f"the network answers with {answer.shape[1]} numbers a "
            f"sample, but {train.name} declares {train.n_classes} classes.")


def unlearn(model: nn.Module, splits: Splits, forget: Any, method: training.Method | None = None,
            head: str = "fc", reweight: bool = True, config: training.TrainConfig | None = None,
            seed: int = 0, on_epoch: training.OnEpoch | None = None) -> Unlearned:
    """Unlearn part of the training set from a copy of a network; `model` itself stays as it was.

    Args:
        model: Any network from samples to logits, on the device to use.
        splits: Train, val, test and the group that GA is measured on; of arrays, or of `data.from_dataset`.
        forget: Row numbers of `splits.train`, or a mask over it, as `data.split_forget` gives.
        method: MIU() if not given; any method that continues from a model.
        head: The name of the last linear layer, as in `model.named_modules()`.
        reweight: Sample the retain set with REWEIGHT.
        config: How to optimise, by default ten epochs of SGD at 0.001; `augment` shifts and flips pictures.
        seed: Seed of everything random.
        on_epoch: Called after each epoch with its number, from 1, and its row of the curves.

    Raises:
        ValueError: Model, layer, outputs, data or forget set do not fit (the message says how).
        FloatingPointError: A loss became NaN or infinite.
    """
    method = method or methods.get("miu")()
    _check(model, splits, method, head)
    config = config or training.TrainConfig(epochs=10, lr=0.001, batch_size=64, weight_decay=1e-4)
    split = split_at(splits.train, as_rows(forget, len(splits.train)))
    weights = sample_weights(splits.train, split.retain) if reweight else None
    original, ours = (OwnClassifier(model, head).eval().requires_grad_(own) for own in (False, True))
    device = ours.head.weight.device
    train, retain, forgotten, val, test = (
        part.to(device) for part in (splits.train, split.retain, split.forget, splits.val, splits.test))
    with fixed_threads(), seeded(seed, device):
        context = training.Context(ours, original, train, retain, forgotten,
                                   torch.Generator().manual_seed(seed + 1), config, weights,
                                   split.retain_index.to(device))
        curves = training.train(method, context, on_epoch)
        metrics = {when: evaluate(network.eval(), retain, forgotten, val, test, (splits.forget_group,))[0]
                   for when, network in (("before", original), ("after", ours))}
    return Unlearned(ours.whole(), pd.DataFrame(metrics).T,
                     pd.DataFrame([{"epoch": n} | row for n, row in enumerate(curves, 1)]))
