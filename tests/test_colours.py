"""Can colours be told apart by everybody? In normal sight and in three kinds of colour blindness.

A colour is never alone in the course's figures: a marker, a line style or a label says the same. These tests
hold what the colour adds to it. ΔE is the distance in CAM02-UCS; between thin lines and small dots,
20 is told apart at a glance.
"""

from itertools import combinations

import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE
from matplotlib.colors import to_rgb

from grmu.show.plots import COLOURS, GROUP_COLOURS, VERMILION

LEAST = 20
SIGHTS = ("normal", "deuteranomaly", "protanomaly", "tritanomaly")
GREY, BLACK = COLOURS["pretrain"], COLOURS["retrain"]  # doing nothing, and the gold standard
FIRST = {f"group {i}": colour for i, colour in enumerate(GROUP_COLOURS[:4])}
ASKS = {"who asks": VERMILION}
REFERENCES = {"PRETRAIN": GREY, "the gold standard": BLACK}
METHODS = {"MIU": COLOURS["miu"], "fine-tuning": COLOURS["finetune"]}
TOGETHER = [  # what one figure draws together
    *combinations((ASKS | FIRST).items(), 2),
    *((asks, reference) for asks in ASKS.items() for reference in REFERENCES.items()),
    *combinations((METHODS | REFERENCES).items(), 2)]


def seen(colour, sight):
    """A colour as somebody with this sight sees it: red, green and blue from 0 to 1."""
    if sight == "normal":
        return np.array(to_rgb(colour))
    blind = {"name": "sRGB1+CVD", "cvd_type": sight, "severity": 100}
    return np.clip(cspace_convert(to_rgb(colour), blind, "sRGB1"), 0, 1)


def difference(one, other, sight):
    return float(deltaE(seen(one, sight), seen(other, sight), input_space="sRGB1"))


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize(("one", "other"), TOGETHER, ids=lambda named: named[0])
def test_colours_of_one_figure_differ(one, other, sight):
    assert difference(one[1], other[1], sight) >= LEAST


def test_the_measure_finds_colours_that_are_not_told_apart():
    assert difference("#CC79A7", "#808080", "normal") > LEAST  # pink and grey, as they once were
    assert difference("#CC79A7", "#808080", "deuteranomaly") < LEAST
    assert difference("#009E73", "#0072B2", "normal") > LEAST  # green and blue
    assert difference("#009E73", "#0072B2", "tritanomaly") < LEAST


def test_the_group_that_asks_keeps_its_vermilion():
    assert VERMILION == "#D55E00"
