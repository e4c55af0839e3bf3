"""Draw figures that show every group: accuracies before and after, point clouds and margins."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from grmu.metrics import METRICS
from grmu.plots import style

MARKERS = (("o", 0.0, 9), ("o", 0.0, 9), ("|", 0.0, 22), ("X", 0.3, 9))  # the columns in `group_change`


def accuracies(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the accuracy of every group in percent, with one column per model.

    Args:
        frames: A table such as `Result.accuracy` for each model.
    """
    groups = {name: frame[~frame.group.isin(METRICS)].set_index("group") for name, frame in frames.items()}
    return pd.DataFrame({name: 100 * frame.accuracy for name, frame in groups.items()})


def group_change(table: pd.DataFrame, forget: Collection[str], title: str = "",
                 xlabel: str = "test accuracy (%)", note: str = "") -> Figure:
    """Draw two to four numbers for every group, such as its accuracy before and after.

    Args:
        table: One row per group and two to four columns. The first is drawn as a hollow dot, the second as a
            filled dot, the third as a bar and the fourth as a cross. The change from the first to the second
            is written beside the row.
        forget: The groups that request deletion, drawn in vermilion.
        title: The finding.
        xlabel: The label of the x axis.
        note: A sentence that is added to the caption.
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
    numbers = "; ".join(f"{column}: {style.listed(table[column])}" for column in table)
    return style.captioned(figure, title, f"{xlabel}, {numbers}. {note}".strip())


def clouds(rows: pd.DataFrame, x: str, y: str, names: Sequence[str], forget: Collection[str],
           col: str | None = None, title: str = "", caption: str = "") -> sns.FacetGrid:
    """Draw samples as points, with contours of each group's density.

    Args:
        rows: One row per sample, with the name of its group in the column `group`.
        x: The column on the x axis.
        y: The column on the y axis.
        names: The names of the groups.
        forget: The groups that are drawn in vermilion.
        col: The column that names the panels.
        title: The finding.
        caption: The numbers.

    Returns:
        The grid, whose figure has the title and the caption.
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
    """Draw the distribution of margins for each group, and fill the area between 0 and `reach`.

    Args:
        by_group: The margins of the true class; below 0 a picture is misclassified.
        palette: The colour of each group.
        reach: The amount by which the margins will fall.
        title: The finding.
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
