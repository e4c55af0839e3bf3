"""grmu: group-robust machine unlearning, the package behind the course's notebooks (start with
notebooks/00_start_here)."""

import os
from importlib import import_module
from types import ModuleType

# Threads that wait for each other spin; on a busy machine that brings all work to a halt, asleep they wake
# late. Spinning briefly costs little either way. Read when torch is first loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from grmu.runs import Experiment, Result, run, run_all, unlearn

__all__ = ["Experiment", "Result", "run", "run_all", "unlearn"]
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """`grmu.mine`, which nothing above needs, is there as `grmu.reweight` is."""
    if name == "mine":
        return import_module("grmu.mine")
    raise AttributeError(f"module 'grmu' has no attribute {name!r}")
