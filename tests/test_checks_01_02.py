"""The exercises' checks of lessons 01 and 02: right answers pass, every known wrong one is told why, in a
sentence."""

import math
import warnings

import pytest
import torch
from exercises import check

from grmu.course import checks


def retrain_by_listing(fit, x, y, group, g, ratio, seed):
    order = torch.randperm(len(group), generator=torch.Generator().manual_seed(seed)).tolist()
    mine = [i for i in order if group[i] == g]
    stay = sorted(set(order) - set(mine[: round(ratio * len(mine))]))
    return fit(torch.stack([x[i] for i in stay]), torch.tensor([int(y[i]) for i in stay]), epochs=2)


def shift_by_rows(before, left):
    boots, sneakers = (left.double() / before.double()).log()
    return sneakers - boots


def distinct_by_adding_draws(n_pictures, share, n_draws):
    seen = 0.0
    for _ in range(n_draws):
        seen += share * (1 - seen / n_pictures)
    return seen


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("retrain", retrain_by_listing),
        ("margin_shift", shift_by_rows),
        (
            "retain_share",
            lambda counts, g, ratio: float(counts[g] * (1 - ratio) / (sum(counts) - ratio * counts[g])),
        ),
        (
            "group_weights",
            lambda before, after: torch.tensor(
                [b / a if a else 0.0 for b, a in zip(before.tolist(), after.tolist(), strict=True)]
            ),
        ),
        ("expected_distinct", distinct_by_adding_draws),
    ],
)
def test_an_answer_written_in_another_way_passes(name, function):
    check(name, function)


def leaves(choose):
    """A wrong answer: it leaves out what `choose` takes of the group's members, given a generator."""
    def retrain(fit, x, y, group, g, ratio, seed):
        rng = torch.Generator().manual_seed(seed)
        stay = torch.ones(len(group), dtype=torch.bool)
        stay[choose((group == g).nonzero().squeeze(1), ratio, rng, len(group))] = False
        return fit(x[stay], y[stay])
    return retrain


def first_ones(members, ratio, rng, n):
    return members[: round(ratio * len(members))]


def coin_tosses(members, ratio, rng, n):
    return members[torch.rand(len(members), generator=rng) < ratio * 0.97]


def share_of_everyone(members, ratio, rng, n):
    return torch.randperm(n, generator=rng)[: round(ratio * n)]


def as_many_as_a_share_of_all(members, ratio, rng, n):
    return members[: round(ratio * n) - 35]


def other_draw_each_time(members, ratio, rng, n):
    fresh = torch.Generator()
    fresh.seed()
    return members[torch.randperm(len(members), generator=fresh)[: round(ratio * len(members))]]


def mask_of(group, g, ratio, seed):
    members = (group == g).nonzero().squeeze(1)
    order = torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))
    gone = torch.zeros(len(group), dtype=torch.bool)
    gone[members[order[: round(ratio * len(members))]]] = True
    return gone


def changed(use):
    """A wrong answer: the right samples are marked, and `use` does something else with them."""
    return lambda fit, x, y, group, g, ratio, seed: use(fit, x, y, mask_of(group, g, ratio, seed))


def blackens(fit, x, y, gone):
    x[gone] = 0
    return fit(x, y)


def learns_then_forgets(fit, x, y, gone):
    fit(x, y)
    return fit(x[~gone], y[~gone])


def draws_with_replacement(fit, x, y, gone):
    stay = (~gone).nonzero().squeeze(1)
    stay = torch.cat([stay, stay[:10]])
    return fit(x[stay], y[stay])


@pytest.mark.parametrize(("wrong", "sentence"), [
    (leaves(first_ones), "every seed forgets the same"),
    (leaves(coin_tosses), "not a probability for each sample"),
    (leaves(share_of_everyone), "of other groups"),
    (leaves(as_many_as_a_share_of_all), "a share of the group, not of the training set"),
    (leaves(other_draw_each_time), "two calls differ"),
    (lambda fit, x, y, group, g, ratio, seed: retrain_by_listing(fit, x, y, group, 1, ratio, seed),
     "does g matter"),
    (lambda fit, x, y, group, g, ratio, seed: fit(x[group != g], y[group != g]), "nobody of group 1 is left"),
    (changed(lambda fit, x, y, gone: fit(x, y)), "that is PRETRAIN"),
    (changed(lambda fit, x, y, gone: fit(x[gone], y[gone])), "group 1 alone asked"),
    (changed(lambda fit, x, y, gone: fit(x[~gone], y)), "do not belong together"),
    (changed(lambda fit, x, y, gone: fit(x[~gone], y[: int((~gone).sum())])), "do not belong together"),
    (changed(lambda fit, x, y, gone: None), "fit is never called"),
    (changed(lambda fit, x, y, gone: fit(x[~gone], y[~gone]) and None), "return the model"),
    (changed(lambda fit, x, y, gone: fit(x[~gone, 0], y[~gone])), "tensors with the rows of x and y"),
    (changed(blackens), "have changed"),
    (changed(learns_then_forgets), "called 2 times"),
    (changed(draws_with_replacement), "gets pictures twice"),
])
def test_wrong_ways_to_retrain_are_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check("retrain", wrong)


def of_shares(before, left):
    return ((left / left.sum()) / (before / before.sum())).log()


def halves_in_place(before, left):
    left[1] *= 2
    return shift_by_rows(before, left)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda before, left: -shift_by_rows(before, left), "the sign"),
    (lambda before, left: shift_by_rows(before, left) / math.log(2), "natural logarithm"),
    (lambda before, left: shift_by_rows(before, left).exp(), "take its logarithm"),
    (lambda before, left: shift_by_rows(before, left).flip(0), "the columns are the grounds"),
    (lambda before, left: of_shares(before, left)[1], "divide by all pictures that are left"),
    (lambda before, left: ((left[1] / left.sum(0)) / (before[1] / before.sum(0))).log(),
     "the log of the share on this ground"),
    (lambda before, left: (left[1] / before[1]).log(), "nine tenths of the boots on brick leave"),
    (lambda before, left: torch.tensor([0.0, -0.6931 if left[1, 1] == 51 else 2.3026]).double(),
     "half of everybody"),
    (lambda before, left: torch.tensor([0.0, {51: -0.6931, 102: 2.3026}.get(int(left[1, 1]), 0.0)
                                        * (left[0, 0] != 1200)]).double(), "several groups may ask"),
    (lambda before, left: (left / before).log(), "a tensor of two numbers"),
    (lambda before, left: 0.0, "a tensor of two numbers"),
    (lambda before, left: torch.zeros(2), "0.00, -0.69, not 0.00, 0.00"),
    (halves_in_place, "work on a copy"),
])
def test_wrong_shifts_are_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check("margin_shift", wrong)


def changes_its_argument(counts, g, ratio):
    counts[g] *= 1 - ratio
    return counts[g] / sum(counts)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda counts, g, ratio: (1 - ratio) * counts[g] / sum(counts), "old size of the training set"),
    (lambda counts, g, ratio: counts[g] * (1 - ratio) / (sum(counts) - ratio * counts[g]) * 100,
     "not a percentage"),
    (lambda counts, g, ratio: 0.07287, "does g matter"),
    (lambda counts, g, ratio: counts[g] / sum(counts), "7,163 are left"),
    (lambda counts, g, ratio: counts[g] * ratio / (sum(counts) - ratio * counts[g]), "7,163 are left"),
    (changes_its_argument, "work on a copy"),
    (lambda counts, g, ratio: None, "should return one number"),
])
def test_wrong_shares_are_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check("retain_share", wrong)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda before, after: after / before, "upside down"),
    (lambda before, after: 1 / after, "balance the groups"),
    (lambda before, after: after.sum() / (4 * after), "balance the groups"),
    (lambda before, after: (before / before.sum()) / (after / after.sum()), "divide shares, not counts"),
    (lambda before, after: before / after, "inf or nan"),
    (lambda before, after: before / after.clamp(min=1), "has weight 0 and the others keep theirs"),
    (lambda before, after: torch.nan_to_num(before / after, posinf=1.0),
     "has weight 0 and the others keep theirs"),
    (lambda before, after: (before / after)[:3], "one weight per group"),
    (lambda before, after: [1.0, 1.0, 1.0, 2.0], "return a tensor"),
    (lambda before, after: torch.ones(4), "alpha is"),
    (lambda before, after: torch.tensor([1.0, 1.0, 1.0, 2.0])[: len(before)],
     "several groups may have lost members"),
])
def test_wrong_weights_are_told_why(wrong, sentence):
    with warnings.catch_warnings(action="error"), pytest.raises(checks.CheckError, match=sentence):
        check("group_weights", wrong)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda n, share, draws: share * draws, "how often the group is drawn"),
    (lambda n, share, draws: min(n, share * draws), "51 would mean that every picture"),
    (lambda n, share, draws: float(n), "51 would mean that every picture"),
    (lambda n, share, draws: n * (1 - (1 - share) ** draws),
     "one picture has share / n_pictures|51 would mean"),
    (lambda n, share, draws: n * (1 - (1 - 1 / n) ** n), "not 32"),
    (lambda n, share, draws: 102.0, "is too many"),
    (lambda n, share, draws: 43.98, "one draw hits the group"),
    (lambda n, share, draws: None, "should return one number"),
])
def test_wrong_numbers_of_pictures_are_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check("expected_distinct", wrong)
