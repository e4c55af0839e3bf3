"""Test MIU against Algorithm 1 written as plain loops, and MIUReleased against a run of the authors' code.

`miu_trace.json` records that run of a small network on 40 samples, with every draw and every value of a bound
in order. The tests take only the random choices from it: batches, g_bar and starting weights.
"""

import copy
import json
import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from conftest import TESTS, context_of, same_state, small_network, state_of
from torch import nn
from torch.nn.functional import cross_entropy

from grmu import Experiment, mine, training
from grmu.data import ForgetSplit, GroupedDataset
from grmu.methods import MIU, MIUReleased, miu
from grmu.mine import MINE, Estimator, draw_group_bar, dv_bound
from grmu.models import Classifier
from grmu.reweight import sample_weights
from grmu.training import Batch, TrainConfig, batches

TRACE = json.loads((TESTS / "miu_trace.json").read_text())
QUICK = TrainConfig(epochs=2, lr=0.05, batch_size=16)
SMALL = {"mine_hidden": 8, "first_updates": 5, "later_updates": 2}
BOTH = pytest.mark.parametrize("kind", [MIU, MIUReleased])
ROWS = [5, 1, 30, 44, 17, 60, 61, 62]


# --- MIU is Algorithm 1 -------------------------------------------------------------------------------------


class Written:
    """Algorithm 1 as plain loops, which shares only the networks and the order of the draws with `grmu`."""

    def __init__(self, train, forget_rows, model, original, seed, lam, mine_lr):
        self.x, self.y, self.g, self.lam = train.x, train.y, 2 * train.y + train.a, lam
        self.forget = torch.tensor(forget_rows)
        self.retain = torch.tensor([i for i in range(len(train)) if i not in forget_rows])
        self.model, self.original, self.rng = model, original, torch.Generator().manual_seed(seed)
        self.psi, self.psi_o = (MINE(6, 4, 8, seed=s) for s in (0, 1))
        self.average = {self.psi: None, self.psi_o: None}  # the moving average of E exp T
        self.velocity = {p: torch.zeros_like(p) for net in (model, self.psi, self.psi_o)
                         for p in net.parameters()}
        self.mine_lr = mine_lr

    def sgd(self, network, loss, lr, momentum, weight_decay):
        """Take one step: v <- momentum * v + gradient + weight_decay * p, then p <- p - lr * v."""
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for p, gradient in zip(network.parameters(), gradients, strict=True):
                self.velocity[p].mul_(momentum).add_(gradient + weight_decay * p)
                p.sub_(lr * self.velocity[p])

    def uniform(self, n):
        return torch.randint(4, (n,), generator=self.rng)

    def bound(self, psi, z, g, g_bar):
        """Return M = E T(z, g) - log E exp T(z, g_bar), and a scalar with the corrected gradient of M."""
        joint, partition = psi(z, g).mean(), psi(z, g_bar).exp().mean()
        value = joint.item() - math.log(partition.item())
        old = self.average[psi]
        self.average[psi] = partition.item() if old is None else 0.99 * old + 0.01 * partition.item()
        return value, joint - partition / self.average[psi]

    def loop(self, rows, size):
        return [rows[i:i + size] for i in range(0, len(rows), size)]

    def tune(self, updates, with_original, size):
        self.model.train()
        rows = iter([])
        for _ in range(updates):
            batch = next(rows, None)
            if batch is None:  # a new pass over the training set
                rows = iter(self.loop(torch.randperm(len(self.x), generator=self.rng), size))
                batch = next(rows)
            g, g_bar = self.g[batch], self.uniform(len(batch))
            z = self.model.features(self.x[batch]).detach()
            pairs = [(self.psi, z)]
            if with_original:
                pairs.append((self.psi_o, self.original.features(self.x[batch]).detach()))
            for psi, features in pairs:
                _, surrogate = self.bound(psi, features, g, g_bar)
                self.sgd(psi, -surrogate, self.mine_lr, 0.9, 0.0)

    def run(self, epochs, forget_epochs, updates, lr, size, momentum, weight_decay):
        n_train, n_retain = self.g.bincount(), self.g[self.retain].bincount()
        alpha = (n_train / n_retain)[self.g[self.retain]]  # REWEIGHT
        for epoch in range(epochs):
            lr_now = lr * (1 + math.cos(math.pi * epoch / epochs)) / 2
            curve = torch.randperm(len(self.x), generator=self.rng)  # the curves' sample
            self.tune(updates[epoch], epoch == 0, size)
            self.uniform(min(len(curve), 128 * updates[epoch]))  # the curves draw, too
            self.uniform(len(self.forget))
            self.model.train()
            if epoch < forget_epochs:
                order = self.forget[torch.randperm(len(self.forget), generator=self.rng)]
                for batch in self.loop(order, size):
                    z = self.model.features(self.x[batch])
                    _, surrogate = self.bound(self.psi, z, self.g[batch], self.uniform(len(batch)))
                    self.sgd(self.model.backbone, surrogate, lr_now, momentum, weight_decay)
            drawn = torch.multinomial(alpha / alpha.sum(), len(self.retain), replacement=True,
                                      generator=self.rng)
            for batch in self.loop(self.retain[drawn], size):
                z, g_bar = self.model.features(self.x[batch]), self.uniform(len(batch))
                now, surrogate = self.bound(self.psi, z, self.g[batch], g_bar)
                z_o = self.original.features(self.x[batch])
                t_bar = self.psi_o(z_o, g_bar)
                target = (self.psi_o(z_o, self.g[batch]).mean() - t_bar.exp().mean().log()).item()
                loss = cross_entropy(self.model.head(z), self.y[batch])
                loss = loss + 2 * self.lam * (now - target) * surrogate  # the gradient of lam * gap^2
                self.sgd(self.model, loss, lr_now, momentum, weight_decay)


def test_miu_is_algorithm_1(train, split):
    config = TrainConfig(epochs=2, lr=0.02, batch_size=16, momentum=0.8, weight_decay=1e-3)
    context = context_of(train, split, config, 5, small_network(seed=1), small_network(seed=1),
                         sample_weights(train, split.retain))
    method = MIU(lam=2.0, forget_epochs=1, mine_lr=0.05, mine_hidden=8, first_updates=9, later_updates=4)
    training.train(method, context)
    written = Written(train, split.forget_index.tolist(), small_network(seed=1), small_network(seed=1).eval(),
                      seed=5, lam=2.0, mine_lr=0.05)
    written.run(2, 1, (9, 4), 0.02, 16, 0.8, 1e-3)
    assert torch.equal(context.rng.get_state(), written.rng.get_state())
    ends = ((context.model, written.model), (method.mine.network, written.psi),
            (method.mine_original.network, written.psi_o))
    for ours, theirs in ends:
        for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5, msg=name)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(context.model.backbone[1], name),
                                   getattr(written.model.backbone[1], name), rtol=0, atol=1e-5)
    moved = context.model.head.weight - small_network(seed=1).head.weight
    assert moved.abs().max() > 0.01


# --- MIUReleased is the released code -----------------------------------------------------------------------


def put(network, first, scales, shifts=(0,) * 6):
    """Set the trace's starting weights, shift + scale * sin(first + 0.7 i), computed in 64 bits."""
    with torch.no_grad():
        for k, (p, scale, shift) in enumerate(zip(network.parameters(), scales, shifts, strict=False)):
            i = torch.arange(p.numel(), dtype=torch.float64)
            p.copy_((shift + scale * (first + k + 0.7 * i).sin()).view_as(p))
    return network


def loaders(retained):
    """Replace `batches` by the rows of each epoch, for the sets of 40, 4 and 36 samples."""
    left = iter(TRACE["train_batches"])
    tuning = [[next(left) for _ in range(steps)] for steps in (101, 11, 11)]
    # each tuning begins an epoch of the loader, and ends in the middle of one
    train = [part[i:i + 5] for part in tuning for i in range(0, len(part), 5)]
    retain = [TRACE["retain_batches"][i:i + 5] for i in (0, 5, 10)]
    sets = {40: (range(40), train), 4: (TRACE["forget"], [[b] for b in TRACE["forget_batches"]]),
            36: (retained.tolist(), retain)}
    orders = {n: iter([torch.tensor([list(rows).index(row) for row in chain(*epoch)]) for epoch in epochs])
              for n, (rows, epochs) in sets.items()}
    return lambda data, config, rng, order=None, size=0: batches(data, config, rng, next(orders[len(data)]))


def bars():
    """Replace `draw_group_bar` by the trace's draws of g_bar; the curves get any."""
    tuning, passes, order = iter(TRACE["tune_bar"]), iter(TRACE["pass_bar"]), []
    for steps, n_batches in ((101, 6), (11, 6), (11, 5)):
        order += [next(tuning) for _ in range(steps)] + [None] * 2 + [next(passes) for _ in range(n_batches)]
    left = iter(order)

    def draw(how, group, n_groups, rng):
        assert how == "uniform"
        drawn = next(left)
        return torch.zeros_like(group) if drawn is None else torch.tensor(drawn)

    return draw


class InEvalMode(MIUReleased):
    """MIUReleased with the original in eval mode, as in the trace."""

    def setup(self, context):
        super().setup(context)
        self.original.eval()


def follow(kind=InEvalMode):
    """Train on the trace's data and draws, and return the method and its values of bounds in order."""
    with pytest.MonkeyPatch.context() as patch:
        evaluated, chosen = [], TRACE["settings"]
        train = GroupedDataset(torch.tensor(TRACE["x"]), TRACE["y"], TRACE["a"])
        forgotten = torch.tensor(TRACE["forget"])
        retained = torch.tensor([i for i in range(40) if i not in TRACE["forget"]])
        split = ForgetSplit(train.subset(retained), train.subset(forgotten), forgotten, retained)
        in_order = loaders(retained)
        for module in (training, miu):
            patch.setattr(module, "batches", in_order)
        patch.setattr(mine, "draw_group_bar", bars())
        patch.setattr(miu, "MINE", lambda *sizes, seed: put(MINE(*sizes), 20 + 10 * seed, [0.05] * 4))
        method = kind(**{name: chosen[name] for name in (
            "forget_epochs", "mine_lr", "lam", "first_updates", "later_updates")})

        def noting(function):
            def noted(self, z, group, group_bar=None):
                bound = function(self, z, group, group_bar)
                evaluated.append(("psi" if self is method.mine else "psi_o", bound.item(),
                                  self.network.log_partition.exp().item()))
                return bound

            return noted

        for name in ("update", "bound"):
            patch.setattr(Estimator, name, noting(getattr(Estimator, name)))
        backbone = nn.Sequential(nn.Linear(6, 512), nn.BatchNorm1d(512), nn.ReLU())
        original = put(Classifier(backbone, 512, 2), 1, (0.3, 0.1, 0.1, 0.1, 0.3, 0.1), (0, 0, 1, 0, 0, 0))
        config = TrainConfig(schedule="constant", **{name: chosen[name] for name in (
            "epochs", "batch_size", "lr", "momentum", "weight_decay")})
        training.train(method, context_of(train, split, config, original=original,
                                          model=copy.deepcopy(original)))
    return method, evaluated


@pytest.fixture(scope="module")
def followed():
    return follow()


def test_miu_released_evaluates_the_same_bounds_as_the_released_code(followed):
    evaluated, expected = followed[1], TRACE["values"]
    assert len(expected) == 278
    assert [name for name, _, _ in evaluated] == [value["of"] for value in expected]
    for i, name in ((1, "bound"), (2, "average")):
        np.testing.assert_allclose([values[i] for values in evaluated], [value[name] for value in expected],
                                   rtol=0, atol=1e-4)


def test_miu_released_ends_with_the_weights_of_the_released_code(followed):
    method, end = followed[0], TRACE["end"]
    for network, name in ((method.model, "model"), (method.mine.network, "psi"),
                          (method.mine_original.network, "psi_o")):
        assert len(list(network.parameters())) == len(end[name])
        for p, expected in zip(network.parameters(), end[name].values(), strict=True):
            assert p.norm().item() == pytest.approx(expected["norm"], abs=1e-4)
            np.testing.assert_allclose(p.detach().flatten()[:6], expected["first"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(method.model.backbone[1].running_mean[:6], end["batchnorm_mean_first"],
                               rtol=0, atol=1e-4)


# --- the parts of both --------------------------------------------------------------------------------------


def prepared(train, split, kind=MIU, epochs=1, config=QUICK, weights=None, **settings):
    """The method after its first tuning, on a model that differs from the original."""
    method = kind(**SMALL | settings)
    method.setup(context_of(train, split, config, 5, small_network(seed=1), small_network(seed=2), weights))
    for epoch in range(epochs):
        method.before_epoch(epoch)
    method.model.train()
    return method


def batch_of(dataset, rows, moved=0.0):
    """Return a batch whose samples are shifted, as augmentation does."""
    index = torch.tensor(rows)
    return Batch(dataset.x[index] + moved, dataset.y[index], dataset.group[index], index)


def next_bar(method, group):
    """Return the g_bar that the next loss will draw."""
    rng = torch.Generator()
    rng.set_state(method.context.rng.get_state())
    return draw_group_bar("uniform", group, 4, rng)


@BOTH
@pytest.mark.parametrize("off", [{}, {"retaining": False}, {"calibration": False}])
def test_the_retain_loss_is_the_sum_of_the_terms_that_are_switched_on(train, split, kind, off):
    method = prepared(train, split, kind, lam=3.0, **off)
    batch = batch_of(split.retain, ROWS)
    bar, z = next_bar(method, batch.group), method.model.features(batch.x)
    gap = (dv_bound(method.mine.network, z, batch.group, bar)
           - dv_bound(method.mine_original.network, method.original.features(batch.x), batch.group, bar))
    assert abs(gap) > 1e-3  # otherwise lambda would not matter
    expected = 0.0
    if "retaining" not in off:
        expected += cross_entropy(method.model.head(z), batch.y)
    if "calibration" not in off:
        expected += 3.0 * gap**2
    torch.testing.assert_close(method.retain_loss(batch), expected)


@BOTH
def test_the_original_is_in_eval_mode_in_miu_and_in_train_mode_as_released(train, split, kind):
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=1))
    before, method = state_of(context.original), kind(**SMALL)
    training.train(method, context)
    released = kind is MIUReleased
    assert method.original.training is released
    assert same_state(state_of(method.original), before) is not released
    assert same_state(state_of(context.original), before)  # a released run has a copy of its own
    assert not context.original.training


# --- settings -----------------------------------------------------------------------------------------------


def test_the_released_protocol_trains_the_released_variant():
    assert Experiment(method="miu").method_class is MIU
    released = Experiment(method="miu", protocol="released")
    assert released.method_class is MIUReleased
    assert type(released.make_method()) is MIUReleased
    explicit = replace(released, method="miu_released")
    assert explicit.method_class is MIUReleased
    assert explicit.settings == released.settings
    assert replace(released, method="salun").method_class.__name__ == "SalUn"


