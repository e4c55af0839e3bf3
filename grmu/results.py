"""Shipped results: what the lessons' figures show at once, one row a run, and the command that computes it again.

    python -m grmu results [--only GRID ...]

Rows come from `grmu.run`; finished runs are taken from the store, so an interrupted call resumes where it stopped.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from grmu.experiment import Experiment, run_all
from grmu.metrics import FAIRNESS, METRICS

SEEDS = tuple(range(5))  # chosen before looking
MANY_SEEDS = tuple(range(10))  # for calibration, where the differences are small
RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
LAMBDAS = (0.0, 1.0, 3.0, 10.0)
FOLDER = next((p for p in (Path(__file__).parent / "shipped", Path(__file__).parents[1] / "data" / "results") if p.is_dir()),
              Path(__file__).parents[1] / "data" / "results")


def references() -> Iterator[Experiment]:
    """Figs. 2 and 3: PRETRAIN, RETRAIN, RETRAIN + REWEIGHT and GROUP-DRO against the ratio, default forget group."""
    for seed in SEEDS:
        for ratio in RATIOS:
            yield Experiment(method="pretrain", ratio=ratio, seed=seed)
            yield Experiment(method="retrain", ratio=ratio, seed=seed)
            yield Experiment(method="retrain", reweight=True, ratio=ratio, seed=seed)
            if ratio in (0.5, 0.9):
                yield Experiment(method="group_dro", ratio=ratio, seed=seed)


def largest_group() -> Iterator[Experiment]:
    """Fig. 2's other half: the same ratios of the largest group, ankle boots on grass."""
    for seed in SEEDS:
        for ratio in RATIOS:
            for method in ("pretrain", "retrain"):
                yield Experiment(method=method, ratio=ratio, groups=((0, 0),), seed=seed)


def uniform() -> Iterator[Experiment]:
    """The control: as many samples as `references` forgets (102 * ratio of 5,692), but of all groups alike."""
    for seed in SEEDS:
        for ratio in RATIOS:
            for method in ("pretrain", "retrain"):
                yield Experiment(method=method, ratio=round(102 * ratio) / 5692, groups="uniform", seed=seed)


def unlearning() -> Iterator[Experiment]:
    """Fine-tuning and MIU, with and without REWEIGHT, at three ratios; MIU + REWEIGHT at all."""
    for seed in SEEDS:
        for ratio in RATIOS:
            if ratio in (0.1, 0.5, 0.9):
                yield Experiment(method="finetune", ratio=ratio, seed=seed)
                yield Experiment(method="finetune", reweight=True, ratio=ratio, seed=seed)
                yield Experiment(method="miu", ratio=ratio, seed=seed)
            yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed)


def calibration() -> Iterator[Experiment]:
    """Fig. 8 and the question of ch. 4: lambda from 0 to 10, the group marginal summed (exact) or sampled (uniform)."""
    for seed in MANY_SEEDS:
        for ratio in (0.5, 0.9):
            yield Experiment(method="retrain", reweight=True, ratio=ratio, seed=seed)
            for group_bar in ("exact", "uniform"):
                for lam in LAMBDAS:
                    overrides = {"lam": lam, "group_bar": group_bar}
                    yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed, overrides=overrides)


def ablation() -> Iterator[Experiment]:
    """Table 4: MIU's terms switched off one by one, then REWEIGHT added."""
    for seed in SEEDS:
        for ratio in (0.5, 0.9):
            for overrides in ({"calibration": False}, {}, {"retaining": False}, {"unlearning": False}):
                yield Experiment(method="miu", ratio=ratio, seed=seed, overrides=overrides)
                yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed, overrides=overrides)


def memorised() -> Iterator[Experiment]:
    """The same references in the memorising regime (Waterbirds' counts), where REWEIGHT has little to work with."""
    for seed in SEEDS:
        for ratio in (0.1, 0.5, 0.9):
            for method, reweight in (("pretrain", False), ("retrain", False), ("retrain", True)):
                yield Experiment("groundwear-memorised", method, reweight, ratio, seed=seed)


GRIDS: dict[str, Callable[[], Iterator[Experiment]]] = {
    f.__name__: f for f in (references, uniform, largest_group, unlearning, calibration, ablation, memorised)}


@lru_cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv")


def load(name: str) -> pd.DataFrame:
    """The shipped rows of a grid: the columns of `Result.row`, fractions, one row a run.

    Raises:
        ValueError: unknown grid.  FileNotFoundError: it was never computed.
    """
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}: choose one of {', '.join(GRIDS)}.")
    if not (FOLDER / f"{name}.csv").is_file():
        raise FileNotFoundError(f"no results for {name}: compute them with `python -m grmu results --only {name}`.")
    return _read(name).copy()


def compute(name: str, store: str | None = None) -> Path:
    """Compute (or resume) a grid and write its table."""
    rows = run_all(tqdm(list(GRIDS[name]()), desc=name, unit="run"), store, progress=False)
    measured = [*METRICS, *FAIRNESS, "val_TA", "val_GA"]
    rows[measured] = rows[measured].round(5)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows.to_csv(FOLDER / f"{name}.csv", index=False)
    return FOLDER / f"{name}.csv"


def main(argv: list[str]) -> int:
    """Compute the shipped results, all grids or those named."""
    parser = argparse.ArgumentParser(prog="grmu results", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(GRIDS), nargs="*", default=list(GRIDS))
    for name in parser.parse_args(argv).only:
        print(f"written: {compute(name)}")
    note = {"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine(), "threads": 2}
    (FOLDER / "machine.txt").write_text("".join(f"{k}: {v}\n" for k, v in note.items()))
    return 0
