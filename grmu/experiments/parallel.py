"""Many runs: one after the other or in processes, in the order given,
under a progress bar with the time left."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pandas as pd
from tqdm.auto import tqdm

from grmu.data import number, require, short_repr
from grmu.experiments.experiment import Experiment, check_call
from grmu.experiments.run import run
from grmu.experiments.store import StoreError

T = TypeVar("T")


def map_experiments(function: Callable[[Experiment], T], experiments: Iterable[Experiment], jobs: int = 1,
                    progress: bool = True) -> Iterator[T]:
    """function(experiment) for each, in the order given.

    Args:
        jobs: processes to share the work. With more than one, `function` and its results must be picklable,
            and methods that a notebook registered are unknown.

    Raises:
        ValueError: something that is no experiment, or jobs that are no whole number from 1.
    """
    number("jobs", jobs, 1, whole=True)
    require(isinstance(experiments, Iterable),
            f"experiments must be a list, such as [Experiment()], but is {short_repr(experiments)}.")
    experiments = list(experiments)
    for experiment in experiments:
        check_call(experiment)
    with ExitStack() as stack:
        results: Iterator[T] = map(function, experiments)
        if jobs > 1:
            pool = ProcessPoolExecutor(jobs, get_context("spawn"))  # a fork would inherit locked threads
            stack.callback(pool.shutdown, cancel_futures=True)  # what runs is kept, the rest dropped
            results = pool.map(function, experiments)
        bar = stack.enter_context(tqdm(experiments, unit="run", leave=False, disable=not progress,
                                       smoothing=0.05))
        for experiment in bar:
            bar.set_description(str(experiment))
            try:
                yield next(results)
            except BrokenProcessPool as error:
                raise StoreError(f"the process that did {experiment} was ended from outside, as when memory "
                                 "runs out: try again with fewer jobs; what is finished is kept.") from error


def run_all(experiments: Iterable[Experiment], store: str | Path | None = None, device: str = "cpu",
            progress: bool = True, jobs: int = 1) -> pd.DataFrame:
    """Run many experiments; one row each, in the order given. `jobs`: see `map_experiments`."""
    results = map_experiments(partial(run, store=store, device=device), experiments, jobs, progress)
    return pd.DataFrame([result.row() for result in results])
