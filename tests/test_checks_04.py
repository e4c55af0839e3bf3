"""The exercises' checks of lesson 04: right answers pass, every known wrong one is told why, in a
sentence."""

import math

import numpy as np
import pytest
import torch
from exercises import check

from grmu.course import checks


def entropy(counts):
    share = counts[counts > 0] / counts.sum()
    return -(share * share.log()).sum()


# Right answers, written differently


def needed_by_differences(counts):
    rows = np.asarray(counts, dtype=float).sum(1)
    rows = rows[rows > 0]
    return math.log(rows.sum()) - (rows * np.log(rows)).sum() / rows.sum()


def bound_by_ratios(log_p, label):
    share = torch.bincount(label, minlength=log_p.shape[1]) / len(label)
    return float(sum(log_p[i, g] - share[g].log() for i, g in enumerate(label)) / len(label))


@pytest.mark.parametrize(("name", "function"), [("needed_nats", needed_by_differences),
                                                ("classifier_bound", bound_by_ratios)])
def test_another_right_answer_passes(name, function):
    check(name, function)


# Wrong answers


def with_zero_times_log_zero(counts):
    share = counts.sum(1) / counts.sum()
    return -(share * share.log()).sum()


WRONG_NEEDS = {
    "add up each row": lambda c: entropy(c.sum(0)),
    r"that is H\(G\)": lambda c: entropy(c.flatten()),
    "log of the number of classes": lambda c: math.log(len(c)),
    "in bits": lambda c: entropy(c.sum(1)) / math.log(2),
    "once the attribute is known": lambda c: entropy(c.flatten()) - entropy(c.sum(0)),
    "once the class is known": lambda c: entropy(c.flatten()) - entropy(c.sum(1)),
    "sign is turned round": lambda c: -entropy(c.sum(1)),
    "leave it out": with_zero_times_log_zero,
    "must change nothing": lambda c: entropy(c.sum(1).clamp(min=1)),
    "have an entropy of": lambda c: entropy(c.sum(1) + 10),
    "should return one number": lambda c: c.sum(1),
}


@pytest.mark.parametrize("sentence", WRONG_NEEDS)
def test_a_wrong_need_is_told_why(sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_needed_nats(WRONG_NEEDS[sentence])


def own(log_p, label):
    return log_p.gather(1, label[:, None])


def labels(label):
    return entropy(label.bincount().float())


WRONG_BOUNDS = {
    "you took log n": lambda p, g: math.log(p.shape[1]) + own(p, g).mean(),
    "number of labels seen": lambda p, g: math.log(len(g.unique())) + own(p, g).mean(),
    "that is the cross-entropy": lambda p, g: -own(p, g).mean(),
    "minus the cross-entropy": lambda p, g: own(p, g).mean(),
    "sign is turned round": lambda p, g: -own(p, g).mean() - labels(g),
    "in bits": lambda p, g: (labels(g) + own(p, g).mean()) / math.log(2),
    r"is a \*mean\*": lambda p, g: labels(g) + own(p, g).sum(),
    "its .logarithm. is needed": lambda p, g: labels(g) + own(p, g).exp().mean(),
    "averaged over all labels": lambda p, g: labels(g) + p.mean(),
    "what the classifier predicts": lambda p, g: entropy(p.exp().mean(0)) + own(p, g).mean(),
    "nan: a label that is absent": lambda p, g: own(p, g).mean() + with_zero_times_log_zero(
        g.bincount(minlength=p.shape[1])[:, None].float()),
    "minus cross-entropy": lambda p, g: labels(g) + own(p, g).median(),
}


@pytest.mark.parametrize("sentence", WRONG_BOUNDS)
def test_a_wrong_bound_is_told_why(sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_classifier_bound(WRONG_BOUNDS[sentence])
