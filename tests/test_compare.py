"""Comparisons over runs, paired by seed, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from grmu.analysis.compare import (
    average_gap,
    differences,
    gap_by_metric,
    holm,
    interval,
    tug_of_war,
    verdicts,
)
from grmu.metrics import METRICS

# --- avg. gap -----------------------------------------------------------------------------------------------


def rows(values):
    return pd.DataFrame([{"seed": seed, **dict(zip(METRICS, v, strict=True))} for seed, v in values.items()])


def test_the_average_gap_takes_absolute_differences_per_seed_first():
    gold = rows({0: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5], 1: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5]})
    ours = rows({1: [0.9, 0.3, 0.8, 0.1, 0.2, 0.6], 0: [0.9, 0.7, 0.8, 0.2, 0.2, 0.8]})
    gaps = gap_by_metric(ours, gold)
    # UA is off by +0.2 and -0.2: the means agree, the seeds do not (footnote 3)
    assert gaps.to_dict() == pytest.approx({"RA": 0, "UA": 0.2, "TA": 0, "MIA": 0.05, "EO": 0, "GA": 0.2})
    assert average_gap(ours, gold) == pytest.approx(1 - (0.2 + 0.05 + 0.2) / 6)


def test_each_seed_is_compared_with_its_own_gold_standard():
    gold = rows({0: [0.1] * 6, 1: [0.5] * 6, 2: [0.9] * 6})
    assert average_gap(gold.iloc[[2, 0, 1]], gold) == 1
    assert average_gap(rows({2: [0.8] * 6}), gold) == pytest.approx(0.9)


def test_a_seed_without_gold_standard_is_named():
    gold = rows({0: [0.1] * 6})
    with pytest.raises(ValueError, match=r"no gold standard for seeds \[3\]"):
        average_gap(rows({0: [0.1] * 6, 3: [0.1] * 6}), gold)


# --- differences paired by seed -----------------------------------------------------------------------------


def test_differences_are_paired_by_seed_in_whatever_order_the_rows_stand():
    gold = rows({0: [0.1] * 6, 1: [0.5] * 6, 2: [0.9] * 6})
    ours = rows({2: [0.8] * 6, 0: [0.3, 0.1, 0.1, 0.1, 0.1, 0.0], 1: [0.5] * 6})
    found = differences(ours, gold)
    assert list(found.columns) == list(METRICS)
    expected = {2: [-0.1] * 6, 0: [0.2, 0, 0, 0, 0, -0.1], 1: [0] * 6}
    assert found.index.tolist() == list(expected)
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-12)
    pd.testing.assert_frame_equal(differences(ours, gold.iloc[::-1]), found)
    pd.testing.assert_frame_equal(differences(ours.iloc[::-1], gold).loc[found.index], found)


def test_differences_keep_the_metrics_asked_for_in_their_order():
    found = differences(rows({0: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5]}), rows({0: [0.8] * 6}), ["GA", "RA"])
    assert found.to_dict("records") == [pytest.approx({"GA": -0.3, "RA": 0.1})]


def test_tug_of_war_multiplies_what_is_left_of_three_accuracies_by_seed():
    gold = rows({0: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5], 1: [0.9, 0.6, 0.8, 0.1, 0.2, 0.5]})
    ours = rows({1: [0.9, 0.1, 0.8, 0.9, 0.9, 0.9],
                 0: [0.8, 0.7, 0.3, 0.1, 0.2, 0.5]})  # MIA, EO and GA have no say
    assert tug_of_war(ours, gold) == pytest.approx((0.9 * 0.8 * 0.5 + 1 * 0.5 * 1) / 2)
    assert tug_of_war(gold, gold) == 1


def test_an_interval_is_student_s_by_hand_and_by_scipy():
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    # sd sqrt(2.5), standard error sqrt(0.5), t of 4 degrees of freedom 2.776
    assert found == pytest.approx((3, 3 - 2.776 * math.sqrt(0.5), 3 + 2.776 * math.sqrt(0.5), 5), abs=1e-3)
    values = np.random.default_rng(0).normal(3, 2, 9)
    found = interval(pd.Series(values, index=range(9)[::-1]))
    confidence = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found == pytest.approx((values.mean(), confidence.low, confidence.high, 9))


def test_ninety_five_of_a_hundred_intervals_hold_the_true_mean():
    draws = np.random.default_rng(0).normal(1, 3, (2000, 5))
    held = np.mean([found.low < 1 < found.high for found in map(interval, draws)])
    assert held == pytest.approx(0.95, abs=0.015)


def test_one_value_says_nothing_about_its_spread_and_equal_values_have_none():
    assert interval([2.0]) == (2, -math.inf, math.inf, 1)
    assert interval([2.0, 2.0, 2.0]) == (2, 2, 2, 3)


# --- verdicts -----------------------------------------------------------------------------------------------


def spread_around(mean, sd, n=10):
    """n values of exactly this mean and standard deviation."""
    values = np.linspace(-1, 1, n)
    return mean + sd * values / values.std(ddof=1)


def test_each_verdict_has_a_case():
    cases = {"higher": (5, 1), "lower": (-5, 1), "higher, within the margin": (1, 0.2),
             "lower, within the margin": (-1, 0.2), "equal": (0.1, 1), "not distinguished": (1, 5)}
    found = verdicts({name: spread_around(*case) for name, case in cases.items()}, dict.fromkeys(cases, 2.0))
    assert found.verdict.to_dict() == {name: name for name in cases}
    assert found["mean"].tolist() == pytest.approx([case[0] for case in cases.values()])


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_holm_is_that_of_statsmodels_to_the_last_bit(n):
    p = np.random.default_rng(n).random(n) ** 4
    p[1::5] = p[:1]  # alike
    np.testing.assert_array_equal(holm(p), multipletests(p, method="holm")[1])


def test_p_is_that_of_the_paired_t_test_after_holm_over_all_rows():
    values = {str(k): spread_around(mean, 1) for k, mean in enumerate((0.9, 0.8, 0.7))}
    raw = sorted(float(stats.ttest_1samp(v, 0).pvalue) for v in values.values())
    stepped = np.maximum.accumulate([p * k for p, k in zip(raw, (3, 2, 1), strict=True)])
    assert verdicts(values, dict.fromkeys(values, 0.1)).p.tolist() == pytest.approx(stepped)


def test_what_is_found_alone_may_not_be_found_among_many():
    clear = spread_around(0.9, 1)
    assert verdicts({"it": clear}, {"it": 0.1}).verdict["it"] == "higher"
    nothing = {str(k): spread_around(0, 1) for k in range(20)}
    among = verdicts({"it": clear} | nothing, dict.fromkeys(["it", *nothing], 0.1))
    assert among.verdict["it"] == "not distinguished"


def test_equal_needs_both_one_sided_tests():
    values, margin = spread_around(0.5, 1), 1.2
    both = max(stats.ttest_1samp(values, -margin, alternative="greater").pvalue,
               stats.ttest_1samp(values, margin, alternative="less").pvalue)
    assert 0.02 < both < 0.05
    assert verdicts({"a": values}, {"a": margin}).verdict["a"] == "equal"
    assert verdicts({"a": values}, {"a": 1.0}).verdict["a"] == "not distinguished"
    assert verdicts({"a": values}, {"a": math.nan}).verdict["a"] == "not distinguished"


def test_seen_is_found_in_80_of_100_cases():
    seen = verdicts({"a": spread_around(0, 2)}, {"a": 1.0}).seen["a"]
    draws = np.random.default_rng(0).normal(seen, 2, (20_000, 10))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_values_that_do_not_differ_among_seeds_are_known_exactly():
    found = verdicts({"none": [0.0, 0.0, 0.0], "some": [1.0, 1.0, 1.0]}, {"none": 0.5, "some": 0.5})
    assert found.verdict.to_dict() == {"none": "equal", "some": "higher"}
    with pytest.raises(ValueError, match=r"lone has 1 value\(s\): a verdict needs at least two seeds"):
        verdicts({"lone": [1.0]}, {"lone": 1.0})
