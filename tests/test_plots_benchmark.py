"""The benchmark's figures draw what they are given; every function makes one figure, none more."""

import math

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from grmu.show import plots, plots_benchmark
from grmu.study.compare import Interval, interval
from grmu.study.tables import reweight_effect

matplotlib.use("Agg")

EFFECT = pd.DataFrame({"without": [44.0, 50.0, 60.0], "with_": [56.0, 57.0, 52.0], "gain": [12.0, 7.0, -8.0],
                       "low": [9.0, -1.4, -11.0], "high": [15.0, 15.4, -5.0], "n": [5.0] * 3},
                      index=["retrain", "miu", "mine"])
CURVES = pd.DataFrame([{"method": method, "reweight": reweight, "epoch": epoch,
                        "UA": 0.6 - 0.1 * epoch * (i + 1),
                        "GA": 0.5 - 0.05 * epoch + 0.02 * reweight * epoch}
                       for i, method in enumerate(("finetune", "miu", "mine")) for reweight in (False, True)
                       for epoch in range(3)])
PLACES = pd.DataFrame({"avg. gap": [1, 3, 2], "ToW": [2, 1, 3]}, index=pd.MultiIndex.from_tuples(
    [("miu", True), ("mine", False), ("scrub", True)]))
PARTS = pd.DataFrame({"UA": [1.25, 30.0], "GA": [0.0, 4.0]}, index=["MIU", "mine"])
FOUND = {"for": (4.0, 1.0, 7.0, 5), "against": (-3.0, -5.0, -1.0, 5), "undecided": (1.0, -1.0, 3.0, 5)}
CHOICES = {("learnt", "UA"): {("λ",): Interval(1.0, -1.0, 3.0, 5), ("λ", "ḡ"): Interval(2.0, -1.0, 5.0, 5)},
           ("learnt", "GA"): {("λ",): Interval(4.0, 3.0, 5.0, 5), ("λ", "ḡ"): Interval(-2.0, -3.0, -1.0, 5)}}
ARMS = {data: {"doing nothing": Interval(at, at - 1, at + 2, 5), "paper": Interval(6.0, 4.0, 8.0, 5)}
        for data, at in (("learnt", 4.0), ("by heart", 49.0))}

FIGURES = {
    "reweight_gains": lambda **more: plots_benchmark.reweight_gains(EFFECT, 57.5, 61.0, title="a title",
                                                                    **more),
    "trajectories": lambda: plots_benchmark.trajectories(CURVES, {"UA": 0.5, "GA": 0.45}, "a title"),
    "ranks": lambda **more: plots_benchmark.ranks(PLACES, ["miu", "mine"], "a title", **more),
    "gap_parts": lambda **more: plots_benchmark.gap_parts(PARTS, "a title", **more),
    "effects": lambda **more: plots_benchmark.effects(FOUND, {"celeba": 2.5, "not printed": math.nan},
                                                      "a title", **more),
    "choices": lambda: plots_benchmark.choices(CHOICES, {"learnt": {"UA": 3.0, "GA": 2.0}}, "a title"),
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


@pytest.mark.parametrize("name", [n for n in FIGURES if n not in ("trajectories", "choices", "arms")])
def test_given_axes_are_used_and_no_figure_is_opened(name):
    mine, (other, ax) = plt.subplots(1, 2)
    assert FIGURES[name](ax=ax) is mine
    assert ax.has_data()
    assert not other.has_data()
    assert plt.get_fignums() == [mine.number]


def test_what_is_given_stays_as_it_was():
    before = [frame.copy() for frame in (EFFECT, CURVES, PLACES, PARTS)]
    for make in FIGURES.values():
        make()
    for frame, old in zip((EFFECT, CURVES, PLACES, PARTS), before, strict=True):
        pd.testing.assert_frame_equal(frame, old)


# --- reweight_gains -----------------------------------------------------------------------------------------


def test_gains_go_from_hollow_without_to_filled_with_reweight():
    (ax,) = FIGURES["reweight_gains"]().axes
    markers = drawn(ax, "o")
    hollow = [line for line in markers if same_color(line.get_markerfacecolor(), "white")]
    filled = [line for line in markers if line not in hollow]
    assert points(hollow) == [(44, 0), (50, 1), (60, 2)]
    assert points(filled) == [(56, 0), (57, 1), (52, 2)]
    hues = [plots.colour(method) for method in ("retrain", "miu", "mine")]
    assert [line.get_markeredgecolor() for line in hollow] == [line.get_markerfacecolor()
                                                               for line in filled] == hues
    ways = [line for line in ax.lines if line.get_marker() == "None" and len(set(line.get_ydata())) == 1]
    assert [list(line.get_xdata()) for line in ways] == [[44, 56], [50, 57], [60, 52]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["RETRAIN", "MIU", "mine"]
    top, bottom = ax.get_ylim()[::-1]
    assert top < 0 < 2 < bottom  # the first on top, all in sight


def test_gains_are_written_beside_and_grey_where_the_interval_holds_0():
    (ax,) = FIGURES["reweight_gains"]().axes
    written = {t.get_text(): t for t in ax.texts}
    assert list(written)[:3] == ["+12 [+9, +15]", "+7 [-1, +15]", "-8 [-11, -5]"]
    assert [same_color(written[text].get_color(), "black")
            for text in list(written)[:3]] == [True, False, True]
    assert [written[text].get_position()[1] for text in list(written)[:3]] == [0, 1, 2]


def test_gains_have_the_gold_standard_dashed_and_pretrain_dotted():
    (ax,) = FIGURES["reweight_gains"]().axes
    assert {line.get_linestyle(): line.get_xdata()[0] for line in ax.lines if line.get_marker() == "None"
            and line.get_linestyle() != "-"} == {"--": 57.5, ":": 61.0}
    assert "accuracy of the forget group" in ax.get_xlabel()
    (ax,) = plots_benchmark.reweight_gains(EFFECT, 50, 50, metric="UA").axes
    assert "forget accuracy" in ax.get_xlabel()


def test_gains_take_what_the_table_gives():
    rows = pd.DataFrame([{"dataset": "groundwear", "ratio": 0.5, "groups": "default", "method": "miu",
                          "reweight": reweight,
                          "seed": seed, "GA": 0.5 + 0.1 * reweight + 0.01 * seed}
                         for reweight in (False, True) for seed in (0, 1)])
    (ax,) = plots_benchmark.reweight_gains(reweight_effect(rows), 50, 50).axes
    assert np.allclose(points(drawn(ax, "o")), [(50.5, 0), (60.5, 0)])


# --- trajectories -------------------------------------------------------------------------------------------


def test_trajectories_have_a_panel_a_method_and_the_rest_of_the_grid_is_empty():
    figure = FIGURES["trajectories"]()
    assert [ax.get_title() or ax.get_title("left")
            for ax in figure.axes] == ["fine-tuning", "MIU", "mine", ""]
    assert [ax.axison for ax in figure.axes] == [True, True, True, False]
    assert not figure.axes[3].lines
    assert len(plots_benchmark.trajectories(CURVES, {"UA": 0.5, "GA": 0.45}, n_columns=2).axes) == 4
    assert len(plots_benchmark.trajectories(CURVES, {"UA": 0.5, "GA": 0.45}, n_columns=1).axes) == 3


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


# --- ranks --------------------------------------------------------------------------------------------------


def test_ranks_have_a_line_a_method_at_its_ranks():
    (ax,) = FIGURES["ranks"]().axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 2], [3, 1], [2, 3]]
    assert [list(line.get_xdata()) for line in ax.lines] == [[0, 1]] * 3
    assert [t.get_text() for t in ax.get_xticklabels()] == ["avg. gap", "ToW"]
    worst, best = ax.get_ylim()
    assert best < 1 < 3 < worst  # rank 1 on top


def test_ranks_are_named_at_both_ends_where_the_lines_are():
    (ax,) = FIGURES["ranks"]().axes
    names = {"MIU + REWEIGHT": (1, 2), "mine": (3, 1), "SCRUB + REWEIGHT": (2, 3)}
    assert [(t.get_text(), t.get_position()[1]) for t in ax.texts] == [
        (name, rank) for name, ends in names.items() for rank in ends]
    assert all((t.get_position()[0] < 0) == (t.get_ha() == "right") for t in ax.texts)


def test_ranks_colour_only_what_is_highlighted_and_fill_only_reweight():
    (ax,) = FIGURES["ranks"]().axes
    miu, mine, scrub = ax.lines
    assert [miu.get_color(), mine.get_color(), scrub.get_color()] == [plots.COLOURS["miu"],
                                                                      plots.colour("mine"), "0.8"]
    assert miu.get_zorder() > scrub.get_zorder()
    assert [same_color(line.get_markerfacecolor(), "white") for line in ax.lines] == [False, True, False]
    (ax,) = plots_benchmark.ranks(PLACES).axes
    assert {line.get_color() for line in ax.lines} == {"0.8"}


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


# --- effects ------------------------------------------------------------------------------------------------


def test_effects_are_drawn_with_their_intervals_and_those_that_hold_0_are_grey():
    (ax,) = FIGURES["effects"]().axes
    assert points([bar.lines[0] for bar in ax.containers]) == [(4, 0), (-3, 1), (1, 2)]
    ends = [bar.lines[2][0].get_segments()[0][:, 0].tolist() for bar in ax.containers]
    assert ends == [[1, 7], [-5, -1], [-1, 3]]
    green, red, grey = (bar.lines[0].get_color() for bar in ax.containers)
    assert red == plots.VERMILION
    assert grey == "0.55"
    assert len({green, red, grey}) == 3


def test_effects_of_the_paper_are_crosses_below_and_what_it_did_not_print_is_left_out():
    (ax,) = FIGURES["effects"]().axes
    assert points(drawn(ax, "x")) == [(2.5, 3)]
    assert [t.get_text() for t in ax.get_yticklabels()] == [*FOUND, "paper: celeba"]
    bottom, top = ax.get_ylim()
    assert top < 0 < 3 < bottom < 4


def test_effects_have_a_line_at_0():
    (ax,) = FIGURES["effects"]().axes
    assert [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "None"
            and len(line.get_xdata()) == 2] == [[0, 0]]


def test_effects_take_intervals_as_claims_give_them_and_no_published_effect():
    figure = plots_benchmark.effects({"one seed": interval([1.0]), "three": interval([1.0, 2.0, 3.0])}, {})
    figure.canvas.draw()  # one seed's interval is infinite
    one, three = figure.axes[0].containers
    assert one.lines[0].get_color() == three.lines[0].get_color() == "0.55"
    assert not drawn(figure.axes[0], "x")


def test_choices_shows_every_main_effect_and_only_the_interactions_outside_0():
    figure = FIGURES["choices"]()
    left, right = figure.axes
    assert words(left.get_yticklabels()) == ["λ"]
    assert words(right.get_yticklabels()) == ["λ", "λ and ḡ"]
    assert [ax.get_xlabel().split(",")[0] for ax in figure.axes] == ["UA", "GA"]
    assert points(drawn(right, "o")) == [(4.0, 0.0), (-2.0, 1.0)]
    (band,) = (patch for patch in left.patches)
    assert band.get_x() == -3
    assert band.get_width() == 6


# --- arms ---------------------------------------------------------------------------------------------------


def test_arms_have_a_row_each_with_their_interval_on_the_margin():
    learnt, by_heart = FIGURES["arms"]().axes
    assert [t.get_text() for t in learnt.get_yticklabels()] == ["doing nothing", "paper"]
    for ax, at in ((learnt, 4.0), (by_heart, 49.0)):
        assert points(drawn(ax, "o")) == [(at, 0), (6, 1)]
        (first, _) = (bars.lines[2][0].get_segments()[0] for bars in ax.containers)
        assert first[:, 0].tolist() == [at - 1, at + 2]
    assert [ax.get_title("left") or ax.get_title() for ax in (learnt, by_heart)] == ["learnt", "by heart"]
    assert [ax.patches[0].get_x() for ax in (learnt, by_heart)] == [-4, -5]
    assert same_color(learnt.containers[0].lines[0].get_color(), plots.colour("pretrain"))
