"""Draw the paper's tables and figures with our values beside the paper's."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from grmu.analysis.printed import Item
from grmu.analysis.reproduced import AXES
from grmu.plots.style import captioned, colour, facets, listed

TABLES = ("results", "ablation", "fairness")
POINTS = {"robust": "agreement with the original model (%)", "overhead": "time of MIU / of this method"}


def paper_item(item: Item, table: pd.DataFrame) -> Figure:
    """Draw the cells of one of the paper's tables or figures.

    Args:
        item: A table, drawn as our value against the paper's with one point per cell, or a figure, drawn as
            in the paper with the paper's values added.
        table: The cells, as `reproduced.cells` returns them.
    """
    table = table.dropna(subset="ours")
    draw = _against if item.kind in TABLES else _points if item.kind in POINTS else _lines
    return captioned(draw(item, table), f"{item.words}: {item.title}", _caption(table))


def _caption(table: pd.DataFrame) -> str:
    seeds = f"{table.n.min():g} to {table.n.max():g}" if table.n.nunique() > 1 else f"{table.n.min():g}"
    both = table.dropna(subset="paper")
    words = f"Ours: means over {seeds} seeds, with bars of one standard deviation either way."
    if len(both):
        off = (both.ours - both.paper).abs().groupby(both.metric.str.replace("_", ". "), sort=False).mean()
        words += f" Mean distance between ours and the paper's value: {listed(off, 1)}."
    return words


def _against(item: Item, table: pd.DataFrame) -> Figure:
    grid = facets(table, col="metric", col_wrap=4, height=2.3, sharex=False, sharey=False)
    for (metric, part), ax in zip(table.groupby("metric", sort=False), grid.axes.flat, strict=True):
        ends = [part[["ours", "paper"]].min().min(), part[["ours", "paper"]].max().max()]
        ax.plot(ends, ends, color="0.6", ls=":", lw=1)
        for row in part.itertuples():
            hue = colour(row.method)
            ax.errorbar(row.paper, row.ours, row.sd, fmt="o", color=hue, mfc=hue if row.reweight else "white",
                        ms=6, elinewidth=0.8, label=row.name)
        ax.set(title=metric.replace("_", ". "), xlabel="paper", ylabel="ours")
    return _legend(grid, "dotted: ours and the paper's value are the same")


def _lines(item: Item, table: pd.DataFrame) -> Figure:
    n = table.panel.nunique()
    grid = facets(table, col="panel", col_wrap=min(3, n), height=3, aspect=1.15, sharey=item.kind == "gap")
    for (name, panel), ax in zip(table.groupby("panel", sort=False), grid.axes.flat, strict=True):
        level = panel[panel.method == "pretrain"].ours
        if len(level):
            ax.axhline(level.mean(), color=colour("pretrain"), ls=":", label="PRETRAIN")
        lines = panel[panel.method != "pretrain"]
        for (method, reweight, style), line in lines.groupby(["method", "reweight", "style"], sort=False):
            hue, together = colour(method), " and " in style
            filled = reweight or item.kind == "gap"
            ax.errorbar(line.x, line.ours, line.sd, color=hue, ls="--" if together else "-", capsize=2,
                        marker="o", mfc=hue if filled else "white", ms=5,
                        label=line.name.iloc[0] + ", two groups forget together" * together)
            ax.plot(line.x, line.paper, color=hue, ls=":", lw=1, marker="x", ms=7)
        ax.set(title=name.replace(" (for", "\n(for").replace(": ", ":\n"), xlabel=AXES[item.x],
               ylabel=f"{item.columns[0].replace('_', '. ')} (%)")
    return _legend(grid, "crosses: the paper's values")


def _points(item: Item, table: pd.DataFrame) -> Figure:
    grid = facets(table, col="panel", col_wrap=3, height=3)
    for (name, panel), ax in zip(table.groupby("panel", sort=False), grid.axes.flat, strict=True):
        for i, (method, part) in enumerate(panel.groupby("method", sort=False)):
            places = [item.columns.index(metric) + 0.2 * i - 0.2 for metric in part.metric]
            ax.errorbar(places, part.ours, part.sd, fmt="o", color=colour(method), capsize=2,
                        label=part.name.iloc[0])
            ax.plot(places, part.paper, color=colour(method), ls="none", marker="x", ms=7)
        ax.set(title=name.replace(" (for", "\n(for"), xlabel="", ylabel=POINTS[item.kind])
        ax.set_xticks(range(len(item.columns)), item.columns)
    return _legend(grid, "crosses: the paper's values")


def _legend(grid: sns.FacetGrid, words: str) -> Figure:
    entries = dict[str, object]()
    for ax in grid.axes.flat:
        entries |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    grid.figure.set_figheight(grid.figure.get_figheight() + 0.5 + 0.1 * len(entries))  # its three columns
    grid.figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3,
                       title=words)
    return grid.figure
