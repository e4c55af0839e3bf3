"""Do small networks train faster together, as one ensemble, than one after the other? The course's CNN on a CPU core: hardly.

    python -m grmu bench --ensemble               a minute or two

The same K models on the same batches, three ways in turns: one after the other, by the step that all training takes; stacked,
under `torch.func.vmap`; as one network whose convolutions have K groups. The same weights come out. Times are the processor's.

Found (two x86-64 cores, busy, torch 2.13, several runs): of the loop's time, `vmap` takes 1.2 to 1.4 for K = 4, about 2
for 16, 2.5 to 3.2 for 64; groups take 0.9 to 1.0, 1.2 to 1.4, 1.3 to 1.8. Large K lose by memory that C's allocator gives back
and asks for anew in every step: if it keeps it (MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000), any K takes 1.3 to 1.5, or
0.9 to 1.1. A tenth at best is not worth a second way to train: shadow models go through the one loop, in several processes.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from grmu import bench_scale, data, models
from grmu.models import Classifier, Network
from grmu.numerics import THREADS, fixed_threads
from grmu.training import Recipe, make_optimizer

SIZES = (4, 16, 64)  # models at a time; 64 is what an audit trains
ROUNDS, MODEL_STEPS = 7, 128  # a round is so many steps, of all models together
LINE, CPU = "{:>6}   {:22} {:26} {}", torch.device("cpu")


class Loop:
    """Copies of K models, trained one after the other: what the ensembles must equal."""

    def __init__(self, given: Sequence[Classifier], recipe: Recipe) -> None:
        self.models = [copy.deepcopy(model).train() for model in given]
        self.optimizers = [make_optimizer(model.parameters(), recipe, CPU) for model in self.models]

    def logits(self, x: Tensor) -> Tensor:
        """A batch a model, as stored, (K, B, C, H, W) -> (K, B, n_classes), in training mode."""
        return torch.stack([model(batch) for model, batch in zip(self.models, x, strict=True)])

    def step(self, x: Tensor, y: Tensor) -> None:
        """Forward, backward, update of every model; y is (K, B)."""
        for model, optimizer, *batch in zip(self.models, self.optimizers, x, y, strict=True):
            bench_scale.step(model, optimizer, *batch)

    def state(self, k: int) -> dict[str, Tensor]:
        """Weights and buffers of model k, by their names in a `Classifier`."""
        return self.models[k].state_dict()


@dataclass
class Ensemble:
    """Copies of n models in one graph, under one optimiser; `logits`, `step` and `state` are a `Loop`'s."""

    n: int
    logits: Callable[[Tensor], Tensor]
    state: Callable[[int], dict[str, Tensor]]
    optimizer: torch.optim.Optimizer

    def step(self, x: Tensor, y: Tensor) -> None:
        """Minimises the sum of the models' losses, so that each model gets the gradient of its own."""
        loss = self.n * cross_entropy(self.logits(x).flatten(0, 1), y.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def stacked(given: Sequence[Classifier], recipe: Recipe) -> Ensemble:
    """Weights stacked, (K, ...), under `vmap`.

    BatchNorm may update its running statistics in place, for they are stacked too. `vmap` cannot make pictures channels-last, so
    they are scaled outside; nor are the weights: it would be no faster.
    """
    plain = [copy.deepcopy(model).to(memory_format=torch.contiguous_format).train() for model in given]
    (weights, buffers), network, names = stack_module_state(plain), plain[0], list(plain[0].state_dict())
    vectorised = vmap(lambda *tensors: functional_call(network, tensors[:2], tensors[2:]))
    return Ensemble(len(given), lambda x: vectorised(weights, buffers, network.scaled(x.flatten(0, 1)).unflatten(0, x.shape[:2])),
                    lambda k: {name: (weights | buffers)[name][k].detach() for name in names},
                    make_optimizer(weights.values(), recipe, CPU))


def widened(layer: nn.Module, n: int) -> nn.Module:
    """n copies of a layer of `models.cnn` side by side, still without weights."""
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(n * layer.in_channels, n * layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
                         groups=n, bias=False, device="meta")
    if isinstance(layer, nn.BatchNorm2d):
        return nn.BatchNorm2d(n * layer.num_features, layer.eps, layer.momentum, device="meta")
    if isinstance(layer, (nn.ReLU, nn.AdaptiveAvgPool2d, nn.Flatten)):
        return layer
    raise ValueError(f"{type(layer).__name__} has no grouped form here: give classifiers with the backbone cnn.")


def grouped(given: Sequence[Classifier], recipe: Recipe) -> Ensemble:
    """One network, K times as wide, whose convolutions have K groups; every tensor is the K models' own, one below the other."""
    n, head, states = len(given), given[0].head, [model.state_dict() for model in given]
    network = nn.ModuleDict({"backbone": nn.Sequential(*(widened(layer, n) for layer in given[0].backbone)),
                             "head": nn.Linear(head.in_features, n * head.out_features, device="meta")})
    network.load_state_dict({name: torch.cat([state[name] for state in states]) if value.ndim else value.clone()
                             for name, value in states[0].items()}, assign=True)
    network.to(memory_format=torch.channels_last).train()

    def logits(x: Tensor) -> Tensor:
        z = network["backbone"](given[0].scaled(x.transpose(0, 1).flatten(1, 2))).unflatten(1, (n, -1))
        weight, bias = (v.unflatten(0, (n, -1)) for v in network["head"].parameters())
        return torch.einsum("bkf,kcf->kbc", z, weight) + bias[:, None]

    return Ensemble(n, logits, lambda k: {name: v.chunk(n)[k] if v.ndim else v for name, v in network.state_dict().items()},
                    make_optimizer(network.parameters(), recipe, CPU))


WAYS = {"one after the other": Loop, "vmap": stacked, "grouped": grouped}


def milliseconds(n: int, rounds: int, n_steps: int) -> dict[str, np.ndarray]:
    """Time a model and step of every way with n models, (rounds,): PRETRAIN's recipe, batches of Groundwear, each its own."""
    train, recipe = data.load("groundwear").train, Recipe()
    networks = [models.build(Network(), train, seed) for seed in range(n)]
    rows = torch.randint(len(train), (n_steps, n, recipe.batch_size), generator=torch.Generator().manual_seed(0))
    steps = [(train.x[index], train.y[index]) for index in rows]
    ways, took = {name: make(networks, recipe) for name, make in WAYS.items()}, np.empty((1 + rounds, len(WAYS)))
    for row in took:
        for i, way in enumerate(ways.values()):
            started = time.process_time()
            for x, y in steps:
                way.step(x, y)
            row[i] = 1000 * (time.process_time() - started) / (n * n_steps)
    return dict(zip(ways, took[1:].T, strict=True))  # the first round is to warm up


def main() -> int:
    """Measure and print medians and ranges; a ratio is of times of the same round."""
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before, {THREADS} thread, torch {torch.__version__}, "
          f"{ROUNDS} rounds\n\n{LINE.format('models', 'trained', 'ms a model and step', 'of the loop')}")
    with fixed_threads():
        for n in SIZES:
            took = milliseconds(n, ROUNDS, max(1, MODEL_STEPS // n))
            for name, values in took.items():
                print(LINE.format(n, name, *(f"{np.median(v):.2f} ({v.min():.2f} to {v.max():.2f})"
                                             for v in (values, values / took["one after the other"]))), flush=True)
    return 0
