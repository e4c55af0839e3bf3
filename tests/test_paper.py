"""The published numbers, against the paper's tables."""

import pytest

from grmu.analysis import paper
from grmu.experiments import Experiment


def test_some_values_as_printed_in_the_paper():
    celeba = paper.results("celeba", 0.5)
    assert celeba.loc[("pretrain", False), "UA"] == 41.9
    assert celeba.loc[("retrain", False), "GA"] == 34.4
    assert celeba.loc[("retrain", True), "GA"] == 41.3
    assert celeba.loc[("miu", True), "UA"] == 43.2
    assert paper.table("ablation").query("dataset == 'celeba' and metric == 'RA'").value.iloc[0] == 96.4


def test_the_number_of_forgotten_groups_chooses_the_table():
    one, nine = (paper.results("fairface", 0.5, n).loc[("miu", True), "UA"] for n in (1, 9))
    assert one != nine
    assert paper.results("groundwear").empty


@pytest.mark.parametrize(("chosen", "tables"), [
    ({}, {1, 4, 6, 17}), ({"reweight": True}, {1, 4, 6, 17, 18}), ({"method": "pretrain"}, {1, 6, 18}),
    ({"method": "group_dro"}, {1}), ({"method": "finetune"}, set()), ({"groups": "uniform"}, set()),
    ({"overrides": {"calibration": False}}, {4, 17}), ({"overrides": {"lam": 5.0}}, set())])
def test_a_run_is_printed_in_these_tables(chosen, tables):
    assert paper.tables_of(Experiment(**{"dataset": "celeba", "ratio": 0.5} | chosen)) == tables
