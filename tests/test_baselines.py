"""Test the baselines: losses and updates against independent computations, and effects on a small problem."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import context_of, same_state, small_network, state_of, toy
from torch import nn

from grmu import gradients, methods, models, training
from grmu.data import GroupedDataset, split_forget
from grmu.gradients import fisher_diagonal, mean_gradient, sample_gradients
from grmu.methods import (
    SCRUB,
    SSD,
    BadTeacher,
    BoundaryExpand,
    BoundaryShrink,
    GradientAscent,
    Influence,
    L1Sparse,
    Pretrain,
    RandomLabels,
    SalUn,
)
from grmu.methods.influence import inverse_fisher_product
from grmu.methods.scrub import distillation_kl
from grmu.training import Batch, TrainConfig, predict

QUICK = TrainConfig(epochs=3, lr=0.05, batch_size=16)
NONE = TrainConfig(epochs=0)


def problem(counts):
    """Blobs between -1 and 1, like scaled images."""
    data = toy(counts, spread=0.7)
    return replace(data, x=data.x / data.x.abs().max())


@pytest.fixture(scope="module")
def train():
    return problem([[40, 20], [20, 12]])


@pytest.fixture(scope="module")
def split(train):
    return split_forget(train, 0.5, [(1, 1)])


@pytest.fixture(scope="module")
def original(train, split):
    """A network that was trained on the whole training set."""
    context = context_of(train, split, TrainConfig(epochs=30, lr=0.1, batch_size=16))
    context.retain = train
    training.train(Pretrain(), context)
    context.model.zero_grad(set_to_none=True)
    return context.model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def whole(train):
    """A request to forget the whole group."""
    return split_forget(train, 1.0, [(1, 1)])


@pytest.fixture(scope="module")
def weights(split):
    """Sampling weights like REWEIGHT's, but more uneven."""
    weights = 1.0 + 5 * (split.retain.group == 3) + 2 * (split.retain.group == 0)
    return weights / weights.sum()


def context_from(original, train, split, config=QUICK, seed=5, weights=None):
    model = copy.deepcopy(original).requires_grad_(True)
    context = context_of(train, split, config, seed, original, model)
    context.weights = weights
    return context


def trained(method, *arguments, **more):
    """Return the context after training, and the rows of its epochs."""
    context, rows = context_from(*arguments, **more), []
    training.train(method, context, on_epoch=lambda epoch, row: rows.append(row))
    return context, rows


def ready(method, *arguments, **more):
    """Return the context after setup, with a model that differs from the original."""
    context = context_from(*arguments, **more)
    method.setup(context)
    moves = torch.randn(len(flat(context.model)), generator=torch.Generator().manual_seed(1)) / 3
    nn.utils.vector_to_parameters(flat(context.model) + moves, context.model.parameters())
    context.model.train()
    return context


def all_of(data):
    return Batch(data.x, data.y, data.group, torch.arange(len(data)))


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def log_softmax(logits, temperature=1.0):
    logits = logits.detach().double().numpy() / temperature
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def ce(logits, y):
    return -log_softmax(logits)[np.arange(len(y)), y].mean()


def kl(teacher, model, temperature=1.0):
    p, q = log_softmax(teacher, temperature), log_softmax(model, temperature)
    return (np.exp(p) * (p - q)).sum(1).mean()


def answers(model, data):
    return predict(model, model, data.x)


def accuracy(model, data):
    return (answers(model, data).argmax(1) == data.y).float().mean().item()


def rise(original, model, data):
    """Return how far the model's cross-entropy is above the original's."""
    return ce(answers(model, data), data.y) - ce(answers(original, data), data.y)


def one_by_one(model, data):
    """Return the (N, n_parameters) gradients of each sample's cross-entropy in double precision."""
    model, rows = copy.deepcopy(model).double().requires_grad_(True).eval(), []
    for x, y in zip(data.x, data.y, strict=True):
        model.zero_grad()
        nn.functional.cross_entropy(model(x[None].double()), y[None]).backward()
        rows.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    return torch.stack(rows)


def close(actual, expected, rtol=1e-4):
    np.testing.assert_allclose(actual.detach(), expected, rtol=rtol, atol=rtol * float(abs(expected).max()))


# --- gradients ----------------------------------------------------------------------------------------------


@pytest.fixture
def cut(monkeypatch):
    """Set the number of samples per chunk."""
    return lambda n: monkeypatch.setattr(gradients, "fitting", lambda *_: n)


def test_sample_gradients_are_those_of_single_samples_in_eval_mode(train, cut):
    model = small_network().train()
    before = state_of(model)
    cut(40)
    parts = list(sample_gradients(model, train.x, train.y))
    assert [len(part) for part in parts] == [40, 40, 12]
    close(torch.cat(parts), one_by_one(model, train))
    assert model.training
    assert same_state(before, state_of(model))


def test_mean_gradient_weighs_the_samples_and_cuts_chunks_without_a_trace(train, cut):
    model = small_network().train()
    before, each = state_of(model), one_by_one(model, train).numpy()
    weights = torch.rand(len(train), generator=torch.Generator().manual_seed(0)).softmax(0)
    close(mean_gradient(model, train), each.mean(0))
    close(mean_gradient(model, train, weights), weights.double().numpy() @ each)
    cut(7)
    close(mean_gradient(model, train, weights), weights.double().numpy() @ each)
    assert model.training
    assert same_state(before, state_of(model))


def test_fisher_diagonal_is_the_weighted_mean_of_squares_over_more_than_a_chunk():
    data, model = problem([[150, 80], [60, 20]]), small_network()
    squares = one_by_one(model, data).numpy() ** 2
    weights = torch.rand(len(data), generator=torch.Generator().manual_seed(0)).softmax(0)
    close(fisher_diagonal(model, data), squares.mean(0))
    close(fisher_diagonal(model, data, weights), weights.double().numpy() @ squares)
    assert model.training  # restored once the last chunk is taken


# --- L1-sparse ----------------------------------------------------------------------------------------------


def test_l1s_penalty_falls_linearly_over_the_epochs(original, train, split):
    method, config = L1Sparse(gamma=0.2), TrainConfig(epochs=5)
    context, batch = ready(method, original, train, split, config), all_of(split.retain)
    for epoch, gamma in ((0, 0.2), (3, 0.08), (4, 0.04)):
        assert method.before_epoch(epoch) == {}
        norm = sum(np.abs(v.detach().double().numpy()).sum() for v in context.model.parameters())
        assert method.retain_loss(batch).item() == pytest.approx(ce(context.model(batch.x), batch.y)
                                                                 + gamma * norm, rel=1e-5)


# --- random labels and SalUn --------------------------------------------------------------------------------


def test_random_labels_loss_is_cross_entropy_with_labels_drawn_anew(original, train, split):
    method = RandomLabels()
    context, batch = ready(method, original, train, split), all_of(split.forget)
    assert method.forget_loss(batch).item() == pytest.approx(ce(context.model(batch.x), 1 - batch.y),
                                                             rel=1e-5)  # two classes
    three = problem([[30, 12], [12, 30], [20, 20]])
    split = split_forget(three, 0.8, [(1, 1)])
    context, batch = context_of(three, split, QUICK), all_of(split.forget)
    method.setup(context)
    state = context.rng.get_state()
    labels = [method.wrong_labels(batch.y) for _ in range(2)]
    assert not torch.equal(*labels)
    context.rng.set_state(state)
    for y in labels:
        assert method.forget_loss(batch).item() == pytest.approx(ce(context.model(batch.x), y), rel=1e-5)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_salun_moves_the_salient_weights_and_no_other_by_a_bit(original, train, split, share):
    method, start = SalUn(forget_epochs=2, share=share), flat(original)
    config = TrainConfig(epochs=4, lr=0.05, batch_size=16, momentum=0.9, weight_decay=0.01)
    context = context_from(original, train, split, config)
    gradient = one_by_one(original, split.forget).mean(0).abs()
    moved = []
    training.train(method, context, on_epoch=lambda *_: moved.append(flat(context.model) != start))
    frozen = torch.cat([part.flatten() for part in method.frozen])
    assert int((~frozen).sum()) == round(share * len(start))
    assert gradient[~frozen].min() >= gradient[frozen].max() * (1 - 1e-4)
    for epoch in moved:
        assert not epoch[frozen].any()
        assert epoch[~frozen].float().mean() > 0.9


def test_salun_with_every_weight_free_is_random_labels_and_with_none_stands_still(original, train, split):
    whole, labels, none = (trained(m, original, train, split)[0].model
                           for m in (SalUn(share=1), RandomLabels(), SalUn(share=0)))
    assert same_state(state_of(whole), state_of(labels))
    assert torch.equal(flat(none), flat(original))


# --- SCRUB and Bad Teacher ----------------------------------------------------------------------------------


def test_distance_is_the_softened_kl_of_the_teacher_from_the_model_times_t_squared():
    rng = torch.Generator().manual_seed(0)
    model, teacher = 3 * torch.randn(7, 4, generator=rng), 3 * torch.randn(7, 4, generator=rng)
    assert distillation_kl(model, teacher).item() == pytest.approx(kl(teacher, model), rel=1e-5)
    softened = 16 * kl(teacher, model, 4.0)
    assert distillation_kl(model, teacher, 4.0).item() == pytest.approx(softened, rel=1e-5)
    assert distillation_kl(model, model, 4.0).item() == pytest.approx(0, abs=1e-6)


def test_scrubs_losses_are_its_papers(original, train, split):
    method = SCRUB(alpha=0.7, gamma=0.4, temperature=4.0)
    context, forget, retain = ready(method, original, train,
                                    split), all_of(split.forget), all_of(split.retain)
    logits, teacher = context.model(forget.x), original(forget.x)
    assert method.forget_loss(forget).item() == pytest.approx(-16 * kl(teacher, logits, 4.0), rel=1e-4)
    logits, teacher = context.model(retain.x), original(retain.x)
    expected = 0.4 * ce(logits, retain.y) + 0.7 * 16 * kl(teacher, logits, 4.0)
    assert method.retain_loss(retain).item() == pytest.approx(expected, rel=1e-4)


def test_bad_teachers_losses_are_distances_to_its_two_teachers(original, train, split):
    method = BadTeacher(temperature=2.0)
    context = ready(method, original, train, split)
    for part, loss, teacher in ((split.forget, method.forget_loss, method.ignorant),
                                (split.retain, method.retain_loss, original)):
        expected = 4 * kl(teacher(part.x), context.model(part.x), 2.0)
        assert loss(all_of(part)).item() == pytest.approx(expected, rel=1e-4)
    method.forget_loss(all_of(split.forget)).backward()
    assert all(p.grad is None for p in method.ignorant.parameters())


# --- gradient ascent and boundaries -------------------------------------------------------------------------


def test_gradient_ascent_climbs_the_forget_sets_cross_entropy(original, train, whole):
    method = GradientAscent()
    context, batch = ready(method, original, train, whole), all_of(whole.forget)
    assert method.forget_loss(batch).item() == pytest.approx(-ce(context.model(batch.x), batch.y), rel=1e-5)
    for retains, term in ((False, set()), (True, {"retain_loss"})):
        method = GradientAscent(2, retains)
        context, rows = trained(method, original, train, whole, TrainConfig(epochs=3, lr=0.05, batch_size=4))
        assert [set(row) for row in rows] == [{"forget_loss"} | term, {"forget_loss"} | term, term]
        assert rise(original, context.model, whole.forget) > 0.3
        assert accuracy(context.model, whole.retain) > 0.85 or not retains  # nothing holds it there otherwise


def test_boundary_shrink_asks_the_original_one_signed_step_of_eps_grey_levels_away():
    rng = torch.Generator().manual_seed(0)
    images = GroupedDataset(torch.randint(0, 256, (200, 1, 2, 2), generator=rng).to(torch.uint8),
                            torch.randint(0, 3, (200,), generator=rng), torch.zeros(200))
    original, model = (models.Classifier(nn.Flatten(), 4, 3) for _ in range(2))
    for network in (original, model):
        nn.init.normal_(network.head.weight, generator=rng)
        nn.init.normal_(network.head.bias, generator=rng)
    w, b = (v.detach().double().numpy() for v in (original.head.weight, original.head.bias))

    def logits(grey):
        return (grey / 127.5 - 1) @ w.T + b

    grey, y, nears = images.x.flatten(1).double().numpy(), images.y.numpy(), []
    shares = np.exp(logits(grey)) / np.exp(logits(grey)).sum(1, keepdims=True)
    for eps in (0, 30):
        stepped = np.clip(grey + eps * np.sign((shares - np.eye(3)[y]) @ w), 0, 255)
        nears.append(logits(stepped).argmax(1))
        method = BoundaryShrink(eps=eps)
        method.setup(context_of(images, split_forget(images, 0.5), QUICK, original=original, model=model))
        actual = method.near_labels(model.scaled(images.x), images.y)
        assert actual.tolist() == nears[-1].tolist()
        assert method.forget_loss(all_of(images)).item() == pytest.approx(ce(model(images.x), nears[-1]),
                                                                          rel=1e-5)
    right = nears[0] == y
    assert 0.2 < (nears[1] != y)[right].mean() < 1  # eps reaches across the boundary for some


def shadow_logits(model, shadow, x):
    """Return (B, n + 1) logits, of which the last is the shadow's."""
    z = model.features(x)
    return torch.cat([model.head(z), z @ shadow[:-1, None] + shadow[-1]], 1)


def test_boundary_expands_loss_is_cross_entropy_with_one_class_more(original, train, split):
    method = BoundaryExpand()
    context, batch = ready(method, original, train, split), all_of(split.forget)
    z, w = context.model.features(batch.x).detach().double().numpy(), method.shadow.detach().double().numpy()
    head = context.model.head
    logits = z @ head.weight.detach().double().numpy().T + head.bias.detach().double().numpy()
    logits = np.column_stack([logits, (z * w[:6]).sum(1) + w[6]])
    assert 0.1 < abs(w).max() <= 1 / math.sqrt(6)  # as the head's own weights start
    assert method.forget_loss(batch).item() == pytest.approx(ce(torch.tensor(logits),
                                                                np.full(len(batch.y), 2)), rel=1e-5)
    assert method.retain_loss(batch).item() == pytest.approx(ce(context.model(batch.x), batch.y), rel=1e-5)


@pytest.mark.parametrize("retains", [False, True])
def test_boundary_expand_moves_the_forget_set_into_a_shadow_that_is_dropped(original, train, whole, retains):
    first, method = BoundaryExpand(), BoundaryExpand(6, retains)
    first.setup(context_from(original, train,
                             whole))  # the same seed: the shadow that the training starts from
    context, rows = trained(method, original, train, whole, TrainConfig(epochs=6, lr=0.1, batch_size=8))
    assert not torch.equal(method.shadow, first.shadow)
    before, after = (np.exp(log_softmax(shadow_logits(model.eval(), m.shadow, whole.forget.x)))[:, 2].mean()
                     for model, m in ((original, first), (context.model, method)))
    assert after > before + 0.2
    assert rise(original, context.model, whole.forget) > 0.1
    assert accuracy(context.model, whole.retain) > 0.85 or not retains
    assert state_of(context.model).keys() == state_of(original).keys()
    assert context.model(whole.forget.x).shape == (len(whole.forget), 2)
    assert ["retain_loss" in row for row in rows] == [retains] * 6


# --- SSD and influence --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
# a quantile: below alpha's all are dampened, above it some keep their size
@pytest.mark.parametrize("lam_from", [0.6, 0.9])
def test_ssd_shrinks_just_the_weights_that_matter_more_for_the_forget_set(original, train, split, weights,
                                                                          weighted, lam_from):
    of_forget = (one_by_one(original, split.forget) ** 2).mean(0)
    of_all = (weights.double() @ one_by_one(original, split.retain) ** 2 if weighted
              else (one_by_one(original, train) ** 2).mean(0))
    ratio = of_forget / of_all
    alpha, lam = (float(ratio[ratio.isfinite()].quantile(q))
                  for q in (0.703, lam_from))  # between two of them
    context, rows = trained(SSD(alpha, lam), original, train, split, NONE,
                            weights=weights if weighted else None)
    chosen = of_forget > alpha * of_all
    assert 5 < chosen.sum() < len(chosen) / 2
    start, end = flat(original), flat(context.model)
    assert torch.equal(start[~chosen], end[~chosen])
    factor = (lam / ratio[chosen]).clamp(max=1)
    assert (factor < 1).any()
    assert (factor == 1).any() == (lam > alpha)
    close(end[chosen], start[chosen].double() * factor)
    assert rows == []  # epochs=0 leaves it there
    assert all(torch.equal(a, b) for a, b in zip(context.model.buffers(), original.buffers(), strict=True))


@pytest.mark.parametrize("n", [5, 60])  # fewer and more samples than parameters
def test_the_inverse_fisher_product_is_that_of_the_dense_matrix(n):
    rng = torch.Generator().manual_seed(0)
    gradients, vector = torch.randn(n, 30, generator=rng), torch.randn(30, generator=rng)
    dense = gradients.double().T @ gradients.double() / n + 0.3 * torch.eye(30, dtype=torch.float64)
    close(inverse_fisher_product(gradients, vector, 0.3), torch.linalg.inv(dense) @ vector.double())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_fisher", [20, 1000])  # 1000: more than there are
def test_influence_takes_the_newton_step_of_the_dense_matrix(original, train, split, weights, weighted,
                                                             n_fisher):
    method, retain = Influence(damping=0.2, step=1.5, n_fisher=n_fisher), split.retain
    actual = flat(trained(method, original, train, split, NONE,
                         weights=weights if weighted else None)[0].model)
    each, rng = one_by_one(original, retain), torch.Generator().manual_seed(5)
    share = weights.double() if weighted else torch.full((len(retain),), 1 / len(retain), dtype=torch.float64)
    rows = (torch.multinomial(weights, len(retain), replacement=True, generator=rng) if weighted
            else torch.randperm(len(retain), generator=rng))
    drawn = each[rows[:n_fisher]]
    dense = drawn.T @ drawn / len(drawn) + 0.2 * torch.eye(len(actual), dtype=torch.float64)
    away = one_by_one(original, train).mean(0) - share @ each
    step = 1.5 * torch.linalg.inv(dense) @ away
    close(actual - flat(original), step, rtol=1e-3)


# --- all methods --------------------------------------------------------------------------------------------


SMALL = {"mine_hidden": 8, "first_updates": 5, "later_updates": 2}
SETTINGS = {"miu": SMALL, "miu_released": SMALL}
EVERY = pytest.mark.parametrize("name", methods.registry)


def run(name, original, train, split, seed=5):
    """Train as an experiment does: a fresh start has no original, and PRETRAIN has no forget set."""
    method = methods.get(name)(**SETTINGS.get(name, {}))
    context = context_from(original, train, split, seed=seed)
    if method.init_from is None:
        context.original, context.model = None, small_network()
    if method.trains_on == "train":
        context.retain, context.forget = train, None
    training.train(method, context)
    return state_of(context.model)


@EVERY
def test_equal_seeds_give_equal_bits_and_leave_everything_else_alone(original, train, split, name):
    tensors = [v for d in (train, split.retain, split.forget) for v in (d.x, d.y, d.a, d.group)]
    tensors += original.state_dict().values()
    before, states = [v.clone() for v in tensors], []
    for disturbed, seed in ((1, 5), (2, 5), (2, 6)):
        torch.manual_seed(disturbed)
        random_state = torch.get_rng_state()
        states.append(run(name, original, train, split, seed))
        assert torch.equal(random_state, torch.get_rng_state())
    assert same_state(*states[:2])
    assert same_state(*states[1:]) == (name == "adjust")  # which draws nothing
    assert all(torch.equal(a, b) for a, b in zip(before, tensors, strict=True))
    assert not original.training
    assert all(p.grad is None and not p.requires_grad for p in original.parameters())


# --- hooks of the loop --------------------------------------------------------------------------------------


