"""Draws docs/effect.png, the picture of the README, from the shipped results, and prints its alt text.

python docs/effect.py
"""

from io import BytesIO
from pathlib import Path

import matplotlib
from PIL import Image

from grmu.show import plots, plots_hero

PICTURE = Path(__file__).with_suffix(".png")


def draw(path: Path) -> str:
    """Draw the picture into `path`; its alt text."""
    matplotlib.use("agg")
    plots.use_style()
    figure = plots_hero.hero()
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, bbox_inches="tight")
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, "png", optimize=True)
    return str(figure.get_label())


if __name__ == "__main__":
    print(draw(PICTURE))
