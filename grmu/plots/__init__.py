"""plots: the course's figures, drawn with seaborn in one style; a caption is also the figure's alt text.

Not here: numbers (analysis computes them), controls and live runs (widgets).
May import: data, the core, experiments, analysis.
"""

from grmu.analysis.names import label
from grmu.plots.curves import convergence, epochs, ratio_curve, runs_by_epoch, shares, trajectories
from grmu.plots.estimates import attacks, compare, confidences, forest, intervals, roc, seeds
from grmu.plots.groups import accuracies, clouds, group_change, margins
from grmu.plots.paper import paper_item
from grmu.plots.pictures import group_sheet, hero, samples, show_picture
from grmu.plots.style import COLOURS, GROUP_COLOURS, REWEIGHTED, VERMILION
from grmu.plots.style import caption_of, captioned, colour, facets, group_palette, label_ends, legend_below
from grmu.plots.style import listed, png_of, save, small_png, t_interval, use_style
