"""Lesson 12: rounds in which people leave."""

from functools import partial

import numpy as np

from grmu.course import leaving
from grmu.course.checks.common import Answer, array, call, expect, passed, returns
from grmu.course.last_layer import features

HELD_OUT = (3, 4)  # seeds on which a rule is judged
LEAST, KEPT = 0.2, 0.95  # of the group; of the number of members that REWEIGHT keeps


def check_share_left(function: Answer) -> None:
    """Check the share that is left if the accuracy never changes."""
    mistakes = [(0.7, "the share is taken of those who are still there: multiply."),
                (0.65**2, "people leave because of the error, 1 - accuracy.")]
    returns(function, (0.7, 0.5, 2), 0.85**2, "With accuracy 0.7 and rate 0.5, 85 % stay in the first round, "
            "and 85 % of these in the second.", mistakes)
    passed("This is the share that is left if the accuracy never changes.")


def check_spiral(function: Answer) -> None:
    """Check the loop on a model that is at first perfect for one group, and then for the other."""
    def played(seed: int) -> list[np.ndarray]:
        return list(map(array, call(function, np.repeat([0, 1], 400), lambda here: np.array(
            [1.0, 0.5] if here.all() else [0.5, 1.0]), 1.0, seed, 2)[:2]))

    left, accuracy = played(0)
    expect(left.shape == accuracy.shape == (3, 2), "return two arrays with rows for rounds 0, 1 and 2.")
    expect(left[1, 0] == 400 and 120 < left[1, 1] < 280, "in round 1, half of group 1 should leave and no "
           f"one of group 0, as their errors are 0.5 and 0. You have {left[1].tolist()} members left.")
    expect(left[2, 1] == left[1, 1] and 120 < left[2, 0] < 280, "in round 2, use the accuracy of the updated "
           f"model, and let nobody return. You have {left[2].tolist()} members left.")
    expect((played(0)[0] == left).all() and (played(1)[0] != left).any(), "the same seed must give the same "
           "result, and another seed a different one: draw from np.random.default_rng(seed).")
    passed("Your loop lets people leave, updates the model, and uses its new accuracy in the next round.")


def _left(rule: Answer) -> np.ndarray:
    runs = []
    for seed in HELD_OUT:
        part = features(seed)
        update = leaving.last_layer_update(part, partial(call, rule))
        runs.append(leaving.spiral(part.train.group, update, 0.6, seed)[0])
    return np.mean(runs, axis=0)


def check_rule(function: Answer) -> None:
    """Check a rule for the groups' weights on held-out seeds: enough must stay, of the group and of all."""
    left = _left(function)
    share = left[-1, left[0].argmin()] / left[0].min()
    members = left[-1].sum() / _left(leaving.restore)[-1].sum()
    outcome = (f"on held-out seeds, {share:.0%} of the group are left, and {members:.1%} as many members in "
               "all as with REWEIGHT")
    expect(share >= LEAST, f"{outcome}. Keep at least {LEAST:.0%} of the group.")
    expect(members >= KEPT, f"{outcome}. Keep at least {KEPT:.0%} as many members.")
    passed(f"Your rule works: {outcome}.")
