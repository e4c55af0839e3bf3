"""`make bench`: what the project promises, measured, one line a promise.

Accuracies come from the shipped results: mean and standard deviation over seeds, in points; for the control,
the mean and its 95 % interval. The rest is measured now; times (median and range) mean something only on a
machine that does nothing else.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import numpy as np
import pandas as pd
import psutil
import torch
from nbclient import NotebookClient

from grmu import closed_form, training
from grmu.analysis import grids, results
from grmu.analysis.compare import interval
from grmu.analysis.names import label
from grmu.data.arguments import Parser
from grmu.experiments import Experiment, load_split, run
from grmu.metrics import evaluate
from grmu.mine import MINE, Estimator
from grmu.numerics import THREADS, fixed_threads
from grmu.scale import bench_scale
from grmu.show import widgets
from grmu.show.kernels import lessons

MIU = Experiment(method="miu", ratio=0.5)
GROUP_SHARES = torch.tensor(closed_form.SHARES)
LINE = "{:56} {:>8}   {:30} {}"


class Row(NamedTuple):
    """What was measured, and whether it meets the target; None where it could not be."""

    measured: str
    ok: bool | None


def mean_row(measure: Callable[[], Sequence[float]], low: float = -math.inf, high: float = math.inf) -> Row:
    """Mean and standard deviation of what is measured; the mean should lie within (low, high)."""
    mean, sd = float(np.mean(values := measure())), np.std(values, ddof=1)
    return Row(f"{mean:.1f} \N{PLUS-MINUS SIGN} {sd:.1f}, n = {len(values)}", low <= mean <= high)


def median_row(measure: Callable[[], Sequence[float]], high: float) -> Row:
    """Median and range of what is measured; the median should not be above `high`."""
    median = float(np.median(values := measure()))
    return Row(f"{median:.2f} ({min(values):.2f} to {max(values):.2f}), n = {len(values)}", median <= high)


def by_seed(grid: str, method: str, reweight: bool, ratio: float, metric: str) -> pd.Series:
    """One metric of the shipped rows at a ratio, in percent, by seed, with the preset's settings."""
    rows = results.load(grid, method=method, reweight=reweight, ratio=ratio)
    if rows.seed.nunique() < 5 or rows.seed.duplicated().any():
        raise ValueError(f"{grid} has {len(rows)} rows of {rows.seed.nunique()} seeds at ratio {ratio:g}")
    return 100 * rows.set_index("seed")[metric]


def lost(ratio: float, grid: str = "references") -> pd.Series:
    """GA lost by RETRAIN against PRETRAIN, by seed."""
    return by_seed(grid, "pretrain", False, ratio, "GA") - by_seed(grid, "retrain", False, ratio, "GA")


def won_back(ratio: float) -> pd.Series:
    """GA that REWEIGHT adds to RETRAIN, by seed, in percent of the mean loss."""
    plain, reweighted = (by_seed("references", "retrain", on, ratio, "GA") for on in (False, True))
    return 100 * (reweighted - plain) / lost(ratio).mean()


def control(ratio: float) -> Row:
    """The loss when as many samples leave all groups alike: its 95 % t-interval should hold 0."""
    mean, low, high, n = interval(lost(grids.uniform_ratio(ratio), "uniform"))
    return Row(f"{mean:.1f} [{low:.1f}, {high:.1f}], n = {n}", bool(low <= 0 <= high))


def reweight_gains() -> pd.Series:
    """GA that REWEIGHT adds to each approximate method at ratio 0.9, mean over seeds, in points."""
    rows = pd.concat([results.load(grid, ratio=0.9) for grid in ("unlearning", "further")])
    ga = 100 * rows.pivot(index=["method", "seed"], columns="reweight", values="GA")
    return (ga[True] - ga[False]).groupby("method", sort=False).mean()


def gains_row() -> Row:
    """The least gain of any method, which should be above 0."""
    gains = reweight_gains()
    least = f"{gains.min():+.1f} ({label(gains.idxmin())})"
    return Row(f"{least} to {gains.max():+.1f}, {len(gains)} methods", bool(gains.min() > 0))


def from_gold(metric: str) -> pd.Series:
    """MIU + REWEIGHT minus the gold standard at ratio 0.5, by seed."""
    gold = by_seed("references", "retrain", True, 0.5, metric)
    return by_seed("unlearning", "miu", True, 0.5, metric) - gold


def gaussian_pairs(mi: float, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """30,000 pairs with correlation rho, which share -1/2 log(1 - rho^2) nats."""
    rho, (x, noise) = math.sqrt(1 - math.exp(-2 * mi)), torch.randn(2, 30_000, 1, generator=rng)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def separable_groups(shares: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """30,000 features that give their group away, and the groups: they share the groups' entropy."""
    group = torch.eye(len(shares))[torch.multinomial(shares, 30_000, replacement=True, generator=rng)]
    return group + 0.05 * torch.randn(group.shape, generator=rng), group


def mine_errors(draw: Callable[[Any, torch.Generator], tuple[torch.Tensor, torch.Tensor]], parameter: object,
                truth: float) -> list[float]:
    """Relative errors in percent of MINEs of three seeds, fitted to 10,000 samples, on the 20,000 others."""
    errors = []
    for seed in range(3):
        z, group = draw(parameter, rng := torch.Generator().manual_seed(seed))
        network = MINE(z.shape[1], group.shape[1], 128, seed)
        estimator = Estimator(network, 5e-3, rng, "shuffle", batch_size=256)
        estimator.fit(z[:10_000], group[:10_000], 400)
        errors.append(100 * abs(estimator.bound(z[10_000:], group[10_000:]).item() / truth - 1))
    return errors


def over_finetuning(store: Path) -> list[float]:
    """MIU's time over that of fine-tuning with the same training config, taken in turns."""
    config = {f.name: MIU.settings[f.name] for f in fields(training.TrainConfig)}
    plain = Experiment(method="finetune", ratio=MIU.ratio, overrides=config)
    pairs = [[run(e, store, fresh=True).seconds for e in (MIU, plain)] for _ in range(3)]
    return [miu / finetune for miu, finetune in pairs]


def metrics_seconds(store: Path) -> list[float]:
    """Seconds to measure one model."""
    splits, split, groups = load_split(MIU)
    model, seconds = run(MIU.original, store).model, []
    for _ in range(5):
        started = time.perf_counter()
        evaluate(model, split.retain, split.forget, splits.val, splits.test, groups)
        seconds.append(time.perf_counter() - started)
    return seconds


def live_growth(store: Path) -> list[float]:
    """Percent that the process has grown by after 30 live runs of three epochs, against after the first."""
    short, size = replace(MIU, overrides={"epochs": 3, "forget_epochs": 3}), []
    live = widgets.Live(lambda: short, store=store)
    for _ in range(31):
        live.press()
        live.wait()
        if live.error:
            raise live.error
        size.append(psutil.Process().memory_info().rss)
    return [100 * (size[-1] / size[0] - 1)]


def equal_twice() -> Row:
    """The weights of one experiment from two fresh processes that share nothing."""
    code = ("import sys; from grmu.scale.bench import MIU, run; "
            "sys.stdout.buffer.write(next(run(MIU, sys.argv[1]).folder.glob('*.safetensors')).read_bytes())")
    weights = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as store:
            weights.append(subprocess.run([sys.executable, "-c", code, store], stdout=subprocess.PIPE,
                                          check=True).stdout)
    same = weights[0] == weights[1]
    return Row(f"{'equal' if same else 'different'}, {len(weights[0]):,} bytes", same)


def lesson_seconds(path: Path) -> list[float]:
    """Seconds to execute a lesson that finds an empty store."""
    client = NotebookClient(nbformat.read(path, as_version=4), timeout=1800, kernel_name="python3",
                            extra_arguments=["--log-level=CRITICAL"],
                            resources={"metadata": {"path": str(path.parent)}})
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as store:
        client.execute(env={**os.environ, "GRMU_STORE": store})
    return [time.perf_counter() - started]


def checks(store: Path, quick: bool, with_lessons: bool) -> Iterator[tuple[str, str, Callable[[], Row]]]:
    """All promises, in the order of the table: what, target, how to measure it.

    Times are medians, the rest means.
    """
    for r, low, back in ((0.5, 10, 80), (0.9, 35, 70)):
        yield f"GA lost by RETRAIN, r = {r} (points)", f">= {low}", partial(mean_row, partial(lost, r), low)
        yield (f"won back by REWEIGHT, r = {r} (% of it)", f">= {back}",
               partial(mean_row, partial(won_back, r), back))
        yield f"GA lost if all groups lose as many, r = {r} (points)", "0 inside", partial(control, r)
    for m in ("UA", "GA"):
        yield (f"{m} of MIU + REWEIGHT less gold, r = 0.5 (points)", "reported",
               partial(mean_row, partial(from_gold, m)))
    yield "GA that REWEIGHT adds to any method, r = 0.9 (points)", "> 0", gains_row
    if quick:
        return
    for mi in (0.2, 0.5, 1.0, 1.5):
        yield f"MINE's error, Gaussian pairs of {mi} nats (%)", "<= 10", partial(
            mean_row, partial(mine_errors, gaussian_pairs, mi, mi), high=10)
    entropy = closed_form.entropy(closed_form.SHARES)
    yield "MINE's error, separable groups (%)", "<= 10", partial(
        mean_row, partial(mine_errors, separable_groups, GROUP_SHARES, entropy), high=10)
    yield "a live MIU run, 10 epochs, r = 0.5 (s)", "<= 3", partial(
        median_row, lambda: [run(MIU, store, fresh=True).seconds for _ in range(3)], 3)
    yield ("MIU's time over fine-tuning's, same batches", "<= 1.5",
           partial(median_row, partial(over_finetuning, store), 1.5))
    yield "all metrics of one model (s)", "<= 0.6", partial(median_row, partial(metrics_seconds, store), 0.6)
    yield ("memory after 30 live runs against after one (% more)", "<= 5",
           partial(median_row, partial(live_growth, store), 5))
    yield "weights of one run in two fresh processes", "equal", equal_twice
    for path in lessons() if with_lessons else ():
        yield f"lesson {path.stem} (s)", "<= 90", partial(median_row, partial(lesson_seconds, path), 90)


def main(argv: list[str]) -> int:
    """Measure and print the table; 0 also where a target is missed."""
    parser = Parser(prog="python -m grmu bench", description=__doc__)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--quick", action="store_true", help="only what the shipped results say; nothing is run")
    one.add_argument("--lessons", action="store_true", help="also execute every lesson: minutes")
    one.add_argument("--scale", action="store_true",
                     help="only what full-scale runs cost, which a GPU is measured for anyway; "
                     "without one, the same code at a small size")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="with --scale, keep what is found as JSON, for `sweep cost --bench FILE`")
    options = parser.parse_args(argv)
    if options.out and not options.scale:
        parser.error("--out keeps what --scale measures, which is not given: add it, or leave out --out")
    if options.scale:
        return bench_scale.main(out=options.out)
    print(f"{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f} before, "
          f"{THREADS} thread a run, torch {torch.__version__}, Python {platform.python_version()}\n")
    print(LINE.format("what", "target", "measured", "ok"))
    rows = []
    with tempfile.TemporaryDirectory() as store:
        for what, target, measure in checks(Path(store), options.quick, options.lessons):
            try:
                with fixed_threads():
                    row, answer = measure(), ""
            except Exception as error:  # one promise that cannot be measured leaves the others
                why = str(error) or type(error).__name__
                row, answer = Row("-", None), f"not measured: {why}".splitlines()[0]
            rows.append(row)
            print(LINE.format(what, target, row.measured, answer or ("yes" if row.ok else "NO")), flush=True)
    print(f"\n{sum(row.ok is True for row in rows)} of {len(rows)} targets met")
    if torch.cuda.is_available() and not options.quick:
        print()
        bench_scale.main()
    return 0
