"""A figure's words are of what it draws: change a number in the picture, and it changes in the text."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure

from grmu.show import alt, plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_lines_are_named_by_label_or_by_the_text_of_their_colour_at_their_end():
    figure, ax = plt.subplots()
    ax.errorbar([0, 1, 2], [10, 30, 20], [1, 1, 1], color="C0", label="kept")
    ax.plot([0, 2], [5, 4], color="C1")
    ax.plot([0, 2], [8, 9], color="C1")
    ax.text(2, 9, "upper", color="C1")
    ax.text(2, 4, "lower", color="C1")
    ax.axhline(7.25, color="C2", label="level")
    ax.set(title="Two\nlines", xlabel="ratio", ylabel="accuracy (%)")
    assert alt.describe(figure) == (
        "Two lines. Up: accuracy (%), across: ratio. kept from 10 at 0 to 20 at 2, at most 30; "
        "lower from 5 at 0 to 4 at 2; upper from 8 at 0 to 9 at 2; level 7.25.")


def test_rows_are_read_by_their_names_and_seeds_beside_them_are_not():
    rows = pd.DataFrame({"method": ["retrain", "miu"] * 3, "reweight": False, "seed": [0, 0, 1, 1, 2, 2],
                         "GA": [0.5, 0.6, 0.52, 0.62, 0.54, 0.64]})
    said = alt.describe(plots.compare(rows, ("GA",), title="Which?"))
    assert said.startswith("Which?")
    assert "(%). RETRAIN 52, MIU 62. dots: seeds" in said


def test_pictures_are_counted_and_called_what_stands_over_them():
    said = alt.describe(plots.samples(np.zeros((2, 1, 8, 8), dtype=np.uint8), ["50→40", "60→70"]))
    assert said == "2 pictures: 50→40, 60→70."


def test_maps_bars_clouds_and_long_texts():
    figure, (left, right) = plt.subplots(1, 2)
    left.imshow(np.array([[1.0, 2.0], [3.0, 4.5]]))
    left.pcolormesh(np.array([[5.0, 6.0, 7.0]]))
    figure.supxlabel("in points")
    right.bar([0, 1], [3, 1500], label="counts")
    right.scatter([3, 1, 2], [7, 9, 8], label="cloud")
    said = alt.describe(figure)
    assert "a map of 2 by 2 values, 1 to 4.5" in said
    assert "a map of 1 by 3 values, 5 to 7" in said
    assert said.endswith("in points.")
    assert "counts from 3 at -0.4 to 1,500 at 0.6" in said
    assert "cloud: 3 points, across 1 to 3, up 7 to 9" in said
    right.set_title("long " * 400)
    assert len(alt.describe(figure)) <= alt.LONGEST + 2
    assert alt.describe(figure).endswith(" …")


def test_more_lines_than_one_can_hear_are_counted():
    figure, ax = plt.subplots()
    for i in range(11):
        ax.plot([0, 1], [i, i + 1], label=f"line {i}")
    assert "line 7 from 7 at 0 to 8 at 1; and 3 more." in alt.describe(figure)


def test_a_notebook_shows_a_figure_with_its_words_twice(monkeypatch):
    shell = InteractiveShell.instance()
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *parts: shown.extend(parts))
    alt.speak()
    try:
        figure = Figure()
        figure.subplots().plot([0, 1], [1, 2], label="a < b")
        assert shell.display_formatter.format(figure) == ({}, {})
    finally:
        shell.display_formatter.ipython_display_formatter.pop(Figure)
        InteractiveShell.clear_instance()
    picture, words = shown
    assert picture.alt == "a < b from 1 at 0 to 2 at 1."
    assert words.data == "<details><summary>In words</summary>a &lt; b from 1 at 0 to 2 at 1.</details>"
