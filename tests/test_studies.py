"""Test the scripts of data/results against values by hand and against the shipped columns."""

import math
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import few_epochs, toy
from sklearn.metrics import adjusted_mutual_info_score

from grmu import Experiment, data
from grmu.analysis import results
from grmu.analysis.groupings import agreement, alpha_of
from grmu.analysis.shadows import NEVER, RETAINED, UNLEARNED, Observations
from grmu.experiments import load_split

sys.path.insert(0, str(results.FOLDER))
import audits
import benchmark
import causes
import certified
import distances
import features
import groups
import leaving
import moved
import pictures
import sentences
import shift
import why

ROWS = {"membership": benchmark.membership_of, "distances": distances.distances_of,
        "relearning": distances.relearning_of, "shift": shift.shift_of, "moved": moved.moves_of,
        "inferred": groups.inferred_of, "layers": groups.layers_of, "features": features.features_of,
        "pictures": pictures.pictures_of}


@pytest.mark.parametrize("table", ROWS)
def test_a_script_s_rows_have_the_columns_that_ship(table, few_pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setitem(shift.FORGOTTEN, "groundwear", (("default", (0.5,)),))
    grouping = "probe" if table == "inferred" else "true"
    reweighted = table in ("relearning", "inferred")
    with few_epochs():
        rows = ROWS[table](Experiment(method="retrain" if reweighted else "pretrain", reweight=reweighted,
                                      seed=1, grouping=grouping))
    shipped = results.load(table)
    columns = set(pd.DataFrame(rows if isinstance(rows, list) else [rows]))
    assert columns == set(shipped) - ({"dataset", "arm"} if table == "moved" else set())


def test_rows_of_causes_and_sentences_are_those_that_are_planned(few_pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    shipped = results.load("causes")
    arms = {*causes.CELLS, *(f"{control}, {ratio}" for ratio in causes.UNEVEN for control in causes.CONTROLS)}
    assert set(shipped.arm) == arms
    assert set(shipped.seed) == set(causes.SEEDS)
    assert set(results.load("sentences").arm) == set(sentences.ARMS)
    with few_epochs():
        row = causes.row_of("α, wrong group, 0.5", True, 0)
    assert list(row) == list(shipped)


def test_rows_of_leaving_are_those_that_are_planned(few_pictures, tmp_path, monkeypatch):
    shipped = results.load("leaving")
    assert shipped.groupby("model").seed.unique().map(list).to_dict() == {
        "last layer": list(leaving.SEEDS), "network": list(leaving.NETWORK_SEEDS)}
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setattr(leaving, "ROUNDS", 1)
    with few_epochs():
        rows = pd.DataFrame(leaving.network_rows(0))
    assert list(rows) == list(shipped)
    assert set(rows.arm) == set(shipped.arm)


def test_rows_of_certified_removal_and_sisa_are_those_that_are_planned(few_pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    monkeypatch.setattr(certified, "SHARDS", (1, 2))
    tables = {"certified": certified.certified_rows, "certified_noise": certified.noise_rows,
              "sisa": certified.sisa_rows}
    certified.last_layer.features.cache_clear()
    for name, rows_of in tables.items():
        with few_epochs():
            rows = rows_of(0)
        assert set(results.load(name).seed) == set(certified.SEEDS)
        assert list(pd.DataFrame(rows)) == list(results.load(name))
    certified.last_layer.features.cache_clear()
    shipped = results.load("certified")
    assert (shipped.residual <= shipped.bound).all()


def test_the_tables_of_causes_follow_from_its_rows():
    for name, table in (("causes_compared", why.causes_compared()), ("causes_cells", why.causes_cells())):
        pd.testing.assert_frame_equal(table, results.load(name), check_dtype=False)


@pytest.mark.parametrize("s", [-2.3, 0.0, 0.4])
def test_a_shift_of_the_margins_is_recovered(s):
    margins = torch.randn(4000, generator=torch.Generator().manual_seed(1)) * 2
    assert moved.moved_by(margins, margins + s) == pytest.approx(s, abs=0.02)


def test_the_prior_that_each_kind_of_training_sees():
    train = data.GroupedDataset(torch.zeros(100, 1), [0] * 80 + [1] * 20, [0, 1] * 40 + [0] * 15 + [1] * 5)
    retain = train.subset(torch.arange(96))
    of = {name: shift.prior_of(Experiment(method=name, reweight=on), train, retain)
          for name, on in (("retrain", False), ("miu", True), ("adjust", False), ("group_dro", False))}
    assert of["retrain"].tolist() == [[1, 1], [1, 0.2]]
    assert of["miu"].tolist() == of["adjust"].tolist() == [[1, 1], [1, 1]]
    assert (of["group_dro"] * train.group_counts().view(2, 2)).flatten().tolist() == [1] * 4


def test_temperatures_are_found_by_attribute_at_the_training_set_s_shares():
    rng, n = torch.Generator().manual_seed(0), 40_000
    a, y = torch.randint(0, 2, (n,), generator=rng), torch.randint(0, 2, (n,), generator=rng)
    x = torch.randn(n, generator=rng) + torch.where(y == 1, 0.7, -0.7)
    odds = 1.4 * x - math.log(8) * (a == 0)  # Bayes where class 0 has eight times the share with a = 0
    logits = torch.stack([torch.zeros(n), odds * torch.where(a == 0, 1.0, 2.0)], 1)  # overconfident if a = 1
    val = data.GroupedDataset(torch.zeros(n, 1), y, a)
    actual = shift.temperatures(logits, val, torch.tensor([8, 1, 1, 1]))
    assert actual.tolist() == pytest.approx([1, 2], rel=0.06)


def test_exposure_by_hand_once_from_even_and_once_from_odd_shadows():
    status, confidence = np.full((8, 3), NEVER), np.ones((8, 3))
    status[[0, 2], 0], confidence[::2, 0] = UNLEARNED, [3, 5, 1, 1]  # 4 where unlearned, 1 where not
    status[[4, 6], 1], confidence[::2, 1] = UNLEARNED, [0, 2, 2, 2]  # 2 and 1
    status[[1, 3, 5], 1], confidence[1::2, 1] = UNLEARNED, [0, 1, 2, -3]  # 1 and -3
    status[[1, 3], 0], confidence[1::2, 0] = RETAINED, [70, 80, 1, 3]
    even, odd = audits.exposed(Observations(status, confidence, confidence, confidence))
    np.testing.assert_allclose(even, [3 / (4 / 12) ** 0.5, 1 / (4 / 12) ** 0.5, np.nan])
    np.testing.assert_allclose(odd, [np.nan, 4 / (4 / 10) ** 0.5, np.nan])


def test_distances_of_outputs_by_hand_and_gold_standards_of_one_split():
    p, q = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    assert distances.output_distances(q.log(), p.log()) == pytest.approx(
        {"KL": 0.25 * np.log(3), "TV": 0.25, "disagreement": 0.5})
    e = Experiment(method="finetune", seed=2, ratio=0.9)
    golds = distances.golds_of(e)
    assert [o.seed for o in golds] == [1002, 2002, 3002]
    assert {(o.method, o.reweight) for o in golds} == {("retrain", True)}
    assert all(torch.equal(load_split(o)[1].forget_index, load_split(e)[1].forget_index) for o in golds)


def test_the_attack_behind_mia_is_judged_on_samples_that_it_was_not_fitted_to():
    def losses(low, high, n, seed):
        return low + (high - low) * torch.rand(n, generator=torch.Generator().manual_seed(seed))

    groups_of = torch.arange(600) % 4, torch.arange(300) % 4
    overlap = benchmark.attack_accuracy(losses(0, 1.0, 600, 1), losses(0.8, 2, 300, 2), *groups_of)
    assert 0.85 < overlap < 0.95  # the best threshold errs on the overlap alone
    nothing = benchmark.attack_accuracy(losses(0, 1, 600, 1), losses(0, 1, 300, 2), *groups_of)
    assert nothing == pytest.approx(0.5, abs=0.05)


def test_agreement_and_alpha_of_inferred_groups():
    train = toy([[100, 60], [20, 20]])
    coins = torch.randint(2, (len(train),), generator=torch.Generator().manual_seed(0))
    half_known = replace(train, a=torch.where(train.y == 0, train.a, coins))
    in_other = adjusted_mutual_info_score(train.a[train.y == 1], coins[train.y == 1])
    assert agreement(replace(train, a=1 - train.a), train) == pytest.approx(1)
    assert agreement(half_known, train) == pytest.approx(0.8 + 0.2 * in_other)
    assert agreement(replace(train, a=train.y), train) == pytest.approx(0, abs=1e-9)
    one = data.GroupedDataset(torch.zeros(10, 1), [1] * 10, [1] * 6 + [0] * 4, ["x", "y"], ["p", "q"])
    guessed = replace(one, a=torch.tensor([0, 0, 1, 0, 1, 1, 0, 0, 0, 0]))
    # rows 0 to 2 are forgotten: of seven taken for attribute 0 five are left, of three taken for 1 two
    assert alpha_of(3, one, guessed, torch.arange(3, 10)) == pytest.approx((7 / 5 + 2 * 3 / 2) / 3)
