"""Result tables: every value against one computed by hand."""

import re

import pandas as pd
import pytest

from grmu.analysis import tables
from grmu.metrics import METRICS


def rows_of(values, **others):
    """Rows of (method, reweight): the values of UA and GA by seed; every other metric is 0.5."""
    return pd.DataFrame([
        {"dataset": "groundwear", "method": method, "reweight": reweight, "ratio": 0.5, "groups": "default",
         "seed": seed,
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
    assert list(table.index) == ["PRETRAIN (do nothing)", "RETRAIN", "RETRAIN + REWEIGHT", "MIU",
                                 "MIU + REWEIGHT"]
    assert list(table.columns) == [*METRICS, "avg. gap", "ToW", "seconds"]
    assert table.loc["PRETRAIN (do nothing)",
                     "UA"] == "59.0 ± 1.4"  # 1.4 = 2 / sqrt(2): the sample's deviation
    assert table.loc["RETRAIN", "RA"] == "50.0 ± 0.0"
    assert table.loc["MIU", "seconds"] == "1.5"
    # of six metrics two differ. MIU: UA by 4 and 4, GA by 6 and 6; MIU + REWEIGHT: UA by 2 and 0, GA by 2 and
    # 0, so 1 each
    assert table["avg. gap"].tolist() == ["98.7", "95.5", "gold", "98.3", "99.7"]
    assert table["ToW"].tolist() == ["96.0", "85.0", "gold", "96.0",
                                     "99.0"]  # UA alone: RA and TA are the gold standard's


def test_one_seed_has_no_deviation(rows):
    table = tables.summary(rows[rows.seed == 0])
    assert table.loc["MIU", "GA"] == "50.0"


@pytest.mark.parametrize(("column", "other"),
                         [("dataset", "groundwear-many"), ("ratio", 0.9), ("groups", "uniform")])
def test_rows_of_different_experiments_are_refused(rows, column, other):
    mixed = pd.concat([rows, rows_of(VALUES, **{column: other})])
    with pytest.raises(ValueError, match=f"runs of one {column}, but has .*{other}"):
        tables.summary(mixed)


def test_two_settings_of_a_method_are_refused(rows):
    with pytest.raises(
        ValueError, match=r"MIU \+ REWEIGHT has several runs of seed 0: choose the rows of one setting"
    ):
        tables.summary(pd.concat([rows, rows[(rows.method == "miu") & rows.reweight]]))


def test_a_missing_gold_standard_is_named_by_its_seeds(rows):
    without = rows[~((rows.method == "retrain") & rows.reweight & (rows.seed == 1))]
    with pytest.raises(ValueError, match=r"no gold standard for seeds \[1\]"):
        tables.summary(without)


def test_the_verdict_says_every_number(rows):
    assert tables.verdict(rows) == (
        "Forgetting 50 % of one group cost that group 16 points of test accuracy (GA 61 % to 45 %); "
        "REWEIGHT gave back 12 of them. "
        "Without retraining, MIU + REWEIGHT came closest to the gold standard, RETRAIN + REWEIGHT: "
        "UA +1, GA +1 points. Doing nothing would have scored an avg. gap of 98.7. (2 seeds)"
    )


def with_gold(ga):
    return rows_of(VALUES | {("retrain", True): [(0.54, ga), (0.56, ga)]})


@pytest.mark.parametrize(("gold", "said"), [(0.64, "gave back all of them and 3 more."),
                                            (0.61, "gave back all of them."),
                                            (0.45, "gave back none of them."),
                                            (0.41, "gave back none of them.")])
def test_the_verdict_counts_what_reweight_gave_back(gold, said):
    assert said in tables.verdict(with_gold(gold))


def test_the_verdict_without_a_loss_claims_none():
    rows = rows_of(VALUES | {("retrain", False): [(0.58, 0.63), (0.60, 0.63)]}, groups="uniform")
    said = tables.verdict(rows)
    assert said.startswith(
        "Forgetting 50 % of all samples alike cost the group no test accuracy (GA 61 % to 63 %): there was no"
    )
    assert "gave back" not in said


def test_the_verdict_of_one_seed_draws_no_conclusion(rows):
    assert tables.verdict(rows[rows.seed == 0]).endswith("(one seed only: no spread, no conclusion)")


def test_what_retrains_is_not_said_to_be_without_retraining(rows):
    others = rows[rows.method != "miu"]
    dro = rows_of({("group_dro", False): [(0.55, 0.57), (0.55, 0.57)]})
    assert "Without retraining" not in tables.verdict(pd.concat([others, dro]))


def test_who_came_closest_is_told_by_seed_not_by_means():
    swings, steady = [(0.34, 0.40), (0.76, 0.82)], [(0.57, 0.60), (0.59, 0.62)]  # the first's mean is nearer
    said = tables.verdict(rows_of(VALUES | {("miu", True): swings, ("finetune", True): steady,
                                            ("retrain", True): [(0.54, 0.60), (0.56, 0.62)]}))
    assert "fine-tuning + REWEIGHT came closest to the gold standard" in said


def test_seeds_are_counted_in_english():
    assert [tables.count_seeds(n) for n in (1, 3)] == ["1 seed", "3 seeds"]


def test_the_dressed_table_marks_the_do_nothing_row_and_the_gold_standard(rows):
    html = tables.show(tables.summary(rows), "a caption").to_html()
    assert "a caption" in html
    assert html.count("color: #707070") == html.count("font-style: italic") == 1
    before, after = html.split("font-style: italic")
    assert "color: #707070" in before
    assert "98.3" in after
    assert bold_rows(html) == set()


# --- with intervals -----------------------------------------------------------------------------------------

# Three seeds, the gold standard at 50 % of both. Student's t of 2 degrees of freedom is 4.3027.
THREE = {
    ("pretrain", False): [(0.62, 0.50), (0.62, 0.50), (0.66, 0.50)],
    ("retrain", False): [(0.50, 0.48), (0.50, 0.44), (0.50, 0.46)],
    ("retrain", True): [(0.50, 0.50)] * 3,
    ("miu", True): [(0.52, 0.50), (0.52, 0.50), (0.54, 0.50)],
}
BOTH = ("UA", "GA")
EXACTLY = {"abs": 1e-3}


def bold_rows(html):
    """Numbers of the rows that have bold cells in a dressed table."""
    rules = re.findall(r"([^{}]+)\{([^}]*)\}", html)
    return {int(row) for names, style in rules if "font-weight: bold" in style
            for row in re.findall(r"row(\d+)_col", names)}


def without(rows, method, reweight):
    return rows[~((rows.method == method) & (rows.reweight == reweight))]


def test_gold_of_gives_the_gold_standard_s_rows(rows):
    gold = tables.gold_of(rows)
    assert gold.UA.tolist() == [0.54, 0.56]
    assert set(gold.method) == {"retrain"}
    assert gold.reweight.all()


def test_standing_by_hand():
    table = tables.standing(rows_of(THREE), BOTH)
    # distances by seed, half the difference of UA or GA: MIU 1, 1, 2; RETRAIN 1, 3, 2; PRETRAIN 6, 6, 8
    assert table.index.tolist() == ["MIU + REWEIGHT", "RETRAIN", "PRETRAIN (do nothing)"]
    assert table.distance.tolist() == pytest.approx([4 / 3, 2, 20 / 3])
    # behind MIU: 0, 2, 0 has a standard error of 2/3; 5, 5, 6 of 1/3
    assert table.behind.tolist() == pytest.approx([0, 2 / 3, 16 / 3])
    assert table.low.tolist() == pytest.approx([0, 2 / 3 - 4.3027 * 2 / 3, 16 / 3 - 4.3027 / 3], **EXACTLY)
    assert table.high.tolist() == pytest.approx([0, 2 / 3 + 4.3027 * 2 / 3, 16 / 3 + 4.3027 / 3], **EXACTLY)
    assert table.place.tolist() == ["tied", "tied", ""]


def test_distances_are_over_the_six_metrics_unless_told():
    assert tables.standing(rows_of(THREE)).distance.tolist() == pytest.approx([4 / 9, 2 / 3, 20 / 9])


def test_the_first_is_best_if_every_other_is_clearly_farther():
    table = tables.standing(without(rows_of(THREE), "retrain", False), BOTH)
    assert table.place.to_dict() == {"MIU + REWEIGHT": "best", "PRETRAIN (do nothing)": ""}


def test_doing_nothing_can_win_and_the_gold_standard_does_not_take_part():
    far = {("retrain", False): [(0.6, 0.6)] * 3}
    table = tables.standing(rows_of(THREE | far | {("pretrain", False): [(0.505, 0.50)] * 3}), BOTH)
    assert table.place.to_dict() == {"PRETRAIN (do nothing)": "tied", "MIU + REWEIGHT": "tied", "RETRAIN": ""}
    table = tables.standing(rows_of(THREE | far | {("pretrain", False): [(0.50, 0.50)] * 3,
                                                   ("miu", True): [(0.53, 0.5), (0.53, 0.5), (0.54, 0.5)]}),
                            BOTH)
    assert table.place.to_dict() == {"PRETRAIN (do nothing)": "best", "MIU + REWEIGHT": "", "RETRAIN": ""}


def test_standing_compares_within_seeds():
    # each method's seeds are far apart, the difference between the two is 1, 1, 2 in every one
    apart = {("miu", True): [(0.52, 0.5), (0.62, 0.5), (0.72, 0.5)],
             ("scrub", True): [(0.46, 0.5), (0.36, 0.5), (0.24, 0.5)]}
    table = tables.standing(rows_of({("retrain", True): [(0.5, 0.5)] * 3} | apart).iloc[::-1], BOTH)
    assert table.loc["SCRUB + REWEIGHT", "behind"] == pytest.approx(4 / 3)
    assert table.place.to_dict() == {"MIU + REWEIGHT": "tied",
                                     "SCRUB + REWEIGHT": "tied"}  # 4/3 - 4.3 / 3 is just below 0
    apart["scrub", True][2] = (0.26, 0.5)
    assert tables.standing(rows_of({("retrain", True): [(0.5, 0.5)] * 3} | apart),
                           BOTH).place.tolist() == ["best", ""]


def test_a_lag_that_is_clear_alone_is_not_among_many():
    gold, lag = [(0.5, 0.5)] * 3, [(0.52, 0.5), (0.54, 0.5), (0.56, 0.5)]  # p = 0.07
    clear = [(0.56, 0.5), (0.57, 0.5), (0.60, 0.5)]  # p = 0.024
    two = {("retrain", True): gold, ("finetune", True): gold, ("scrub", True): clear}
    assert tables.standing(rows_of(two), BOTH).place.tolist() == ["best", ""]
    more = {(name, True): lag for name in ("miu", "salun", "l1_sparse")}
    assert set(tables.standing(rows_of(two | more), BOTH).place) == {"tied"}


def test_one_seed_decides_nothing():
    rows = rows_of(THREE)
    table = tables.standing(rows[rows.seed == 0], BOTH)
    assert set(table.place) == {"tied"}


def test_who_lacks_a_seed_of_the_first_s_is_compared_on_those_they_share():
    rows = rows_of(THREE | {("retrain", False): [(0.50, 0.48), (0.50, 0.44)]})
    table = tables.standing(rows, BOTH)
    assert table.loc["RETRAIN", "behind"] == pytest.approx(1)  # 0 and 2
    assert table.place.tolist() == ["tied", "tied", ""]


def test_signed_gaps_are_paired_differences_with_their_intervals_by_hand():
    moving = THREE | {("retrain", True): [(0.50, 0.50), (0.60, 0.50), (0.70, 0.50)],
                      ("miu", True): [(0.52, 0.50), (0.62, 0.50), (0.74, 0.45)]}
    table = tables.signed_gaps(rows_of(moving).iloc[::-1], "UA")
    # +2, +2, +4: 8/3 with a standard error of 2/3, t of two degrees of freedom 4.303
    assert table.loc[("miu", True), ["mean", "low", "high"]].tolist() == pytest.approx(
        [8 / 3, 8 / 3 - 4.303 * 2 / 3, 8 / 3 + 4.303 * 2 / 3], **EXACTLY)
    assert set(table.index) == {("miu", True), ("retrain", False), ("pretrain", False)}


def test_signed_gaps_are_of_the_group_unless_told_and_equal_only_within_a_margin():
    rows = rows_of({("retrain", True): [(0.5, 0.50), (0.5, 0.50), (0.5, 0.50)],
                    ("miu", True): [(0.9, 0.51), (0.9, 0.50), (0.9, 0.49)]})
    assert tables.signed_gaps(rows).verdict.tolist() == ["not distinguished"]
    assert tables.signed_gaps(rows, margin=5.0).verdict.tolist() == ["equal"]


def test_the_effect_of_reweight_by_hand(rows):
    table = tables.reweight_effect(rows.sample(frac=1, random_state=0)).loc[["retrain", "miu"]]
    assert list(table) == ["without", "with_", "gain", "low", "high", "n"]
    assert table.loc["retrain"].tolist() == pytest.approx([45, 57, 12, 12, 12, 2])
    # MIU: 8 and 6, a standard error of 1, t of one degree of freedom 12.706
    assert table.loc["miu"].tolist() == pytest.approx([51, 58, 7, 7 - 12.706, 7 + 12.706, 2], **EXACTLY)


def test_methods_that_run_only_with_or_only_without_reweight_are_left_out(rows):
    assert tables.reweight_effect(rows).index.tolist() == ["retrain", "miu"]  # PRETRAIN has no pair
    assert tables.reweight_effect(without(rows, "miu", False)).index.tolist() == ["retrain"]


def test_a_seed_without_its_pair_is_left_out_of_all_columns():
    rows = rows_of(THREE | {("miu", False): [(0.5, 0.40), (0.5, 0.44)],
                            ("miu", True): [(0.5, 0.50), (0.5, 0.50), (0.5, 0.9)]})
    assert tables.reweight_effect(rows).loc[
        "miu", ["without", "with_", "gain", "n"]
    ].tolist() == pytest.approx([42, 50, 8, 2])


def test_without_any_pair_there_is_no_effect_to_show(rows):
    assert tables.reweight_effect(rows[~rows.reweight]).empty


@pytest.mark.parametrize("table", [tables.standing, tables.signed_gaps, tables.reweight_effect])
def test_tables_of_intervals_refuse_rows_that_do_not_belong_together(rows, table):
    with pytest.raises(ValueError, match="runs of one ratio"):
        table(pd.concat([rows, rows_of(VALUES, ratio=0.9)]))
    with pytest.raises(ValueError, match=r"MIU has several runs of seed 1"):
        table(pd.concat([rows, rows[(rows.method == "miu") & ~rows.reweight & (rows.seed == 1)]]))


def test_only_a_sole_best_is_bold():
    rows = rows_of(THREE)
    assert bold_rows(tables.show(tables.standing(rows, BOTH), "a caption").to_html()) == set()
    alone = tables.standing(without(rows, "retrain", False), BOTH)
    html = tables.show(alone, "a caption").to_html()
    assert bold_rows(html) == {0}
    assert html.count("color: #707070") == 1  # PRETRAIN, grey as ever
    idle = tables.standing(without(without(rows, "retrain", False), "miu", True), BOTH)
    grey_and_bold = tables.show(idle).to_html()
    assert bold_rows(grey_and_bold) == {0}
    assert "color: #707070" in grey_and_bold


def test_a_table_of_numbers_alone_is_shown_plainly(rows):
    html = tables.show(tables.reweight_effect(rows), "a caption").to_html()
    assert bold_rows(html) == set()
    assert "italic" not in html


def test_plain_tables_are_latex_at_a_call(rows):
    lines = tables.summary(rows).style.to_latex().splitlines()
    (miu,) = (line for line in lines if line.startswith("MIU + REWEIGHT &"))
    assert miu.rstrip("\\ ").split(" & ") == ["MIU + REWEIGHT", "50.0 ± 0.0", "56.0 ± 0.0", "50.0 ± 0.0",
                                              "50.0 ± 0.0",
                                              "50.0 ± 0.0", "58.0 ± 0.0", "99.7", "99.0", "1.5"]
    assert r"\begin{tabular}" in lines[0]
