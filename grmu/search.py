"""How the hyperparameters in `presets/` were chosen: a grid per method, scored on validation data, never on the test set.

    python -m grmu search --dataset groundwear

Score of a setting: |UA - UA of the gold standard| + |validation GA - that of the gold standard|, a mean over tuning seeds
(100 to 103: none of them is reported) and over ratios 0.5 and 0.9, with REWEIGHT. GROUP-DRO is scored by its own aim: 1 - the
worst group's validation accuracy, here that of the forget group. The lowest score wins; all scores are kept in
data/results/search-<dataset>.csv. A practitioner has no gold standard to tune against: this is a benchmark's luxury.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import pandas as pd

from grmu.experiment import Experiment, run_all
from grmu.results import FOLDER

TUNING_SEEDS = (100, 101, 102, 103)
RATIOS = (0.5, 0.9)
GRIDS: dict[str, dict[str, list]] = {
    "group_dro": {"lr": [0.1], "eta": [0.01, 0.1]},
    "finetune": {"lr": [0.003, 0.01], "augment": [False, True]},
    "miu": {"lr": [0.003, 0.01], "mine_lr": [0.001, 0.004], "lam": [1.0]},
}


def score(dataset: str, method: str, overrides: dict, ratio: float, store: str | None = None) -> float:
    """The validation score of one setting at one ratio, lower is better (see the module's text)."""
    combines = method != "group_dro"
    runs = [Experiment(dataset, method, combines, ratio, seed=seed, overrides=overrides) for seed in TUNING_SEEDS]
    ours = run_all(runs, store, progress=False)
    if method == "group_dro":
        return 1 - ours.val_GA.mean()
    gold = run_all([e.gold for e in runs], store, progress=False)
    return ((ours.UA - gold.UA).abs() + (ours.val_GA - gold.val_GA).abs()).mean()


def search(dataset: str, method: str, store: str | None = None) -> pd.DataFrame:
    """Every setting of the method's grid with its scores, best first."""
    names, rows = list(GRIDS[method]), []
    for values in product(*GRIDS[method].values()):
        overrides = dict(zip(names, values, strict=True))
        scores = {f"score_{r}": score(dataset, method, overrides, r, store) for r in RATIOS}
        rows.append({"method": method, **overrides, **scores, "score": sum(scores.values()) / len(scores)})
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return pd.DataFrame(rows).sort_values("score", kind="stable")


def table_path(dataset: str) -> Path:
    """Where a data set's scores are kept."""
    return FOLDER / f"search-{dataset}.csv"


def main(argv: list[str]) -> int:
    """Search all methods' grids on one data set and write the table."""
    parser = argparse.ArgumentParser(prog="grmu search", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="groundwear")
    parser.add_argument("--method", choices=list(GRIDS), nargs="*", default=list(GRIDS))
    options = parser.parse_args(argv)
    found = pd.concat([search(options.dataset, method) for method in options.method])
    path = table_path(options.dataset)
    if path.is_file():
        old = pd.read_csv(path)
        found = pd.concat([old[~old.method.isin(options.method)], found])
    path.parent.mkdir(parents=True, exist_ok=True)
    found.round(5).to_csv(path, index=False)
    print(f"written: {path}")
    return 0
