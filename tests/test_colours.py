"""Test that the colours of a figure are distinguishable with normal vision and with colour blindness.

In the course's figures, a marker, a line style or a label always repeats the meaning of a colour. ΔE is the
distance in CAM02-UCS; a distance of 20 between thin lines or small dots is visible at a glance.
"""

from itertools import combinations

import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE
from matplotlib.colors import to_rgb

from grmu.plots import COLOURS, GROUP_COLOURS, REWEIGHTED, VERMILION

LEAST = 20
SIGHTS = ("normal", "deuteranomaly", "protanomaly", "tritanomaly")
REFERENCES = [COLOURS["pretrain"], COLOURS["retrain"]]  # the original model and the gold standard
TOGETHER = [  # colours that appear in the same figure
    *combinations([VERMILION, *GROUP_COLOURS[:4]], 2), *((VERMILION, one) for one in REFERENCES),
    *combinations([COLOURS["miu"], COLOURS["finetune"], *REFERENCES], 2), tuple(REWEIGHTED.values())]


def difference(one, other, sight):
    if sight != "normal":
        blind = {"name": "sRGB1+CVD", "cvd_type": sight, "severity": 100}
        one, other = (np.clip(cspace_convert(to_rgb(hue), blind, "sRGB1"), 0, 1) for hue in (one, other))
    return float(deltaE(to_rgb(one), to_rgb(other), input_space="sRGB1"))


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_of_one_figure_differ(sight):
    near = {pair for pair in TOGETHER if difference(*pair, sight) < LEAST}
    assert near == set()


def test_the_measure_finds_colours_that_look_alike():
    assert difference("#CC79A7", "#808080", "normal") > LEAST  # pink and grey
    assert difference("#CC79A7", "#808080", "deuteranomaly") < LEAST
    assert difference("#009E73", "#0072B2", "normal") > LEAST  # green and blue
    assert difference("#009E73", "#0072B2", "tritanomaly") < LEAST
