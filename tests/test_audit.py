"""The audit: states, attacks and intervals by hand; a model that is caught and one that is not; distances;
relearning."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import same_state, small_network, state_of, toy
from scipy import stats
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from grmu import Experiment, data, run
from grmu.__main__ import main
from grmu.data import GroupedDataset, Splits, half_of
from grmu.metrics import METRICS
from grmu.runs import load_split, trained
from grmu.study import audit
from grmu.study.audit import NEVER, RETAINED, UNLEARNED, Observations, judge, likelihood_ratios, observe
from grmu.training import predict

QUICK = {"epochs": 12, "warmup_epochs": 0, "batch_size": 20, "augment": False}
N_SHADOWS = 12


def noise(name, root):
    """Tiny pictures of nothing with labels of no meaning: whoever is sure of one has seen it."""
    rng = torch.Generator().manual_seed(0)

    def part(n):
        x, i = torch.randint(0, 256, (n, 1, 6, 6), generator=rng, dtype=torch.uint8), torch.arange(n)
        return GroupedDataset(x, i % 2, i // 2 % 2, ["heads", "tails"], ["here", "there"], name)

    return Splits(part(80), part(40), part(40), (1, 1))


@pytest.fixture(scope="module", autouse=True)
def small_data(few_pictures):
    """Groundwear is shrunken, its variant that memorises is nothing but noise."""
    loader = data.LOADERS["groundwear-memorised"]
    data.LOADERS["groundwear-memorised"] = noise
    yield
    data.LOADERS["groundwear-memorised"] = loader


def on_noise(method, **more):
    return Experiment("groundwear-memorised", method, groups="uniform", overrides=QUICK, **more)


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


# --- halves -------------------------------------------------------------------------------------------------


def test_a_half_takes_half_of_every_group_and_each_row_once_in_ascending_order():
    train = toy([[20, 8], [12, 0]])
    half = half_of(train, 3)
    assert train.subset(half).group_counts().tolist() == [10, 4, 6, 0]
    assert (half[1:] > half[:-1]).all()


def test_a_half_is_a_function_of_its_seed():
    train = toy([[20, 8], [12, 4]])
    assert torch.equal(half_of(train, 3), half_of(train, 3))
    assert not torch.equal(half_of(train, 3), half_of(train, 4))


def test_a_coin_rounds_odd_groups_and_every_sample_is_in_half_of_the_halves():
    train, n = toy([[5, 3], [1, 7]]), 400
    halves = [half_of(train, seed) for seed in range(n)]
    counts = torch.stack([train.subset(half).group_counts() for half in halves])
    for group, size in enumerate((5, 3, 1, 7)):
        assert set(counts[:, group].tolist()) == {size // 2, size // 2 + 1}
    assert len(set(counts.sum(1).tolist())) > 2  # groups have a coin each
    share = torch.bincount(torch.cat(halves), minlength=len(train)) / n
    assert share.sub(0.5).abs().max() < 4 * 0.5 / n**0.5


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


# --- judging ------------------------------------------------------------------------------------------------


def test_auc_and_true_positives_at_few_false_ones_by_hand():
    never = np.arange(100.0)
    unlearned = np.r_[np.full(10, 200.0), np.full(5, 98.5), np.full(20, 94.5),
                      np.full(65, -1.0)]  # above 100, 99, 95, 0
    status = np.r_[np.full(100, NEVER), np.full(100, UNLEARNED), np.full(40, RETAINED)]
    score = np.r_[never, unlearned, np.full(20, 1e6), np.full(20, -1e6)]
    order = np.random.default_rng(0).permutation(240)
    found = judge(made_up(status[order].reshape(8, 30), loss=score[order].reshape(8, 30)), "loss")
    assert list(found) == ["AUC", "TPR at 1% FPR", "TPR at 5% FPR"]
    assert found["AUC"].mean == pytest.approx((10 * 100 + 5 * 99 + 20 * 95) / 100**2)
    assert found["TPR at 1% FPR"].mean == pytest.approx(0.15)
    assert found["TPR at 5% FPR"].mean == pytest.approx(0.35)
    assert {i.n for i in found.values()} == {8}


def test_true_positives_are_counted_at_every_threshold_even_among_ties():
    # at every score one unlearned and one never seen: a straight line
    found = judge(made_up(np.tile([NEVER, UNLEARNED], (8, 50)), forest=np.arange(800).reshape(8, 100) // 2),
                  "forest")
    assert found["TPR at 5% FPR"].mean == pytest.approx(0.05)
    assert found["TPR at 1% FPR"].mean == pytest.approx(0.01)


@pytest.mark.parametrize(("attack", "column"), [("loss", "loss"), ("forest", "forest")])
def test_attacks_on_an_average_score_every_shadow_alike(attack, column):
    rng = np.random.default_rng(0)
    status, score = rng.integers(3, size=(6, 20)), rng.normal(size=(6, 20))
    taken = status != RETAINED
    expected = roc_auc_score(status[taken] == UNLEARNED, score[taken])
    assert judge(made_up(status, **{column: score}), attack)["AUC"].mean == pytest.approx(expected)


@pytest.mark.parametrize("n_shadows", [10, 20])
def test_the_interval_is_a_jackknife_over_blocks_of_shadows_with_the_attack_fitted_anew(n_shadows):
    seen = simulated(3, 0.5, n_shadows)

    def auc(rows):
        status = seen.status[rows]
        score = likelihood_ratios(seen.confidence[rows], status)
        taken = ~np.isnan(score)
        return roc_auc_score(status[taken] == UNLEARNED, score[taken])

    blocks = np.array_split(np.arange(n_shadows), min(16, n_shadows))
    without = np.array([auc(np.delete(np.arange(n_shadows), block)) for block in blocks])
    b = len(blocks)
    half = stats.t.ppf(0.975, b - 1) * ((b - 1) / b * ((without - without.mean()) ** 2).sum()) ** 0.5
    point = auc(np.arange(n_shadows))
    assert judge(seen)["AUC"] == pytest.approx((point, point - half, point + half, n_shadows))


@pytest.mark.parametrize("shift", [0, 0.5])
def test_intervals_hold_the_mean_auc_as_often_as_they_say(shift):
    found = [judge(simulated(seed, shift))["AUC"] for seed in range(40)]
    truth = np.mean([i.mean for i in found])
    assert np.mean([i.low <= truth <= i.high for i in found]) >= 0.9
    assert truth == pytest.approx(0.5, abs=0.02) if shift == 0 else truth > 0.55


def test_nothing_is_found_where_nothing_is_and_what_is_planted_is_found():
    for seed in (100, 101, 102):
        nothing, planted = (judge(simulated(seed, shift))["AUC"] for shift in (0, 1.0))
        assert nothing.low < 0.5 < nothing.high
        assert planted.low > 0.5


def test_an_interval_stays_within_zero_and_one():
    status = np.tile([[NEVER, UNLEARNED], [UNLEARNED, NEVER]], (3, 1))
    found = judge(made_up(status, loss=status), "loss")
    assert all(i == (1, 1, 1, 6) for i in found.values())
    wide = judge(simulated(4, 0.2, n_shadows=8, n_samples=10))
    assert all(0 <= i.low <= i.mean <= i.high <= 1 for i in wide.values())
    assert wide["TPR at 1% FPR"].low == 0


# --- the control, parts, exposure ---------------------------------------------------------------------------


def test_the_control_lets_a_third_of_those_never_seen_pass_for_unlearned():
    seen = simulated(5, 1.0, n_shadows=40, n_samples=100)
    control = audit.never_again(seen)
    never = seen.status == NEVER
    assert (control.status[never] == UNLEARNED).mean() == pytest.approx(1 / 3, abs=0.05)
    assert set(control.status[never]) == {NEVER, UNLEARNED}
    assert (control.status[~never] == RETAINED).all()
    assert control.confidence is seen.confidence
    np.testing.assert_array_equal(audit.never_again(seen).status, control.status)
    assert (audit.never_again(seen, seed=1).status != control.status).any()
    assert (seen.status == simulated(5, 1.0, 40, 100).status).all()  # what was given is as it was


def test_the_control_finds_nothing_even_where_much_is_to_be_found():
    seen = simulated(6, 3.0)
    assert judge(seen)["AUC"].low > 0.9
    control = judge(audit.never_again(seen))["AUC"]
    assert control.low < 0.5 < control.high


def test_a_part_of_the_samples_is_selected_from_all_that_was_observed():
    rng = np.random.default_rng(0)
    seen = Observations(*(rng.integers(3, size=(4, 6)) for _ in range(4)))
    for which in (np.array([1, 4]), np.array([False, True, False, False, True, False])):
        part = audit.select(seen, which)
        assert isinstance(part, Observations)
        for some, every in zip(part, seen, strict=True):
            np.testing.assert_array_equal(some, every[:, [1, 4]])


def test_exposure_by_hand_once_from_even_and_once_from_odd_shadows():
    status, confidence = np.full((8, 3), NEVER), np.ones((8, 3))
    status[[0, 2], 0], confidence[::2, 0] = UNLEARNED, [3, 5, 1, 1]  # 4 where unlearned, 1 where not
    status[[4, 6], 1], confidence[::2, 1] = UNLEARNED, [0, 2, 2, 2]  # 2 and 1
    status[[1, 3, 5], 1], confidence[1::2, 1] = UNLEARNED, [0, 1, 2, -3]  # 1 and -3
    status[[1, 3], 0], confidence[1::2, 0] = RETAINED, [70, 80, 1, 3]  # loud, but not asked
    even, odd = audit.exposure(made_up(status, confidence=confidence))
    np.testing.assert_allclose(even, [3 / (4 / 12) ** 0.5, 1 / (4 / 12) ** 0.5,
                                      np.nan])  # residuals: four of 1 and eight of 0
    np.testing.assert_allclose(odd, [np.nan, 4 / (4 / 10) ** 0.5, np.nan])
    retained = audit.exposure(made_up(status, confidence=confidence), RETAINED)
    assert np.isnan(retained[0]).all()
    assert retained[1, 0] == pytest.approx((75 - 2) / (52 / 9) ** 0.5)


def test_the_two_halves_of_exposure_do_not_share_a_shadow():
    seen = simulated(7, 1.0)
    changed = seen._replace(confidence=seen.confidence.copy())
    changed.confidence[1::2] += np.random.default_rng(0).normal(size=changed.confidence[1::2].shape)
    before, after = audit.exposure(seen), audit.exposure(changed)
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1] != after[1]).all()


# --- shadow models ------------------------------------------------------------------------------------------


def test_shadows_are_the_experiment_on_halves_of_their_own():
    e = Experiment(method="retrain", reweight=True, ratio=0.3, overrides={"epochs": 3})
    found = audit.shadows(e, 5)
    assert [s.seed for s in found] == list(range(5))
    assert all(s.half for s in found)
    assert {(s.method, s.reweight, s.ratio, s.groups, s.optimisation.epochs)
            for s in found} == {("retrain", True, 0.3, "default", 3)}
    assert len({tuple(load_split(s)[0].train.x.sum((1, 2, 3)).tolist()) for s in found}) == 5
    assert len(audit.shadows(e)) == audit.SHADOWS


@pytest.fixture(scope="module")
def observed(here):
    """One shadow of fine-tuning on Groundwear's few pictures, and what it says of all of them."""
    e = Experiment(method="finetune", seed=3, half=True, overrides={"epochs": 2})
    return e, observe(e, here)


def test_who_is_unlearned_retained_and_never_seen_is_what_the_split_says(observed):
    e, seen = observed
    (splits, split, _), whole = load_split(e), data.load(e.dataset).train
    assert seen.status.shape == (1, len(whole))
    status = seen.status[0]
    half = half_of(whole, e.seed)
    assert [(status == k).sum() for k in (RETAINED, UNLEARNED)] == [len(split.retain), len(split.forget)]
    assert np.flatnonzero(status != NEVER).tolist() == half.tolist()
    assert torch.equal(whole.x[status == UNLEARNED], split.forget.x)
    assert torch.equal(whole.x[status == RETAINED], split.retain.x)
    assert (whole.group[status == UNLEARNED] == whole.group_id(splits.forget_group)).all()


def test_confidence_and_loss_are_the_model_s_on_every_sample_seen_or_not(observed, here):
    e, seen = observed
    model, whole = trained(e, here), data.load(e.dataset).train
    logits = predict(model, model, whole.x).double()
    p = logits.softmax(1)[torch.arange(len(whole)), whole.y].numpy()
    np.testing.assert_allclose(seen.confidence[0], np.log(p / (1 - p)), rtol=1e-6)
    np.testing.assert_allclose(seen.loss[0], np.log(p), rtol=1e-6)


def test_the_forest_is_the_one_of_the_metric(observed, here):
    e, seen = observed
    forgotten = seen.forest[seen.status == UNLEARNED]
    expected = run(e, here).metrics["MIA"]
    assert (forgotten <= 0.5).mean() == pytest.approx(expected,
                                                      abs=1.01 / len(forgotten))  # losses differ by rounding
    assert 0 <= seen.forest.min() < 0.5 < seen.forest.max() <= 1


def test_a_model_that_is_sure_beyond_rounding_has_a_finite_confidence(observed, here, monkeypatch):
    e, seen = observed
    model = trained(e, here)
    model.head.weight *= 1000
    model.head.bias *= 1000
    monkeypatch.setattr(audit, "trained", lambda *_: model)
    sure = observe(e, here)
    assert np.isfinite(sure.confidence).all()
    np.testing.assert_allclose(sure.confidence, 1000 * seen.confidence, rtol=1e-3)


def test_observing_again_gives_the_same_bits_from_the_store_and_afresh(observed, here, tmp_path):
    e, seen = observed
    for store in (here, tmp_path):
        for one, other in zip(observe(e, store), seen, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def shadows(here):
    """Twelve shadow models each of PRETRAIN, which unlearns nothing, and of RETRAIN, on noise."""
    return {method: audit.observe_all(on_noise(method), N_SHADOWS, here, progress=False)
            for method in ("pretrain", "retrain")}


def test_rows_are_shadows_in_order(shadows, here):
    alone = observe(on_noise("retrain", seed=4, half=True), here)
    for one, every in zip(alone, shadows["retrain"], strict=True):
        assert every.shape == (N_SHADOWS, 80)
        np.testing.assert_array_equal(one[0], every[4])


@pytest.mark.parametrize("attack", audit.ATTACKS)
def test_a_model_that_kept_what_it_should_forget_is_caught_and_one_that_never_saw_it_is_not(shadows, attack):
    kept, never_saw = (judge(shadows[method], attack)["AUC"] for method in ("pretrain", "retrain"))
    assert kept.low > 0.75
    assert never_saw.low < 0.5 < never_saw.high
    assert judge(shadows["retrain"], attack, RETAINED)["AUC"].low > 0.5  # it is the unlearned that are safe
    control = judge(audit.never_again(shadows["pretrain"]), attack)["AUC"]
    assert control.low < 0.5 < control.high


def test_the_audit_has_a_row_for_every_attack_whom_it_looks_for_and_group():
    e = Experiment(method="retrain")
    train = data.load(e.dataset).train
    rng = np.random.default_rng(0)
    status = rng.choice(3, (12, len(train)), p=(0.5, 0.25, 0.25))
    seen = made_up(status, **{k: rng.normal(size=status.shape) + (status == RETAINED)
                              for k in Observations._fields[1:]})
    table = audit.audit(e, seen)
    asking, others = train.group_names[3], train.group_names[:3]
    assert table.value_counts(["group", "who"]).to_dict() == {
        (asking, "unlearned"): 3, (asking, "never"): 3, **{(g, "retained"): 3 for g in (*others, asking)}}
    assert list(table) == ["attack", "who", "group", "n", "n_never", "shadows",
                           *(f"{m}{end}" for m in audit.MEASURES for end in ("", " low", " high"))]
    assert set(table.shadows) == {12}
    for group, name in enumerate(train.group_names):
        part = audit.select(seen, (train.group == group).numpy())
        for (who, attack), row in table[table.group == name].set_index(["who", "attack"]).iterrows():
            those = audit.never_again(part) if who == "never" else part
            kind = RETAINED if who == "retained" else UNLEARNED
            assert (row["n"], row["n_never"]) == ((those.status == kind).sum(), (those.status == NEVER).sum())
            expected = judge(those, attack, kind)
            assert [row["AUC"], row["AUC low"], row["AUC high"]] == pytest.approx(expected["AUC"][:3])
            assert row["TPR at 5% FPR"] == pytest.approx(expected["TPR at 5% FPR"].mean)


def test_every_group_that_asks_is_audited():
    e = Experiment(method="retrain", groups=((0, 0), (1, 1)))
    n = len(data.load(e.dataset).train)
    rng = np.random.default_rng(0)
    seen = made_up(rng.choice(3, (12, n), p=(0.5, 0.25, 0.25)),
                   **{k: rng.normal(size=(12, n)) for k in Observations._fields[1:]})
    names = data.load(e.dataset).train.group_names
    assert set(audit.audit(e, seen).query("who == 'unlearned'").group) == {names[0], names[3]}


# --- distances ----------------------------------------------------------------------------------------------


def test_equal_answers_have_no_distance_even_if_logits_are_shifted():
    logits = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    assert audit.output_distances(logits, logits.clone()) == {"KL": 0, "TV": 0, "disagreement": 0}
    shifted = audit.output_distances(logits, logits + torch.arange(20.0)[:, None])
    assert shifted == pytest.approx({"KL": 0, "TV": 0, "disagreement": 0}, abs=1e-5)


def test_distances_of_outputs_by_hand_and_against_pytorch():
    p, q = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    by_hand = {"KL": 0.25 * np.log(3), "TV": 0.25, "disagreement": 0.5}
    assert audit.output_distances(q.log(), p.log()) == pytest.approx(by_hand)
    rng = torch.Generator().manual_seed(1)
    one, other = (factor * torch.randn(50, 4, generator=rng) for factor in (1, 4))
    found = audit.output_distances(one, other)
    theirs = functional.kl_div(one.log_softmax(1), other.log_softmax(1), reduction="batchmean",
                               log_target=True)
    assert found["KL"] == pytest.approx(theirs.item(), rel=1e-5)
    assert found["KL"] != pytest.approx(audit.output_distances(other, one)["KL"], rel=0.01)
    assert found["disagreement"] == (one.argmax(1) != other.argmax(1)).float().mean()


def test_gold_standards_to_compare_with_are_of_the_same_split_and_of_other_seeds(monkeypatch, here):
    e = Experiment(method="finetune", seed=2, ratio=0.9)
    others = audit.golds_of(e)
    assert len(others) == audit.GOLDS == 3
    assert {(o.method, o.reweight, o.ratio) for o in others} == {("retrain", True, 0.9)}
    for other in others:
        assert torch.equal(load_split(other)[1].forget_index, load_split(e)[1].forget_index)
    # so even a gold standard is never compared with itself, nor with that of another seed's split
    seeds = [o.seed for s in range(10) for o in audit.golds_of(Experiment(seed=s))]
    assert len(set(seeds)) == 30
    assert not set(seeds) & set(range(10))
    monkeypatch.setattr(audit, "GOLDS", 1)
    (other,) = audit.golds_of(e)
    assert not same_state(trained(other, here).state_dict(), trained(e.gold, here).state_dict())


def test_the_gold_standards_of_a_second_training_are_on_its_split():
    again = Experiment(method="miu", seed=7, split_seed=2)
    assert {o.split_seed for o in audit.golds_of(again)} == {2}


def test_too_few_shadows_are_refused_with_their_number():
    with pytest.raises(ValueError, match="2 shadow models are too few"):
        judge(made_up([[NEVER, UNLEARNED], [UNLEARNED, NEVER]]))


def test_distances_are_means_over_gold_standards(monkeypatch, here):
    monkeypatch.setattr(audit, "GOLDS", 2)
    e = Experiment(method="finetune", overrides={"epochs": 1})
    rows = audit.distances(e, here)
    table = pd.DataFrame(rows).set_index("measure")
    assert list(table.index) == [*METRICS, "WG", *(f"{what}, {where}" for where in ("forget", "test")
                                                   for what in ("KL", "TV", "disagreement"))]
    about = {"dataset": "groundwear", "method": "finetune", "reweight": False, "ratio": 0.5, "seed": 0}
    assert all(about.items() <= row.items() for row in rows)
    ours, *golds = (run(x, here) for x in (e, *audit.golds_of(e)))
    for name in (*METRICS, "WG"):
        assert table.distance[name] == pytest.approx(np.mean([abs(ours.metrics[name] - g.metrics[name])
                                                              for g in golds]))
    splits, split, _ = load_split(e)
    for where, x in (("forget", split.forget.x), ("test", splits.test.x)):
        answers = [predict(r.model, r.model, x).log_softmax(1) for r in (ours, *golds)]
        kl = np.mean([functional.kl_div(answers[0], a, reduction="batchmean", log_target=True).item()
                      for a in answers[1:]])
        assert table.distance[f"KL, {where}"] == pytest.approx(kl, rel=1e-4)
        wrong = [(answers[0].argmax(1) != a.argmax(1)).float().mean().item() for a in answers[1:]]
        assert table.distance[f"disagreement, {where}"] == pytest.approx(np.mean(wrong))


def test_two_gold_standards_are_not_the_same_so_the_noise_floor_is_above_zero(monkeypatch, here):
    monkeypatch.setattr(audit, "GOLDS", 1)
    floor = {row["measure"]: row["distance"] for row in audit.distances(Experiment().gold, here)}
    assert floor["KL, forget"] > 0
    assert floor["TV, test"] > 0


# --- relearning ---------------------------------------------------------------------------------------------


def test_relearning_begins_where_the_model_is_and_gets_there():
    forget = toy([[15, 0], [0, 15]], spread=0.3)
    model = small_network().eval().requires_grad_(False)
    right = (model(forget.x).argmax(1) == forget.y).float().mean().item()
    curve = audit.relearn(model, forget, 60, lr=0.05)
    assert len(curve) == 61
    assert curve[0] == pytest.approx(right)
    assert right < 0.9
    assert curve[-1] == 1


def test_relearning_leaves_the_model_that_it_is_given():
    forget = toy([[15, 0], [0, 15]])
    model = small_network().eval().requires_grad_(False)
    before = state_of(model)
    curve = audit.relearn(model, forget, 5)
    assert same_state(state_of(model), before)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert audit.relearn(model, forget, 5) == curve


def test_each_step_of_relearning_sees_the_whole_forget_set():
    forget = toy([[9, 0], [0, 8]])
    model = small_network()
    audit.relearn(model, forget, 1)  # as its batch norm counts them: one step, none while looking
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, x: seen.append((module.training, len(x[0]))))
    audit.relearn(model, forget, 3)  # the copy keeps the hook
    assert [n for training, n in seen if training] == [17, 17, 17]
    assert len([n for training, n in seen if not training]) == 4


def test_relearning_counts_steps_until_pretrain_s_accuracy_on_the_forget_set(here):
    e = Experiment(method="retrain", overrides={"epochs": 1, "warmup_epochs": 0})
    row = audit.relearning(e, here)
    curve = audit.relearn(trained(e, here), load_split(e)[1].forget, audit.STEPS)
    target = run(e.original, here).metrics["UA"]
    assert row["target"] == target
    assert curve[0] < target
    assert row["steps"] == next(i for i, accuracy in enumerate(curve) if accuracy > target - 1e-4) > 0
    assert [row[f"UA_{i}"] for i in (0, 1, 8, 100)] == [curve[i] for i in (0, 1, 8, 100)]
    assert {"dataset": "groundwear", "method": "retrain", "reweight": False, "ratio": 0.5,
            "seed": 0}.items() <= row.items()


def test_pretrain_needs_no_step_and_who_never_gets_there_one_more_than_were_taken(here, monkeypatch):
    monkeypatch.setattr(audit, "STEPS", 3)
    monkeypatch.setattr(audit, "SHOWN_STEPS", (0, 3))
    assert audit.relearning(Experiment(method="pretrain"), here)["steps"] == 0
    monkeypatch.setattr(audit, "relearn", lambda *_: [0.0] * 4)
    monkeypatch.setattr(audit, "run", lambda *_: SimpleNamespace(metrics={"UA": 0.5}))
    assert audit.relearning(Experiment(method="pretrain"), here)["steps"] == 4


def test_the_command_prints_a_row_an_attack_and_group(here, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(here))
    arguments = ["audit", "--method", "retrain", "--dataset", "groundwear", "--shadows", "12", "--jobs", "1"]
    assert main(arguments) == 0
    head, _, columns, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("retrain on groundwear, ratio 0.5, 12 shadow models, ")
    assert columns.split()[:5] == ["attack", "who", "group", "n", "n_never"]
    # three attacks: retained of four groups, unlearned and never of the one that asks
    assert len(rows) == 3 * (4 + 2)


def test_the_command_refuses_too_few_shadows_and_unknown_methods_in_a_sentence(here, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(here))
    assert main(["audit", "--method", "retrain", "--dataset", "groundwear", "--shadows", "2", "--jobs",
                 "1"]) == 2
    assert "too few" in capsys.readouterr().err
    assert main(["audit", "--method", "miau"]) == 2
    assert "unknown method 'miau'" in capsys.readouterr().err
