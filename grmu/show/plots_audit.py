"""Figures of the audit (lesson 06) and of inferred groups (lesson 08), in the look of `grmu.show.plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grmu.show.plots import (
    GROUP_COLOURS,
    VERMILION,
    axes_or_new,
    colour,
    headline,
    marker_style,
    name_rows,
    show_picture,
    titled,
)
from grmu.study.compare import interval
from grmu.study.names import label

ATTACK_MARKS = {"U-LiRA": "o", "loss": "s", "forest": "^"}
STATUS_COLOURS = {"never seen": "0.45", "unlearned": VERMILION, "retained": "#0072B2"}


def attacks(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """How well each attack tells two statuses apart, with its 95 % interval: a panel a table, a row a method.

    `tables`: by the panel's name, rows with method, reweight, attack, and AUC with its low and high,
    of one group (see `grmu.study.audit.audit`). The dotted line is chance.
    """
    order = list(next(iter(tables.values())).groupby(["method", "reweight"], sort=False).groups)
    fig, axes = plt.subplots(1, len(tables), figsize=(7.8, 1.5 + 0.42 * len(order)), sharey=True, sharex=True,
                             squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        ax.axvline(0.5, color="0.6", ls=":", lw=1)
        for y, key in enumerate(order):
            rows = table[(table.method == key[0]) & (table.reweight == key[1])].set_index("attack")
            for shift, attack in zip((-0.22, 0, 0.22), [a for a in ATTACK_MARKS if a in rows.index],
                                     strict=False):
                row, style = rows.loc[attack], marker_style(*key)
                away = [[row["AUC"] - row["AUC low"]], [row["AUC high"] - row["AUC"]]]
                ax.errorbar(row["AUC"], y + shift, xerr=away, capsize=2,
                            **style | {"marker": ATTACK_MARKS[attack],
                                       "alpha": 1 if attack == "U-LiRA" else 0.55})
        ax.set_title(name, fontsize=11, fontweight="normal")
        ax.set_xlabel("AUC")
    name_rows(axes[0, 0], [label(*key) for key in order])
    for attack, mark in ATTACK_MARKS.items():
        axes[0, -1].plot([], [], mark, color="0.3", label=attack)
    axes[0, -1].legend(loc="lower right")
    return headline(fig, title)


def person(confidence: Mapping[str, np.ndarray], picture: np.ndarray, title: str = "") -> Figure:
    """One sample, and its confidence by status: a dot a shadow model, with each status's Gaussian."""
    fig, (left, ax) = plt.subplots(1, 2, figsize=(7.5, 2.7), width_ratios=[1, 4])
    show_picture(picture, left)
    left.set_axis_off()
    every = np.concatenate(list(confidence.values()))
    x = np.linspace(every.min() - 2, every.max() + 2, 200)
    sd = np.sqrt(np.mean(np.concatenate([v - v.mean() for v in confidence.values() if len(v)]) ** 2))
    for y, (status, values) in enumerate(confidence.items()):
        hue = STATUS_COLOURS[status]
        ax.plot(values, np.full(len(values), -y), "|", color=hue, ms=12, mew=1.5)
        if len(values):
            ax.plot(x, 0.75 * np.exp(-(((x - values.mean()) / sd) ** 2) / 2) - y + 0.12, color=hue)
    ax.set_yticks([-y for y in range(len(confidence))],
                  [f"{s} (n = {len(v)})" for s, v in confidence.items()])
    ax.set(xlabel="confidence in the right class, log p / (1 - p)")
    ax.axvline(0, color="0.8", lw=1, zorder=0)
    return headline(fig, title)


def roc(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "",
        ax: Axes | None = None) -> Figure:
    """True against false positives on log axes, where it matters whether *anybody* is found for sure."""
    ax = axes_or_new(ax, figsize=(5.6, 4.2))
    floor = 1e-3
    for (name, (false, true)), style in zip(curves.items(), ("-", "--", "-."), strict=False):
        hue = VERMILION if name == "U-LiRA" else "0.35"
        ax.plot(np.maximum(false, floor), np.maximum(true, floor), style, color=hue, label=name, lw=1.8)
    ax.plot([floor, 1], [floor, 1], ":", color="0.6", label="chance")
    ax.set(xscale="log", yscale="log", xlim=(floor, 1), ylim=(floor, 1.2),
           xlabel="false positives: never seen, taken for seen", ylabel="true positives")
    ax.legend(loc="lower right")
    return titled(ax, title)


def exposures(curves: Mapping[tuple[str, bool], Sequence[float]], title: str = "",
              ax: Axes | None = None) -> Figure:
    """How exposed each person is, from the most to the least, a line a method; 0 is as if never seen.

    `curves`: by (method, reweight), one value a person, in standard deviations.
    """
    ax = axes_or_new(ax, figsize=(7.5, 3.8))
    ax.axhline(0, color="0.6", lw=1)
    for key, values in curves.items():
        style = marker_style(*key) | {"markersize": 3, "label": label(*key)}
        ax.plot(np.sort(np.asarray(values))[::-1], **style)
    ax.set(xlabel="persons of the group, the most exposed first", ylabel="confidence above\nnever seen (sd)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return titled(ax, title)


def by_group(tables: Mapping[tuple[str, bool], pd.DataFrame], forget: str, measure: str = "AUC",
             chance: float = 0.5, title: str = "", ax: Axes | None = None) -> Figure:
    """A measure of an attack on every group, with 95 % intervals; a mark a method.

    `tables`: by (method, reweight), rows with group and the measure with its low and high. `forget`: the
    group in vermilion. The dotted line is chance.
    """
    groups = list(next(iter(tables.values())).group)
    ax = axes_or_new(ax, figsize=(7.5, 1.4 + 0.65 * len(groups)))
    ax.axvline(chance, color="0.6", ls=":", lw=1)
    for (key, table), shift in zip(tables.items(), np.linspace(-0.25, 0.25, len(tables)), strict=True):
        away = [table[measure] - table[f"{measure} low"], table[f"{measure} high"] - table[measure]]
        style = marker_style(*key) | {"linestyle": "none", "label": label(*key)}
        ax.errorbar(table[measure], np.arange(len(groups)) + shift, xerr=away, capsize=2, **style)
    name_rows(ax, groups)
    for text in ax.get_yticklabels():
        text.set_color(VERMILION if text.get_text().startswith(forget) else "black")
    ax.set_xlabel(measure)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return titled(ax, title)


def relearnt(curves: Mapping[tuple[str, bool], pd.Series], target: float, title: str = "",
             ax: Axes | None = None) -> Figure:
    """Forget accuracy (%) against steps of fine-tuning on the forget set, a line a method."""
    ax = axes_or_new(ax, figsize=(7.5, 3.6))
    ax.axhline(target, color=colour("pretrain"), ls=":", lw=1.5)
    for key, values in curves.items():
        ax.plot(values.index, values, **marker_style(*key) | {"label": label(*key), "markersize": 5})
    ax.set(xlabel="steps of fine-tuning on the forget set", ylabel="forget accuracy (%)", xscale="symlog")
    ax.set_xticks([0, 1, 2, 5, 10, 20, 50, 100], ["0", "1", "2", "5", "10", "20", "50", "100"])
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
