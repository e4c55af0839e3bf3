"""Behind notebooks/run_experiment.ipynb, which papermill executes: parameters checked, runs done and kept.

Papermill lets a misspelt parameter pass with a warning and hands over whatever type it parsed;
`read_parameters` does not.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import grmu
from grmu.analysis import paper, tables
from grmu.analysis.names import label
from grmu.data import PROTOCOLS, check_ratio, require, short_repr
from grmu.data.checks import Settings, one_of, within
from grmu.data.files import write_whole
from grmu.experiments import Experiment, Result, run
from grmu.experiments.experiment import check_device

COMPARED_WITH = ("pretrain", "retrain")  # what every other method stands beside


@dataclass(frozen=True)
class Parameters(Settings):
    """The notebook's parameters; the experiments they mean are `experiments()`.

    reweight: True, False or "both" (both that the method allows).
    seed, n_seeds: the first of how many seeds.
    lam: MIU's calibration weight, None for the preset's.  overrides: any other setting, by name.
    references: do PRETRAIN, RETRAIN and RETRAIN + REWEIGHT beside the method; without them nothing is
    compared.
    root: folder of the data set's files, None for data that ships with the project.
    protocol: "ours" or "released".  tiny: a dry run. Both as in `grmu.Experiment`.
    output: folder for metrics.json and comparison.png, "" for none.  device: "cpu" or "cuda".
    """

    dataset: str = "groundwear"
    method: str = "miu"
    reweight: bool | str = "both"
    ratio: float = 0.5
    groups: str | list[Any] = "default"
    seed: int = within(0, default=0)
    n_seeds: int = within(1, 1000, default=1)
    lam: float | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    references: bool = True
    root: str | None = None
    protocol: str = one_of(*PROTOCOLS)
    tiny: bool = False
    device: str = "cpu"
    output: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ratio(self.ratio)  # one number
        require(isinstance(self.reweight, bool) or self.reweight == "both",
                f"reweight must be true, false or 'both', but is {short_repr(self.reweight)}.")
        require(isinstance(self.overrides, Mapping),
                f"overrides must map setting names to values, but is {short_repr(self.overrides)}.")
        require(isinstance(self.output, str),
                f"output must be the name of a folder, or empty, but is {short_repr(self.output)}.")
        check_device(self.device)
        self.experiments()

    def experiments(self) -> list[Experiment]:
        """PRETRAIN, RETRAIN, RETRAIN + REWEIGHT and the method, for every seed; ValueError if impossible."""
        groups = tuple(self.groups) if isinstance(self.groups, list) else self.groups
        chosen = dict(self.overrides) | ({} if self.lam is None else {"lam": self.lam})
        runs: dict[Experiment, None] = {}
        for seed in range(self.seed, self.seed + self.n_seeds):
            plain = Experiment(self.dataset, self.method, False, self.ratio, groups, seed, chosen,
                               self.root, protocol=self.protocol, tiny=self.tiny)
            before = plain.original
            if self.method in COMPARED_WITH and plain.overrides != before.overrides:
                raise ValueError(f"{self.method} is a reference and keeps the preset's settings: "
                                 "leave lam and overrides empty.")
            if self.references:
                runs |= dict.fromkeys((before, replace(before, method="retrain"), before.gold))
            for reweight in (False, True) if isinstance(self.reweight, str) else (self.reweight,):
                try:
                    experiment = replace(plain, reweight=reweight)
                except ValueError:
                    if reweight and self.reweight == "both":  # all but the combination is possible
                        continue
                    raise
                runs.setdefault(experiment)
        return list(runs)


def rank(method: str) -> int:
    """Where a method stands in a list: first those that all are compared with, then the others alike."""
    return (*COMPARED_WITH, method).index(method)


RENAMED = {"recipe": "protocol"}


def hint(unknown: str, names: Sequence[str]) -> str:
    """Say what may have been meant by an unknown name."""
    if unknown in RENAMED:
        return f"it is called {RENAMED[unknown]} now."
    near = difflib.get_close_matches(unknown, names, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}."


def read_parameters(namespace: Mapping[str, Any], before: set[str]) -> Parameters:
    """The parameters that a notebook holds, checked; `before` are the names that it held ahead of its
    parameters.

    In a kernel that has read them already, where later cells have left their names, unknown names pass.

    Raises:
        ValueError: a name that is no parameter (with the nearest one), or a value that no run can have.
    """
    names = {f.name for f in fields(Parameters)}
    unknown = {name for name in set(namespace) - before - names - {"before"} if not name.startswith("_")}
    if unknown and "parameters" not in namespace:
        raise ValueError(f"unknown parameter {min(unknown)!r}: {hint(min(unknown), sorted(names))}")
    return Parameters(**{name: namespace[name] for name in names & set(namespace)})


def run_parameters(parameters: Parameters) -> list[Result]:
    """Do all runs, a line of progress each.

    Raises:
        ValueError: the output folder cannot be written; said before the first run.
    """
    if parameters.output:
        _writable(Path(parameters.output))
    results, experiments = [], parameters.experiments()
    for i, experiment in enumerate(experiments, 1):
        result = run(experiment, device=parameters.device)
        results.append(result)
        print(f"[{i}/{len(experiments)}] {outcome(result)}", flush=True)
    return results


def outcome(result: Result) -> str:
    """Return a line on a finished run: its name, GA, UA and the time that its training took."""
    name = label(result.experiment.method, result.experiment.reweight)
    group, forgotten = (f"{100 * result.metrics[metric]:.1f} %" for metric in ("GA", "UA"))
    return (f"{name}, seed {result.experiment.seed}: accuracy {group} on the group's test samples, "
            f"{forgotten} on the forgotten ones ({result.seconds:.1f} s)")


def rows(results: list[Result]) -> pd.DataFrame:
    """The runs as a table; a setting that was overridden in some of them is NaN in the others."""
    return pd.DataFrame([_row(r) for r in results])


def _row(result: Result) -> dict[str, Any]:
    return result.row() | {"protocol": result.experiment.protocol}


def published(parameters: Parameters) -> pd.DataFrame | None:
    """The paper's numbers for this data set and ratio, or None where it has none."""
    if parameters.groups != "default":
        return None
    table = paper.results(parameters.dataset, parameters.ratio)
    if table.empty:
        return None
    return table.set_axis([label(*key) for key in table.index]).rename_axis(columns=None)


def write(parameters: Parameters, results: list[Result]) -> Path | None:
    """metrics.json in the output folder: parameters, every run's row and accuracies, versions.

    Whole or not at all, and strict JSON: what is not a number (the accuracy of a group without samples) is
    null.
    """
    if not parameters.output:
        return None
    folder, summary = Path(parameters.output), []
    if parameters.references:
        summary = tables.summary(rows(results)).reset_index().to_dict("records")
    record = {
        "parameters": asdict(parameters),
        "runs": [_row(r) | {"overrides": r.experiment.overrides,
                            "settings": r.experiment.settings, "accuracy": r.accuracy.to_dict("records")}
                 for r in results],
        "summary": summary,
        "versions": {"grmu": grmu.__version__, "torch": torch.__version__,
                     "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "device": parameters.device},
    }
    path = _writable(folder) / "metrics.json"
    write_whole(path, json.dumps(_without_nan(record), indent=1, allow_nan=False))
    return path


def _writable(folder: Path) -> Path:
    """The folder, made if missing; ValueError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"output {str(folder)!r} cannot be written: {error.strerror}.") from error
    return folder


def _without_nan(value: Any) -> Any:
    """The value with None in place of NaN and infinities."""
    if isinstance(value, Mapping):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
