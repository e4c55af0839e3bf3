"""Compute the results that ship with the course: all grids and studies, or those named.

    python -m grmu results [--only GRID ...] [--missing] [--jobs 2]

Finished runs are taken from the store, so an interrupted call resumes where it stopped.
"""

from __future__ import annotations

from grmu.analysis import grids, results, studies
from grmu.analysis.command import add_jobs
from grmu.data.arguments import Parser


def main(argv: list[str]) -> int:
    """Compute the shipped results, all grids and studies or those named."""
    names = [*grids.GRIDS, *studies.STUDIES]
    parser = Parser(prog="python -m grmu results", description=__doc__)
    parser.add_argument("--only", choices=names, nargs="+", default=names)
    parser.add_argument("--missing", action="store_true",
                        help="only runs that the table lacks, as after adding a method")
    add_jobs(parser)
    options = parser.parse_args(argv)
    if chosen := [name for name in options.only if name in grids.GRIDS]:
        print(f"written: {results.compute(chosen, jobs=options.jobs, missing=options.missing)}")
    for name in [name for name in options.only if name in studies.STUDIES]:
        print(f"written: {studies.compute(name, jobs=options.jobs)}")
    return 0
