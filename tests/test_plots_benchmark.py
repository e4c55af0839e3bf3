"""The benchmark's figures draw what they are given; every function makes one figure, none more."""

import math

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from grmu.analysis.compare import Interval
from grmu.show import plots, plots_benchmark

matplotlib.use("Agg")

FOREST = pd.DataFrame({"mean": [1.0, -20.0, 2.0, 5.0], "low": [-4.0, -24.0, -3.0, 4.0],
                       "high": [6.0, -16.0, 7.0, 6.0],
                       "verdict": ["not distinguished", "lower", "not distinguished", "higher"]},
                      index=pd.MultiIndex.from_tuples([("pretrain", False), ("miu", False), ("miu", True),
                                                       ("mine", True)]))
CURVES = pd.DataFrame([{"method": method, "reweight": reweight, "epoch": epoch,
                        "UA": 0.6 - 0.1 * epoch * (i + 1),
                        "GA": 0.5 - 0.05 * epoch + 0.02 * reweight * epoch}
                       for i, method in enumerate(("finetune", "miu", "mine")) for reweight in (False, True)
                       for epoch in range(3)])
PARTS = pd.DataFrame({"UA": [1.25, 30.0], "GA": [0.0, 4.0]}, index=["MIU", "mine"])
ARMS = {data: {"doing nothing": Interval(at, at - 1, at + 2, 5), "MIU": Interval(6.0, 4.0, 8.0, 5)}
        for data, at in (("learnt", 4.0), ("by heart", 49.0))}

FIGURES = {
    "forest": lambda: plots_benchmark.forest(FOREST, 3.0, "a title"),
    "trajectories": lambda: plots_benchmark.trajectories(CURVES, {"UA": 0.5, "GA": 0.45}, "a title"),
    "gap_parts": lambda: plots_benchmark.gap_parts(PARTS, "a title"),
    "arms": lambda: plots_benchmark.arms(ARMS, {"learnt": 4.0, "by heart": 5.0}, "points", "a title"),
}


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    yield
    plt.close("all")


def drawn(ax, marker):
    """Lines of one marker, in the order drawn."""
    return [line for line in ax.lines if line.get_marker() == marker]


def points(lines):
    return [tuple(xy) for line in lines for xy in line.get_xydata()]


def words(texts):
    return [t.get_text() for t in texts if t.get_text()]


# --- all of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_every_function_opens_the_one_figure_that_it_returns(name):
    figure = FIGURES[name]()  # each is given a method that the course does not know, too
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()  # whatever is wrong with its text or layout would be raised here
    assert "a title" in (figure.get_suptitle(), figure.axes[0].get_title(), figure.axes[0].get_title("left"))


def test_given_axes_are_used_and_no_figure_is_opened():
    mine, (other, ax) = plt.subplots(1, 2)
    assert plots_benchmark.forest(FOREST, ax=ax) is mine
    assert ax.has_data()
    assert not other.has_data()
    assert plt.get_fignums() == [mine.number]


def test_what_is_given_stays_as_it_was():
    before = [frame.copy() for frame in (FOREST, CURVES, PARTS)]
    for make in FIGURES.values():
        make()
    for frame, old in zip((FOREST, CURVES, PARTS), before, strict=True):
        pd.testing.assert_frame_equal(frame, old)


# --- forest -------------------------------------------------------------------------------------------------


def test_a_forest_has_a_row_a_method_hollow_without_and_filled_with_reweight():
    (ax,) = FIGURES["forest"]().axes
    assert words(ax.get_yticklabels()) == ["PRETRAIN (do nothing)", "MIU", "mine"]
    marks = [bar.lines[0] for bar in ax.containers]
    assert np.allclose(points(marks), [(1, 0), (-20, 0.8), (2, 1.2), (5, 2)])
    assert [same_color(mark.get_markerfacecolor(), "white") for mark in marks] == [True, True, False, False]
    assert [bar.get_label() for bar in ax.containers] == ["references", "without REWEIGHT",
                                                          "with REWEIGHT", "references"]
    ends = [bar.lines[2][0].get_segments()[0][:, 0].tolist() for bar in ax.containers]
    assert ends == [[-4, 6], [-24, -16], [-3, 7], [4, 6]]


def test_a_forest_says_beside_a_mark_what_was_distinguished():
    (ax,) = FIGURES["forest"]().axes
    heights = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert heights == pytest.approx({"lower": 0.8, "higher": 2})


def test_a_forest_has_the_gold_standard_at_0_and_its_noise_around_it():
    (ax,) = FIGURES["forest"]().axes
    (band,) = ax.patches
    assert (band.get_x(), band.get_width()) == (-3, 6)
    (gold,) = (line for line in ax.lines if line.get_linestyle() == "--")
    assert list(gold.get_xdata()) == [0, 0]
    for unknown in (0.0, math.nan):
        assert not plots_benchmark.forest(FOREST, unknown).axes[0].patches


def test_a_forest_of_published_means_has_no_intervals_and_no_verdicts():
    figure = plots_benchmark.forest(FOREST[["mean"]])
    figure.canvas.draw()
    (ax,) = figure.axes
    assert np.allclose(points(drawn(ax, "o")), [(1, 0), (-20, 0.8), (2, 1.2), (5, 2)])
    assert not ax.texts


# --- trajectories -------------------------------------------------------------------------------------------


def test_trajectories_have_a_panel_a_method_and_the_rest_of_the_grid_is_empty():
    figure = FIGURES["trajectories"]()
    assert [ax.get_title() or ax.get_title("left")
            for ax in figure.axes] == ["fine-tuning", "MIU", "mine", ""]
    assert [ax.axison for ax in figure.axes] == [True, True, True, False]
    assert not figure.axes[3].lines


def test_trajectories_go_epoch_by_epoch_from_pretrain_to_a_hollow_and_a_filled_end():
    for i, ax in enumerate(FIGURES["trajectories"]().axes[:3]):
        without, with_reweight = drawn(ax, ".")
        x = [60, 60 - 10 * (i + 1), 60 - 20 * (i + 1)]
        assert np.allclose(without.get_xydata(), list(zip(x, [50, 45, 40], strict=True)))
        assert np.allclose(with_reweight.get_xydata(), list(zip(x, [50, 47, 44], strict=True)))
        hollow, filled = drawn(ax, "o")
        assert np.allclose(points([hollow, filled]), [(x[-1], 40), (x[-1], 44)])
        assert [same_color(end.get_markerfacecolor(), "white") for end in (hollow, filled)] == [True, False]
        (start,) = drawn(ax, "s")
        assert np.allclose(points([start]), [(60, 50)])
        assert same_color(start.get_color(), plots.COLOURS["pretrain"])
        across, up = (line for line in ax.lines if line.get_linestyle() == "--")
        assert list(across.get_ydata()) == [45, 45]
        assert list(up.get_xdata()) == [50, 50]


def test_trajectories_of_a_method_without_reweight_have_one_end():
    ax = plots_benchmark.trajectories(CURVES[~CURVES.reweight], {"UA": 0.5, "GA": 0.45}).axes[1]
    (end,) = drawn(ax, "o")
    assert same_color(end.get_markerfacecolor(), "white")


# --- gap_parts ----------------------------------------------------------------------------------------------


def test_gap_parts_show_every_number_at_its_place():
    (ax,) = FIGURES["gap_parts"]().axes
    assert {t.get_position(): t.get_text() for t in ax.texts} == {(0.5, 0.5): "1.2", (1.5, 0.5): "0.0",
                                                                  (0.5, 1.5): "30.0",
                                                                  (1.5, 1.5): "4.0"}
    assert words(ax.get_xticklabels()) == ["UA", "GA"]
    assert words(ax.get_yticklabels()) == ["MIU", "mine"]


def test_gap_parts_are_darker_the_farther_and_never_dark_for_small_gaps():
    def darkness(parts):
        figure = plots_benchmark.gap_parts(parts)
        figure.canvas.draw()
        return 1 - figure.axes[0].collections[0].get_facecolors()[:, 0]

    assert np.array_equal(np.argsort(darkness(PARTS)), np.argsort(PARTS.to_numpy().ravel()))
    assert max(darkness(PARTS / 10)) < 0.3  # 3 points are little, though they are the most in this table


# --- arms ---------------------------------------------------------------------------------------------------


def test_arms_have_a_row_each_with_their_interval_on_the_margin():
    learnt, by_heart = FIGURES["arms"]().axes
    assert [t.get_text() for t in learnt.get_yticklabels()] == ["doing nothing", "MIU"]
    for ax, at in ((learnt, 4.0), (by_heart, 49.0)):
        assert points(drawn(ax, "o")) == [(at, 0), (6, 1)]
        (first, _) = (bars.lines[2][0].get_segments()[0] for bars in ax.containers)
        assert first[:, 0].tolist() == [at - 1, at + 2]
    assert [ax.get_title("left") or ax.get_title() for ax in (learnt, by_heart)] == ["learnt", "by heart"]
    assert [ax.patches[0].get_x() for ax in (learnt, by_heart)] == [-4, -5]
    assert same_color(learnt.containers[0].lines[0].get_color(), plots.colour("pretrain"))
