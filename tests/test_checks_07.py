"""The checks of lesson 07: right answers in another style pass, each known mistake is told what it is."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from grmu.course import checks


def by_stable_sums(logits, y):
    log_p = logits.log_softmax(1)
    others = torch.stack([row[torch.arange(len(row)) != k].logsumexp(0)
                          for row, k in zip(log_p, y.tolist(), strict=True)])
    return log_p[torch.arange(len(y)), y] - others


def by_roc(seen, never, rate):
    truth = np.r_[np.ones(len(seen)), np.zeros(len(never))]
    false, true, _ = roc_curve(truth, np.r_[seen, never], drop_intermediate=False)
    return true[false <= rate].max()


def test_right_answers_pass(capsys):
    checks.check_logit_confidence(by_stable_sums)
    checks.check_tpr_at_fpr(by_roc)
    assert capsys.readouterr().out.count("\N{CHECK MARK}") == 2


def log_p(logits, y):
    return logits.log_softmax(1).gather(1, y[:, None])[:, 0]


def by_probability(logits, y):
    p = log_p(logits, y).exp()
    return (p / (1 - p)).log()


def by_runner_up(logits, y):
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.gather(1, y[:, None])[:, 0] - others.max(1).values


@pytest.mark.parametrize(("wrong", "sentence"), [
    (log_p, "that is log p;"),
    (lambda logits, y: log_p(logits, y).exp(), "that is p, which ends at 1"),
    (lambda logits, y: -by_stable_sums(logits, y), "the sign is turned"),
    (by_probability, "stay with logits"),
    (by_runner_up, "not the runner-up alone"),
    (lambda logits, y: by_stable_sums(logits, y).mean(), "one number a sample"),
    (lambda logits, y: 2 * by_stable_sums(logits, y), "is expected"),
])
def test_a_wrong_confidence_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_logit_confidence(wrong)


def below(seen, never, rate):
    return by_roc(-seen, -never, rate)


def strictly_less(seen, never, rate):
    thresholds = np.r_[np.unique(np.r_[seen, never]), -np.inf]
    return max([(seen > t).mean() for t in thresholds if (never > t).mean() < rate], default=0.4)


def with_ties(seen, never, rate):
    """As if equal scores could be told apart."""
    order = np.sort(never)[::-1]
    t = order[min(int(rate * len(never)), len(never) - 1)]
    return (
        (seen >= t).mean()
        if (never >= t).mean() > rate and (never == t).sum() > 1
        else by_roc(seen, never, rate)
    )


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda seen, never, rate: 100 * by_roc(seen, never, rate), "from 0 to 1"),
    (lambda seen, never, rate: rate, "the share of the others|0.6 at a rate"),
    (lambda seen, never, rate: (seen > np.sort(never)[-1]).mean(), "0.6 at a rate of 1 %"),
    (below, "0.6 at a rate"),
    (strictly_less, "0.6 at a rate"),
    (lambda seen, never, rate: by_roc(seen, never, max(rate, 0.01)), "without any false positive"),
    (with_ties, "cannot be told apart"),
])
def test_a_wrong_rate_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_tpr_at_fpr(wrong)
