"""experiments: what to run (`Experiment`), running it (`run`), storing it, many at once, your own model.

Not here: questions about many runs (analysis), and figures.
May import: data, the core, methods.
"""

from importlib import import_module
from typing import Any

from grmu.experiments.experiment import Experiment
from grmu.experiments.run import Result, load_split, run, train_or_load

__all__ = ["Experiment", "Result", "Unlearned", "load_split", "map_experiments", "run", "run_all",
           "train_or_load", "unlearn"]
_LATER = {"map_experiments": "parallel", "run_all": "parallel", "Unlearned": "unlearning",
          "unlearn": "unlearning"}


def __getattr__(name: str) -> Any:
    """Import names that a single run does not need when they are first used."""
    if name in _LATER:
        return getattr(import_module(f"grmu.experiments.{_LATER[name]}"), name)
    raise AttributeError(f"module 'grmu.experiments' has no attribute {name!r}")
