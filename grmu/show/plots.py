"""The figures of the course. A colour means one thing everywhere: see `COLOURS` and `GROUP_COLOURS`.

Every function takes data, draws on axes of its own (or those given) and returns the figure; nothing here
computes results. Percent on screen, fractions in the data. Titles say what is seen, and are computed from the
numbers that they name. An error bar is a 95 % interval over seeds (`half_width`), and
the seeds are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from grmu.analysis.compare import LEAST_SEEDS, half_width
from grmu.analysis.names import METRIC_NAMES, label
from grmu.data import GroupedDataset
from grmu.show.alt import speak

# After Okabe and Ito. Vermilion is the group that asks to be forgotten; grey is doing nothing; black is the
# gold standard and its family. To who sees blue badly, blues and greens differ in lightness alone: so the
# groups' first four do (tests/test_colours.py).
VERMILION = "#D55E00"
GROUP_COLOURS = ["#0072B2", "#56B4E9", "#18512C", "#06045B", "#8CCBB8", "#3B8EC2", "#00664B"]
COLOURS = {"pretrain": "#646464", "retrain": "#000000",
           "group_dro": "#E69F00", "rwg": "#C7822E", "subg": "#8F6A1E",
           "finetune": "#99A025", "l1_sparse": "#7B4B94", "salun": "#882255", "scrub": "#B5651D",
           "miu": "#CC79A7", "miu_released": "#9C5C86",
           "gradient_ascent": "#6B6B00", "random_labels": "#A04070",
           "bad_teacher": "#C2A000", "boundary_shrink": "#8C564B", "boundary_expand": "#B98B82",
           "ssd": "#5E4B8B", "influence": "#A08CC8", "adjust": "#3F3F3F",
           "dfr": "#2F6F4F", "afr": "#6FA287", "self": "#A7C957", "lisa": "#BC6C25", "jtt": "#DDA15E"}
LABEL_GAP = 0.075  # between names at the ends of lines, in heights of the axes


def use_style() -> None:
    """Set the course's look; in a notebook, figures are sharp and say in words what they show."""
    plt.style.use(["seaborn-v0_8-ticks", {
        "figure.figsize": (7.5, 4.2), "figure.dpi": 85, "savefig.dpi": 200, "font.size": 11,
        "axes.labelsize": 11, "axes.titlesize": 12, "axes.titlelocation": "left", "axes.titleweight": "bold",
        "xtick.labelsize": 11, "ytick.labelsize": 11, "legend.fontsize": 11, "legend.frameon": False,
        "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2,
        "xtick.major.size": 6, "ytick.major.size": 6, "patch.edgecolor": "w", "patch.force_edgecolor": True,
        "axes.prop_cycle": plt.cycler(color=["#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3"]),
        "figure.constrained_layout.use": True}])
    speak()


def colour(method: str) -> str:
    """A method's colour; a method that the course does not know gets violet."""
    return COLOURS.get(method, "#7F3C8D")


def marker_style(method: str, reweight: bool) -> dict[str, Any]:
    """Filled with REWEIGHT, hollow without; the gold standard dashed, doing nothing dotted."""
    line = ":" if method == "pretrain" else "--" if method == "retrain" and reweight else "-"
    return {"color": colour(method), "marker": "o", "markersize": 6, "linestyle": line,
            "markerfacecolor": colour(method) if reweight else "white", "markeredgecolor": colour(method)}


def bars_of(rows: pd.DataFrame) -> str:
    """What points and error bars of these rows are, for an axis."""
    n = rows.seed.nunique()
    return f"means, 95 % intervals over {n} seeds" if n >= LEAST_SEEDS else f"seeds: {n}"


def titled(ax: Axes, title: str) -> Figure:
    """Title the axes, and return their figure."""
    ax.set_title(title)
    return cast(Figure, ax.figure)  # not a part of one: nothing here makes those


def headline(figure: Figure, title: str) -> Figure:
    """Title a figure of several panels, from its left edge, and return it."""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
    return figure


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """A name a row, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def percent_label(metric: str) -> str:
    """What an axis of that metric says, on two lines where it is long."""
    return f"{METRIC_NAMES[metric]} (%)".replace(", test", ",\ntest")


def show_picture(picture: np.ndarray | Tensor, ax: Axes) -> None:
    """A picture (1 or 3, H, W) uint8, pixel by pixel."""
    picture = np.asarray(picture)
    ax.imshow(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255,
              interpolation="nearest")


def save(figure: Figure, path: Path) -> None:
    """The figure as a PNG in 256 colours, a third of the size."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, bbox_inches="tight")
    path.write_bytes(small_png(Image.open(drawn)))


def small_png(picture: Image.Image) -> bytes:
    """A picture as a PNG in 256 colours."""
    small = BytesIO()
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def group_sheet(dataset: GroupedDataset, n_samples: int = 8) -> Figure:
    """The first `n_samples` pictures of every group, one row a group, with its name and number of samples."""
    counts = dataset.group_counts().tolist()
    many = dataset.n_groups > 8
    fig, axes = plt.subplots(dataset.n_classes if many else dataset.n_groups,
                             n_samples * (dataset.n_attributes if many else 1),
                             figsize=(13, 4.6) if many else (7.5, 0.85 * dataset.n_groups), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for group, (name, count) in enumerate(zip(dataset.group_names, counts, strict=True)):
        row, offset = (group // dataset.n_attributes,
                       group % dataset.n_attributes * n_samples) if many else (group, 0)
        for i, index in enumerate((dataset.group == group).nonzero().flatten()[:n_samples].tolist()):
            show_picture(dataset.x[index], axes[row, offset + i])
        if not many:
            axes[row, 0].text(-0.15, 0.5, f"{name}\n{count:,}", transform=axes[row, 0].transAxes, ha="right",
                              va="center")
        elif offset == 0:
            axes[row, 0].text(-0.4, 0.5, dataset.class_names[row], transform=axes[row, 0].transAxes,
                              ha="right", va="center")
        if many and row == 0:
            axes[0, offset].set_title(dataset.attribute_names[offset // n_samples], loc="left",
                                      fontweight="normal")
    return fig


def samples(x: np.ndarray, titles: Sequence[str] = (), n_columns: int = 10) -> Figure:
    """Pictures (N, 1 or 3, H, W) uint8 in a grid, each under its title."""
    n_rows = -(-len(x) // n_columns)
    fig, axes = plt.subplots(n_rows, n_columns, figsize=(7.5, (0.85 + 0.2 * bool(titles)) * n_rows),
                             squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i < len(x):
            show_picture(x[i], ax)
            if titles:
                ax.set_title(titles[i], fontsize=11, loc="center", fontweight="normal")
    return fig


def group_counts(counts: Mapping[str, Sequence[int]], names: Sequence[str], forget: int) -> Figure:
    """How many samples each group has in each set, log axis; `counts`: set's name to (n_groups,) counts."""
    figure, ax = plt.subplots(figsize=(7.5, 0.5 + 0.55 * len(names)))
    markers = dict(zip(counts, "os^D", strict=False))
    for group in range(len(names)):
        hue = VERMILION if group == forget else GROUP_COLOURS[group % len(GROUP_COLOURS)]
        values = [max(int(c[group]), 0.5) for c in counts.values()]
        ax.plot(values, [group] * len(values), color=hue, lw=1)
        for which, x in zip(counts, values, strict=True):
            ax.plot(x, group, markers[which], color=hue, mfc="white" if which == next(iter(counts)) else hue)
        for x in dict.fromkeys(values):  # where sets agree, the number once
            ax.annotate(f"{int(x):,}", (x, group), (0, 7), textcoords="offset points", ha="center",
                        fontsize=11)
    for which, m in markers.items():
        ax.plot([], [], m, color="0.3", mfc="white" if which == next(iter(counts)) else "0.3", label=which)
    ax.set(xscale="log", yticks=range(len(names)), xlabel="samples (log scale)",
           ylim=(len(names) - 0.5, -0.7))
    ax.set_yticklabels(names)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def ratio_curve(rows: pd.DataFrame, n: int | None = None, title: str = "") -> Figure:
    """GA against the unlearning ratio, a line per method and REWEIGHT.

    PRETRAIN is drawn as a level, from ratio 0. `n`: test samples behind each point, for the axis label.
    """
    _, ax = plt.subplots()
    ends = []
    for (method, rw), part in rows.groupby(["method", "reweight"], sort=False):
        stats = part.groupby("ratio").GA.agg(["mean", half_width]) * 100
        if method == "pretrain":
            ax.axhline(stats["mean"].mean(), color=colour(method), ls=":", lw=1.5)
            ends.append((stats["mean"].mean(), label(method), colour(method)))
            continue
        ax.errorbar(stats.index, stats["mean"], stats.half_width, capsize=3, **marker_style(method, rw))
        ends.append((stats["mean"].iloc[-1], label(method, rw), colour(method)))
    _direct_labels(ax, ends)
    up = METRIC_NAMES["GA"].replace(", test", ",\ntest") + (f", n = {n} (%)" if n else " (%)")
    ax.set(xlabel=f"unlearning ratio: share of the group that is forgotten\n({bars_of(rows)})", ylabel=up)
    return titled(ax, title)


def _direct_labels(ax: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names (value, text, colour) beside the right ends of lines, pushed apart where they would overlap."""
    low, high = ax.get_ylim()
    ends = sorted(ends)
    places: list[float] = []
    for value, _, _ in ends:
        places.append(max((value - low) / (high - low), places[-1] + LABEL_GAP if places else -np.inf))
    room = 1.0
    for k in reversed(range(len(places))):  # a crowd at the top is pushed down again
        places[k] = min(places[k], room)
        room = places[k] - LABEL_GAP
    for place, (_, text, hue) in zip(places, ends, strict=True):
        ax.text(1.02, place, text, transform=ax.transAxes, color=hue, va="center")


def compare(rows: pd.DataFrame, metrics: Sequence[str] = ("UA", "GA", "TA"), title: str = "") -> Figure:
    """One panel a metric, one line a method: every seed a dot, the mean above; the gold standard dashed."""
    order = list(rows.groupby(["method", "reweight"], sort=False).groups)
    fig, axes = plt.subplots(1, len(metrics),
                             figsize=(max(7.5, 2.6 * len(metrics) + 2.2), 1.3 + 0.38 * len(order)),
                             sharey=True, squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        for y, (method, rw) in enumerate(order):
            values = rows[(rows.method == method) & (rows.reweight == rw)][metric].to_numpy() * 100
            hue = colour(method)
            ax.plot(values, np.full(len(values), y + 0.22), ".", color=hue, alpha=0.45, ms=5)
            ax.errorbar(values.mean(), y, xerr=half_width(values), capsize=3, **marker_style(method, rw))
            if (method, rw) == ("retrain", True):
                ax.axvline(values.mean(), color="black", ls="--", lw=1, zorder=0)
        ax.set_xlabel(percent_label(metric))
        ax.xaxis.set_major_locator(MaxNLocator(3))
    name_rows(axes[0, 0], [label(m, rw) for m, rw in order])
    fig.supxlabel(f"dots: seeds; {bars_of(rows)}", fontsize=11)
    return headline(fig, title)


def group_change(before: pd.DataFrame, after: pd.DataFrame, forget: Sequence[str], names: tuple[str, str],
                 title: str = "") -> Figure:
    """Every group's accuracy before and after: frames as `Result.accuracy` has them."""
    skip = {"RA", "UA", "TA", "GA"}
    before, after = (f[~f.group.isin(skip)].reset_index(drop=True) for f in (before, after))
    _, ax = plt.subplots(figsize=(7.5, 1.2 + 0.5 * len(before)))
    for i, (b, a) in enumerate(zip(before.itertuples(), after.itertuples(), strict=True)):
        hue = VERMILION if b.group in forget else GROUP_COLOURS[i % len(GROUP_COLOURS)]
        ax.annotate("", (a.accuracy * 100, i), (b.accuracy * 100, i),
                    arrowprops={"arrowstyle": "-", "color": hue})
        ax.plot(b.accuracy * 100, i, "o", color=hue, mfc="white", label=names[0])
        ax.plot(a.accuracy * 100, i, "o", color=hue, label=names[1])
        change = round(100 * (a.accuracy - b.accuracy))
        ax.text(1.01, i, f"{change:+d}", transform=ax.get_yaxis_transform(), color=hue, va="center")
    name_rows(ax, [f"{g} (n = {n})" for g, n in zip(before.group, before.n, strict=True)])
    ax.set(xlabel=f"test accuracy (%): hollow {names[0]}, filled {names[1]}")
    return titled(ax, title)


def epoch_curves(curves: pd.DataFrame, title: str = "", gold: Mapping[str, float] | None = None) -> Figure:
    """A run epoch by epoch: UA, GA, TA; the losses; the mutual-information estimates if there are any."""
    has_mi = "mi_train" in curves
    fig, axes = plt.subplots(1, 2 + has_mi, figsize=(3.3 * (2 + has_mi), 3.2))
    for name, hue, marker in (("GA", VERMILION, "o"), ("UA", "#8C3D00", "s"), ("TA", "#0072B2", "^")):
        if name in curves:
            axes[0].plot(curves.epoch, curves[name] * 100, marker + "-", color=hue, ms=4, label=name)
            if gold is not None:
                axes[0].axhline(gold[name] * 100, color=hue, ls="--", lw=1)
    axes[0].set(xlabel="epoch", ylabel="accuracy (%)"
                + ("\ndashed: gold standard" if gold is not None else ""))
    axes[0].legend()
    for name, hue, marker in (("retain_loss", "#009E73", "^"), ("forget_loss", VERMILION, "o")):
        if name in curves and curves[name].notna().any():
            axes[1].plot(curves.epoch, curves[name], marker + "-", color=hue, ms=4,
                         label=name.replace("_", " "))
    axes[1].set(xlabel="epoch", ylabel="loss, mean over the pass")
    axes[1].legend()
    if has_mi:
        axes[2].plot(curves.epoch, curves.mi_train, "^-", color="#0072B2", ms=4, label="training set")
        axes[2].plot(curves.epoch, curves.mi_forget, "o-", color=VERMILION, ms=4, label="forget set")
        axes[2].set(xlabel="epoch", ylabel="bound M before\nthe epoch (nats)")
        axes[2].legend()
    return headline(fig, title)


def convergence(histories: Mapping[str, Sequence[float]], truth: float | None = None, smooth: int = 25,
                title: str = "", ylim: tuple[float, float] | None = None) -> Figure:
    """Estimates of information against updates, a moving mean over `smooth`; the known value dashed."""
    _, ax = plt.subplots(figsize=(7.5, 3.6))
    ends = []
    for (name, values), hue in zip(histories.items(), ["#0072B2", "#009E73", "#56B4E9", "#004B79", "#8CCBB8"],
                                   strict=False):
        smoothed = pd.Series(list(values)).rolling(smooth, min_periods=1).mean()
        raw = np.column_stack([range(len(values))[::4], values[::4]])
        ax.add_collection(LineCollection([raw], colors=hue, alpha=0.2, lw=0.8))  # `alt` reads the mean only
        ax.plot(smoothed, color=hue, lw=1.6)
        ends.append((smoothed.iloc[-1], name, hue))
    if truth is not None:
        ax.axhline(truth, color="black", ls="--", lw=1)
        ends.append((truth, "true value", "black"))
    ax.set_ylim(ylim)  # before the labels, which are placed by it
    _direct_labels(ax, ends)
    ax.set(xlabel="update of the network", ylabel="estimate (nats)")
    return titled(ax, title)


def before_and_after(groups: pd.DataFrame, asked: Sequence[bool], title: str) -> Figure:
    """Accuracy of every group before and after, and the gold standard's: three columns, percent.

    asked: did the group of the row ask to be forgotten?
    """
    figure = Figure(figsize=(7.5, 1.5 + 0.42 * len(groups)), dpi=170, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    before, after, gold = groups.columns
    for i, (row, asks) in enumerate(zip(groups.to_numpy(), asked, strict=True)):
        hue = VERMILION if asks else GROUP_COLOURS[i % len(GROUP_COLOURS)]
        ax.plot(row[:2], [i, i], "-", color=hue)
        ax.plot(row[0], i, "o", color=hue, mfc="white", ms=7, mew=1.5, label=before)
        ax.plot(row[1], i, "o", color=hue, ms=7, mew=1.5, label=after)
        ax.plot(row[2], i, "|", color="black", ms=18, mew=1.5, label=gold)
    name_rows(ax, [f"{name} (asked)" if asks else str(name)
                   for name, asks in zip(groups.index, asked, strict=True)])
    ax.set(xlim=(0, 101), xlabel="test accuracy (%)   hollow: before   filled: after   | : gold standard")
    ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle("\n".join(wrap(title, 72)), x=0.01, ha="left", fontweight="bold", fontsize=12)
    return figure


def forgotten_groups(parts: Mapping[str, pd.DataFrame], n: int | None = None, title: str = "") -> Figure:
    """GA of RETRAIN against the ratio, a line per forgotten group; PRETRAIN's GA on it is the dotted level.

    `parts` maps a group's name to its PRETRAIN and RETRAIN rows; the first is the dominant forget group, in
    vermilion. The lines begin at ratio 0, where nothing is forgotten yet.
    """
    _, ax = plt.subplots(figsize=(7.5, 3.7))
    ends = []
    for (name, rows), hue in zip(parts.items(), [VERMILION, *GROUP_COLOURS], strict=False):
        before = rows[rows.method == "pretrain"].GA.mean() * 100
        retrain = rows[(rows.method == "retrain") & ~rows.reweight.astype(bool)]
        stats = retrain.groupby("ratio").GA.agg(["mean", half_width]) * 100
        ax.axhline(before, color=hue, ls=":", lw=1.5)
        ax.plot([0, *stats.index], [before, *stats["mean"]], color=hue)
        ax.errorbar(stats.index, stats["mean"], stats.half_width, fmt="o", color=hue, mfc="white", capsize=3)
        ends.append((stats["mean"].iloc[-1], name, hue))
    ax.set(xlabel="unlearning ratio: share of the group that is forgotten", ylim=(0, 103), xlim=(-0.02, 0.95),
           ylabel="accuracy of the forgotten group,\ntest" + (f", n = {n} (%)" if n else " (%)"))
    _direct_labels(ax, ends)
    ax.plot([], [], ":", color="0.35", lw=1.5, label="PRETRAIN (do nothing)")
    ax.plot([], [], "o-", color="0.35", mfc="white",
            label=f"RETRAIN: {bars_of(pd.concat(list(parts.values())))}")
    ax.legend(loc="lower left")
    return titled(ax, title)


def shares(panels: Mapping[str, pd.DataFrame], n_test: int, title: str = "") -> Figure:
    """GA against the group's share of the retain set, a line a number left, 95 % intervals over seeds; dashed
    the shifted prior's prediction, dotted the one from calibrated logits.

    Args:
        panels: by their titles, rows as `grmu.analysis.causes.drawn` gives.  n_test: test samples behind GA.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(8.4, 4.2), sharey=True, squeeze=False)
    numbers = sorted({left for table in panels.values() for left in table.left}, reverse=True)
    for ax, (name, table) in zip(axes[0], panels.items(), strict=True):
        predicted = table.drop_duplicates("share").sort_values("share")
        ax.plot(predicted.share, predicted.visible, "--", color="black", label="predicted from the share")
        ax.plot(predicted.share, predicted.calibrated, ":", color="0.45", label="the same, calibrated")
        for i, left in enumerate(numbers):
            part = table[table.left == left].sort_values("share")
            away = [part["mean"] - part.low, part.high - part["mean"]]
            ax.errorbar(part.share * 1.06 ** (i - 1), part["mean"], away, fmt="os^"[i % 3] + "-", capsize=3,
                        color=(VERMILION, "#A04600", "#5C2800")[i % 3], label=f"{left} left")
        ticks = sorted({f"{share:.2g}" for share in table.share}, key=float)
        ax.set(xscale="log", xlabel="share of the retain set (%)")
        ax.set_xticks(list(map(float, ticks)), ticks)
        ax.minorticks_off()
        ax.set_title(f"{name} ({table.n.min()} seeds)", fontsize=11, fontweight="normal")
    axes[0, 0].set_ylabel(f"accuracy of the group,\ntest, n = {n_test} (%)")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return headline(figure, title)
