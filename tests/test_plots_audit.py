"""The figures of lessons 07 and 09 draw what they are given; every function makes one figure, none more."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from grmu.show import plots, plots_audit

matplotlib.use("Agg")

AUDIT = pd.DataFrame([
    {"method": method, "reweight": reweight, "attack": attack, "who": who, "AUC": auc, "AUC low": auc - 0.05,
     "AUC high": auc + 0.02, "verdict": verdict if (attack, who) == ("U-LiRA", "unlearned") else np.nan}
    for method, reweight, verdict, aucs in (("pretrain", False, "detected", (0.9, 0.8, 0.95)),
                                            ("mine", True, "cannot tell", (0.6, 0.55, 0.5)))
    for (attack, who), auc in zip((("U-LiRA", "unlearned"), ("forest", "unlearned"), ("U-LiRA", "retained"),
                                   ("U-LiRA", "overfitted")), (*aucs, 0.97), strict=True)])
PERSON = {"before": {"never seen": np.array([-2.0, -1.0, -3.0]), "unlearned": np.array([1.0, 2.0]),
                     "retained": np.array([])},
          "after": {"never seen": np.array([-2.0, 0.0, -1.0]), "unlearned": np.array([-1.0, 0.5]),
                    "retained": np.array([5.0])}}
PICTURE = np.arange(784, dtype=np.uint8).reshape(1, 28, 28) % 255
EXPOSED = {("miu", True): [0.5, 2.0, -1.0], ("retrain", True): [0.1, 0.0, -0.1]}
GROUPS = pd.DataFrame({"group": ["large\nn = 9", "small\nn = 2"], "AUC": [0.55, 0.9],
                       "AUC low": [0.5, 0.8], "AUC high": [0.6, 0.95]})
SOURCES = pd.DataFrame([[60.0, 62.0, 64.0], [10.0, 12.0, 14.0], [30.0, 40.0, 50.0]],
                       index=["true", "none", "probe"])
SEEDS = pd.DataFrame({"first": [1.0, 2.0, 3.0, 4.0, 5.0], "last": [7.0, 7.0, 7.0, 7.0, 7.0]})
NAMES = {"none": "no groups", "probe": "a probe", "true": "true groups"}

FIGURES = {
    "attacks": lambda: plots_audit.attacks({"left": AUDIT, "right": AUDIT}, title="a title"),
    "person": lambda: plots_audit.person(PERSON, PICTURE, "a title"),
    "exposures": lambda: plots_audit.exposures(EXPOSED, "a title"),
    "by_group": lambda: plots_audit.by_group({("miu", True): GROUPS}, "small", title="a title"),
    "recovered": lambda: plots_audit.recovered({"left": SOURCES, "right": SOURCES}, NAMES, "a title"),
    "means": lambda: plots_audit.means({"GA": {"one": SEEDS}, "α": {"one": SEEDS, "other": SEEDS + 3}},
                                       {"true": 9.0}, "a title"),
}


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    yield
    plt.close("all")


def heights(ax, marker):
    """(x, y) of every point of that marker, in the order drawn."""
    return [tuple(xy) for line in ax.lines if line.get_marker() == marker for xy in line.get_xydata()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_function_opens_the_one_figure_that_it_returns(name):
    figure = FIGURES[name]()
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()
    assert "a title" in (figure.get_suptitle(), figure.axes[0].get_title(), figure.axes[0].get_title("left"))


def test_attacks_stand_beside_their_control_in_their_method_s_colour_around_its_row():
    top, _ = FIGURES["attacks"]().axes
    for marker, first, second in (("o", 0.9, 0.6), ("^", 0.8, 0.55), ("D", 0.95, 0.5)):
        (x0, y0), (x1, y1) = heights(top, marker)[:2]
        assert (x0, x1) == (first, second)
        assert (round(y0), round(y1)) == (0, 1)
    assert heights(top, "D")[2] == (0.97, 2)
    circles = [line for line in top.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [line.get_color() for line in circles] == [plots.colour("pretrain"), plots.colour("mine")]
    assert [t.get_text() for t in top.get_yticklabels()] == [
        f"{plots.label('pretrain')}\ndetected", "mine + REWEIGHT\ncannot tell", plots_audit.OVERFITTED]


def test_attacks_have_whiskers_from_low_to_high_and_chance_dotted():
    top, _ = FIGURES["attacks"]().axes
    whiskers = [segment for bars in top.collections for segment in bars.get_segments()]
    assert any(np.allclose(sorted(segment[:, 0]), [0.85, 0.92]) for segment in whiskers)
    assert [line.get_xdata()[0] for line in top.lines if line.get_linestyle() == ":"
            and len(set(line.get_xdata())) == 1
            and len(line.get_xdata()) == 2] == [0.5]


def test_a_person_has_a_panel_a_method_a_tick_a_model_and_a_curve_a_status_that_occurs():
    _, before, after = FIGURES["person"]().axes
    assert sorted(x for x, _ in heights(before, "|")) == [-3, -2, -1, 1, 2]
    assert [t.get_text() for t in before.get_yticklabels()] == ["never seen\n(n = 3)", "unlearned\n(n = 2)",
                                                                "retained\n(n = 0)"]
    curves = [line for line in before.lines if len(line.get_xdata()) == 200]
    peaks = [line.get_xdata()[line.get_ydata().argmax()] for line in curves]
    assert np.allclose(peaks, [-2, 1.5], atol=0.1)
    assert len([line for line in after.lines if len(line.get_xdata()) == 200]) == 3


def test_exposures_fall_from_the_most_exposed_on():
    (ax,) = FIGURES["exposures"]().axes
    drawn = [list(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) == 3]
    assert drawn == [[2.0, 0.5, -1.0], [0.1, 0.0, -0.1]]


def test_the_forget_group_is_named_in_vermilion():
    (ax,) = FIGURES["by_group"]().axes
    hues = {t.get_text().split("\n")[0]: t.get_color() for t in ax.get_yticklabels()}
    assert same_color(hues["small"], plots.VERMILION)
    assert same_color(hues["large"], "black")
    assert [x for x, _ in heights(ax, "o")][:2] == [0.55, 0.9]


def test_groups_have_chance_dotted_where_it_is():
    (ax,) = plots_audit.by_group({("miu", True): GROUPS}, "small").axes
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] == [0.5]


def test_recovered_has_means_dots_and_both_references():
    left, _ = FIGURES["recovered"]().axes
    assert [line.get_xdata()[0] for line in left.lines if line.get_linestyle() in ("--", ":")] == [62, 12]
    assert heights(left, "o") == [(12, 0), (40, 1), (62, 2)]
    assert len(heights(left, ".")) == 9
    half = 4.303 * 10 / np.sqrt(3)  # Student's t with two degrees of freedom
    whiskers = [segment[:, 0] for bars in left.collections for segment in bars.get_segments()]
    assert any(np.allclose(sorted(x), [40 - half, 40 + half], atol=0.01) for x in whiskers)


def test_means_have_a_dot_a_seed_a_row_a_column_and_intervals_over_seeds():
    left, right = FIGURES["means"]().axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["first", "last"]
    assert heights(left, "o") == [(3, 0), (7, 1)]
    assert len(heights(left, ".")) == 10
    assert [x for x, _ in heights(right, "o")] == [3, 7, 6, 10]
    half = 2.776 * np.std([1, 2, 3, 4, 5], ddof=1) / np.sqrt(5)
    whiskers = [sorted(segment[:, 0]) for bars in left.collections for segment in bars.get_segments()]
    assert any(np.allclose(x, [3 - half, 3 + half], atol=0.01) for x in whiskers)
    assert [line.get_xdata()[0] for line in right.lines if line.get_linestyle() == "--"] == [9]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["one", "other"]
