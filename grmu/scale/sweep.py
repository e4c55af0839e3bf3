"""Sweeps: a grid of experiments, in YAML, becomes jobs: one execution of run_experiment.ipynb each.

PRETRAIN is a job once per data set and seed, RETRAIN and RETRAIN + REWEIGHT once per seed and split; a
method's job comes after these three and finds them in the store, so no two jobs train the same model. See
docs/sweeps.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import yaml
from tqdm.auto import tqdm

from grmu import data, models
from grmu.analysis.names import label
from grmu.data.files import PACKAGE, write_whole
from grmu.data.originals.cache import cores
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment, run
from grmu.experiments.run import run_keys
from grmu.scale.batch import COMPARED_WITH, Parameters, hint, rank

REPOSITORY = PACKAGE.parent
Made = TypeVar("Made", "Block", "Grid")
MOST_AT_ONCE = 4  # runs of a dry run: a BERT with its optimiser takes 3 GB
MADE = ("notebook.ipynb", "metrics.json")  # what a job writes


@dataclass(frozen=True)
class Block:
    """A product of choices. Of RETRAIN and what is compared with it, only the methods need to be named.

    reweight: true, false or "both" (both that a method allows).
    groups: "default", "uniform", pairs (y, a), or {y: [...], a: [...]} for all pairs of the two lists.
    overrides: one mapping of settings, or a list of several; {} is the preset.
    """

    datasets: list[str]
    methods: list[str]
    seeds: list[int]
    ratios: list[float] = field(default_factory=lambda: [0.5])
    groups: str | list[Any] | dict[str, list[int]] = "default"
    reweight: bool | str = "both"
    overrides: dict[str, Any] | list[dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("datasets", "methods", "seeds", "ratios"):
            if not isinstance(getattr(self, name), list) or not getattr(self, name):
                raise ValueError(f"{name} must be a list that is not empty, but is {getattr(self, name)!r}.")
        if self.overrides == []:
            raise ValueError("overrides must be a mapping, or a list that is not empty, but is [].")
        if isinstance(self.groups, Mapping) and (
                set(self.groups) != {"y", "a"} or not all(isinstance(v, list) for v in self.groups.values())):
            raise ValueError("groups must be a name, pairs (y, a), or lists y and a, but is "
                             f"{self.groups!r}.")

    def parameters(self, grid: Grid) -> Iterator[Parameters]:
        """The parameters of the notebook that cover the block; some of their runs coincide."""
        overrides = self.overrides if isinstance(self.overrides, list) else [self.overrides]
        groups = self.groups
        if isinstance(groups, dict):
            groups = [list(pair) for pair in product(groups["y"], groups["a"])]
        for dataset, seed, ratio, changed, method in product(self.datasets, self.seeds, self.ratios,
                                                             overrides, self.methods):
            yield Parameters(dataset, method, self.reweight, ratio, groups, seed, overrides=changed,
                             root=grid.root_of(dataset), protocol=grid.protocol, tiny=grid.tiny)


@dataclass(frozen=True)
class Grid:
    """What is to be run, and where to.

    output: folder of the results; relative ones are relative to the repository.  device: "cpu" or "cuda".
    root: folder of the data sets' files, or one by data set; None for data that ships with the project.
    protocol: "ours", or "released" for what the paper's code does.  tiny: a dry run. As in `grmu.Experiment`.
    """

    output: str
    blocks: list[Mapping[str, Any]]
    device: str = "cpu"
    root: str | Mapping[str, str] | None = None
    protocol: str = "ours"
    tiny: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.output, str) or not self.output:
            raise ValueError(f"output must be the name of a folder, but is {self.output!r}.")
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"device must be 'cpu' or 'cuda', but is {self.device!r}.")
        for dataset, root in self.root.items() if isinstance(self.root, Mapping) else [(None, self.root)]:
            if dataset is not None:
                data.known("data set in root", dataset, data.LOADERS)
            data.check_folder("root", root)
        if not isinstance(self.blocks, list) or not self.blocks:
            raise ValueError(f"blocks must be a list that is not empty, but is {self.blocks!r}.")

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return (REPOSITORY / self.output).resolve()

    def root_of(self, dataset: str) -> str | None:
        """The folder of a data set's files; None for data that ships with the project."""
        root = self.root.get(dataset) if isinstance(self.root, Mapping) else self.root
        return None if root is None else str((REPOSITORY / root).resolve())

    def experiments(self) -> dict[str, Experiment]:
        """Every run once, by the name of its job, references first.

        Raises:
            ValueError: an impossible run, with its block's number.
        """
        jobs: dict[str, Experiment] = {}
        for number, settings in enumerate(self.blocks, 1):
            try:
                for parameters in _make(Block, settings, "block").parameters(self):
                    for experiment in parameters.experiments():
                        _check_fit(experiment)
                        jobs.setdefault(job_name(experiment), experiment)
            except ValueError as error:
                raise ValueError(f"block {number}: {error}") from error
        return dict(sorted(jobs.items(), key=lambda item: rank(item[1].method)))


def read(source: str) -> Grid:
    """A grid from a YAML file, or from JSON in standard input for "-".

    Raises:
        FileNotFoundError: there is no such file.  ValueError: it is no grid; the message names the value.
    """
    try:  # JSON is not read as YAML, to which 1e-05 is text
        settings = json.load(sys.stdin) if source == "-" else yaml.safe_load(Path(source).read_text("utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        name = "standard input is not JSON" if source == "-" else f"{source} is not YAML"
        raise ValueError(f"{name}: {' '.join(str(error).split())}. Name a grid such as "
                         "workflow/embedded.yaml.") from error
    return _make(Grid, settings, "grid")


def _check_fit(e: Experiment) -> None:
    """Refuse what the data set does not have, before a job is planned."""
    has: Any = ORIGINALS.get(e.dataset)  # the files of the paper's may not be here
    if has is None:
        models.check_fit(e.network, has := data.load(e.dataset).train)
    if not isinstance(e.groups, str):
        for group, (what, names) in product(e.groups, (("y", has.class_names), ("a", has.attribute_names))):
            value = group["ya".index(what)]
            data.number(f"{what} of the group {group} of {e.dataset}", value, 0, len(names) - 1, whole=True)


def job_name(experiment: Experiment) -> str:
    """A folder's name, the same for the same experiment, such as "celeba/r0.5/seed0/miu-reweight"."""
    e = experiment
    place = "tiny/" * e.tiny + f"{e.protocol}/" * (e.protocol != "ours") + e.dataset
    method = e.method + "-reweight" * e.reweight
    if e.overrides:
        settings = "-".join(f"{name}={value}" for name, value in sorted(e.overrides.items()))
        readable = re.sub(r"[^A-Za-z0-9_.=-]", "_", settings)[:80]
        method += f"-{readable}-{_digest(dict(sorted(e.overrides.items())))}"
    if e.method == "pretrain":  # trained on everything, so shared by all splits
        return f"{place}/seed{e.seed}/{method}"
    split = f"r{e.ratio:.6g}"
    if not isinstance(e.groups, str):
        split += f"-{len(e.groups)}groups-{_digest(e.groups)}"
    elif e.groups != "default":
        split += f"-{e.groups}"
    return f"{place}/{split}/seed{e.seed}/{method}"


def prerequisites(experiment: Experiment) -> list[Experiment]:
    """The references that a method starts from or is compared with: their jobs come before."""
    if experiment.method in COMPARED_WITH:
        return []
    before = experiment.original
    return [before, replace(before, method="retrain"), before.gold]


def write_plan(grid: Grid) -> Path:
    """plan.json in the grid's folder, and for every job its notebook's parameters, runs/JOB/parameters.yaml.

    Files are only touched where they change. A job's file names what its numbers depend on besides (settings,
    code), so a job is run again after its preset or its method was edited, and no other.

    Raises:
        ValueError: an impossible grid, or a data set without the folder of its files.
        FileNotFoundError: pretrained weights are not there.
    """
    folder, jobs, experiments = grid.folder, {}, grid.experiments()
    for dataset in dict.fromkeys(e.dataset for e in experiments.values() if e.dataset in data.ORIGINALS):
        if (root := grid.root_of(dataset)) is None or not Path(root).is_dir():
            raise ValueError(f"{dataset} does not come with this project, and its root is {root!r}: name an "
                             "existing folder, as in --config root=/data. "
                             f"`python -m grmu data {dataset}` says more.")
    for name, e in experiments.items():
        first = [experiments[job_name(p)] for p in prerequisites(e)]
        home = folder / "runs" / name
        groups = e.groups if isinstance(e.groups, str) else [list(pair) for pair in e.groups]
        parameters = Parameters(e.dataset, e.method, e.reweight, e.ratios[0], groups, e.seed,
                                overrides=dict(e.overrides), root=e.root, references=bool(first),
                                protocol=e.protocol, tiny=e.tiny, output=str(home))
        chosen = {k: v for k, v in asdict(parameters).items() if k != "lam"} | {"device": grid.device}
        keys = " ".join(run_keys(run).result for run in (e, *first))
        text = yaml.safe_dump(chosen, sort_keys=False)
        _write_changed(home / "parameters.yaml", f"# run again when this changes: {keys}\n{text}")
        settle(folder, name)
        jobs[name] = {"after": [job_name(p) for p in prerequisites(e)], "parameters": chosen}
    path = folder / "plan.json"
    _write_changed(path, json.dumps({"device": grid.device, "jobs": jobs}, indent=1))
    return path


def is_done(folder: Path, job: str) -> bool:
    """Has the job written notebook and numbers with the parameters, and the code, that the plan has now?"""
    home = folder / "runs" / job
    return all((home / name).is_file() for name in (*MADE, "finished.yaml")) and (
        (home / "finished.yaml").read_bytes() == (home / "parameters.yaml").read_bytes())


def settle(folder: Path, job: str) -> None:
    """Order the times of a job's files by what they hold, since Snakemake goes by times, and clocks jump."""
    home = folder / "runs" / job
    made = [home / name for name in MADE if (home / name).is_file()]
    written = (home / "parameters.yaml").stat().st_mtime_ns
    if is_done(folder, job):
        first = min(file.stat().st_mtime_ns for file in made)
        if first < written:
            os.utime(home / "parameters.yaml", ns=(first, first))
    else:
        for file in made:
            if file.stat().st_mtime_ns >= written:
                os.utime(file, (0, 0))


def count(grid: Grid) -> str:
    """How many jobs a grid has, by data set and kind, as a table in text."""
    kinds = Counter((e.dataset, label(e.method, e.reweight)) for e in grid.experiments().values())
    by_dataset = sorted(kinds.items(), key=lambda item: item[0][0])
    lines = [f"{n:6}  {dataset}: {kind}" for (dataset, kind), n in by_dataset]
    return "\n".join([*lines, f"{sum(kinds.values()):6}  runs in all"])


def dry_run(grid: Grid) -> int:
    """Every run of the grid with `Experiment.tiny`, on all cores, in a store that goes afterwards.

    In threads: they share the libraries that one has loaded, and PyTorch's random numbers, for the runs' own
    do not matter. Says what failed and why; returns the exit code.
    """
    experiments = grid.experiments()
    failed: dict[str, str] = {}

    def try_out(name: str) -> None:
        try:
            run(replace(experiments[name], tiny=True), store, grid.device)
        except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
            failed[name] = " ".join(str(error).split())

    with TemporaryDirectory() as store, ThreadPoolExecutor(min(cores(), MOST_AT_ONCE)) as pool:
        done = as_completed([pool.submit(try_out, name) for name in experiments])
        for future in tqdm(done, total=len(experiments), unit="run", leave=False):
            future.result()
    print(f"{len(experiments) - len(failed)} of {len(experiments)} runs went through")
    for name, why in failed.items():
        print(f"  - {name}: {why}")
    return min(len(failed), 1)


def _make(cls: type[Made], settings: object, what: str) -> Made:
    """An instance of a dataclass from a mapping; ValueError for unknown and missing names."""
    if not isinstance(settings, Mapping):
        raise ValueError(f"a {what} must map names to values, but is {settings!r}.")
    names = [f.name for f in fields(cls)]
    for name in settings:
        if name not in names:
            raise ValueError(f"unknown name {name!r} in a {what}: {hint(str(name), names)}")
    required = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
    if missing := [name for name in required if name not in settings]:
        raise ValueError(f"a {what} lacks {', '.join(missing)}.")
    return cls(**settings)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:6]


def _write_changed(path: Path, text: str) -> None:
    """The text as that file, in one step; a file that holds it already keeps its time."""
    if not path.is_file() or path.read_text() != text:
        write_whole(path, text)
