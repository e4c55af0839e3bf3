"""Figures of lesson 05: MIU's passes, its curves, the effect of lambda, of its terms, and its signed gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from grmu.analysis.compare import Interval, half_width
from grmu.show.plots import GROUP_COLOURS, VERMILION, colour, headline, name_rows

MINE_COLOUR, RETAIN_COLOUR = "#6A51A3", GROUP_COLOURS[0]
RATIO_STYLES = ("os", (colour("miu"), "#8A3F6B"), (-0.12, 0.12))
HUES = {"GA": VERMILION, "UA": "#8C3D00"}
PASSES = (
    "Diagram of MIU. The unlearned model starts as a copy of the frozen original model. Each epoch has 3 "
    "parts: 1, tune MINE on the training set to maximise M; 2, in the first epochs, a forget pass that "
    "minimises M on the forget set; 3, a retain pass on the reweighted retain set that minimises the "
    "cross-entropy plus lambda times the squared difference between M and the original model's M.")
CURVES = (("GA", VERMILION, "o"), ("UA", "#8C3D00", "s"), ("TA", GROUP_COLOURS[0], "^"))


def _box(ax: Axes, x: float, y: float, size: tuple[float, float], text: str, hue: str) -> None:
    ax.add_patch(FancyBboxPatch((x, y), *size, boxstyle="round,pad=0,rounding_size=0.12", fc="white", ec=hue,
                                lw=1.8))
    ax.text(x + size[0] / 2, y + size[1] / 2, text, ha="center", va="center", linespacing=1.45)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], hue: str = "0.3",
           bend: float = 0.0) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": hue, "lw": 1.6,
                                            "connectionstyle": f"arc3,rad={bend}"})


def passes() -> Figure:
    """Draw one epoch of MIU: tune MINE, then the forget pass, then the retain pass."""
    figure, ax = plt.subplots(figsize=(9.5, 3.9))
    _box(ax, 0.1, 4.0, (2.4, 1.1), "original model\n(frozen)", colour("pretrain"))
    _box(ax, 4.2, 4.0, (3.0, 1.1), "unlearned model\nfeatures $z$, head", "black")
    _box(ax, 8.7, 4.0, (3.2, 1.1), "MINE: $M$, what $z$\nreveals about group $g$", MINE_COLOUR)
    _arrow(ax, (2.5, 4.55), (4.2, 4.55))
    _arrow(ax, (7.2, 4.55), (8.7, 4.55))
    for x, y, text in ((3.35, 4.7, "copy"), (7.95, 4.7, "$z$, $g$"), (6.0, 3.25, "in every epoch"),
                       (6.0, 0.15, "repeat")):
        ax.text(x, y, text, ha="center", va="bottom")
    for x, hue, text in (
            (0.1, MINE_COLOUR, "1  tune MINE\ntraining set\nmaximise $M$ over $\\psi$"),
            (4.2, VERMILION, "2  forget pass (first epochs)\nforget set\nminimise $M$ over $\\theta$"),
            (8.3, RETAIN_COLOUR, "3  retain pass\nretain set, with REWEIGHT\nminimise cross-entropy\n"
                                 "$+\\ \\lambda\\,(M - M_{original})^2$")):
        _box(ax, x, 1.1, (3.6, 1.9), text, hue)
    _arrow(ax, (3.7, 2.05), (4.2, 2.05))
    _arrow(ax, (7.8, 2.05), (8.3, 2.05))
    _arrow(ax, (10.1, 1.1), (1.9, 1.1), bend=-0.14)
    ax.set(xlim=(0, 12), ylim=(0, 5.3))
    ax.set_axis_off()
    figure.set_label(PASSES)
    return figure


def watched(curves: pd.DataFrame, original: Mapping[str, float], gold: Mapping[str, float], title: str,
            forget_epochs: int) -> Figure:
    """Plot M (nats) and accuracies (%) by epoch, with the original model and the gold standard as levels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
    for name, hue, marker, words in (("mi_train", GROUP_COLOURS[0], "^", "training set"),
                                     ("mi_forget", VERMILION, "o", "forget set")):
        left.plot(curves.epoch, curves[name], f"{marker}-", color=hue, ms=5, label=words)
    left.axhline(0, color="0.7", lw=1, zorder=0)
    left.set(xlabel="epoch", ylabel="M before the epoch (nats)")
    for name, hue, marker in CURVES:
        right.plot([0, *curves.epoch], [100 * original[name], *(100 * curves[name])], f"{marker}-", color=hue,
                   ms=5, label=name)
        right.axhline(100 * gold[name], color=hue, ls="--", lw=1)
    right.set(xlabel="epoch (0: original model)", ylabel="accuracy (%)\ndashed: gold standard")
    for ax in (left, right):
        ax.axvspan(0.5, forget_epochs + 0.5, color="0.93", zorder=-1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return headline(figure, title)


def by_lambda(rows: pd.DataFrame, references: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Plot GA and UA (%) against lambda, between the original model (left) and the gold standard (right).

    Args:
        rows: Runs of MIU with columns ratio, lam, GA, UA; fractions.
        references: Such runs of the original model and of the gold standard, in this order.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), sharey=True)
    (left, right), lams, n = references.values(), sorted(rows.lam.unique()), rows.seed.nunique()
    parts = [left, *(rows[rows.lam == lam] for lam in lams), right]
    for ax, (metric, words) in zip(axes, (("GA", "group, test"), ("UA", "forget set")), strict=True):
        for ratio, marker, hue, shift in zip(sorted(rows.ratio.unique()), *RATIO_STYLES, strict=False):
            values = [100 * part[part.ratio == ratio][metric] for part in parts]
            means, halves = [part.mean() for part in values], [half_width(part) for part in values]
            style: dict[str, Any] = {"capsize": 3, "marker": marker}
            ax.errorbar(range(1, len(lams) + 1), means[1:-1], halves[1:-1], **style, color=hue,
                        label=f"MIU, ratio {ratio:g}")
            for place, end, grey in ((0, 0, colour("pretrain")), (len(lams) + 1, -1, "black")):
                ax.errorbar(place + shift, means[end], halves[end], **style, color=grey)
            ax.axhline(means[-1], color=hue, ls="--", lw=1, zorder=0)
        ax.set_xticks(range(len(parts)), ["original\nmodel", *(f"{x:g}" for x in lams), "gold\nstandard"])
        ax.set(ylabel=f"{metric}: accuracy on the {words} (%)")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 0.8))
    figure.supxlabel(f"λ of MIU; means, 95 % intervals over {n} seeds; dashed: gold standard", fontsize=11)
    return headline(figure, title)


def intervals(panels: Mapping[str, Mapping[str, Mapping[str, Interval | None]]], xlabel: str,
              title: str) -> Figure:
    """Plot means with 95 % intervals in points: a panel per name, a row per setting, a mark for GA and UA.

    Args:
        panels: By panel and row, the intervals of "GA" and "UA", or None; the same rows in all panels.
        xlabel: Of all panels.
        title: Of the figure.
    """
    rows = list(next(iter(panels.values())))
    size = (9.5, 1.7 + 0.62 * len(rows))
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (panel, by_row) in zip(axes[0], panels.items(), strict=True):
        ax.axvline(0, color="black", ls="--", lw=1, zorder=0)
        for metric, shift, marker in (("GA", -0.18, "o"), ("UA", 0.18, "s")):
            marks = [(round(i.mean, 2), place + shift, i.mean - i.low, i.high - i.mean)
                     for place, row in enumerate(rows) if (i := by_row[row][metric])]
            mean, y, *away = np.array(marks).T
            ax.errorbar(mean, y, xerr=away, fmt=marker, color=HUES[metric], capsize=3, ms=6, label=metric)
        ax.set_title(panel, fontweight="normal")
        name_rows(ax, rows)
    axes[0, -1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.supxlabel(xlabel, fontsize=11)
    return headline(figure, title)
