"""What MIU's factorial says: every comparison that docs/miu_factorial.md announced, in points, worded.

    comparisons()    drawn("groundwear", "GA")    arm("groundwear", "paper", change={"lam": 0.0})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from grmu.methods.miu_forms import FORMS
from grmu.runs import Experiment
from grmu.study import factorial, results, shipped_tables
from grmu.study.compare import Interval, interval, verdicts
from grmu.study.factorial import DEPARTURES, FACTORIAL_SEEDS, FACTORS, FORM_SEEDS, RATIO, TERMS
from grmu.study.tuning import ARMS, DATASETS, tuned

MEASURES = ("UA", "GA", "TA", "distance")
SHORT = {"groundwear": "learnt", "groundwear-memorised": "by heart"}
NAMES = {"finetune": "fine-tuning", "nothing": "doing nothing"} | {form: form for form in FORMS}


@cache
def _shipped() -> dict[str, dict[str, float]]:
    return results.table()[["UA", "GA", "TA", "val_GA"]].to_dict("index")


@cache
def _ids(dataset: str, ratio: float, method: str, seed: int,
         overrides: frozenset[tuple[str, Any]]) -> tuple[str, str]:
    """The names of a run and of its gold standard."""
    e = Experiment(dataset, method, method != "pretrain", ratio, seed=seed, overrides=dict(overrides))
    return e.id, e.gold.id


def gaps(dataset: str, ratio: float, method: str, overrides: Mapping[str, Any], seeds: tuple[int, ...],
         validation: bool = False) -> pd.DataFrame:
    """Signed gaps to the gold standard of the same seed, in points, by seed, and the distance.

    Args:
        overrides: of the method, which is + REWEIGHT unless it is PRETRAIN.
        validation: GA and the distance are those on validation pictures.

    Raises:
        FileNotFoundError: a run was never computed.
    """
    lines = {}
    for seed in seeds:
        names = _ids(dataset, ratio, method, seed, frozenset(overrides.items()))
        if missing := [name for name in names if name not in _shipped()]:
            raise FileNotFoundError(
                f"no shipped results for {missing[0]}, {method} on {dataset}, ratio {ratio:g}, seed {seed}: "
                "compute them with `python -m grmu results --only forms terms departures factorial`.")
        ours, gold = (_shipped()[name] for name in names)
        line = {name: 100 * (ours[name] - gold[name]) for name in ("UA", "TA")}
        line["GA"] = 100 * (ours["val_GA"] - gold["val_GA"] if validation else ours["GA"] - gold["GA"])
        lines[seed] = line | {"distance": (abs(line["UA"]) + abs(line["GA"])) / 2}
    return pd.DataFrame(lines).T[list(MEASURES)]


def arm(dataset: str, name: str, ratio: float = RATIO, change: Mapping[str, Any] | None = None,
        seeds: tuple[int, ...] = factorial.SEEDS) -> pd.DataFrame:
    """`gaps` of "nothing", of fine-tuning, or of a form as tuned, with what is changed of it."""
    if name == "nothing":
        return gaps(dataset, ratio, "pretrain", {}, seeds)
    return gaps(dataset, ratio, ARMS[name][0], tuned(dataset, name) | dict(change or {}), seeds)


def margins(dataset: str) -> dict[str, float]:
    """What two gold standards of a split differ by, in points: the mean |difference| of thirty pairs."""
    pairs = shipped_tables.read("twins")
    found = 100 * pairs[pairs.dataset == dataset][["UA", "GA", "TA"]].abs().mean()
    return {**found, "distance": (found.UA + found.GA) / 2}


@cache
def _factorial(dataset: str) -> dict[tuple[int, ...], pd.DataFrame]:
    """`gaps` of every combination of the half factorial."""
    return {chosen: gaps(dataset, RATIO, "miu", factorial.arm(dataset, chosen), FACTORIAL_SEEDS)
            for chosen in factorial.levels()}


def contrast(dataset: str, which: tuple[str, ...]) -> pd.DataFrame:
    """A main effect of one factor of the factorial, or an interaction of two: by seed, in points.

    The mean of the arms whose sign is positive minus that of the others; of one factor, what going from
    *paper*'s level to the other does.
    """
    names, total, arms = list(FACTORS), 0, _factorial(dataset)
    for chosen, found in arms.items():
        total = total + found * np.prod([2 * chosen[names.index(name)] - 1 for name in which])
    return total / (len(arms) / 2)


def drawn(dataset: str, measure: str) -> dict[tuple[str, ...], Interval]:
    """Every main effect and interaction of two with its plain 95 % interval."""
    every = [*((name,) for name in FACTORS), *combinations(FACTORS, 2)]
    return {which: interval(contrast(dataset, which)[measure]) for which in every}


Found = tuple[str, str, float, str, str, pd.Series]  # question, data set, ratio, what, measure, by seed


def _announced() -> Iterator[Found]:
    """All comparisons of the page, in its order."""
    for dataset, ratio in product(DATASETS, FORM_SEEDS):
        at = {name: arm(dataset, name, ratio, seeds=FORM_SEEDS[ratio]) for name in ("nothing", *ARMS)}
        for form in FORMS:
            for other in ("finetune", "nothing"):
                yield ("1", dataset, ratio, f"{NAMES[form]} - {NAMES[other]}", "distance",
                       at[form].distance - at[other].distance)
        yield ("1", dataset, ratio, f"{NAMES['finetune']} - {NAMES['nothing']}", "distance",
               at["finetune"].distance - at["nothing"].distance)
        for form, measure in product(("released", "steady"), ("UA", "GA")):
            yield ("4", dataset, ratio, f"{NAMES[form]} - {NAMES['paper']}", measure,
                   at[form][measure] - at["paper"][measure])
        for name, measure in product(at, ("UA", "GA")):
            yield "gap", dataset, ratio, f"{NAMES[name]} - gold standard", measure, at[name][measure]
    for dataset in DATASETS:
        for form, (term, change) in product(FORMS, TERMS.items()):
            whole = factorial.calibrated(dataset, form)
            with_, without = (gaps(dataset, RATIO, "miu", settings, factorial.SEEDS)
                              for settings in (whole, whole | change))
            for measure in ("UA", "GA", "distance"):
                yield ("2" if term == "unlearning" else "3", dataset, RATIO,
                       f"{NAMES[form]}: with - without {term}", measure, with_[measure] - without[measure])
        paper = arm(dataset, "paper")
        for name, change in DEPARTURES.items():
            away = arm(dataset, "paper", change=change) - paper
            yield from (("5", dataset, RATIO, name, measure, away[measure]) for measure in ("UA", "GA"))
        for name in FACTORS:
            found = contrast(dataset, (name,))
            yield from (("factorial", dataset, RATIO, f"{name}: other - paper's", measure, found[measure])
                        for measure in ("UA", "GA"))
        pairs = shipped_tables.read("twins")
        for measure in ("UA", "GA", "TA"):
            by_split = pairs[pairs.dataset == dataset].groupby("seed")[measure].mean()
            yield "control", dataset, RATIO, "gold standard - its twin", measure, 100 * by_split


@cache
def comparisons() -> pd.DataFrame:
    """Every comparison of the page, a row each: question, dataset, ratio, what, measure, and `verdicts`'
    columns."""
    found = list(_announced())
    allowed = {dataset: margins(dataset) for dataset in DATASETS}
    worded = verdicts({str(n): line[-1] for n, line in enumerate(found)},
                      {str(n): allowed[line[1]][line[4]] for n, line in enumerate(found)})
    about = pd.DataFrame([line[:-1] for line in found],
                         columns=["question", "dataset", "ratio", "what", "measure"])
    return pd.concat([about, worded.reset_index(drop=True)], axis=1)


def intervals_of(rows: pd.DataFrame) -> list[str]:
    """The intervals of `verdicts`' rows, as pages show them."""
    return [Interval(*row).said() for row in rows[["mean", "low", "high", "n"]].itertuples(index=False)]


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Comparisons for a page: where, what, the measure, points with their interval, seen from, verdict."""
    return pd.DataFrame({"data": rows.dataset.map(SHORT), "ratio": rows.ratio, "what": rows.what,
                         "of": rows.measure, "points [95 %]": intervals_of(rows),
                         "seen from": rows.seen.round(1), "verdict": rows.verdict}, index=rows.index)


def default_form() -> pd.DataFrame:
    """The rule for the default form: validation distance of the other forms minus *steady*'s, as tuned."""
    def validated(dataset: str, form: str) -> pd.Series:
        settings = tuned(dataset, form)
        return gaps(dataset, RATIO, "miu", settings, FORM_SEEDS[RATIO], validation=True).distance

    differences = {f"{form} - steady, {dataset}": validated(dataset, form) - validated(dataset, "steady")
                   for form, dataset in product(("paper", "released"), DATASETS)}
    return verdicts(differences)
