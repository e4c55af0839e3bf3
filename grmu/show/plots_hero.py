"""The course in one picture: eight of those who stay, four models, and who is right about whom."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from grmu import data
from grmu.analysis import results
from grmu.show.plots import GROUP_COLOURS, VERMILION, headline, show_picture

ROWS = {("pretrain", False): "before\nanyone leaves", ("retrain", False): "trained anew\nwithout them",
        ("retrain", True): "trained anew,\nwith REWEIGHT", ("miu", True): "unlearned by MIU,\nwith REWEIGHT"}
GRIDS = ("references", "unlearning")
SEED, N_PICTURES, RIGHT = 0, 8, "+"


def hero(ratio: float = 0.9) -> Figure:
    """Test pictures of the group, a row a model: right ones in a frame, wrong ones pale and crossed.

    The first ones that PRETRAIN answers right and the first that it does not, as many of each as its accuracy
    says: what the other models make of them has no part in the choice. Beside each row stands the accuracy on
    all test pictures of the group, a mean over the shipped seeds.
    """
    splits = data.load("groundwear")
    test, g = splits.test, splits.test.group_id(splits.forget_group)
    right = {arm: by_group[g] for arm, by_group in _of(results.load("pictures"), ratio).items()}
    runs = pd.concat([results.load(name) for name in GRIDS])
    means = 100 * runs[(runs.ratio - ratio).abs() < 1e-9].groupby(["method", "reweight"]).GA.mean()
    before = right["pretrain", False]
    n_right = round(N_PICTURES * means["pretrain", False] / 100)
    places = sorted([i for i, answer in enumerate(before) if answer == RIGHT][:n_right]
                    + [i for i, answer in enumerate(before) if answer != RIGHT][:N_PICTURES - n_right])
    shown = test.x[(test.group == g).nonzero()[places, 0]]
    fig, axes = plt.subplots(len(ROWS), N_PICTURES, figsize=(8.6, 4.3))
    for row, (arm, name) in zip(axes, ROWS.items(), strict=True):
        for ax, picture, place in zip(row, shown, places, strict=True):
            show_picture(picture, ax)
            _answered(ax, right[arm][place] == RIGHT)
        row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center")
        hue = VERMILION if 2 * means[arm] < means["pretrain", False] else "black"
        row[-1].text(1.2, 0.5, f"{means[arm]:.0f} %", transform=row[-1].transAxes, va="center", fontsize=18,
                     fontweight="bold", color=hue)
    n = int(test.group_counts()[g])
    axes[-1, -1].text(1.2, -0.12, f"right, of {n}", transform=axes[-1, -1].transAxes, va="top")
    left = f"{100 * ratio:.0f} %"
    fig.set_label(
        f"{N_PICTURES} pictures of sneakers on brick, and four models. Before anyone leaves, the model is "
        f"right about {means['pretrain', False]:.0f} % of such pictures. Trained anew without {left} of the "
        f"group it is right about {means['retrain', False]:.0f} %, with REWEIGHT about "
        f"{means['retrain', True]:.0f} %. MIU with REWEIGHT is right about {means['miu', True]:.0f} %.")
    fig.supxlabel("new pictures of the group, none of which was forgotten; crossed: the model says "
                  "\"ankle boot\"", fontsize=11)
    return headline(fig, f"{left} of the sneakers on brick are forgotten. Who pays?")


def _of(table: pd.DataFrame, ratio: float) -> dict[tuple[str, bool], dict[int, str]]:
    """By arm and group, which pictures are right; PRETRAIN's are the same at every ratio."""
    rows = table[(table.seed == SEED) & (((table.ratio - ratio).abs() < 1e-9) | (table.method == "pretrain"))]
    return {arm: dict(zip(part.group, part.right, strict=True))
            for arm, part in rows.groupby(["method", "reweight"])}


def _answered(ax: plt.Axes, right: bool) -> None:
    """A frame for what is right; what is wrong grows pale under a cross."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=GROUP_COLOURS[2] if right else VERMILION, linewidth=2.5)
    if not right:
        ax.images[0].set_alpha(0.35)
        ax.plot([0.12, 0.88], [0.12, 0.88], transform=ax.transAxes, color=VERMILION, lw=3)
        ax.plot([0.12, 0.88], [0.88, 0.12], transform=ax.transAxes, color=VERMILION, lw=3)
