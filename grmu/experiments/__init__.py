"""experiments: what to run (`Experiment`), running it (`run`), storing it, many at once, your own model.

Your own model is `grmu.unlearn`, in `grmu.experiments.unlearning`: a run does not load it.
Not here: questions about many runs (analysis), and figures.
May import: data, the core, methods.
"""

from grmu.experiments.experiment import Experiment
from grmu.experiments.parallel import map_experiments, run_all
from grmu.experiments.run import Result, load_split, run, train_or_load

__all__ = ["Experiment", "Result", "load_split", "map_experiments", "run", "run_all", "train_or_load"]
