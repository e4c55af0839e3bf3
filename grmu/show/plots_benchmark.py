"""The benchmark's figures: many methods side by side, in the look of `grmu.show.plots` (lesson 06)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grmu.analysis.compare import Interval
from grmu.analysis.names import label
from grmu.show.plots import colour, headline, marker_style, name_rows, titled


def forest(gaps: pd.DataFrame, noise: float = 0.0, title: str = "", ax: Axes | None = None) -> Figure:
    """Signed gaps to the gold standard with 95 % intervals, a row a method: hollow without REWEIGHT, filled
    with it; a verdict other than "not distinguished" stands beside its mark.

    Args:
        gaps: by (method, reweight), in points: mean and, where known, low, high and verdict, as
            `compare.verdicts` gives.
        noise: what two gold standards of a split differ by, a grey band; NaN: not known.
    """
    methods = list(dict.fromkeys(method for method, _ in gaps.index))
    ax = plt.subplots(figsize=(7.5, 1.3 + 0.45 * len(methods)))[1] if ax is None else ax
    ax.axvline(0, color="black", ls="--", lw=1, zorder=0)
    if noise > 0:
        ax.axvspan(-noise, noise, color="0.9", zorder=0)
    for (method, reweight), row in gaps.iterrows():
        twice = len(gaps.loc[[method]]) > 1
        y = methods.index(method) + (0.2 if reweight else -0.2) * twice
        name = f"{'with' if reweight else 'without'} REWEIGHT" if twice else "references"
        away = [[row["mean"] - row.low], [row.high - row["mean"]]] if "low" in row else None
        ax.errorbar(row["mean"], y, xerr=away, capsize=2, label=name,
                    **marker_style(method, reweight) | {"linestyle": "none"})
        if (verdict := row.get("verdict", "not distinguished")) != "not distinguished":
            ax.text(1.02, y, verdict, transform=ax.get_yaxis_transform(), va="center")
    name_rows(ax, [label(method) for method in methods])
    return titled(ax, title)


def trajectories(curves: pd.DataFrame, gold: Mapping[str, float], title: str = "") -> Figure:
    """A panel a method: where UA and GA go, by epoch, from PRETRAIN (grey) to the gold standard (cross).

    `curves`: method, reweight, epoch, UA, GA, fractions, of one ratio; hollow ends without REWEIGHT, filled
    with it.
    """
    names = list(dict.fromkeys(curves.method))
    n_rows = -(-len(names) // 4)
    fig, axes = plt.subplots(n_rows, 4, figsize=(9.8, 2.2 * n_rows), sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(names):]:
        ax.set_axis_off()
    for ax, method in zip(axes.flat, names, strict=False):
        ax.axhline(gold["GA"] * 100, color="black", ls="--", lw=0.8, zorder=0)
        ax.axvline(gold["UA"] * 100, color="black", ls="--", lw=0.8, zorder=0)
        for reweight, part in curves[curves.method == method].groupby("reweight"):
            x, y = part.UA * 100, part.GA * 100
            how = "with" if reweight else "without"
            ax.plot(x, y, ".-", color=colour(method), lw=1, ms=3, alpha=0.8, label=f"way {how} REWEIGHT")
            ax.plot(x.iloc[-1], y.iloc[-1], **marker_style(method, bool(reweight)), label=f"its end {how}")
        ax.plot(x.iloc[0], y.iloc[0], "s", color=colour("pretrain"), ms=6, label=label("pretrain"))
        ax.set_title(label(method), fontsize=11)
    fig.supxlabel("UA, accuracy on the forgotten pictures (%)", fontsize=11)
    fig.supylabel("GA, the group's test pictures (%)", fontsize=11)
    return headline(fig, title)


def gap_parts(parts: pd.DataFrame, title: str = "") -> Figure:
    """What an avg. gap is made of: points from the gold standard, a row a method, a column a metric."""
    _, ax = plt.subplots(figsize=(7.5, 1.1 + 0.36 * len(parts)))
    top = max(20, parts.to_numpy().max())
    ax.pcolormesh(parts, cmap="Greys", vmin=0, vmax=top, edgecolors="white", linewidth=1)
    for (i, j), value in np.ndenumerate(parts):
        ax.text(j + 0.5, i + 0.5, f"{value:.1f}", ha="center", va="center", fontsize=11,
                color="white" if value > 0.5 * top else "0.15")
    ax.set_xticks(np.arange(parts.shape[1]) + 0.5, parts.columns)
    ax.set_yticks(np.arange(len(parts)) + 0.5, parts.index)
    ax.invert_yaxis()
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return titled(ax, title)


def arms(panels: Mapping[str, Mapping[str, Interval]], margins: Mapping[str, float], xlabel: str,
         title: str = "") -> Figure:
    """A panel a data set, a row an arm: its mean and 95 % interval in points, on a grey margin.

    Args:
        panels: by data set, each arm's interval by its name; the same names in all of them.
        margins: by data set, in the same unit.
    """
    hues = {"doing nothing": colour("pretrain"), "fine-tuning": colour("finetune")}
    rows = len(next(iter(panels.values())))
    figure, axes = plt.subplots(1, len(panels), figsize=(9.5, 1.5 + 0.42 * rows), sharey=True, squeeze=False)
    for ax, (data, intervals) in zip(axes[0], panels.items(), strict=True):
        ax.axvspan(-margins[data], margins[data], color="0.93", zorder=0)
        ax.axvline(0, color="0.6", lw=1)
        for place, (name, i) in enumerate(intervals.items()):
            ax.errorbar(i.mean, place, xerr=[[i.mean - i.low], [i.high - i.mean]], fmt="o", capsize=3,
                        color=hues.get(name, colour("miu")))
        ax.set_title(data, fontweight="normal")
        name_rows(ax, list(intervals))
    figure.supxlabel(xlabel, fontsize=11)
    return headline(figure, title)
