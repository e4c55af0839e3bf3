"""Run a command: python -m grmu COMMAND. `python -m grmu COMMAND --help` explains it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from grmu.data.checks import positive_int
from grmu.experiments.store import StoreError

EXPLAINED = (ValueError, FloatingPointError, OSError, StoreError)  # their messages are written for users
OTHERS = {  # commands whose modules parse their own arguments
    "results": ("analysis.results", "compute the results that ship with the course"),
    "search": ("analysis.search", "score the recorded hyperparameters again, on validation data"),
    "audit": ("analysis.audit", "attack a method with shadow models: does it forget?")}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands. Each command names a function whose arguments are its options."""
    parser = argparse.ArgumentParser(prog="python -m grmu", description="Group-robust machine unlearning.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: str, what: str) -> Callable[..., argparse.Action]:
        added = commands.add_parser(name, help=what, description=what)
        added.set_defaults(call=call)
        return added.add_argument

    add = command("demo", "batch.demo:demo", "run five models on the embedded data and compare them")
    add("--ratio", type=float, default=0.5, help="share of the group to forget, in (0, 1]")
    add("--seeds", type=int, default=3, help="number of seeds; each has its own forget set and training")
    _add_jobs(add)

    add = command("plan", "batch.sweep:plan", "write the plan of a sweep, for workflow/Snakefile")
    add("grid", help="YAML file")
    add = command("dry-run", "batch.sweep:dry_run", "try each run of a grid with a few samples and one epoch")
    add("grid", help="YAML file")
    add("--root", help="folder of the data sets' files, instead of the one in the grid")
    _add_jobs(add)

    add = command("paper", "batch.paper:paper", "reproduce the paper's tables and figures, and compare")
    add("name", nargs="?", help="such as table1, figure5 or claims; without a name, list them all")
    add("--root", help="folder of the data sets' files")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    add("--seeds", type=positive_int, default=3, help="number of seeds (the paper uses 3)")
    add("--protocol", choices=("ours", "released"), default="ours", help="see docs/paper.md")
    add("--on", help="show shipped results instead: embedded, or the name of an embedded data set")
    add("--metrics", choices=("ours", "paper"), default="ours", help="paper: the released code's MIA and EO")
    add("--methods", nargs="+", help="only these methods and the references, such as miu salun")
    add("--tiny", action="store_true", help="try one seed with a few batches of generated pictures")
    add("--output", default="runs/paper", help="folder for the tables, the store and the notebooks")
    add("--rows", help="with claims: use the runs.csv of your own sweep")
    add("--profile", help="Snakemake profile, such as workflow/profiles/slurm")
    add = command("cost", "batch.cost:cost", "estimate the GPU hours and GB of a grid")
    add("grid", help="YAML file")
    add("--images-per-second", type=float, default=5000, help="training speed of one GPU; see `make bench`")
    add("--texts-per-second", type=float, default=1000, help="training speed of one GPU on texts")

    add = command("data", "batch.prepare:prepare", "explain, check and prepare the files of a data set")
    add("name", nargs="?", choices=("celeba", "waterbirds", "fairface", "multinli"), help="omit to list all")
    add("--root", type=Path, help="folder of the files; without it, print what to download")
    add("--cache", action="store_true", help="also create the cache of decoded samples, or verify it")
    add("--repair", action="store_true", help="repair labels that a spreadsheet damaged (FairFace)")
    add("--skip-damaged", action="store_true", help="exclude the damaged pictures, now and in future")
    add("--protocol", choices=("ours", "released"), default="ours", help="which counts and cache to use")
    add = command("weights", "batch.weights:weights", "list or download pretrained weights")
    add("name", nargs="?", choices=("resnet18", "resnet18_timm", "efficientnet_lite0", "bert", "minilm"))
    add("--download", action="store_true", help="download the weights from their authors' site")
    for name, (_, what) in OTHERS.items():
        commands.add_parser(name, help=what)
    return parser


def _add_jobs(add: Callable[..., argparse.Action]) -> None:
    add("--jobs", type=positive_int, default=min(os.cpu_count() or 1, 4), help="number of processes")


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 2 for an error with an explanation, 130 if the user stopped the command.
    """
    given = sys.argv[1:] if argv is None else argv
    try:
        if given and given[0] in OTHERS:
            return import_module(f"grmu.{OTHERS[given[0]][0]}").main(given[1:])
        options = vars(make_parser().parse_args(given))
        module, function = options.pop("call").split(":")
        return getattr(import_module(f"grmu.{module}"), function)(**options)
    except KeyboardInterrupt:
        print("\nStopped. Finished runs are kept.", file=sys.stderr)
        return 130
    except Exception as error:
        explained = explanation(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2


def explanation(error: Exception) -> str | None:
    """Return the message that explains an error, even one raised in a notebook; None if there is none."""
    if isinstance(error, OSError) and error.errno:  # the system's own message names no fix
        return (f"{error.filename or 'a file'} cannot be read or written ({error.strerror}): name a file "
                "that exists, or a folder that is writable and has enough space.")
    if isinstance(error, EXPLAINED):
        return str(error)
    raised_inside = getattr(error, "ename", None) in {kind.__name__ for kind in EXPLAINED}
    return getattr(error, "evalue", None) if raised_inside else None


if __name__ == "__main__":
    sys.exit(main())
