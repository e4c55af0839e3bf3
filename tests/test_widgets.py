"""Test that `demo` draws again when a control moves, and that it shows errors."""

import matplotlib.pyplot as plt
import pytest
from traitlets import TraitError

from grmu import widgets


def level(ratio, metric="GA"):
    figure, ax = plt.subplots()
    ax.axhline(ratio)
    ax.set_title(metric)
    if ratio > 0.8:
        raise ValueError(f"nothing was computed at {ratio}")
    return figure


@pytest.fixture
def shown():
    plt.close("all")
    return widgets.demo(level, "What happens at 0.5?", {"ratio": "unlearning ratio"}, ratio=[0.1, 0.5, 0.9],
                        metric=["GA", "UA"])


def test_a_new_value_changes_the_figure_and_figures_do_not_pile_up(shown):
    pictures = {bytes(shown.picture.value)}
    for name, value in (("ratio", 0.5), ("metric", "UA")):
        shown.controls[name].value = value
        pictures.add(bytes(shown.picture.value))
    assert len(pictures) == 3
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert plt.get_fignums() == []


def test_an_error_is_shown_and_goes_with_the_next_value(shown):
    shown.controls["ratio"].value = 0.9
    assert "nothing was computed at 0.9" in shown.message.value
    assert not bytes(shown.picture.value)
    assert plt.get_fignums() == []
    shown.controls["ratio"].value = 0.5
    assert not shown.message.value


def test_controls_have_names_and_offer_only_what_was_computed(shown):
    question, ratio, _, *_ = shown.box.children
    assert "What happens at 0.5?" in question.value
    assert ratio.description == "unlearning ratio"
    assert not ratio.continuous_update
    with pytest.raises(TraitError, match="value not found"):
        ratio.value = 0.3
