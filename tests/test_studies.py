"""The studies beside the grids: what they tabulate is what the runs are, and they are written and read like
the results."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import few_epochs

from grmu.analysis import attacks, audit, layers, rivals, sentences, shadows, shipped_tables, studies
from grmu.analysis.efficacy import DIFFERENCES
from grmu.analysis.grids import SEEDS
from grmu.analysis.groupings import agreement, alpha_of
from grmu.analysis.names import label
from grmu.analysis.studies import attack_accuracy
from grmu.discover import GROUPINGS, infer, layer_features
from grmu.experiments import Experiment, load_split, run, train_or_load
from grmu.reweight import group_weights

AUDITS = ("audit", "efficacy", "stayers", "exposure")
PLAIN = {"dataset": "groundwear", "ratio": 0.5, "seed": 0}


# --- membership ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked(few_pictures, here):
    """One model's row, from twice the same forest, and its losses by hand."""
    experiment = Experiment(method="pretrain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "FOREST_SEEDS", (0, 0))
        row = studies.membership_of(experiment, here)
    splits, split, _ = load_split(experiment)
    result = run(experiment, here)

    def losses(part):
        with torch.no_grad():
            return -result.model(part.x).log_softmax(1)[torch.arange(len(part)), part.y]

    return row, result, splits, split, losses


def test_membership_says_which_run_it_is_about(attacked):
    row, *_ = attacked
    assert {key: row[key] for key in PLAIN} == PLAIN
    assert (row["method"], row["reweight"]) == ("pretrain", False)


def test_the_auc_is_the_share_of_pairs_in_which_the_forgotten_picture_has_the_lower_loss(attacked):
    row, _, splits, split, losses = attacked
    ours = losses(split.forget)
    theirs = losses(
        splits.test.subset(
            (splits.test.group == splits.test.group_id(splits.forget_group)).nonzero().squeeze(1)
        )
    )
    assert (len(ours), len(theirs)) == (row["n_forget"], 25)
    pairs = (ours[:, None] < theirs).double() + 0.5 * (ours[:, None] == theirs)
    assert row["AUC"] == pytest.approx(pairs.mean().item(),
                                       abs=1.5 / pairs.numel())  # one pair may be a tie but for rounding


def test_mia_is_the_metric_s_mean_over_forests_and_the_same_forest_has_no_spread(attacked):
    row, result, *_ = attacked
    assert row["MIA"] == pytest.approx(result.metrics["MIA"])  # measured with the same forest, seed 0
    assert row["MIA_sd"] == 0


def test_other_forests_bring_a_spread(few_pictures, here, monkeypatch):
    monkeypatch.setattr(studies, "FOREST_SEEDS", (1, 2, 3))
    assert studies.membership_of(Experiment(method="pretrain"), here)["MIA_sd"] > 0


def test_the_attack_is_scored_on_retained_and_validation_losses(attacked):
    row, _, splits, split, losses = attacked
    expected = attack_accuracy(losses(split.retain), losses(splits.val), split.retain.group, splits.val.group)
    assert row["attack"] == pytest.approx(expected, abs=0.02)  # losses differ by rounding, so a split may
    assert row["attack"] != row["AUC"]


def test_membership_has_references_and_miu_on_both_variants(monkeypatch):
    monkeypatch.setattr(studies, "SEEDS", (3, 4))
    monkeypatch.setattr(studies, "membership_of",
                        lambda e, store: {"of": (e.dataset, e.method, e.reweight, e.ratio, e.seed),
                                                                    "attack": 0.1234567})
    table = studies.membership()
    assert len(set(table["of"])) == len(table) == 2 * 2 * 2 * 4
    assert ("groundwear-memorised", "miu", True, 0.9, 4) in set(table["of"])
    assert {(method, reweight) for _, method, reweight, *_ in table["of"]} == {
        ("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True)}
    assert set(table.attack) == {0.12346}


# --- trajectories -------------------------------------------------------------------------------------------


def test_trajectories_begin_at_pretrain_and_end_at_the_run_s_result(few_pictures, here, monkeypatch):
    monkeypatch.setattr(studies, "METHODS", ("finetune", "ssd"))
    monkeypatch.setattr(studies, "SEEDS", (0,))
    table = studies.trajectories(here)
    n_epochs = Experiment(method="finetune").config.epochs
    for (method, reweight, ratio), part in table.groupby(["method", "reweight", "ratio"]):
        experiment = Experiment(method=method, reweight=bool(reweight), ratio=ratio)
        assert part.epoch.tolist() == list(range(n_epochs + 1 if method == "finetune"
                                                 else 2))  # SSD is one stroke
        for which, end in ((experiment.original, part.iloc[0]), (experiment, part.iloc[-1])):
            metrics = run(which, here).metrics
            assert end[["UA", "GA"]].tolist() == pytest.approx([metrics["UA"], metrics["GA"]])
    assert len(table) == 2 * 2 * (n_epochs + 1 + 2)
    assert table.UA.nunique() > 2


def made_up_run(experiment, store=None):
    """Fine-tuning in two epochs: seed 0 and 1 differ by 0.2, UA falls by 0.1 an epoch, GA is UA + 0.01."""
    def at(epoch):
        ua = 0.6 + 0.2 * experiment.seed - 0.1 * epoch - 0.05 * experiment.reweight * epoch
        return {"epoch": epoch, "UA": ua, "GA": ua + 0.01}
    if experiment.method == "pretrain":
        return SimpleNamespace(metrics=at(0))
    return SimpleNamespace(metrics=at(2), curves=pd.DataFrame([at(1), at(2)]
                                                              if experiment.method == "finetune" else []))


def test_trajectories_are_means_over_seeds_epoch_by_epoch(monkeypatch):
    monkeypatch.setattr(studies, "METHODS", ("finetune", "ssd"))
    monkeypatch.setattr(studies, "SEEDS", (0, 1))
    monkeypatch.setattr(studies, "run", made_up_run)
    table = studies.trajectories()
    assert list(table) == ["method", "reweight", "ratio", "epoch", "UA", "GA"]
    one = table[(table.method == "finetune") & table.reweight & (table.ratio == 0.9)]
    assert one.epoch.tolist() == [0, 1, 2]
    assert one.UA.tolist() == pytest.approx([0.7, 0.55, 0.4])
    assert one.GA.tolist() == pytest.approx([0.71, 0.56, 0.41])
    stroke = table[(table.method == "ssd") & ~table.reweight & (table.ratio == 0.5)]
    assert stroke.epoch.tolist() == [0, 1]
    assert stroke.UA.tolist() == pytest.approx([0.7, 0.5])


# --- cost ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Replaces runs by their calls, and their seconds by three pairs: fine-tuning 2, 4, 1 and the method 3,
    4, 30."""
    calls, seconds = [], [2, 3, 4, 4, 1, 30]

    def timed(experiment, store, fresh=False):
        calls.append((experiment.method, fresh))
        return SimpleNamespace(seconds=seconds[sum(was_fresh for _, was_fresh in calls) % 6 - 1])

    monkeypatch.setattr(studies, "run", timed)
    return calls


def test_cost_is_the_median_of_pairs_timed_in_turns(few_pictures, clock, monkeypatch):
    monkeypatch.setattr(studies, "METHODS", ("miu",))
    table = studies.cost().set_index("method")
    assert table.index.tolist() == ["retrain", "group_dro", "rwg", "subg", "miu"]
    assert set(table.seconds) == {4}
    assert set(table.over_finetuning) == {1.5}  # of 1.5, 1 and 30, paired; medians apart would give 4 / 2
    # PRETRAIN first, else the first pair would wait for it; and nothing timed comes from a store
    assert clock[-7:] == [("pretrain", False), *[("finetune", True), ("miu", True)] * 3]


def test_cost_counts_pictures_seen_by_hand(few_pictures, clock, monkeypatch):
    monkeypatch.setattr(studies, "METHODS", ("finetune", "miu"))
    table = studies.cost().set_index("method")
    # 194 pictures, 12 of them forgotten, which leaves 12 in the smallest of four groups
    _, split, _ = load_split(Experiment())
    assert (len(split.retain), len(split.forget), split.retain.group_counts().min()) == (182, 12, 12)
    epochs = {name: Experiment(method=name).config.epochs for name in table.index}
    assert table.epochs.to_dict() == epochs
    assert table.forget_epochs.to_dict() == {"retrain": 0, "group_dro": 0, "rwg": 0, "subg": 0, "finetune": 0,
                                             "miu": Experiment(method="miu").settings["forget_epochs"]}
    an_epoch = pd.Series({"retrain": 182, "group_dro": 182, "rwg": 182, "subg": 48, "finetune": 182,
                          "miu": 182})
    by_hand = (table.epochs * an_epoch + table.forget_epochs * 12) / 194
    assert table.seen.to_dict() == pytest.approx(by_hand.to_dict(), abs=6e-4)


def test_a_method_is_timed_for_real(few_pictures, monkeypatch):
    timed = []

    def only_retrain(experiment, store, fresh=False):
        if experiment.method != "retrain":
            return SimpleNamespace(seconds=0.5)
        result = run(experiment, store, fresh=fresh)
        if fresh:
            timed.append(result.seconds)
        return result

    monkeypatch.setattr(studies, "run", only_retrain)
    monkeypatch.setattr(studies, "METHODS", ())
    row = studies.cost().iloc[0]
    assert len(set(timed)) == 3  # each was trained again
    assert row.seconds == pytest.approx(np.median(timed), abs=6e-4)
    assert row.over_finetuning == pytest.approx(2 * row.seconds, abs=2e-3)


# --- audit and exposure -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_audits(few_pictures, here):
    """The tables of PRETRAIN and of the gold standard on twelve shadows of the few pictures, and what was
    observed, run by run."""
    observed = {}

    def few(experiment, store, jobs, overfit=False):
        if (experiment, overfit) not in observed:
            observed[experiment, overfit] = shadows.observe_all(experiment, 12, here, progress=False,
                                                                overfit=overfit)
        return observed[experiment, overfit]

    with few_epochs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "AUDITED", {"groundwear": (("pretrain", False), ("retrain", True))})
        patch.setattr(studies, "_seen", few)
        patch.setattr(attacks, "DRAWS", 20)
        studies.audited.cache_clear()
        tables = {name: studies.STUDIES[name]() for name in AUDITS}
        studies.audited.cache_clear()
    return tables, observed


def test_references_and_methods_are_audited_where_models_memorise_and_where_not():
    runs = studies.audited()
    assert studies.audited() is runs  # the very same, so that what was observed is found again
    assert {e.dataset for e in runs} == {"groundwear", "groundwear-memorised"}
    assert {e.ratio for e in runs} == {0.5}
    assert len(set(runs)) == len(runs)
    for e in runs:  # what efficacy and those who stay are compared with
        pretrain, gold = (studies._reference(e, *which) for which in (("pretrain", False), ("retrain", True)))
        assert (pretrain, gold) == (e.original, e.gold)
        assert pretrain in runs
        assert gold in runs


def test_shadows_are_observed_once_for_all_tables(few_pictures, monkeypatch):
    seen, e = [], Experiment()
    monkeypatch.setattr(studies, "observe_all", lambda *given, **named: seen.append(named))
    for store, overfit in (("here", False), ("here", False), ("there", False), ("here", True)):
        studies._seen(e, store, 1, overfit)
    assert [(call["store"], call["overfit"]) for call in seen] == [
        ("here", False), ("there", False), ("here", True)]


def test_every_table_of_the_audit_has_every_run_s_rows(two_audits):
    tables, observed = two_audits
    assert len(observed) == 3  # two runs and the overfitted control, once for all tables
    runs = {e.method: e for e, _ in observed}
    seen = {(e.method, overfit): values for (e, overfit), values in observed.items()}
    overfit, gold, before = seen["pretrain", True], seen["retrain", False], seen["pretrain", False]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attacks, "DRAWS", 20)
        for method, e in runs.items():
            ours = seen[method, False]
            for name, expected in (("audit", audit.privacy(e, ours, overfit)),
                                   ("efficacy", audit.efficacy(e, ours, overfit, gold)),
                                   ("stayers", audit.stayers(e, before, ours).assign(before="pretrain"))):
                table = tables[name]
                assert list(table)[:3] == ["dataset", "method", "reweight"]
                part = table[table.method == method].drop(columns=["dataset", "method", "reweight"])
                pd.testing.assert_frame_equal(part.reset_index(drop=True), expected.round(4))


def test_exposure_is_of_the_forget_group_by_row_of_the_training_set(two_audits):
    tables, observed = two_audits
    table = tables["exposure"]
    assert list(table) == ["dataset", "method", "reweight", "row", "even", "odd"]
    for (e, overfit), seen in observed.items():
        splits, _, groups = load_split(e)
        members = (splits.train.group == splits.train.group_id(groups[0])).nonzero()[:, 0].numpy()
        part = table[table.method == e.method]
        assert part.row.tolist() == members.tolist()
        if not overfit:
            expected = attacks.exposure(shadows.select(seen, members)).round(3)
            np.testing.assert_array_equal(part[["even", "odd"]].to_numpy().T, expected)


def test_answers_are_what_each_shadow_says_of_each_of_the_forget_group(few_pictures, monkeypatch):
    rng, runs = np.random.default_rng(0), [e for e in studies.audited() if "memorised" in e.dataset]
    n = len(runs[0].load().train)
    status = rng.integers(3, size=(4, n))
    seen = {e: shadows.Observations(status, *rng.normal(size=(3, 4, n))) for e in runs}
    monkeypatch.setattr(studies, "_seen", lambda e, store, jobs: seen[e])
    table = studies.answers()
    splits, _, groups = load_split(runs[0])
    members = splits.train.in_groups(groups).nonzero()[:, 0].numpy()
    assert len(table) == 4 * len(members)
    row = table.iloc[len(members) + 2]
    assert (row.shadow, row["row"], row.status) == (1, members[2], status[1, members[2]])
    for e in runs:
        said = table.pivot(index="shadow", columns="row", values=label(e.method, e.reweight))
        np.testing.assert_allclose(said, seen[e].confidence[:, members], atol=0.005001)


# --- distances and relearning -------------------------------------------------------------------------------


@pytest.mark.parametrize(("study", "of_one"), [("distances", "distances"), ("relearning", "relearning")])
def test_distances_and_relearning_are_of_every_judged_run_and_seed(study, of_one, monkeypatch):
    monkeypatch.setattr(studies, "SEEDS", (3, 4))

    def row(e, store):
        found = {"of": (e.dataset, e.method, e.reweight, e.ratio, e.seed), "distance": 0.123456789}
        return [found, found] if study == "distances" else found

    monkeypatch.setattr(audit, of_one, row)
    table = studies.STUDIES[study]()
    runs = set(table["of"])
    assert len(table) == len(runs) * (1 + (study == "distances"))
    assert {r[1:3] for r in runs} == set(studies.JUDGED)
    assert {r[4] for r in runs} == {3, 4}
    assert ("groundwear-memorised", "retrain", True, 0.5, 4) in runs  # the gold standard: the noise floor
    assert table.distance[0] in (0.12346, 0.1235)


# --- inferred groups ----------------------------------------------------------------------------------------


def test_a_run_with_inferred_groups_says_what_they_were_worth(few_pictures, here):
    e = Experiment(method="retrain", reweight=True, grouping="errors")
    row, metrics = studies.inferred_of(e, here), run(e, here).metrics
    splits, split, groups = load_split(e)
    found = infer("errors", train_or_load(e.source, here), splits.train, e.seed)
    assert {"method": "retrain", "reweight": True, "grouping": "errors", "ratio": 0.5,
            "seed": 0}.items() <= row.items()
    assert {name: row[name] for name in ("GA", "TA", "UA", "RA", "WG", "val_GA")}.items() <= metrics.items()
    assert row["agreement"] == agreement(found, splits.train)
    alpha = group_weights(found.group_counts(), found.subset(split.retain_index).group_counts())
    retained = split.retain.group == splits.train.group_id(groups[0])
    assert row["alpha"] == pytest.approx(alpha[found.group[split.retain_index][retained]].mean().item())


def test_true_groups_agree_with_themselves_and_have_reweight_s_alpha(few_pictures, here):
    e = Experiment(method="retrain", reweight=True)
    row, (splits, split, _) = studies.inferred_of(e, here), load_split(e)
    alpha = group_weights(splits.train.group_counts(), split.retain.group_counts())
    assert (row["grouping"], row["agreement"], row["alpha"]) == ("true", pytest.approx(1),
                                                                 pytest.approx(alpha[3].item()))
    assert row["alpha"] == 2  # half of the group asked
    assert row["GA"] == run(e, here).metrics["GA"]


def test_every_way_to_infer_groups_is_tried_beside_the_true_ones_and_what_needs_none(monkeypatch):
    monkeypatch.setattr(studies, "MANY_SEEDS", (3, 4))
    monkeypatch.setattr(studies, "inferred_of", lambda e, store: {
        "of": (e.method, e.reweight, e.grouping), "ratio": e.ratio, "seed": e.seed, "GA": 0.1234567})
    table = studies.inferred()
    expected = {("retrain", False, "true"), ("finetune", False, "true"),
                *((method, True, grouping) for method in ("retrain", "miu")
                  for grouping in ("true", *GROUPINGS))}
    assert set(table["of"]) == expected
    assert len(table) == len(expected) * 2 * 2
    assert not table.duplicated().any()
    assert set(table.GA) == {0.12346}


# --- layers, sentences --------------------------------------------------------------------------------------


def test_layers_are_all_that_is_seen_and_each_is_asked_as_inferred_groups_are(few_pictures, here):
    e = Experiment(method="pretrain", ratio=0.9)
    rows = {row["layer"]: row for row in layers.layers_of(e, here)}
    splits, model = e.load(), train_or_load(e, here)
    assert layers.parts()["last features"].stop == layer_features(model, splits.train).shape[1]
    assert list(rows) == [*layers.WIDTHS, layers.ALL]
    _, split, groups = load_split(e)
    for name, layer, way in (("probe", layers.ALL, "probe"), ("probe_last", "last features", "probe"),
                             ("clusters", "last features", "clusters")):
        found = infer(name, model, splits.train, 0)
        alpha = alpha_of(splits.train.group_id(groups[0]), splits.train, found, split.retain_index)
        assert rows[layer][f"alpha, {way}"] == alpha
    assert rows["last features"]["agreement, clusters"] == agreement(found, splits.train)


def test_sentences_are_asked_of_new_seeds_with_as_many_pairs_of_everyone():
    runs = list(sentences.experiments())
    assert not {e.seed for _, e in runs} & set(SEEDS)
    assert len({e for _, e in runs}) == 10 * len(sentences.WAYS)
    forgotten = [len(load_split(e)[1].forget) for _, e in runs[:4]]
    assert forgotten == [59] * 4
    assert [e.groups for _, e in runs[:4]] == ["default"] * 3 + ["uniform"]


def test_the_three_questions_are_differences_by_seed():
    noise = np.array([-1.0, 0, 1])
    said = sentences.questions(pd.DataFrame({"PRETRAIN": 50 + noise, "RETRAIN": [20.0, 20, 20],
                                             "RETRAIN, from everyone": 45 - noise,
                                             "RETRAIN + REWEIGHT": 21 + 3 * noise}))
    assert said["mean"].tolist() == pytest.approx([30, 25, 1])
    assert said.verdict.tolist() == ["higher", "higher", "not distinguished"]


# --- written and read ---------------------------------------------------------------------------------------


def forget_tables():
    for function in vars(studies).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Nothing is shipped: there is not even a folder. One study takes no time."""
    monkeypatch.setattr(shipped_tables, "FOLDER", tmp_path / "new")
    monkeypatch.setitem(studies.STUDIES, "cost", lambda *given: pd.DataFrame({"method": [given[0], "miu"],
                                                                              "seconds": [given[1], 0.1]}))
    forget_tables()
    yield tmp_path / "new"
    forget_tables()


def test_a_study_that_was_computed_is_loaded(elsewhere):
    elsewhere.mkdir()
    path = studies.compute("cost", "a store", 3)
    assert path == elsewhere / "cost.csv"
    expected = pd.DataFrame({"method": ["a store", "miu"], "seconds": [3, 0.1]})
    pd.testing.assert_frame_equal(studies.load("cost"), expected)
    studies.compute("cost", "another", 3)
    assert studies.load("cost").method[0] == "another"


def test_a_study_makes_the_folder_that_it_is_written_to(elsewhere):
    studies.compute("cost", "a store")
    assert len(studies.load("cost")) == 2


def test_what_is_loaded_can_be_changed_without_changing_the_next(elsewhere):
    elsewhere.mkdir()
    studies.compute("cost", "a store")
    loaded = studies.load("cost")
    loaded["seconds"] = -1.0
    assert studies.load("cost").seconds.tolist() == [1, 0.1]


def test_an_unknown_study_is_refused(elsewhere):
    with pytest.raises(
        ValueError, match="unknown study 'costs': choose one of trajectories, membership, cost"
    ):
        studies.load("costs")


def test_a_study_that_was_never_computed_says_how_to(elsewhere):
    with pytest.raises(
        FileNotFoundError, match=r"no shipped results for membership .* results --only membership`"
    ):
        studies.load("membership")


TRIALS = ["dataset", "arm", "growth", "lr", "augment", "mine_lr", "lam", "forget_epochs",
          "score_1", "score_2", "score_3", "chosen"]


def ended(measures):
    """The columns of measures with their intervals."""
    return [f"{measure}{end}" for measure in measures for end in ("", " low", " high")]


@pytest.mark.parametrize("name", studies.STUDIES)
def test_a_shipped_study_has_the_columns_that_its_figures_read(name):
    if not shipped_tables.path_of(name).is_file():
        pytest.skip(f"{name} is not shipped")
    table = studies.load(name)
    columns = {"trajectories": ["method", "reweight", "ratio", "epoch", "UA", "GA"],
               "membership": [*PLAIN, "method", "reweight", "attack", "MIA", "MIA_sd", "n_forget", "AUC"],
               "cost": ["method", "epochs", "forget_epochs", "seen", "seconds", "over_finetuning"],
               "audit": ["dataset", "method", "reweight", "attack", "who", "group", "n", "n_never", "shadows",
                         *ended(attacks.MEASURES), "seen", "verdict"],
               "efficacy": ["dataset", "method", "reweight", "who", "group", "n", "n_never", "shadows",
                            *ended(("AUC", *DIFFERENCES, "excess")), "seen", "verdict"],
               "stayers": ["dataset", "method", "reweight", "group", "shadows", *ended(attacks.MEASURES),
                           "before"],
               "answers": ["shadow", "row", "status", "PRETRAIN (do nothing)", "RETRAIN + REWEIGHT",
                           label("finetune", True), "SCRUB + REWEIGHT", "MIU + REWEIGHT"],
               "exposure": ["dataset", "method", "reweight", "row", "even", "odd"],
               "distances": [*PLAIN, "method", "reweight", "measure", "distance"],
               "relearning": [*PLAIN, "method", "reweight", "target", "steps",
                              *(f"UA_{s}" for s in audit.SHOWN_STEPS)],
               "inferred": ["method", "reweight", "grouping", "ratio", "seed", "GA", "TA", "UA", "RA", "WG",
                            "val_GA",
                            "agreement", "alpha"],
               "rivals_search": ["dataset", "arm", *{n: 0 for over in rivals.RANGES.values() for n in over},
                                 "score_1", "score_2", "chosen"],
               "tuning": TRIALS, "twins": ["dataset", "seed", "UA", "GA", "TA"],
               "released": ["method", "variant", "seed", "UA", "GA", "UA, variant", "GA, variant"],
               "shift": ["dataset", "asking", "asks", "ratio", "seed", "visibility", "group", "r", "n",
                         "before", "visible", "head", "calibrated", "after", "twin"],
               "moved": ["dataset", "arm", "ratio", "seed", "attribute", "theory", "moved", "temperature",
                         "before", "after", "predicted", "apart", "left"],
               "causes": ["arm", "augment", "seed", "left", "n", "updates", "GA", "TA", "before", "visible",
                          "calibrated"],
               "features": ["seed", "features", "truth", "nats"],
               "layers": ["seed", "layer", "probe", "probe, group", "alpha, probe", "agreement, clusters",
                          "alpha, clusters"],
               "sentences": ["arm", "seed", "UA", "GA", "TA", "by_group"],
               "pictures": ["method", "reweight", "ratio", "seed", "group", "right"],
               "map": ["level", "group", "ratio", "arm", "seed", "UA", "GA", "TA", "val_GA"]}[name]
    assert set(table) == set(columns)
    if name == "map":  # a run that diverged has no numbers
        assert table.UA.isna().mean() < 0.02
        table = table.dropna()
    if name == "audit":  # no number where too few were never seen
        assert (table["TPR at 0.1% FPR"].isna() == (table.n_never < 2000)).all()
    if name in ("audit", "efficacy", "stayers"):  # and a verdict only of who was unlearned
        table = table.drop(columns=[*ended(["TPR at 0.1% FPR"]), "seen", "verdict"], errors="ignore")
    if name == "shift":  # only some seeds have a twin
        table = table.drop(columns="twin")
    if name == "features":  # what real ones hold is not known
        table = table.drop(columns="truth")
    if name in ("tuning", "rivals_search"):  # most trials did not come to the last stage
        return
    assert not table.isna().any().any()
    if name in ("twins", "stayers"):  # differences
        return
    fractions = table[[c for c in ("UA", "GA", "attack", "MIA", "AUC") if c in table]].select_dtypes("number")
    assert ((fractions >= 0) & (fractions <= 1)).all().all()
