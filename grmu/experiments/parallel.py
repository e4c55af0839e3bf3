"""Many runs, one after the other or in several processes, in the order given, under a progress bar."""

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
    """Yield function(experiment) for each experiment, in the order given.

    Args:
        function: What to do with an experiment.
        experiments: What to do it with.
        jobs: Number of processes. With more than one, `function` and its results must be picklable, and
            methods that a notebook registered are unknown.
        progress: Show a progress bar.

    Raises:
        ValueError: `jobs` is no whole number from 1.
        StoreError: A process was killed, as when memory runs out.
    """
    number("jobs", jobs, 1, whole=True)
    experiments = list(experiments)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))  # a fork would inherit locked threads
    results = pool.map(function, experiments) if jobs > 1 else map(function, experiments)
    try:
        yield from tqdm(results, total=len(experiments), unit="run", leave=False, disable=not progress)
    except BrokenExecutor as error:
        raise StoreError("a process of a run was killed, as when memory runs out: try again with fewer jobs; "
                         "finished runs are kept.") from error
    finally:
        pool.shutdown(cancel_futures=True)  # finish what runs, drop the rest


def run_all(experiments: Iterable[Experiment], store: str | Path | None = None, device: str = "cpu",
            progress: bool = True, jobs: int = 1) -> pd.DataFrame:
    """Run many experiments; return one row each, in the order given (see `map_experiments`)."""
    results = map_experiments(partial(run, store=store, device=device), experiments, jobs, progress)
    return pd.DataFrame([result.row() for result in results])
