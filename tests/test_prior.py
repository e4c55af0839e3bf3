"""Test the shifted prior on Gaussian data, where every posterior is known."""

import math

import pytest
import torch
from conftest import toy
from torch.nn.functional import log_softmax

from grmu import prior
from grmu.data import split_forget

SHAPES = [(2, 2), (2, 5), (4, 3), (7, 1), (3, 2)]  # classes and attributes


class World:
    """A distribution x ~ N(means[y, a], I) in two dimensions, with a prior over groups (y, a)."""

    def __init__(self, n_classes, n_attributes, seed=0):
        rng = torch.Generator().manual_seed(seed)
        self.rng, self.shape = rng, (n_classes, n_attributes)
        self.means = 1.5 * torch.randn(*self.shape, 2, generator=rng).double()
        prior = torch.rand(self.shape, generator=rng).double() + 0.05
        self.prior = prior / prior.sum()
        self.r = 0.98 * torch.rand(self.shape, generator=rng).double()  # all groups lose another share
        self.x = 2 * torch.randn(200, 2, generator=rng).double()

    def joint(self, x, kept=1.0):
        """Return (N, n_classes, n_attributes) p(y, a | x) if the share `kept` of each group remains."""
        density = torch.exp(-((x[:, None, None] - self.means) ** 2).sum(-1) / 2) / (2 * math.pi)
        joint = density * self.prior * kept
        return joint / joint.sum((1, 2), keepdim=True)

    def answers(self, x, kept=1.0):
        """Return log p(y | x) and p(a | x, y)."""
        joint = self.joint(x, kept)
        return joint.sum(2).log(), joint / joint.sum(2, keepdim=True)

    def draw(self, n, kept=1.0):
        """Draw n samples x, y, a."""
        weights = (self.prior * kept).flatten()
        group = torch.multinomial(weights, n, replacement=True, generator=self.rng)
        x = self.means.flatten(0, 1)[group] + torch.randn(n, 2, generator=self.rng).double()
        return x, group // self.shape[1], group % self.shape[1]


@pytest.fixture(params=range(len(SHAPES)), ids=lambda i: "x".join(map(str, SHAPES[i])))
def world(request):
    """Distributions of several shapes."""
    return World(*SHAPES[request.param], request.param)


# --- the shift ----------------------------------------------------------------------------------------------


def test_the_shift_of_the_full_populations_posterior_is_the_retained_populations(world):
    full, retained = world.answers(world.x), world.answers(world.x, 1 - world.r)
    actual = log_softmax(prior.predict_shift(*full, world.r), 1)
    torch.testing.assert_close(actual, retained[0], atol=1e-9, rtol=0)
    assert (actual - full[0]).abs().max() > 0.05  # there is something to predict
    single = prior.predict_shift(full[0].float(), full[1].float(), world.r)  # as a network has it
    torch.testing.assert_close(log_softmax(single, 1).double(), retained[0], atol=1e-4, rtol=0)


def test_undoing_takes_the_attribute_of_the_retained_population(world):
    full, retained = world.answers(world.x), world.answers(world.x, 1 - world.r)
    actual = log_softmax(prior.undo_shift(*retained, world.r), 1)
    torch.testing.assert_close(actual, full[0], atol=1e-9, rtol=0)
    if world.shape[1] > 1:  # whose p(a | x, y) it is matters
        wrong = log_softmax(prior.undo_shift(retained[0], full[1], world.r), 1)
        assert (wrong - full[0]).abs().max() > 0.05


def test_there_and_back_the_logits_are_the_same_to_their_constants(world):
    logits = world.answers(world.x)[0] + torch.randn(200, 1, generator=world.rng)  # of any sum
    p_attribute = torch.rand(200, *world.shape, generator=world.rng).double().softmax(2)  # of no world
    shifted, p_shifted = prior.change_prior(logits, p_attribute, 1 - world.r)
    torch.testing.assert_close(shifted, prior.predict_shift(logits, p_attribute, world.r))
    torch.testing.assert_close(prior.undo_shift(shifted, p_shifted, world.r), logits, atol=1e-9, rtol=0)
    again = prior.change_prior(shifted, p_shifted, 1 / (1 - world.r))[1]
    torch.testing.assert_close(again, p_attribute, atol=1e-9, rtol=0)


def test_where_the_attribute_shows_a_logit_falls_by_log_one_over_what_stays_and_small_margins_flip():
    margins = torch.tensor([0.1, math.log(2) - 0.01, math.log(2) + 0.01, 3.0])
    logits = torch.stack([torch.zeros(4), margins], 1)
    r = torch.tensor([[0.0, 0.0], [0.0, 0.5]])
    shows = torch.tensor([0.0, 1.0]).expand(4, 2, 2)
    actual = prior.predict_shift(logits, shows, r)
    torch.testing.assert_close(actual - logits, torch.tensor([0.0, -math.log(2)]).expand(4, 2))
    assert actual.argmax(1).tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(prior.predict_shift(logits, shows.flip(2), r), logits)  # the other one shows


def test_the_shares_forgotten_are_those_of_the_split():
    train = toy([[40, 20], [20, 12]])
    split = split_forget(train, 0.5, [(1, 1), (0, 1)])
    counts = [part.group_counts().view(2, 2) for part in (train, split.retain)]
    torch.testing.assert_close(prior.shares_forgotten(*counts).float(), torch.tensor([[0, 0.5], [0, 0.5]]))
    assert prior.shares_forgotten(torch.tensor([[0, 4]]), torch.tensor([[0, 0]])).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match=r"cannot retain \[3.0\] of \[2.0\] samples"):
        prior.shares_forgotten(torch.tensor([2]), torch.tensor([3]))
    with pytest.raises(ValueError, match="the same shape"):
        prior.shares_forgotten(torch.ones(2), torch.ones(2, 2))


# --- the attribute head -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 4)])
def test_a_fitted_head_knows_the_attribute_as_bayes_does(shape):
    world = World(*shape, seed=3)
    kept = 1 - world.r
    head, visibility = prior.attribute_head(*world.draw(40_000, kept), *shape)
    x, y, _ = world.draw(2_000, kept)
    true, actual = (p[torch.arange(len(y)), y] for p in (world.answers(x, kept)[1], head(x)))
    others = world.answers(x)[1][torch.arange(len(y)), y]  # of the full population
    assert (actual - true).abs().mean() < 0.01 < 0.015 < (others - true).abs().mean()
    assert visibility.chance == pytest.approx(1 / shape[1])
    assert visibility.seen


def test_the_whole_chain_brings_the_full_populations_posterior_back():
    world = World(2, 2, seed=5)
    world.r = torch.tensor([[0.0, 0.3], [0.0, 0.9]]).double()
    kept = 1 - world.r
    head, _ = prior.attribute_head(*world.draw(40_000, kept), 2, 2)
    x = world.draw(2_000)[0]
    (full, _), (retained, _) = world.answers(x), world.answers(x, kept)
    actual = log_softmax(prior.undo_shift(retained, head(x), world.r), 1)
    before, after = ((v.exp() - full.exp()).abs().mean() for v in (retained, actual))
    assert after < 0.01 < 0.05 < before


def test_features_that_do_not_show_the_attribute_are_told_by_their_accuracy():
    rng = torch.Generator().manual_seed(0)
    y, a = torch.randint(2, (2, 2000), generator=rng)
    a = a * (torch.rand(2000, generator=rng) < 0.2)  # one in ten: whoever says 0 is right nine times in ten
    blind = torch.randn(2000, 3, generator=rng) + y[:, None]
    head, visibility = prior.attribute_head(blind, y, a, 2, 2)
    assert not visibility.seen
    assert visibility.accuracy == pytest.approx(0.5, abs=3 * visibility.error)
    torch.testing.assert_close(head(blind)[:, :, 1].mean(0), torch.tensor([0.1, 0.1]), atol=0.03, rtol=0)
    head, visibility = prior.attribute_head(blind + 4 * a[:, None], y, a, 2, 2)
    assert visibility.seen
    assert visibility.accuracy > 0.95


# --- calibration --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_of_a_known_posterior_is_found(true):
    world = World(3, 2)
    x, y, _ = world.draw(20_000)
    assert prior.temperature(world.answers(x)[0].float() * true, y) == pytest.approx(true, rel=0.05)


def test_a_shifted_prior_is_taken_for_overconfidence_unless_samples_are_weighted_to_it():
    world = World(2, 2, seed=5)
    world.r = torch.tensor([[0.0, 0.3], [0.0, 0.97]]).double()
    x, y, a = world.draw(20_000)  # validation samples of the full population
    retained = world.answers(x, 1 - world.r)[0]
    assert prior.temperature(retained, y) > 1.2
    assert prior.temperature(retained, y, (1 - world.r)[y, a]) == pytest.approx(1, abs=0.05)


