"""Shipped results: every experiment of the benchmark, one row a run in one table, and the command that computes it again.

    python -m grmu results [--only GRID ...] [--missing] [--jobs 2]

A grid is a list of experiments; grids overlap, and a run that several need is done once. Finished runs are taken from the
store, so an interrupted call resumes where it stopped. `load` gives the rows of a grid.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import pandas as pd

from grmu.experiment import Experiment, Result, each, run
from grmu.metrics import FAIRNESS, METRICS

SEEDS = tuple(range(5))  # chosen before looking
MANY_SEEDS = tuple(range(10))  # for calibration, where the differences are small
RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
PAPER_RATIOS = (0.1, 0.5, 0.9)
LAMBDAS = {"exact": (0.0, 1.0, 3.0, 5.0, 10.0), "uniform": (0.0, 1.0, 3.0, 10.0)}
PAPER_METHODS = ("l1_sparse", "salun", "scrub", "miu")
FURTHER_METHODS = ("gradient_ascent", "random_labels", "bad_teacher", "boundary_shrink", "boundary_expand", "ssd", "influence")
MANY = "groundwear-many"
NINE_GROUPS = tuple(product((4, 6, 8), (0, 1, 2)))  # three classes by three grounds, the default forget group among them
TWENTY_FIVE_GROUPS = tuple(product((2, 4, 5, 6, 8), (0, 1, 2, 3, 5)))
FOLDER = next((p for p in (Path(__file__).parent / "shipped", Path(__file__).parents[1] / "data" / "results") if p.is_dir()),
              Path(__file__).parents[1] / "data" / "results")
KEYS = ["id", "dataset", "method", "reweight", "ratio", "groups", "seed", "overrides"]
MEASURED = [*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"]


def references() -> Iterator[Experiment]:
    """Figs. 2 and 3: PRETRAIN, RETRAIN and RETRAIN + REWEIGHT against the ratio; retraining for robustness beside them."""
    for seed, ratio in product(SEEDS, RATIOS):
        yield from _references(ratio=ratio, seed=seed)
        if ratio in PAPER_RATIOS:
            for method in ("group_dro", "rwg", "subg"):
                yield Experiment(method=method, ratio=ratio, seed=seed)


def largest_group() -> Iterator[Experiment]:
    """Fig. 2's other half: the same ratios of the largest group, ankle boots on grass."""
    for seed, ratio in product(SEEDS, RATIOS):
        yield from _references(ratio=ratio, groups=((0, 0),), seed=seed)


def uniform_ratio(ratio: float) -> float:
    """The share of all 5,692 samples that are as many as `ratio` of the smallest group's 102."""
    return round(102 * ratio) / 5692


def uniform() -> Iterator[Experiment]:
    """The control: as many samples as `references` forgets (102 * ratio of 5,692), but of all groups alike."""
    for seed, ratio in product(SEEDS, RATIOS):
        for method in ("pretrain", "retrain"):
            yield Experiment(method=method, ratio=uniform_ratio(ratio), groups="uniform", seed=seed)


def unlearning() -> Iterator[Experiment]:
    """Tables 1 and 5 to 7, Figs. 2, 4 and 5: fine-tuning and the paper's methods; MIU + REWEIGHT at all ratios."""
    for seed, ratio in product(SEEDS, RATIOS):
        if ratio in PAPER_RATIOS:
            yield from _both(("finetune", *PAPER_METHODS), ratio=ratio, seed=seed)
        else:
            yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed)


def largest_unlearning() -> Iterator[Experiment]:
    """Figs. 2 and 4 for the largest group: the paper's methods."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _both(PAPER_METHODS, ratio=ratio, groups=((0, 0),), seed=seed)


def further() -> Iterator[Experiment]:
    """The other methods of the field, at the paper's ratios."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _both(FURTHER_METHODS, ratio=ratio, seed=seed)


def forget_only() -> Iterator[Experiment]:
    """Methods that their papers run on the forget set alone, so without the retain pass that they get in `further`."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        for method in ("gradient_ascent", "boundary_shrink", "boundary_expand"):
            yield Experiment(method=method, ratio=ratio, seed=seed, overrides={"retains": False})


def calibration() -> Iterator[Experiment]:
    """Fig. 8 and the question of ch. 4: lambda from 0 to 10, the group marginal summed (exact) or sampled (uniform)."""
    for seed, ratio in product(MANY_SEEDS, (0.5, 0.9)):
        yield Experiment(method="retrain", reweight=True, ratio=ratio, seed=seed)
        for group_bar, lambdas in LAMBDAS.items():
            for lam in lambdas:
                overrides = {"lam": lam, "group_bar": group_bar}
                yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed, overrides=overrides)


def ablation() -> Iterator[Experiment]:
    """Table 4: MIU's terms switched off one by one, then REWEIGHT added."""
    for seed, ratio in product(SEEDS, (0.5, 0.9)):
        for overrides in ({"calibration": False}, {}, {"retaining": False}, {"unlearning": False}):
            yield from _both(("miu",), ratio=ratio, seed=seed, overrides=overrides)


def memorised() -> Iterator[Experiment]:
    """Tables 2 and 8 to 10 in the memorising regime (Waterbirds' counts): references, fine-tuning, the paper's methods."""
    yield from _tables("groundwear-memorised")


def many() -> Iterator[Experiment]:
    """Tables 3 and 11 to 13 with FairFace's many groups: references, fine-tuning, the paper's methods."""
    yield from _tables(MANY)


def multi_group() -> Iterator[Experiment]:
    """Fig. 6, Tables 14 and 15: a forget set of half of 9 and of 25 groups."""
    for groups, seed in product((NINE_GROUPS, TWENTY_FIVE_GROUPS), SEEDS):
        split = {"dataset": MANY, "ratio": 0.5, "groups": groups, "seed": seed}
        yield from _references(**split)
        yield from _both(PAPER_METHODS, **split)


def ablation_elsewhere() -> Iterator[Experiment]:
    """Table 17 on the other two variants, at ratio 0.5."""
    for dataset, seed in product(("groundwear-memorised", MANY), SEEDS):
        for overrides in ({"calibration": False}, {"retaining": False}):
            yield Experiment(dataset, "miu", ratio=0.5, seed=seed, overrides=overrides)


def text() -> Iterator[Experiment]:
    """Lesson 07: pairs of sentences. References and as many samples forgotten of all groups alike; fine-tuning and MIU."""
    for seed, ratio in product(SEEDS, (0.5, 0.9)):
        yield from _references(dataset="negation", ratio=ratio, seed=seed)
        yield Experiment("negation", "retrain", ratio=round(66 * ratio) / 2883, groups="uniform", seed=seed)
        yield from _both(("finetune", "miu"), dataset="negation", ratio=ratio, seed=seed)


def text_pretrained() -> Iterator[Experiment]:
    """The same sentences and a pretrained MiniLM, three seeds: references, the uniform control, MIU + REWEIGHT."""
    for seed in SEEDS[:3]:
        yield from _references(dataset="negation-pretrained", ratio=0.9, seed=seed)
        yield Experiment("negation-pretrained", "retrain", ratio=round(66 * 0.9) / 2883, groups="uniform", seed=seed)
        yield Experiment("negation-pretrained", "miu", reweight=True, ratio=0.9, seed=seed)


def _tables(dataset: str) -> Iterator[Experiment]:
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _references(dataset=dataset, ratio=ratio, seed=seed)
        yield from _both(("finetune", *PAPER_METHODS), dataset=dataset, ratio=ratio, seed=seed)


def _references(**split: object) -> Iterator[Experiment]:
    for method, reweight in (("pretrain", False), ("retrain", False), ("retrain", True)):
        yield Experiment(method=method, reweight=reweight, **split)


def _both(names: Iterable[str], **settings: object) -> Iterator[Experiment]:
    for method, reweight in product(names, (False, True)):
        yield Experiment(method=method, reweight=reweight, **settings)


GRIDS: dict[str, Callable[[], Iterator[Experiment]]] = {f.__name__: f for f in (
    references, uniform, largest_group, unlearning, memorised, many, further, forget_only, calibration, ablation,
    largest_unlearning, multi_group, ablation_elsewhere, text, text_pretrained)}


@lru_cache
def table() -> pd.DataFrame:
    """All shipped runs, indexed by the experiment's id: its fields, metrics as fractions, seconds, versions, machine.

    `overrides` is JSON, without what the preset says anyway; `by_group` a JSON list: every group's test accuracy, in group order.
    """
    path = FOLDER / "runs.csv"
    if not path.is_file():
        raise FileNotFoundError("there are no shipped results: compute them with `python -m grmu results`.")
    return pd.read_csv(path, index_col="id")


@lru_cache
def _rows(name: str) -> pd.DataFrame:
    experiments = {e.id: e for e in GRIDS[name]()}
    if missing := [e for i, e in experiments.items() if i not in table().index]:
        raise FileNotFoundError(f"{len(missing)} of {len(experiments)} runs of {name} have no shipped results, such as "
                                f"{missing[0].describe()}: compute them with `python -m grmu results --only {name} --missing`.")
    rows = table().loc[list(experiments)].reset_index()
    rows["by_group"] = rows.by_group.map(json.loads)
    overrides = pd.DataFrame([dict(e.overrides) for e in experiments.values()], index=rows.index)
    return pd.concat([rows.drop(columns=["id", "overrides"]), overrides], axis=1)


def load(name: str) -> pd.DataFrame:
    """The shipped rows of a grid: the columns of `Result.row`, fractions, one row a run; and versions and machine.

    Raises:
        ValueError: unknown grid.  FileNotFoundError: some of its runs were never computed.
    """
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}: choose one of {', '.join(GRIDS)}.")
    rows = _rows(name).copy()
    return rows.assign(by_group=rows.by_group.map(list))  # lists of the caller's own


def as_row(result: Result) -> dict[str, object]:
    """A run as it stands in the table."""
    e, row = result.experiment, result.row()
    preset = replace(e, overrides={}).settings
    changed = {name: value for name, value in sorted(e.overrides.items()) if value != preset[name]}
    kept = {key: value for key, value in row.items() if key not in e.overrides}
    kept |= {metric: round(kept[metric], 5) for metric in MEASURED}
    return {"id": e.id, **kept, "overrides": json.dumps(changed),
            "by_group": json.dumps([round(v, 4) for v in row["by_group"]]), **result.made_by}


def compute(names: Iterable[str], store: str | None = None, jobs: int = 1, missing: bool = False) -> Path:
    """Compute (or resume) grids and put their rows into the table; rows that no grid plans any more are dropped.

    Args:
        missing: leave out runs that the table has already.
    """
    planned = {e.id: e for name in GRIDS for e in GRIDS[name]()}
    chosen = list({e.id: e for name in names for e in GRIDS[name]()}.items())
    table.cache_clear()
    old = table().reset_index() if (FOLDER / "runs.csv").is_file() else pd.DataFrame(columns=KEYS)
    rows = {row["id"]: row for row in old.to_dict("records") if row["id"] in planned}
    todo = [e for key, e in chosen if not (missing and key in rows)]
    try:
        for result in each(partial(run, store=store), todo, jobs):
            rows[result.experiment.id] = as_row(result)
    finally:  # what is finished is kept, also when it is stopped
        _write(pd.DataFrame([rows[key] for key in planned if key in rows]))
    return FOLDER / "runs.csv"


def _write(frame: pd.DataFrame) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    columns = KEYS + [c for c in frame.columns if c not in KEYS]
    frame.reindex(columns=columns).to_csv(FOLDER / "runs.tmp", index=False)
    os.replace(FOLDER / "runs.tmp", FOLDER / "runs.csv")
    table.cache_clear()
    _rows.cache_clear()


def main(argv: list[str]) -> int:
    """Compute the shipped results, all grids and studies or those named."""
    from grmu import studies  # they read this module's grids

    names = [*GRIDS, *studies.STUDIES]
    parser = argparse.ArgumentParser(prog="grmu results", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=names, nargs="*", default=names)
    parser.add_argument("--missing", action="store_true", help="only runs that the table lacks, as after adding a method")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4),
                        help="processes that share the work (default: the cores, at most 4)")
    options = parser.parse_args(argv)
    if grids := [name for name in options.only if name in GRIDS]:
        print(f"written: {compute(grids, jobs=options.jobs, missing=options.missing)}")
    for name in [name for name in options.only if name in studies.STUDIES]:
        print(f"written: {studies.compute(name, jobs=options.jobs)}")
    return 0
