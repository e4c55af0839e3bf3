"""Unlearning from a network of your own, trained anywhere: the same methods, the same loop, no store.

    forget = data.split_forget(train, 0.5, ["sneaker on brick"]).forget_index
    result = grmu.unlearn(network, (train, val, test), forget, "miu")
    result.metrics                       # before (the original model) and after, fractions

`grmu.compare` (`grmu.analysis.own`) calls `unlearn` for several methods and for the gold standard.
"""

from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from grmu import data, methods, training
from grmu.data.core import split_at
from grmu.data.own import as_splits
from grmu.metrics import evaluate
from grmu.numerics import fixed_threads, seeded
from grmu.own_network import OwnClassifier, find_head
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


@fixed_threads()
def unlearn(model: nn.Module, splits: Any, forget: Any, method: training.Method | str = "miu",
            head: str | None = None, reweight: bool = True, config: training.TrainConfig | None = None,
            seed: int = 0, on_epoch: training.OnEpoch | None = None, progress: bool | str = "unlearning",
            start: nn.Module | None = None) -> Unlearned:
    """Unlearn part of the training set from a copy of a network; `model` itself stays as it was.

    Args:
        model: Any network from samples to logits, on the device to use.
        splits: `data.Splits`, or (train, val, test), or a dict with these keys. Each part is a `Dataset` or
            `DataLoader` of (x, y, a) or of dicts with these keys, or a `GroupedDataset`.
        forget: Row numbers of the training set, or a mask over it, as `data.split_forget` gives.
        method: The name of a method that continues from a model, or such a method, such as MIU(lam=1.0).
        head: The name of the last linear layer, as in `model.named_modules()`. By default, it is found.
        reweight: Sample the retain set with REWEIGHT.
        config: How to optimise, by default ten epochs of SGD at 0.001; `augment` shifts and flips pictures.
        seed: Seed of everything random.
        on_epoch: Called after each epoch with its number, from 1, and its row of the curves.
        progress: Title of the progress bar; False shows none. With `on_epoch`, there is none.
        start: A network with fresh weights, for methods that train from scratch, such as Retrain().

    Raises:
        ValueError: Model, layer, outputs, data or forget set do not fit (the message says how).
        FloatingPointError: A loss became NaN or infinite.
    """
    data.require(isinstance(model, nn.Module), f"model must be a torch module, got {data.short_repr(model)}.")
    method, splits = methods.make(method), as_splits(splits, forget)
    data.require(method.init_from or start, "method must be one that continues from a model, such as MIU(), "
                 f"unless start is given, got {data.short_repr(method)}.")
    split = split_at(splits.train, forget)
    device = next(model.parameters()).device
    last = find_head(model, splits.train.x[:2].to(device))
    data.require(head in (None, last), f"head must be {last!r}, the last linear layer, got {head!r}.")
    original, ours = (OwnClassifier(network, last).eval().to(device) for network in (model, start or model))
    n_outputs, n_classes = original.requires_grad_(False).head.out_features, splits.train.n_classes
    data.require(n_outputs == n_classes, f"the network must return one logit for each of the {n_classes} "
                 f"classes of {splits.train.name}, but returns {n_outputs} number(s) per sample.")
    config = config or training.TrainConfig(epochs=10, lr=0.001, batch_size=64, weight_decay=1e-4)
    weights = sample_weights(splits.train, split.retain) if reweight else None
    train, retain, forgotten, val, test = (
        part.to(device) for part in (splits.train, split.retain, split.forget, splits.val, splits.test))
    bar = tqdm(total=config.epochs, unit="epoch", desc=progress or None, leave=False,
               disable=progress is False or on_epoch is not None)
    with bar, seeded(seed, device):
        context = training.Context(
            ours.requires_grad_(True), original if method.init_from else None, train, retain, forgotten,
            torch.Generator().manual_seed(seed + 1), config, weights, split.retain_index.to(device), val)
        curves = training.train(method, context, on_epoch or (lambda *_: bar.update()))
        before, after = (evaluate(network.eval(), retain, forgotten, val, test, (splits.forget_group,))[0]
                         for network in (original, ours))
    return Unlearned(ours.whole(), pd.DataFrame([before, after], ["before", "after"]),
                     pd.DataFrame([{"epoch": n} | row for n, row in enumerate(curves, 1)]))
