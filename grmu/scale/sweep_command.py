"""python -m grmu sweep: the jobs of a grid, what they cost, and the report of what is done.
workflow/Snakefile calls it.

    python -m grmu sweep plan workflow/paper.yaml --count
    python -m grmu sweep cost workflow/paper.yaml --images-per-second 5000
    python -m grmu sweep cost workflow/paper.yaml --bench bench.json
    python -m grmu sweep dry-run workflow/paper.yaml --root /data
    python -m grmu sweep report FOLDER
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grmu.data.arguments import Parser, between
from grmu.scale import sweep


def main(argv: list[str]) -> int:
    """Run one of the four; the exit code."""
    parser = Parser(prog="python -m grmu sweep", description="A grid of experiments as jobs.")
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="write the jobs of a grid, or count them")
    plan.add_argument("--count", action="store_true",
                      help="write nothing, say how many runs of which kind there are")
    cost = commands.add_parser("cost", help="GPU hours and GB of a grid, from a measured throughput")
    cost.add_argument("--bench", type=Path, metavar="FILE",
                      help="that `python -m grmu bench --scale --out FILE` wrote, in place of the next two")
    cost.add_argument("--images-per-second", type=float, help="trained by one GPU (forward, backward, step)")
    cost.add_argument("--texts-per-second", type=float, help="the same for MultiNLI")
    cost.add_argument("--gpus", type=between(1), default=1, help="that share the work")
    dry = commands.add_parser("dry-run", help="every run of a grid with a few samples and one epoch, to see "
                              "that it goes through; nothing is kept")
    dry.add_argument("--root", help="folder of the data sets' files, in place of the grid's")
    for command in (plan, cost, dry):
        command.add_argument("grid", help="YAML file, - for JSON from standard input")
    report = commands.add_parser("report", help="write the tables and the report of what is done")
    report.add_argument("folder", type=Path, help="of the sweep: its grid's output")
    options = parser.parse_args(argv)
    if options.command == "plan":
        grid = sweep.read(options.grid)
        print(sweep.count(grid) if options.count else sweep.write_plan(grid))
    elif options.command == "dry-run":
        grid = sweep.read(options.grid)
        return sweep.dry_run(grid if options.root is None else replace(grid, root=options.root, device="cpu"))
    elif options.command == "cost":
        from grmu.scale import cost_sheet, sweep_cost  # seconds to import, and every sweep begins with a plan

        speeds, source = sweep_cost.typed(options.images_per_second, options.texts_per_second), ""
        if options.bench and speeds:
            parser.error("--bench, which has all speeds, must be given without --images-per-second and "
                         "--texts-per-second: leave out one or the other")
        if options.bench:
            speeds, source = sweep_cost.read_bench(options.bench)
        runs = sweep_cost.runs(sweep.read(options.grid), speeds)
        parts = source, sweep_cost.estimate(runs, options.gpus), cost_sheet.sheet(runs)
        print(*filter(None, parts), sep="\n\n")
    else:
        from grmu.scale import sweep_report

        print(sweep_report.write(options.folder))
    return 0
