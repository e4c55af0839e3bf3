"""Who pays, predicted from PRETRAIN alone: `grmu.analysis.shift`."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from grmu import Experiment, data
from grmu.analysis import studies
from grmu.analysis.shift import (
    ASKING,
    CEILING_SEEDS,
    SEEDS,
    answers,
    by_group,
    explained,
    forgetting,
    misses,
    planned,
    predictions,
    shift_of,
    temperatures,
)
from grmu.models import Network, build
from grmu.training import predict


@pytest.fixture(scope="module")
def splits():
    return data.load("groundwear")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Of a short training, with a twin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ASKING, "groundwear", (("default", (0.9,)),))
        return pd.DataFrame(shift_of(Experiment(method="pretrain", overrides={"epochs": 1}),
                                     str(tmp_path_factory.mktemp("store"))))


def test_what_is_planned():
    runs = [e for pretrain in planned() for e in forgetting(pretrain)]
    assert len(set(runs)) == len(runs) == len(SEEDS) * sum(
        len(ratios) for asking in ASKING.values() for _, ratios in asking)
    assert {e.method for e in runs} == {"retrain"}
    assert not any(e.reweight for e in runs)
    assert {1 if isinstance(e.groups, str) else len(e.groups) for e in runs} == {1, 9, 25}
    assert set(CEILING_SEEDS) <= set(SEEDS) == {e.seed for e in runs}
    assert "shift" in studies.STUDIES


def test_accuracy_by_group_of_one_without_samples_is_not_a_number(splits):
    part = splits.test.subset((splits.test.group != 2).nonzero().flatten()[:900])
    right = torch.arange(900) % 3 == 0
    found = by_group(right, part)
    assert found[2].isnan()
    assert found[0] == pytest.approx(right[part.group == 0].double().mean().item())


def test_temperatures_are_found_by_attribute_and_at_the_training_sets_shares():
    rng = torch.Generator().manual_seed(0)
    n, counts = 40_000, torch.tensor([8, 1, 1, 1])  # of four groups, y * 2 + a
    a = torch.randint(0, 2, (n,), generator=rng)
    y = torch.randint(0, 2, (n,), generator=rng)  # balanced, as validation data are
    x = torch.randn(n, generator=rng) + torch.where(y == 1, 0.7, -0.7)
    odds = 1.4 * x - math.log(8) * (a == 0)  # Bayes where class 0 has eight times the share with a = 0
    doubled = odds * torch.where(a == 0, 1.0, 2.0)  # overconfident with a = 1
    logits = torch.stack([torch.zeros(n), doubled], 1)
    val = data.GroupedDataset(torch.zeros(n, 1), y, a)
    found = temperatures(logits, val, counts)
    assert found.tolist() == pytest.approx([1, 2], rel=0.06)
    assert temperatures(logits, val, torch.ones(4, dtype=torch.long))[0] > 1.3  # a shift taken for confidence


def test_visible_is_the_shift_of_the_logit_of_the_class_that_loses(splits):
    model = build(Network(), splits.train, 0)
    r = torch.tensor([[0.0, 0.0], [0.0, 0.9]], dtype=torch.float64)
    val, test, train = (part.subset(torch.arange(0, len(part), 7)) for part in (
        splits.val, splits.test, splits.train))
    said = answers(model, train, val, test)
    found = predictions(said, test, r)
    logits = predict(model, model, test.x)
    moved = logits.clone()
    moved[test.a == 1, 1] += math.log(0.1)
    assert found["visible"].tolist() == by_group(moved.argmax(1) == test.y, test).tolist()
    assert found["before"].tolist() == by_group(logits.argmax(1) == test.y, test).tolist()
    nothing = predictions(said, test, torch.zeros(2, 2))
    assert nothing["visible"].tolist() == nothing["head"].tolist() == nothing["before"].tolist()


def test_rows_have_what_was_predicted_and_what_came(rows):
    assert rows.group.tolist() == [0, 1, 2, 3]
    assert rows.r.tolist() == pytest.approx([0, 0, 0, 92 / 102])
    assert rows.n.tolist() == [500] * 4
    assert (rows.asks == 3).all()
    numbers = rows[["before", "visible", "head", "calibrated", "after", "twin"]]
    assert ((numbers >= 0) & (numbers <= 1)).all().all()
    assert rows.visible[3] < rows.before[3]
    assert (rows.after != rows.twin).any()


def made_up(miss=0.0, noise=0.0):
    rng, lines = np.random.default_rng(0), []
    for seed in range(10):
        for ratio in (0.5, 0.9):
            for group in range(4):
                after = 0.9 - 0.4 * ratio * (group == 3)
                lines.append({"dataset": "one", "asking": 1, "asks": 3, "ratio": ratio, "seed": seed,
                              "group": group, "r": ratio * (group == 3), "before": 0.9,
                              "visible": after + miss * (group == 3) + noise * rng.normal(),
                              "after": after, "twin": after + 0.01 * rng.normal() if seed < 5 else math.nan})
    return pd.DataFrame(lines)


def test_what_is_explained_is_1_of_the_truth_and_no_more_than_0_of_no_change():
    assert explained(made_up())[["R2", "R2 of changes"]].to_numpy() == pytest.approx(1)
    idle = made_up()
    idle["visible"] = idle.before
    assert explained(idle)["R2 of changes"].item() < 0
    ceiling = explained(made_up(), "twin")
    assert ceiling.n.item() == 40  # the seeds that have one
    assert 0.9 < ceiling["R2 of changes"].item() < 1


def test_misses_are_of_the_groups_that_ask_with_their_sign_in_points():
    found = misses(made_up(miss=0.03, noise=0.001))
    assert found.index.tolist() == [("one", 1, 3, 0.5), ("one", 1, 3, 0.9)]
    assert found["mean"].tolist() == pytest.approx([3, 3], abs=0.1)
    assert (found.n == 10).all()
    assert (found.low > 2.5).all()
