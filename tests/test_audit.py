"""Test shadow models, attacks against values by hand, verdicts with their controls, and the command."""

import numpy as np
import pytest
import torch
from conftest import few_epochs
from scipy import stats
from sklearn.metrics import roc_auc_score

from grmu import Experiment, data, run
from grmu.__main__ import main
from grmu.analysis import attacks, audit, shadows
from grmu.analysis.attacks import BLIND, DETECTED, PASSED, judge, likelihood_ratios
from grmu.analysis.compare import Interval
from grmu.analysis.shadows import NEVER, RETAINED, UNLEARNED, Observations
from grmu.experiments import load_split, train_or_load
from grmu.training import predict


@pytest.fixture(scope="module", autouse=True)
def small(few_pictures, tmp_path_factory):
    """Shrink Groundwear, draw few bootstrap samples, and use a separate store for this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attacks, "DRAWS", 60)
        patch.setenv("GRMU_STORE", str(tmp_path_factory.mktemp("store")))
        yield


def made_up(status, **values):
    """Return observations with the given values, and zero elsewhere."""
    status = np.asarray(status)
    return Observations(status, *(np.asarray(values.get(k, np.zeros(status.shape)), float)
                                  for k in Observations._fields[1:]))


def simulated(seed, shift, n_shadows=24, n_samples=40, kept=3.0):
    """Simulate shadows whose confidence in a member is higher by `kept`, or by `shift` once unlearned."""
    rng = np.random.default_rng(seed)
    shape = n_shadows, n_samples
    status = np.where(rng.random(shape) < 0.5, NEVER, np.where(rng.random(shape) < 0.5, UNLEARNED, RETAINED))
    easy, sure = 2 * rng.normal(size=n_samples), 0.7 * rng.normal(size=(n_shadows, 1))
    confidence = easy + sure + rng.normal(size=shape)
    confidence += shift * (status == UNLEARNED) + kept * (status == RETAINED)
    return made_up(status, confidence=confidence, loss=confidence, forest=confidence)


def of_groundwear(seed, shift, kept):
    """The same audit for Groundwear's first pictures."""
    return simulated(seed, shift, 14, len(data.load("groundwear").train), kept)


def twice(n):
    return np.tile(attacks.resampled(n), 2)


# --- shadow models ------------------------------------------------------------------------------------------


def test_a_shadow_model_says_what_its_split_and_its_network_say():
    e = Experiment(method="finetune", overrides={"epochs": 2})
    shadow = shadows.shadows(e, 4)[3]
    assert (shadow.seed, shadow.half, shadow.config.epochs) == (3, True, 2)
    seen = shadows.observe(shadow)
    split, whole, model = load_split(shadow)[1], data.load(e.dataset).train, train_or_load(shadow)
    status = seen.status[0]
    assert torch.equal(whole.x[status == UNLEARNED], split.forget.x)
    assert torch.equal(whole.x[status == RETAINED], split.retain.x)
    p = predict(model, model, whole.x).double().softmax(1)[torch.arange(len(whole)), whole.y].numpy()
    np.testing.assert_allclose(seen.confidence[0], np.log(p / (1 - p)), rtol=1e-6)
    np.testing.assert_allclose(seen.loss[0], np.log(p), rtol=1e-6)
    share = (seen.forest[0][status == UNLEARNED] <= 0.5).mean()
    assert share == pytest.approx(run(shadow).metrics["MIA"], abs=1.01 / len(split.forget))
    every = shadows.observe_all(e, 4, progress=False)  # the same bits again, rows in order
    for one, rows in zip(seen, every, strict=True):
        np.testing.assert_array_equal(one[0], rows[3])


# --- attacks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("positive", [UNLEARNED, RETAINED])
def test_likelihood_ratios_are_those_of_two_gaussians_fitted_to_the_other_shadows(positive):
    seen = simulated(0, 1.0, n_shadows=9, n_samples=12)
    confidence, status = seen.confidence, seen.status
    of = [[confidence[status[:, i] == kind, i] for i in range(12)] for kind in (positive, NEVER)]
    residuals = np.concatenate([c - c.mean() for kind in of for c in kind if len(c)])
    sd = (np.square(residuals).sum() / sum(len(c) - 1 for kind in of for c in kind if len(c))) ** 0.5
    expected = np.full(status.shape, np.nan)
    for k, i in np.ndindex(status.shape):
        c, s = np.delete(confidence[:, i], k), np.delete(status[:, i], k)
        us, them = (c[s == kind] for kind in (positive, NEVER))
        if status[k, i] in (positive, NEVER) and min(len(us), len(them)) >= 2:
            ours, theirs = (stats.norm.logpdf(confidence[k, i], part.mean(), sd) for part in (us, them))
            expected[k, i] = ours - theirs
    actual = likelihood_ratios(confidence, status, positive)
    np.testing.assert_allclose(actual, expected, atol=1e-10)
    assert 0 < np.isnan(actual).sum() < actual.size


def test_auc_and_true_positives_at_few_false_ones_by_hand():
    unlearned = np.r_[np.full(10, 4000.0), np.full(5, 1997.5), np.full(20, 1979.5), np.full(65, -1.0)]
    status = np.r_[np.full(2000, NEVER), np.full(100, UNLEARNED), np.full(60, RETAINED)]
    score = np.r_[np.arange(2000.0), unlearned, np.full(30, 1e6), np.full(30, -1e6)]
    order = np.random.default_rng(0).permutation(2160)
    actual = judge(made_up(status[order].reshape(8, 270), loss=score[order].reshape(8, 270)), "loss")
    assert actual["AUC"].mean == pytest.approx((10 * 2000 + 5 * 1998 + 20 * 1980) / (100 * 2000))
    assert actual["TPR at 0.1% FPR"].mean == pytest.approx(0.15)
    assert actual["TPR at 1% FPR"].mean == pytest.approx(0.35)
    few = judge(simulated(0, 1.0), "loss")
    assert np.isnan(few["TPR at 0.1% FPR"].mean)
    assert "needs 2,000 observations of samples never seen, got 1,999" in attacks.too_few(1999, 0.001)
    assert attacks.too_few(2000, 0.001) is None
    with pytest.raises(ValueError, match=r"2 shadow models are too few, .* Use 64 models, or at least 12"):
        judge(made_up([[NEVER, UNLEARNED], [UNLEARNED, NEVER]]))


def test_the_interval_is_a_bootstrap_over_models_with_the_attack_fitted_anew():
    seen, drawn = simulated(3, 0.5, 20), attacks.resampled(20)

    def auc(often):
        score = likelihood_ratios(seen.confidence, seen.status, UNLEARNED, often)
        rows = np.repeat(np.arange(20), often.astype(int))
        status, score = seen.status[rows], score[rows]
        taken = ~np.isnan(score)
        return roc_auc_score(status[taken] == UNLEARNED, score[taken])

    half = stats.norm.ppf(0.975) * np.std([auc(often) for often in drawn[1:]], ddof=1)
    point = auc(drawn[0])
    assert judge(seen)["AUC"] == pytest.approx((point, point - half, point + half, 20))


@pytest.mark.parametrize("attack", attacks.ATTACKS)
def test_nothing_is_found_where_nothing_is_and_what_is_planted_is_found(attack):
    nothing, planted = (judge(simulated(100, shift), attack)["AUC"] for shift in (0, 3.0))
    control = judge(shadows.never_again(simulated(6, 3.0)), attack)["AUC"]
    assert max(nothing.low, control.low) < 0.5 < planted.low < planted.high <= 1
    assert [nothing.mean, control.mean] == pytest.approx([0.5, 0.5], abs=0.06)


def test_a_verdict_needs_controls_that_are_found():
    above, around, below = (Interval(m, m - 0.1, m + 0.1, 9) for m in (0.7, 0.55, 0.35))
    assert attacks.verdict(above, []) == attacks.verdict(above, [around]) == DETECTED
    assert attacks.verdict(around, [above, above]) == attacks.verdict(below, [above]) == PASSED
    assert attacks.verdict(around, [above, around]) == attacks.verdict(around, []) == BLIND
    sd = 0.03
    seen = attacks.would_be_seen(Interval(0.5, 0.5 - 1.96 * sd, 0.5 + 1.96 * sd, 9))
    estimates = seen + sd * np.random.default_rng(0).normal(size=20000)
    assert (estimates - 1.96 * sd > 0.5).mean() == pytest.approx(0.8, abs=0.01)


def test_klom_by_hand():
    # 20 bins from 0 to 20: half and half against a quarter, a quarter and a half
    assert attacks.klom(np.array([0, 0, 10, 10.0]), np.array([0, 10, 20, 20.0])) == pytest.approx([np.log(2)])
    expected = 0.5 * np.log(0.5) + 0.5 * np.log(0.5 / 1e-5) + np.log(1 + 1e-5)  # an empty bin counts as 1e-5
    assert attacks.klom(np.array([0, 10.0]), np.array([0, 0.0])) == pytest.approx([expected])
    drawn = np.array([[2, 1, 1, 1, 2, 1, 1]])
    assert attacks.klom(np.array([0, 5, 10.0]), np.array([0, 10, 10, 5.0]), drawn) == pytest.approx(
        attacks.klom(np.array([0, 0, 5, 10.0]), np.array([0, 10, 10, 10, 5.0])))


def test_models_that_differ_for_everybody_have_no_excess_and_those_that_kept_somebody_have():
    gold = simulated(21, 0, 40, 30)
    otherwise = shadows.beside_retrained(gold._replace(confidence=gold.confidence + 2), gold)
    kept = shadows.beside_retrained(simulated(21, 2.0, 40, 30), gold)
    none = attacks.excess(otherwise, UNLEARNED, twice(40))
    assert none.low < 0 < none.high
    assert judge(otherwise, drawn=twice(40))["AUC"].low > 0.7
    assert attacks.excess(kept, UNLEARNED, twice(40)).low > 0.1
    same = attacks.mean_klom(shadows.beside_retrained(gold, gold), UNLEARNED, twice(40))
    assert attacks.mean_klom(otherwise, UNLEARNED, twice(40)).low > same.high


# --- the audit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unlearned", "kept", "overfit", "said"), [
    (6, 6, 6, DETECTED), (0, 6, 6, PASSED), (0, 0, 6, BLIND), (0, 6, 0, BLIND)])
def test_privacy_has_all_cases_and_a_verdict_on_the_unlearned(unlearned, kept, overfit, said):
    e, names = Experiment(method="retrain"), data.load("groundwear").train.group_names
    table = audit.privacy(e, of_groundwear(0, unlearned, kept), of_groundwear(1, overfit, overfit))
    assert table.value_counts(["group", "who"]).to_dict() == {
        (names[3], "unlearned"): 3, (names[3], "never"): 3, (names[3], "overfitted"): 1,
        **{(name, "retained"): 1 for name in names}}
    judged = table[table.verdict.notna()]
    assert judged[["attack", "who", "verdict"]].values.tolist() == [["U-LiRA", "unlearned", said]]
    assert judged.seen.item() > 0.5


def test_efficacy_and_stayers_are_of_each_group_that_forgets():
    e = Experiment(method="retrain", groups=((0, 0), (1, 1)))
    names = data.load("groundwear").train.group_names
    seen, gold = of_groundwear(0, 6, 6), of_groundwear(2, 0, 0)
    table = audit.efficacy(e, seen, seen, gold)
    assert table[table.verdict.notna()][["who", "group", "verdict"]].values.tolist() == [
        ["unlearned", names[0], DETECTED], ["unlearned", names[3], DETECTED]]
    assert (table[table.who == "unseen"][["excess low", "excess high"]] == 0).all(axis=None)
    stay = audit.stayers(e, of_groundwear(0, 6, 1), seen)
    assert stay.group.tolist() == [names[0], names[3]]
    assert (stay["AUC low"] > 0).all()
    assert (audit.stayers(e, seen, seen).AUC == 0).all()


def test_the_command_prints_both_questions_with_their_controls(capsys):
    arguments = ["audit", "--method", "retrain", "--reweight", "--dataset", "groundwear", "--jobs", "1"]
    with few_epochs():
        assert main([*arguments, "--shadows", "12", "--efficacy"]) == 0
        said = capsys.readouterr().out
        assert main([*arguments, "--shadows", "2"]) == 2
    assert "too few" in capsys.readouterr().err
    assert said.startswith("retrain + REWEIGHT on groundwear, ratio 0.5, 12 shadow models; 95 %")
    assert "The TPR at 0.1% FPR is not reported" in said
    lines = said.splitlines()
    assert len([line for line in lines if line.split()[:1] in (["U-LiRA"], ["loss"], ["forest"])]) == 4 + 7
    assert len([line for line in lines if line.strip().endswith((DETECTED, PASSED, BLIND))]) == 2
