"""The papermill entry, notebooks/run_experiment.ipynb: check its parameters, do its runs, write them down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from grmu.analysis.names import label
from grmu.data import PROTOCOLS, check_ratio, require, short_repr
from grmu.data.checks import Settings, check_device, hint, one_of, within
from grmu.data.files import write_whole
from grmu.experiments import Experiment, Result, run

REFERENCES = ("pretrain", "retrain")  # every other method is compared with these
SWITCHES = {"true": True, "false": False}


@dataclass(frozen=True)
class Parameters(Settings):
    """The notebook's parameters.

    Args:
        dataset, method, ratio, groups: As in `grmu.Experiment`.
        reweight: True, False or "both" (both that the method allows).
        seed, n_seeds: The first seed, and how many.
        lam: MIU's calibration weight; None takes the preset's.
        overrides: Any other setting, by name.
        references: Run PRETRAIN, RETRAIN and RETRAIN + REWEIGHT beside the method.
        root: Folder of the data set's files; None for data that ships with the project.
        protocol, tiny: As in `grmu.Experiment`.
        device: "cpu" or "cuda".
        output: Folder for metrics.json and comparison.png; "" for none.

    Raises:
        ValueError: A value is not allowed; the message names it.
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
        check_ratio(self.ratio)
        require(isinstance(self.reweight, bool) or self.reweight == "both",
                f"reweight must be true, false or 'both', got {short_repr(self.reweight)}.")
        require(isinstance(self.overrides, Mapping),
                f"overrides must map setting names to values, got {short_repr(self.overrides)}.")
        check_device(self.device)
        self.experiments()

    def experiments(self) -> list[Experiment]:
        """Return the references and the method's runs, for every seed; ValueError if one is impossible."""
        groups = tuple(self.groups) if isinstance(self.groups, list) else self.groups
        settings = dict(self.overrides)
        if self.lam is not None:
            settings["lam"] = self.lam
        runs: dict[Experiment, None] = {}
        for seed in range(self.seed, self.seed + self.n_seeds):
            plain = Experiment(self.dataset, self.method, False, self.ratio, groups, seed, settings,
                               self.root, protocol=self.protocol, tiny=self.tiny)
            original = plain.original
            if self.method in REFERENCES and plain.overrides != original.overrides:
                raise ValueError(f"{self.method} is a reference and keeps the preset's settings: "
                                 "leave lam and overrides empty.")
            if self.references:
                runs |= dict.fromkeys(references(original))
            runs |= dict.fromkeys(self._method_runs(plain))
        return list(runs)

    def _method_runs(self, plain: Experiment) -> list[Experiment]:
        if self.reweight != "both":
            return [replace(plain, reweight=bool(self.reweight))]
        try:
            return [plain, replace(plain, reweight=True)]
        except ValueError:  # only REWEIGHT is impossible: `plain` has been made
            return [plain]


def references(original: Experiment) -> list[Experiment]:
    """Return what a method starts from, or is compared with."""
    return [original, replace(original, method="retrain"), original.gold]


def order(method: str) -> int:
    """Return a sort key that puts PRETRAIN first, then RETRAIN, then all others."""
    return (*REFERENCES, method).index(method)


def read_parameters(namespace: Mapping[str, Any], before: set[str]) -> Parameters:
    """Check the parameters that a notebook holds.

    Papermill only warns about a misspelt name, and `-p` turns only True and False into values: `true` and
    `false`, in any case, arrive as text. In a kernel that has run later cells, unknown names pass.

    Args:
        namespace: The notebook's `globals()` after its cell of parameters.
        before: The names that it held ahead of that cell.

    Raises:
        ValueError: A name is no parameter, or a value is not allowed.
    """
    kinds = {f.name: str(f.type) for f in fields(Parameters)}
    unknown = [name for name in set(namespace) - before - set(kinds) - {"before"} if not name.startswith("_")]
    if unknown and "parameters" not in namespace:
        raise ValueError(f"unknown parameter {min(unknown)!r}: {hint(min(unknown), kinds)}")
    values = {name: namespace[name] for name in kinds if name in namespace}
    switches = {name: SWITCHES.get(str(value).lower(), value) for name, value in values.items()
                if kinds[name].startswith("bool")}
    return Parameters(**values | switches)


def run_parameters(parameters: Parameters) -> list[Result]:
    """Do all runs, with a line of progress for each; OSError first if the output folder cannot be made."""
    if parameters.output:
        Path(parameters.output).mkdir(parents=True, exist_ok=True)
    results, experiments = [], parameters.experiments()
    for i, experiment in enumerate(experiments, 1):
        results.append(run(experiment, device=parameters.device))
        print(f"[{i}/{len(experiments)}] {outcome(results[-1])}", flush=True)
    return results


def outcome(result: Result) -> str:
    """Return a line about a finished run: its name, GA, UA and training time."""
    e, metrics = result.experiment, result.metrics
    return (f"{label(e.method, e.reweight)}, seed {e.seed}: GA {100 * metrics['GA']:.1f} %, "
            f"UA {100 * metrics['UA']:.1f} % ({result.seconds:.1f} s)")


def write(parameters: Parameters, results: list[Result]) -> Path | None:
    """Write metrics.json into the output folder, whole or not at all, and return its path.

    It holds parameters, and a row and the accuracies of every run. It is strict JSON: NaN, such as the
    accuracy of a group without samples, becomes null.
    """
    if not parameters.output:
        return None
    runs = [r.row() | {"overrides": r.experiment.overrides, "settings": r.experiment.settings,
                       "accuracy": r.accuracy.to_dict("records"), "made_by": r.made_by} for r in results]
    record = {"parameters": asdict(parameters), "runs": runs}
    strict = json.loads(json.dumps(record), parse_constant=lambda nan: None)
    path = Path(parameters.output) / "metrics.json"
    write_whole(path, json.dumps(strict, indent=1))
    return path
