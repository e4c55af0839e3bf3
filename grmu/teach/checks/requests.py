"""A request arrives: how few trainings serve everybody in time, and what an audit lets one promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grmu.teach.checks.common import call, expect, number, passed


def check_fewest_trainings(function: Callable[..., Any]) -> None:
    """`function(days, wait)`: the least number of trainings so that nobody waits more than `wait` days.

    `days`, in any order, is when requests came. A training serves all who asked until its day, that day
    included.
    """

    def found(days: list[int], wait: int) -> float:
        return number(function, list(days), wait)

    expect(found([3, 3, 3], 30) == 1, "three people of one day are served by one training.")
    expect(found([], 30) == 0, "nobody asked: no training is needed.")
    expect(found([5], 30) == 1, "one person is one training, though no time passes between first and last.")
    expect(found([0, 30], 30) == 1,
           "who asks on day 0 can wait until day 30; who asks on day 30 is served at once: one training.")
    expect(found([0, 31], 30) == 2, "who asks on day 0 cannot wait for day 31: two trainings.")
    expect(found([29, 31], 30) == 1,
           "requests of days 29 and 31 can share a training: months do not begin at day 0, but when someone "
           "asks.")
    expect(found([0, 35, 64], 30) == 2,
           "after the training on day 30 nobody waits until day 35 asks; a training on day 65 serves days 35 "
           "and 64: two.")
    expect(found([40, 0, 45, 20], 30) == 2, "days come in any order: put them in order first.")
    expect(found([1, 2, 2], 0) == 2, "with no day to wait, every day with a request needs a training.")
    passed("as few trainings as the deadline allows")


Bounds = tuple[float, float]
# anew, found, controls, the answer, and what it teaches
CASES: tuple[tuple[bool, Bounds | None, list[Bounds], str, str], ...] = (
    (False, (0.45, 0.55), [(0.60, 0.70)], "passed", "the forgotten are not found, and the control is"),
    (False, (0.45, 0.55), [(0.48, 0.56)], "cannot tell",
     "the attack does not find members who are in the model: that it does not find the others says nothing"),
    (False, (0.45, 0.55), [], "cannot tell", "without a control nobody knows what the attack can find"),
    (False, (0.45, 0.55), [(0.60, 0.70), (0.49, 0.60)], "cannot tell", "every control must be found"),
    (False, None, [(0.60, 0.70)], "cannot tell", "nobody attacked the forgotten: there is no evidence"),
    (False, (0.52, 0.60), [(0.60, 0.70)], "found", "the whole interval lies above a coin"),
    (False, (0.52, 0.60), [(0.45, 0.55)], "found",
     "who was found was found: a blind control takes nothing from a detection"),
    (False, (0.50, 0.58), [(0.60, 0.70)], "passed", "an interval that begins at 0.5 is not above a coin"),
    (True, None, [], "exact", "a model that was trained anew needs no attack to say how it was made"),
    (True, (0.52, 0.60), [(0.60, 0.70)], "exact",
     "a model trained anew was not computed from their data, whatever is found: others like them are in it"))


def check_promise(function: Callable[..., Any]) -> None:
    """`function(anew, found, controls)`: "exact", "found", "passed" or "cannot tell".

    anew: was the model trained anew without them?  found: the interval (low, high) of an attack's AUC on the
    forgotten, or None.  controls: those of people who must be found, a list.
    """
    for anew, interval, controls, right, why in CASES:
        given = call(function, anew, interval, list(controls))
        expect(given == right, f"promise({anew}, {interval}, {controls}) is {right!r}, not {given!r}: {why}.")
    passed("a promise no larger than its evidence")
