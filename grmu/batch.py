"""Behind notebooks/run_experiment.ipynb: parameters checked, runs done, everything written down. What papermill calls.

Papermill lets a misspelt parameter pass with a warning and hands over whatever type it parsed; `read_parameters` does not.
"""

from __future__ import annotations

import difflib
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import grmu
from grmu import paper, plots, tables
from grmu.data import LOADERS
from grmu.experiment import Experiment, Result, run


@dataclass(frozen=True)
class Parameters:
    """The notebook's parameters; the experiments they mean are `experiments()`.

    reweight: True, False or "both".  seed, n_seeds: seeds seed, ..., seed + n_seeds - 1.
    lam: MIU's calibration weight, None for the preset's.  overrides: any other setting, by name.
    output: folder for metrics.json and comparison.png, "" for none.  device: "cpu" or "cuda".
    """

    dataset: str = "groundwear"
    method: str = "miu"
    reweight: bool | str = "both"
    ratio: float = 0.5
    groups: str | list = "default"
    seed: int = 0
    n_seeds: int = 1
    lam: float | None = None
    overrides: dict = field(default_factory=dict)
    root: str | None = None
    device: str = "cpu"
    output: str = ""

    def __post_init__(self) -> None:
        if self.reweight not in (True, False, "both"):
            raise ValueError(f"reweight must be true, false or 'both', but is {self.reweight!r}.")
        if isinstance(self.n_seeds, bool) or not isinstance(self.n_seeds, int) or self.n_seeds < 1:
            raise ValueError(f"n_seeds must be a whole number from 1, but is {self.n_seeds!r}.")
        if not isinstance(self.overrides, Mapping):
            raise ValueError(f"overrides must map setting names to values, but is {self.overrides!r}.")
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"device must be 'cpu' or 'cuda', but is {self.device!r}.")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device is 'cuda', but PyTorch sees no GPU: use device cpu, or install a CUDA build of torch.")
        self.experiments()

    def experiments(self) -> list[Experiment]:
        """The references (PRETRAIN, RETRAIN, RETRAIN + REWEIGHT) and the method, for every seed; ValueError if impossible."""
        chosen = dict(self.overrides) | ({} if self.lam is None else {"lam": self.lam})
        switches = (False, True) if self.reweight == "both" else (self.reweight,)
        runs = []
        for seed in range(self.seed, self.seed + self.n_seeds) if isinstance(self.seed, int) else (self.seed,):
            base = Experiment(self.dataset, "pretrain", False, self.ratio, self.groups, seed, root=self.root)
            runs += [base, Experiment(self.dataset, "retrain", False, self.ratio, self.groups, seed, root=self.root), base.gold]
            for reweight in switches:
                run_ = Experiment(self.dataset, self.method, reweight, self.ratio, self.groups, seed, chosen, self.root)
                if run_.key not in {r.key for r in runs}:
                    runs.append(run_)
        return runs


def read_parameters(namespace: Mapping[str, Any], before: set[str]) -> Parameters:
    """The parameters that a notebook defined since `before` was taken, checked.

    Raises:
        ValueError: a name that is no parameter (with the nearest ones), or a value that no run can have.
    """
    known = {f.name for f in fields(Parameters)}
    given = {k: v for k, v in namespace.items() if k not in before and not k.startswith("_") and k != "before"}
    for name in sorted(set(given) - known):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}."
        raise ValueError(f"unknown parameter {name!r}: {hint}")
    return Parameters(**given)


def run_parameters(parameters: Parameters) -> list[Result]:
    """Do all runs, a line of progress each."""
    results, experiments = [], parameters.experiments()
    for i, experiment in enumerate(experiments, 1):
        result = run(experiment, device=parameters.device)
        results.append(result)
        name = plots.label(experiment.method, experiment.reweight)
        print(f"[{i}/{len(experiments)}] {name}, seed {experiment.seed}: GA {100 * result.metrics['GA']:.1f} %, "
              f"UA {100 * result.metrics['UA']:.1f} %, trained in {result.seconds:.1f} s", flush=True)
    return results


def rows(results: list[Result]) -> pd.DataFrame:
    """The runs as a table, settings that only some of them have left out."""
    return pd.DataFrame([r.row() for r in results])


def published(parameters: Parameters) -> pd.DataFrame | None:
    """The paper's numbers for this data set and ratio, or None where it has none."""
    if parameters.dataset not in LOADERS or parameters.groups != "default":
        return None
    table = paper.results(parameters.dataset, parameters.ratio)
    return None if table.empty else table.rename(index=plots.LABELS)


def write(parameters: Parameters, results: list[Result]) -> Path | None:
    """metrics.json in the output folder, whole or not at all: parameters, every run's row and accuracies, versions."""
    if not parameters.output:
        return None
    folder = Path(parameters.output)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "parameters": asdict(parameters),
        "runs": [{**r.row(), "settings": r.experiment.settings, "accuracy": r.accuracy.to_dict("records")} for r in results],
        "summary": tables.summary(rows(results)).reset_index().to_dict("records"),
        "versions": {"grmu": grmu.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "device": parameters.device},
    }
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json", delete=False) as file:
        json.dump(record, file, indent=1)
    os.replace(file.name, folder / "metrics.json")
    return folder / "metrics.json"
