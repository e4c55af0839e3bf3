"""Compute the figure and the table of docs/findings.md and lesson 10 from causes.csv.

This script writes causes_cells.csv (one row per point of the figure) and causes_compared.csv (differences by
seed in points of GA, with one Holm correction): python data/results/why.py
"""

import pandas as pd
from causes import CELLS, FEWER, FIRST, UNEVEN

from grmu.analysis.compare import interval, verdicts
from grmu.analysis.results import load, margins, write_study

NAMES = list(CELLS)
PAIRS = {"Fewer left, as large a share": ((1, 0), (3, 0), (4, 2)),  # positions in CELLS
         "A smaller share, as many left": ((2, 1), (4, 3), (5, 3))}


def by_seed(rows, column="GA", augment=True):
    """Return one column in percent, with a row per seed and a column per arm."""
    return 100 * rows[rows.augment == augment].pivot(index="seed", columns="arm", values=column)


def asked(rows):
    """Yield all comparisons: question, description, augmentation, and differences by seed."""
    ga, plain = by_seed(rows), by_seed(rows, augment=False)
    for how, observed in (("yes", ga), ("no", plain)):
        for question, pairs in PAIRS.items():
            for one, other in pairs:
                yield (question, f"{NAMES[one]} - {NAMES[other]}", how,
                       observed[NAMES[one]] - observed[NAMES[other]])
        predicted = by_seed(rows, "visible", how == "yes")
        for arm in FEWER:
            yield "Predicted minus observed", arm, how, predicted[arm] - observed[arm]
    yield (next(iter(PAIRS)), f"10 left, s - {FIRST}", "no - yes",
           plain["10 left, s"] - plain[FIRST] - (ga["10 left, s"] - ga[FIRST]))
    for ratio, uneven in UNEVEN.items():
        for what, difference in (("uneven - even", ga[uneven] - ga[f"even, {ratio}"]),
                                 ("even - nobody", ga[f"even, {ratio}"] - ga[FIRST])):
            yield "From one group, or from all", f"{what}, ratio {ratio}", "yes", difference
    for ratio, uneven in UNEVEN.items():
        arms = {f"{arm} - without": ga[f"{arm}, {ratio}"] - ga[uneven]
                for arm in ("α", "α = 1", "α, wrong group")}
        arms["α - α = 1"] = ga[f"α, {ratio}"] - ga[f"α = 1, {ratio}"]
        for what, difference in arms.items():
            yield "REWEIGHT, or drawing with replacement", f"{what}, ratio {ratio}", "yes", difference


def causes_compared(jobs=1):
    """Return the comparisons with verdicts.

    The margin is the mean difference between two gold standards of one split.
    """
    *about, values = zip(*asked(load("causes")), strict=True)
    margin = dict.fromkeys(range(len(values)), margins("groundwear")["GA"])
    table = pd.DataFrame(dict(zip(("question", "what", "augmented"), about, strict=True)))
    return table.join(verdicts(dict(enumerate(values)), margin))


def causes_cells(jobs=1):
    """Return the GA of each cell in percent (mean, interval, n), its size and share, and predictions."""
    rows, lines = load("causes"), []
    for augment in (True, False):
        ga = by_seed(rows, augment=augment)
        for arm, (left, _) in CELLS.items():
            n = rows[(rows.arm == arm) & (rows.augment == augment)].n.iloc[0]
            predicted = {name: by_seed(rows, name, augment)[arm].mean() for name in ("visible", "calibrated")}
            lines.append({"augment": augment, "arm": arm, "left": left, "share": 100 * left / n,
                          **interval(ga[arm])._asdict(), **predicted})
    return pd.DataFrame(lines)


if __name__ == "__main__":
    write_study(causes_cells=causes_cells, causes_compared=causes_compared)
