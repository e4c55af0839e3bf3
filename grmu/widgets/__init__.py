"""Show the explorer, live runs, and figures with controls in a notebook.

Figures are drawn in `plots`, guesses and checks are in `course`, and the explorer's JavaScript sources are in
docs/explorer. This subpackage may import data, the core, experiments, analysis and plots.
"""

from grmu.widgets.demo import demo
from grmu.widgets.explorer import Explorer, explore
from grmu.widgets.live import Live
from grmu.widgets.model_changes import ModelChanges

__all__ = ["Explorer", "Live", "ModelChanges", "demo", "explore"]
