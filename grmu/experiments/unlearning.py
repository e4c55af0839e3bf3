"""Unlearning from a network of your own, trained anywhere: the same methods, the same loop, no store.

    split = data.split_forget(splits.train, 0.5, [(1, 1)], seed=0)
    result = grmu.unlearn(model, splits, split.forget_index, MIU(lam=1.0), head="fc")
    result.metrics                       # before (the original model) and after, fractions
"""

import copy
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn

from grmu import data, methods, training
from grmu.data import Splits, require
from grmu.data.core import split_at
from grmu.metrics import evaluate
from grmu.models import Classifier
from grmu.numerics import fixed_threads, seeded
from grmu.reweight import sample_weights


@dataclass
class Unlearned:
    """What `unlearn` returns.

    model: a network like the one that was given, in eval mode.
    metrics: rows "before" (the original model) and "after", see `grmu.metrics`, fractions.
    curves: one row an epoch: losses, and what the method adds.
    """

    model: nn.Module
    metrics: pd.DataFrame
    curves: pd.DataFrame


class WrappedModel(nn.Module):
    """A network as the methods see it: features z, (B, n_features), are what its last layer is given."""

    def __init__(self, network: nn.Module, head: str) -> None:
        super().__init__()
        self.network, self.head_name = network, head
        self.n_features = self.head.in_features

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return cast(nn.Linear, self.network.get_submodule(self.head_name))

    def replace_head(self, head: nn.Linear) -> None:
        """Put another layer where the last one is."""
        where, _, name = self.head_name.rpartition(".")
        setattr(self.network.get_submodule(where), name, head)

    def features(self, x: Tensor) -> Tensor:
        """What the head is given for samples x."""
        given: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        try:
            self.network(x)
        finally:
            hook.remove()
        return given[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, n_classes)."""
        return self.network(x)

    def scaled(self, x: Tensor) -> Tensor:
        """Samples are taken as they are: scaling is the network's own business."""
        return x


def _check(model: Any, splits: Splits, method: training.Method, head: str) -> torch.device:
    """Raise a ValueError unless these fit together; the device of the network."""
    require(isinstance(model, nn.Module), f"model must be a torch module, but is {data.short_repr(model)}.")
    layers = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    require(head in layers, f"the network has no linear layer {data.short_repr(head)}: head must name its "
                            f"last one, of {', '.join(layers) or 'which it has none'}.")
    devices = sorted({str(p.device) for p in model.parameters()})
    require(len(devices) == 1,
            f"the network's parameters are on {' and '.join(devices)}: move all to one device.")
    require(isinstance(method, training.Method) and method.init_from is not None,
            f"method must be one that continues from a model, such as MIU(), but is "
            f"{data.short_repr(method)}.")
    for name, part in zip(("train", "val", "test"), splits[:3], strict=True):
        data.check_dataset(name, part)
        require(name == "train" or part.in_groups([splits.forget_group]).any(),
                f"{name} has no sample of {splits.forget_group}, the group that GA is measured on.")
    _check_outputs(model, splits.train, head, torch.device(devices[0]))
    return torch.device(devices[0])


def _check_outputs(model: nn.Module, train: data.GroupedDataset, head: str, device: torch.device) -> None:
    own = WrappedModel(model, head)
    x = train.x[torch.arange(min(len(train), 2))].to(device)
    z, logits = (training.predict(function, own, x) for function in (own.features, own))
    answer = own.head(z)
    require(z.ndim == 2 and answer.shape == logits.shape and torch.allclose(answer, logits, atol=1e-4),
            f"head must be the network's last layer, but what {head} gives is not what the network answers.")
    require(logits.shape[1] == train.n_classes,
            f"the network answers with {logits.shape[1]} numbers a sample, but {train.name} declares "
            f"{train.n_classes} classes.")


def _rows(forget: Any, n: int) -> Tensor:
    """Row numbers of the forget set, ascending; `forget` may be a mask."""
    given = data.as_tensor("forget", forget)
    rows = given.nonzero().flatten() if given.dtype == torch.bool else given.long().unique()
    require(given.ndim == 1 and 0 < len(rows) < n and rows.min() >= 0 and rows.max() < n,
            f"forget must be some, not all, of the row numbers 0 to {n - 1} of the training set, or a mask "
            f"of its {n} rows.")
    return rows


def unlearn(model: nn.Module, splits: Splits, forget: Any, method: training.Method | None = None,
            head: str = "fc", reweight: bool = True, config: training.TrainConfig | None = None,
            seed: int = 0, on_epoch: training.OnEpoch | None = None) -> Unlearned:
    """Unlearn part of the training set from a copy of a network; `model` itself stays as it was.

    Args:
        model: any network from samples to logits, on the device where it shall be done.
        splits: train, val, test and the group that GA is measured on; of arrays, or of `data.from_dataset`.
        forget: row numbers of `splits.train`, or a mask over it, as `data.split_forget` gives.
        method: MIU() if not given; any method that continues from a model.
        head: the name of the last linear layer, as `model.named_modules()` has it.
        reweight: sample the retain set with REWEIGHT.
        config: how to optimise, by default ten epochs of SGD at 0.001; `augment` shifts and flips pictures.

    Raises:
        ValueError: model, layer, outputs, data or forget set do not fit (the message says how).
        FloatingPointError: a loss became NaN or infinite.
    """
    train, method = splits.train, method or methods.get("miu")()
    device, rows = _check(model, splits, method, head), _rows(forget, len(train))
    config = config or training.TrainConfig(epochs=10, lr=0.001, batch_size=64, weight_decay=1e-4)
    split = split_at(train, rows)
    weights = sample_weights(train, split.retain) if reweight else None
    retain, forgotten, val, test = (p.to(device) for p in (split.retain, split.forget, *splits[1:3]))
    original, ours = (cast(Classifier, WrappedModel(copy.deepcopy(model), head).eval()) for _ in range(2))
    original.requires_grad_(False)
    ours.requires_grad_(True)
    with fixed_threads(), seeded(seed, device):
        context = training.Context(ours, original, train.to(device), retain, forgotten,
                                   torch.Generator().manual_seed(seed + 1), config, weights,
                                   split.retain_index.to(device))
        curves = training.train(method, context, on_epoch)
        metrics = {when: evaluate(network.eval(), retain, forgotten, val, test, (splits.forget_group,))[0]
                 for when, network in (("before", original), ("after", ours))}
    return Unlearned(cast(WrappedModel, ours).network.requires_grad_(False), pd.DataFrame(metrics).T,
                     pd.DataFrame([{"epoch": n} | row for n, row in enumerate(curves, 1)]))
