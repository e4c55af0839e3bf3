"""Figures of the audit (lesson 07) and of inferred groups (lesson 09), in the look of `grmu.show.plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from grmu.analysis.compare import half_width, interval
from grmu.analysis.names import label
from grmu.show.plots import (
    GROUP_COLOURS,
    VERMILION,
    headline,
    marker_style,
    name_rows,
    show_picture,
    titled,
)

MARKS = {  # (attack, whom it looks for): marker, and what it is called
    ("U-LiRA", "unlearned"): ("o", "person by person"), ("forest", "unlearned"): ("^", "on average (forest)"),
    ("U-LiRA", "retained"): ("D", "control: members who were kept")}
OVERFITTED = "control: overfitted on purpose"
STATUS_COLOURS = {"never seen": "0.45", "unlearned": VERMILION, "retained": "#0072B2"}


def attacks(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """What attacks find of those who were unlearned beside the controls that they must find, and verdicts:
    a panel a table, a row a method, AUC with its 95 % interval.

    `tables`: by the panel's name, rows of a group, of `grmu.analysis.audit.privacy` with method, reweight.
    The dotted line is chance.
    """
    orders = [list(table.groupby(["method", "reweight"], sort=False).groups) for table in tables.values()]
    heights = [len(order) + 1 for order in orders]
    fig, axes = plt.subplots(len(tables), 1, figsize=(7.8, 1.4 + 0.48 * sum(heights)), sharex=True,
                             height_ratios=heights, squeeze=False)
    for ax, order, (name, table) in zip(axes[:, 0], orders, tables.items(), strict=True):
        ax.axvline(0.5, color="0.6", ls=":", lw=1)
        for y, key in enumerate(order):
            rows = table[(table.method == key[0]) & (table.reweight == key[1])].set_index(["attack", "who"])
            for shift, (which, (marker, words)) in zip((-0.2, 0, 0.2), MARKS.items(), strict=True):
                style = {"color": "0.5"} if which[1] == "retained" else marker_style(*key)
                _auc(ax, rows.loc[which], y + shift, style | {
                    "marker": marker, "label": words, "alpha": 0.55 if which[0] == "forest" else 1})
        _auc(ax, rows.loc["U-LiRA", "overfitted"], len(order),
             {"color": "0.5", "marker": "D", "label": "found"})
        verdicts = table[table.verdict.notna()].set_index(["method", "reweight"]).verdict
        name_rows(ax, [*(f"{label(*key)}\n{verdicts[key]}" for key in order), OVERFITTED])
        ax.set_title(name, fontsize=11, fontweight="normal")
    axes[-1, 0].set_xlabel("AUC: 0.5 is a coin")
    keys = [Line2D([], [], marker=marker, ls="", color="0.3", label=words)
            for marker, words in MARKS.values()]
    axes[0, 0].legend(handles=keys, loc="upper right")
    return headline(fig, title)


def _auc(ax: Axes, row: pd.Series, y: float, style: Mapping[str, Any]) -> None:
    """An AUC with its interval."""
    away = [[row["AUC"] - row["AUC low"]], [row["AUC high"] - row["AUC"]]]
    ax.errorbar(row["AUC"], y, xerr=away, capsize=2, **style)


def person(by_method: Mapping[str, Mapping[str, np.ndarray]], picture: np.ndarray, title: str = "") -> Figure:
    """One sample, and its confidence by status: a tick a shadow model, with each status's Gaussian; a panel a
    method, `by_method` by method and status."""
    widths = [1, *[3] * len(by_method)]
    fig, axes = plt.subplots(1, len(widths), figsize=(7.8, 2.7), width_ratios=widths)
    show_picture(picture, axes[0])
    axes[0].set_axis_off()
    every = np.concatenate([v for confidence in by_method.values() for v in confidence.values()])
    x = np.linspace(every.min() - 2, every.max() + 2, 200)
    for ax, (name, confidence) in zip(axes[1:], by_method.items(), strict=True):
        sd = np.sqrt(np.mean(np.concatenate([v - v.mean() for v in confidence.values() if len(v)]) ** 2))
        for y, (status, values) in enumerate(confidence.items()):
            hue = STATUS_COLOURS[status]
            ax.plot(values, np.full(len(values), -y), "|", color=hue, ms=10, mew=1.2, label=status)
            if len(values):
                ax.plot(x, 0.75 * np.exp(-(((x - values.mean()) / sd) ** 2) / 2) - y + 0.12, color=hue,
                        label=f"Gaussian of {status}")
        ax.set_yticks([-y for y in range(len(confidence))],
                      [f"{s}\n(n = {len(v)})" for s, v in confidence.items()] if ax is axes[1] else [])
        ax.set_title(name, fontsize=11, fontweight="normal")
        ax.set_xlabel("confidence, log p / (1 - p)")
        ax.axvline(0, color="0.8", lw=1, zorder=0)
    return headline(fig, title)


def exposures(curves: Mapping[tuple[str, bool], Sequence[float]], title: str = "") -> Figure:
    """How exposed each person is, from the most to the least, a line a method; 0 is as if never seen.

    `curves`: by (method, reweight), one value a person, in standard deviations.
    """
    _, ax = plt.subplots(figsize=(7.5, 3.8))
    ax.axhline(0, color="0.6", lw=1)
    for key, values in curves.items():
        style = marker_style(*key) | {"markersize": 3, "label": label(*key)}
        ax.plot(np.sort(np.asarray(values))[::-1], **style)
    ax.set(xlabel="persons of the group, the most exposed first", ylabel="confidence above\nnever seen (sd)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return titled(ax, title)


def by_group(tables: Mapping[tuple[str, bool], pd.DataFrame], forget: str,
             title: str = "") -> Figure:
    """An attack's AUC on every group, with 95 % intervals; a mark a method.

    `tables`: by (method, reweight), rows with group, AUC, AUC low and AUC high. `forget`: the group in
    vermilion. The dotted line is chance.
    """
    groups = list(next(iter(tables.values())).group)
    _, ax = plt.subplots(figsize=(7.5, 1.4 + 0.65 * len(groups)))
    ax.axvline(0.5, color="0.6", ls=":", lw=1)
    for (key, table), shift in zip(tables.items(), np.linspace(-0.25, 0.25, len(tables)), strict=True):
        away = [table["AUC"] - table["AUC low"], table["AUC high"] - table["AUC"]]
        style = marker_style(*key) | {"linestyle": "none", "label": label(*key)}
        ax.errorbar(table["AUC"], np.arange(len(groups)) + shift, xerr=away, capsize=2, **style)
    name_rows(ax, groups)
    for text in ax.get_yticklabels():
        text.set_color(VERMILION if text.get_text().startswith(forget) else "black")
    ax.set_xlabel("AUC")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return titled(ax, title)


def recovered(tables: Mapping[str, pd.DataFrame], names: Mapping[str, str], title: str = "") -> Figure:
    """GA by how the groups were known, percent: every seed as a dot, mean and 95 % interval; a panel a table.

    `tables`: index as `names` (key to words), a column a seed. Dashed: the true groups. Dotted: no groups.
    """
    fig, axes = plt.subplots(1, len(tables), figsize=(7.8, 1.3 + 0.42 * len(names)), sharey=True,
                             squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        ax.axvline(table.loc["true"].mean(), color="black", ls="--", lw=1)
        ax.axvline(table.loc["none"].mean(), color="0.5", ls=":", lw=1.5)
        for y, key in enumerate(names):
            values = table.loc[key].to_numpy(dtype=float)
            hue = "black" if key == "true" else "0.5" if key in ("none", "random") else GROUP_COLOURS[0]
            mean, low, high, n = interval(values)
            ax.plot(values, np.full(n, y + 0.2), ".", color=hue, alpha=0.45, ms=5)
            ax.errorbar(mean, y, xerr=[[mean - low], [high - mean]] if n > 1 else None, fmt="o", color=hue,
                        capsize=3)
        ax.set_title(name, fontsize=11, fontweight="normal")
        ax.set_xlabel("accuracy of the group, test (%)")
    name_rows(axes[0, 0], list(names.values()))
    return headline(fig, title)


def means(panels: Mapping[str, Mapping[str, pd.DataFrame]], levels: Mapping[str, float] | None = None,
          title: str = "") -> Figure:
    """A panel a measure, a row a column of its frames: every seed as a dot, the mean with its 95 % interval.

    Args:
        panels: by the words of their axis, frames by a name, each in a hue of its own: a row a seed.
        levels: of the last panel, what stands at a dashed line, by its name.
    """
    first = next(iter(next(iter(panels.values())).values()))
    fig, axes = plt.subplots(1, len(panels), figsize=(7.8, 1.5 + 0.45 * first.shape[1]), sharey=True,
                             squeeze=False)
    for ax, (words, frames) in zip(axes[0], panels.items(), strict=True):
        for k, (name, table) in enumerate(frames.items()):
            hue = (GROUP_COLOURS[0], "#A89A00")[k]
            rows = np.arange(table.shape[1]) + 0.3 * (k - (len(frames) - 1) / 2)
            for y, row in zip(rows, table, strict=True):
                ax.plot(table[row], np.full(len(table), y + 0.15), ".", color=hue, alpha=0.45, ms=5)
            ax.errorbar(table.mean(axis=0), rows, xerr=[half_width(table[row]) for row in table], fmt="o",
                        capsize=3, color=hue, label=name)
        ax.set_xlabel(words)
        if len(frames) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    for name, level in (levels or {}).items():
        axes[0, -1].axvline(level, color="black", ls="--", lw=1)
        axes[0, -1].text(level, -0.45, f"{name} ", ha="right", va="top")
    name_rows(axes[0, 0], list(first))
    return headline(fig, title)
