"""grmu: group-robust machine unlearning, the package behind the course's notebooks (start with notebooks/00_start_here)."""

from grmu.experiment import Experiment, Result, run, run_all

__all__ = ["Experiment", "Result", "run", "run_all"]
__version__ = "0.1.0"
