"""The checks of lesson 08: right answers in another style pass, each known mistake is told what it is."""

import re

import pytest
import torch

from grmu.course import checks

WORDS = {"no", "never", "nobody", "nothing"}


def by_nan(z, ids):
    return torch.where((ids != 0)[:, :, None], z, torch.nan).nanmean(1)


def by_loop(z, ids):
    return torch.stack([vectors[numbers > 0].mean(0) for vectors, numbers in zip(z, ids, strict=True)])


def by_pattern(sentence):
    return re.search(r"\b(no|never|nobody|nothing)\b", sentence.lower()) is not None


def by_split(sentence):
    return any(word.strip(".,;!?").lower() in WORDS for word in sentence.split())


@pytest.mark.parametrize("right", [by_nan, by_loop])
def test_right_means_pass(right, capsys):
    checks.check_masked_mean(right)
    assert capsys.readouterr().out.startswith("\N{CHECK MARK}")


@pytest.mark.parametrize("right", [by_pattern, by_split])
def test_right_attributes_pass(right, capsys):
    checks.check_has_negation(right)
    assert capsys.readouterr().out.startswith("\N{CHECK MARK}")


def real(ids):
    return (ids != 0).float()[:, :, None]


def in_place(z, ids):
    z *= real(ids)
    return z.sum(1) / real(ids).sum(1)


def by_last_two(z, ids):
    """As if padding could only be in the last two places."""
    return (z * real(ids)).sum(1) / (ids.shape[1] - (ids[:, -2:] == 0).sum(1, keepdim=True))


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda z, ids: z.mean(1), "the padding counts"),
    (lambda z, ids: (z * real(ids)).mean(1), "still counted"),
    (lambda z, ids: (z * real(ids)).sum(1), "that is the sum"),
    (lambda z, ids: (z * real(ids)).sum(1) / real(ids).sum(1).mean(), "its own number of words"),
    (lambda z, ids: by_loop(z, ids).mean(0), r"\(B, d\)"),
    (lambda z, ids: z[:, 0], "is expected"),
    (in_place, "have changed"),
    (lambda z, ids: by_loop(z.detach(), ids), "gradients must flow"),
    (by_last_two, "must change nothing"),
])
def test_a_wrong_mean_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_masked_mean(wrong)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda s: any(word in s for word in WORDS), "compare words, not letters"),
    (lambda s: "no" in s.split(), "is a negation word too"),
    (lambda s: any(f" {word} " in f" {s} " for word in WORDS), "capitals"),
    (lambda s: not WORDS.isdisjoint(s.lower().split()), "punctuation"),
    (lambda s: WORDS & set(s.split()), "True or False"),
    (lambda s: False, "has the word 'no'"),
    (lambda s: True, "no negation word"),
    (lambda s: by_pattern(s) or "body" in s, "'somebody'"),
])
def test_a_wrong_attribute_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_has_negation(wrong)
