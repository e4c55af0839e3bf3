"""The checks of lesson 09: right answers in another style pass, each known mistake is told what it is."""

import math

import pytest
import torch

from grmu.course import checks


def by_where(predicted, y):
    return torch.where(predicted == y, 2 * y, 2 * y + 1)


def by_sum(share, k, sure):
    n = k
    while 1 - sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k)) < sure:
        n += 1
    return n


def by_expectation(share, k, sure):
    return math.ceil(k / share)


def test_right_answers_pass(capsys):
    checks.check_error_groups(by_where)
    checks.check_labels_needed(by_sum)
    assert capsys.readouterr().out.count("\N{CHECK MARK}") == 2


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda predicted, y: (predicted != y).long(), "two groups"),
    (lambda predicted, y: predicted != y, "whole numbers"),
    (lambda predicted, y: 2 * predicted + (predicted != y), "the one that was predicted"),
    (lambda predicted, y: 2 * y + (predicted == y), "not where it is right"),
    (lambda predicted, y: by_where(predicted, y).float(), "whole numbers"),
    (lambda predicted, y: y + (predicted != y), "is expected"),
    (lambda predicted, y: by_where(predicted, y).sum(), "one group a sample"),
])
def test_wrong_groups_are_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_error_groups(wrong)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (by_expectation, "on average"),
    (lambda share, k, sure: float(by_sum(share, k, sure)), "whole number"),
    (lambda share, k, sure: by_sum(share, k, sure) + 1, "shows heads half of the time"),
    (lambda share, k, sure: by_sum(share, 1, sure), "five of a group"),
])
def test_a_wrong_number_of_labels_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_labels_needed(wrong)
