"""The published numbers: what the functions give is what the files hold."""

import csv
from pathlib import Path

import pytest

from grmu import data
from grmu.analysis import paper
from grmu.metrics import METRICS


def published(name, **wanted):
    """The one line of a published file that has these fields, read without pandas."""
    with open(Path(paper.__file__).parent / "published" / f"{name}.csv", newline="") as file:
        (line,) = (row for row in csv.DictReader(file) if all(row[k] == str(v) for k, v in wanted.items()))
    return float(line["value"])


@pytest.mark.parametrize(("dataset", "ratio", "table", "theirs", "ours", "reweight"), [
    ("celeba", 0.5, 1, "MIU", "miu", True), ("waterbirds", 0.5, 2, "RETRAIN + gDRO", "group_dro", False),
    ("fairface", 0.5, 3, "PRETRAIN", "pretrain", False), ("celeba", 0.9, 7, "RETRAIN", "retrain", True)])
def test_results_are_those_of_the_file(dataset, ratio, table, theirs, ours, reweight):
    found = paper.results(dataset, ratio).loc[(ours, reweight)]
    for metric in METRICS:
        assert found[metric] == published("results", table=table, dataset=dataset, unlearning_ratio=ratio,
                                          forget_groups=1,
                                          method=theirs, reweight=int(reweight), metric=metric), metric


def test_some_values_as_printed_in_the_paper():
    celeba = paper.results("celeba", 0.5)
    assert celeba.loc[("pretrain", False), "UA"] == 41.9
    assert celeba.loc[("retrain", False), "GA"] == 34.4
    assert celeba.loc[("retrain", True), "GA"] == 41.3
    assert celeba.loc[("miu", True), "UA"] == 43.2
    assert paper.table("ablation").query("dataset == 'celeba' and metric == 'RA'").value.iloc[0] == 96.4


def test_the_number_of_forgotten_groups_chooses_the_table():
    one, nine = paper.results("fairface", 0.5), paper.results("fairface", 0.5, forget_groups=9)
    assert nine.loc[("miu", True), "GA"] == published("results", table=14, method="MIU", reweight=1,
                                                      metric="GA")
    assert one.loc[("pretrain", False), "GA"] != nine.loc[("pretrain", False), "GA"]


@pytest.mark.parametrize("dataset", data.EMBEDDED)
def test_the_embedded_data_sets_have_no_published_numbers(dataset):
    assert paper.results(dataset).empty


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="unknown table 'reslts': choose one of results, ablation, fairness"):
        paper.table("reslts")
