"""The numbers in a figure, for tests of it. A check sends `READ` along with its question."""

from __future__ import annotations

import inspect
from typing import Any


def drawn(figure: Any) -> Any:
    """(n,) all numbers that a figure draws: places of lines and points, heights and widths of bars, colours
    of tiles."""
    import numpy as np

    parts: list[Any] = []
    for axes in figure.axes:
        parts += [values for line in axes.lines for values in line.get_data(orig=False)]
        parts += [values for dots in axes.collections for values in (dots.get_offsets(), dots.get_array())]
        parts += [[bar.get_height(), bar.get_width()] for bar in axes.patches if hasattr(bar, "get_height")]
        parts += [image.get_array() for image in axes.images]
    numbers: list[Any] = [np.ma.asarray(part, float).filled(np.nan).ravel() for part in parts
                          if part is not None]
    return np.concatenate(numbers or [np.array([np.nan])])


def named_axes(figure: Any) -> bool:
    """Whether there are axes, and the first have names."""
    return bool(figure.axes and figure.axes[0].get_xlabel() and figure.axes[0].get_ylabel())


READ = "from typing import Any\n\n" + "\n\n".join(map(inspect.getsource, (drawn, named_axes)))
