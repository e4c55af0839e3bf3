"""The course's picture: whom it shows is chosen by PRETRAIN alone, and its numbers are the shipped ones."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from grmu.analysis import results
from grmu.show import alt, plots_hero


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def crossed(figure):
    """For every row, which of its pictures are crossed out."""
    flags = [len(ax.lines) == 2 for ax in figure.axes]
    return [flags[i:i + 8] for i in range(0, len(flags), 8)]


def test_as_many_pictures_are_right_before_as_the_accuracy_says():
    figure = plots_hero.hero()
    before = results.load("references")
    share = before[(before.method == "pretrain")].GA.mean()
    assert crossed(figure)[0].count(False) == round(8 * share)
    assert f"{100 * share:.0f} %" in [text.get_text() for text in figure.axes[7].texts]
    assert alt.describe(figure) == figure.get_label()
    assert f"about {100 * share:.0f} % of such pictures" in figure.get_label()


def test_what_other_models_say_has_no_part_in_the_choice(monkeypatch):
    shipped = results.load("pictures")
    turned = shipped.assign(right=shipped.right.where(shipped.method == "pretrain", shipped.right.map(
        lambda s: s.translate(str.maketrans("+-", "-+")))))
    one = crossed(plots_hero.hero())
    load = results.load
    monkeypatch.setattr(results, "load", lambda name: turned if name == "pictures" else load(name))
    other = crossed(plots_hero.hero())
    assert other[0] == one[0]
    assert other[1:] == [[not flag for flag in row] for row in one[1:]]


def test_shares_right_are_near_the_accuracy_on_all_test_pictures():
    table = results.load("pictures")
    shown = table[(table.group == 3) & (table.method == "retrain")]
    shown = shown.assign(share=shown.right.str.count(r"\+") / 24)
    whole = results.load("references")
    whole = whole[whole.method == "retrain"]
    for key, part in shown.groupby(["reweight", "ratio"]):
        full = whole[(whole.reweight == key[0]) & ((whole.ratio - key[1]).abs() < 1e-9)].GA.mean()
        assert part.share.mean() == pytest.approx(full, abs=0.3), pd.Series(key)
