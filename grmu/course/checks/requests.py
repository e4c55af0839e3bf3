"""A request arrives: how few trainings serve everybody in time, and what an audit lets one promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grmu.course.checks.common import call, expect, number, passed


def check_fewest_trainings(function: Callable[..., Any]) -> None:
    """`function(days, wait)`: the least number of trainings so that nobody waits more than `wait` days.

    `days`, in any order, is when requests came. A training serves all who asked until its day, that day
    included.
    """

    def trainings(days: list[int], wait: int) -> float:
        return number(function, list(days), wait)

    expect(trainings([3, 3, 3], 30) == 1, "three people of one day are served by one training.")
    expect(trainings([], 30) == 0, "nobody asked: no training is needed.")
    expect(trainings([5], 30) == 1,
           "one person is one training, though no time passes between first and last.")
    expect(trainings([0, 30], 30) == 1,
           "who asks on day 0 can wait until day 30; who asks on day 30 is served at once: one training.")
    expect(trainings([0, 31], 30) == 2, "who asks on day 0 cannot wait for day 31: two trainings.")
    expect(trainings([29, 31], 30) == 1,
           "requests of days 29 and 31 can share a training: months do not begin at day 0, but when someone "
           "asks.")
    expect(trainings([0, 35, 64], 30) == 2,
           "after the training on day 30 nobody waits until day 35 asks; a training on day 65 serves days 35 "
           "and 64: two.")
    expect(trainings([40, 0, 45, 20], 30) == 2, "days come in any order: put them in order first.")
    expect(trainings([1, 2, 2], 0) == 2, "with no day to wait, every day with a request needs a training.")
    passed("as few trainings as the deadline allows")


Bounds = tuple[float, float]
# retrained, forgotten, controls, the answer, and what it teaches
CASES: tuple[tuple[bool, Bounds | None, list[Bounds], str, str], ...] = (
    (False, (0.45, 0.55), [(0.60, 0.70)], "passed", "the forgotten are not detected, but the control is"),
    (False, (0.45, 0.55), [(0.48, 0.56)], "cannot tell",
     "the attack does not detect members who are in the model, so a miss on the forgotten says nothing"),
    (False, (0.45, 0.55), [], "cannot tell", "without a control, nobody knows what the attack can detect"),
    (False, (0.45, 0.55), [(0.60, 0.70), (0.49, 0.60)], "cannot tell", "every control must be detected"),
    (False, None, [(0.60, 0.70)], "cannot tell", "nobody attacked the forgotten: there is no evidence"),
    (False, (0.52, 0.60), [(0.60, 0.70)], "detected", "the whole interval lies above chance"),
    (False, (0.52, 0.60), [(0.45, 0.55)], "detected",
     "a control that is not detected does not undo the detection of the forgotten"),
    (False, (0.50, 0.58), [(0.60, 0.70)], "passed", "an interval that begins at 0.5 is not above chance"),
    (True, None, [], "exact", "a retrained model needs no attack to say how it was made"),
    (True, (0.52, 0.60), [(0.60, 0.70)], "exact",
     "a retrained model was not computed from their data, even if the attack detects others like them"))


def check_promise(function: Callable[..., Any]) -> None:
    """Check `function(retrained, forgotten, controls)`: "exact", "detected", "passed" or "cannot tell".

    Its arguments: was the model retrained without the forgotten people; the interval (low, high) of an
    attack's AUC on them, or None; and a list of such intervals, of people who must be detected.
    """
    for retrained, forgotten, controls, right, why in CASES:
        word = call(function, retrained, forgotten, list(controls))
        expect(word == right,
               f"promise({retrained}, {forgotten}, {controls}) is {right!r}, not {word!r}: {why}.")
    passed("a promise no larger than its evidence")
