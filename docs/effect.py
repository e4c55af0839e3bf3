"""Draw docs/effect.png, the picture of the README, from the shipped results, and print its alt text.

python docs/effect.py
"""

from pathlib import Path

import matplotlib
import pandas as pd

from grmu import data, plots
from grmu.analysis import results

PICTURE = Path(__file__).with_suffix(".png")


def draw(path: Path) -> str:
    """Draw the picture into `path`; return its alt text."""
    matplotlib.use("agg")
    plots.use_style()
    runs = pd.concat([results.load("references"), results.load("unlearning")])
    figure = plots.hero(results.load("pictures"), runs, data.load("groundwear"))
    plots.save(figure, path)
    return plots.caption_of(figure)


if __name__ == "__main__":
    print(draw(PICTURE))
