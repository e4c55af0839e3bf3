"""Test every value of the result tables against one computed by hand."""

import re

import pandas as pd
import pytest

from grmu.analysis import tables
from grmu.analysis.names import label
from grmu.metrics import METRICS

ORIGINAL = label("pretrain")
BOTH = ("UA", "GA")


def rows_of(values, **others):
    """Return rows by (method, reweight) with UA and GA by seed; every other metric is 0.5."""
    return pd.DataFrame([
        {"dataset": "groundwear", "method": method, "reweight": reweight, "ratio": 0.5, "groups": "default",
         "seed": seed, **dict.fromkeys(METRICS, 0.5), "UA": ua, "GA": ga, "seconds": 1.0 + seed, **others}
        for (method, reweight), pairs in values.items() for seed, (ua, ga) in enumerate(pairs)])


VALUES = {
    ("pretrain", False): [(0.58, 0.60), (0.60, 0.62)],
    ("retrain", False): [(0.40, 0.44), (0.40, 0.46)],
    ("retrain", True): [(0.54, 0.56), (0.56, 0.58)],
    ("miu", False): [(0.50, 0.50), (0.52, 0.52)],
    ("miu", True): [(0.56, 0.58), (0.56, 0.58)],
}
THREE = {  # the gold standard at 50 % of both
    ("pretrain", False): [(0.62, 0.50), (0.62, 0.50), (0.66, 0.50)],
    ("retrain", False): [(0.50, 0.48), (0.50, 0.44), (0.50, 0.46)],
    ("retrain", True): [(0.50, 0.50)] * 3,
    ("miu", True): [(0.52, 0.50), (0.52, 0.50), (0.54, 0.50)],
}


def test_summary_has_means_deviations_and_gaps_by_hand():
    table = tables.summary(rows_of(VALUES))
    assert list(table.index) == [ORIGINAL, "RETRAIN", "RETRAIN + REWEIGHT", "MIU", "MIU + REWEIGHT"]
    assert table.loc[ORIGINAL, "UA"] == "59.0 ± 1.4"  # 2 / sqrt(2): the sample's deviation
    assert table.loc["MIU", "seconds"] == "1.5"
    # of six metrics two differ. MIU: UA by 4 and 4, GA by 6 and 6; MIU + REWEIGHT: UA by 2 and 0, GA, too
    assert table["avg. gap"].tolist() == ["98.7", "95.5", "gold", "98.3", "99.7"]
    assert table["ToW"].tolist() == ["96.0", "85.0", "gold", "96.0", "99.0"]  # UA alone
    one = rows_of(VALUES)
    assert tables.summary(one[one.seed == 0]).loc["MIU", "GA"] == "50.0"
    assert list(tables.summary(one[::-1]).index) == [
        ORIGINAL, "MIU + REWEIGHT", "MIU", "RETRAIN + REWEIGHT", "RETRAIN"]


@pytest.mark.parametrize(("change", "message"), [
    (lambda rows: pd.concat([rows, rows.assign(dataset="groundwear-many")]), "of one dataset, but has"),
    (lambda rows: pd.concat([rows, rows.assign(ratio=0.9)]), "of one ratio, but has"),
    (lambda rows: pd.concat([rows, rows.assign(groups="uniform")]), "of one groups, but has"),
    (lambda rows: pd.concat([rows, rows[rows.method == "miu"]]), r"MIU has several runs of seed 0"),
    (lambda rows: rows[(rows.method != "retrain") | ~rows.reweight | (rows.seed == 0)],
     r"no gold standard for seeds \[1\]")])
def test_rows_that_do_not_belong_into_one_table_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tables.summary(change(rows_of(VALUES)))


def test_the_verdict_says_every_number():
    said = tables.verdict(rows_of(VALUES))
    for part in ("Forgetting 50 % of one group cost", "16 points of test accuracy (GA 61 % to 45 %)",
                 "12 points of it. Closest to the gold standard, RETRAIN + REWEIGHT, is MIU + REWEIGHT: ",
                 "avg. gap 99.7 (UA +1, GA +1 points); the original model has 98.7. (2 seeds)"):
        assert part in said
    near = tables.verdict(rows_of(VALUES | {("pretrain", False): VALUES["retrain", True]}))
    assert "is the original model: avg. gap 100.0 (UA +0, GA +0 points); " in near
    assert "next is MIU + REWEIGHT with 99.7." in near
    tied = tables.verdict(rows_of(VALUES | {("pretrain", False): VALUES["miu", True]}))
    assert "are MIU + REWEIGHT and the original model: avg. gap 99.7 each. (2 seeds)" in tied
    gained = rows_of(VALUES | {("retrain", False): [(0.58, 0.63), (0.60, 0.63)]}, groups="uniform")
    assert "all samples alike cost the group no test accuracy (GA 61 % to 63 %)" in tables.verdict(gained)
    one = rows_of(VALUES)
    assert "one seed only" in tables.verdict(one[one.seed == 0])


def test_a_title_says_whose_settings_are_changed():
    assert tables.changed({}) == ""
    assert tables.changed({"model": "cnn"}) == ", model=cnn"
    assert tables.changed({"epochs": 1, "model": "cnn", "lr": 0.1}) == (
        ", model=cnn; methods with epochs=1, lr=0.1 (references: the preset's)")


@pytest.mark.parametrize(("gold", "said"), [
    (0.64, "all of it, and GA ended 3 points above the original model's."), (0.62, "ended 1 point above"),
    (0.61, "all of it."), (0.45, "none of it."), (0.41, "none of it.")])
def test_the_verdict_counts_what_reweight_recovered(gold, said):
    assert said in tables.verdict(rows_of(VALUES | {("retrain", True): [(0.54, gold), (0.56, gold)]}))


def test_standing_by_hand():
    table = tables.standing(rows_of(THREE), BOTH)
    # distances by seed, half the difference of UA or GA: MIU 1, 1, 2; RETRAIN 1, 3, 2; PRETRAIN 6, 6, 8
    assert table.index.tolist() == ["MIU + REWEIGHT", "RETRAIN", ORIGINAL]
    assert table.distance.tolist() == pytest.approx([4 / 3, 2, 20 / 3])
    assert table.place.tolist() == ["tied", "tied", ""]
    assert tables.standing(rows_of(THREE)).distance.tolist() == pytest.approx([4 / 9, 2 / 3, 20 / 9])
    rest = rows_of({key: value for key, value in THREE.items() if key != ("retrain", False)})
    assert tables.standing(rest, BOTH).place.to_dict() == {"MIU + REWEIGHT": "best", ORIGINAL: ""}
    assert set(tables.standing(rest[rest.seed == 0], BOTH).place) == {"tied"}  # one seed decides nothing


def test_signed_gaps_by_hand():
    table = tables.signed_gaps(rows_of(THREE), "GA", margin=1)
    assert table.index.tolist() == [("pretrain", False), ("retrain", False), ("miu", True)]
    assert table["mean"].tolist() == pytest.approx([0, -4, 0])
    assert table.verdict.tolist() == ["equal", "not distinguished", "equal"]  # -4 ± 5


def test_the_dressed_table_marks_the_original_model_the_gold_standard_and_a_sole_best():
    table = tables.standing(rows_of({key: THREE[key] for key in THREE if key != ("retrain", False)}))
    html = tables.show(pd.concat([table, pd.DataFrame({"place": "gold"}, ["RETRAIN + REWEIGHT"])]),
                       "a caption").to_html()
    assert "a caption" in html
    styles = re.findall(r"row(\d)_col1 \{\s*(.*?);", html)
    assert styles == [("0", "font-weight: bold"), ("1", "color: #707070"), ("2", "font-style: italic")]
