"""Run many experiments in order, in one process or in several, and show a progress bar."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from grmu.data import number
from grmu.experiments.experiment import Experiment
from grmu.experiments.run import run
from grmu.experiments.store import StoreError


def map_experiments(function: Callable[[Experiment], Any], experiments: Iterable[Experiment], jobs: int = 1,
                    progress: bool = True) -> Iterator[Any]:
    """Yield function(experiment) for each experiment, in the given order.

    Args:
        function: Called with each experiment.
        experiments: The experiments.
        jobs: Number of processes. If there are several, `function` and its results must be picklable, and
            methods that were registered in a notebook are unknown.
        progress: Show a progress bar.

    Raises:
        ValueError: `jobs` is not a whole number of at least 1.
        StoreError: A process was killed, for example because memory ran out.
    """
    number("jobs", jobs, 1, whole=True)
    experiments = list(experiments)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))  # a fork would inherit locked threads
    results = pool.map(function, experiments) if jobs > 1 else map(function, experiments)
    try:
        yield from tqdm(results, total=len(experiments), unit="run", leave=False, disable=not progress)
    except BrokenExecutor as error:
        raise StoreError("a process was killed, perhaps because memory ran out: try again with fewer jobs. "
                         "Finished runs are kept.") from error
    finally:
        pool.shutdown(cancel_futures=True)  # let current runs finish, and cancel the others


def run_all(experiments: Iterable[Experiment], store: str | Path | None = None, device: str = "cpu",
            progress: bool = True, jobs: int = 1) -> pd.DataFrame:
    """Run many experiments and return one row for each, in the given order.

    Args:
        experiments: The experiments.
        store: Folder of finished runs, as in `run`.
        device: "cpu" or "cuda".
        progress: Show a progress bar.
        jobs: Number of processes, as in `map_experiments`.
    """
    results = map_experiments(partial(run, store=store, device=device), experiments, jobs, progress)
    return pd.DataFrame([result.row() for result in results])
