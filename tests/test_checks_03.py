"""The exercises' checks of lesson 03: right answers pass, every known wrong one is told why, in a
sentence."""

import math

import pytest
import torch
from exercises import check

from grmu.course import checks

# Right answers, written differently


def bound_by_shifting(t_joint, t_marginal):
    top = t_marginal.max()
    return t_joint.mean() - top - (t_marginal - top).exp().mean().log()


def loss_in_logs(t_joint, t_marginal, average):
    constant = average.clone().detach().log()
    return (t_marginal.logsumexp(0) - math.log(len(t_marginal)) - constant).exp() - t_joint.mean()


def bar_by_sorting(how, group, n_groups, rng):
    n = len(group)
    if how == "shuffle":
        return group[torch.rand(n, generator=rng).argsort()]
    if how == "uniform":
        return (n_groups * torch.rand(n, generator=rng)).long()
    return torch.stack([torch.full((n,), g) for g in range(n_groups)], 1)


@pytest.mark.parametrize(("name", "function"),
                         [("my_dv_bound", bound_by_shifting), ("corrected_loss", loss_in_logs),
                                                ("my_group_bar", bar_by_sorting)])
def test_another_right_answer_passes(name, function):
    check(name, function)


# Wrong answers


def log_mean_exp(t):
    return t.logsumexp(0) - math.log(len(t))


WRONG_BOUNDS = {
    "mean minus mean": lambda j, m: j.mean() - m.mean(),
    "where Eq. 2 has log-": lambda j, m: j.mean() - m.logsumexp(0),
    "log over the mean": lambda j, m: j.mean() - m.exp().mean(),
    "turned round": lambda j, m: log_mean_exp(m) - j.mean(),
    "in this order": lambda j, m: j.mean() - m.exp().log().mean(),
    "more than 32 bits": lambda j, m: j.mean() - m.exp().mean().log(),
    "gradients flow": lambda j, m: (j.mean() - log_mean_exp(m)).item(),
    "should return one number": lambda j, m: j - log_mean_exp(m),
    "gives .* not": lambda j, m: j.mean() - log_mean_exp(torch.cat([j, m])),
}


@pytest.mark.parametrize("sentence", WRONG_BOUNDS)
def test_a_wrong_bound_is_told_why(sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_dv_bound(WRONG_BOUNDS[sentence])


WRONG_LOSSES = {
    r"make M \*smaller": lambda j, m, a: j.mean() - m.exp().mean() / a.detach(),
    "the batch's own partition": lambda j, m, a: log_mean_exp(m) - j.mean(),
    "flows through `average`": lambda j, m, a: m.exp().mean() / a - j.mean(),
    "number of pairs": lambda j, m, a: m.exp().sum() / a.detach() - j.mean(),
    "-1 over their number": lambda j, m, a: m.exp().mean() / a.detach() - j.sum(),
    "does not depend on T of the mismatched": lambda j, m, a: m.exp().mean().detach() / a.detach() - j.mean(),
    "does not depend on T of the real": lambda j, m, a: m.exp().mean() / a.detach(),
    "scalar tensor": lambda j, m, a: m.exp() / a.detach() - j.mean(),
}


@pytest.mark.parametrize("sentence", WRONG_LOSSES)
def test_a_wrong_loss_is_told_why(sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_corrected_loss(WRONG_LOSSES[sentence])


def bar(**replaced):
    """The right answer, but for the ways that are replaced."""
    return lambda how, group, n, rng: (replaced.get(how)
                                       or (lambda g, n, r: bar_by_sorting(how, g, n, r)))(group, n, rng)


def within_own_group(group, n, rng):
    drawn = group.clone()
    for g in group.unique():
        own = (group == g).nonzero().flatten()
        drawn[own] = group[own[torch.randperm(len(own), generator=rng)]]
    return drawn


def another_group(group, n, rng):
    return (group + torch.randint(1, n, group.shape, generator=rng)) % n


def often_its_own(group, n, rng):
    return torch.where(torch.rand(group.shape, generator=rng) < 0.5, group,
                       torch.randint(n, group.shape, generator=rng))


WRONG_BARS = {
    "shuffle: every sample got its own": bar(shuffle=within_own_group),
    "uniform: every sample got its own": bar(uniform=lambda g, n, r: g),
    "shuffle: the batch's groups in another order": bar(
        shuffle=lambda g, n, r: g[torch.randint(len(g), g.shape, generator=r)]
    ),
    "shuffle: drawn without a look": bar(shuffle=lambda g, n, r: g.flip(0).roll(5)),
    "absent from the batch": bar(uniform=lambda g, n, r: g.unique()[torch.randint(3, g.shape, generator=r)]),
    "outside 0 to n_groups": bar(uniform=lambda g, n, r: torch.randint(1, n + 1, g.shape, generator=r)),
    "whatever the batch holds": bar(uniform=often_its_own),
    "one of the four": bar(uniform=another_group),
    "exact: all 4 groups": bar(exact=lambda g, n, r: torch.arange(n)),
    "exact: every row": bar(exact=lambda g, n, r: torch.randint(n, (len(g), n), generator=r)),
    "pass generator=rng": bar(uniform=lambda g, n, r: torch.randint(n, g.shape)),
    "nothing is random": bar(
        shuffle=lambda g, n, r: g[torch.randperm(len(g), generator=torch.Generator().manual_seed(1))]
    ),
    "whole numbers": bar(uniform=lambda g, n, r: n * torch.rand(g.shape, generator=r)),
}


@pytest.mark.parametrize("sentence", WRONG_BARS)
def test_a_wrong_way_to_draw_is_told_why(sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_group_bar(WRONG_BARS[sentence])
