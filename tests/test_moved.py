"""How far a method moves a model along the shift: `grmu.study.moved`."""

import math

import pandas as pd
import pytest
import torch

from grmu import Experiment, data
from grmu.runs import load_split
from grmu.study import studies
from grmu.study.grids import SEEDS
from grmu.study.moved import COIN, METHODS, moved_by, moves_of, planned
from grmu.study.shift import prior_of


def test_what_is_planned():
    plan = list(planned())
    assert len({e.id for _, e in plan}) == len(plan)
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
    split = data.split_at(train, torch.arange(96, 100))
    of = {arm: prior_of(e, train, split) for arm, e in planned()}
    assert of["RETRAIN"].tolist() == [[1, 1], [1, 0.2]]
    assert of["fine-tuning"][1, 1] == of["RETRAIN, a coin"][1, 1]
    for arm in ("RETRAIN + REWEIGHT", "RETRAIN, adjusted", "MIU + REWEIGHT", "another PRETRAIN"):
        assert of[arm].tolist() == [[1, 1], [1, 1]]
    drawn = of["GROUP-DRO"] * train.group_counts().view(2, 2)
    assert drawn.flatten().tolist() == [1] * 4


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    e = Experiment(method="retrain", ratio=0.9, pretraining={"epochs": 1})
    return pd.DataFrame(moves_of(e, str(tmp_path_factory.mktemp("store"))))


def test_rows_of_a_run(rows):
    assert rows.attribute.tolist() == ["on grass", "on brick"]
    assert rows.theory.tolist() == pytest.approx([0, math.log(10 / 102)])
    assert rows[["before", "after", "predicted", "apart", "left"]].stack().between(0, 1).all()
    assert rows.predicted[1] <= rows.before[1]
    assert rows.predicted[0] == rows.before[0]
