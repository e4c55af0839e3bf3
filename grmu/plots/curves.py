"""Draw curves against the unlearning ratio, a group's share, the number of updates or the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from grmu.analysis.names import label
from grmu.plots import style

ACCURACY = "test accuracy on the group (%)"
FORGET, OTHERS = style.VERMILION, style.GROUP_COLOURS[0]
SETS = {"GA": FORGET, "UA": "#8C3D00", "TA": OTHERS}  # the metrics that `epochs` draws
NUMBERS = {102: ("o", "#6B2D00", -0.2), 51: ("s", FORGET, 0.0), 10: ("^", "#FFC9A3", 0.2)}  # by pictures left
EPOCHS = {name: ("accuracy (%)", hue) for name, hue in SETS.items()} | {
    "mi_forget": ("M before the epoch (nats)", FORGET), "mi_train": ("M before the epoch (nats)", OTHERS),
    "forget_loss": ("mean loss", FORGET), "retain_loss": ("mean loss", OTHERS)}


def ratio_curve(rows: pd.DataFrame, by: str, palette: Mapping[str, str], title: str = "") -> Figure:
    """Draw RETRAIN's GA against the ratio, with one line for each value of `by`; PRETRAIN is dotted.

    Args:
        rows: Runs, as `results.load` returns them, with the column `by`.
        by: The column whose values name the lines.
        palette: The colour of each line.
        title: The finding.
    """
    rows = rows.assign(GA=100 * rows.GA)
    levels, lines = rows[rows.method == "pretrain"], rows[rows.method != "pretrain"]
    figure, (ax,) = style.panels(1, 8, 4.2)
    sns.lineplot(lines, x="ratio", y="GA", hue=by, style=by, palette=palette, markers=True, ax=ax,
                 legend=False, errorbar=style.t_interval, err_style="bars", err_kws={"capsize": 3})
    before = levels.groupby(by, sort=False).GA.mean()
    for name, level in before.items():
        ax.axhline(level, color=palette[name], ls=":", lw=1.5)
    after = lines[np.isclose(lines.ratio, lines.ratio.max())].groupby(by, sort=False).GA.mean()
    ax.set(xlabel="unlearning ratio: share of the group that is forgotten", ylabel=ACCURACY, ylim=(0, 103))
    ends = after.to_dict() | {name: level for name, level in before.items() if name not in after}
    style.label_ends(ax, {name: (end, palette[name]) for name, end in ends.items()})
    first = " and ".join(dict.fromkeys(f"{level:.0f}" for level in before))
    last = ", ".join(f"{value:.0f} % ({by} {name})" for name, value in after.items())
    return style.captioned(figure, title, f"GA, {style.seeds_in_words(rows.seed.nunique())}. Dotted line: "
                           f"original model, {first} %. RETRAIN at ratio {lines.ratio.max():g}: {last}.")


def shares(cells: pd.DataFrame, title: str = "") -> Figure:
    """Draw GA against the group's share of the retain set, with the shifted prior's prediction.

    Args:
        cells: Rows, as `causes.drawn` returns them, with a column "panel".
        title: The finding.
    """
    cells = cells.assign(place=cells.share.map(lambda share: f"{share:.2g}"))
    places = sorted(cells.place.unique(), key=float, reverse=True)
    figure, axes = style.panels(cells.panel.nunique(), 9.5, 4.4, sharey=True)
    for ax, (name, part) in zip(axes, cells.groupby("panel", sort=False), strict=True):
        level = part.groupby("place").visible.mean().reindex(places)
        ax.hlines(level, [k - 0.35 for k in range(len(places))], [k + 0.35 for k in range(len(places))],
                  color="black", lw=2, label="predicted from the share")
        for left, (marker, hue, aside) in NUMBERS.items():
            own = part[part.left == left]
            at = own.place.map(places.index) + aside
            away = [own["mean"] - own.low, own.high - own["mean"]]
            ax.errorbar(at, own["mean"], away, fmt=marker, color=hue, ms=9, mec="black",
                        ecolor="black", capsize=3, label=f"{left} pictures left")
        ax.set(xlabel="the group's share of the retain set (%)", ylabel=ACCURACY, ylim=(0, 85),
               xlim=(-0.5, len(places) - 0.5), title=f"{name} ({part.n.min()} seeds)")
        ax.set_xticks(range(len(places)), places)
    style.legend_below(figure, axes)
    numbers = {f"{row.panel}, {row.left} left, share {row.share:.2g} %:": row.mean
               for row in cells.itertuples()}
    return style.captioned(figure, title, "Accuracy on the group, means and 95 % intervals over "
                           f"{cells.n.min()} seeds: {style.listed(numbers)} %.")


def convergence(histories: Mapping[str, Sequence[Any]], levels: Mapping[str, float], every: int = 1,
                title: str = "", ylim: tuple[float, float] | None = None, note: str = "",
                palette: Mapping[str, str] | None = None) -> Figure:
    """Draw estimates of mutual information against updates, with known values as dashed lines.

    Args:
        histories: The estimates for each name: one list, or one list per seed.
        levels: The known value for each name.
        every: The number of updates between two estimates.
        title: The finding.
        ylim: The limits of the y axis.
        note: A sentence that is added to the caption.
        palette: The colour of each name in `histories`.
    """
    figure, (ax,) = style.panels(1, 8, 3.8)
    hues, ends = palette or dict(zip(histories, [OTHERS, "#E69F00"], strict=False)), {}
    for name, values in histories.items():
        hue = hues[name]
        by_seed = pd.DataFrame(np.atleast_2d(values))
        by_seed.columns = every * (1 + by_seed.columns)
        sns.lineplot(by_seed.melt(var_name="updates"), x="updates", y="value", color=hue, ax=ax, lw=2,
                     errorbar=style.t_interval)
        ends[name] = by_seed.iloc[:, -1].mean(), hue
    for name, level in levels.items():
        ax.axhline(level, color="black", ls="--", lw=1.2)
        ends[name] = level, "black"
    ax.set(xlabel="updates of the network T", ylabel="estimate (nats)", ylim=ylim)
    style.label_ends(ax, ends)
    last = style.listed({name: end for name, (end, _) in ends.items()}, 2)
    caption = f"Estimates after the last update and dashed values, in nats: {last}. {note}"
    return style.captioned(figure, title, caption.rstrip())


def epochs(curves: pd.DataFrame, gold: Mapping[str, float] | None = None, title: str = "") -> Figure:
    """Draw a run's accuracies by epoch, and MINE's estimates or, if there are none, the losses.

    Args:
        curves: One row per epoch, like `Result.curves`; epoch 0 is the original model.
        gold: The gold standard's metrics, drawn as dashed lines.
        title: The finding.
    """
    shown = [name for name in EPOCHS if name in curves and ("mi_train" not in curves or "loss" not in name)]
    long = curves.melt("epoch", shown, "line").dropna()
    long["panel"] = long.line.map({name: words for name, (words, _) in EPOCHS.items()})
    long.loc[long.line.isin(SETS), "value"] *= 100
    grid = _by_epoch(long, {name: hue for name, (_, hue) in EPOCHS.items()})
    for ax in grid.axes.flat:
        ax.legend()
    for name, hue in SETS.items():
        if gold is not None:
            grid.axes.flat[0].axhline(100 * gold[name], color=hue, ls="--", lw=1.2)
    accuracies = [name for name in SETS if name in curves]  # PRETRAIN has only TA because it forgets nothing
    numbers = f"{curves.epoch.iloc[-1]:g}: {style.listed(100 * curves[accuracies].iloc[-1])} %."
    return style.captioned(grid.figure, title, f"Accuracy after epoch {numbers}"
                           + " Dashed: gold standard." * (gold is not None))


def _by_epoch(long: pd.DataFrame, palette: Mapping[str, str]) -> sns.FacetGrid:
    """Draw the column "value" against the epoch, with one line per `line` and one panel per `panel`."""
    grid = style.facets(long, col="panel", height=3.8, sharey=False)
    grid.map_dataframe(sns.lineplot, x="epoch", y="value", hue="line", marker="o", palette=palette)
    for words, ax in grid.axes_dict.items():
        ax.set(xlabel="epoch", ylabel=words, title="")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return grid


def trajectories(curves: pd.DataFrame, gold: Mapping[str, float], title: str = "") -> Figure:
    """Draw each method's path from the original model (square) towards the gold standard (dashed).

    Args:
        curves: Columns method, reweight, epoch, UA and GA (fractions) at one ratio.
        gold: The gold standard's UA and GA (fractions).
        title: The finding.
    """
    curves = curves.assign(UA=100 * curves.UA, GA=100 * curves.GA, method=curves.method.map(label),
                           how=[list(style.REWEIGHTED)[reweight] for reweight in curves.reweight])
    ends, start = curves.drop_duplicates(["method", "how"], keep="last"), curves.iloc[0]
    look: dict[str, Any] = {"x": "UA", "y": "GA", "hue": "how", "palette": style.REWEIGHTED}
    grid = style.facets(curves, col="method", col_wrap=4, height=2.3)
    grid.map_dataframe(sns.lineplot, **look, sort=False, lw=1.2)
    for name, ax in grid.axes_dict.items():
        sns.scatterplot(ends[ends.method == name], **look, s=60, ax=ax, legend=False, zorder=3)
        ax.plot(start.UA, start.GA, "s", color=style.colour("pretrain"), label="original model")
    grid.refline(x=100 * gold["UA"], y=100 * gold["GA"], color="black", lw=1)
    grid.set_titles("{col_name}").set_axis_labels("UA (%)", "GA (%)")
    style.legend_below(grid.figure, list(grid.axes.flat))
    numbers = style.listed(dict(zip(ends.method + " " + ends.how, ends.GA, strict=True)))
    return style.captioned(grid.figure, title, "Means of five seeds; large dots: the last epoch; dashed: "
                           f"gold standard. GA at the end, %: {numbers}.")


def runs_by_epoch(curves: Mapping[str, pd.DataFrame], columns: Mapping[str, str], palette: Mapping[str, str],
                  title: str = "", dashed: Mapping[str, float] | None = None,
                  forget_epochs: int = 0) -> Figure:
    """Draw several runs by epoch, with one panel per column and the runs' names beside the last panel.

    Args:
        curves: A table with one row per epoch for each run, by the name of the run.
        columns: The label of the y axis for each column.
        palette: The colour of each run.
        title: The finding.
        dashed: A reference value for each column, such as the gold standard's.
        forget_epochs: The number of epochs that have a forget pass; these are shaded.
    """
    long = pd.concat([run.melt("epoch", [c for c in columns if c in run], "column").assign(line=name)
                      for name, run in curves.items()]).dropna()
    grid, parts = _by_epoch(long.assign(panel=long.column.map(columns)), palette), []
    for (column, part), ax in zip(long.groupby("column", sort=False), grid.axes.flat, strict=True):
        if dashed and column in dashed:
            ax.axhline(dashed[column], color="black", ls="--", lw=1.2)
        ax.axvspan(0.5, forget_epochs + 0.5, color="0.93", zorder=0)
        ends = part.groupby("line", sort=False).value.last()
        parts.append(f"{columns[column]}: {style.listed(ends, 2)}")
    style.label_ends(ax, {name: (end, palette[name]) for name, end in ends.items()})
    parts[0] = parts[0][0].upper() + parts[0][1:]
    return style.captioned(grid.figure, title, f"Values in the last epoch, for one seed. {'; '.join(parts)}. "
                           "Grey area: epochs with forget passes." + " Dashed: gold standard." * bool(dashed))
