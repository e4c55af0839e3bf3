"""widgets: the explorer, live runs, and controls above figures.

Not here: figures (plots), guesses and checks (course); the explorer's JavaScript is in docs/explorer.
May import: data, the core, experiments, analysis, plots.
"""

from grmu.widgets.demo import demo
from grmu.widgets.explorer import Explorer, explore
from grmu.widgets.live import Live
from grmu.widgets.model_changes import ModelChanges

__all__ = ["Explorer", "Live", "ModelChanges", "demo", "explore"]
