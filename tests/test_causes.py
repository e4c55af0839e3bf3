"""Causes, told apart: what is run, what a row says, and worlds in which one cause is planted."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY, context_of, toy

from grmu import Experiment, closed_form, data, methods
from grmu.analysis import causes, features, results, shipped_tables, studies
from grmu.analysis.causes import (
    CELLS,
    EVEN,
    FEWER,
    FIRST,
    NUMBER,
    RATIOS,
    REPLACEMENT,
    SEEDS,
    SHARE,
    THEORY,
)
from grmu.analysis.compare import interval
from grmu.analysis.shift import prior_of
from grmu.data import split_forget
from grmu.experiments import load_split
from grmu.methods.controls import ByHand, Repeated
from grmu.models import build
from grmu.training import TrainConfig, predict, train

CONTROLS = ("α", "α = 1", "α, wrong group")


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What these tests register is known to no other."""
    monkeypatch.setattr(methods, "registry", dict(methods.registry))


@pytest.fixture(scope="module")
def of_seed_0():
    """The experiments of one seed, augmented."""
    causes.register_controls()
    return {about["arm"]: e for about, e in causes.planned() if about["seed"] == 0 and about["augment"]}


# --- what is run --------------------------------------------------------------------------------------------


def test_what_is_planned():
    about, runs = zip(*causes.planned(), strict=True)
    assert len(set(runs)) == len(runs)
    found = Counter((line["arm"], line["augment"]) for line in about)
    assert found == {**{(arm, augment): len(SEEDS) for arm in CELLS for augment in (True, False)},
                     **{(f"even, {r}", True): len(SEEDS) for r in RATIOS},
                     **{(f"{arm}, {r}", True): len(SEEDS) for arm in CONTROLS for r in RATIOS}}
    for line, e in zip(about, runs, strict=True):
        assert (e.seed, e.config.augment) == (line["seed"], line["augment"])
        assert e.original.config.augment == line["augment"]
    assert {"causes", "features"} < set(studies.STUDIES)


def test_every_cell_leaves_its_number_at_its_share_of_the_shoes_on_that_ground(of_seed_0):
    train, counts = data.load("groundwear").train, {}
    for arm in FEWER:
        counts[arm] = load_split(of_seed_0[arm]).split.retain.group_counts()
    counts[FIRST] = train.group_counts()
    assert {arm: int(n[3]) for arm, n in counts.items()} == {arm: cell.left for arm, cell in CELLS.items()}
    odds = {arm: (n[3] / n[1]).item() for arm, n in counts.items()}
    for arm, share in zip(CELLS, (1, 1, 0.5, 1, 0.5, 10 / 102), strict=True):
        assert odds[arm] / odds[FIRST] == pytest.approx(share, rel=0.01), arm
        others = counts[arm][:3] / train.group_counts()[:3]
        assert others.max() - others.min() < 0.003  # evenly


def test_every_cell_makes_as_many_updates_at_the_same_rates(of_seed_0):
    config, made = of_seed_0[FIRST].config, {}
    for arm, e in of_seed_0.items():
        assert e.config == config
        if arm in FEWER:
            n = len(load_split(e).split.retain) * e.settings["copies"]
            made[arm] = 15 * math.ceil(n / 64)
    assert made["51 left, s/2"] == 15 * math.ceil(5641 / 64) == 1335
    assert all(abs(n / 1335 - 1) < 0.023 for n in made.values())


def test_a_pass_over_copies_takes_every_sample_so_often_and_one_copy_is_retraining():
    whole = toy([[40, 20], [20, 12]])
    split, seen = split_forget(whole, 0.5, [(1, 1)]), Counter()

    class Seen(Repeated):
        def retain_loss(self, batch):
            seen.update(batch.x[:, 0].tolist())
            return super().retain_loss(batch)

    train(Seen(copies=3), context_of(whole, split, TrainConfig(epochs=2, batch_size=8)))
    assert set(seen) == set(split.retain.x[:, 0].tolist())
    assert set(seen.values()) == {6}
    losses = [train(method, context_of(whole, split, TrainConfig(epochs=2, batch_size=8)))
              for method in (Repeated(), methods.Retrain())]
    assert losses[0] == losses[1]
    with pytest.raises(ValueError, match="copies must be a whole number from 1 to 1000, but is 0"):
        Repeated(copies=0)


def test_alpha_goes_to_the_group_that_asks_to_nobody_or_to_the_wrong_one(of_seed_0):
    expected = {"α = 1, 0.5": [1, 1, 1, 0.5], "α, wrong group, 0.5": [1, 1, 2, 0.5], "α, 0.5": [1, 1, 1, 1],
                "α = 1, 0.9": [1, 1, 1, 10 / 102], "α, wrong group, 0.9": [1, 1, 10.2, 10 / 102],
                "α, 0.9": [1, 1, 1, 1], "10 left, s/2": [0.196, 0.196, 0.196, 10 / 102],
                "51 left, s": [0.5] * 4, FIRST: [1] * 4}
    for arm, factor in expected.items():
        e = of_seed_0[arm]
        splits, split, _ = load_split(e)
        assert prior_of(e, splits.train, split).flatten().tolist() == pytest.approx(factor, rel=0.01), arm
    assert isinstance(of_seed_0["α = 1, 0.9"].make_method(), ByHand)
    assert of_seed_0["α, 0.9"] == of_seed_0["α, 0.9"].gold


def test_uniform_forgetting_takes_as_many_as_the_cell_it_is_held_against(of_seed_0):
    for ratio, uneven in RATIOS.items():
        forgotten = [load_split(of_seed_0[arm]).split.forget_index for arm in (f"even, {ratio}", uneven)]
        assert len(forgotten[0]) == len(forgotten[1]) == round(102 * ratio)


def test_a_row_says_what_was_left_what_came_and_what_was_predicted(of_seed_0, here):
    asked = {arm: Experiment("groundwear", e.method, ratio=e.ratio, groups=e.groups, overrides=e.overrides,
                             pretraining={"epochs": 1})
             for arm, e in of_seed_0.items() if arm in (FIRST, "10 left, s/2")}
    before, row = (causes.row_of(e, str(here)) for e in asked.values())
    assert (before["left"], before["n"], before["updates"]) == (102, 5692, 89)
    assert before["GA"] == before["before"] == before["visible"] == pytest.approx(row["before"])
    assert (row["left"], row["n"], row["updates"]) == (10, 1107, 87)
    assert row["visible"] <= row["before"]


# --- what the rows say --------------------------------------------------------------------------------------


def world(share=0.0, number=0.0, even=0.0, alpha=0.0, wrong=0.0, copies_of_noise=1.0):
    """Rows as the study's: GA of 60 %, less what each cause takes, in points; seeds differ by 2 points."""
    rng, lines = np.random.default_rng(0), []
    for about, _ in causes.planned():
        arm, cell = about["arm"], CELLS.get(about["arm"])
        if cell is None and not arm.startswith("even"):
            cell = CELLS[RATIOS[float(arm.rsplit(", ")[-1])]]
        lost = 0.0 if cell is None else share * (cell.left / 102 / cell.others < 0.6)
        predicted = 60 - lost
        lost += number * (cell is not None and cell.left == 10) + even * arm.startswith("even")
        lost -= alpha * arm.startswith(("α, 0.5", "α, 0.9")) + wrong * ("wrong" in arm)
        noise = 2 * math.sin(about["seed"]) + 0.5 * copies_of_noise * rng.normal()
        n = 5692 if cell is None else round(5590 * cell.others) + cell.left
        lines.append(about | {"left": cell.left if cell else 101, "n": n, "GA": (60 - lost + noise) / 100,
                              "visible": predicted / 100, "calibrated": predicted / 100, "before": 0.6})
    return pd.DataFrame(lines).sample(frac=1, random_state=0)




def words(found, question):
    return found[found.question == question].verdict.tolist()


def test_nothing_is_found_where_there_is_nothing_and_it_is_called_equal():
    found = causes.comparisons(world())
    assert found.question.value_counts().to_dict() == {
        NUMBER: 7, SHARE: 6, THEORY: 10, EVEN: 4, REPLACEMENT: 8}
    assert set(found.verdict) == {"equal"}
    assert not found.duplicated(["question", "what", "augmented"]).any()
    assert (found.n == len(SEEDS)).all()


def test_a_share_that_counts_is_told_from_a_number_that_counts():
    found = causes.comparisons(world(share=10))
    assert words(found, SHARE) == ["lower", "lower", "lower"] * 2
    assert words(found, NUMBER) == ["equal"] * 7
    assert words(found, THEORY) == ["equal"] * 10
    found = causes.comparisons(world(number=10))
    assert words(found, SHARE) == ["equal"] * 6
    assert words(found, NUMBER) == [*["equal", "lower", "lower"] * 2, "equal"]
    missed = found[(found.question == THEORY) & found.what.str.startswith("10 left")]
    assert set(missed.verdict) == {"higher"}  # more was predicted than came
    assert missed["mean"].tolist() == pytest.approx([10] * 6, abs=1.5)


def test_forgetting_as_such_is_told_from_forgetting_unevenly():
    uneven, even = (causes.comparisons(world(**planted)) for planted in ({"share": 10}, {"even": 10}))
    assert words(uneven, EVEN) == ["lower", "equal"] * 2
    assert words(even, EVEN) == ["higher", "lower"] * 2


def test_alpha_is_told_from_drawing_with_replacement_and_from_the_class():
    found = causes.comparisons(world(alpha=10))
    assert words(found, REPLACEMENT) == ["higher", "equal", "equal", "higher"] * 2
    found = causes.comparisons(world(wrong=10))
    assert words(found, REPLACEMENT) == ["equal", "equal", "higher", "equal"] * 2


def test_what_is_drawn_is_a_mean_over_seeds_with_its_interval_beside_the_prediction():
    found = causes.drawn(world(share=10), augment=False)
    assert found.left.tolist() == [cell.left for cell in CELLS.values()]
    assert found.share.tolist() == pytest.approx([1.79, 1.79, 0.90, 1.79, 0.89, 0.18], abs=0.02)
    assert found["mean"].tolist() == pytest.approx([60, 60, 50, 60, 50, 50], abs=1)
    assert found.visible.tolist() == pytest.approx([60, 60, 50, 60, 50, 50])
    assert ((found.low < found["mean"]) & (found["mean"] < found.high)).all()
    assert (found.n == len(SEEDS)).all()


def test_the_shipped_rows_are_those_of_the_grids_where_both_ask():
    if not shipped_tables.path_of("causes").is_file():
        pytest.skip("not shipped")
    rows, seeds = causes.by_seed(shipped_tables.read("causes")), range(5)
    for arm, e in {"51 left, s/2": Experiment(method="retrain"),
                   "10 left, s/10": Experiment(method="retrain", ratio=0.9),
                   FIRST: Experiment(method="pretrain"),
                   "α, 0.9": Experiment(method="retrain", reweight=True, ratio=0.9),
                   "even, 0.5": Experiment(method="retrain", ratio=51 / 5692, groups="uniform")}.items():
        keys = [results._key(results.columns_of(replace(e, seed=seed))) for seed in seeds]
        shipped = 100 * results.table().GA[keys]
        assert rows.loc[seeds, arm].tolist() == pytest.approx(shipped.tolist()), arm


def test_what_the_page_says_by_hand_is_what_the_shipped_rows_say():
    page = " ".join((REPOSITORY / "docs" / "causes.md").read_text(encoding="utf-8").split())
    rows, nats = shipped_tables.read("causes"), shipped_tables.read("features")
    found, of = causes.comparisons(rows), features.comparisons(nats)
    by = found.set_index(["question", "what", "augmented"])["mean"]
    word = found.set_index(["question", "what", "augmented"]).verdict
    ga, cells = causes.by_seed(rows), {how: causes.drawn(rows, how) for how in (True, False)}
    assert f"ten left of 102 cost {(ga[FIRST] - ga['10 left, s/10']).mean():.1f} points" in page
    number, share = by[NUMBER], by[SHARE]
    assert f"costs {-share['10 left, s/10 - 10 left, s', 'yes']:.1f} of them" in page
    assert f"same share costs {-number['10 left, s - 102 left, s', 'yes']:.1f}, which" in page
    assert ("cost {:.1f} points, ten {:.1f}, and ten at half the share {:.1f} more than 51"
            ).format(*-number.xs("no", level=1)) in page
    assert f"cost {-number['10 left, s - 102 left, s', 'no - yes']:.1f} more than with" in page
    assert word[NUMBER].tolist() == ["equal", "not distinguished", "equal", *["lower"] * 4]
    for how, said in ((True, "visible"), (False, "visible"), (False, "calibrated")):
        assert f"{cells[how][said][3] - cells[how][said][5]:.1f}" in page, (how, said)
    assert (by[THEORY] > 0).all()
    assert word[THEORY].value_counts()["higher"] == 7
    assert set(word[THEORY].xs("no", level=1)) == {"higher"}
    assert word[EVEN].tolist() == ["lower", "equal"] * 2
    assert "cost {:.1f} and {:.1f} points more".format(*-by[EVEN][::2]) in page
    assert "α gives {:.1f} and {:.1f} points".format(*by[REPLACEMENT][::4]) in page
    assert word[REPLACEMENT].tolist() == ["higher", *["not distinguished"] * 2, "higher",
                                          "higher", "equal", "not distinguished", "higher"]
    assert (by[REPLACEMENT].xs("yes", level=1).filter(like="wrong") < 0).all()
    assert 4.5 < found[(found.question == REPLACEMENT)].seen.max() < 5.5
    first = causes.comparisons(rows[rows.seed < 10]).verdict
    assert found.verdict[first != "not distinguished"].equals(first[first != "not distinguished"])
    means = nats.groupby("features").nats.mean()
    assert f"{means.untrained:.2f} nats in untrained features and {means.trained:.2f} in PRETRAIN's" in page
    missed = of.loc["untrained, groups shuffled: found - truth"]
    assert f"{missed['mean']:.2f} where 0 is true" in page
    assert of.verdict.tolist() == ["higher", "lower, within the margin", "lower", "equal", "equal"]
    assert f"the difference, {of['mean'].iloc[0]:.2f}, is more than three times" in page
    assert of["mean"].iloc[0] > -3 * missed["mean"]
    for what in ("ground", "shoe"):
        early, late = (means[f"{when}, of the {what}"] for when in ("untrained", "trained"))
        assert f"{early:.2f}{' nats before training' * (what == 'ground')} and {late:.2f}" in page
    by_seed = nats.pivot(index="seed", columns="features", values="nats")
    ground, shoe = (by_seed[f"trained, of the {what}"] - by_seed[f"untrained, of the {what}"]
                    for what in ("ground", "shoe"))
    more = interval(ground - shoe)
    assert f"adds {more.mean:.2f} [{more.low:.2f}, {more.high:.2f}] more to the ground" in page


# --- what MINE finds ----------------------------------------------------------------------------------------


def test_what_is_known_to_be_there_is_found_and_what_is_not_is_not():
    rng = torch.Generator().manual_seed(0)
    for nats in features.KNOWN:
        parts = [closed_form.noisy_groups(nats, 2000, rng, (0.25,) * 4) for _ in range(2)]
        assert features.held_out(*parts, seed=0) == pytest.approx(nats, abs=0.1)
        nothing = features.held_out(*(features.shuffled(part, rng) for part in parts), seed=0)
        assert -0.15 < nothing < 0.02


def test_untrained_features_are_those_of_the_network_that_training_began_with(here):
    e = Experiment(method="pretrain", pretraining={"epochs": 1})
    found = {name: (truth, fit_on, ask) for name, truth, fit_on, ask in features.cases(e, str(here))}
    assert len(found) == 10
    splits = e.load()
    begun = build(e.network, splits.train, e.seed).eval()
    assert torch.equal(found["untrained"][1][0], predict(begun.features, begun, splits.val.x))
    assert not torch.equal(found["trained"][1][0], found["untrained"][1][0])
    assert torch.equal(found["trained"][2][1], splits.test.group)
    for name in ("trained", "untrained"):
        (truth, (z, group), _), (_, (same, own), _) = found[f"{name}, groups shuffled"], found[name]
        assert truth == 0
        assert torch.equal(z, same)
        assert not torch.equal(group, own)
        assert torch.equal(group.bincount(), own.bincount())
        for what, label in (("shoe", splits.test.y), ("ground", splits.test.a)):
            _, _, (again, asked) = found[f"{name}, of the {what}"]
            assert torch.equal(again, found[name][2][0])
            assert torch.equal(asked, label)
    assert [truth for truth, *_ in list(found.values())[-2:]] == [math.log(2), 1.2]


def test_an_empty_store_is_filled(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "held_out", lambda fit_on, ask, seed: 0.5)
    rows = features.features_of(Experiment(method="pretrain", pretraining={"epochs": 1}), str(tmp_path))
    assert len(rows) == 10
    assert {row["nats"] for row in rows} == {0.5}


def test_each_control_is_held_against_its_truth_and_training_against_none():
    noise = np.random.default_rng(0).normal(0, 0.01, (20, 4))
    names = {"trained": (math.nan, 0.9), "untrained": (math.nan, 0.5), "made to hold 1.20": (1.2, 1.15),
             "trained, groups shuffled": (0.0, -0.01)}
    rows = pd.DataFrame([{"seed": seed, "features": name, "truth": truth, "nats": nats + noise[seed, i]}
                         for seed in range(20) for i, (name, (truth, nats)) in enumerate(names.items())])
    found = features.comparisons(rows)
    assert found["mean"].tolist() == pytest.approx([0.4, -0.05, -0.01], abs=0.01)
    assert found.verdict.tolist() == ["higher", "lower, within the margin", "lower, within the margin"]
