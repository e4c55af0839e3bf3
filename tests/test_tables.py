"""Result tables: every value against one computed by hand."""

import pandas as pd
import pytest

from grmu import tables
from grmu.metrics import METRICS


def rows_of(values, **others):
    """Rows of (method, reweight): the values of UA and GA by seed; every other metric is 0.5."""
    return pd.DataFrame([
        {"dataset": "groundwear", "method": method, "reweight": reweight, "ratio": 0.5, "groups": "default", "seed": seed,
         **dict.fromkeys(METRICS, 0.5), "UA": ua, "GA": ga, "seconds": 1.0 + seed, **others}
        for (method, reweight), pairs in values.items() for seed, (ua, ga) in enumerate(pairs)])


VALUES = {
    ("pretrain", False): [(0.58, 0.60), (0.60, 0.62)],
    ("retrain", False): [(0.40, 0.44), (0.40, 0.46)],
    ("retrain", True): [(0.54, 0.56), (0.56, 0.58)],
    ("miu", False): [(0.50, 0.50), (0.52, 0.52)],
    ("miu", True): [(0.56, 0.58), (0.56, 0.58)],
}


@pytest.fixture
def rows():
    return rows_of(VALUES)


def test_summary_has_means_deviations_and_gaps_by_hand(rows):
    table = tables.summary(rows)
    assert list(table.index) == ["PRETRAIN (do nothing)", "RETRAIN", "RETRAIN + REWEIGHT", "MIU", "MIU + REWEIGHT"]
    assert list(table.columns) == [*METRICS, "avg. gap", "seconds"]
    assert table.loc["PRETRAIN (do nothing)", "UA"] == "59.0 ± 1.4"  # 1.4 = 2 / sqrt(2): the sample's deviation
    assert table.loc["RETRAIN", "RA"] == "50.0 ± 0.0"
    assert table.loc["MIU", "seconds"] == "1.5"
    # of six metrics two differ. MIU: UA by 4 and 4, GA by 6 and 6; MIU + REWEIGHT: UA by 2 and 0, GA by 2 and 0, so 1 each
    assert table["avg. gap"].tolist() == ["98.7", "95.5", "gold", "98.3", "99.7"]


def test_one_seed_has_no_deviation(rows):
    table = tables.summary(rows[rows.seed == 0])
    assert table.loc["MIU", "GA"] == "50.0"


@pytest.mark.parametrize(("column", "other"), [("dataset", "groundwear-many"), ("ratio", 0.9), ("groups", "uniform")])
def test_rows_of_different_experiments_are_refused(rows, column, other):
    mixed = pd.concat([rows, rows_of(VALUES, **{column: other})])
    with pytest.raises(ValueError, match=f"runs of one {column}, but has .*{other}"):
        tables.summary(mixed)


def test_two_settings_of_a_method_are_refused(rows):
    with pytest.raises(ValueError, match=r"MIU \+ REWEIGHT has several runs of seed 0: choose the rows of one setting"):
        tables.summary(pd.concat([rows, rows[(rows.method == "miu") & rows.reweight]]))


def test_a_missing_gold_standard_is_named_by_its_seeds(rows):
    without = rows[~((rows.method == "retrain") & rows.reweight & (rows.seed == 1))]
    with pytest.raises(ValueError, match=r"no gold standard for seeds \[1\]"):
        tables.summary(without)


def test_the_verdict_says_every_number(rows):
    assert tables.verdict(rows) == (
        "Forgetting 50 % of one group cost that group 16 points of test accuracy (GA 61 % to 45 %); REWEIGHT gave back 12 of "
        "them. Without retraining, MIU + REWEIGHT came closest to the gold standard, RETRAIN + REWEIGHT: UA +1, GA +1 points. "
        "Doing nothing would have scored an avg. gap of 98.7. (2 seeds)")


def with_gold(ga):
    return rows_of(VALUES | {("retrain", True): [(0.54, ga), (0.56, ga)]})


@pytest.mark.parametrize(("gold", "said"), [(0.64, "gave back all of them and 3 more."), (0.61, "gave back all of them."),
                                            (0.45, "gave back none of them."), (0.41, "gave back none of them.")])
def test_the_verdict_counts_what_reweight_gave_back(gold, said):
    assert said in tables.verdict(with_gold(gold))


def test_the_verdict_without_a_loss_claims_none():
    rows = rows_of(VALUES | {("retrain", False): [(0.58, 0.63), (0.60, 0.63)]}, groups="uniform")
    said = tables.verdict(rows)
    assert said.startswith("Forgetting 50 % of all samples alike cost the group no test accuracy (GA 61 % to 63 %): there was no")
    assert "gave back" not in said


def test_the_verdict_of_one_seed_draws_no_conclusion(rows):
    assert tables.verdict(rows[rows.seed == 0]).endswith("(one seed only: no spread, no conclusion)")


def test_what_retrains_is_not_said_to_be_without_retraining(rows):
    others = rows[rows.method != "miu"]
    dro = rows_of({("group_dro", False): [(0.55, 0.57), (0.55, 0.57)]})
    assert "Without retraining" not in tables.verdict(pd.concat([others, dro]))


def test_seeds_are_counted_in_english():
    assert [tables.count_seeds(n) for n in (1, 3)] == ["1 seed", "3 seeds"]


def test_the_dressed_table_marks_the_do_nothing_row_and_the_gold_standard(rows):
    html = tables.show(tables.summary(rows), "a caption").to_html()
    assert "a caption" in html
    assert html.count("color: #707070") == html.count("font-style: italic") == 1
    before, after = html.split("font-style: italic")
    assert "color: #707070" in before
    assert "98.3" in after
