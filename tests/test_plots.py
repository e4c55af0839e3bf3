"""Test that figures draw the given numbers and state them in captions, which are also the alt text."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure

from grmu import data, plots
from grmu.analysis import names, results

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    yield
    plt.close("all")


def runs(n_seeds=5):
    """Runs whose mean GA is 40, 50 and 60 %, with seeds one point apart."""
    return pd.DataFrame([
        {"method": method, "reweight": reweight, "ratio": ratio, "seed": seed, "UA": 0.5,
         "GA": 0.4 + 0.1 * i + 0.01 * (seed - (n_seeds - 1) / 2), "arm": plots.label(method, reweight)}
        for i, (method, reweight) in enumerate((("pretrain", False), ("retrain", False), ("retrain", True)))
        for ratio in (0.1, 0.9) for seed in range(n_seeds)])


def means_of(ax):
    """Return (x, y) of each mark in a panel, without error bars and seeds."""
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    points = np.concatenate([np.column_stack(line.get_data()) for line in marks])
    return points[np.isfinite(points).all(1)]


def intervals_of(ax):
    """Return the ends of the error bars in a panel."""
    bars = [line.get_xdata() for line in ax.lines if line.get_marker() != "o" and len(line.get_xdata()) > 2]
    return np.array([(np.nanmin(bar), np.nanmax(bar)) for bar in bars if np.isfinite(bar).any()])


CURVES = pd.DataFrame({"epoch": [1, 2], "GA": [0.5, 0.4], "UA": [0.6, 0.3], "TA": [0.8, 0.7],
                       "retain_loss": [0.3, 0.2], "forget_loss": [-1.0, np.nan]})
AUDIT = pd.DataFrame([{"method": "miu", "reweight": True, "attack": attack, "who": who, "AUC": auc,
                       "AUC low": auc - 0.1, "AUC high": auc + 0.1, "verdict": word}
                      for attack, who, auc, word in (("U-LiRA", "unlearned", 0.7, "detected"),
                                                     ("U-LiRA", "retained", 0.8, None))])
CELLS = pd.DataFrame({"panel": "augmented", "left": [102, 10, 10], "share": [1.8, 1.8, 0.2], "n": 20,
                      "mean": [60.0, 50.0, 20.0], "low": [58.0, 45.0, 15.0], "high": [62.0, 55.0, 25.0],
                      "visible": [60.0, 60.0, 22.0], "calibrated": [60.0, 60.0, 15.0]})
STEPS = pd.DataFrame({"method": "miu", "reweight": [False, False, True, True], "epoch": [0, 1] * 2,
                      "UA": [0.6, 0.4, 0.6, 0.5], "GA": [0.6, 0.3, 0.6, 0.55]})
TABLE = pd.DataFrame({"before": [90.0, 60.0], "after": [91.0, 48.0], "predicted": [90.0, 50.0]},
                     index=["boots", "sneakers"])
CLOUD = pd.DataFrame({"x": np.arange(40) % 7, "y": np.arange(40) % 9, "group": ["few", "many"] * 20,
                      "part": ["left"] * 20 + ["right"] * 20})
FIGURES = {  # each with a part of its caption
    "ratio_curve": (lambda: plots.ratio_curve(runs(), "arm", dict.fromkeys(runs().arm, "black"), "a title"),
                    "RETRAIN at ratio 0.9: 50 % (arm RETRAIN), 60 % (arm RETRAIN + REWEIGHT)."),
    "shares": (lambda: plots.shares(CELLS, "a title"), "augmented, 10 left, share 0.2 %: 20"),
    "convergence": (lambda: plots.convergence({"MINE": [1.0, 2.0]}, {"true value": 1.5}, 20, "a title"),
                    "MINE 2.00, true value 1.50"),
    "clouds": (lambda: plots.clouds(CLOUD, "x", "y", ["few", "many"], ["few"], "part", "a title",
                                    "40 points").figure, "40 points"),
    "epochs": (lambda: plots.epochs(CURVES, {"GA": 0.5, "UA": 0.5, "TA": 0.9}, "a title"),
               "Accuracy after epoch 2: GA 40, UA 30, TA 70 %."),
    "epochs of PRETRAIN": (lambda: plots.epochs(CURVES.drop(columns=["GA", "UA"]), None, "a title"),
                           "Accuracy after epoch 2: TA 70 %."),
    "runs_by_epoch": (lambda: plots.runs_by_epoch({"MIU": CURVES}, {"GA": "accuracy"}, {"MIU": "black"},
                                                  "a title"),
                      "Accuracy: MIU 0.40"),
    "trajectories": (lambda: plots.trajectories(STEPS, {"UA": 0.5, "GA": 0.5}, "a title"),
                     "MIU without REWEIGHT 30, MIU with REWEIGHT 55."),
    "compare": (lambda: plots.compare(runs(), ("GA",), "a title"),
                "RETRAIN 50, RETRAIN + REWEIGHT 60. Means and 95 % intervals over"),
    "attacks": (lambda: plots.attacks({"memorised": AUDIT}, "a title"), "MIU + REWEIGHT: detected (0.70)"),
    "roc": (lambda: plots.roc({"MIU": (np.arange(3.0), np.arange(4.0))}, {"MIU": "black"}, "a title",
                              "TPR 10"), "TPR 10"),
    "confidences": (lambda: plots.confidences(
        np.zeros((1, 4, 4)), {"MIU": np.arange(9.0)}, np.repeat(["never seen", "retained", "unlearned"], 3),
        "a title", "+1"), "+1"),
    "group_change": (lambda: plots.group_change(TABLE, ["sneakers"], "a title"), "after: boots 91, sneakers"),
    "margins": (lambda: plots.margins({"few": np.linspace(-1, 1, 21)}, {"few": "black"}, 0.55, "a title"),
                "few 24 %")}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_only_one_and_its_caption_has_its_numbers(name):
    draw, said = FIGURES[name]
    figure = draw()
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()  # what is wrong with its texts or its layout is raised here
    assert figure.get_suptitle() == "a title"
    assert said in plots.caption_of(figure)


def test_a_notebook_shows_a_figure_with_its_caption_as_alt_text_and_below(monkeypatch):
    shell, shown = InteractiveShell.instance(), []
    monkeypatch.setattr("grmu.plots.style.display", lambda *parts: shown.extend(parts))
    plots.use_style()
    try:
        figure = plots.captioned(Figure(), "a finding", "2 < 3")
        figure.subplots()
        assert shell.display_formatter.format(figure) == ({}, {})
    finally:
        shell.display_formatter.ipython_display_formatter.pop(Figure)
        InteractiveShell.clear_instance()
    picture, words = shown
    assert picture.alt == "2 < 3"
    assert "2 &lt; 3</p>" in words.data


def test_means_and_intervals_stand_where_the_seeds_put_them():
    figure = plots.compare(runs().query("ratio == 0.1"), ("GA",))
    assert means_of(figure.axes[0])[:, 0].tolist() == pytest.approx([40, 50, 60])
    half = 2.776445 * np.std(range(5), ddof=1) / 5**0.5  # Student's t with 4 degrees of freedom
    assert intervals_of(figure.axes[0])[0].tolist() == pytest.approx([40 - half, 40 + half])
    (gold,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert gold.get_xdata() == pytest.approx([60, 60])
    assert plots.style.t_interval([1.0, 2.0, 3.0, 4.0]) == (2.5, 2.5)  # too few for an interval


def test_a_forest_has_a_mark_for_each_row_and_its_known_interval():
    gaps = pd.DataFrame({"mean": [3.0, -8.0, 1.0], "low": [1.0, -9.0, -1.0], "high": [5.0, -7.0, 3.0]},
                        index=[("pretrain", False), ("miu", False), ("miu", True)])
    (ax,) = plots.forest(gaps, noise=2.0).axes
    marks = means_of(ax)
    assert sorted(marks[:, 0]) == [-8, 1, 3]
    without, with_ = (marks[marks[:, 0] == mean][0, 1] for mean in (-8, 1))
    assert without < 1 < with_  # both in MIU's row
    assert [-9, -7] in intervals_of(ax).tolist()
    assert ax.patches[0].get_bbox().intervalx.tolist() == [-2, 2]


def test_group_change_is_hollow_before_filled_after_and_says_the_change():
    (ax,) = plots.group_change(TABLE, ["sneakers"]).axes
    points = {(line.get_xdata()[0], same_color(line.get_markerfacecolor(), "white"))
              for line in ax.lines if line.get_marker() == "o"}
    assert points == {(90, True), (60, True), (91, False), (48, False)}
    assert [text.get_text() for text in ax.texts] == ["+1", "-12"]
    assert same_color(ax.texts[1].get_color(), plots.VERMILION)


def test_names_beside_lines_do_not_overlap():
    _, ax = plt.subplots()
    plots.label_ends(ax, dict.fromkeys("abc", (0.5, "black")))
    assert min(np.diff(sorted(text.get_position()[1] for text in ax.texts))) > 0.07


def test_a_colour_means_one_thing():
    hues = [*plots.COLOURS.values(), plots.VERMILION, *plots.GROUP_COLOURS]
    assert len({to_hex(hue) for hue in hues}) == len(hues)
    assert set(plots.COLOURS) == set(names.LABELS)


def test_pictures_are_shown_pixel_by_pixel_under_their_titles():
    x = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 5), dtype=np.uint8)
    axes = plots.samples(x, list("abcde"), n_columns=3).axes
    assert [ax.get_title(loc="center") for ax in axes] == [*"abcde", ""]
    assert np.array_equal(np.asarray(axes[4].images[0].get_array()), x[4].transpose(1, 2, 0))


def test_whom_the_hero_shows_is_chosen_by_the_original_model_alone():
    shipped, splits = results.load("pictures"), data.load("groundwear")
    every = pd.concat([results.load("references"), results.load("unlearning")])
    turned = shipped.assign(right=shipped.right.where(shipped.method == "pretrain", shipped.right.map(
        lambda marks: marks.translate(str.maketrans("+-", "-+")))))
    one, other = (np.array([len(ax.lines) == 2 for ax in plots.hero(table, every, splits).axes]).reshape(4, 8)
                  for table in (shipped, turned))
    assert (other[0] == one[0]).all()
    assert (other[1:] != one[1:]).all()
    share = every[every.method == "pretrain"].GA.mean()
    assert (~one[0]).sum() == round(8 * share)
    assert f"original model {100 * share:.0f}" in plots.caption_of(plt.figure(1))
