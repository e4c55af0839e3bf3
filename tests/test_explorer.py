"""The explorer's look-ups: what is shown was computed, snapped to and said so, and agrees with the shipped
rows."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from grmu import closed_form
from grmu.show import explorer, plots_live
from grmu.show.explorer import FORGET_GROUPS, SMALLEST, Choice, find
from grmu.study import grids, results
from grmu.study.compare import half_width

LARGEST, ALIKE, NINE, MORE = list(FORGET_GROUPS)[1:5]


def row_mean(grid, method, reweight, ratio, metric="GA"):
    rows = results.load(grid)
    rows = rows[
        (rows.method == method) & (rows.reweight == reweight) & (rows.ratio.round(5) == round(ratio, 5))
    ]
    return rows[metric].mean(), half_width(rows[metric])


@pytest.mark.parametrize(("choice", "grid"), [
    (Choice("retrain", False, SMALLEST, 0.7), "references"),
    (Choice("salun", True, SMALLEST, 0.9), "unlearning"),
    (Choice("miu", False, LARGEST, 0.5), "largest_unlearning")])
def test_numbers_are_those_of_the_shipped_rows(choice, grid):
    shown = find(choice)
    assert shown.n_seeds == 5
    assert shown.metrics.loc[(choice.method, choice.reweight), "GA"] == pytest.approx(
        row_mean(grid, choice.method, choice.reweight, choice.ratio))
    asked = shown.groups[shown.groups.forgotten]
    assert asked.after.item() == pytest.approx(shown.metrics.loc[(choice.method, choice.reweight), "GA"][0],
                                               abs=1e-4)
    assert asked.gold.item() == pytest.approx(shown.metrics.loc[("retrain", True), "GA"][0], abs=1e-4)
    assert shown.by_ratio.loc[(choice.method, choice.reweight, choice.ratio), "mean"] == pytest.approx(
        shown.metrics.loc[(choice.method, choice.reweight), "GA"][0])


def test_of_as_many_samples_of_all_groups_the_ratio_is_the_smallest_groups():
    shown = find(Choice("retrain", False, ALIKE, 0.9))
    assert shown.ratio == 0.9
    assert shown.metrics.loc[("retrain", False),
                             "GA"] == pytest.approx(row_mean("uniform", "retrain", False, round(91.8) / 5692))


def test_of_many_groups_those_who_asked_are_beside_the_others():
    shown, rows = find(Choice("miu", True, NINE, 0.5)), results.load("multi_group")
    rows = rows[(rows.method == "miu") & rows.reweight & (rows.groups == str(FORGET_GROUPS[NINE][1]))]
    by_group = np.mean(rows.by_group.tolist(), axis=0)
    asked = [y * 7 + a for y, a in grids.NINE_GROUPS]
    others = [g for g in range(63) if g not in asked]
    assert shown.groups.after.tolist() == pytest.approx([by_group[asked].mean(), by_group[others].mean()])
    assert list(shown.groups.index) == ["the 9 that asked", "the other 54"]


@pytest.mark.parametrize(("ratio", "lam", "found", "said"), [
    (0.5, 1.0, (0.5, 1.0), "Shown: ratio 0.5, λ = 1, mean of 5 seeds."),
    (0.45, 1.0, (0.5, 1.0), "ratio 0.5 (nearest to 0.45 that was computed), λ = 1,"),
    (0.4, 1.0, (0.3, 1.0), "ratio 0.3 (nearest to 0.4 that"),  # of two as near the lower
    (0.5, 8.0, (0.5, 10.0), "λ = 10 (nearest to 8 that was computed here)"),
    (0.7, 8.0, (0.7, 1.0), "λ = 1 (nearest to 8 that was computed here)")])  # at 0.7 only the preset's was
def test_what_was_not_computed_is_snapped_and_said(ratio, lam, found, said):
    shown = find(Choice(ratio=ratio, lam=lam))
    assert (shown.ratio, shown.lam) == found
    assert said in shown.note


def test_one_seed_has_no_spread():
    shown = find(Choice(seed=3))
    assert shown.n_seeds == 1
    assert np.isnan(shown.metrics.loc[("miu", True), "UA"][1])
    assert "seed 3" in shown.note


def test_what_was_never_run_is_refused_with_what_was():
    with pytest.raises(
        ValueError, match="MIU was not computed for as many samples of all 4 groups alike: choose one of PRE"
    ):
        find(Choice("miu", False, ALIKE))
    assert explorer.computed(ALIKE) == {"pretrain": (False,), "retrain": (False, True)}
    assert explorer.computed(SMALLEST)["miu"] == (False, True)
    assert explorer.computed(SMALLEST)["group_dro"] == (False,)


@pytest.mark.parametrize("groups", FORGET_GROUPS)
def test_every_offered_setting_can_be_shown_and_run(groups):
    for method, options in explorer.computed(groups).items():
        for reweight in options:
            choice = Choice(method, reweight, groups, 0.5)
            shown = find(choice)
            assert shown.title()
            assert (shown.by_lam is None) == (method != "miu")
            assert choice.experiment().method == method


def test_titles_say_what_their_numbers_say():
    shown = find(Choice("retrain", False, SMALLEST, 0.9))
    before, after, gold = (100 * shown.metrics.loc[key, "GA"][0] for key in (
        ("pretrain", False), ("retrain", False), ("retrain", True)))
    assert shown.title() == (
        f"RETRAIN, ratio 0.9: the group that asked goes from {before:.0f} to {after:.0f} %, "
        f"{gold - after:.0f} points below the gold standard"
    )
    assert "nobody was forgotten" in find(Choice("pretrain", False)).title()


def test_the_figure_draws_the_numbers_and_the_live_run_as_a_star():
    canvas, shown = plots_live.setting_canvas(), find(Choice("retrain", False, SMALLEST, 0.9))
    own = plots_live.LiveRun(dict.fromkeys(plots_live.EXPLORED, 0.5), [0.1, 0.2, 0.3, 0.4], 0.8, lam=None)
    figure = plots_live.draw_setting(canvas, shown, own)
    assert isinstance(figure, Figure)
    by_group, _, _, by_lam = figure.axes
    points = [line for line in by_group.lines if line.get_marker() == "o"]
    filled = [line.get_xdata()[0] for line in points if line.get_markerfacecolor() != "white"]
    assert filled == pytest.approx((100 * shown.groups.after).tolist())
    stars = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "*"]
    assert len(stars) == 4 + 4 + 1
    assert [float(line.get_xdata()[0]) for line in by_group.lines if line.get_marker() == "*"] == [
        10,
        20,
        30,
        40,
    ]
    assert not by_lam.axison
    assert figure.texts[-1].get_text() == shown.title()


def test_what_moves_is_drawn_over_what_stands_still_as_if_all_were_drawn_anew():
    canvas, fresh = plots_live.setting_canvas(), plots_live.setting_canvas()
    for choice in (Choice(ratio=0.9), Choice("retrain", False), Choice(ratio=0.5, lam=10.0)):
        plots_live.draw_setting(canvas, find(choice))
    plots_live.draw_setting(fresh, find(Choice(ratio=0.5, lam=10.0)))
    assert canvas.png() == fresh.png()
    assert [len(ax.lines) for ax in canvas.axes] == [len(ax.lines) for ax in fresh.axes]


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
