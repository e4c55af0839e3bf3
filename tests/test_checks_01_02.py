"""The exercises' checks of lessons 01 and 02: right answers pass, every known wrong one is told why, in a
sentence."""

import warnings

import pytest
import torch
from exercises import check

from grmu.teach import checks


def mask_by_permuting_everyone(group, g, ratio, seed):
    order = torch.randperm(len(group), generator=torch.Generator().manual_seed(seed))
    mine = [int(i) for i in order if group[i] == g]
    chosen = set(mine[: round(ratio * len(mine))])
    return torch.tensor([i in chosen for i in range(len(group))])


def distinct_by_adding_draws(n_pictures, share, n_draws):
    seen = 0.0
    for _ in range(n_draws):
        seen += share * (1 - seen / n_pictures)
    return seen


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("forget_mask", mask_by_permuting_everyone),
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


def mask(choose):
    """A wrong answer: what `choose` does with the members of the group, given a generator."""
    def forget_mask(group, g, ratio, seed):
        rng = torch.Generator().manual_seed(seed)
        marked = torch.zeros(len(group), dtype=torch.bool)
        marked[choose((group == g).nonzero().squeeze(1), ratio, rng, len(group))] = True
        return marked
    return forget_mask


def first_ones(members, ratio, rng, n):
    return members[: round(ratio * len(members))]


def coin_tosses(members, ratio, rng, n):
    return members[torch.rand(len(members), generator=rng) < ratio * 0.97]


def share_of_everyone(members, ratio, rng, n):
    return torch.randperm(n, generator=rng)[: round(ratio * n)]


def as_many_as_a_share_of_all(members, ratio, rng, n):
    return members[: round(ratio * n)]


def other_draw_each_time(members, ratio, rng, n):
    fresh = torch.Generator()
    fresh.seed()
    return members[torch.randperm(len(members), generator=fresh)[: round(ratio * len(members))]]


def global_seed(group, g, ratio, seed):
    torch.manual_seed(seed)
    members = (group == g).nonzero().squeeze(1)
    marked = torch.zeros(len(group), dtype=torch.bool)
    marked[members[torch.randperm(len(members))[: round(ratio * len(members))]]] = True
    return marked


@pytest.mark.parametrize(("wrong", "sentence"), [
    (mask(first_ones), "every seed gives the same"),
    (mask(coin_tosses), "not a probability for each sample"),
    (mask(share_of_everyone), "samples of other groups are marked"),
    (mask(as_many_as_a_share_of_all), "a share of the group, not of the training set"),
    (mask(other_draw_each_time), "two calls differ"),
    (global_seed, "global random state has changed"),
    (lambda group, g, ratio, seed: mask_by_permuting_everyone(group, 1, ratio, seed), "does g matter"),
    (lambda group, g, ratio, seed: ~mask_by_permuting_everyone(group, g, ratio, seed),
     "samples of other groups are marked"),
    (lambda group, g, ratio, seed: torch.zeros(len(group), dtype=torch.bool), "nothing is marked"),
    (lambda group, g, ratio, seed: mask_by_permuting_everyone(group, g, ratio, seed).nonzero().squeeze(1),
     "Boolean tensor"),
    (lambda group, g, ratio, seed: None, "Boolean tensor"),
])
def test_wrong_forget_masks_are_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check("forget_mask", wrong)


def test_checking_a_mask_leaves_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    check("forget_mask", mask_by_permuting_everyone)
    assert torch.equal(before, torch.random.get_rng_state())


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
