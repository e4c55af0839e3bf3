"""The explorers: a control that moves changes what is drawn, and an error is shown, not swallowed."""

import matplotlib.pyplot as plt
import pytest
from traitlets import TraitError

from grmu.show import widgets


def level(ratio, metric="GA"):
    fig, ax = plt.subplots()
    ax.axhline(ratio)
    ax.set_title(metric, loc="center")  # whatever the style
    if ratio > 0.8:
        raise ValueError(f"nothing was computed at {ratio}")
    return fig


@pytest.fixture
def shown():
    plt.close("all")
    yield widgets.demo(level, "What happens at 0.5?", {"ratio": "unlearning ratio"},
                       {"metric": "what to measure"},
                          ratio=[0.1, 0.5, 0.9], metric=["GA", "UA"])
    plt.close("all")


def drawn(shown):
    (ax,) = shown.figure.axes
    return ax.lines[0].get_ydata()[0], ax.get_title()


def test_the_first_options_are_drawn_at_once(shown):
    assert drawn(shown) == (0.1, "GA")
    assert shown.error is None


def test_a_new_value_changes_the_figure(shown):
    first = bytes(shown.picture.value)
    shown.controls["ratio"].value = 0.5
    assert drawn(shown) == (0.5, "GA")
    assert bytes(shown.picture.value).startswith(b"\x89PNG")
    assert bytes(shown.picture.value) != first
    shown.controls["metric"].value = "UA"
    assert drawn(shown) == (0.5, "UA")


def test_figures_do_not_pile_up(shown):
    for ratio in (0.5, 0.1, 0.5):
        shown.controls["ratio"].value = ratio
    assert plt.get_fignums() == []


def test_an_error_is_shown_and_kept_and_goes_with_the_next_value(shown):
    shown.controls["ratio"].value = 0.9
    assert isinstance(shown.error, ValueError)
    assert "nothing was computed at 0.9" in shown.message.value
    assert not bytes(shown.picture.value)
    assert plt.get_fignums() == []
    shown.controls["ratio"].value = 0.5
    assert shown.error is None
    assert not shown.message.value
    assert drawn(shown) == (0.5, "GA")


def test_controls_have_names_and_tooltips_and_wait_for_the_mouse_to_rest(shown):
    ratio, metric = shown.controls["ratio"], shown.controls["metric"]
    assert (ratio.description, ratio.tooltip) == ("unlearning ratio", "arrow keys move unlearning ratio")
    assert (metric.description, metric.tooltip) == ("metric", "what to measure")
    assert not ratio.continuous_update
    assert not metric.continuous_update


def test_only_what_was_computed_can_be_chosen(shown):
    with pytest.raises(TraitError, match="value not found"):
        shown.controls["ratio"].value = 0.3


def test_the_question_stands_above_the_controls(shown):
    question, *controls, message, picture = shown.box.children
    assert "What happens at 0.5?" in question.value
    assert controls == list(shown.controls.values())
    assert (message, picture) == (shown.message, shown.picture)
