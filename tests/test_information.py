"""Test the bounds of lessons 03 and 04 against `grmu.mine` and against simulated cases."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

from grmu import course
from grmu.course import information
from grmu.mine import MINE, dv_bound


def generator():
    return torch.Generator().manual_seed(0)


def test_gaussian_pairs_have_the_correlation_of_their_information():
    x, y = information.gaussian_pairs(0.5, 100_000, generator())
    rho = torch.corrcoef(torch.cat([x, y], 1).T)[0, 1].item()
    assert -0.5 * math.log(1 - rho**2) == pytest.approx(0.5, abs=0.01)


def test_the_bounds_are_those_of_the_package():
    z, group = torch.randn(2, 20, 3, generator=generator())[0], torch.arange(20) % 4
    network = MINE(3, 4, 8)
    t = network.all_groups(z)
    assert information.exact_bound(t, group).item() == pytest.approx(dv_bound(network, z, group).item())
    own = t.gather(1, group[:, None])[:, 0]
    shuffled = group.roll(1)
    assert information.dv_bound(own, t.gather(1, shuffled[:, None])[:, 0]).item() == pytest.approx(
        dv_bound(network, z, group, shuffled).item(), abs=1e-6)


def test_the_corrected_loss_has_the_gradient_of_minus_m_if_the_average_is_the_batchs_mean():
    joint, marginal = torch.randn(2, 30, generator=generator()).requires_grad_()
    average = marginal.exp().mean()
    plain = torch.autograd.grad(-information.dv_bound(joint, marginal), [joint, marginal], retain_graph=True)
    ours = torch.autograd.grad(information.corrected_loss(joint, marginal, average), [joint, marginal])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain, ours, strict=True))


@pytest.mark.parametrize("how", ["twice", "shuffle", "uniform", "exact"])
def test_mine_approaches_what_each_way_to_draw_bounds(how):
    counts = torch.tensor([4.0, 3, 2, 1])
    group = torch.multinomial(counts, 4000, replacement=True, generator=generator())
    z = one_hot(group, 4) + 0.05 * torch.randn(4000, 4, generator=generator())
    entropy = information.label_entropy(counts).item()
    limit = entropy if how in ("twice", "shuffle") else math.log(4)
    estimate = information.fit_mine(z, group, how, steps=200).bound(z, group).item()
    assert estimate == pytest.approx(limit, abs=0.1)


def test_a_classifier_that_knows_the_class_shows_the_entropy_of_the_class():
    counts = torch.tensor([[30, 10], [40, 20]])
    label = torch.repeat_interleave(torch.tensor([0, 1]), counts.sum(1))
    sure = torch.where(one_hot(label, 2).bool(), 0.0, -20.0)
    assert information.classifier_bound(sure, label).item() == pytest.approx(
        information.class_entropy(counts).item())


def test_the_lesson_uses_the_students_function_once_it_is_written(capsys):
    def stub(x):
        raise NotImplementedError

    assert course.or_ours(stub, abs) is abs
    assert course.or_ours(generator, abs) is generator
    assert capsys.readouterr().out == (
        "`stub` is not finished yet, so the lesson goes on with the course's version.\n"
        "The lesson goes on with your `generator`.\n")
