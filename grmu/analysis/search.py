"""How the presets were chosen: six settings a method, scored on validation data, never on the test set.

    python -m grmu search [--dataset groundwear] [--method miu ...] [--jobs 2]

Score of a setting: |UA - UA of the gold standard| + |validation GA - that of the gold standard|, a mean over
tuning seeds (from 100: none of them is reported) and over ratios 0.5 and 0.9, with REWEIGHT. Methods made for
the worst group (ROBUST) are scored by their own aim: 1 - the worst group's validation accuracy. The lowest
score wins; all scores are in data/results/search.csv. For MIU on the data sets of `grmu.analysis.tuning`,
the preset has what that larger search chose. A practitioner has no gold standard to tune against: this is a
benchmark's luxury.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from grmu import data
from grmu.analysis import shipped_tables
from grmu.analysis.command import add_jobs
from grmu.data.arguments import Parser
from grmu.experiments import Experiment, map_experiments, run

TUNING_SEEDS = (100, 101, 102)
RATIOS = (0.5, 0.9)
GRIDS: dict[str, dict[str, list[Any]]] = {  # every method: six settings
    "finetune": {"lr": [0.003, 0.01, 0.03], "augment": [False, True]},
    "l1_sparse": {"lr": [0.003, 0.01, 0.03], "gamma": [5e-5, 5e-4]},
    "salun": {"lr": [0.003, 0.01, 0.03], "forget_epochs": [3, 10]},
    "scrub": {"lr": [0.001, 0.003, 0.01], "forget_epochs": [3, 7]},
    "miu": {"lr": [0.003, 0.01, 0.03], "lam": [1.0, 10.0]},
    "gradient_ascent": {"lr": [0.001, 0.003, 0.01], "forget_epochs": [1, 5]},
    "random_labels": {"lr": [0.003, 0.01, 0.03], "forget_epochs": [3, 10]},
    "bad_teacher": {"lr": [0.003, 0.01, 0.03], "forget_epochs": [3, 10]},
    "boundary_shrink": {"lr": [0.003, 0.01, 0.03], "forget_epochs": [3, 10]},
    "boundary_expand": {"lr": [0.003, 0.01, 0.03], "forget_epochs": [3, 10]},
    "ssd": {"alpha": [15.0, 30.0, 60.0], "lam": [0.3, 1.0]},
    "influence": {"damping": [0.1, 0.3, 1.0], "step": [0.3, 1.0]},
    "group_dro": {"lr": [0.03, 0.1], "eta": [0.01, 0.1, 1.0]},
    "rwg": {"lr": [0.01, 0.03, 0.1], "weight_decay": [5e-4, 5e-3]},
    "subg": {"lr": [0.03, 0.1], "epochs": [15, 60, 200]},
}
LR_FACTOR = {"groundwear-memorised": 3.0,  # there a first search, not used, had its best at the upper edge
             "negation": 0.3}  # AdamW asks for smaller rates than SGD
# made for the worst group, so not scored against the gold standard; `grmu.analysis.rivals` searches last 5
ROBUST = ("group_dro", "rwg", "subg", "lisa", "jtt", "dfr", "afr", "self")


def settings(dataset: str, method: str) -> list[dict[str, object]]:
    """The method's settings on a data set, as overrides; ValueError for a method without a grid."""
    data.known("grid of the method", method, GRIDS)
    tried = [dict(zip(GRIDS[method], values, strict=True)) for values in product(*GRIDS[method].values())]
    factor = LR_FACTOR.get(dataset, 1.0)
    return [s | {"lr": round(s["lr"] * factor, 6)} if "lr" in s else s for s in tried]


def score(experiment: Experiment, store: str | None = None) -> float:
    """The validation score of one run, lower is better (see the module's text); infinite if it diverged."""
    try:
        ours = run(experiment, store).metrics
    except FloatingPointError:
        return math.inf
    if experiment.method in ROBUST:
        return 1 - ours["val_WG"]
    return distance(ours, run(experiment.gold, store).metrics)


def distance(ours: Mapping[str, float], gold: Mapping[str, float], group_accuracy: str = "val_GA") -> float:
    """|UA - UA of the gold standard| + |group accuracy - that of the gold standard|, of fractions."""
    return abs(ours["UA"] - gold["UA"]) + abs(ours[group_accuracy] - gold[group_accuracy])


def search(dataset: str, names: Iterable[str], store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """Every setting of the methods' grids with its scores; of each method the best first.

    Raises:
        ValueError: an unknown data set, no methods, or one without a grid.
    """
    names = list(names)
    data.require(names, f"names must be methods, at least one of {', '.join(GRIDS)}.")
    runs = [Experiment(dataset, method, method not in ROBUST, ratio, seed=seed, overrides=overrides)
            for method in names for overrides in settings(dataset, method) for ratio in RATIOS
            for seed in TUNING_SEEDS]
    scores = map_experiments(partial(score, store=store), runs, jobs)
    rows = pd.DataFrame([{"dataset": dataset, "method": e.method, **e.overrides, "ratio": e.ratio,
                          "seed": e.seed, "score": value} for e, value in zip(runs, scores, strict=True)])
    chosen = [c for c in rows if c not in ("ratio", "seed", "score")]
    wide = rows.groupby([*chosen, "ratio"], dropna=False, sort=False).score.mean().unstack()
    wide.columns = [f"score_{ratio}" for ratio in wide.columns]
    wide["score"] = wide.mean(axis=1)
    wide = wide.reset_index().sort_values("score", kind="stable")
    return pd.concat([wide[wide.method == method] for method in names])


def main(argv: list[str]) -> int:
    """Search methods' grids on one data set, put the scores into the table and name the best settings."""
    parser = Parser(prog="python -m grmu search", description=__doc__)
    parser.add_argument("--dataset", default="groundwear", choices=data.EMBEDDED)
    parser.add_argument("--method", choices=list(GRIDS), nargs="+", default=list(GRIDS))
    add_jobs(parser)
    options = parser.parse_args(argv)
    scores = search(options.dataset, options.method, jobs=options.jobs)
    if shipped_tables.path_of("search").is_file():
        old = shipped_tables.read("search")
        replaced = (old.dataset == options.dataset) & old.method.isin(options.method)
        scores = pd.concat([old[~replaced], scores])
    path = shipped_tables.write("search", scores.round(5))
    best = scores[scores.dataset == options.dataset].groupby("method", sort=False).head(1).set_index("method")
    for method, row in best.iterrows():
        print(f"{method}: {({name: row[name] for name in GRIDS[method]})}   score {row.score:.3f}")
    print(f"written: {path}")
    return 0
