"""Unlearning from a network of your own, trained anywhere: the same methods, the same loop, no store.

    split = data.split_forget(splits.train, 0.5, [(1, 1)], seed=0)
    result = grmu.unlearn(model, splits, split.forget_index, MIU(lam=1.0), head="fc")
    result.metrics                       # before (the original model) and after, fractions
"""

from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from grmu import data, methods, training
from grmu.data.core import split_at
from grmu.metrics import evaluate
from grmu.models import OwnClassifier
from grmu.numerics import fixed_threads, seeded
from grmu.reweight import sample_weights


class Unlearned(NamedTuple):
    """What `unlearn` returns.

    Args:
        model: A network like the one that was given, in eval mode.
        metrics: Rows "before" (the original model) and "after", see `grmu.metrics`, fractions.
        curves: One row per epoch: losses, and what the method adds.
    """

    model: nn.Module
    metrics: pd.DataFrame
    curves: pd.DataFrame


def unlearn(model: nn.Module, splits: data.Splits, forget: Any, method: training.Method | None = None,
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
    data.require(isinstance(model, nn.Module), f"model must be a torch module, got {data.short_repr(model)}.")
    data.require(isinstance(method, training.Method) and method.init_from is not None, "method must be one "
                 f"that continues from a model, such as MIU(), got {data.short_repr(method)}.")
    for name, part in zip(("train", "val", "test"), splits[:3], strict=True):
        data.check_dataset(name, part)
    split = split_at(splits.train, forget)
    original, ours = (OwnClassifier(model, head).eval().requires_grad_(own) for own in (False, True))
    device = ours.head.weight.device
    last: list[torch.Tensor] = []  # what the layer gives
    with model.get_submodule(head).register_forward_hook(lambda *given: last.append(given[-1])):
        answer = training.predict(model, model, splits.train.x[:2].to(device))
    data.require(last and torch.equal(last[-1], answer), "head must be the network's last layer, but what "
                 f"{head} gives is not what the network answers.")
    data.require(answer.shape[1] == splits.train.n_classes, f"the network answers with {answer.shape[1]} "
                 f"numbers a sample, but {splits.train.name} declares {splits.train.n_classes} classes.")
    config = config or training.TrainConfig(epochs=10, lr=0.001, batch_size=64, weight_decay=1e-4)
    weights = sample_weights(splits.train, split.retain) if reweight else None
    train, retain, forgotten, val, test = (
        part.to(device) for part in (splits.train, split.retain, split.forget, splits.val, splits.test))
    with fixed_threads(), seeded(seed, device):
        context = training.Context(ours, original, train, retain, forgotten,
                                   torch.Generator().manual_seed(seed + 1), config, weights,
                                   split.retain_index.to(device), val)
        curves = training.train(method, context, on_epoch)
        before, after = (evaluate(network.eval(), retain, forgotten, val, test, (splits.forget_group,))[0]
                         for network in (original, ours))
    return Unlearned(ours.whole(), pd.DataFrame([before, after], ["before", "after"]),
                     pd.DataFrame([{"epoch": n} | row for n, row in enumerate(curves, 1)]))
