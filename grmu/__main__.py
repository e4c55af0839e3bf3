"""python -m grmu COMMAND: what the Makefile calls. `python -m grmu COMMAND --help` explains a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from grmu.data.checks import positive_int
from grmu.experiments.store import StoreError

EXPLAINED = (ValueError, FloatingPointError, OSError, StoreError)  # raised with a sentence for the user
OTHERS = {  # commands whose modules read their own arguments
    "results": ("analysis.results", "compute the results that ship with the course"),
    "search": ("analysis.search", "score the recorded hyperparameters again, on validation data"),
    "audit": ("analysis.audit", "attack a method, sample by sample: is it forgotten?")}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each names the function to call, whose arguments its options are."""
    parser = argparse.ArgumentParser(prog="python -m grmu", description="Group-robust machine unlearning.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: str, what: str) -> Callable[..., argparse.Action]:
        added = commands.add_parser(name, help=what, description=what)
        added.set_defaults(call=call)
        return added.add_argument

    add = command("demo", "batch.demo:demo", "run five models on the embedded data and compare them")
    add("--ratio", type=float, default=0.5, help="share of the group that is forgotten, in (0, 1]")
    add("--seeds", type=int, default=3, help="how many seeds: forget sets and trainings")
    _add_jobs(add)

    add = command("plan", "batch.sweep:plan", "write the jobs of a grid; workflow/Snakefile calls it")
    add("grid", help="YAML file")
    add = command("dry-run", "batch.sweep:dry_run", "every run of a grid with a few samples and one epoch")
    add("grid", help="YAML file")
    add("--root", help="folder of the data sets' files, in place of the grid's")
    _add_jobs(add)

    add = command("paper", "batch.paper:paper", "the paper's tables and figures, your results beside its own")
    add("name", nargs="?", help="such as table1 or figure5, or claims; none lists them")
    add("--root", help="folder of the data sets' files")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    add("--seeds", type=positive_int, default=3, help="how many seeds (the paper: 3)")
    add("--protocol", choices=("ours", "released"), default="ours", help="see docs/full-scale.md")
    add("--on", help="show shipped results instead: embedded, or one of the embedded data sets")
    add("--metrics", choices=("ours", "paper"), default="ours", help="paper: the released code's MIA and EO")
    add("--methods", nargs="+", help="only these and the references, such as miu salun")
    add("--tiny", action="store_true", help="one seed, a few batches of generated pictures: does it work?")
    add("--output", default="runs/paper", help="folder of the tables, the store and the notebooks")
    add("--rows", help="with claims: judge the runs.csv of your own sweep")
    add("--profile", help="Snakemake's, such as workflow/profiles/slurm")
    add = command("cost", "batch.cost:cost", "GPU hours and GB of a grid")
    add("grid", help="YAML file")
    add("--images-per-second", type=float, default=5000, help="trained by one GPU; `make bench` measures it")
    add("--texts-per-second", type=float, default=1000, help="the same for texts")

    add = command("data", "batch.prepare:prepare", "what to download for a data set; check and prepare it")
    add("name", nargs="?", choices=("celeba", "waterbirds", "fairface", "multinli"), help="none lists them")
    add("--root", type=Path, help="its folder; without one, says what to download and how it must look")
    add("--cache", action="store_true", help="also make the cache of decoded samples, or verify it")
    add("--repair", action="store_true", help="repair labels that a spreadsheet damaged (FairFace)")
    add("--skip-damaged", action="store_true", help="go on without the damaged pictures, from now on")
    add("--protocol", choices=("ours", "released"), default="ours", help="whose counts and cache")
    add = command("weights", "batch.weights:weights", "which pretrained weights are there; download some")
    add("name", nargs="?", choices=("resnet18", "resnet18_timm", "efficientnet_lite0", "bert", "minilm"))
    add("--download", action="store_true", help="fetch them from where their authors publish them")
    for name, (_, what) in OTHERS.items():
        commands.add_parser(name, help=what)
    return parser


def _add_jobs(add: Callable[..., argparse.Action]) -> None:
    add("--jobs", type=positive_int, default=min(os.cpu_count() or 1, 4), help="processes sharing the work")


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code, 2 for an error with an explanation, 130 when stopped."""
    given = sys.argv[1:] if argv is None else argv
    try:
        if given and given[0] in OTHERS:
            return import_module(f"grmu.{OTHERS[given[0]][0]}").main(given[1:])
        options = vars(make_parser().parse_args(given))
        module, function = options.pop("call").split(":")
        return getattr(import_module(f"grmu.{module}"), function)(**options)
    except KeyboardInterrupt:
        print("\nstopped; finished runs are kept", file=sys.stderr)
        return 130
    except Exception as error:
        explained = explanation(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2


def explanation(error: Exception) -> str | None:
    """Return the sentence that explains an error, also one of a notebook; None if it has none."""
    if isinstance(error, OSError) and error.errno:  # the system's own, without a fix
        return (f"{error.filename or 'a file'} cannot be read or written ({error.strerror}): name a file "
                "that exists, or a folder that you can write to and that has space.")
    if isinstance(error, EXPLAINED):
        return str(error)
    raised_inside = getattr(error, "ename", None) in {kind.__name__ for kind in EXPLAINED}
    return getattr(error, "evalue", None) if raised_inside else None


if __name__ == "__main__":
    sys.exit(main())
