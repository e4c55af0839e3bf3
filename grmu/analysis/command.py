"""What the commands of this wing share."""

from __future__ import annotations

import argparse
import os

from grmu.data.arguments import between


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """The option --jobs."""
    parser.add_argument("--jobs", type=between(1), default=min(os.cpu_count() or 1, 4),
                        help="processes that share the work (default: the cores, at most 4)")
