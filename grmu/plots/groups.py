"""Figures of every group: before and after, counts, margins, predictions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from grmu.metrics import METRICS
from grmu.plots import style

MARKERS = (("o", 0.0, 9), ("o", 0.0, 9), ("|", 0.0, 22), ("X", 0.3, 9))  # of the columns of `group_change`


def accuracies(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every group's accuracy in percent, a column per model, from frames such as `Result.accuracy`."""
    groups = {name: frame[~frame.group.isin(METRICS)].set_index("group") for name, frame in frames.items()}
    return pd.DataFrame({name: 100 * frame.accuracy for name, frame in groups.items()})


def group_change(table: pd.DataFrame, forget: Collection[str], title: str = "",
                 xlabel: str = "test accuracy (%)", note: str = "") -> Figure:
    """Draw two to four numbers of every group, such as its accuracy before and after.

    Args:
        table: a row per group, a column per number: the first is drawn hollow, the second filled, with the
            change between them beside the row; a third is a bar, a fourth a cross.
        forget: the groups that request deletion, in vermilion.
        title: the finding.
        xlabel: what the numbers are.
        note: what else the caption says.
    """
    hues, (first, second) = style.group_palette(list(table.index), forget), table.columns[:2]
    figure, (ax,) = style.panels(1, 8, 1.9 + 0.42 * len(table))
    ax.hlines(range(len(table)), table[first], table[second], colors=list(hues.values()))
    for column, (marker, below, size) in zip(table, MARKERS, strict=False):
        for row, (number, hue) in enumerate(zip(table[column], hues.values(), strict=True)):
            edge = hue if marker == "o" else "black"
            face = "white" if column == first else edge
            ax.plot(number, row + below, marker, color=edge, mfc=face, ms=size, mew=1.6, label=column)
    for row, (change, hue) in enumerate(zip(table[second] - table[first], hues.values(), strict=True)):
        ax.text(1.02, row, f"{round(change):+d}", transform=ax.get_yaxis_transform(), va="center", color=hue)
    ax.set(yticks=range(len(table)), yticklabels=table.index, ylim=(len(table) - 0.4, -0.6), xlabel=xlabel)
    style.legend_below(figure, [ax])
    said = "; ".join(f"{column}: {style.listed(table[column])}" for column in table)
    return style.captioned(figure, title, f"{xlabel}, {said}. {note}".strip())


def clouds(rows: pd.DataFrame, x: str, y: str, names: Sequence[str], forget: Collection[str],
           col: str | None = None, title: str = "", caption: str = "") -> sns.FacetGrid:
    """Draw samples as points, with contours of each group's density.

    Args:
        rows: a row per sample, with its group's name in the column `group`.
        x, y: the columns of the axes.
        names: of the groups.
        forget: the groups in vermilion.
        col: the column that names the panels.
        title: the finding.
        caption: its numbers.

    Returns:
        The grid; its figure has title and caption.
    """
    height, aspect = (10 / max(2.2, rows[col].nunique()), 1.0) if col else (4.6, 1.3)
    grid = style.facets(rows, col=col, hue="group", hue_order=names, height=height, aspect=aspect,
                        palette=style.group_palette(names, forget))
    grid.map_dataframe(sns.scatterplot, x=x, y=y, s=8, alpha=0.3, linewidth=0)
    grid.map_dataframe(sns.kdeplot, x=x, y=y, levels=4, linewidths=1.4, zorder=3, bw_adjust=1.3)
    grid.set_titles("{col_name}")
    style.legend_below(grid.figure, list(grid.axes.flat))
    style.captioned(grid.figure, title, caption)
    return grid


def margins(by_group: Mapping[str, Sequence[float]], palette: Mapping[str, str], reach: float,
            title: str = "") -> Figure:
    """Draw the distribution of margins, a panel per group; those between 0 and `reach` are filled.

    Args:
        by_group: margins of the true class; below 0 a picture is misclassified.
        palette: the colour of each group.
        reach: by how much the margins will fall.
        title: the finding.
    """
    figure, axes = style.panels(len(by_group), 9, 3.4, sharex=True, sharey=True)
    shares = {}
    for ax, (name, values) in zip(axes, by_group.items(), strict=True):
        numbers = np.asarray(values, dtype=float)
        shares[name] = 100 * np.mean((numbers > 0) & (numbers <= reach))
        sns.kdeplot(x=numbers, color=palette[name], ax=ax, bw_adjust=0.7)
        x, height = map(np.asarray, ax.lines[0].get_data())
        ax.fill_between(x, height, color=palette[name], alpha=0.15)
        ax.fill_between(x, height, where=(x >= 0) & (x <= reach), color=palette[name])
        ax.axvline(0, color="black", lw=1)
        ax.annotate(f"{shares[name]:.0f} %", (reach, np.interp(reach, x, height)), (10, 0), va="center",
                    textcoords="offset points", color=palette[name], fontweight="bold", fontsize=13)
        ax.set(xlabel="margin of the true class", ylabel="density", title=name)
    return style.captioned(figure, title, f"One model. Filled: pictures with a margin between 0 and "
                           f"{reach:.2f}, as a share of the {len(numbers)} test pictures of each group: "
                           f"{style.listed(shares)} %.")
