"""Compute the results that ship with the course: all grids and studies, or those named.

    python -m grmu results [--only GRID ...] [--missing] [--jobs 2]

Finished runs are taken from the store, so an interrupted call resumes where it stopped.
"""

from __future__ import annotations

import argparse
import os

from grmu.study import results, studies


def main(argv: list[str]) -> int:
    """Compute the shipped results, all grids and studies or those named."""
    names = [*results.GRIDS, *studies.STUDIES]
    parser = argparse.ArgumentParser(prog="grmu results", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=names, nargs="*", default=names)
    parser.add_argument("--missing", action="store_true",
                        help="only runs that the table lacks, as after adding a method")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4),
                        help="processes that share the work (default: the cores, at most 4)")
    options = parser.parse_args(argv)
    if grids := [name for name in options.only if name in results.GRIDS]:
        print(f"written: {results.compute(grids, jobs=options.jobs, missing=options.missing)}")
    for name in [name for name in options.only if name in studies.STUDIES]:
        print(f"written: {studies.compute(name, jobs=options.jobs)}")
    return 0
