"""grmu: group-robust machine unlearning, the package behind the course's notebooks (start with notebooks/00_start_here)."""

import os

# Threads that wait for each other by spinning bring a busy machine to a halt: wait asleep. Read when torch is first loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from grmu.experiment import Experiment, Result, run, run_all

__all__ = ["Experiment", "Result", "run", "run_all"]
__version__ = "0.1.0"
