"""Rounds in which people leave more often if the model serves their group less well (lesson 12).

In every round, each remaining member of group g requests deletion with probability

    rate * (1 - accuracy of the model on new pictures of group g)

Then the model is updated without the members who left, and the next round begins.
"""

from collections.abc import Callable, Sequence

import numpy as np

from grmu.course.last_layer import Features, accuracy_by_group, fit, take
from grmu.data.checks import number

ROUNDS = 12
Update = Callable[[np.ndarray], np.ndarray]  # from a mask of the members to the accuracy by group
Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def spiral(group: np.ndarray, update: Update, rate: float, seed: int = 0, rounds: int = ROUNDS,
           chance: np.ndarray | None = None, names: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Let members leave and update the model, for some rounds, also after a group is empty.

    Args:
        group: (N,) group of every member.
        update: Takes a mask (N,) of the members who are left; returns the accuracy by group of a model of
            these members. It is first called with everyone.
        rate: Probability of leaving per unit of error, in [0, 1].
        seed: Decides who leaves; the draws are the same for every `update`, so arms can be compared by seed.
        rounds: Number of rounds.
        chance: (rounds,) probabilities that replace rate * error for everyone: the control.
        names: Names of the groups, for the line that is printed when one is empty.

    Returns:
        Members left, and accuracies: (rounds + 1, n_groups) each, round 0 being the original model.

    Raises:
        ValueError: The rate is not in [0, 1].
    """
    number("rate", rate, 0, 1)
    rng, here = np.random.default_rng(seed), np.ones(len(group), dtype=bool)
    accuracy = update(here)
    left, accuracies = [np.bincount(group)], [accuracy]
    for n in range(rounds):
        leaves = rate * (1 - accuracy) if chance is None else np.full(len(accuracy), chance[n])
        here = here & (rng.random(len(group)) >= leaves[group])
        accuracy = update(here)
        left.append(np.bincount(group[here], minlength=len(accuracy)))
        accuracies.append(accuracy)
        for g in np.flatnonzero((left[-1] == 0) & (left[-2] > 0)).tolist():
            print(f"Round {n + 1}: no {names[g] if names else f'group {g}'} is left; the others continue.")
    return np.array(left), np.array(accuracies)


def average_chance(left: np.ndarray, accuracy: np.ndarray, rate: float) -> np.ndarray:
    """Return the probability of leaving in each round, (rounds,), averaged over the members at the time."""
    return rate * ((1 - accuracy[:-1]) * left[:-1]).sum(1) / left[:-1].sum(1)


def share_left(accuracy: float, rate: float, rounds: int) -> float:
    """Return the share of a group that is expected to be left if its accuracy never changes."""
    return (1 - rate * (1 - accuracy)) ** rounds


def plain(start: np.ndarray, left: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return the same weight for each group: plain retraining."""
    return np.ones(len(left))


def restore(start: np.ndarray, left: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return REWEIGHT's weight of each group, which restores the original proportions."""
    return start / np.maximum(left, 1)


def protect(start: np.ndarray, left: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return REWEIGHT's weights, times 4 for the group with the lowest accuracy."""
    return restore(start, left, accuracy) * np.where(accuracy == accuracy.min(), 4, 1)


def last_layer_update(data: Features, rule: Rule) -> Update:
    """Return the update that solves the last layer exactly for the members who are left.

    Args:
        data: The features of one seed.
        rule: Takes the members of each group at the start and now, and the present model's accuracy by group
            on the validation set; returns the weight of each group's samples.
    """
    start, weights = np.bincount(data.train.group), fit(data.train)

    def update(here: np.ndarray) -> np.ndarray:
        nonlocal weights
        members = take(data.train, here)
        left = np.bincount(members.group, minlength=len(start))
        by_group = rule(start, left, accuracy_by_group(weights, data.val))
        weights = fit(members, by_group[members.group])
        return accuracy_by_group(weights, data.test)

    return update
