"""Draws docs/effect.png, the picture of the README, from the shipped results, and prints its alt text.

python docs/effect.py
"""

from pathlib import Path

import matplotlib
import pandas as pd

from grmu.show import plots
from grmu.study import grids, results, tables

PICTURE = Path(__file__).with_suffix(".png")
GROUP = "sneakers on brick"


def lines() -> dict[str, pd.DataFrame]:
    """By what was done: mean and 95 % interval of the group's test accuracy in percent, by ratio."""
    references, control = results.load("references"), results.load("uniform")
    back = {grids.uniform_ratio(ratio): ratio for ratio in grids.RATIOS}
    control = control.assign(ratio=control.ratio.map(back), method=control.method + " uniform")
    rows = pd.concat([references[references.method.isin(("pretrain", "retrain"))], control])
    found = {}
    for (method, reweight), part in rows.groupby(["method", "reweight"], sort=False):
        spread = {ratio: tables.interval(100 * accuracy) for ratio, accuracy in part.groupby("ratio").GA}
        found[method + " + reweight" * reweight] = pd.DataFrame(spread, index=["mean", "low", "high", "n"]).T
    return found


def alt_text(by: dict[str, pd.DataFrame]) -> str:
    """What the picture shows, in one or two sentences."""
    first, last = grids.RATIOS[0], grids.RATIOS[-1]

    def at(what: str, ratio: float) -> str:
        return f"{by[what]['mean'][ratio]:.0f}"

    said = (f"Test accuracy of {GROUP} against the share of them that is forgotten. Trained anew without "
            f"them, it falls from {at('retrain', first)} % at {first:.0%} to {at('retrain', last)} % at "
            f"{last:.0%}. With REWEIGHT it is {at('retrain + reweight', first)} and "
            f"{at('retrain + reweight', last)} %; where as many pictures of everyone are forgotten, "
            f"{at('retrain uniform', first)} and {at('retrain uniform', last)} %.")
    return said.replace("0%", "0 %")


def draw(path: Path) -> str:
    """Draw the picture into `path`; its alt text."""
    matplotlib.use("agg")
    plots.use_style()
    by = lines()
    ax = plots.axes_or_new(None, figsize=(8.6, 4.2))
    hollow, filled = plots.marker_style("retrain", False), plots.marker_style("retrain", True)
    blue = plots.GROUP_COLOURS[0]
    styles = {"retrain + reweight": (filled, "trained anew, with REWEIGHT", 0.006),
              "retrain": (hollow, "trained anew without them", 0.0),
              "retrain uniform": (hollow | {"color": blue, "markeredgecolor": blue},
                                  "as many of everyone", -0.006)}
    before = by["pretrain"]["mean"].mean()
    ax.axhline(before, color=plots.colour("pretrain"), ls=":", lw=1.5)
    ends = {"before anyone leaves": (before, plots.colour("pretrain"))}
    for what, (style, name, shift) in styles.items():
        one = by[what]
        error = [one["mean"] - one.low, one.high - one["mean"]]
        ax.errorbar(one.index + shift, one["mean"], error, capsize=3, **style)
        ends[name] = (one["mean"].iloc[-1], style["color"])
    gap = 0.065 * (ax.get_ylim()[1] - ax.get_ylim()[0])
    place = float("inf")
    for name, (value, hue) in sorted(ends.items(), key=lambda end: -end[1][0]):
        place = min(value, place - gap)
        ax.text(0.94, place, name, color=hue, va="center")
    losses = by["pretrain"]["mean"] - by["retrain"]["mean"]
    won = by["retrain + reweight"]["mean"] - by["retrain"]["mean"]
    last = grids.RATIOS[-1]
    title = (f"{last:.0%} of a small group leave: those who stay lose {losses[last]:.0f} points of "
             f"accuracy,\nand REWEIGHT gives back {won[last]:.0f}")
    ax.set_title(title.replace("0%", "0 %"))
    ax.set(xlabel="share of the group that is forgotten", xlim=(0.05, 0.93), xticks=grids.RATIOS,
           ylabel=f"accuracy of {GROUP},\ntest, n = 500 (%)")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}".replace("%", " %"))
    ax.figure.savefig(path, dpi=120, metadata={"Software": None}, bbox_inches="tight")
    return alt_text(by)


if __name__ == "__main__":
    print(draw(PICTURE))
