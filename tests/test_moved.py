"""How far a method moves a model along the shift: `grmu.analysis.moved`."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from grmu import Experiment, data
from grmu.analysis import shift, studies
from grmu.analysis.grids import SEEDS
from grmu.analysis.moved import COIN, METHODS, moved_by, moves_of, planned
from grmu.analysis.shift import prior_of
from grmu.data.core import split_at
from grmu.experiments import load_split

REPOSITORY = Path(__file__).parents[1]
DATASETS = ("groundwear", "groundwear-memorised", "groundwear-many")


def test_what_is_planned():
    plan = list(planned())
    assert len({e for _, e in plan}) == len(plan)
    assert {arm for arm, _ in plan} == {*METHODS, "RETRAIN, a coin"}
    assert all(e.reweight == ("REWEIGHT" in arm) for arm, e in plan)
    assert all(e.overrides for arm, e in plan if arm.startswith(("MIU", "fine")))  # a search's settings
    assert {e.seed if e.split_seed is None else e.split_seed for _, e in plan} == set(SEEDS)
    assert "moved" in studies.STUDIES


def test_a_coin_takes_as_many_sneakers_of_each_ground():
    of = {e.ratio: load_split(e).split for arm, e in planned() if arm == "RETRAIN, a coin" and e.seed == 0}
    assert set(of) == set(COIN)
    counts = of[COIN[1]].forget.group_counts().tolist()
    assert counts[:2] == [0, 0]
    assert counts[2:] == [round(840 * COIN[1]), round(102 * COIN[1])]


@pytest.mark.parametrize("s", [-2.3, 0.0, 0.4])
def test_a_shift_is_found_again(s):
    margins = torch.randn(4000, generator=torch.Generator().manual_seed(1)) * 2
    assert moved_by(margins, margins + s) == pytest.approx(s, abs=0.02)
    noisy = margins + s + torch.randn(4000, generator=torch.Generator().manual_seed(2)) * 0.5
    assert abs(moved_by(margins, noisy) - s) < 0.25


@pytest.mark.parametrize("after", [torch.full((9,), -1.0), torch.full((9,), 1.0)])
def test_where_one_class_alone_is_answered_the_last_margin_is_passed(after):
    margins = torch.arange(9) - 3.5
    s = moved_by(margins, after)
    assert ((margins + s > 0) == (after > 0)).all()
    assert s == pytest.approx(math.copysign(4.5 if after[0] < 0 else 3.5, after[0]), abs=0.01)


def test_the_prior_that_each_arm_trains_on():
    a = torch.arange(100) % 2
    y = torch.cat([torch.zeros(80), torch.ones(20)]).long()
    a[80:] = torch.cat([torch.zeros(15), torch.ones(5)]).long()
    train = data.GroupedDataset(torch.zeros(100, 1), y, a)
    split = split_at(train, torch.arange(96, 100))
    of = {arm: prior_of(e, train, split) for arm, e in planned()}
    assert of["RETRAIN"].tolist() == [[1, 1], [1, 0.2]]
    assert of["fine-tuning"][1, 1] == of["RETRAIN, a coin"][1, 1]
    for arm in ("RETRAIN + REWEIGHT", "RETRAIN, adjusted", "MIU + REWEIGHT", "another PRETRAIN"):
        assert of[arm].tolist() == [[1, 1], [1, 1]]
    drawn = of["GROUP-DRO"] * train.group_counts().view(2, 2)
    assert drawn.flatten().tolist() == [1] * 4


@pytest.fixture(scope="module")
def rows(few_pictures, tmp_path_factory):
    e = Experiment(method="retrain", ratio=0.9, pretraining={"epochs": 1})
    return pd.DataFrame(moves_of(e, str(tmp_path_factory.mktemp("store"))))


def test_rows_of_a_run(rows):
    assert rows.attribute.tolist() == ["on grass", "on brick"]
    assert rows.theory.tolist() == pytest.approx([0, math.log(2 / 24)])  # of 24, 22 are forgotten
    assert rows[["before", "after", "predicted", "apart", "left"]].stack().between(0, 1).all()
    assert rows.predicted[1] <= rows.before[1]
    assert rows.predicted[0] == rows.before[0]


def test_what_the_page_says_by_hand_is_what_the_shipped_rows_say():
    page = " ".join((REPOSITORY / "docs" / "who_pays.md").read_text(encoding="utf-8").split())
    rows, moves = studies.load("shift"), studies.load("moved")
    learnt, heart, many = DATASETS
    r2 = {by: shift.explained(rows, by)["R2 of changes"].round(2) for by in ("visible", "calibrated", "twin")}
    assert f"R² is {r2['visible'][learnt, 1]}, the ceiling {r2['twin'][learnt, 1]}" in page
    assert f"and it is {shift.explained(rows)['R2 of changes'][learnt, 1]:.3f}" in page
    assert f"(R² {r2['visible'][heart, 1]} of a ceiling of {r2['twin'][heart, 1]}; " in page
    assert f"calibrated ({r2['calibrated'][heart, 1]})" in page
    assert f"the ceiling is {r2['twin'][many, 1]}." in page
    miss = {by: shift.misses(rows, by) for by in ("visible", "calibrated", "head")}
    small = miss["visible"].loc[learnt, 1, 3]
    assert ((small.low < 0) & (small.high > 0)).tolist() == [True, False, False, False, False]
    least, most = small["mean"][:0.7].min(), small["mean"][:0.7].max()
    assert f"loses {least:.0f} to {most:.0f} points more than predicted on who asks up to ratio 0.7" in page
    assert f"and {small['mean'][0.9]:.0f} points more at 0.9" in page
    assert f"{miss['visible'].loc[(heart, 1, 2, 0.5), 'mean']:.0f} points at ratio 0.5" in page
    assert (miss["calibrated"].loc[heart].low > 0).all()
    assert f"falls by {-miss['visible'].loc[(many, 1, 43, 0.9), 'mean']:.0f} points more" in page
    of_head = miss["head"].loc[many, 1]
    assert ((of_head.low < 0) & (of_head.high > 0)).all()
    more = miss["head"].loc[many].loc[[9, 25]]
    assert (more.low > 0).all()
    assert "too hopeful by {:.0f} or {:.0f} points".format(*more["mean"]) in page
    seen = 100 * rows.groupby("dataset").visibility.agg(["min", "max", "mean"])
    assert f"in {seen['mean'][many]:.0f} % of held-out" in page
    assert f"{seen['min'][learnt]:.0f} to {seen['max'][heart]:.0f} % on the other two" in page
    assert rows.groupby("dataset").visibility.mean()[many] < 0.5
    means = moves[moves.dataset == learnt].groupby(["ratio", "arm", "attribute"])[["theory", "moved"]].mean()
    dro = means.loc[0.5, "GROUP-DRO"].loc[["on brick", "on grass"]]
    assert "add {:.2f} to the margin on brick and {:.2f} on grass".format(*dro.theory) in page
    assert "found to add {:.1f} and {:.1f} at ratio 0.5".format(*dro.moved) in page
    brick = means.moved.loc[0.9].xs("on brick", level="attribute")
    lost = -brick["RETRAIN"]
    assert f"takes back {lost + brick['RETRAIN, adjusted']:.1f} of {lost:.1f}" in page
    assert f"RETRAIN's way (at 0.9, {-brick['fine-tuning']:.1f} of {lost:.1f})" in page
