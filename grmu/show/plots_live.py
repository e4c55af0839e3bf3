"""Figures that are drawn again and again behind the course's demos, fast: no pyplot, no layout to be found.

A `Canvas` keeps its axes; what a figure shows is a plain function of canvas and numbers, so that a lesson can
draw it once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from grmu.show.model_changes import Answers, Features
from grmu.show.plots import GROUP_COLOURS, VERMILION, colour, name_rows, show_picture

SCREEN_DPI, SHARPNESS = 85, 1.6  # of the course's figures, and how many times that is drawn
SHEET_COLUMNS, MAPPED = 9, 300  # samples of a group on a sheet, and on a map


class Canvas:
    """Rows x columns of axes with fixed margins: what stands still is drawn once, what moves over it.

    Args:
        width, height: in inches of the screen.  margins: as `Figure.subplots_adjust` takes them.
        sharpness: how many times its size on screen `png` is; 1 for a figure that the notebook itself shows.
    """

    def __init__(self, width: float, height: float, rows: int = 1, columns: int = 1,
                 sharpness: float = SHARPNESS, **margins: float) -> None:
        self.figure = Figure(figsize=(width, height), dpi=sharpness * SCREEN_DPI,
                             layout="none")  # type: ignore[arg-type]  # taken, but its stubs do not say so
        self._agg = FigureCanvasAgg(self.figure)
        self.axes: list[Axes] = list(self.figure.subplots(rows, columns, squeeze=False).flat)
        self.figure.subplots_adjust(**margins)
        self.width = round(width * SCREEN_DPI)
        self._frame: object = None
        self._still: object = None
        self._moving: list[Artist] = []

    def draw(self, key: Hashable, frame: Callable[[list[Axes]], None],
             paint: Callable[[list[Axes]], None]) -> Figure:
        """Draw what `paint` adds, in place of what it added last, over what `frame` set up for this `key`."""
        for artist in self._moving:
            artist.remove()
        self._moving = []
        if key != self._frame:
            for ax in self.axes:
                ax.clear()
            frame(self.axes)
            self._agg.draw()
            self._frame, self._still = key, self._agg.copy_from_bbox(self.figure.bbox)
        before = set(self._artists())
        paint(self.axes)
        self._moving = sorted((a for a in self._artists() if a not in before),
                              key=lambda artist: artist.zorder)
        self._agg.restore_region(self._still)
        for artist in self._moving:
            self.figure.draw_artist(artist)
        return self.figure

    def _artists(self) -> Iterator[Artist]:
        yield from (*self.figure.texts, *self.figure.legends)
        for ax in self.axes:
            yield from ax.get_children()

    def headline(self, title: str, top: float = 0.985) -> None:
        """Title the figure from its left edge, `top` of its height up."""
        self.figure.text(0.01, top, title, ha="left", va="top", fontweight="bold", fontsize=12)

    def png(self) -> tuple[bytes, str]:
        """What was drawn last, and its width in pixels of the screen."""
        file, picture = BytesIO(), Image.fromarray(np.asarray(self._agg.buffer_rgba())).convert("RGB")
        picture.save(file, "png", compress_level=1)
        return file.getvalue(), str(self.width)


def png_of(figure: Figure) -> tuple[bytes, str]:
    """A canvas' figure that was not drawn yet, as PNG, and its width in pixels of the screen."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=SHARPNESS * SCREEN_DPI)
    return file.getvalue(), str(round(figure.get_figwidth() * SCREEN_DPI))


def answers_sheet(answers: Answers, groups: Sequence[int], only_changed: bool, title: str) -> Figure:
    """The samples whose confidence in the true class moved most, a row a group; crossed where wrong."""
    height = 0.5 + 1.42 * len(groups)
    canvas = Canvas(10.6, height, len(groups), SHEET_COLUMNS, 1, left=0.145, right=0.995, bottom=0.02,
                    top=1 - 0.75 / height, wspace=0.1, hspace=0.42)
    grid = np.array(canvas.axes).reshape(len(groups), SHEET_COLUMNS)
    for row, group in zip(grid, groups, strict=True):
        index = answers.most_moved(group, SHEET_COLUMNS, only_changed)
        total = int(((answers.data.group == group) & (answers.changed | (not only_changed))).sum())
        name = answers.data.group_names[group].replace(" on ", "\non ")
        row[0].text(-0.12, 0.5, f"{name}\n{len(index)} of {total}", transform=row[0].transAxes, ha="right",
                    va="center")
        for ax in row:
            ax.set_axis_off()
        for ax, i in zip(row, index.tolist(), strict=False):
            show_picture(answers.data.x[i], ax)
            mark = "" if answers.right[i] else r" $\times$"
            ax.set_title(f"{100 * answers.before[i]:.0f} → {100 * answers.after[i]:.0f}{mark}", fontsize=10,
                         loc="center", fontweight="normal",
                         color="black" if answers.right[i] else VERMILION)
    canvas.headline(title, 0.99)
    return canvas.figure


def feature_map(features: Features, forget: Sequence[int], names: tuple[str, str]) -> Figure:
    """Features before and after on the same axes, by group, and how well a classifier tells the groups."""
    canvas = Canvas(10.6, 4.6, 1, 2, 1, left=0.07, right=0.98, bottom=0.2, top=0.82, wspace=0.12)
    points = np.concatenate([features.before, features.after])
    low, high = points.min(0), points.max(0)
    for ax, z, name, told in zip(canvas.axes, (features.before, features.after), names,
                                 features.separability, strict=True):
        for group, who in enumerate(features.group_names):
            hue = VERMILION if group in forget else GROUP_COLOURS[group % len(GROUP_COLOURS)]
            mine = z[features.group == group][:MAPPED]
            ax.plot(mine[:, 0], mine[:, 1], "os^D"[group % 4], color=hue, ms=2.5, mew=0, alpha=0.6, label=who)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]),
               xlabel="first principal component of the features before")
        ax.set_title(f"{name}: groups told apart {100 * told:.0f} %", fontsize=11, fontweight="normal")
    canvas.axes[0].set_ylabel("second")
    canvas.axes[1].set_yticklabels([])
    if len(features.group_names) <= 8:
        handles, labels = canvas.axes[0].get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="lower center", ncols=4, markerscale=3, fontsize=10)
    first, then = (round(100 * told) for told in features.separability)
    change, chance = then - first, 100 / len(features.group_names)
    by = f"{abs(change)} point{'s' * (abs(change) != 1)}"
    title = (f"A linear classifier of groups {'loses' if change < 0 else 'gains'} {by}" if change
             else "The groups can be told apart as before")
    canvas.headline(f"{title} (test set; chance is {chance:.0f} %)")
    return canvas.figure


def draw_convergence(canvas: Canvas, estimates: Sequence[float], every: int, updates: int, truth: float,
                     bounded: float) -> Figure:
    """An estimate that grows update by update, beside the information and what the bound can reach."""
    top = max(1.7, 1.15 * max(estimates, default=0), 1.3 * bounded)
    low = min(-0.2, 1.15 * min(estimates, default=0))
    limits = max(low, -5), min(top, 10)

    def frame(axes: list[Axes]) -> None:
        (ax,) = axes
        ax.set(xlim=(0, updates), ylim=limits, xlabel="updates", ylabel="nats, held-out samples")
        ax.axhline(truth, color="black", ls="--", lw=1.2)
        ax.text(1.01, truth, f"I(Z; G) = {truth:.2f}", transform=ax.get_yaxis_transform(), va="center")
        if bounded - truth > 0.02:
            ax.axhline(bounded, color="#0072B2", ls=":", lw=1.5)
            ax.text(1.01, bounded, f"+ KL = {bounded:.2f}", transform=ax.get_yaxis_transform(), va="center",
                    color="#0072B2")

    def paint(axes: list[Axes]) -> None:
        axes[0].plot(every * np.arange(1, len(estimates) + 1), estimates, "o-", color="#CC79A7", ms=4)
        if estimates:
            after, value = every * len(estimates), estimates[-1]
            canvas.headline(f"After {after} updates: {value:.2f} nats, the truth is {truth:.2f}", 0.97)

    return canvas.draw((limits, updates, truth, bounded), frame, paint)


def by_hand_canvas(sharpness: float = SHARPNESS) -> Canvas:
    """Where `draw_by_hand` draws."""
    return Canvas(10.6, 3.9, 1, 2, sharpness, left=0.16, right=0.98, bottom=0.14, top=0.8, wspace=0.12)


def draw_by_hand(canvas: Canvas, names: Sequence[str], forget: int,
                 shares: Mapping[str, Sequence[float] | np.ndarray],
                 accuracies: Mapping[str, Sequence[float] | np.ndarray], title: str = "",
                 of: str = "validation") -> Figure:
    """Left each group's share of what training draws, right its accuracy: one marker a choice of weights.

    shares, accuracies: (n_groups,) fractions by name, one of `MARKS`.  of: the data of the accuracies.
    """
    def frame(axes: list[Axes]) -> None:
        for ax, across in zip(axes, ("share of an epoch's samples (%, log scale)", f"{of} accuracy (%)"),
                              strict=True):
            name_rows(ax, names)
            ax.set_xlabel(across)
        axes[0].set(xscale="log", xlim=(0.05, 130))
        axes[0].set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        axes[1].set_xlim(0, 101)
        axes[1].tick_params(axis="y", labelcolor="none")  # unseen, but there for the figure in words

    def paint(axes: list[Axes]) -> None:
        for ax, values in zip(axes, (shares, accuracies), strict=True):
            for name, by_group in values.items():
                mark, hue, size = MARKS.get(name, MARKS["by hand"])
                x = np.maximum(100 * np.asarray(by_group), 0.05)
                ax.plot(x, range(len(x)), mark, color=hue, ms=size, mfc="none" if name == "before" else hue,
                        mew=1.5, label=name)
                if name == "by hand":
                    ax.plot(x[forget], forget, mark, color=VERMILION, ms=size)
        canvas.figure.legend(*axes[0].get_legend_handles_labels(), loc="upper left",
                             bbox_to_anchor=(0.15, 0.94), ncols=4)
        canvas.headline(title)

    return canvas.draw((tuple(names), of), frame, paint)


MARKS = {"before": ("o", colour("pretrain"), 12), "no weights": ("s", "#0072B2", 6),
         "α (REWEIGHT)": ("|", "black", 18), "by hand": ("D", colour("miu"), 6)}
