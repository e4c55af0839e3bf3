"""grmu: group-robust machine unlearning, the package behind the course (see notebooks/00_start_here)."""

import os
from importlib import import_module
from typing import Any

# Spinning threads stall a busy machine; sleeping threads resume late. Read when torch is first loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from grmu.experiments import Experiment, Result, run, run_all

__all__ = ["Experiment", "Result", "compare", "run", "run_all", "unlearn"]
__version__ = "0.1.0"

LAZY = {"unlearn": "grmu.experiments.unlearning", "Unlearned": "grmu.experiments.unlearning",  # name: module
        "compare": "grmu.analysis.own", "Comparison": "grmu.analysis.own"}


def __getattr__(name: str) -> Any:
    """Import what is for a network of your own when it is first used."""
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    raise AttributeError(f"module 'grmu' has no attribute {name!r}")
