"""The figures of the shifted prior show the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from grmu.show import plots, plots_prior


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def title(ax):
    """Wherever the style puts it."""
    return ax.get_title() or ax.get_title(loc="left")


def bars(ax):
    """Where the theory's black bars stand."""
    return [line.get_xdata()[0] for line in ax.lines
            if line.get_marker() == "|" and line.get_color() == "black"]


@pytest.fixture
def rows():
    """Two groups, two seeds; the second group asks for half."""
    return pd.DataFrame([{"seed": seed, "group": g, "ratio": 0.5, "r": 0.5 * g, "n": 500, "before": 0.9,
                          "visible": 0.9 - 0.2 * g, "after": 0.9 - 0.3 * g + 0.02 * seed}
                         for seed in (0, 1) for g in (0, 1)])


def test_who_pays_draws_the_prediction_and_says_both_changes(rows):
    ax = plots_prior.who_pays(rows, ["boots", "sneakers"]).axes[0]
    assert bars(ax) == pytest.approx([90, 70])
    assert [text.get_text() for text in ax.texts] == ["+1, predicted +0", "-29, predicted -20"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["boots (n = 500)", "sneakers (n = 500)"]
    assert title(ax) == "50 % of sneakers forgotten"
    assert "95 % interval over 2 seeds" in ax.get_xlabel()


def test_predicted_marks_who_asks_and_has_a_line_of_identity(rows):
    first, second = plots_prior.predicted({"one": rows.assign(predicted=rows.visible),
                                           "two": rows.assign(predicted=rows.after)}).axes
    line, others, asks = first.lines
    assert line.get_xdata().tolist() == line.get_ydata().tolist()
    assert (others.get_color(), asks.get_color()) == (plots_prior.BLUE, plots.VERMILION)
    assert others.get_marker() != asks.get_marker()
    assert asks.get_xdata().tolist() == pytest.approx([70, 70])
    assert asks.get_ydata().tolist() == pytest.approx([60, 62])
    assert (title(first), title(second)) == ("one", "two")


def test_margins_colours_what_a_shift_takes_and_says_how_much():
    margins = np.r_[np.full(30, 0.4), np.full(50, 3.0), np.full(20, -1.0)]
    ax = plots_prior.margins({"sneakers": margins}, 0.7).axes[0]
    taken = [bar for bar in ax.patches if same_color(bar.get_facecolor(), plots.VERMILION)]
    assert min(bar.get_x() for bar in taken) == 0
    assert max(bar.get_x() + bar.get_width() for bar in taken) == pytest.approx(0.7)
    assert sum(bar.get_height() * bar.get_width() for bar in taken) == pytest.approx(0.3 * 50)
    assert title(ax) == "sneakers:\n30 % within 0.70 nats"


def test_moved_has_a_panel_a_ground_with_theory_and_what_was_found():
    rows = pd.DataFrame([{"dataset": "learnt", "arm": arm, "ratio": 0.9, "seed": seed, "attribute": ground,
                          "theory": -2.3, "moved": -2 - 0.2 * seed}
                         for arm in ("RETRAIN", "MIU + REWEIGHT") for ground in ("brick", "grass")
                         for seed in (0, 1)])
    figure = plots_prior.moved(pd.concat([rows, rows.assign(ratio=0.5, moved=0)]), 0.9)
    assert [title(ax) for ax in figure.axes] == ["learnt,\nbrick", "learnt,\ngrass"]
    assert bars(figure.axes[0]) == pytest.approx([-2.3, -2.3])
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([-2.1, -2.1])
    assert [dot.get_markerfacecolor() for dot in dots] == ["white", plots.colour("miu")]
