"""Sweeps: a grid of experiments, in YAML, becomes the plan that workflow/Snakefile carries out.

A grid has an output folder and blocks; a block is the product of its lists. See docs/sweeps.md.
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
        OSError: There is no such file.
        ValueError: It is no grid; the message names the value.
    """
    try:
        found = yaml.safe_load(Path(source).read_text("utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError(f"{source} must be a YAML file such as workflow/embedded.yaml "
                         f"({' '.join(str(error).split())}).") from error
    grid = _complete(found, GRID, "grid")
    require(isinstance(to := grid["output"], str) and to, f"output must be the name of a folder, got {to!r}.")
    require(grid["device"] in ("cpu", "cuda"), f"device must be 'cpu' or 'cuda', got {grid['device']!r}.")
    _check_list("blocks", grid["blocks"])
    return grid


def experiments(grid: Grid) -> dict[str, Experiment]:
    """Return every run of a grid once, by its job, references first.

    Raises:
        ValueError: A run is impossible; the message has the number of its block.
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
    """Return the names that Snakemake's `Paramspace` makes a job's folder of; all splits share PRETRAIN."""
    groups = e.groups if isinstance(e.groups, str) else "+".join(f"{y}.{a}" for y, a in e.groups)
    split = "all" if e.method == "pretrain" else f"{e.ratio:.6g}-{groups}"
    settings = "".join(f"-{name}={value}" for name, value in sorted(e.overrides.items()))
    return {"protocol": e.protocol + "-tiny" * e.tiny, "dataset": e.dataset, "split": split,
            "seed": str(e.seed), "run": e.method + "-reweight" * e.reweight + settings}


def job_name(experiment: Experiment) -> str:
    """Return a job's name, such as "ours/celeba/0.5-default/0/miu-reweight"."""
    return "/".join(names(experiment).values())


def prerequisites(experiment: Experiment) -> list[Experiment]:
    """Return the references of a method, which it starts from or is compared with."""
    return [] if experiment.method in REFERENCES else references(experiment.original)


def plan(grid: str) -> int:
    """Write plan.json into the grid's folder: the jobs, each with its names, parameters, key, predecessors.

    A job is done again when its key changes, as it does with its settings, its data, or the code.

    Raises:
        ValueError: A run is impossible.
        FileNotFoundError: Data or pretrained weights are missing.
    """
    settings = read(grid)
    runs = experiments(settings)
    for e in {(e.dataset, e.groups, e.network): e for e in runs.values()}.values():
        load_split(e)  # checks that groups and network fit the data
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
    """Do every run of a grid with a few samples and one epoch, and keep nothing; the first error ends it."""
    settings = read(grid)
    settings["root"] = root or settings["root"]
    runs = [replace(e, tiny=True) for e in experiments(settings).values()]
    with TemporaryDirectory() as store:
        run_all(runs, store, jobs=jobs)
    print(f"{len(runs)} of {len(runs)} runs went through")
    return 0


def _of_block(block: Any, grid: Grid) -> Iterator[Experiment]:
    if isinstance(block, Mapping) and "paper" in block:  # its tables and figures, by name
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
    """Return a grid's or block's settings with defaults; ValueError for unknown and missing names."""
    require(isinstance(given, Mapping), f"a {what} must map names to values, got {short_repr(given)}.")
    settings = {**defaults, **given}  # type: ignore[dict-item]  # it is a mapping
    for name in settings:
        require(name in defaults, f"unknown name {name!r} in a {what}: {hint(name, defaults)}")
    missing = [name for name, value in settings.items() if value is NEEDED]
    require(not missing, f"a {what} lacks {', '.join(missing)}.")
    return settings


def _check_list(name: str, values: object) -> None:
    require(isinstance(values, list) and values, f"{name} must be a list that is not empty, got {values!r}.")
