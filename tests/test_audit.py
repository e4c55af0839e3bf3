"""The audit: a model that is caught and one that is not; distances; relearning; the command."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import few_epochs, same_state, small_network, state_of, toy
from torch.nn import functional

from grmu import Experiment, data, run
from grmu.__main__ import main
from grmu.analysis import attacks, audit
from grmu.analysis.attacks import BLIND, DETECTED, PASSED, judge
from grmu.analysis.shadows import (
    NEVER,
    RETAINED,
    UNLEARNED,
    Observations,
    never_again,
    observe_all,
    select,
)
from grmu.data import GroupedDataset, Splits
from grmu.experiments import load_split, train_or_load
from grmu.metrics import METRICS
from grmu.training import predict

QUICK = {"epochs": 12, "warmup_epochs": 0, "batch_size": 20, "augment": False}
SHORT = {"epochs": 2, "warmup_epochs": 0}
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


@pytest.fixture(scope="module")
def shadows(here):
    """Twelve shadow models each of PRETRAIN, which unlearns nothing, and of RETRAIN, on noise."""
    return {method: observe_all(on_noise(method), N_SHADOWS, here, progress=False)
            for method in ("pretrain", "retrain")}


@pytest.mark.parametrize("attack", attacks.ATTACKS)
def test_a_model_that_kept_what_it_should_forget_is_caught_and_one_that_never_saw_it_is_not(shadows, attack):
    kept, never_saw = (judge(shadows[method], attack)["AUC"] for method in ("pretrain", "retrain"))
    assert kept.low > 0.75
    assert never_saw.low < 0.5 < never_saw.high
    assert judge(shadows["retrain"], attack, RETAINED)["AUC"].low > 0.5  # it is the unlearned that are safe
    control = judge(never_again(shadows["pretrain"]), attack)["AUC"]
    assert control.low < 0.5 < control.high


def observations(e, shift, seed=0, n_shadows=14):
    """As if seen: members who were kept are `shift` above the others, who was unlearned is half of it."""
    train = data.load(e.dataset).train
    rng = np.random.default_rng(seed)
    status = rng.choice(3, (n_shadows, len(train)), p=(0.5, 0.25, 0.25))
    moved = shift * np.select([status == RETAINED, status == UNLEARNED], [1, 0.5])
    return made_up(status, **{k: rng.normal(size=status.shape) + moved for k in Observations._fields[1:]})


@pytest.fixture(scope="module")
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attacks, "DRAWS", 40)
        yield


def test_privacy_has_a_row_for_every_attack_whom_it_looks_for_and_group(few_draws):
    e = Experiment("groundwear", method="retrain")
    train = data.load(e.dataset).train
    seen, overfit = observations(e, 2), observations(e, 8, 1)
    table = audit.privacy(e, seen, overfit)
    asking, others = train.group_names[3], train.group_names[:3]
    assert table.value_counts(["group", "who"]).to_dict() == {
        (asking, "unlearned"): 3, (asking, "never"): 3, (asking, "overfitted"): 1,
        **{(g, "retained"): 1 for g in (*others, asking)}}
    for group, name in enumerate(train.group_names):
        members = (train.group == group).numpy()
        part = select(seen, members)
        for (who, attack), row in table[table.group == name].set_index(["who", "attack"]).iterrows():
            others = {"never": never_again(part), "overfitted": select(overfit, members)}
            these, kind = others.get(who, part), RETAINED if who == "retained" else UNLEARNED
            assert row["n"] == (these.status == kind).sum()
            assert row["n_never"] == (these.status == NEVER).sum()
            assert [row["AUC"], row["AUC low"], row["AUC high"]] == pytest.approx(
                judge(these, attack, kind)["AUC"][:3])


def test_of_a_group_that_does_not_ask_as_many_as_suffice_are_looked_for(few_draws, monkeypatch):
    monkeypatch.setattr(audit, "SAMPLES", 10)
    e = Experiment("groundwear", method="retrain")
    seen = observations(e, 2)
    table = audit.privacy(e, seen, seen).query("who == 'retained'").set_index("group")
    names = data.load(e.dataset).train.group_names
    assert (table.loc[names[:3], ["n", "n_never"]].sum(axis=1) < 10 * 14).all()
    assert table.loc[names[3], ["n", "n_never"]].sum() > 10 * 14 * 0.6


@pytest.mark.parametrize(("ours", "overfit", "said"), [(12, 12, DETECTED), (0, 12, BLIND), (12, 0, DETECTED)])
def test_the_verdict_stands_with_who_was_unlearned_and_needs_both_controls(ours, overfit, said, few_draws):
    e = Experiment("groundwear", method="retrain")
    table = audit.privacy(e, observations(e, ours), observations(e, overfit, 1))
    row = table[(table.attack == "U-LiRA") & (table.who == "unlearned")].iloc[0]
    assert row.verdict == said
    assert row.seen > 0.5
    assert table.drop(row.name).verdict.isna().all()
    exact = observations(e, 12)
    noise = observations(e, 0, 2).confidence
    exact = exact._replace(confidence=np.where(exact.status == UNLEARNED, noise, exact.confidence))
    table = audit.privacy(e, exact, observations(e, overfit, 1))
    assert table[(table.attack == "U-LiRA") & (table.who == "unlearned")].verdict.item() == (
        PASSED if overfit else BLIND)


def test_every_group_that_asks_is_audited(few_draws):
    e = Experiment(method="retrain", groups=((0, 0), (1, 1)))
    seen, names = observations(e, 2), data.load(e.dataset).train.group_names
    for table in (audit.privacy(e, seen, seen), audit.efficacy(e, seen, seen, seen),
                  audit.stayers(e, seen, seen)):
        asked = table.query("who == 'unlearned'") if "who" in table else table
        assert set(asked.group) == {names[0], names[3]}


def test_efficacy_is_of_unlearned_models_beside_retrained_ones(few_draws):
    e = Experiment(method="miu")
    seen, overfit, gold = observations(e, 12), observations(e, 12), observations(e, 0)
    table = audit.efficacy(e, seen, overfit, gold).set_index("who")
    assert list(table.index) == ["unseen", "retained", "overfitted", "unlearned"]
    assert (table.loc[["retained", "unlearned"], ["AUC low", "excess low"]] > [0.5, 0]).all(axis=None)
    assert table.loc["unseen", ["excess", "excess low", "excess high"]].tolist() == [0, 0, 0]
    assert table.loc["unlearned", "verdict"] == DETECTED
    of_group = (data.load(e.dataset).train.group == 3).numpy()
    assert table.loc["retained", "n"] == (seen.status[:, of_group] == RETAINED).sum()
    never = (gold.status[:, of_group] == NEVER).sum()
    assert set(table.n_never) == {never - table.loc["unseen", "n"]}
    same = audit.efficacy(e, observations(e, 0, 3), overfit, gold).set_index("who").loc["unlearned"]
    assert same.verdict == BLIND  # members who were kept are not told from others either
    assert table.loc["unlearned", "KLOM"] > same.KLOM
    assert table.loc["unlearned", "H"] < same.H


def test_those_who_stay_are_compared_with_themselves_before(few_draws):
    e = Experiment(method="miu")
    before, after = observations(e, 1), observations(e, 6)
    row = audit.stayers(e, before, after).iloc[0]
    of_group = (data.load(e.dataset).train.group == 3).numpy()
    ours, theirs = (judge(select(seen, of_group), positive=RETAINED)["AUC"].mean for seen in (after, before))
    assert pytest.approx(ours - theirs) == row.AUC
    assert 0 < row["AUC low"] < row.AUC < row["AUC high"]


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
    e = Experiment(method="finetune", seed=2, ratio=0.9, pretraining=SHORT)
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
    assert not same_state(train_or_load(other, here).state_dict(), train_or_load(e.gold, here).state_dict())


def test_the_gold_standards_of_a_second_training_are_on_its_split():
    again = Experiment(method="miu", seed=7, split_seed=2)
    assert {o.split_seed for o in audit.golds_of(again)} == {2}


def test_distances_are_means_over_gold_standards(monkeypatch, here):
    monkeypatch.setattr(audit, "GOLDS", 2)
    e = Experiment(method="finetune", overrides={"epochs": 1}, pretraining=SHORT)
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
    e = Experiment(pretraining=SHORT).gold
    floor = {row["measure"]: row["distance"] for row in audit.distances(e, here)}
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
    curve = audit.relearn(train_or_load(e, here), load_split(e)[1].forget, audit.STEPS)
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


@pytest.fixture
def trained_shortly():
    with few_epochs():
        yield


@pytest.mark.usefixtures("trained_shortly")
def test_the_command_prints_both_questions_with_controls_and_seconds(here, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(here))
    monkeypatch.setattr(attacks, "DRAWS", 20)
    arguments = ["audit", "--method", "retrain", "--dataset", "groundwear", "--shadows", "12", "--jobs", "1"]
    assert main([*arguments, "--reweight", "--efficacy"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("retrain + REWEIGHT on groundwear, ratio 0.5, 12 shadow models; 95 %")
    assert "No true positives at 0.1 % false ones" in said
    lines = said.splitlines()
    assert len([line for line in lines if line.split()[:1] in (["U-LiRA"], ["loss"], ["forest"])]) == 4 + 7
    words = (DETECTED, PASSED, BLIND)
    assert len([line for line in lines if line.strip().endswith(words)]) == 2
    titles = ("Privacy", "Those who stay", "Efficacy", "Seconds")
    assert [line.split(":")[0].split(",")[0] for line in lines if line.startswith(titles)] == list(titles)
    assert main([*arguments, "--reweight"]) == 0
    assert "Efficacy" not in capsys.readouterr().out


@pytest.mark.usefixtures("trained_shortly")
def test_the_command_refuses_too_few_shadows_and_unknown_methods_in_a_sentence(here, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(here))
    assert main(["audit", "--method", "retrain", "--dataset", "groundwear", "--shadows", "2", "--jobs",
                 "1"]) == 2
    assert "too few" in capsys.readouterr().err
    assert main(["audit", "--method", "miau"]) == 2
    assert "unknown method 'miau'" in capsys.readouterr().err
