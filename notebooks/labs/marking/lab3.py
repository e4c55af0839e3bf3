"""Lab 3: a check for each graded test cell, of the same name. `ask` evaluates code among the submission's
names and returns plain data; `rng` draws all inputs; what is right is computed here."""

import math

import numpy as np
import torch

from grmu import closed_form
from grmu.course.asking import same
from grmu.mine import table_terms

FLOAT = 1e-3  # of single-precision sums


def normal(rng, *shape, scale=1.0, mean=0.0):
    return torch.as_tensor(rng.normal(mean, scale, shape), dtype=torch.float32)


def draw_seed(rng):
    return int(rng.integers(2**31))


# 1. The bound

VALUE = "float(my_bound(joint, marginal))"


def log_mean_exp(t):
    return float(t.double().logsumexp(0)) - math.log(len(t))


def test_bound(ask, rng):
    level = normal(rng).item()
    found = ask(VALUE, joint=torch.full((4,), level), marginal=torch.full((7,), level))
    assert same(found, 0.0, FLOAT), (
        "a T that says the same of every pair knows nothing: M is 0 then, whatever T is. Lesson 3.2.")
    for n, n_bar in ((5, 9), (9, 5)):
        joint, marginal = normal(rng, n, mean=1.5), normal(rng, n_bar, scale=1.5)
        found, mean, log_mean = ask(VALUE, joint=joint, marginal=marginal), joint.mean().item(), log_mean_exp(
            marginal)
        assert not same(found, mean - log_mean - math.log(n_bar), FLOAT), (
            "log-sum-exp where the bound has log-MEAN-exp: the number of mismatched pairs is missing.")
        assert not same(found, mean - log_mean - math.log(n_bar / n), FLOAT), (
            "the mean in the log is over the mismatched pairs: count them, not the real ones.")
        assert not same(found, mean - marginal.mean().item(), FLOAT), (
            "mean minus mean: over mismatched pairs T goes through exp, a mean, and a log, in this order.")
        assert not same(found, log_mean - mean, FLOAT), (
            "the sign is turned round: the bound is high where real pairs score high.")
        assert same(found, mean - log_mean, FLOAT), (
            "a wrong value on drawn T: take the mean over real pairs, log-mean-exp over mismatched ones, and "
            "subtract. Lesson 3.2.")


def test_bound_stable(ask, rng):
    for sign in (1, -1):
        level, apart = rng.uniform(380, 420), sign * rng.uniform(120, 180)
        joint, marginal = normal(rng, 6, mean=level), normal(rng, 8, mean=level + (apart if sign < 0 else 80))
        value, *gradients = ask("""
inputs = [joint.requires_grad_(), marginal.requires_grad_()]
value = my_bound(*inputs)
flows = isinstance(value, torch.Tensor) and value.requires_grad
gradients = torch.autograd.grad(value, inputs, allow_unused=True) if flows else (None, None)
[value.item() if isinstance(value, torch.Tensor) else float(value), *gradients]
""", joint=joint, marginal=marginal)
        assert same(math.isfinite(value), True), (
            "T near 500 gives inf or nan, because exp(500) overflows: there is a function that takes the log "
            "of a sum of exp without it. Lesson 3.2.")
        assert all(g is not None for g in gradients), (
            "no gradient flows from the bound to all values of T: a tensor, without .item() or detach.")
        sums = [abs(float(g.sum())) for g in gradients]
        assert same(sums, [1.0, 1.0], FLOAT), (
            "with T near 500 the gradient is lost: cutting T off at some value is no way round the overflow.")


# 2. The corrected gradient

AVERAGE = "float(update_average(average, marginal, rate))"
GRADIENTS = """
inputs = [joint.requires_grad_(), marginal.requires_grad_()]
batch = marginal.exp().mean()
given = average + batch - batch.detach() if attached else average
found = torch.autograd.grad(corrected_loss(*inputs, given), inputs, allow_unused=True)
[torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found)]
"""


def test_corrected(ask, rng):
    rate, average = rng.uniform(0.1, 0.4), torch.tensor(rng.uniform(3.0, 6.0), dtype=torch.float32)
    joint, marginal = normal(rng, 5), normal(rng, 8)
    batch = marginal.exp().mean().item()
    found = ask("float(update_average(None, marginal, rate))", marginal=marginal, rate=rate)
    assert same(found, batch, FLOAT), (
        "before the first batch there is no past: the average is the batch's own mean of e^T then.")
    found = ask(AVERAGE, average=average, marginal=marginal, rate=rate)
    assert not same(found, rate * average.item() + (1 - rate) * batch, FLOAT), (
        "the weights are exchanged: the new batch has weight `rate`, the past 1 - rate.")
    assert same(found, (1 - rate) * average.item() + rate * batch, FLOAT), (
        "a wrong moving average: the past has weight 1 - rate, this batch's mean of e^T has weight `rate`.")
    of_joint, of_marginal = ask(GRADIENTS, joint=joint, marginal=marginal, average=average, attached=False)
    assert not same(of_joint, torch.full((5,), 1 / 5), FLOAT), (
        "this makes M smaller: the optimiser minimises what you return, so return a stand-in for -M.")
    assert same(of_joint, torch.full((5,), -1 / 5), FLOAT), (
        "on real pairs the gradient must be that of -M: -1 over the number of real pairs.")
    assert not same(of_marginal, marginal.softmax(0), FLOAT), (
        "that is the plain, biased gradient: `average` must stand where the batch's own mean of e^T stood. "
        "Lesson 3.6.")
    assert same(of_marginal, marginal.exp() / (8 * average), FLOAT), (
        "on mismatched pairs the gradient must be E[e^T grad T] over `average`. Lesson 3.6.")


def test_corrected_constant(ask, rng):
    joint, marginal = normal(rng, 5), normal(rng, 8)
    average = torch.tensor(rng.uniform(3.0, 6.0), dtype=torch.float32)

    def gradient(average, attached):
        return ask(GRADIENTS, joint=joint, marginal=marginal, average=average, attached=attached)[1]

    cut_off = gradient(average, False)
    assert bool(cut_off.any()), "no gradient reaches the mismatched pairs: only `average` is a constant."
    assert same(gradient(2 * average, False), cut_off / 2, FLOAT), (
        "an average twice as large must halve the gradient on mismatched pairs. Lesson 3.6.")
    assert same(gradient(average, True), cut_off, FLOAT), (
        "a gradient flows through `average`: it stands for many batches, so detach it, or the bias comes "
        "back. Lesson 3.6.")


# 3. Drawing ḡ

BAR = "group_bar(how, group, n_groups, torch.Generator().manual_seed(seed))"


def unequal_groups(rng):
    """A batch of unequal groups in which one declared group, not the last, is absent; and their number."""
    k = int(rng.integers(4, 7))
    shares = rng.uniform(0.08, 0.12, k)
    shares[[0, 1]] = rng.uniform(0.5, 0.6), 0
    shares = np.roll(shares, rng.integers(k - 2))
    counts = (1500 * shares / shares.sum()).astype(int)
    return torch.arange(k).repeat_interleave(torch.as_tensor(counts)), k


def drawn(ask, rng, how, group, k):
    """The submission's ḡ as whole numbers, as many as there are samples."""
    found = ask(BAR, how=how, group=group, n_groups=k, seed=draw_seed(rng))
    assert same(np.shape(found), [len(group)]), f"{how}: one ḡ for each sample, a tensor (B,)."
    bar = torch.as_tensor(found).long()
    assert 0 <= int(bar.min()) <= int(bar.max()) < k, f"{how}: a ḡ that is no declared group."
    return bar


def test_bar_shuffle(ask, rng):
    group, k = unequal_groups(rng)
    counts = torch.bincount(group, minlength=k)
    bar = drawn(ask, rng, "shuffle", group, k)
    assert torch.bincount(bar, minlength=k).equal(counts), (
        "shuffled, the batch's groups keep their numbers: each sample's group is handed on exactly once.")
    met, by_chance = (bar == group).float().mean().item(), float(((counts / len(group)) ** 2).sum())
    assert met < 0.99, ("every sample got a ḡ from its own group, which is its own g: real pairs against "
                        "real pairs give 0. Draw from the whole batch. Lesson 3.5.")
    assert abs(met - by_chance) < 0.1, (
        f"by chance {by_chance:.0%} of the samples meet their own group again, yours {met:.0%}: shuffle "
        "without a look at a sample's own group or place.")


def test_bar_uniform(ask, rng):
    group, k = unequal_groups(rng)
    bar = drawn(ask, rng, "uniform", group, k)
    counts = torch.bincount(bar, minlength=k)
    absent = (torch.bincount(group, minlength=k) == 0).nonzero().flatten()
    assert bool(counts[absent].all()), (
        "a group that is absent from the batch was never drawn: uniform means over all declared groups, not "
        "those seen. Lesson 3.5.")
    spread = 6 * math.sqrt(len(group) / k)
    assert bool(((counts - len(group) / k).abs() < spread).all()), (
        f"each of the {k} groups should come about equally often, but yours came {counts.tolist()} times.")
    met = (bar == group).float().mean().item()
    assert abs(met - 1 / k) < 0.08, (
        f"by chance {1 / k:.0%} of the samples meet their own group, yours {met:.0%}: draw without a look at "
        "it.")


def test_bar_rng(ask, rng):
    group = torch.arange(4).repeat(50)
    for how in ("shuffle", "uniform"):
        one, again, after, *others, untouched = ask("""
def fresh(seed):
    return torch.Generator().manual_seed(seed)


stream, before = fresh(seeds[0]), torch.get_rng_state()
draws = [group_bar(how, group, 4, rng) for rng in (stream, fresh(seeds[0]), stream, *map(fresh, seeds[1:]))]
[*draws, torch.get_rng_state().equal(before)]
""", how=how, group=group, seeds=[draw_seed(rng) for _ in range(6)])
        assert same(one, again), (
            f"{how}: the same rng must give the same draw: all chance comes from rng, or no run can be "
            "repeated.")
        assert not all(same(one, other) for other in others), (
            f"{how}: another rng gives the same draw, so it does not decide.")
        assert not same(one, after), (
            f"{how}: every batch gets the same draw: take numbers from rng itself, which moves on, and not "
            "from a generator that starts anew.")
        assert untouched is True, f"{how}: the global random numbers were touched: all chance comes from rng."


# 4. Recover a known value

ESTIMATE = "float(estimate((z, group), (z_fresh, group_fresh), how, steps, seed))"


def estimated(ask, rng, train, fresh, how, steps, seed=None):
    return ask(ESTIMATE, z=train[0], group=train[1], z_fresh=fresh[0], group_fresh=fresh[1], how=how,
               steps=steps, seed=draw_seed(rng) if seed is None else seed)


def halves(nats, n, rng, shares):
    pairs = closed_form.noisy_groups(nats, 2 * n, torch.Generator().manual_seed(draw_seed(rng)), shares)
    return [[part[i:i + n] for part in pairs] for i in (0, n)]


def test_estimate(ask, rng):
    rest = (1 - rng.uniform(0.65, 0.75)) / 3
    shares = tuple(rng.permutation([1 - 3 * rest, rest, rest, rest]).tolist())
    nats, extra = rng.uniform(0.35, 0.55), closed_form.from_uniform(shares)
    case = halves(nats, 2500, rng, shares)
    for how, truth, why in (
        ("shuffle", nats, "with a shuffled ḡ the bound is one on the mutual information"),
        ("uniform", nats + extra, "with a uniform ḡ the bound holds KL(P(G) || uniform) as well")):
        found = estimated(ask, rng, *case, how, 150)
        assert abs(found - truth) < 0.18, (
            f"{how}: {why}, {truth:.2f} nats here, and not {found:.2f}: do `how` and `fresh` reach the "
            "estimator? Lesson 3.5.")
    assert abs(estimated(ask, rng, *case, "shuffle", 2)) < nats / 2, (
        "after two steps the network cannot know as much: `steps` does not matter.")
    seeds = draw_seed(rng), draw_seed(rng)
    one, again, other = (estimated(ask, rng, *case, "uniform", 2, seeds[i]) for i in (0, 0, 1))
    assert same(one, again, 1e-5), "the same seed must give the same estimate: draw from a Generator of it."
    assert not same(one, other, 1e-7), "another seed gives the same estimate: `seed` does not matter."


def test_estimate_fresh(ask, rng):
    train, other, fresh, others = ((normal(rng, 60, 20), torch.as_tensor(rng.integers(0, 4, 60)))
                                   for _ in range(4))
    found = estimated(ask, rng, train, fresh, "shuffle", 150)
    assert found < 0.2, (
        f"{found:.2f} nats between noise and random groups: your network was asked about samples that it "
        "learnt by heart. Fit to `train`, ask about `fresh`, and mix them nowhere. Lesson 3.4.")
    seed = draw_seed(rng)
    of_fresh, still, of_others = (estimated(ask, rng, *pairs, "shuffle", 0, seed) for pairs in (
        (train, fresh), (other, fresh), (train, others)))
    assert same(of_fresh, still, 1e-5), (
        "a network that was not fitted at all says something else if `train` is exchanged, so it is asked "
        "about `train`. Lesson 3.4.")
    assert not same(of_fresh, of_others, 1e-7), "other fresh samples, and the estimate is the same."


# 5. Break it

PUSH = "push(t, group, bar)"


def pushed(t, group, bar):
    t = t.clone().requires_grad_()
    joint, log_partition = table_terms(t, group, bar)
    return torch.autograd.grad(joint - log_partition, t)[0]


def test_push(ask, rng):
    n, g = int(rng.integers(40, 60)), int(rng.integers(4))
    t, one_group = normal(rng, n, 4, scale=1.5), torch.full((n,), g)
    found = ask(PUSH, t=t, group=one_group, bar=one_group)
    assert same(np.shape(found), [n, 4]), "return one derivative for every entry of the table, shape (B, 4)."
    others = [column for column in range(4) if column != g]
    assert not bool(found[:, others].any()), (
        "a shuffled ḡ of a one-group batch is that group: no other column can have a derivative.")
    for group in (one_group, torch.as_tensor(rng.integers(0, 4, n))):
        bar = torch.as_tensor(rng.integers(0, 4, n))
        found, expected = ask(PUSH, t=t, group=group, bar=bar), pushed(t, group, bar)
        assert not same(found, -expected, 1e-4), (
            "the sign is turned round: M grows with T on real pairs.")
        assert same(found, expected, 1e-4), (
            "M pulls up each real pair's T by 1/B, and pulls down each mismatched pair's T by its share of "
            "the partition, a softmax over the batch's mismatched pairs. Is `bar` used?")


def own_numbers(mine):
    """M of the student's own forget set of one group, with ḡ shuffled and with ḡ uniform."""
    groups = mine.one_of("groups", [3, 5, 6, 7], everyone=4)
    g = int(mine.rng("group").randint(groups))
    t = torch.from_numpy(mine.rng("T").normal(0, 1.2, (40, groups)))
    t[:, g] += 1
    return [t[:, g].mean().item() - log_mean_exp(marginal) for marginal in (t[:, g], t.flatten())]


def test_my_shuffled(ask, rng, mine):
    shuffled, uniform = own_numbers(mine)
    found = ask("float(my_shuffled)")
    assert not same(found, uniform, 1e-4), "that is M with ḡ uniform: shuffled, ḡ is the one group again."
    assert same(found, shuffled, 1e-4), (
        "not M of *your* table, ḡ shuffled: the mean of T minus log-mean-exp, both over the own group's "
        "column. Lesson 3.5.")


def test_my_uniform(ask, rng, mine):
    shuffled, uniform = own_numbers(mine)
    found = ask("float(my_uniform)")
    assert not same(found, shuffled, 1e-4), "that is M with ḡ shuffled: the other groups are missing."
    assert same(found, uniform, 1e-4), (
        "not M of *your* table, ḡ uniform: the mean of the own group's T minus one log-mean-exp over all 40 "
        "samples and all of your groups. Lesson 3.5.")
