"""The explorers: a control that moves changes what is drawn, and an error is shown, not swallowed."""

import matplotlib.pyplot as plt
import pytest
from traitlets import TraitError

from grmu import widgets


def level(ratio, metric="GA"):
    fig, ax = plt.subplots()
    ax.axhline(ratio)
    ax.set_title(metric)
    if ratio > 0.8:
        raise ValueError(f"nothing was computed at {ratio}")
    return fig


@pytest.fixture
def explorer():
    plt.close("all")
    yield widgets.explore(level, "What happens at 0.5?", {"ratio": "unlearning ratio"}, {"metric": "what to measure"},
                          ratio=[0.1, 0.5, 0.9], metric=["GA", "UA"])
    plt.close("all")


def drawn(explorer):
    (ax,) = explorer.figure.axes
    return ax.lines[0].get_ydata()[0], ax.get_title()


def test_the_first_options_are_drawn_at_once(explorer):
    assert drawn(explorer) == (0.1, "GA")
    assert explorer.error is None


def test_a_new_value_changes_the_figure(explorer):
    first = bytes(explorer.picture.value)
    explorer.controls["ratio"].value = 0.5
    assert drawn(explorer) == (0.5, "GA")
    assert bytes(explorer.picture.value).startswith(b"\x89PNG")
    assert bytes(explorer.picture.value) != first
    explorer.controls["metric"].value = "UA"
    assert drawn(explorer) == (0.5, "UA")


def test_figures_do_not_pile_up(explorer):
    for ratio in (0.5, 0.1, 0.5):
        explorer.controls["ratio"].value = ratio
    assert plt.get_fignums() == []


def test_an_error_is_shown_and_kept_and_goes_with_the_next_value(explorer):
    explorer.controls["ratio"].value = 0.9
    assert isinstance(explorer.error, ValueError)
    assert "nothing was computed at 0.9" in explorer.message.value
    assert not bytes(explorer.picture.value)
    assert plt.get_fignums() == []
    explorer.controls["ratio"].value = 0.5
    assert explorer.error is None
    assert not explorer.message.value
    assert drawn(explorer) == (0.5, "GA")


def test_controls_have_names_and_tooltips_and_wait_for_the_mouse_to_rest(explorer):
    ratio, metric = explorer.controls["ratio"], explorer.controls["metric"]
    assert (ratio.description, ratio.tooltip) == ("unlearning ratio", "arrow keys move unlearning ratio")
    assert (metric.description, metric.tooltip) == ("metric", "what to measure")
    assert not ratio.continuous_update
    assert not metric.continuous_update


def test_only_what_was_computed_can_be_chosen(explorer):
    with pytest.raises(TraitError, match="value not found"):
        explorer.controls["ratio"].value = 0.3


def test_the_question_stands_above_the_controls(explorer):
    question, *controls, message, picture = explorer.box.children
    assert "What happens at 0.5?" in question.value
    assert controls == list(explorer.controls.values())
    assert (message, picture) == (explorer.message, explorer.picture)
