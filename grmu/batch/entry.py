"""Check the parameters of notebooks/run_experiment.ipynb, do its runs, and save the results."""

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

REFERENCES = ("pretrain", "retrain")  # all other methods are compared with these
SWITCHES = {"true": True, "false": False}


@dataclass(frozen=True)
class Parameters(Settings):
    """The notebook's parameters.

    Args:
        dataset: As in `grmu.Experiment`.
        method: As in `grmu.Experiment`.
        reweight: True, False, or "both" for each of the two that the method allows.
        ratio: As in `grmu.Experiment`.
        groups: As in `grmu.Experiment`.
        seed: The first seed.
        n_seeds: Number of seeds.
        lam: MIU's calibration weight. None uses the preset's.
        overrides: Other settings by name.
        references: Also run PRETRAIN, RETRAIN and RETRAIN + REWEIGHT.
        root: Folder of the data set's files. None uses the data that ships with the project.
        protocol: As in `grmu.Experiment`.
        tiny: As in `grmu.Experiment`.
        device: "cpu" or "cuda".
        output: Folder for metrics.json and comparison.png, or "" to save nothing.

    Raises:
        ValueError: A value is not allowed. The message names it.
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
        """Return the references and the runs of the method, for each seed.

        Raises:
            ValueError: A run is impossible.
        """
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
                raise ValueError(f"{self.method} is a reference, which must keep the preset's settings: "
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
        except ValueError:  # the method does not combine with REWEIGHT, since `plain` raised no error
            return [plain]


def references(original: Experiment) -> list[Experiment]:
    """Return the runs that a method starts from or is compared with."""
    return [original, replace(original, method="retrain"), original.gold]


def order(method: str) -> int:
    """Return a sort key that puts PRETRAIN first, then RETRAIN, then all others."""
    return (*REFERENCES, method).index(method)


def read_parameters(namespace: Mapping[str, Any], before: set[str]) -> Parameters:
    """Check the parameters that a notebook defines.

    Papermill only warns about a misspelt name, so this function rejects it. Papermill's option `-p` turns
    only True and False into values, so `true` and `false` arrive as text and are converted here. In a kernel
    in which later cells have already run, unknown names cannot be detected.

    Args:
        namespace: The notebook's `globals()` after its cell of parameters.
        before: The names that were defined before that cell.

    Raises:
        ValueError: A name is not a parameter, or a value is not allowed.
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
    """Do all runs, and print one line of progress for each.

    Raises:
        OSError: The output folder cannot be created. This is checked before the first run.
    """
    if parameters.output:
        Path(parameters.output).mkdir(parents=True, exist_ok=True)
    results, experiments = [], parameters.experiments()
    for i, experiment in enumerate(experiments, 1):
        results.append(run(experiment, device=parameters.device))
        print(f"[{i}/{len(experiments)}] {outcome(results[-1])}", flush=True)
    return results


def outcome(result: Result) -> str:
    """Return one line about a finished run: its name, GA, UA and training time."""
    e, metrics = result.experiment, result.metrics
    return (f"{label(e.method, e.reweight)}, seed {e.seed}: GA {100 * metrics['GA']:.1f} %, "
            f"UA {100 * metrics['UA']:.1f} % ({result.seconds:.1f} s)")


def write(parameters: Parameters, results: list[Result]) -> Path | None:
    """Write metrics.json into the output folder, atomically, and return its path.

    The file contains the parameters, and a row and the accuracies of each run. It is strict JSON: NaN, for
    example the accuracy of a group without samples, becomes null.
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
