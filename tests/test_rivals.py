"""The rivals: what defines each by hand, what they may look at, and how their settings are searched."""

import copy
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import context_of, same_state, small_network, state_of, toy
from torch.nn.functional import cross_entropy

from grmu import data, methods, models, training, unlearn
from grmu.analysis import grids, rivals, search, shipped_tables, tuning
from grmu.data import split_forget
from grmu.experiments import Experiment, run, train_or_load
from grmu.methods import AFR, DFR, JTT, LISA, SELF, Retrain
from grmu.training import Batch, TrainConfig, predict

QUICK = TrainConfig(epochs=3, lr=0.1, batch_size=16)
LAST_LAYER = pytest.mark.parametrize("name", ["dfr", "afr", "self"])
EVERY = pytest.mark.parametrize("name", rivals.RANGES)


def context_for(method, train, split, config=QUICK):
    """The method's context, and the model that it goes on from, which has learnt the retain set a little."""
    context = context_of(train, split, TrainConfig(epochs=4, lr=0.05, batch_size=16))
    training.train(Retrain(), context)
    before = context.model.eval()
    fresh = method.init_from is None
    context = context_of(train, split, config, original=None if fresh else before,
                         model=small_network() if fresh else copy.deepcopy(before).requires_grad_(True))
    return context, before


def ready(method, *arguments):
    """The same after setup."""
    context, before = context_for(method, *arguments)
    method.setup(context)
    return context, before


def batch_of(dataset, rows):
    index = torch.tensor(rows)
    return Batch(dataset.x[index], dataset.y[index], dataset.group[index], index)


def shares(logits):
    e = np.exp(logits.detach().double().numpy())
    return e / e.sum(1, keepdims=True)


# --- what all of them promise -------------------------------------------------------------------------------


@EVERY
def test_a_rival_never_looks_at_the_forget_set(name, train, split):
    class Closed:
        def __getattr__(self, what):
            raise AssertionError(f"looked at {what} of the forget set")

        def __len__(self):
            return 6  # it has samples, if one asks

    method = methods.get(name)()
    context = context_of(train, split, QUICK, original=small_network(seed=1), model=small_network(seed=1))
    context.forget, context.train = Closed(), replace(train, x=torch.zeros_like(train.x))
    method.context = context
    training.train(method, context)
    assert method.trains_on == "retain"
    assert method.forget_epochs == 0


@LAST_LAYER
def test_the_body_stays_to_the_bit_and_the_head_moves(name, train, split):
    method = methods.get(name)()
    context, before = context_for(method, train, split)
    training.train(method, context)
    for key, value in state_of(before).items():
        assert torch.equal(value, context.model.state_dict()[key]) == (not key.startswith("head")), key


@LAST_LAYER
def test_features_are_computed_once_and_shown_in_place_of_samples(name, train, split):
    method, seen = methods.get(name)(), []
    context, before = ready(method, train, split)
    expected = predict(before.features, before, split.retain.x)
    torch.testing.assert_close(method.z, expected)
    context.model.backbone.register_forward_hook(lambda *_: seen.append(1))
    for batch in training.batches(context.retain, QUICK, context.rng):
        method.retain_loss(batch).backward()
    assert seen == []


@LAST_LAYER
def test_the_head_goes_on_from_the_model_that_is_named(name):
    e = Experiment(method=name, ratio=0.3, seed=4)
    assert (e.start.method, e.start.reweight, e.start.ratio, e.start.seed) == ("retrain", False, 0.3, 4)
    assert Experiment(method=name, overrides={"of": "finetune"}).start.method == "finetune"
    with pytest.raises(ValueError, match=r"of must be one of retrain, finetune, .*, got 'pretrain'"):
        Experiment(method=name, overrides={"of": "pretrain"})


@LAST_LAYER
def test_a_run_shares_its_body_with_the_run_that_it_goes_on_from(name, few_pictures, store):
    short = {"epochs": 2, "warmup_epochs": 0}
    e = Experiment(method=name, pretraining=short, overrides={"epochs": 2})
    actual, before = run(e, store), train_or_load(e.start, store)
    after = state_of(actual.model)
    assert all(torch.equal(v, after[k]) for k, v in state_of(before).items() if not k.startswith("head"))
    assert not torch.equal(before.head.weight, actual.model.head.weight)
    assert len(actual.curves) == 2


@LAST_LAYER
def test_a_network_of_ones_own_gets_another_last_layer(name):
    parts = [toy([[40, 20], [20, 12]], seed=seed) for seed in range(3)]
    network = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    split = split_forget(parts[0], 0.5, [(1, 1)])
    actual = unlearn(network, data.Splits(*parts, (1, 1)), split.forget_index, methods.get(name)(), "2",
                    reweight=False, config=QUICK).model
    assert torch.equal(actual[0].weight, network[0].weight)
    assert not torch.equal(actual[2].weight, network[2].weight)


# --- DFR ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_dfr_draws_every_group_that_is_left_equally_often(train, ratio):
    split = split_forget(train, ratio, [(1, 1)])
    method, counts = DFR(), np.zeros(4)
    context, _ = ready(method, train, split)
    for _ in range(30):
        for batch in training.batches(context.retain, QUICK, context.rng, method.sample_epoch()):
            counts += np.bincount(batch.group, minlength=4)
    left = np.unique(split.retain.group)
    assert counts.sum() == counts[left].sum() == 30 * len(split.retain)
    assert abs(counts[left] - counts.sum() / len(left)).max() < 4 * math.sqrt(counts.sum() / len(left))


def test_dfr_begins_with_an_empty_head_and_pays_for_its_absolute_weights(train, split):
    method = DFR(penalty=0.2)
    context, _ = ready(method, train, split)
    head, batch = context.model.head, batch_of(context.retain, range(10))
    assert not head.weight.any()
    assert not head.bias.any()
    assert method.retain_loss(batch).item() == pytest.approx(math.log(2))
    with torch.no_grad():
        head.weight += torch.arange(12).view(2, 6) / 10 - 0.5
        head.bias += 3.0
    penalty = 0.2 * (5 + 4 + 3 + 2 + 1 + 1 + 2 + 3 + 4 + 5 + 6) / 10
    expected = cross_entropy(head(method.z[batch.index]), batch.y).item() + penalty
    assert method.retain_loss(batch).item() == pytest.approx(expected)


# --- AFR ----------------------------------------------------------------------------------------------------


def test_afrs_weights_and_pull_are_those_by_hand(train, split):
    method = AFR(gamma=3.0, lam=0.5)
    context, before = ready(method, train, split)
    y = split.retain.y.numpy()
    p = shares(before(split.retain.x))[np.arange(len(y)), y]
    weights = np.exp(-3 * p) / np.bincount(y)[y]
    weights /= weights.mean()
    np.testing.assert_allclose(method.weights, weights, rtol=1e-4)
    assert weights[p.argmin()] > 3 * weights[p.argmax()]
    with torch.no_grad():
        context.model.head.weight += 0.1  # 12 numbers
        context.model.head.bias -= 0.3  # 2 numbers
    rows = [7, 3, 80, 41]
    ce = cross_entropy(context.model.head(method.z[rows]), split.retain.y[rows], reduction="none")
    expected = (weights[rows] * ce.detach().numpy()).mean() + 0.5 * (12 * 0.01 + 2 * 0.09)
    assert method.retain_loss(batch_of(context.retain, rows)).item() == pytest.approx(expected, rel=1e-4)


def test_afr_with_gamma_0_only_balances_the_classes_and_its_weights_do_not_follow_the_head(train, split):
    method = AFR(gamma=0.0)
    context, _ = ready(method, train, split)
    totals = torch.zeros(2).index_add_(0, split.retain.y, method.weights)
    np.testing.assert_allclose(totals, [43, 43], rtol=1e-5)  # halves of 86
    before = method.weights.clone()
    with torch.no_grad():
        context.model.head.weight += 1.0
    method.retain_loss(batch_of(context.retain, range(9)))
    assert torch.equal(method.weights, before)


def test_a_strong_pull_keeps_the_old_head(train, split):
    moved = []
    for lam in (0.0, 4.0):
        method = AFR(lam=lam)
        context, before = context_for(method, train, split, replace(QUICK, epochs=20, lr=0.05, momentum=0.0))
        training.train(method, context)
        moved.append((context.model.head.weight - before.head.weight).norm().item())
    assert moved[1] < 0.5 * moved[0]


@LAST_LAYER
def test_of_the_model_the_head_alone_is_trained(name, train, split):
    context, _ = ready(methods.get(name)(), train, split)
    learns = {of for of, weight in context.model.named_parameters() if weight.requires_grad}
    assert learns == {"head.weight", "head.bias"}


# --- SELF ---------------------------------------------------------------------------------------------------


def test_selfs_disagreement_set_is_the_one_by_hand(train, split, monkeypatch):
    early = small_network(seed=9).eval()
    monkeypatch.setattr(SELF, "early", lambda self, context: early)
    method = SELF(n_points=5)
    _, before = ready(method, train, split)
    p, q = shares(before(split.retain.x)), shares(early(split.retain.x))
    kl = (p * np.log(p / q)).sum(1)
    np.testing.assert_allclose(method.disagreement, kl, rtol=1e-3, atol=1e-6)
    y = split.retain.y.numpy()
    expected = {row for c in (0, 1) for row in sorted(np.flatnonzero(y == c), key=lambda i: -kl[i])[:5]}
    assert set(method.chosen.tolist()) == expected
    drawn = torch.cat([method.sample_epoch() for _ in range(50)]).bincount(minlength=86)
    assert set(drawn.nonzero().flatten().tolist()) == expected
    np.testing.assert_allclose(drawn[method.chosen] / drawn.sum(), 0.1, atol=0.02)


def test_self_takes_no_more_of_a_class_than_the_smallest_has(train, split):
    method = SELF(n_points=1000)
    ready(method, train, split)
    counts = torch.bincount(split.retain.y[method.chosen])
    assert counts.tolist() == [26, 26]  # 20 and 6 are left of class 1


def test_selfs_early_model_is_a_brief_training_of_fresh_weights_on_the_retain_set(train, split):
    method = SELF(early_epochs=4, early_lr=0.05)
    context, before = context_for(method, train, split)
    one, other = method.early(context), method.early(context)
    assert not same_state(state_of(one), state_of(other))  # drawn from the run's generator
    right = [(predict(m, m, split.retain.x).argmax(1) == split.retain.y).float().mean() for m in (one, other)]
    assert min(right) > 0.7
    assert not torch.equal(one.backbone[0].weight, before.backbone[0].weight)


# --- LISA ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intra_label", [True, False])
def test_lisas_partners_share_one_of_label_and_attribute_and_differ_in_the_other(intra_label):
    train = toy([[30, 20, 9], [20, 12, 7]])
    split, method = split_forget(train, 0.5, [(1, 1)]), LISA()
    ready(method, train, split)
    retain, batch = split.retain, batch_of(split.retain, range(len(split.retain)))
    drawn = torch.stack([method.partners(batch, intra_label) for _ in range(200)])
    same_y, same_a = (getattr(retain, k)[drawn] == getattr(retain, k) for k in ("y", "a"))
    assert (same_y if intra_label else same_a).all()
    assert not (same_a if intra_label else same_y).any()
    first = drawn[:, 0]  # evenly from all that are allowed
    allowed = ((retain.y == retain.y[0]) & (retain.a != retain.a[0]) if intra_label
               else (retain.y != retain.y[0]) & (retain.a == retain.a[0])).nonzero().flatten()
    assert set(first.tolist()) == set(allowed.tolist())


def test_lisa_leaves_a_sample_without_partner_as_it_is(train):
    split, method = split_forget(train, 1.0, [(1, 1)]), LISA()
    ready(method, train, split)
    batch = batch_of(split.retain, range(len(split.retain)))
    alone = split.retain.y == 1  # nothing is left of (1, 1)
    actual = method.partners(batch, True)
    assert torch.equal(actual[alone], batch.index[alone])
    assert (actual[~alone] != batch.index[~alone]).all()


def test_lisas_loss_is_that_of_mixed_samples_and_mixed_labels(train, split, monkeypatch):
    method, seen = LISA(intra_label=0.0), []
    context, _ = ready(method, train, split)
    retain, batch = split.retain, batch_of(split.retain, range(12))
    monkeypatch.setattr(LISA, "partners",
                        lambda self, batch, intra_label: seen.append(intra_label) or batch.index + 20)
    context.model.eval()
    state = context.rng.get_state()
    actual = method.retain_loss(batch).item()
    context.rng.set_state(state)
    torch.rand(1, generator=context.rng)  # the coin
    t = torch.rand(3, 12, generator=context.rng).sort(0).values[1]
    logits = context.model(t[:, None] * batch.x + (1 - t[:, None]) * retain.x[20:32])
    log_p = np.log(shares(logits))
    y, other = batch.y.numpy(), retain.y[20:32].numpy()
    rows, t = np.arange(12), t.numpy()
    assert actual == pytest.approx(-(t * log_p[rows, y] + (1 - t) * log_p[rows, other]).mean(), rel=1e-4)
    assert seen == [False]


def test_lisa_chooses_between_its_two_mixtures_by_a_coin_for_each_batch(train, split, monkeypatch):
    method, seen = LISA(intra_label=0.25), []
    ready(method, train, split)
    monkeypatch.setattr(LISA, "partners",
                        lambda self, batch, intra_label: seen.append(intra_label) or batch.index)
    for _ in range(400):
        method.retain_loss(batch_of(split.retain, range(4)))
    assert 0.17 < np.mean(seen) < 0.33


@pytest.mark.parametrize("augment", [True, False])
def test_lisa_mixes_pictures_as_the_network_scales_them_and_moves_partners_too(few_pictures, augment):
    e = Experiment(method="lisa", overrides={"augment": augment})
    splits = e.load()
    split = split_forget(splits.train, 0.5, [splits.forget_group])
    model, seen = models.build(e.network, splits.train, 0), []
    context = context_of(splits.train, split, e.config, model=model)
    method = e.make_method()
    method.setup(context)
    model.scaled = lambda x: seen.append(x) or type(model).scaled(model, x)
    batch = batch_of(split.retain, range(40))
    method.retain_loss(batch)
    ours, partners, mixed = seen
    assert torch.equal(ours, batch.x)
    assert partners.dtype == torch.uint8
    stored = {tuple(picture.flatten().tolist()) for picture in split.retain.x}
    kept = sum(tuple(picture.flatten().tolist()) in stored for picture in partners)
    assert kept < 10 if augment else kept == 40
    assert mixed.is_floating_point()
    low, high = torch.minimum(*map(model.scaled, (ours, partners))), torch.maximum(
        *map(model.scaled, (ours, partners)))
    assert ((mixed >= low - 1e-6) & (mixed <= high + 1e-6)).all()
    assert (mixed != low).any()


def test_lisa_does_not_mix_token_ids(train, split):
    tokens = replace(split.retain, x=torch.zeros(len(split.retain), 2, 8, dtype=torch.int16))
    context = context_of(train, split, QUICK)
    context.retain = tokens
    with pytest.raises(ValueError, match=r"lisa mixes samples, and torch.int16 samples .* another method"):
        LISA().setup(context)


# --- JTT ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "where"), [(SELF(early_epochs=3, early_lr=0.25), "selective"),
                                               (JTT(first_epochs=3), "jtt")])
def test_a_first_training_is_short_at_a_constant_rate_and_draws_all_alike(method, where, train, split,
                                                                         monkeypatch):
    config = TrainConfig(epochs=9, lr=0.25, batch_size=7, warmup_epochs=2)
    context, _ = context_for(method, train, split, config)
    context.weights, seen = torch.full((len(split.retain),), 1 / len(split.retain)), []
    monkeypatch.setattr(f"grmu.methods.{where}.train", lambda *asked: seen.append(asked))
    method.setup(context)
    ((how, first),) = seen
    assert isinstance(how, Retrain)
    assert (first.config.epochs, first.config.lr, first.config.batch_size) == (3, 0.25, 7)
    assert (first.config.schedule, first.config.warmup_epochs, first.weights) == ("constant", 0, None)
    assert first.model is not context.model


def test_jtt_draws_the_errors_of_its_first_model_up_times_as_often(train, split):
    method = JTT(first_epochs=1, up=7.0)
    config = TrainConfig(epochs=3, lr=0.01, batch_size=16, warmup_epochs=1)
    context, _ = ready(method, train, split, config)
    first = context_of(train, split, TrainConfig(epochs=1, lr=0.01, batch_size=16, schedule="constant"),
                       model=small_network())
    training.train(Retrain(), first)  # as by hand
    wrong = predict(first.model, first.model, split.retain.x).argmax(1) != split.retain.y
    assert 3 < wrong.sum() < 80
    assert torch.equal(method.weights, torch.where(wrong, 7.0, 1.0))
    drawn = torch.cat([wrong[method.sample_epoch()] for _ in range(50)]).float().mean().item()
    assert drawn == pytest.approx((7 * wrong.sum() / (7 * wrong.sum() + (~wrong).sum())).item(), abs=0.03)
    assert same_state(state_of(context.model), state_of(small_network()))  # the second training begins afresh


def test_jtt_that_draws_errors_once_is_retraining_with_even_draws(train, split):
    method = JTT(up=1.0)
    ready(method, train, split)
    assert method.weights.unique().tolist() == [1.0]


@pytest.mark.parametrize(("setting", "message"), [
    ({"up": 0.5}, "up must be a number from 1 to"), ({"first_epochs": 0}, "first_epochs must be a whole")])
def test_jtt_refuses_what_would_not_be_jtt(setting, message):
    with pytest.raises(ValueError, match=message):
        JTT(**setting)


# --- the search ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "name"), rivals.SEARCHED)
def test_every_rival_has_24_trials_that_it_accepts_on_seeds_that_nobody_reports(dataset, name):
    pool = rivals.RivalPool(dataset, name)
    runs = [pool.experiment(n, ratio, seed) for n in range(24) for ratio, seed in pool.stages[1][1]]
    assert len(pool.trials) == tuning.TRIALS == 24
    assert len(set(runs)) == 24 * 6
    assert {(e.dataset, e.method, e.reweight) for e in runs} == {(dataset, name, False)}
    assert not {e.seed for e in runs} & {e.seed for grid in grids.GRIDS.values() for e in grid()}


def test_the_best_six_of_24_are_run_on_three_seeds_and_the_best_of_these_is_chosen(monkeypatch):
    asked = []

    def made_up(experiment, store=None):
        asked.append(experiment)
        s = experiment.settings
        return abs(math.log(s["lr"] / 0.05)) + 0.01 * (experiment.seed - 100) + 0.1 * experiment.ratio

    monkeypatch.setattr(tuning, "score", made_up)
    table = rivals.rivals_search()
    n_pools = len(rivals.SEARCHED)
    assert len(asked) == n_pools * (24 + 6 * 6 - 6)
    assert len(set(asked)) == len(asked)
    assert table.score_1.notna().all()
    for _, part in table.groupby(["dataset", "arm"]):
        assert len(part) == 24
        assert part.score_2.notna().sum() == 6
        assert part[part.chosen].index.tolist() == [part.score_2.idxmin()]
        assert set(part.score_1.nsmallest(6).index) == set(part.score_2.dropna().index)


@EVERY
def test_a_rival_is_scored_by_its_worst_group_on_validation_data(name, monkeypatch):
    monkeypatch.setattr(search, "run", lambda e, store: type("R", (), {"metrics": {"val_WG": 0.8}}))
    assert search.score(Experiment(method=name)) == pytest.approx(0.2)


# --- what was found -----------------------------------------------------------------------------------------


def test_who_left_is_brought_back_where_ua_gains_more_than_ga():
    rows = made_up_rows()
    mine = (rows.dataset == "groundwear") & (rows.method == "afr")
    rows.loc[mine, "UA"] += 0.3
    actual = rivals.brought_back("groundwear", rows)
    plain = rivals.brought_back("groundwear", made_up_rows())
    moved = (actual["mean"] - plain["mean"]).round(9)
    assert moved[moved != 0].index.tolist() == [what for what in moved.index if what.startswith("AFR")]
    assert set(moved) == {0.0, 30.0}


def made_up_rows(lift=0.0):
    """The grid's rows: accuracies of data set, ratio and seed, and `lift` more for DFR after RETRAIN."""
    rows = []
    for e in grids.GRIDS["rivals"]():
        of = e.overrides.get("of")
        base = 0.5 + 0.01 * e.seed + 0.1 * (e.dataset == "groundwear") - 0.2 * e.ratio
        own = 0.002 * math.sin(3 * e.seed + len(e.method)) * (e.method != "retrain" or not e.reweight)
        more = lift * (e.method == "dfr" and of == "retrain")
        rows.append({"dataset": e.dataset, "method": e.method, "reweight": e.reweight, "ratio": e.ratio,
                     "seed": e.seed, "of": of, "GA": base + own + more * e.ratio, "UA": base - own})
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_each_arm_is_compared_with_the_gold_standard_of_its_seed_data_and_ratio():
    actual = rivals.comparisons(made_up_rows(lift=0.2)).set_index(["dataset", "measure", "what"])
    assert actual.index.is_unique
    row = actual.loc["groundwear", "GA", "DFR after RETRAIN"]
    assert (row.verdict, row.n, row["mean"]) == ("higher", 5, pytest.approx(14, abs=0.3))
    assert [row[f"ratio {r}"].split()[0] for r in (0.1, 0.5, 0.9)] == ["+2.0", "+10.0", "+18.0"]
    assert actual.loc[("groundwear-memorised", "GA", "DFR after RETRAIN"), "ratio 0.1"] == ""
    rest = actual.drop([(d, "GA", "DFR after RETRAIN") for d in tuning.DATASETS])
    assert set(rest.verdict) == {"not distinguished"}
    assert rest.index.get_level_values("what").nunique() == 17
    assert not (actual.verdict == "equal").any()


def test_last_layer_methods_on_two_models_are_two_arms():
    actual = rivals.comparisons(made_up_rows())
    assert {"adjusted logits after RETRAIN", "adjusted logits after fine-tuning", "SELF after fine-tuning",
            "AFR + REWEIGHT after RETRAIN", "RETRAIN, LISA + REWEIGHT", "RETRAIN, JTT", "RETRAIN",
            "PRETRAIN (do nothing)"} <= set(actual.what)
    assert "RETRAIN + REWEIGHT" not in set(actual.what)


def test_the_presets_are_what_the_search_chose():
    table = shipped_tables.read("rivals_search")
    assert table.groupby(["dataset", "arm"]).chosen.sum().to_dict() == dict.fromkeys(rivals.SEARCHED, 1)
    for row in table[table.chosen].to_dict("records"):
        settings = Experiment(row["dataset"], row["arm"]).settings
        names = rivals.RANGES[row["arm"]]
        assert {n: settings[n] for n in names} == {n: pytest.approx(row[n]) for n in names}
    for dataset, names in {"groundwear-memorised": ("lisa", "jtt"), "groundwear-many": rivals.RANGES}.items():
        for name in names:  # searched on groundwear alone
            ours, theirs = (Experiment(where, name).settings for where in (dataset, "groundwear"))
            assert {n: ours[n] for n in rivals.RANGES[name]} == {n: theirs[n] for n in rivals.RANGES[name]}


def test_the_shipped_search_has_the_trials_of_its_design_and_the_best_was_chosen():
    table = shipped_tables.read("rivals_search")
    for dataset, name in rivals.SEARCHED:
        own, names = table[(table.dataset == dataset) & (table.arm == name)], list(rivals.RANGES[name])
        planned = rivals.RivalPool(dataset, name).trials
        assert sorted(own[names].itertuples(index=False, name=None)) == sorted(
            tuple(float(trial[n]) for n in names) for _, trial in planned)
        assert own[own.chosen].index.tolist() == [own.score_2.idxmin()]
        assert own.score_2.notna().sum() == 6
