"""Draw estimates in rows: means with 95 % intervals, and one dot for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from grmu.analysis.names import METRIC_NAMES, label
from grmu.plots import style
from grmu.plots.pictures import show_picture

PLAIN = style.GROUP_COLOURS[5]  # of estimates that need not be distinguished by colour
ATTACKS = {("U-LiRA", "unlearned"): ("unlearned: U-LiRA", style.VERMILION),
           ("forest", "unlearned"): ("unlearned: random forest (MIA)", "#8C3D00"),
           ("U-LiRA", "retained"): ("control: retained", "#0072B2"),
           ("U-LiRA", "overfitted"): ("control: overfitted on purpose", "#56B4E9")}


def intervals(table: pd.DataFrame, x: str, y: str, hue: str | None = None, col: str | None = None,
              palette: Mapping[str, str] | None = None, dashed: Mapping[str, float] | None = None,
              band: float = 0.0, title: str = "", note: str = "", digits: int = 0) -> Figure:
    """Draw means with known 95 % intervals, with one row for each value of `y`.

    Args:
        table: One row per estimate, with the columns mean, low and high.
        x: The label of the x axis.
        y: The column that names the rows.
        hue: The column that distinguishes the marks within a row.
        col: The column that names the panels.
        palette: The colour of each value of `hue`, or of each row.
        dashed: A reference value for each panel, such as the gold standard's; a single panel is named "".
        band: Half the width of a grey band around 0.
        title: The finding.
        note: A sentence that is added to the caption.
        digits: The number of decimals of the means in the caption.
    """
    parts = dict(list(table.groupby(col, sort=False))) if col else {"": table}
    by, rows, numbers = hue or (y if palette else None), list(table[y].unique()), []
    figure, axes = style.panels(len(parts), 8.6, 1.9 + (0.46 if hue else 0.38) * len(rows), sharey=True)
    for ax, (name, part) in zip(axes, parts.items(), strict=True):
        keys = list(dict.fromkeys(filter(None, (y, hue))))
        # Of low, mean and high, the median is the mean, and the 100 % interval runs from low to high.
        sns.pointplot(part.melt(keys, ["low", "mean", "high"]), x="value", y=y, hue=by, order=rows, ax=ax,
                      palette=palette, hue_order=list(palette) if hue and palette else None,
                      color=None if by else PLAIN, estimator="median", errorbar=("pi", 100), capsize=0.15,
                      linestyle="none", markersize=6, err_kws={"linewidth": 1.6}, dodge=0.4 if hue else False,
                      legend="full" if hue else False)
        if band > 0:
            ax.axvspan(-band, band, color="0.9", zorder=0)
        if dashed and name in dashed:
            ax.axvline(dashed[name], color="black", ls="--", lw=1.2, zorder=0)
        ax.set(xlabel=x if len(parts) == 1 else "", ylabel="", title=name)
        means = part.set_index(part[keys].agg(" ".join, axis=1))["mean"]
        numbers.append(" ".join(f"{name}: {style.listed(means, digits)}".strip(": ").split()))
    if hue:
        style.legend_below(figure, axes, x if len(parts) > 1 else "")
    elif len(parts) > 1:
        figure.supxlabel(x, fontsize=12)
    return style.captioned(figure, title, f"{x}: {'; '.join(numbers)}. {note}".strip())


def seeds(rows: pd.DataFrame, x: str, y: str, hue: str | None = None, col: str | None = None,
          note: str = "", **how: Any) -> Figure:
    """Draw each seed as a dot, and the means with their 95 % intervals.

    Args:
        rows: One row per seed, with the measured values in the column `x`.
        x: The column with the values, and the label of the x axis.
        y: The column that names the rows.
        hue: The column that distinguishes the marks within a row.
        col: The column that names the panels.
        note: A sentence that is added to the caption.
        how: Further arguments of `intervals`.
    """
    by_row = rows.groupby(list(filter(None, (col, y, hue))), sort=False)[x]
    ends = by_row.apply(style.t_interval)
    table = by_row.mean().to_frame("mean").assign(low=ends.str[0], high=ends.str[1]).reset_index()
    words = f"{style.seeds_in_words(int(by_row.size().max()))}; small dots are seeds. {note}"
    figure = intervals(table, x, y, hue, col, note=words[0].upper() + words[1:].strip(), **how)
    palette = how.get("palette")
    by = hue or (y if palette else None)
    for ax, (_, part) in zip(figure.axes, rows.groupby(col or (lambda _: 0), sort=False), strict=True):
        sns.stripplot(part, x=x, y=y, hue=by, palette=palette, color=None if by else PLAIN, dodge=bool(hue),
                      ax=ax, alpha=0.45, size=4, jitter=False, legend=False)
        ax.set(xlabel="" if col else x, ylabel="")
    return figure


def compare(rows: pd.DataFrame, metrics: Sequence[str] = ("UA", "GA", "TA"), title: str = "") -> Figure:
    """Compare methods in one panel per metric, with the gold standard as a dashed line.

    Args:
        rows: Runs, as `results.load` returns them.
        metrics: The metrics to show, in percent.
        title: The finding.
    """
    words = {metric: METRIC_NAMES[metric].replace(", ", ",\n") for metric in metrics}
    rows = rows.assign(method_name=[label(*key) for key in zip(rows.method, rows.reweight, strict=True)])
    long = rows.rename(columns=words).melt(["method_name", "seed"], list(words.values()), "metric", "%")
    gold = rows[(rows.method == "retrain") & rows.reweight]
    return seeds(long.assign(**{"%": 100 * long["%"]}), "%", "method_name", col="metric", title=title,
                 palette=dict(zip(rows.method_name, map(style.colour, rows.method), strict=True)),
                 dashed={words[metric]: 100 * gold[metric].mean() for metric in metrics if len(gold)},
                 note="Dashed: gold standard." * bool(len(gold)))


def forest(gaps: pd.DataFrame, noise: float = 0.0, title: str = "", col: str | None = None,
           x: str = "GA minus the gold standard's (points)") -> Figure:
    """Draw each method's signed gap to the gold standard, without and with REWEIGHT.

    Args:
        gaps: One row per (method, reweight) with the mean and, if they are known, low, high and verdict, in
            points, as `compare.verdicts` returns them.
        noise: The margin around the gold standard, drawn as a grey band; NaN draws none.
        title: The finding.
        col: The column that names the panels.
        x: The label of the x axis.
    """
    table = gaps.assign(method_name=[label(method) for method, _ in gaps.index],
                        how=[list(style.REWEIGHTED)[reweight] for _, reweight in gaps.index])
    if "low" not in table:
        table = table.assign(low=table["mean"], high=table["mean"])
    return intervals(table, x, "method_name", "how", col, style.REWEIGHTED, title=title, band=noise,
                     dashed=dict.fromkeys(table[col] if col else [""], 0.0),
                     note="Bars: 95 % t-intervals. Dashed: gold standard."
                          + f" Grey: margin, {noise:.1f} points." * bool(noise > 0))


def attacks(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Draw how well attacks identify the unlearned people and the controls, with one row per method.

    Args:
        tables: The rows of one group in the shipped table "audit", for each panel.
        title: The finding.
    """
    table = pd.concat([rows.assign(panel=name) for name, rows in tables.items()])
    kinds = [ATTACKS.get(key, (None,))[0] for key in zip(table.attack, table.who, strict=True)]
    names = [label(*key) for key in zip(table.method, table.reweight, strict=True)]
    table = table.assign(kind=kinds, row=names).rename(
        columns={"AUC": "mean", "AUC low": "low", "AUC high": "high"})
    figure = intervals(table.dropna(subset="kind"), "AUC", "row", "kind", "panel", dict(ATTACKS.values()),
                       dict.fromkeys(tables, 0.5), title=title)
    worded = table.dropna(subset="verdict").replace({"verdict": {"cannot tell": "inconclusive"}})
    words = worded.panel + ", " + worded.row + ": " + worded.verdict + worded["mean"].map(" ({:.2f})".format)
    return style.captioned(figure, title, "AUC with 95 % intervals, bootstrapped over 64 models; dashed: "
                           f"guessing. Verdicts, with the AUC of U-LiRA: {'; '.join(words)}.")


def roc(scores: Mapping[str, tuple[np.ndarray, np.ndarray]], palette: Mapping[str, str], title: str = "",
        caption: str = "") -> Figure:
    """Draw an attack's ROC curves with a logarithmic axis for the false positive rate.

    Args:
        scores: For each name, the scores of the members and of the pictures that were never seen.
        palette: The colour of each name.
        title: The finding.
        caption: The numbers.
    """
    figure, (ax,) = style.panels(1, 8.6, 4.8)
    for name, (seen, never) in scores.items():
        truth = np.repeat([True, False], [len(seen), len(never)])
        false, true, _ = roc_curve(truth, np.concatenate([seen, never]))
        ax.step(100 * false, 100 * true, where="post", color=palette[name], lw=2, label=name)
    ax.plot(np.geomspace(0.1, 100), np.geomspace(0.1, 100), color="0.85", lw=6, zorder=0, label="guessing")
    ax.axvline(1, color="0.5", ls="--", lw=1)
    ax.set(xscale="log", xlim=(0.1, 100), xlabel="never-seen pictures accused: FPR (%, log scale)",
           ylabel="unlearned pictures accused: TPR (%)")
    ax.xaxis.set_major_formatter("{x:g}")
    style.legend_below(figure, [ax])
    return style.captioned(figure, title, caption)


def confidences(picture: np.ndarray, answers: Mapping[str, np.ndarray], states: np.ndarray, title: str = "",
                caption: str = "") -> Figure:
    """Draw a picture and the distribution of the shadow models' confidence for each state.

    Args:
        picture: (1 or 3, H, W) uint8 picture.
        answers: For each method, the (models,) confidences.
        states: (models,) "never seen", "retained" or "unlearned".
        title: The question or the finding.
        caption: The numbers.
    """
    hues = {"never seen": style.colour("pretrain"), "unlearned": style.VERMILION,
            "retained": style.GROUP_COLOURS[0]}
    figure, axes = style.panels(1 + len(answers), 9.5, 3.6)
    show_picture(picture, axes[0])
    for ax, (name, c) in zip(axes[1:], answers.items(), strict=True):
        for state, hue in hues.items():
            sns.kdeplot(x=c[states == state], color=hue, fill=True, alpha=0.15, ax=ax, label=state)
            sns.rugplot(x=c[states == state], color=hue, height=0.06, ax=ax)
        ax.set(title=name.replace(" + ", "\n+ "), xlabel="confidence c", ylabel="", yticks=[])
    axes[1].set_ylabel("density of models")
    style.legend_below(figure, axes[1:])
    return style.captioned(figure, title, caption)
