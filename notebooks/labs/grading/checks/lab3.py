"""Check lab 3 (MINE): one check for each graded cell, with random inputs."""

import math

import numpy as np
import torch
from grading.asking import GRADIENTS, compare, own_code, same

from grmu.course import closed_form

NOT_ALLOWED = ("grmu.mine.dv_bound", "grmu.mine.table_terms")  # Estimator needs dv_terms and draw_group_bar
FLOAT = 1e-3  # tolerance of single-precision sums

BOUND = GRADIENTS + "inputs = joint.requires_grad_(), marginal.requires_grad_()" + own_code(
    "with_gradients(my_bound(*inputs), *inputs)", "grmu.mine.dv_terms")
AVERAGE = "float(update_average(average, marginal, rate))"
CORRECTED = GRADIENTS + """
inputs = joint.requires_grad_(), marginal.requires_grad_()
batch = marginal.exp().mean()
given = average + batch - batch.detach() if attached else average
with_gradients(corrected_loss(*inputs, given), *inputs)[1:]
"""
BARS = "generators = [torch.Generator().manual_seed(seed) for seed in seeds]" + own_code(
    "[group_bar(how, group, n_groups, rng) for rng in generators]", "grmu.mine.draw_group_bar")
ESTIMATE = "float(estimate(tuple(train), tuple(fresh), how, steps, seed))"
PUSH = own_code("push(t, group, bar)", "grmu.mine.dv_terms")
ONE_GROUP = own_code("[float(v) for v in one_group(t, g)]", "grmu.mine.dv_terms")


def normal(rng, *shape, scale=1.0, mean=0.0):
    return torch.as_tensor(rng.normal(mean, scale, shape), dtype=torch.float32)


def log_mean_exp(t):
    return float(t.double().logsumexp(0)) - math.log(len(t))


def test_bound(ask, rng):
    for n, n_bar in ((5, 9), (9, 5)):
        joint, marginal = normal(rng, n, mean=1.5), normal(rng, n_bar, scale=1.5)
        mean, log_mean = joint.mean().item(), log_mean_exp(marginal)
        found, *_ = ask(BOUND, joint=joint, marginal=marginal)
        compare(found, mean - log_mean, "M is the mean of T over real pairs minus the log of the mean of "
                "e^T over mismatched pairs. See lesson 3.2.", [
            (mean - log_mean - math.log(n_bar), "Use log-mean-exp: divide by the number of mismatched pairs."),
            (log_mean - mean, "The sign is wrong: M is high if T is high on real pairs.")], FLOAT)


def test_bound_stable(ask, rng):
    for apart in (rng.uniform(60, 90), -rng.uniform(120, 180)):
        joint, marginal = normal(rng, 6, mean=400), normal(rng, 8, mean=400 + apart)
        value, *gradients = ask(BOUND, joint=joint, marginal=marginal)
        compare(value, joint.mean().item() - log_mean_exp(marginal), "The value is wrong if T is near 500: "
                "exp overflows, so use logsumexp.", tolerance=FLOAT)
        compare(torch.cat(gradients), torch.cat([torch.full((6,), 1 / 6), -marginal.softmax(0)]),
                "The gradient is wrong or missing if T is near 500: return a tensor (without .item() or "
                ".detach()), and do not cut off T.", tolerance=FLOAT)


def test_corrected(ask, rng):
    rate, average = rng.uniform(0.1, 0.4), torch.tensor(rng.uniform(3.0, 6.0), dtype=torch.float32)
    joint, marginal = normal(rng, 5), normal(rng, 8)
    batch, past = marginal.exp().mean().item(), average.item()
    compare(ask(AVERAGE, average=None, marginal=marginal, rate=rate), batch,
            "Before the first batch, the average is this batch's mean of e^T.", tolerance=FLOAT)
    compare(ask(AVERAGE, average=average, marginal=marginal, rate=rate), (1 - rate) * past + rate * batch,
            "The past has weight 1 - rate, and this batch's mean of e^T has weight `rate`.",
            tolerance=FLOAT)
    of_joint, of_marginal = ask(CORRECTED, joint=joint, marginal=marginal, average=average, attached=False)
    compare(of_joint, torch.full((5,), -1 / 5), "The gradient on each real pair is -1 divided by their "
            "number: you minimise a stand-in for -M.", tolerance=FLOAT)
    compare(of_marginal, marginal.exp() / (8 * average),
            "The gradient on mismatched pairs is E[e^T grad T] divided by `average`. See lesson 3.6.",
            tolerance=FLOAT)


def test_corrected_constant(ask, rng):
    joint, marginal, average = normal(rng, 5), normal(rng, 8), torch.tensor(3.0 + rng.random())
    _, gradient = ask(CORRECTED, joint=joint, marginal=marginal, average=average, attached=True)
    compare(gradient, marginal.exp() / (8 * average), "The gradient is wrong if `average` is still "
            "connected to the network: detach `average`, and nothing else.", tolerance=FLOAT)


def check_bar(ask, rng, how):
    """Check that ḡ has the right groups, even if one has no samples, and depends on nothing except rng."""
    k, seed = int(rng.integers(4, 7)), int(rng.integers(2**31))
    counts = torch.tensor([*rng.permutation([0, 800, *rng.integers(110, 160, k - 3)]), 120])
    group, n = torch.arange(k).repeat_interleave(counts), int(counts.sum())
    bar, again, other = ask(BARS, how=how, group=group, n_groups=k, seeds=[seed, seed, seed + 1])
    found, mean = torch.stack([(torch.as_tensor(bar) == g).sum() for g in range(k)]), n / k
    wrong = 0 if how == "shuffle" else 6 * math.sqrt(mean)  # a uniform draw may differ by chance
    assert bool(((found - (counts if how == "shuffle" else mean)).abs() <= wrong).all()), (
        f"{how}: the groups have {counts.tolist()} samples, and you draw them {found.tolist()} times. Shuffling "
        f"keeps the sizes; a uniform ḡ draws each of the {k} declared groups about equally often.")
    expected = float(((counts / n) ** 2).sum()) if how == "shuffle" else 1 / k
    equal = (bar == group).float().mean().item()
    assert abs(equal - expected) < 0.09, (
        f"{how}: by chance {expected:.0%} of the ḡ equal the sample's own group, but {equal:.0%} of yours. "
        "Draw independently of a sample's own group and place. See lesson 3.5.")
    assert same(bar, again), f"{how}: equal generators must give equal draws: use rng only."
    assert not same(bar, other), f"{how}: another generator gives the same draw: use rng."


def test_bar_shuffle(ask, rng):
    check_bar(ask, rng, "shuffle")


def test_bar_uniform(ask, rng):
    check_bar(ask, rng, "uniform")


def check_known_value(ask, rng, shares, how):
    """Check an estimate of a known value, and return its inputs."""
    nats, seed = rng.uniform(0.35, 0.55), int(rng.integers(2**31))
    z, group = closed_form.noisy_groups(nats, 5000, torch.Generator().manual_seed(seed), shares)
    case = {"train": (z[:2500], group[:2500]), "fresh": (z[2500:], group[2500:]), "how": how}
    true = nats + (closed_form.from_uniform(shares) if how == "uniform" else 0)
    found = ask(ESTIMATE, **case, steps=150, seed=seed)
    assert abs(found - true) < 0.18, (
        f"ḡ {how}: the true value is {true:.2f} nats, but your estimate is {found:.2f}. Do you use "
        "`how`, `steps`, `train` and `fresh`? A uniform ḡ adds KL(P(G) || uniform). See lesson 3.5.")
    return case


def test_estimate(ask, rng):
    rest, seed = (1 - rng.uniform(0.65, 0.75)) / 3, int(rng.integers(2**31))
    shares = tuple(rng.permutation([1 - 3 * rest, rest, rest, rest]).tolist())
    check_known_value(ask, rng, shares, "uniform")
    case = check_known_value(ask, rng, shares, "shuffle")
    one, again, other = (ask(ESTIMATE, **case, steps=2, seed=s) for s in (seed, seed, seed + 1))
    assert abs(one) < 0.15, "After two updates the estimate must still be small: `steps` has no effect."
    assert same(one, again, 1e-5), "The same seed must give the same estimate: seed a Generator with it."
    assert not same(one, other, 1e-7), "Another seed gives the same estimate: `seed` has no effect."


def test_estimate_fresh(ask, rng):
    check_known_value(ask, rng, closed_form.SHARES, "shuffle")
    noise = [(normal(rng, 60, 20), torch.as_tensor(rng.integers(0, 4, 60))) for _ in range(2)]
    found = ask(ESTIMATE, train=noise[0], fresh=noise[1], how="shuffle", steps=150, seed=0)
    assert found < 0.2, (
        f"Your estimate for random features and random groups is {found:.2f} nats: the network has memorised "
        "these samples. Fit to `train` only, and evaluate on `fresh` only. See lesson 3.4.")


def test_push(ask, rng):
    n, g = int(rng.integers(40, 60)), int(rng.integers(4))
    one_group, mixed, rows = torch.full((n,), g), torch.as_tensor(rng.integers(0, 4, n)), torch.arange(n)
    for group, bar in ((one_group, one_group), (one_group, mixed), (mixed, mixed.roll(1))):
        t, expected = normal(rng, n, 4, scale=1.5), torch.zeros(n, 4)
        expected[rows, group] += 1 / n
        expected[rows, bar] -= t[rows, bar].softmax(0)
        compare(ask(PUSH, t=t, group=group, bar=bar), expected, "A real pair has the derivative 1/B, and a "
                "mismatched pair has minus its share of the sum of e^T over all mismatched pairs.",
                [(-expected, "The sign is wrong: M grows with T on real pairs.")], FLOAT / 10)


def test_one_group(ask, rng):
    k = int(rng.integers(3, 8))
    g, t = int(rng.integers(k)), normal(rng, 40, k, scale=1.2)
    shuffled, uniform = (t[:, g].mean().item() - log_mean_exp(values) for values in (t[:, g], t.flatten()))
    compare(ask(ONE_GROUP, t=t, g=g), [shuffled, uniform], "Both are the mean of column g minus a "
            "log-mean-exp: of column g if ḡ is shuffled, of the whole table if ḡ is uniform.", tolerance=FLOAT)
