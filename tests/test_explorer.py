"""What stands for the explorer on paper: numbers of the shipped rows as a figure, in words, as a table."""

from io import BytesIO

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from grmu import closed_form
from grmu.analysis import grids, results
from grmu.course import notebooks
from grmu.show import explorer
from grmu.show.explorer import FORGET_GROUPS, SMALLEST, Choice, printed

LARGEST, ALIKE, NINE = list(FORGET_GROUPS)[1:4]


def row_mean(grid, method, reweight, ratio, metric="GA"):
    rows = results.load(grid)
    rows = rows[
        (rows.method == method) & (rows.reweight == reweight) & (rows.ratio.round(5) == round(ratio, 5))
    ]
    return 100 * rows[metric].mean()


@pytest.mark.parametrize(("choice", "grid", "ratio"), [
    (Choice("retrain", False, SMALLEST, 0.7), "references", 0.7),
    (Choice("salun", True, SMALLEST, 0.9), "unlearning", 0.9),
    (Choice("miu", False, LARGEST, 0.5), "largest_unlearning", 0.5),
    (Choice("retrain", False, ALIKE, 0.9), "uniform", round(91.8) / 5692)])  # the ratio is the smallest's
def test_what_is_printed_are_the_numbers_of_the_shipped_rows(choice, grid, ratio):
    shown = printed(choice)
    ga = row_mean(grid, choice.method, choice.reweight, ratio)
    assert f"to {ga:.0f} %" in shown.sentence
    if sum(shown.asked) == 1:
        assert shown.groups.loc[list(shown.asked), "after (%)"].item() == pytest.approx(ga, abs=0.01)


def test_of_many_groups_those_who_asked_are_beside_the_others():
    shown, rows = printed(Choice("miu", True, NINE, 0.5, lam=10.0)), results.load("multi_group")
    rows = rows[(rows.method == "miu") & rows.reweight & (rows.groups == str(FORGET_GROUPS[NINE][1]))]
    by_group = 100 * np.mean(rows.by_group.tolist(), axis=0)
    asked = [y * 7 + a for y, a in grids.NINE_GROUPS]
    others = [g for g in range(63) if g not in asked]
    assert shown.groups["after (%)"].tolist() == pytest.approx(
        [by_group[asked].mean(), by_group[others].mean()])
    assert list(shown.groups.index) == ["the 9 that asked", "the other 54"]


@pytest.mark.parametrize("choice", [Choice(ratio=0.45), Choice(lam=8.0), Choice("miu", False, ALIKE)])
def test_on_paper_nothing_is_snapped_to(choice):
    with pytest.raises(ValueError, match=r"MIU.* was not run so for .* shows the nearest setting that was"):
        printed(choice)


@pytest.mark.parametrize("groups", FORGET_GROUPS)
def test_every_offered_setting_can_be_printed_and_run(groups):
    ran = explorer.rows_of(groups)
    for row in ran[ran.seed == 0].drop_duplicates(["method", "reweight"]).to_dict("records"):
        extra = {"lam": row["lam"]} if row["method"] == "miu" else {}
        choice = Choice(row["method"], row["reweight"], groups, row["ratio"], seed=0, **extra)
        assert printed(choice).groups.notna().all(axis=None)
        assert choice.experiment().method == row["method"]


@pytest.mark.parametrize(("groups", "said"), [
    (SMALLEST, "the group that asked goes from"), (NINE, "the groups that asked go from"),
    (ALIKE, "sneaker on brick goes from")])
def test_the_sentence_says_whose_accuracy_it_is(groups, said):
    assert said in printed(Choice("retrain", False, groups, 0.5 if groups != ALIKE else 0.9)).sentence


def test_the_picture_shows_who_asked():
    png, _ = printed(Choice("retrain", False)).picture()
    far = np.abs(np.asarray(Image.open(BytesIO(png)).convert("RGB"), int) - (213, 94, 0)).max(-1)
    assert (far < 8).sum() > 100  # vermilion, the colour of those who asked


def test_the_figure_draws_the_numbers_and_says_them_in_words():
    shown = printed(Choice("retrain", False, SMALLEST, 0.9))
    (ax,) = shown.figure().axes
    points = [line for line in ax.lines if line.get_marker() == "o"]
    filled = [line.get_xdata()[0] for line in points if line.get_markerfacecolor() != "white"]
    assert filled == pytest.approx(shown.groups["after (%)"].tolist())
    data, metadata = shown.bundle()
    assert data["text/plain"] == shown.sentence
    words = metadata["image/png"]["alt"]
    for group, after in shown.groups["after (%)"].items():
        assert group in words
        assert f"{after:.3g}" in words
    assert data["text/html"].count("<tr") == 1 + 4


def test_a_picture_and_its_words_stand_on_paper_where_the_widget_was():
    said, metadata = printed(Choice("retrain", False, SMALLEST, 0.9)).bundle()
    output = nbformat.v4.new_output("display_data", said | {notebooks.WIDGET: {"model_id": "x"}},
                                    metadata=metadata)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("explore()", outputs=[output])])
    picture, words = notebooks.normalise(nb).cells[0].outputs
    assert set(picture.data) == {"image/png", "text/plain"}
    assert "12" in picture.metadata["image/png"]["alt"]
    assert set(words.data) == {"text/html", "text/plain"}
    assert notebooks.normalise(notebooks.normalise(nb)) == notebooks.normalise(nb)


# --- cases whose information is known -----------------------------------------------------------------------


@pytest.mark.parametrize("nats", [0.0, 0.4, 1.0, closed_form.entropy(closed_form.SHARES)])
def test_noisy_groups_share_what_they_are_said_to(nats):
    z, group = closed_form.noisy_groups(nats, 100_000, torch.Generator().manual_seed(0))
    joint = torch.zeros(4, 4, dtype=torch.float64)
    joint.index_put_((z.argmax(1), group), torch.ones(len(z), dtype=torch.float64), accumulate=True)
    joint /= joint.sum()
    ratio = joint / (joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True))
    assert (joint * ratio.clamp(min=1e-12).log()).sum().item() == pytest.approx(nats, abs=0.01)


def test_more_than_the_groups_entropy_cannot_be_shared():
    with pytest.raises(ValueError, match=r"share 0 to 1\.28 nats with anything, but not 1\.5"):
        closed_form.noisy_groups(1.5, 10, torch.Generator())


def test_one_group_alone_shares_nothing_and_a_uniform_draw_says_log_4():
    ends = {how: list(closed_form.estimates(0.0, closed_form.ONE_GROUP, how, updates=200))[-1]
            for how in ("shuffle", "uniform")}
    assert ends["shuffle"] == pytest.approx(0.0, abs=0.02)
    assert ends["uniform"] == pytest.approx(np.log(4), abs=0.15)
    assert closed_form.from_uniform(closed_form.ONE_GROUP) == pytest.approx(np.log(4))
