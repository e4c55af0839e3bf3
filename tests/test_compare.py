"""Test comparisons of runs, paired by seed, against numbers computed by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from grmu.analysis import compare
from grmu.metrics import METRICS


def rows(values):
    return pd.DataFrame([{"seed": seed, **dict(zip(METRICS, v, strict=True))} for seed, v in values.items()])


def spread_around(mean, sd, n=10):
    """Return n values with exactly the given mean and standard deviation."""
    values = np.linspace(-1, 1, n)
    return mean + sd * values / values.std(ddof=1)


def test_the_average_gap_takes_absolute_differences_per_seed_first():
    gold = rows({0: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5], 1: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5]})
    ours = rows({1: [0.9, 0.3, 0.8, 0.1, 0.2, 0.6], 0: [0.9, 0.7, 0.8, 0.2, 0.2, 0.8]})
    # UA is off by +0.2 and -0.2: the means agree, the seeds do not (footnote 3)
    assert compare.gap_by_metric(ours, gold).to_dict() == pytest.approx(
        {"RA": 0, "UA": 0.2, "TA": 0, "MIA": 0.05, "EO": 0, "GA": 0.2})
    assert compare.average_gap(ours, gold) == pytest.approx(1 - (0.2 + 0.05 + 0.2) / 6)


def test_differences_are_paired_by_seed_in_whatever_order_the_rows_stand():
    gold = rows({0: [0.1] * 6, 1: [0.5] * 6, 2: [0.9] * 6})
    ours = rows({2: [0.8] * 6, 0: [0.3, 0.1, 0.1, 0.1, 0.1, 0.0]})
    actual = compare.differences(ours, gold.iloc[::-1])
    np.testing.assert_allclose(actual.loc[[2, 0]], [[-0.1] * 6, [0.2, 0, 0, 0, 0, -0.1]], atol=1e-12)
    assert compare.differences(ours, gold, ["GA", "RA"]).columns.tolist() == ["GA", "RA"]
    with pytest.raises(ValueError, match=r"no gold standard for seeds \[3\]"):
        compare.differences(rows({0: [0.1] * 6, 3: [0.1] * 6}), gold)


def test_tug_of_war_multiplies_what_is_left_of_three_accuracies_by_seed():
    gold = rows({0: [0.9, 0.5, 0.8, 0.1, 0.2, 0.5], 1: [0.9, 0.6, 0.8, 0.1, 0.2, 0.5]})
    ours = rows({1: [0.9, 0.1, 0.8, 0.9, 0.9, 0.9], 0: [0.8, 0.7, 0.3, 0.1, 0.2, 0.5]})  # not MIA, EO, GA
    assert compare.tug_of_war(ours, gold) == pytest.approx((0.9 * 0.8 * 0.5 + 1 * 0.5 * 1) / 2)
    assert compare.tug_of_war(gold, gold) == 1


def test_an_interval_is_scipy_s():
    values = np.random.default_rng(0).normal(3, 2, 9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert compare.interval(values) == pytest.approx((values.mean(), expected.low, expected.high, 9))
    assert compare.interval([2.0]) == (2, -math.inf, math.inf, 1)
    assert compare.interval([2.0, 2.0, 2.0]) == (2, 2, 2, 3)
    assert compare.interval([1.0, 2.0, 3.0]).said() == "+2.0 [-0.5, +4.5]"


def test_each_verdict_has_a_case():
    cases = {"higher": (5, 1), "lower": (-5, 1), "higher, within the margin": (1, 0.2),
             "lower, within the margin": (-1, 0.2), "equal": (0.1, 1), "not distinguished": (1, 5)}
    values = {name: spread_around(*case) for name, case in cases.items()}
    actual = compare.verdicts(values, dict.fromkeys(cases, 2.0))
    assert actual.verdict.to_dict() == {name: name for name in cases}
    assert actual["mean"].tolist() == pytest.approx([case[0] for case in cases.values()])


def test_p_is_that_of_the_t_test_after_holm_over_all_rows():
    values = {str(k): spread_around(mean, 1) for k, mean in enumerate((0.9, 0.8, 0.7))}
    raw = sorted(float(stats.ttest_1samp(v, 0).pvalue) for v in values.values())
    stepped = np.maximum.accumulate([p * k for p, k in zip(raw, (3, 2, 1), strict=True)])
    assert compare.verdicts(values).p.tolist() == pytest.approx(stepped)
    nothing = {str(k): spread_around(0, 1) for k in range(20)}
    assert compare.verdicts({"it": values["0"]}).verdict["it"] == "higher"
    assert compare.verdicts({"it": values["0"]} | nothing).verdict["it"] == "not distinguished"


def test_equal_needs_both_one_sided_tests():
    values = spread_around(0.5, 1)
    both = max(stats.ttest_1samp(values, -1.2, alternative="greater").pvalue,
               stats.ttest_1samp(values, 1.2, alternative="less").pvalue)
    assert 0.02 < both < 0.05
    words = [compare.verdicts({"a": values}, {"a": margin}).verdict["a"] for margin in (1.2, 1.0, math.nan)]
    assert words == ["equal", "not distinguished", "not distinguished"]


def test_seen_is_detected_in_80_of_100_cases():
    seen = compare.verdicts({"a": spread_around(0, 2)}).seen["a"]
    draws = np.random.default_rng(0).normal(seen, 2, (20_000, 10))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_values_that_do_not_differ_among_seeds_are_known_exactly():
    actual = compare.verdicts({"none": [0.0, 0.0, 0.0], "some": [1.0, 1.0, 1.0]}, {"none": 0.5, "some": 0.5})
    assert actual.verdict.to_dict() == {"none": "equal", "some": "higher"}
    with pytest.raises(ValueError, match=r"lone needs values of at least two seeds for a verdict, got 1"):
        compare.verdicts({"lone": [1.0]})
    assert compare.verdicts({}).empty
