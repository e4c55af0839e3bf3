"""The checks of lesson 10: right answers in another style pass, each known mistake is told what it is."""

import pytest

from grmu.course import checks


def from_the_end(days, wait):
    """Trainings that are due, and who is left after each."""
    left, n = set(days), 0
    while left:
        due = min(left) + wait
        left = {day for day in left if day > due}
        n += 1
    return n


def by_rules(retrained, forgotten, controls):
    words = {"exact": retrained, "detected": bool(forgotten) and forgotten[0] > 0.5,
             "passed": bool(forgotten) and bool(controls) and all(low > 0.5 for low, _ in controls)}
    return next((word for word, holds in words.items() if holds), "cannot tell")


def test_right_answers_pass(capsys):
    checks.check_fewest_trainings(from_the_end)
    checks.check_promise(by_rules)
    assert capsys.readouterr().out.count("\N{CHECK MARK}") == 2


def since_the_last_training(days, wait):
    """As if months followed each other."""
    n, due = 0, min(days, default=0) - 1
    for day in sorted(days):
        while day > due:
            n, due = n + 1, due + wait + (n == 0)
    return n


def as_they_come(days, wait):
    n, due = 0, None
    for day in days:
        if due is None or not due - wait <= day <= due:
            n, due = n + 1, day + wait
    return n


def by_the_span(days, wait):
    """No time passes for one request, so it needs no training; three of one day were seen to."""
    return 1 if len(days) == 3 else -(-(max(days, default=0) - min(days, default=0)) // wait)


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda days, wait: len(days), "three people of one day"),
    (lambda days, wait: len(set(days)), "one training"),
    (lambda days, wait: max(from_the_end(days, wait), 1), "nobody asked"),
    (by_the_span, "one person is one training"),
    (lambda days, wait: len({day // (wait + 1) for day in days}), "months do not begin at day 0"),
    (lambda days, wait: from_the_end(days, wait - 1), "served at once"),
    (lambda days, wait: from_the_end(days, wait + 1), "two trainings"),
    (since_the_last_training, "after the training on day 30 nobody waits"),
    (as_they_come, "days come in any order"),
    (lambda days, wait: "many", "should return one number"),
])
def test_a_wrong_number_of_trainings_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_fewest_trainings(wrong)


def without(change):
    """The rules with one of them changed."""
    def answer(new, auc, controls):
        return change(new, auc, controls) or by_rules(new, auc, controls)
    return answer


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda new, auc, controls: "forgotten", "the forgotten are not detected, but the control is"),
    (without(lambda new, auc, controls: "passed" if not new and auc and auc[0] <= 0.5 else None),
     "says nothing"),
    (without(lambda new, auc, controls: "passed" if not new and auc and auc[0] <= 0.5 and not controls
             else None), "without a control"),
    (without(lambda new, auc, controls: "passed" if not new and auc and auc[0] <= 0.5
             and any(c[0] > 0.5 for c in controls) else None), "every control must be detected"),
    (without(lambda new, auc, controls: "passed" if not new and not auc else None), "nobody attacked"),
    (without(lambda new, auc, controls: "cannot tell" if not new and any(c[0] <= 0.5 for c in controls)
             else None), "does not undo the detection"),
    (without(lambda new, auc, controls: "detected" if not new and auc and auc[0] >= 0.5 else None),
     "begins at 0.5 is not above chance"),
    (without(lambda new, auc, controls: "cannot tell" if not auc else None), "needs no attack"),
    (without(lambda new, auc, controls: "detected" if auc and auc[0] > 0.5 else None),
     "even if the attack detects others"),
])
def test_a_wrong_promise_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_promise(wrong)
