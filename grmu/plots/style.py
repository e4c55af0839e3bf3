"""Give all figures the same style, with one meaning per colour.

The title of a figure states its finding in words. The caption gives the numbers; a notebook shows it below
the figure, and it is also the alt text.
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

# The colours are based on the palette of Okabe and Ito. Vermilion is the group that requests deletion, grey
# is the original model, and black is retraining. The first four group colours differ in lightness, so they
# remain distinguishable in every kind of colour blindness (tests/test_colours.py).
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
    """Set the course's style, and make notebooks show each figure sharply and with its caption."""
    sns.set_theme(context="notebook", style="whitegrid", rc=RC)
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        shell.display_formatter.ipython_display_formatter.for_type(Figure, _show)


def _show(figure: Figure) -> None:
    """Display a figure with its caption below it, and use the caption as the alt text."""
    words = caption_of(figure)
    png = print_figure(figure, "png", dpi=2 * figure.dpi)
    display(Image(png, format="png", retina=True, alt=words),
            HTML(f'<p style="max-width: 50em; font-size: 90%">{escape(words)}</p>'))


def caption_of(figure: Figure) -> str:
    """Return the caption of a figure, or its titles if it has no caption."""
    titles = [figure.get_suptitle(), *(ax.get_title(loc="left") for ax in figure.axes)]
    return str(figure.get_label()) or " ".join(" ".join(filter(None, titles)).split())


def captioned(figure: Figure, title: str, caption: str) -> Figure:
    """Set a figure's title and caption.

    Args:
        figure: Any matplotlib figure.
        title: The finding in words, shown above the figure.
        caption: The numbers, shown below the figure in a notebook and used as its alt text everywhere.

    Returns:
        The same figure.
    """
    figure.set_layout_engine("constrained")
    lines = fill(title, round(8.5 * figure.get_figwidth()))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.set_label(caption)
    return figure


def listed(values: Mapping[str, float] | pd.Series, digits: int = 0, sign: str = "") -> str:
    """List named numbers for a caption ("RETRAIN 12, MIU 58"), or the extremes if there are over 12.

    Args:
        values: The numbers by name.
        digits: The number of decimals.
        sign: "+" to show the sign of positive numbers too.
    """
    numbers = pd.Series(values)
    if len(numbers) > 12:
        numbers = numbers.sort_values(kind="stable").iloc[[0, -1]]
    words = [" ".join(f"{name} {value:{sign}.{digits}f}".split()) for name, value in numbers.items()]
    return ", ".join(words) if len(values) <= 12 else f"from {words[0]} to {words[1]}"


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean for seaborn's `errorbar`, or just the mean for too few values."""
    ends = interval(list(values))
    return (ends.low, ends.high) if ends.n >= LEAST_SEEDS else (ends.mean, ends.mean)


def seeds_in_words(n: int) -> str:
    """Explain dots with error bars over n seeds, for a caption."""
    return ("means and 95 % intervals over" if n >= LEAST_SEEDS else "mean of") + f" {n} seed{'s' * (n > 1)}"


def colour(method: str) -> str:
    """Return a method's colour, which is violet for a method that is not part of the course."""
    return COLOURS.get(method, "#7F3C8D")


def group_palette(names: Sequence[str], forget: Collection[str]) -> dict[str, str]:
    """Return the colour of each group by its name, with vermilion for groups that request deletion."""
    hues = (GROUP_COLOURS[i % len(GROUP_COLOURS)] for i in range(len(names)))
    return {name: VERMILION if name in forget else hue for name, hue in zip(names, hues, strict=True)}


def panels(n: int, width: float, height: float, **shared: Any) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with n axes side by side."""
    figure, axes = plt.subplots(1, n, figsize=(width, height), squeeze=False, **shared)
    return figure, axes[0]


def facets(rows: pd.DataFrame, **how: Any) -> sns.FacetGrid:
    """Return a seaborn grid without the warning that its layout engine differs from ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return sns.FacetGrid(rows, **how)


def label_ends(ax: Axes, ends: Mapping[str, tuple[float, str]], gap: float = 0.08) -> None:
    """Write the name of each line beside its right end, without overlaps.

    Args:
        ax: The axes, with their final limits.
        ends: The y value of each line's end, and the line's colour, by name.
        gap: The smallest distance between two names, as a fraction of the height of the axes.
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
    """Put one legend for all panels below the figure, with their shared x label as its title."""
    handles, names = axes[0].get_legend_handles_labels()
    for ax in axes:
        if (legend := ax.get_legend()) is not None:
            legend.remove()
    once = dict(zip(names, handles, strict=True))
    legend = figure.legend(list(once.values()), list(once), loc="outside lower center", title=xlabel or None,
                           ncols=4 if sum(map(len, once)) < 9 * figure.get_figwidth() else 2)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):  # small dots would be hard to see in a legend
            handle.set(sizes=[40], alpha=1)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG with 256 colours, which takes a third of the space."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, bbox_inches="tight")
    path.write_bytes(small_png(Pictures.open(drawn)))


def small_png(picture: Pictures.Image) -> bytes:
    """Return a picture as a PNG with 256 colours."""
    small = BytesIO()
    picture.convert("RGB").quantize(256, dither=Pictures.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def png_of(figure: Figure) -> tuple[bytes, str]:
    """Return a figure as a PNG with twice the screen's resolution, and its width in pixels on screen."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=2 * figure.dpi)
    return file.getvalue(), str(round(figure.get_figwidth() * figure.dpi))
