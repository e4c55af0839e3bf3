"""How long runs will take on this machine: steps of plain training timed here, times what a method costs."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from grmu import methods, models
from grmu.numerics import fixed_threads
from grmu.runs import Experiment, load_split
from grmu.runs.store import Store
from grmu.study import shipped_tables
from grmu.training import Context, make_optimizer, one_pass

STEPS, WARM = 8, 3
MEASURING = 1.0  # seconds, once a run


def seconds(experiments: Iterable[Experiment], store: str | None = None) -> float:
    """What these, and the runs they start from, will take one after the other; 0 if all are stored.

    Eight steps of cross-entropy are timed for each kind of network and batch; cost.csv says how much more
    than fine-tuning a method takes. A forecast: within a third or so on a machine that does nothing else.
    """
    kept, total = Store(store), 0.0
    steps: dict[object, float] = {}
    asked = {x.training_key: x for e in experiments for x in _with_what_it_starts_from(e)}
    for e in asked.values():
        if kept.read("models", e.training_key) is None:
            kind = (e.dataset, str(e.network), e.optimisation.batch_size, e.optimisation.augment)
            steps[kind] = steps.get(kind) or _step(e)
            n_steps = -(-len(load_split(e).split.retain) // e.optimisation.batch_size)
            total += MEASURING + e.optimisation.epochs * n_steps * steps[kind] * _factor(e.method)
    return total


def _with_what_it_starts_from(e: Experiment) -> list[Experiment]:
    return [*(_with_what_it_starts_from(e.start) if e.start else ()), e]


def _step(e: Experiment) -> float:
    """Seconds of one step of plain training."""
    with fixed_threads():
        train = load_split(e).splits.train
        rows, size = torch.arange(len(train)), e.optimisation.batch_size
        warm, timed = (train.subset(rows[: n * size]) for n in (WARM, STEPS))
        model, method = models.build(e.network, train, e.seed), methods.get("finetune")()
        method.setup(Context(model, None, train, timed, train.subset(rows[:0]),
                             torch.Generator().manual_seed(0), e.optimisation))
        optimizer = make_optimizer(model.parameters(), e.optimisation, torch.device("cpu"))
        one_pass(method, optimizer, warm, method.retain_loss, e.optimisation)
        begun = time.perf_counter()
        one_pass(method, optimizer, timed, method.retain_loss, e.optimisation)
        return (time.perf_counter() - begun) / -(-len(timed) // size)


def _factor(method: str) -> float:
    """A method's time over fine-tuning's, an epoch; 1 where that was not measured."""
    cost = shipped_tables.read("cost").set_index("method")
    if method not in cost.index or not cost.epochs[method]:
        return 1.0
    return max(1.0, cost.over_finetuning[method]) if cost.epochs[method] == cost.epochs["finetune"] else 1.0
