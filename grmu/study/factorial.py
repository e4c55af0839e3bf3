"""MIU's forms and choices, run as docs/miu_factorial.md announced before: the arms, and their runs.

All arms are + REWEIGHT, with what `grmu.study.tuning` chose: for fine-tuning and for each form what it found
for them, for the departures and the factorial what it found for *paper*, of which they are changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from grmu.methods.miu_forms import FORMS
from grmu.runs import Experiment
from grmu.study.tuning import ARMS, DATASETS, tuned

SEEDS = tuple(range(10))
FORM_SEEDS = {0.5: tuple(range(20)), 0.9: SEEDS}  # more for what matters most
FACTORIAL_SEEDS = tuple(range(8))
CLAIM_SEEDS = tuple(range(5))  # those that the other methods have
RATIO = 0.5  # of terms, departures, factorial and twins
DEPARTURES: dict[str, dict[str, Any]] = {  # each a change of *paper* in one choice
    "ḡ exact": {"group_bar": "exact"},
    "ψₒ of the unlearned model": {"calibrate_to": "unlearned"},
    "target from stored features": {"target_on": "stored"},
    "MINE by Adam": {"mine_optimizer": "adam", "mine_momentum": 0.0},
    "average by tuning alone": {"ema_in_passes": False},
    "tuned on stored features": {"tune_on": "stored"},
    "ψₒ tuned every epoch": {"retune_target": True}}
FACTORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # *paper*'s level, and the other
    "target": ({"calibrate_to": "original"}, {"calibrate_to": "unlearned"}),
    "ḡ": ({"group_bar": "uniform"}, {"group_bar": "exact"}),
    "augmented target": ({"target_on": "batch"}, {"target_on": "stored"}),
    "λ": ({}, {"lam": 1.0}),
    "unlearning": ({"unlearning": True}, {"unlearning": False})}
TERMS: dict[str, dict[str, Any]] = {  # what a form is without one of its terms
    "calibration": {"lam": 0.0}, "unlearning": {"unlearning": False}}
WITHOUT_TARGET: tuple[dict[str, Any], ...] = (  # λ = 0: no target; and with nothing to unlearn, no ḡ either
    {"lam": 0.0}, {"lam": 0.0, "group_bar": "exact"}, {"lam": 0.0, "unlearning": False})


def twins(experiment: Experiment) -> list[Experiment]:
    """The gold standard and two others of the same split: only the seed of their training differs."""
    from grmu.study.audit import golds_of  # with scikit-learn, which the grids do not need

    return [experiment.gold, *golds_of(experiment)[:2]]


def calibrated(dataset: str, form: str) -> dict[str, Any]:
    """A form as tuned; with λ = 1 where the search wanted no calibration."""
    settings = tuned(dataset, form)
    return settings | {"lam": settings["lam"] or 1.0}


def levels() -> list[tuple[int, ...]]:
    """The half of all 32 combinations that is run: 0 is *paper*'s level, 1 the other; an even number of 1.

    No main effect or interaction of two is mixed with another in it (resolution V).
    """
    return [chosen for chosen in product((0, 1), repeat=len(FACTORS)) if sum(chosen) % 2 == 0]


def arm(dataset: str, chosen: tuple[int, ...]) -> dict[str, Any]:
    """One combination's overrides. λ is the tuned one or, where that is at most 1, 10."""
    settings = tuned(dataset, "paper")
    settings["lam"] = settings["lam"] if settings["lam"] > 1 else 10.0
    for level, options in zip(chosen, FACTORS.values(), strict=True):
        settings |= options[level]
    return settings


def forms() -> Iterator[Experiment]:
    """Do nothing, the gold standard, fine-tuning and MIU's three forms, as tuned, on both variants."""
    for (ratio, seeds), dataset in product(FORM_SEEDS.items(), DATASETS):
        for seed in seeds:
            yield Experiment(dataset, "pretrain", ratio=ratio, seed=seed)
            yield Experiment(dataset, "retrain", True, ratio, seed=seed)
            for name, (method, _) in ARMS.items():
                yield Experiment(dataset, method, True, ratio, seed=seed, overrides=tuned(dataset, name))


def terms() -> Iterator[Experiment]:
    """Each form, calibrated; without its calibration; and without its forget pass."""
    for seed, dataset, form in product(SEEDS, DATASETS, FORMS):
        whole = calibrated(dataset, form)
        for settings in (whole, *(whole | change for change in TERMS.values())):
            yield Experiment(dataset, "miu", True, RATIO, seed=seed, overrides=settings)


def unweighted() -> Iterator[Experiment]:
    """The published forms without REWEIGHT, whole and less one term each, for the paper's Table 4."""
    less: list[dict[str, Any]] = [{}, *TERMS.values(), {"retaining": False}]
    for seed, dataset, form, change in product(CLAIM_SEEDS, DATASETS, ("paper", "released"), less):
        settings = calibrated(dataset, form) | change
        yield Experiment(dataset, "miu", ratio=RATIO, seed=seed, overrides=settings)


def departures() -> Iterator[Experiment]:
    """*paper* as tuned, and with one choice changed at a time."""
    for seed, dataset, change in product(SEEDS, DATASETS, ({}, *DEPARTURES.values())):
        settings = tuned(dataset, "paper") | change
        yield Experiment(dataset, "miu", True, RATIO, seed=seed, overrides=settings)


def factorial() -> Iterator[Experiment]:
    """The half factorial, and the arms that have no target."""
    for seed, dataset in product(FACTORIAL_SEEDS, DATASETS):
        bare = [tuned(dataset, "paper") | change for change in WITHOUT_TARGET]
        for settings in [*(arm(dataset, chosen) for chosen in levels()), *bare]:
            yield Experiment(dataset, "miu", True, RATIO, seed=seed, overrides=settings)
