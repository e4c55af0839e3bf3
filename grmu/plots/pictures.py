"""Draw pictures from the data, and one figure that summarises the course."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from grmu.data import GroupedDataset, Splits
from grmu.plots.style import GROUP_COLOURS, VERMILION, captioned, listed

MODELS = {("pretrain", False): "original model", ("retrain", False): "retrained\nwithout them",
          ("retrain", True): "retrained\nwith REWEIGHT", ("miu", True): "unlearned by MIU\nwith REWEIGHT"}
N_SHOWN = 8  # pictures in a row of `hero`


def show_picture(picture: ArrayLike, ax: Axes) -> None:
    """Draw a (1 or 3, H, W) uint8 picture without smoothing its pixels."""
    pixels = np.asarray(picture)
    ax.imshow(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255,
              interpolation="nearest")
    ax.set_axis_off()


def samples(x: np.ndarray | torch.Tensor, titles: Sequence[str] = (), n_columns: int = 10,
            title: str = "") -> Figure:
    """Draw (N, 1 or 3, H, W) uint8 pictures in a grid, each below its title."""
    n_rows = -(-len(x) // n_columns)
    height = (0.85 + 0.2 * bool(titles)) * n_rows + 0.3 * bool(title)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(8, height), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, picture in zip(axes.flat, x, strict=False):
        show_picture(picture, ax)
    for ax, words in zip(axes.flat, titles, strict=False):
        ax.set_title(words, fontsize=11, loc="center")
    under = f": {', '.join(titles)}" if titles else ""
    return captioned(figure, title, f"{title} {len(x)} pictures{under}.".strip())


def group_sheet(dataset: GroupedDataset, n_samples: int = 8) -> Figure:
    """Draw pictures and the size of every group, or just one picture if there are over eight groups."""
    if dataset.n_groups > 8:
        first = [int((dataset.group == group).nonzero()[0]) for group in range(dataset.n_groups)]
        return samples(dataset.x[first], n_columns=dataset.n_attributes)
    counts = dict(zip(dataset.group_names, dataset.group_counts().tolist(), strict=True))
    rows = torch.cat([(dataset.group == group).nonzero()[:n_samples, 0] for group in range(len(counts))])
    figure = samples(dataset.x[rows], n_columns=n_samples)
    for ax, (name, count) in zip(figure.axes[::n_samples], counts.items(), strict=True):
        ax.text(-0.2, 0.5, f"{name}\n{count:,}", transform=ax.transAxes, ha="right", va="center")
    return captioned(figure, "", f"The first pictures of each group, with its size: {listed(counts)}.")


def hero(pictures: pd.DataFrame, runs: pd.DataFrame, splits: Splits, ratio: float = 0.9) -> Figure:
    """Draw test pictures of the forget group in one row per model, and cross out wrong predictions.

    The pictures are the first ones that the original model classifies correctly and the first ones that it
    misclassifies, in proportion to its accuracy. The other models' predictions do not affect the choice.

    Args:
        pictures: The shipped table "pictures", which marks the test pictures that a run classifies correctly.
        runs: Shipped runs of the four models; their mean GA is written beside each row.
        splits: The data set.
        ratio: The share of the group that is forgotten.
    """
    test, g = splits.test, splits.test.group_id(splits.forget_group)
    right = {key: _right(pictures, key, g, ratio) for key in MODELS}
    means = 100 * runs[np.isclose(runs.ratio, ratio)].groupby(["method", "reweight"]).GA.mean()
    before, n_right = np.array(right["pretrain", False]), round(N_SHOWN * means["pretrain", False] / 100)
    places = np.sort([*before.nonzero()[0][:n_right], *(~before).nonzero()[0][:N_SHOWN - n_right]])
    shown = test.x[(test.group == g).nonzero()[places, 0]]
    figure, axes = plt.subplots(len(MODELS), N_SHOWN, figsize=(8.6, 4.3))
    for row, (key, name) in zip(axes, MODELS.items(), strict=True):
        for ax, picture, place in zip(row, shown, places, strict=True):
            _answer(ax, picture, right[key][place])
        row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center")
        row[-1].text(1.2, 0.5, f"{means[key]:.0f} %", transform=row[-1].transAxes, va="center", fontsize=18)
    figure.supxlabel("test pictures, none of which was forgotten; crossed: misclassified", fontsize=11)
    numbers = listed({name: means[key] for key, name in MODELS.items()})
    return captioned(figure, "Forgetting most of a small group hurts the members who stay",
                     f"{100 * ratio:.0f} % of the sneakers on brick are forgotten. Accuracy on the group's "
                     f"{int(test.group_counts()[g])} test pictures in %: {numbers}.")


def _right(pictures: pd.DataFrame, key: tuple[str, bool], group: int, ratio: float) -> list[bool]:
    """Return which of a group's first test pictures a model classifies correctly with seed 0."""
    same = np.isclose(pictures.ratio, ratio) | (pictures.method == "pretrain")  # is the same at every ratio
    chosen = pictures[same & (pictures.method == key[0]) & (pictures.reweight == key[1])]
    (row,) = chosen[(chosen.seed == 0) & (chosen.group == group)].right
    return [mark == "+" for mark in row]


def _answer(ax: Axes, picture: ArrayLike, right: bool) -> None:
    """Draw a picture with a frame; fade and cross out a misclassified one."""
    show_picture(picture, ax)
    ax.set_axis_on()
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=GROUP_COLOURS[2] if right else VERMILION, linewidth=2.5)
    if not right:
        ax.images[0].set_alpha(0.35)
        for ends in ([0.12, 0.88], [0.88, 0.12]):
            ax.plot([0.12, 0.88], ends, transform=ax.transAxes, color=VERMILION, lw=2.5)
