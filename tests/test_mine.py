"""Test MINE and the Donsker-Varadhan bound (Eq. 2; Belghazi et al. 2018)."""

import copy
import math

import numpy as np
import pytest
import torch

from grmu.mine import MINE, Estimator, draw_group_bar, dv_bound, dv_terms

N_GROUPS = 3


@pytest.fixture
def mine():
    return MINE(n_features=2, n_groups=N_GROUPS, hidden=8, seed=1)


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(0)
    return torch.randn(5, 2, generator=rng), torch.tensor([0, 2, 1, 1, 0])


def t_by_hand(mine, z, g):
    """Compute T(z, g) = w2 . relu(W1 [z, one-hot g] + b1) + b2 in numpy, one sample at a time."""
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in
                      (mine.first.weight, mine.first.bias, mine.second.weight[0], mine.second.bias[0]))
    one_hot = np.eye(N_GROUPS)
    return np.array([w2 @ np.maximum(w1 @ np.r_[zi, one_hot[gi]] + b1, 0) + b2
                     for zi, gi in zip(z.double().numpy(), np.asarray(g), strict=True)])


def bound_by_hand(joint, marginal):
    return np.mean(joint) - np.log(np.mean(np.exp(marginal)))


# --- the network --------------------------------------------------------------------------------------------


def test_the_network_is_a_perceptron_on_features_and_one_hot_group(mine, batch):
    z, g = batch
    np.testing.assert_allclose(mine(z, g).detach(), t_by_hand(mine, z, g), rtol=1e-5, atol=1e-6)


def test_the_columns_of_all_groups_are_the_forward_pass_of_each_group(mine, batch):
    z, _ = batch
    table = mine.all_groups(z)
    assert table.shape == (5, N_GROUPS)
    for g in range(N_GROUPS):
        torch.testing.assert_close(table[:, g], mine(z, torch.full((5,), g)))


# --- the bound ----------------------------------------------------------------------------------------------


def test_the_exact_bound_sums_over_all_groups(mine, batch):
    z, g = batch
    every = np.stack([t_by_hand(mine, z, [k] * 5) for k in range(N_GROUPS)])
    assert dv_bound(mine, z, g).item() == pytest.approx(bound_by_hand(t_by_hand(mine, z, g), every), abs=1e-6)


@pytest.mark.parametrize("how", ["uniform", "shuffle"])
def test_the_sampled_bounds_use_the_drawn_groups(mine, batch, how):
    z, g = batch
    g_bar = draw_group_bar(how, g, N_GROUPS, torch.Generator().manual_seed(3))
    expected = bound_by_hand(t_by_hand(mine, z, g), t_by_hand(mine, z, g_bar))
    assert dv_bound(mine, z, g, g_bar).item() == pytest.approx(expected, abs=1e-6)


def test_the_bound_is_differentiable_in_the_features(mine, batch):
    z, g = batch
    z = z.double().requires_grad_(True)
    mine = mine.double()
    assert torch.autograd.gradcheck(lambda v: dv_bound(mine, v, g), z)
    assert torch.autograd.gradcheck(lambda v: dv_bound(mine, v, g, torch.tensor([1, 0, 0, 2, 1])), z)


# --- how g_bar is drawn -------------------------------------------------------------------------------------


def test_shuffle_permutes_and_uniform_covers_all_groups():
    g = torch.tensor([0] * 90 + [1] * 10)
    shuffled = draw_group_bar("shuffle", g, N_GROUPS, torch.Generator().manual_seed(0))
    assert shuffled.sort().values.tolist() == g.tolist()
    assert shuffled.tolist() != g.tolist()
    many = torch.zeros(30_000, dtype=torch.long)
    uniform = draw_group_bar("uniform", many, N_GROUPS, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(torch.bincount(uniform) / 30_000, [1 / 3] * 3, atol=0.015)
    assert draw_group_bar("exact", g, N_GROUPS, torch.Generator()) is None


def test_on_a_one_group_batch_only_the_uniform_bar_pulls_the_features_towards_other_groups(mine, batch):
    # T(z, g) = s z_0 [g = 1]: in group 1, z_0 tells the group. All samples share one z, as after complete
    # collapse.
    with torch.no_grad():
        for p in mine.parameters():
            p.zero_()
        mine.first.weight[0] = torch.tensor([1.0, 0, 0, 5,
                                             0])  # relu(z_0 + 5 [g = 1] - 5) is z_0 for g = 1, else 0
        mine.first.bias[0] = -5
        mine.second.weight[0, 0] = 1
    z = torch.full((4, 2), 2.0, requires_grad=True)
    g = torch.ones(4, dtype=torch.long)
    dv_bound(mine, z, g, g).backward()
    assert z.grad.abs().max() < 1e-6
    z.grad = None
    dv_bound(mine, z, g).backward()
    # d/dz_0 of (z_0 - log((e^z_0 + 2) / 3)), shared by 4 samples
    expected = (1 - math.exp(2) / (math.exp(2) + 2)) / 4
    np.testing.assert_allclose(z.grad, [[expected, 0]] * 4, rtol=1e-5, atol=1e-7)


# --- the estimator ------------------------------------------------------------------------------------------


def gradient_after_one_step(ema, start, group_bar="exact"):
    """Return the gradients of one step of `fit`, with its network and batch."""
    rng = torch.Generator().manual_seed(0)
    z, g = torch.randn(50, 2, generator=rng), torch.randint(N_GROUPS, (50,), generator=rng)
    mine = MINE(2, N_GROUPS, 8, seed=1)
    if start is not None:
        mine.log_partition = torch.tensor(start)
    before = copy.deepcopy(mine)
    estimator = Estimator(mine, 1e-3, torch.Generator().manual_seed(4), group_bar, batch_size=16, ema=ema)
    bounds = estimator.fit(z, g, 1)
    twin = torch.Generator().manual_seed(4)
    index = torch.randint(50, (16,), generator=twin)
    g_bar = draw_group_bar(group_bar, g[index], N_GROUPS, twin)
    return (
        [p.grad for p in mine.parameters()],
        before,
        z[index],
        g[index],
        g_bar,
        bounds,
        mine.log_partition.item(),
    )


def test_with_a_moving_average_the_partitions_gradient_is_divided_by_the_average():
    ema, start = 0.25, 1.5
    actual, mine, z, g, _, _, after = gradient_after_one_step(ema, start)
    partition = mine.all_groups(z).exp().mean()
    average = (1 - ema) * math.exp(start) + ema * partition.item()
    assert after == pytest.approx(math.log(average), abs=1e-5)
    mine.zero_grad()
    # their Eq. 12: gradient of E T minus the gradient of E exp T over the average (not over the batch's own
    # partition)
    (partition / average - mine(z, g).mean()).backward()
    for mine_grad, p in zip(actual, mine.parameters(), strict=True):
        torch.testing.assert_close(mine_grad, p.grad, rtol=1e-4, atol=1e-6)
    assert abs(average - partition.item()) > 0.5  # else the test could not tell the two apart


def test_the_network_is_frozen_outside_fit_and_the_bound_moves_only_the_features():
    rng = torch.Generator().manual_seed(0)
    z, g = torch.randn(50, 2, generator=rng), torch.randint(N_GROUPS, (50,), generator=rng)
    estimator = Estimator(MINE(2, N_GROUPS, 8), 1e-2, rng)
    assert estimator.fit(z, g, 0) == []
    assert len(estimator.fit(z, g, 3)) == 3
    assert not any(p.requires_grad for p in estimator.network.parameters())
    grads = [p.grad.clone() for p in estimator.network.parameters()]
    z.requires_grad_(True)
    estimator.bound(z, g).backward()
    assert z.grad.abs().sum() > 0
    assert all(torch.equal(p.grad, before) for p, before in zip(estimator.network.parameters(), grads,
                                                                strict=True))


def estimator_with_average(start, **how):
    mine = MINE(2, N_GROUPS, 8, seed=1)
    mine.log_partition = torch.tensor(start)
    return Estimator(mine, 1e-2, torch.Generator().manual_seed(4), ema=0.25, **how)


@pytest.mark.parametrize("group_bar", [None, torch.tensor([2, 2, 0, 1, 0])])
def test_a_corrected_bound_has_eq_2s_value_and_the_averages_gradient(batch, group_bar):
    z, g = batch
    z.requires_grad_(True)
    corrected, plain = (estimator_with_average(1.5, corrected=c) for c in (True, False))
    actual, expected = (e.bound(z, g, group_bar) for e in (corrected, plain))
    assert actual.item() == expected.item() == dv_bound(plain.network, z, g, group_bar).item()
    assert plain.network.log_partition.item() == 1.5
    joint, log_partition = dv_terms(plain.network, z, g, group_bar)
    average = 0.75 * math.exp(1.5) + 0.25 * log_partition.exp().item()
    assert corrected.network.log_partition.exp().item() == pytest.approx(average, rel=1e-5)
    (gradient,) = torch.autograd.grad(actual, z)
    (by_hand,) = torch.autograd.grad(joint - log_partition.exp() / average, z, retain_graph=True)
    torch.testing.assert_close(gradient, by_hand)
    (without,) = torch.autograd.grad(expected, z)
    assert (gradient - without).abs().max() > 1e-3


def test_mine_recovers_the_information_of_correlated_gaussians_on_unseen_samples():
    rho = 0.8
    rng = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, 30_000, 1, generator=rng)
    y = rho * x + math.sqrt(1 - rho**2) * noise
    estimator = Estimator(MINE(1, 1, 32), 1e-2, rng, "shuffle", batch_size=256)
    estimator.fit(x[:20_000], y[:20_000], 400)
    actual = estimator.bound(x[20_000:], y[20_000:]).item()
    assert actual == pytest.approx(-0.5 * math.log(1 - rho**2), rel=0.1)


