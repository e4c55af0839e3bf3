"""The figures draw what they are given, in colours that mean one thing; every function makes one figure, none
more."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import toy
from matplotlib.colors import same_color, to_hex

from grmu.analysis import names
from grmu.data import GroupedDataset
from grmu.data.memmap import MemmapSamples, Storage
from grmu.show import plots

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    yield
    plt.close("all")


def grid(methods=(("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True)),
         ratios=(0.1, 0.9), **columns):
    """Two seeds a point; a method's GA is 0.1 apart from the next one's, and seeds are 0.02 apart."""
    return pd.DataFrame([
        {"method": method, "reweight": reweight, "ratio": ratio, "seed": seed,
         "GA": 0.5 + 0.1 * i + 0.02 * seed - 0.1 * ratio, "UA": 0.4 + 0.1 * i, "TA": 0.8, **columns}
        for i, (method, reweight) in enumerate(methods) for ratio in ratios for seed in (0, 1)])


def pictures(n=6, n_groups=2):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 1, 5, 5), dtype=np.uint8)
    return GroupedDataset(x, np.arange(n) % n_groups, np.zeros(n, int), ["boot", "sneaker"], ["grass"])


ACCURACY = pd.DataFrame({"group": ["RA", "TA", "boots", "sneakers"], "accuracy": [0.9, 0.8, 0.9, 0.6],
                         "n": [100, 100, 60, 40], "se": [0.03, 0.04, 0.04, 0.08]})
CURVES = pd.DataFrame({"epoch": [1, 2], "GA": [0.5, 0.4], "UA": [0.6, 0.3], "TA": [0.8, 0.7],
                       "retain_loss": [0.3, 0.2],
                       "forget_loss": [-1.0, np.nan], "mi_train": [0.5, 0.6], "mi_forget": [-1.0, -0.5]})

CELLS = pd.DataFrame({"left": [102, 10, 10], "share": [1.8, 1.8, 0.2], "mean": [60.0, 50.0, 20.0],
                      "low": [58.0, 45.0, 15.0], "high": [62.0, 55.0, 25.0], "n": [20, 20, 20],
                      "visible": [60.0, 60.0, 22.0], "calibrated": [60.0, 60.0, 15.0]})

FIGURES = {
    "group_sheet": lambda: plots.group_sheet(pictures(), 3),
    "samples": lambda: plots.samples(pictures().x, ["a"] * 6, 4),
    "group_counts": lambda: plots.group_counts({"train": [100, 20], "retain": [100, 10]},
                                               ["boots", "sneakers"], 1),
    "ratio_curve": lambda: plots.ratio_curve(grid(), n=500, title="a title"),
    "compare": lambda: plots.compare(grid(ratios=(0.5,)), title="a title"),
    "group_change": lambda: plots.group_change(ACCURACY, ACCURACY, ["sneakers"], ("before", "after"),
                                               "a title"),
    "epoch_curves": lambda: plots.epoch_curves(CURVES, "a title", {"GA": 0.5, "UA": 0.5, "TA": 0.9}),
    "convergence": lambda: plots.convergence({"one": np.ones(40)}, truth=1.5, title="a title"),
    "forgotten_groups": lambda: plots.forgotten_groups({"sneakers": grid()}, n=500, title="a title"),
    "shares": lambda: plots.shares({"augmented": CELLS, "not augmented": CELLS}, 500, "a title"),
}


def line_of(ax, label_or_index):
    return np.asarray(ax.containers[label_or_index].lines[0].get_xydata())


def texts(ax):
    return {t.get_text(): t for t in ax.texts}


@pytest.mark.parametrize("name", FIGURES)
def test_every_function_opens_the_one_figure_that_it_returns(name):
    figure = FIGURES[name]()
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()  # whatever is wrong with its text or layout would be raised here


@pytest.mark.parametrize("name", [n for n in FIGURES if n not in ("group_sheet", "samples", "group_counts")])
def test_the_title_is_the_one_given(name):
    figure = FIGURES[name]()
    assert "a title" in (figure.get_suptitle(), figure.axes[0].get_title(), figure.axes[0].get_title("left"))


@pytest.mark.parametrize("name", ["epoch_curves", "shares"])
def test_a_legend_tells_its_lines_apart_without_colours(name):
    for ax in FIGURES[name]().axes:
        handles, _ = ax.get_legend_handles_labels()
        lines = [handle.lines[0] if hasattr(handle, "lines") else handle for handle in handles]
        looks = [(line.get_marker(), line.get_linestyle()) for line in lines]
        assert len(set(looks)) == len(looks)


def test_a_colour_means_one_thing():
    hues = [*plots.COLOURS.values(), plots.VERMILION, *plots.GROUP_COLOURS]
    assert len({to_hex(h) for h in hues}) == len(hues)
    assert set(plots.COLOURS) == set(names.LABELS)


def test_reweight_is_filled_and_its_absence_hollow_in_the_same_hue():
    hollow, filled = (plots.marker_style("miu", reweight) for reweight in (False, True))
    assert hollow["color"] == filled["color"] == filled["markerfacecolor"] == plots.COLOURS["miu"]
    assert hollow["markerfacecolor"] == "white"
    assert [plots.marker_style(*m)["linestyle"]
            for m in (("pretrain", False), ("retrain", True), ("retrain", False))] == [
        ":", "--", "-"]


def test_names_of_methods():
    assert plots.label("pretrain") == "PRETRAIN (do nothing)"
    assert plots.label("miu", True) == "MIU + REWEIGHT"
    assert plots.label("mine", True) == "mine + REWEIGHT"


def test_group_sheet_shows_the_pictures_of_each_group_with_its_name_and_number():
    data = pictures()
    axes = plots.group_sheet(data, 3).axes
    assert len(axes) == 6
    for row, group in enumerate((0, 1)):
        shown = np.array([np.asarray(ax.images[0].get_array()) for ax in axes[3 * row: 3 * row + 3]])
        assert np.array_equal(shown, np.asarray(data.x[data.group == group][:3, 0]))
        assert list(texts(axes[3 * row])) == [f"{data.group_names[group]}\n3"]


def test_samples_are_shown_under_their_titles_and_the_rest_of_the_grid_is_empty():
    x = np.asarray(pictures().x)
    axes = plots.samples(x, list("abcdef"), n_columns=4).axes
    assert [ax.get_title() for ax in axes] == [*"abcdef", "", ""]
    assert np.array_equal(np.asarray(axes[5].images[0].get_array()), x[5, 0])
    assert not axes[6].images


def test_pictures_in_colour_are_shown_in_colour_from_an_array_on_disk_too():
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    samples = MemmapSamples(Storage(stored, pictures=True), torch.arange(4))
    data = GroupedDataset(samples, [0, 0, 1, 1], [0, 1, 0, 1])
    shown = [np.asarray(ax.images[0].get_array()) for ax in plots.group_sheet(data, 1).axes]
    assert np.array_equal(shown, stored)


def test_group_counts_are_written_beside_points_and_the_forget_group_is_vermilion():
    (ax,) = plots.group_counts({"train": [1200, 20], "retain": [1200, 0]}, ["boots", "sneakers"], 1).axes
    assert [t.get_text() for t in ax.texts] == ["1,200", "20", "0"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["boots", "sneakers"]
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert [list(line.get_xdata()) for line in bars] == [[1200, 1200],
                                                         [20,
                                                          0.5]]  # none left: at the left end of a log axis
    assert [same_color(line.get_color(), plots.VERMILION) for line in bars] == [False, True]


def test_error_bars_are_intervals_over_five_seeds_and_more_and_the_seeds_are_counted():
    five = pd.concat([grid(methods=[("miu", True)]).assign(seed=s, GA=0.5 + 0.01 * s) for s in range(5)])
    five = five.drop_duplicates(["ratio", "seed"])
    half = 2.776445 * np.std([50, 51, 52, 53, 54], ddof=1) / 5**0.5  # Student's t of 4 degrees of freedom
    bar = plots.ratio_curve(five).axes[0].containers[0].lines[2][0].get_segments()[0]
    assert bar[:, 1].tolist() == pytest.approx([52 - half, 52 + half])
    across = plots.compare(five[five.ratio == 0.1], ("GA",))
    assert across.axes[0].containers[0].lines[2][0].get_segments()[0][:, 0].tolist() == pytest.approx(
        [52 - half, 52 + half])
    assert "95 % intervals over 5 seeds" in across.get_supxlabel()
    few = plots.ratio_curve(five[five.seed < 4])
    assert all(len(segment) == 0 for segment in few.axes[0].containers[0].lines[2][0].get_segments())
    assert "seeds: 4" in few.axes[0].get_xlabel()


def test_ratio_curve_has_a_line_of_means_per_method_and_pretrain_as_a_level():
    (ax,) = plots.ratio_curve(grid(), n=500).axes
    assert np.allclose(line_of(ax, 0), [[0.1, 60.0], [0.9, 52.0]])  # RETRAIN: 50 + 10 + 1 - 10 * ratio
    assert np.allclose(line_of(ax, 2), [[0.1, 80.0], [0.9, 72.0]])
    (level,) = (line for line in ax.lines if line.get_linestyle() == ":")
    assert np.allclose(level.get_ydata(), (50.0 + 42.0) / 2)
    names = texts(ax)
    assert set(names) == {"PRETRAIN (do nothing)", "RETRAIN", "RETRAIN + REWEIGHT", "MIU + REWEIGHT"}
    assert names["MIU + REWEIGHT"].get_color() == plots.COLOURS["miu"]
    assert "n = 500 (%)" in ax.get_ylabel()


def test_names_beside_lines_do_not_overlap():
    close = grid()
    close["GA"] = 0.5 + 1e-4 * close.GA
    (ax,) = plots.ratio_curve(close).axes
    places = sorted(t.get_position()[1] for t in ax.texts)
    assert min(np.diff(places)) > 0.07


def test_compare_shows_every_seed_its_mean_and_the_gold_standard():
    figure = plots.compare(grid(ratios=(0.5,)), metrics=("GA", "UA"))
    ax = figure.axes[0]
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert np.allclose([line.get_xdata() for line in dots], [[45 + 10 * i, 47 + 10 * i] for i in range(4)])
    assert np.allclose([line_of(ax, i)[0, 0] for i in range(4)], [46, 56, 66, 76])
    (gold,) = (line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata()) == 2)
    assert np.allclose(gold.get_xdata(), 66)
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "PRETRAIN (do nothing)", "RETRAIN", "RETRAIN + REWEIGHT", "MIU + REWEIGHT"]
    assert "forget accuracy" in figure.axes[1].get_xlabel()


def test_group_change_draws_groups_only_with_their_difference():
    after = ACCURACY.assign(accuracy=[0.9, 0.8, 0.92, 0.45])
    (ax,) = plots.group_change(ACCURACY, after, ["sneakers"], ("before", "after")).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["boots (n = 60)", "sneakers (n = 40)"]
    assert [t.get_text() for t in ax.texts if t.get_text()] == ["+2", "-15"]
    assert np.allclose([line.get_xydata()[0] for line in ax.lines], [[90, 0], [92, 0], [60, 1], [45, 1]])
    assert same_color(ax.lines[2].get_color(), plots.VERMILION)
    assert not ax.containers  # of one model there is no interval over seeds


def test_epoch_curves_show_accuracies_losses_and_estimates():
    accuracy, loss, mi = plots.epoch_curves(CURVES, gold={"GA": 0.45, "UA": 0.5, "TA": 0.9}).axes
    lines = {line.get_label(): line for line in accuracy.lines}
    assert np.allclose(lines["GA"].get_ydata(), [50, 40])
    assert same_color(lines["GA"].get_color(), plots.VERMILION)
    assert sorted(line.get_ydata()[0] for line in accuracy.lines if line.get_linestyle() == "--") == [
        45,
        50,
        90,
    ]
    assert {line.get_label() for line in loss.lines} == {"retain loss", "forget loss"}
    assert np.allclose(mi.lines[1].get_ydata(), [-1.0, -0.5])


def test_epoch_curves_of_a_method_without_estimates_and_forget_passes():
    figure = plots.epoch_curves(CURVES.drop(columns=["mi_train", "mi_forget", "forget_loss", "GA", "UA"]))
    assert len(figure.axes) == 2
    assert [line.get_label() for line in figure.axes[0].lines] == ["TA"]


def test_convergence_smooths_and_marks_the_true_value():
    values = np.arange(40.0)
    (ax,) = plots.convergence({"MINE": values}, truth=20.0, smooth=4).axes
    smoothed = max(ax.lines, key=lambda line: (len(line.get_xdata()), line.get_linewidth()))
    assert np.allclose(smoothed.get_ydata()[3:], np.convolve(values, np.ones(4) / 4, "valid"))
    assert set(texts(ax)) == {"MINE", "true value"}
    assert len(ax.lines) == 2  # the values themselves are drawn faintly, and read by nobody


def test_forgotten_groups_begin_at_their_own_level():
    other = grid().assign(GA=0.9)
    (ax,) = plots.forgotten_groups({"sneakers": grid(), "boots": other}, n=500).axes
    first = next(line for line in ax.lines if len(line.get_xdata()) == 3)
    assert np.allclose(first.get_xydata(), [[0, 46], [0.1, 60], [0.9, 52]])
    assert same_color(first.get_color(), plots.VERMILION)
    assert same_color(texts(ax)["boots"].get_color(), plots.GROUP_COLOURS[0])


def test_toy_data_of_many_groups_fits_on_one_sheet():
    data = toy([[3] * 3] * 3)
    many = GroupedDataset(np.zeros((len(data), 1, 4, 4), np.uint8), data.y, data.a, data.class_names,
                          data.attribute_names)
    figure = plots.group_sheet(many, 2)
    assert len(figure.axes) == 3 * 3 * 2
    assert {t for ax in figure.axes for t in texts(ax)} == set(data.class_names)
    assert {ax.get_title("left") for ax in figure.axes} - {""} == set(data.attribute_names)
