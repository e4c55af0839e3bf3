"""One look for all figures: colours that mean one thing, titles, and captions that are also the alt text.

A figure's title states its finding in words. Its caption has the numbers: a notebook shows it below the
figure, and it is the picture's alt text.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.core.getipython import get_ipython
from IPython.core.pylabtools import print_figure
from IPython.display import HTML, Image, display
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image as Pictures

from grmu.analysis.compare import LEAST_SEEDS, interval

# After Okabe and Ito. Vermilion is the group that requests deletion; grey is the original model; black is the
# gold standard and its family. In every kind of colour blindness the groups' first four differ in lightness
# (tests/test_colours.py).
VERMILION = "#D55E00"
GROUP_COLOURS = ["#0072B2", "#56B4E9", "#18512C", "#06045B", "#8CCBB8", "#3B8EC2", "#00664B"]
COLOURS = {"pretrain": "#646464", "retrain": "#000000", "group_dro": "#E69F00",
           "group_dro_pretrain": "#B97F00", "rwg": "#C7822E", "subg": "#8F6A1E", "finetune": "#99A025",
           "l1_sparse": "#7B4B94", "salun": "#882255", "scrub": "#B5651D", "miu": "#CC79A7",
           "miu_released": "#9C5C86", "gradient_ascent": "#6B6B00", "random_labels": "#A04070",
           "bad_teacher": "#C2A000", "boundary_shrink": "#8C564B", "boundary_expand": "#B98B82",
           "ssd": "#5E4B8B", "influence": "#A08CC8", "adjust": "#3F3F3F"}
REWEIGHTED = {"without REWEIGHT": "#B08A2E", "with REWEIGHT": "#1B7F79"}
RC = {"figure.figsize": (8, 4.2), "figure.dpi": 85, "savefig.dpi": 200, "figure.constrained_layout.use": True,
      "axes.titlelocation": "left", "axes.titlesize": 12, "axes.edgecolor": "0.75", "grid.color": "0.92",
      "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def use_style() -> None:
    """Set the course's look; in a notebook, figures are shown sharp, with their captions."""
    sns.set_theme(context="notebook", style="whitegrid", rc=RC)
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        shell.display_formatter.ipython_display_formatter.for_type(Figure, _show)


def _show(figure: Figure) -> None:
    """Display a figure with its caption, which is also its alt text."""
    words = caption_of(figure)
    png = print_figure(figure, "png", dpi=2 * figure.dpi)
    display(Image(png, format="png", retina=True, alt=words),
            HTML(f'<p style="max-width: 50em; font-size: 90%">{escape(words)}</p>'))


def caption_of(figure: Figure) -> str:
    """Return the caption of a figure, or its titles if it has none."""
    titles = [figure.get_suptitle(), *(ax.get_title(loc="left") for ax in figure.axes)]
    return str(figure.get_label()) or " ".join(" ".join(filter(None, titles)).split())


def captioned(figure: Figure, title: str, caption: str) -> Figure:
    """Give a figure its title (a finding, in words) and its caption (the numbers).

    Args:
        figure: any matplotlib figure.
        title: shown above it, from the left edge.
        caption: shown below it in a notebook, and its alt text everywhere.

    Returns:
        The same figure.
    """
    figure.set_layout_engine("constrained")
    lines = fill(title, round(8.5 * figure.get_figwidth()))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.set_label(caption)
    return figure


def listed(values: Mapping[str, float] | pd.Series, digits: int = 0, sign: str = "") -> str:
    """Return named numbers as a part of a caption: "RETRAIN 12, MIU 58"; of many, the two ends."""
    numbers = pd.Series(values)
    if len(numbers) > 12:
        numbers = numbers.sort_values(kind="stable").iloc[[0, -1]]
    words = [" ".join(f"{name} {value:{sign}.{digits}f}".split()) for name, value in numbers.items()]
    return ", ".join(words) if len(values) <= 12 else f"from {words[0]} to {words[1]}"


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, for seaborn's `errorbar`; of few values, no interval."""
    ends = interval(list(values))
    return (ends.low, ends.high) if ends.n >= LEAST_SEEDS else (ends.mean, ends.mean)


def seeds_in_words(n: int) -> str:
    """Return what dots with error bars over n seeds are, for a caption."""
    return ("means and 95 % intervals over" if n >= LEAST_SEEDS else "mean of") + f" {n} seed{'s' * (n > 1)}"


def colour(method: str) -> str:
    """Return a method's colour; a method that the course does not know is violet."""
    return COLOURS.get(method, "#7F3C8D")


def group_palette(names: Sequence[str], forget: Collection[str]) -> dict[str, str]:
    """Return the colour of each group by its name: vermilion for those that request deletion."""
    hues = (GROUP_COLOURS[i % len(GROUP_COLOURS)] for i in range(len(names)))
    return {name: VERMILION if name in forget else hue for name, hue in zip(names, hues, strict=True)}


def panels(n: int, width: float, height: float, **shared: Any) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with n axes side by side."""
    figure, axes = plt.subplots(1, n, figsize=(width, height), squeeze=False, **shared)
    return figure, axes[0]


def facets(rows: pd.DataFrame, **how: Any) -> sns.FacetGrid:
    """Return a grid of seaborn's, which lays out its panels itself until `captioned` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the change of layout
        return sns.FacetGrid(rows, **how)


def label_ends(ax: Axes, ends: Mapping[str, tuple[float, str]], gap: float = 0.08) -> None:
    """Write names beside the right ends of lines, at least `gap` of the axes' height apart.

    Args:
        ax: the axes, with their final limits.
        ends: by name, the height of the line's end and its colour.
        gap: between two names.
    """
    low, high = ax.get_ylim()
    rows = sorted((end, name, hue) for name, (end, hue) in ends.items())
    places = [(end - low) / (high - low) for end, _, _ in rows]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + gap)
    shift = max(0.0, places[-1] - 1.02)
    for place, (_, name, hue) in zip(places, rows, strict=True):
        ax.text(1.02, place - shift, name, transform=ax.transAxes, color=hue, va="center")


def legend_below(figure: Figure, axes: Sequence[Axes], xlabel: str = "") -> None:
    """Put one legend for all panels below the figure, under a label that their x axes share."""
    handles, names = axes[0].get_legend_handles_labels()
    for ax in axes:
        if (legend := ax.get_legend()) is not None:
            legend.remove()
    once = dict(zip(names, handles, strict=True))
    legend = figure.legend(list(once.values()), list(once), loc="outside lower center", title=xlabel or None,
                           ncols=4 if sum(map(len, once)) < 9 * figure.get_figwidth() else 2)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):  # the small dots of a cloud
            handle.set(sizes=[40], alpha=1)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG in 256 colours, a third of the size."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, bbox_inches="tight")
    path.write_bytes(small_png(Pictures.open(drawn)))


def small_png(picture: Pictures.Image) -> bytes:
    """Return a picture as a PNG in 256 colours."""
    small = BytesIO()
    picture.convert("RGB").quantize(256, dither=Pictures.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def png_of(figure: Figure) -> tuple[bytes, str]:
    """Return a figure as a PNG at twice its size on screen, and that size in pixels, for an image widget."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=2 * figure.dpi)
    return file.getvalue(), str(round(figure.get_figwidth() * figure.dpi))
