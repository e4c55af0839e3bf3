"""What a figure shows, in words: computed from what is drawn, for whoever cannot see it.

`speak` makes every figure of a notebook carry its sentence twice: as the picture's alt text (in the output's
metadata, where pages take it from) and, because JupyterLab reads no alt text, folded away under the picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

LONGEST, SERIES = 900, 8  # characters of a text, and series of a panel that it names


def describe(figure: Figure) -> str:
    """The figure in sentences: titles, axes, and where each line, row and picture stands, in axis units.

    A figure that has a label of its own is described by that.
    """
    if isinstance(own := figure.get_label(), str) and own:
        return own
    head = figure.get_suptitle() or next((text.get_text() for text in figure.texts), "")
    figure.draw_without_rendering()  # tick labels are known only then
    pictures = [ax for ax in figure.axes if ax.images and not ax.axison]
    sentences = [_sentence(_flat(head))] if head else []
    if pictures:
        under = list(filter(None, map(_title, pictures)))
        sentences.append(f"{len(pictures)} pictures" + (f": {', '.join(under)}." if under else "."))
        sentences += [_sentence(_flat(text.get_text())) for ax in pictures for text in ax.texts]
    sentences += [_panel(ax) for ax in figure.axes if ax not in pictures and ax.get_visible()]
    sentences += [_sentence(_flat(note)) for note in (figure.get_supxlabel(), figure.get_supylabel()) if note]
    text = " ".join(filter(None, sentences))
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


def speak() -> None:
    """In a notebook: figures are shown with their description from now on. Elsewhere: nothing."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        shell.display_formatter.ipython_display_formatter.for_type(Figure, _show)


def _show(figure: Figure) -> None:
    from IPython.core.pylabtools import print_figure
    from IPython.display import HTML, Image, display

    if not hasattr(figure.canvas, "print_png"):
        FigureCanvasAgg(figure)
    text, png = describe(figure), print_figure(figure, "png", dpi=2 * figure.dpi)
    display(Image(png, format="png", retina=True, alt=text),
            HTML(f"<details><summary>In words</summary>{escape(text)}</details>"))


def _panel(ax: Axes) -> str:
    """A panel of lines, points or bars."""
    across, up = _axis(ax, "x"), _axis(ax, "y")
    ends = [_series(ax, *series) for series in _drawn(ax)]
    shown = ends[:SERIES] + [f"and {len(ends) - SERIES} more"] * (len(ends) > SERIES)
    maps = [*ax.images, *(mesh for mesh in ax.collections if isinstance(mesh, QuadMesh))]
    heat = [_heat(one.get_array()) for one in maps]
    axes = ", ".join(filter(None, (up and f"Up: {up}", across and f"across: {across}")))
    return " ".join(_sentence(part) for part in (_flat(_title(ax)), axes, "; ".join(shown + heat)) if part)


def _drawn(ax: Axes) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Every series (name, x, y): bars, lines, points, levels; single points of one name as one.

    Where error bars stand in rows, they are what is read: the dots beside them are the seeds.
    """
    for bars in (c for c in ax.containers if isinstance(c, BarContainer)):
        x, tall = np.array([(bar.get_x(), bar.get_height()) for bar in bars.patches]).T
        yield _name(ax, bars, bars.patches[0]), x, tall
    errors = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    owner = {id(c.lines[0]): c for c in errors if c.lines[0]}
    caps = {id(cap) for c in errors for cap in c.lines[1]}
    rows = bool(_words(ax, "y"))
    series: dict[str, list[np.ndarray]] = {}
    for number, line in enumerate(ax.lines):
        xy = np.asarray(line.get_xydata(), dtype=float)
        xy = xy[np.isfinite(xy).all(1)]
        if (line.get_transform() == ax.transData and len(xy) and id(line) not in caps
                and not (rows and (id(line) not in owner if errors else line.get_marker() in ("", "None")))):
            name = _name(ax, owner.get(id(line), line), line)
            series.setdefault(name if len(xy) == 1 else f"{number}\0{name}", []).append(xy)
        elif line.get_transform() == ax.get_yaxis_transform(which="grid") and (name := _name(ax, line)):
            series[f"{number}\0{name}"] = [np.array([[ax.get_xlim()[0], xy[0, 1]]])]
    for points in ax.collections:
        offsets: np.ndarray = np.ma.filled(np.ma.asarray(points.get_offsets(), dtype=float), np.nan)
        if isinstance(points, PathCollection) and len(offsets):
            series.setdefault(_name(ax, points), []).append(offsets)
    for name, parts in series.items():
        yield name.rpartition("\0")[2], *np.concatenate(parts).T


def _series(ax: Axes, name: str, x: np.ndarray, y: np.ndarray) -> str:
    """Where a series begins and ends; by name of its row or column where ticks are words."""
    rows, columns = _words(ax, "y"), _words(ax, "x")
    if rows and len(y) <= 12 and all(round(v) in rows for v in y):
        return (f"{name}: " if name else "") + ", ".join(
            f"{rows[round(b)]} {_number(a)}" for a, b in zip(x, y, strict=True))
    if columns and len(x) <= 12 and all(round(v) in columns for v in x):
        return (f"{name}: " if name else "") + ", ".join(
            f"{_number(b)} at {columns[round(a)]}" for a, b in zip(x, y, strict=True))
    name = name or "points"
    if len(x) == 1:
        return f"{name} {_number(y[0])}"
    if np.all(np.diff(x) >= 0):
        top = f", at most {_number(y.max())}" if y.max() > max(y[0], y[-1]) else ""
        return f"{name} from {_number(y[0])} at {_number(x[0])} to {_number(y[-1])} at {_number(x[-1])}{top}"
    return (f"{name}: {len(x)} points, across {_number(np.nanmin(x))} to {_number(np.nanmax(x))}, "
            f"up {_number(np.nanmin(y))} to {_number(np.nanmax(y))}")


def _name(ax: Axes, *artists: Any) -> str:
    """An artist's label, or the text beside it in its own colour: of many, the nearest to its end."""
    for artist in artists:
        if _labelled(artist):
            return _flat(artist.get_label())
    if _words(ax, "y"):  # rows have names of their own
        return ""
    hue = getattr(artists[-1], "get_color", getattr(artists[-1], "get_facecolor", lambda: "none"))()
    hue = hue if isinstance(hue, str) or np.ndim(hue) == 1 else next(iter(hue), "none")
    beside = [text for text in ax.texts if text.get_text().strip()
              and to_hex(text.get_color()) == to_hex(cast(Any, hue))]
    if not beside or not isinstance(artists[-1], Line2D):
        return ""
    end = artists[-1].get_transform().transform(np.asarray(artists[-1].get_xydata())[-1:])[0, 1]
    return _flat(min(beside, key=lambda text: abs(_height(text) - end)).get_text())


def _height(text: Text) -> float:
    return text.get_transform().transform([text.get_position()])[0, 1]


def _labelled(artist: Any) -> bool:
    label = artist.get_label()
    return isinstance(label, str) and bool(label) and not label.startswith("_")


def _words(ax: Axes, which: str) -> dict[int, str]:
    """Tick labels that are words, by position; where panels share an axis, one of them has the labels."""
    shared = ax.get_shared_y_axes() if which == "y" else ax.get_shared_x_axes()
    for one in shared.get_siblings(ax):
        axis = one.yaxis if which == "y" else one.xaxis
        texts = [tick.get_text() for tick in axis.get_ticklabels()]
        if any(re.search(r"(?!e)[^\W\d_]", text) for text in texts if "$" not in text):
            return dict(zip(map(round, axis.get_ticklocs()), map(_flat, texts), strict=False))
    return {}


def _axis(ax: Axes, which: str) -> str:
    return _flat(ax.get_ylabel() if which == "y" else ax.get_xlabel())


def _heat(values: Any) -> str:
    values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    if values.ndim != 2:
        return "a picture"
    return (f"a map of {values.shape[0]} by {values.shape[1]} values, {_number(np.nanmin(values))} to "
            f"{_number(np.nanmax(values))}")


def _title(ax: Axes) -> str:
    return " ".join(filter(None, (ax.get_title(loc=cast(Any, side)) for side in ("left", "center", "right"))))


def _flat(text: object) -> str:
    return " ".join(str(text).replace("$", "").split())


def _sentence(text: str) -> str:
    return text if not text or text[-1] in ".?!…" else text + "."


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
