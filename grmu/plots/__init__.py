"""Draw the course's figures with seaborn, in one style; each caption is also the figure's alt text.

The numbers are computed in `analysis`, and the controls and live runs are in `widgets`.
This subpackage may import data, the core, experiments and analysis.
"""

from grmu.analysis.names import label
from grmu.plots.curves import convergence, epochs, ratio_curve, runs_by_epoch, shares, trajectories
from grmu.plots.estimates import attacks, compare, confidences, forest, intervals, roc, seeds
from grmu.plots.groups import accuracies, clouds, group_change, margins
from grmu.plots.paper import paper_item
from grmu.plots.pictures import group_sheet, hero, samples
from grmu.plots.style import COLOURS, GROUP_COLOURS, REWEIGHTED, VERMILION
from grmu.plots.style import caption_of, captioned, colour, group_palette, label_ends, listed, png_of, save
from grmu.plots.style import small_png, use_style
