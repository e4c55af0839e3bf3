"""The figures of the shifted prior (lessons 01 and 02, docs/who_pays.md): predicted beside observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grmu.analysis.compare import interval
from grmu.show.plots import GROUP_COLOURS, VERMILION, colour, headline, name_rows, titled

BLUE = GROUP_COLOURS[0]
FAMILIES = {"G": "group_dro", "M": "miu", "f": "finetune", "a": "pretrain"}  # arms by their first letter


def who_pays(rows: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Every group's accuracy before and after some is forgotten, with 95 % intervals over seeds, and what was
    predicted.

    Args:
        rows: of one forget set, as `grmu.analysis.shift` ships them: a row a group and seed.
        names: of the groups.
    """
    _, ax = plt.subplots(figsize=(7.5, 1.6 + 0.5 * len(names)))
    asks, n = set(rows[rows.r > 0].group), rows.seed.nunique()
    for y, (group, part) in enumerate(rows.groupby("group")):
        hue = VERMILION if group in asks else GROUP_COLOURS[y % len(GROUP_COLOURS)]
        means = {name: interval(100 * part[name]) for name in ("before", "visible", "after")}
        ax.plot([means["before"].mean, means["after"].mean], [y, y], color=hue)
        for name, face in (("before", "white"), ("after", hue)):
            i = means[name]
            ax.errorbar(i.mean, y, xerr=i.mean - i.low, fmt="o", color=hue, mfc=face, capsize=3)
        ax.plot(means["visible"].mean, y, "|", color="black", ms=18, mew=2)
        change, predicted = (round(means[name].mean - means["before"].mean) for name in ("after", "visible"))
        ax.text(1.01, y, f"{change:+d}, predicted {predicted:+d}",
                transform=ax.get_yaxis_transform(), color=hue, va="center")
    counts = rows.groupby("group").n.first()
    name_rows(ax, [f"{name} (n = {k})" for name, k in zip(names, counts, strict=True)])
    ax.set(xlim=(0, 102), xlabel="test accuracy (%): hollow before, filled after,\nblack bar predicted; "
                                f"95 % interval over {n} seeds")
    forgotten = " and ".join(names[g] for g in sorted(asks))
    return titled(ax, f"{100 * rows.ratio.iloc[0]:.0f} % of {forgotten} forgotten")


def predicted(parts: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Accuracy by group, predicted and observed, and the line on which both are the same.

    Args:
        parts: rows by the panel's name, with columns `predicted`, `after` (fractions) and `r`, the share of
            the group that is forgotten: groups that ask are vermilion crosses, the others blue points.
    """
    n_columns = min(3, len(parts))
    n_rows = -(-len(parts) // n_columns)
    fig, axes = plt.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True,
                             figsize=(8.4, 3.3 * n_rows))
    for ax in axes.flat[len(parts):]:
        ax.remove()
    for ax, (name, rows) in zip(axes.flat, parts.items(), strict=False):
        asks = rows.r > 0
        ax.plot([0, 100], [0, 100], color="0.6", lw=1)
        for who, hue, marker, text in ((~asks, BLUE, ".", "other groups"),
                                       (asks, VERMILION, "x", "who asks")):
            ax.plot(100 * rows.predicted[who], 100 * rows.after[who], marker, color=hue, ms=4, ls="",
                    label=text, alpha=min(1.0, 12 / len(rows[who]) ** 0.5) if who.any() else 1.0)
        ax.set(title=name, xlabel="predicted (%)", aspect="equal")
        ax.title.set_fontsize(11)
    axes[0, 0].legend(loc="upper left", handletextpad=0.2)
    for ax in axes[:, 0]:
        ax.set_ylabel("observed (%)")
    return headline(fig, title)


def margins(by_group: Mapping[str, Sequence[float]], reach: float, title: str = "") -> Figure:
    """How far pictures lie from the border, a panel a group; those within `reach` on the right side of it are
    what a shift by `reach` nats takes."""
    fig, axes = plt.subplots(1, len(by_group), figsize=(8.4, 3.4), sharey=True, squeeze=False)
    for ax, (name, values) in zip(axes[0], by_group.items(), strict=True):
        clipped = np.clip(np.asarray(values), -8, 12)
        edges = np.unique(np.r_[np.linspace(-8, 12, 41), 0.0, reach])
        heights, _ = np.histogram(clipped, edges)
        lost = (edges[:-1] >= 0) & (edges[:-1] < reach)
        ax.bar(edges[:-1], heights / len(clipped) / np.diff(edges) * 50, np.diff(edges), align="edge",
               color=[VERMILION if taken else "0.8" for taken in lost])
        share = 100 * np.mean((clipped > 0) & (clipped <= reach))
        ax.axvline(0, color="black", lw=1)
        ax.set(title=f"{name}:\n{share:.0f} % within {reach:.2f} nats",
               xlabel="margin of the right class (nats)")
        ax.title.set_fontsize(11)
    axes[0, 0].set_ylabel("pictures, % per half a nat")
    return headline(fig, title)


def moved(rows: pd.DataFrame, ratio: float, title: str = "") -> Figure:
    """How far each arm moved the margins, a panel a data set and attribute value: a bar where the theory
    says, a dot with its 95 % interval over seeds where the arm lies.

    Args:
        rows: as `grmu.analysis.moved` ships them.
    """
    rows = rows[rows.ratio == ratio]
    arms, panels = list(rows.arm.unique()), list(rows.groupby(["dataset", "attribute"], sort=False))
    fig, axes = plt.subplots(1, len(panels), figsize=(9.4, 1.5 + 0.36 * len(arms)), sharey=True,
                             squeeze=False)
    for ax, ((dataset, attribute), part) in zip(axes[0], panels, strict=True):
        ax.axvline(0, color="0.8", lw=1)
        for y, arm in enumerate(arms):
            own = part[part.arm == arm]
            ax.plot(own.theory.mean(), y, "|", color="black", ms=16, mew=2)
            mean = interval(own.moved)
            hue = colour(FAMILIES.get(arm[0], "retrain"))
            ax.errorbar(mean.mean, y, xerr=mean.mean - mean.low, fmt="o", color=hue, capsize=3,
                        mfc=hue if "REWEIGHT" in arm else "white")
        ax.set(title=f"{dataset},\n{attribute}", xlabel="moved (nats)")
        ax.title.set_fontsize(11)
    name_rows(axes[0, 0], arms)
    return headline(fig, title)
