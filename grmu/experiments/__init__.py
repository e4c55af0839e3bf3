"""Experiments: describe a run (`Experiment`), compute it (`run`), store it, and compute many at once.

To unlearn from your own model, see `grmu.experiments.unlearning`, which a run does not import.
Not here: questions about many runs (analysis), and figures (plots).
May import: data, the core, methods.
"""

from grmu.experiments.experiment import Experiment
from grmu.experiments.parallel import map_experiments, run_all
from grmu.experiments.run import Result, load_split, run, train_or_load

__all__ = ["Experiment", "Result", "load_split", "map_experiments", "run", "run_all", "train_or_load"]
