"""Attacks by hand: likelihood ratios, rates, intervals over models, verdicts; epsilon, H and KLOM."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from grmu.analysis import attacks, efficacy
from grmu.analysis.attacks import BLIND, DETECTED, PASSED, judge, likelihood_ratios, too_few, verdict
from grmu.analysis.compare import Interval
from grmu.analysis.efficacy import differ, epsilon, excess, klom, points
from grmu.analysis.shadows import (
    LEFT_OUT,
    NEVER,
    RETAINED,
    UNLEARNED,
    UNSEEN,
    Observations,
    beside_retrained,
    never_again,
)


def made_up(status, **values):
    """Observations with these values, zero elsewhere."""
    status = np.asarray(status)
    return Observations(status, *(np.asarray(values.get(k, np.zeros(status.shape)), float)
                                  for k in Observations._fields[1:]))


def simulated(seed, shift, n_shadows=24, n_samples=40):
    """Samples that are hard or easy, shadows that are sure or not, half of the members unlearned, `shift` of
    them left."""
    rng = np.random.default_rng(seed)
    shape = n_shadows, n_samples
    status = np.where(rng.random(shape) < 0.5, NEVER, np.where(rng.random(shape) < 0.5, UNLEARNED, RETAINED))
    easy, sure = 2 * rng.normal(size=n_samples), 0.7 * rng.normal(size=(n_shadows, 1))
    confidence = (
        easy + sure + rng.normal(size=shape) + shift * (status == UNLEARNED) + 3 * (status == RETAINED)
    )
    return made_up(status, confidence=confidence)


# --- likelihood ratios --------------------------------------------------------------------------------------


def by_loop(confidence, status, positive):
    """The definition, one shadow and sample at a time."""
    residuals, degrees = [], 0
    for i in range(status.shape[1]):
        for kind in (positive, NEVER):
            c = confidence[status[:, i] == kind, i]
            residuals += [*(c - c.mean())] if len(c) else []
            degrees += max(len(c) - 1, 0)
    sd = (np.square(residuals).sum() / degrees) ** 0.5
    found = np.full(status.shape, np.nan)
    for k, i in np.ndindex(status.shape):
        others = np.delete(confidence[:, i], k), np.delete(status[:, i], k)
        us, them = (others[0][others[1] == kind] for kind in (positive, NEVER))
        if status[k, i] in (positive, NEVER) and min(len(us), len(them)) >= 2:
            ours, theirs = (stats.norm.logpdf(confidence[k, i], c.mean(), sd) for c in (us, them))
            found[k, i] = ours - theirs
    return found


@pytest.mark.parametrize("positive", [UNLEARNED, RETAINED])
def test_likelihood_ratios_are_those_of_two_gaussians_fitted_to_the_other_shadows(positive):
    seen = simulated(0, 1.0, n_shadows=9, n_samples=12)
    found = likelihood_ratios(seen.confidence, seen.status, positive)
    np.testing.assert_allclose(found, by_loop(seen.confidence, seen.status, positive), atol=1e-10)
    assert 0 < np.isnan(found).sum() < found.size


def test_a_sample_that_two_other_shadows_lack_in_a_state_has_no_ratio():
    status = np.array([[UNLEARNED, UNLEARNED, RETAINED]] * 2 + [[UNLEARNED, NEVER, NEVER]]
                      + [[NEVER, NEVER, NEVER]] * 3)
    confidence = np.random.default_rng(0).normal(size=status.shape)
    usable = ~np.isnan(likelihood_ratios(confidence, status))
    assert usable[:, 0].all()  # three of either state: two are left beside each shadow
    assert usable[:, 1].tolist() == [False, False, True, True, True,
                                     True]  # two unlearned judge others, not each other
    assert not usable[:, 2].any()  # never unlearned


def test_no_shadow_is_judged_by_means_that_hold_its_own_confidence():
    seen = simulated(1, 1.0, n_shadows=10, n_samples=3)
    k, i = 4, 1
    status = seen.status.copy()
    status[:, i] = [UNLEARNED, NEVER] * 5

    def scaled(by):
        """The ratio times the shared variance: a parabola in the shadow's confidence if its own mean moved
        along."""
        c = seen.confidence.copy()
        c[k, i] += by
        kinds = [[c[status[:, j] == kind, j] for j in range(3)] for kind in (UNLEARNED, NEVER)]
        groups = [g for kind in kinds for g in kind if len(g)]
        variance = sum(((g - g.mean()) ** 2).sum() for g in groups) / sum(len(g) - 1 for g in groups)
        return likelihood_ratios(c, status)[k, i] * variance

    others = [np.delete(seen.confidence[:, i], k)[np.delete(status[:, i], k) == kind].mean()
              for kind in (UNLEARNED, NEVER)]
    steps = np.diff([scaled(by) for by in (0, 1, 2, 3)])
    np.testing.assert_allclose(steps, others[0] - others[1])


def test_what_a_third_state_s_shadows_say_does_not_matter():
    seen = simulated(2, 1.0)
    louder = np.where(seen.status == RETAINED, 50.0, seen.confidence)
    np.testing.assert_array_equal(likelihood_ratios(louder, seen.status),
                                  likelihood_ratios(seen.confidence, seen.status))


def test_a_model_drawn_twice_is_judged_by_neither_of_its_copies():
    seen = simulated(8, 1.0, n_shadows=9, n_samples=6)
    often = np.array([2, 1, 1, 0, 3, 1, 1, 0, 1])
    found = likelihood_ratios(seen.confidence, seen.status, UNLEARNED, often)
    rows = np.repeat(np.arange(9), often)
    for k in np.flatnonzero(often):
        others = rows[rows != k]
        c, status = (np.vstack([v[others], v[[k]]]) for v in (seen.confidence, seen.status))
        mean = [[c[:-1][status[:-1, i] == kind, i].mean() if (status[:-1, i] == kind).sum() >= 2 else np.nan
                 for i in range(6)] for kind in (UNLEARNED, NEVER)]
        expected = np.where(np.isin(status[-1], (UNLEARNED, NEVER)),
                            (c[-1] - mean[1]) ** 2 - (c[-1] - mean[0]) ** 2, np.nan)
        np.testing.assert_array_equal(np.isnan(found[k]), np.isnan(expected))
        ratio = (found[k] / expected)[~np.isnan(expected)]
        np.testing.assert_allclose(ratio, ratio[0] if len(ratio) else 1)  # the shared variance


# --- judging ------------------------------------------------------------------------------------------------


def test_auc_and_true_positives_at_few_false_ones_by_hand():
    never = np.arange(2000.0)
    unlearned = np.r_[np.full(10, 4000.0), np.full(5, 1997.5), np.full(20, 1979.5),
                      np.full(65, -1.0)]  # above 2000, 1998, 1980, 0
    status = np.r_[np.full(2000, NEVER), np.full(100, UNLEARNED), np.full(60, RETAINED)]
    score = np.r_[never, unlearned, np.full(30, 1e6), np.full(30, -1e6)]
    order = np.random.default_rng(0).permutation(2160)
    found = judge(made_up(status[order].reshape(8, 270), loss=score[order].reshape(8, 270)), "loss")
    assert list(found) == ["AUC", "TPR at 1% FPR", "TPR at 0.1% FPR"]
    assert found["AUC"].mean == pytest.approx((10 * 2000 + 5 * 1998 + 20 * 1980) / (100 * 2000))
    assert found["TPR at 0.1% FPR"].mean == pytest.approx(0.15)
    assert found["TPR at 1% FPR"].mean == pytest.approx(0.35)
    assert {i.n for i in found.values()} == {8}


def test_true_positives_are_counted_at_every_threshold_even_among_ties():
    # at every score one unlearned and one never seen: a straight line
    found = judge(made_up(np.tile([NEVER, UNLEARNED], (8, 50)), forest=np.arange(800).reshape(8, 100) // 2),
                  "forest")
    assert found["TPR at 1% FPR"].mean == pytest.approx(0.01)


@pytest.mark.parametrize(("attack", "column"), [("loss", "loss"), ("forest", "forest")])
def test_attacks_on_an_average_score_every_shadow_alike(attack, column):
    rng = np.random.default_rng(0)
    status, score = rng.integers(3, size=(6, 20)), rng.normal(size=(6, 20))
    taken = status != RETAINED
    expected = roc_auc_score(status[taken] == UNLEARNED, score[taken])
    assert judge(made_up(status, **{column: score}), attack)["AUC"].mean == pytest.approx(expected)


def test_the_curve_of_a_resample_is_scikit_learn_s():
    seen, often = simulated(4, 1.0), attacks.resampled(24)[1]
    seen = seen._replace(loss=seen.confidence.round(1))  # with ties
    taken = (seen.status != RETAINED) & (often[:, None] > 0)
    expected = roc_curve(seen.status[taken] == UNLEARNED, seen.loss[taken], drop_intermediate=False,
                         sample_weight=np.repeat(often, taken.sum(1)))
    np.testing.assert_array_equal(attacks.curve(seen, "loss", UNLEARNED, often), expected[:2])


@pytest.mark.parametrize("rate", attacks.RATES)
def test_a_rate_that_would_rest_on_one_false_alarm_is_a_sentence_and_no_number(rate):
    needed = round(2 / rate)
    assert too_few(needed, rate) is None
    assert f"takes {needed:,} answers" in too_few(needed - 1, rate)
    assert f"there are {needed - 1:,}" in too_few(needed - 1, rate)
    for n, is_given in ((needed, True), (needed - 8, False)):
        status = np.tile(np.r_[np.full(n // 8, NEVER), np.full(5, UNLEARNED)], (8, 1))
        seen = made_up(status, loss=np.random.default_rng(0).normal(size=status.shape))
        found = judge(seen, "loss")
        values = found[f"TPR at {100 * rate:g}% FPR"]
        assert np.isfinite([values.mean, values.low, values.high]).all() == is_given
        assert np.isfinite(found["AUC"].mean)


def test_too_few_shadows_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"2 shadow models are too few: .* Take 64, or at least 12"):
        judge(made_up([[NEVER, UNLEARNED], [UNLEARNED, NEVER]]))


def test_the_interval_is_a_bootstrap_over_models_with_the_attack_fitted_anew():
    seen = simulated(3, 0.5, 20)
    drawn = attacks.resampled(20)
    assert (drawn[0] == 1).all()
    assert set(drawn[1:].sum(1)) == {20}

    def auc(often):
        score = likelihood_ratios(seen.confidence, seen.status, UNLEARNED, often)
        rows = np.repeat(np.arange(20), often.astype(int))
        status, score = seen.status[rows], score[rows]
        taken = ~np.isnan(score)
        return roc_auc_score(status[taken] == UNLEARNED, score[taken])

    half = stats.norm.ppf(0.975) * np.std([auc(often) for often in drawn[1:]], ddof=1)
    point = auc(drawn[0])
    assert judge(seen)["AUC"] == pytest.approx((point, point - half, point + half, 20))


@pytest.mark.parametrize("shift", [0, 0.5])
def test_intervals_hold_the_mean_auc_as_often_as_they_say(shift, monkeypatch):
    monkeypatch.setattr(attacks, "DRAWS", 60)
    found = [judge(simulated(seed, shift))["AUC"] for seed in range(40)]
    truth = np.mean([i.mean for i in found])
    assert np.mean([i.low <= truth <= i.high for i in found]) >= 0.9
    assert truth == pytest.approx(0.5, abs=0.02) if shift == 0 else truth > 0.55
    spread = np.std([i.mean for i in found])
    assert np.mean([i.high - i.low for i in found]) < 2 * 2 * 1.96 * spread  # and are not far too wide


def test_nothing_is_found_where_nothing_is_and_what_is_planted_is_found():
    for seed in (100, 101, 102):
        nothing, planted = (judge(simulated(seed, shift))["AUC"] for shift in (0, 1.0))
        assert nothing.low < 0.5 < nothing.high
        assert planted.low > 0.5


def test_an_interval_stays_within_zero_and_one():
    status = np.tile([[NEVER, UNLEARNED], [UNLEARNED, NEVER]], (3, 1))
    found = judge(made_up(status, loss=status), "loss")
    assert found["AUC"] == (1, 1, 1, 6)
    wide = judge(simulated(4, 0.2, n_shadows=8, n_samples=60))
    assert 0 <= wide["AUC"].low <= wide["AUC"].mean <= wide["AUC"].high <= 1
    assert wide["TPR at 1% FPR"].low == 0


# --- verdicts and controls ----------------------------------------------------------------------------------


def test_a_verdict_needs_controls_that_are_found():
    above, around, below = (Interval(m, m - 0.1, m + 0.1, 9) for m in (0.7, 0.55, 0.35))
    assert verdict(above, []) == verdict(above, [around]) == DETECTED
    assert verdict(around, [above, above]) == verdict(below, [above]) == PASSED
    assert verdict(around, [above, around]) == verdict(around, [around]) == verdict(around, []) == BLIND
    assert verdict(Interval(0.6, 0.5, 0.7, 9), [above]) == PASSED  # an interval that holds chance


def test_the_auc_that_would_be_seen_is_found_in_80_of_100_cases():
    sd = 0.03
    seen = attacks.would_be_seen(Interval(0.5, 0.5 - 1.96 * sd, 0.5 + 1.96 * sd, 9))
    found = seen + sd * np.random.default_rng(0).normal(size=20000)
    assert (found - 1.96 * sd > 0.5).mean() == pytest.approx(0.8, abs=0.01)


def test_a_change_is_of_models_drawn_together():
    before, after = simulated(5, 0.5), simulated(5, 1.5)
    found = attacks.change(before, after, UNLEARNED)["AUC"]
    ours, theirs = judge(after)["AUC"], judge(before)["AUC"]
    assert found.mean == pytest.approx(ours.mean - theirs.mean)
    apart = ((ours.high - ours.low) ** 2 + (theirs.high - theirs.low) ** 2) ** 0.5
    assert 0 < found.high - found.low < apart  # the same halves vary alike
    same = attacks.change(before, before, UNLEARNED)["AUC"]
    assert same[:3] == (0, 0, 0)


def test_the_control_lets_a_third_of_those_never_seen_pass_for_unlearned():
    seen = simulated(5, 1.0, n_shadows=40, n_samples=100)
    control = never_again(seen)
    never = seen.status == NEVER
    assert (control.status[never] == UNLEARNED).mean() == pytest.approx(1 / 3, abs=0.05)
    assert set(control.status[never]) == {NEVER, UNLEARNED}
    assert (control.status[~never] == LEFT_OUT).all()
    assert control.confidence is seen.confidence
    np.testing.assert_array_equal(never_again(seen).status, control.status)
    assert (seen.status == simulated(5, 1.0, 40, 100).status).all()  # what was given is as it was


def test_the_control_finds_nothing_even_where_much_is_to_be_found():
    seen = simulated(6, 3.0)
    assert judge(seen)["AUC"].low > 0.9
    control = judge(never_again(seen))["AUC"]
    assert control.low < 0.5 < control.high


def test_exposure_by_hand_once_from_even_and_once_from_odd_shadows():
    status, confidence = np.full((8, 3), NEVER), np.ones((8, 3))
    status[[0, 2], 0], confidence[::2, 0] = UNLEARNED, [3, 5, 1, 1]  # 4 where unlearned, 1 where not
    status[[4, 6], 1], confidence[::2, 1] = UNLEARNED, [0, 2, 2, 2]  # 2 and 1
    status[[1, 3, 5], 1], confidence[1::2, 1] = UNLEARNED, [0, 1, 2, -3]  # 1 and -3
    status[[1, 3], 0], confidence[1::2, 0] = RETAINED, [70, 80, 1, 3]  # loud, but not asked
    even, odd = attacks.exposure(made_up(status, confidence=confidence))
    np.testing.assert_allclose(even, [3 / (4 / 12) ** 0.5, 1 / (4 / 12) ** 0.5,
                                      np.nan])  # residuals: four of 1 and eight of 0
    np.testing.assert_allclose(odd, [np.nan, 4 / (4 / 10) ** 0.5, np.nan])
    retained = attacks.exposure(made_up(status, confidence=confidence), RETAINED)
    assert np.isnan(retained[0]).all()
    assert retained[1, 0] == pytest.approx((75 - 2) / (52 / 9) ** 0.5)


def test_the_two_halves_of_exposure_do_not_share_a_shadow():
    seen = simulated(7, 1.0)
    changed = seen._replace(confidence=seen.confidence.copy())
    changed.confidence[1::2] += np.random.default_rng(0).normal(size=changed.confidence[1::2].shape)
    before, after = attacks.exposure(seen), attacks.exposure(changed)
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1] != after[1]).all()


# --- efficacy: unlearned against retrained ------------------------------------------------------------------


def test_epsilon_by_hand():
    # retrained has the larger median: above 3.75 are all but one of four retrained, and one of four unlearned
    assert epsilon(np.array([1, 2, 3, 4.0]), np.array([3.5, 5, 6, 7.0])) == pytest.approx(
        [np.log(1 - 1e-5 - 0.25) - np.log(0.25)])
    # above 2.5 are one of ten unlearned and all but two of ten retrained: the rarer error counts
    found = epsilon(np.r_[np.zeros(9), 4.0], np.r_[1, 1, np.full(8, 4.0)])
    assert found == pytest.approx([np.log(1 - 1e-5 - 0.2) - np.log(0.1)])


def test_epsilon_has_the_errors_exchanged_when_the_samples_are():
    rng = np.random.default_rng(0)
    for _ in range(5):
        one, other = rng.normal(size=12), rng.normal(1, 2, size=15)
        assert epsilon(one, other) == pytest.approx(epsilon(other, one))


def test_an_attack_that_errs_on_one_side_alone_does_not_count_and_one_that_never_errs_counts_most():
    assert epsilon(np.array([1, 2.0]), np.array([3, 4.0])) == efficacy.MOST
    # every threshold errs on one side alone; so does every range that holds the narrower sample
    assert epsilon(np.array([1, 3.0]), np.array([1, 3.0])) == 0


def test_a_range_finds_who_is_in_the_middle():
    wide, narrow = np.array([-9, -8, -7, 0.1, 7, 8, 9, 10.0]), np.array([-1, -0.5, 0, 0.2, 0.5, 1, 1.5, 12.0])
    # -1 to 1.5: one of eight wide ones within, one of eight narrow ones without
    assert epsilon(wide, narrow) == pytest.approx([np.log(1 - 1e-5 - 1 / 8) - np.log(1 / 8)])
    assert epsilon(np.array([0, 1e-6, 2e-6]), np.array([-1, 0, 1.0])) == efficacy.MOST


def test_epsilon_of_a_resample_is_that_of_the_models_drawn():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=10), rng.normal(0.5, 1.2, size=12)
    often = rng.multinomial(11, np.full(11, 1 / 11), 3) + 1  # every model once at least
    drawn = np.pad(often, ((0, 0), (0, 11)), constant_values=2)
    found = epsilon(ours, theirs, drawn)
    for row, eps in zip(drawn, found, strict=True):
        assert eps == pytest.approx(epsilon(np.repeat(ours, row[:10]), np.repeat(theirs, row[10:]))[0])
    nobody = np.r_[np.zeros(10), np.ones(12)][None]
    assert np.isnan(epsilon(ours, theirs, nobody)).all()


def test_points_are_halved_every_half_and_end_at_what_the_models_can_show():
    # 12 models: log 11 = 2.4, so from 3 on nothing
    np.testing.assert_array_equal(points(np.array([0, 0.49, 0.5, 1.2, 2.99, 3, 50]), 12),
                                  [1, 1, 1 / 2, 1 / 4, 1 / 32, 0, 0])


def test_klom_by_hand():
    # 20 bins from 0 to 20: half and half against a quarter, a quarter and a half
    assert klom(np.array([0, 0, 10, 10.0]), np.array([0, 10, 20, 20.0])) == pytest.approx([np.log(2)])
    # nobody retrained where half are unlearned: 1e-5 there, and shares then sum to 1 + 1e-5
    expected = 0.5 * np.log(0.5 / 1) + 0.5 * np.log(0.5 / 1e-5) + np.log(1 + 1e-5)
    assert klom(np.array([0, 10.0]), np.array([0, 0.0])) == pytest.approx([expected])
    assert klom(np.array([3, 4.0]), np.array([4, 3.0])) == pytest.approx([0])
    assert klom(np.array([1e6, 0]), np.array([100, 0.0])) == pytest.approx([0])  # clipped


def test_klom_of_a_resample_is_that_of_the_models_drawn():
    ours, theirs = np.array([0, 5, 10.0]), np.array([0, 10, 10, 5.0])
    drawn = np.array([[2, 1, 1, 1, 2, 1, 1]])
    assert klom(ours, theirs, drawn) == pytest.approx(klom(np.array([0, 0, 5, 10.0]),
                                                           np.array([0, 10, 10, 10, 5.0])))


def test_beside_retrained_are_the_unlearned_and_the_unseen_and_gold_standards_that_never_saw_them():
    one, other = simulated(1, 1.0, 40, 9), simulated(1, 0, 40, 9)
    other = other._replace(confidence=other.confidence + 100)
    both = beside_retrained(one, other)
    assert both.status.shape == (80, 9)
    ours, theirs = both.status[:40], both.status[40:]
    for kind in (UNLEARNED, RETAINED):
        np.testing.assert_array_equal(ours == kind, one.status == kind)
    assert set(np.unique(theirs)) == {LEFT_OUT, NEVER}
    # each that was never seen is either the model's or the gold standard's, half and half
    np.testing.assert_array_equal((ours == UNSEEN) ^ (theirs == NEVER), one.status == NEVER)
    assert not ((ours == UNSEEN) & (theirs == NEVER)).any()
    assert (theirs == NEVER).sum() / (one.status == NEVER).sum() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(both.confidence, np.vstack([one.confidence, other.confidence]))


def twice(n):
    return np.tile(attacks.resampled(n), 2)


def test_equal_models_differ_by_noise_and_others_by_more():
    gold = simulated(11, 0, 40, 12)
    same, moved = (differ(beside_retrained(simulated(seed, shift, 40, 12), gold), UNLEARNED, twice(40))
                   for seed, shift in ((11, 0), (11, 4.0)))
    assert list(same) == ["epsilon", "H", "KLOM"]
    for name, sign in (("epsilon", 1), ("H", -1), ("KLOM", 1)):
        ours, theirs = same[name], moved[name]
        assert ours.low <= ours.mean <= ours.high
        assert sign * theirs.mean > sign * (ours.high if sign > 0 else ours.low)
    assert 0 < same["H"].high <= 1


def test_models_that_differ_for_everybody_have_no_excess_and_those_that_kept_somebody_have():
    gold = simulated(21, 0, 40, 30)
    otherwise, kept = gold._replace(confidence=gold.confidence + 2), simulated(21, 2.0, 40, 30)
    found = excess(beside_retrained(otherwise, gold), UNLEARNED, twice(40))
    assert found.low < 0 < found.high
    assert judge(beside_retrained(otherwise, gold), drawn=twice(40))["AUC"].low > 0.7
    assert excess(beside_retrained(kept, gold), UNLEARNED, twice(40)).low > 0.1


def test_differences_need_two_models_of_either_kind():
    with pytest.raises(ValueError, match="1 shadow models are too few"):
        differ(made_up([[UNLEARNED], [NEVER]]), UNLEARNED, np.ones((2, 2)))
