"""Turn a grid of experiments, written in YAML, into the plan that workflow/Snakefile executes.

A grid has an output folder and blocks. Each block is the product of its lists. See docs/paper.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import chain, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from grmu.analysis.printed import ITEMS
from grmu.batch.entry import REFERENCES, Parameters, order, references
from grmu.data import known, require, short_repr
from grmu.data.checks import hint
from grmu.data.files import PACKAGE, write_whole
from grmu.experiments import Experiment, load_split, run_all
from grmu.experiments.run import run_keys

REPOSITORY = PACKAGE.parent
NEEDED = object()
GRID = {"output": NEEDED, "blocks": NEEDED, "device": "cpu", "root": None, "protocol": "ours", "tiny": False}
BLOCK = {"datasets": NEEDED, "methods": NEEDED, "seeds": NEEDED, "ratios": [0.5], "groups": "default",
         "reweight": "both", "overrides": [{}]}
PAPER_BLOCK = {"paper": NEEDED, "seeds": NEEDED, "methods": None}
Grid = dict[str, Any]


def read(source: str) -> Grid:
    """Read a grid from a YAML file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not a grid. The message names the wrong value.
    """
    try:
        found = yaml.safe_load(Path(source).read_text("utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError(f"{source} must be a YAML file such as workflow/embedded.yaml "
                         f"({' '.join(str(error).split())}).") from error
    grid = _complete(found, GRID, "grid")
    require(isinstance(to := grid["output"], str) and to, f"output must be the path of a folder, got {to!r}.")
    require(grid["device"] in ("cpu", "cuda"), f"device must be 'cpu' or 'cuda', got {grid['device']!r}.")
    _check_list("blocks", grid["blocks"])
    return grid


def experiments(grid: Grid) -> dict[str, Experiment]:
    """Return each run of a grid once, by the name of its job, with the references first.

    Raises:
        ValueError: A run is impossible. The message has the number of its block.
    """
    runs: dict[str, Experiment] = {}
    for number, block in enumerate(grid["blocks"], 1):
        try:
            for experiment in _of_block(block, grid):
                runs.setdefault(job_name(experiment), experiment)
        except ValueError as error:
            raise ValueError(f"block {number}: {error}") from error
    return dict(sorted(runs.items(), key=lambda item: order(item[1].method)))


def names(e: Experiment) -> dict[str, str]:
    """Return the names from which Snakemake's `Paramspace` builds a job's folder.

    All splits share PRETRAIN, so its folder does not depend on the split.
    """
    groups = e.groups if isinstance(e.groups, str) else "+".join(f"{y}.{a}" for y, a in e.groups)
    split = "all" if e.method == "pretrain" else f"{e.ratio:.6g}-{groups}"
    settings = "".join(f"-{name}={value}" for name, value in sorted(e.overrides.items()))
    return {"protocol": e.protocol + "-tiny" * e.tiny, "dataset": e.dataset, "split": split,
            "seed": str(e.seed), "run": e.method + "-reweight" * e.reweight + settings}


def job_name(experiment: Experiment) -> str:
    """Return a job's name, such as "ours/celeba/0.5-default/0/miu-reweight"."""
    return "/".join(names(experiment).values())


def prerequisites(experiment: Experiment) -> list[Experiment]:
    """Return the references that a method starts from or is compared with."""
    return [] if experiment.method in REFERENCES else references(experiment.original)


def plan(grid: str) -> int:
    """Write plan.json into the grid's folder, with the names, parameters, key and prerequisites of each job.

    A job is done again when its key changes, which happens when its settings, its data or the code change.

    Args:
        grid: Path of the YAML file.

    Raises:
        ValueError: A run is impossible.
        FileNotFoundError: Data or pretrained weights are missing.
    """
    settings = read(grid)
    runs = experiments(settings)
    for e in {(e.dataset, e.groups, e.network): e for e in runs.values()}.values():
        load_split(e)  # raises an error if the groups or the network do not fit the data
    jobs, places = [], list(runs)
    for e in runs.values():
        before = prerequisites(e)
        parameters = {f.name: getattr(e, f.name) for f in fields(Parameters) if hasattr(e, f.name)}
        keys = [run_keys(needed).result for needed in (e, *before)]
        jobs.append({"names": names(e), "key": " ".join(keys),
                     "parameters": parameters | {"references": bool(before), "device": settings["device"]},
                     "after": [places.index(job_name(needed)) for needed in before]})
    path = (REPOSITORY / settings["output"]).resolve() / "plan.json"
    write_whole(path, json.dumps(jobs, indent=1))
    print(path)
    return 0


def dry_run(grid: str, root: str | None, jobs: int) -> int:
    """Try each run of a grid with a few samples and one epoch. Nothing is kept, and the first error ends it.

    Args:
        grid: Path of the YAML file.
        root: Folder of the data sets' files. None uses the one in the grid.
        jobs: Number of processes.
    """
    settings = read(grid)
    settings["root"] = root or settings["root"]
    runs = [replace(e, tiny=True) for e in experiments(settings).values()]
    with TemporaryDirectory() as store:
        run_all(runs, store, jobs=jobs)
    print(f"All {len(runs)} runs succeeded.")
    return 0


def _of_block(block: Any, grid: Grid) -> Iterator[Experiment]:
    if isinstance(block, Mapping) and "paper" in block:  # a block of the paper's tables and figures
        block = _complete(block, PAPER_BLOCK, "block")
        names = list(ITEMS) if block["paper"] == "all" else block["paper"]
        _check_list("paper", names)
        _check_list("seeds", block["seeds"])
        for name in names:
            known("table or figure", name, ITEMS)
            item = ITEMS[name].of_methods(block["methods"])
            of_row = item.runs(block["seeds"], protocol=grid["protocol"], tiny=grid["tiny"])
            for e in chain(*of_row.values()):
                e = replace(e, root=_root(grid, e.dataset))
                yield from (e, *prerequisites(e))
        return
    for parameters in _expand(_complete(block, BLOCK, "block"), grid):
        yield from parameters.experiments()


def _root(grid: Grid, dataset: str) -> str | None:
    root = grid["root"].get(dataset) if isinstance(grid["root"], Mapping) else grid["root"]
    return str((REPOSITORY / root).resolve()) if isinstance(root, str) else root


def _expand(block: dict[str, Any], grid: Grid) -> Iterator[Parameters]:
    for name in ("datasets", "methods", "seeds", "ratios"):
        _check_list(name, block[name])
    overrides, groups = block["overrides"], block["groups"]
    if not isinstance(overrides, list):
        overrides = [overrides]
    _check_list("overrides", overrides)
    if isinstance(groups, Mapping):
        require(set(groups) == {"y", "a"} and all(isinstance(v, list) for v in groups.values()),
                f"groups must be a name, pairs (y, a), or lists y and a, got {groups!r}.")
        groups = [list(pair) for pair in product(groups["y"], groups["a"])]
    for dataset, seed, ratio, changed, method in product(block["datasets"], block["seeds"], block["ratios"],
                                                         overrides, block["methods"]):
        yield Parameters(dataset, method, block["reweight"], ratio, groups, seed, overrides=changed,
                         root=_root(grid, dataset), protocol=grid["protocol"], tiny=grid["tiny"])


def _complete(given: object, defaults: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return settings completed with defaults; ValueError if a name is unknown or missing."""
    require(isinstance(given, Mapping), f"a {what} must map names to values, got {short_repr(given)}.")
    settings = {**defaults, **given}  # type: ignore[dict-item]  # checked above
    for name in settings:
        require(name in defaults, f"unknown name {name!r} in a {what}: {hint(name, defaults)}")
    missing = [name for name, value in settings.items() if value is NEEDED]
    require(not missing, f"a {what} lacks {', '.join(missing)}.")
    return settings


def _check_list(name: str, values: object) -> None:
    require(isinstance(values, list) and values, f"{name} must be a list that is not empty, got {values!r}.")
