"""Draws docs/effect.png, the picture of the README, from the shipped results, and prints its alt text.

python docs/effect.py
"""

from pathlib import Path

import matplotlib

from grmu.show import plots, plots_hero

PICTURE = Path(__file__).with_suffix(".png")


def draw(path: Path) -> str:
    """Draw the picture into `path`; its alt text."""
    matplotlib.use("agg")
    plots.use_style()
    figure = plots_hero.hero()
    plots.save(figure, path)
    return str(figure.get_label())


if __name__ == "__main__":
    print(draw(PICTURE))
