"""runs: what is asked (`Experiment`), what it is called, doing it (`run`), where it is kept, many at once.

Not here: questions over many runs (study), anything drawn or written for readers. May import: data, the core.
"""

from grmu.runs.experiment import Experiment
from grmu.runs.parallel import map_experiments, run_all
from grmu.runs.runner import Result, load_split, run, trained
from grmu.runs.unlearning import Unlearned, unlearn

__all__ = ["Experiment", "Result", "Unlearned", "load_split", "map_experiments", "run", "run_all", "trained",
           "unlearn"]
