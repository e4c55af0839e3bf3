"""The paper's claims: the rule, and effects worked out by hand in a made-up world whose runs are stored as
real ones are."""

import math
import shutil
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pytest

from grmu.analysis import claims, grids, paper, results, shipped_tables
from grmu.analysis.claims import Claim, Ours, Paper
from grmu.analysis.compare import interval
from grmu.experiments import Result
from grmu.metrics import FAIRNESS, METRICS, OVERALL

WORDS = ("reproduced", "partly", "not reproduced", "mixed", "cannot tell")

# The made-up world. Percent, UA and GA at seed 0; everything else is 50, and 50 is also what others have.
LEVELS = {("pretrain", False): (60, 60), ("retrain", False): (40, 44), ("retrain", True): (54, 56),
          ("group_dro", False): (70, 50), ("miu", False): (52, 53), ("miu", True): (55, 57),
          ("scrub", True): (57, 59),
          ("salun", True): (50, 51)}


def level(e):
    """Metrics of an experiment in the made-up world, percent."""
    values = dict.fromkeys([*METRICS, *FAIRNESS, "val_TA", "val_GA", "val_WG"], 50.0)
    ua, ga = LEVELS.get((e.method, e.reweight), (50, 50))
    if not e.reweight and e.method != "pretrain":
        ga += e.seed
    if e.method == "pretrain" and e.dataset == "groundwear-many":
        ga -= 20
    if e.method == "pretrain" and e.groups == ((0, 0),):
        ua, ga = 90, 90
    if e.method == "retrain" and not e.reweight:
        ga = 88 if e.groups == ((0, 0),) else ga - 10 * (e.ratio == 0.9)
        values["WG"] -= 5 + e.seed
    if e.method == "retrain" and e.reweight and e.dataset == "groundwear-memorised":
        ga -= 10
    if e.method == "scrub" and e.groups == grids.TWENTY_FIVE_GROUPS:
        ua += 6
    if e.method == "group_dro":
        ua += e.seed
    if e.method == "miu":
        s = {"lam": 1, "unlearning": True, "retaining": True, "calibration": True} | dict(e.overrides)
        ua += e.seed * e.reweight + 8 * (not s["unlearning"]) + (12 + 6 * e.seed) * (not s["retaining"])
        ga += (
            abs(s["lam"] - 1) * (3 + 0.6 * e.seed)
            - (3 + e.seed) * (not s["calibration"])
        )
        values["WG"] += 2 * e.reweight
    return values | {"UA": float(ua), "GA": float(ga)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of every grid in the made-up world, written by the function that writes the shipped ones."""
    accuracy = pd.DataFrame({"group": [*OVERALL, "boots"], "accuracy": 0.5})

    def made_up(experiment, store=None):
        metrics = {name: value / 100 for name, value in level(experiment).items()}
        return Result(experiment, metrics, accuracy, pd.DataFrame(), 1.0, {}, Path())

    with pytest.MonkeyPatch.context() as patch:
        here = tmp_path_factory.mktemp("results")
        for name in ("tuning.csv", shipped_tables.SUMS):
            shutil.copy(shipped_tables.FOLDER / name, here)
        patch.setattr(shipped_tables, "FOLDER", here)
        patch.setattr(results, "run", made_up)
        path = results.compute(grids.GRIDS)
    forget_tables()
    return path.parent


def forget_tables(caches=(results.table, results._rows)):
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def world(folder, monkeypatch):
    monkeypatch.setattr(shipped_tables, "FOLDER", folder)
    forget_tables()
    yield
    forget_tables()


@lru_cache
def in_the_world():
    return claims.all_claims()


def the_claim(beginning):
    (claim,) = (c for c in in_the_world() if c.text.startswith(beginning))
    return claim


def is_of(values, found):
    """Is the interval that of these values, one a seed, worked out by hand?"""
    return found == pytest.approx(interval(values), abs=1e-3)


# --- the rule -----------------------------------------------------------------------------------------------


def about(mean):
    """Three values whose interval reaches 2.48 either way (Student's t 4.303, standard error 1 / sqrt(3))."""
    return pd.Series([mean - 1, mean, mean + 1], dtype=float)


@pytest.mark.parametrize(("means", "verdict"), [
    ([10], "reproduced"), ([10, 2.5], "reproduced"), ([10, 2.4], "partly"), ([10, -2.4], "partly"),
    ([1, 10, -1], "partly"),
    ([-10], "not reproduced"), ([-10, -2.5], "not reproduced"), ([-10, 2.4], "not reproduced"),
    ([10, -10], "mixed"),
    ([-5, 0, 10], "mixed"), ([2.4, -2.4], "cannot tell"), ([0], "cannot tell"),
    ([2.6], "reproduced"), ([2.6, 0], "cannot tell"), ([2.6, 10], "reproduced")])  # Holm, over the effects
def test_the_verdict_follows_the_rule(means, verdict):
    made = Claim("text", "where", {str(i): about(mean) for i, mean in enumerate(means)}, {})
    assert [i.mean for i in made.intervals.values()] == pytest.approx(means)
    assert made.verdict == verdict


def test_the_rule_in_words_has_the_five_verdicts():
    assert [part.split(":")[0] for part in claims.RULE.rstrip(".").split(". ")] == list(WORDS)


def test_one_seed_cannot_tell():
    assert Claim("text", "where", {"a": pd.Series([10.0])}, {}).verdict == "cannot tell"


def test_a_seed_that_only_one_side_has_is_left_out_of_the_pairs():
    made = Claim("text", "where", {"a": pd.Series([4.0, 6.0, 8.0, 7.0]) - pd.Series([1.0, 2.0, 3.0])}, {})
    assert is_of([3, 4, 5], made.intervals["a"])
    assert made.verdict == "reproduced"


# --- the paper's side ---------------------------------------------------------------------------------------


def test_published_means_are_those_of_the_paper_s_tables():
    celeba = Paper("celeba", 0.5)
    assert (
        celeba("pretrain", False, "GA") == paper.results("celeba", 0.5).loc[("pretrain", False), "GA"] == 40.6
    )
    assert celeba("miu", True, "UA") == 43.2
    assert celeba.gap("scrub", True) == pytest.approx(1.4)
    assert celeba.off("l1_sparse", False, "GA") == pytest.approx(41.3 - 30.4)
    assert celeba.off("scrub", True, "GA") == pytest.approx(43.0 - 41.3)  # no sign
    assert (
        Paper("fairface", 0.5, 25)("miu", True, "avg_gap")
        == paper.results("fairface", 0.5, 25).loc[("miu", True), "avg_gap"]
    )


def test_what_the_paper_did_not_print_is_nan():
    assert math.isnan(Paper("celeba", 0.9)("group_dro", False, "UA"))
    assert math.isnan(Paper("celeba", 0.5).gap("pretrain", False))
    assert math.isnan(Paper("celeba", 0.3)("miu", True, "GA"))


@pytest.mark.parametrize(("beginning", "effect", "by_hand"), [
    ("Retraining without part", "celeba 0.5", 40.6 - 34.4),
    ("Retraining without part", "waterbirds 0.9", 55.9 - 41.7),
    ("RETRAIN + REWEIGHT gives", "fairface 0.9", 53.9 - 37.1),
    ("RETRAIN + GROUP-DRO", "celeba 0.5", 67.4 - 41.9),
    ("REWEIGHT raises", "miu, celeba 0.9", 34.3 - 30.9),
    ("REWEIGHT raises", "salun, waterbirds 0.9", 31.9 - 30.8),
    ("Without REWEIGHT, MIU", "scrub, celeba 0.5", 5.4 - 5.0),
    ("With REWEIGHT, MIU", "scrub, celeba 0.5", 99.0 - 98.6),
    ("With REWEIGHT, MIU", "l1_sparse, fairface 0.5", 98.7 - 97.3),
    ("With 9 and 25", "l1_sparse, 9 groups", 99.0 - 98.6),
    ("With 9 and 25", "scrub, 25 groups", 98.3 - 97.1), ("Calibration raises GA", "celeba 0.5", 36.3 - 35.4),
    ("Without the retaining", "waterbirds 0.5", 95.3 - 81.9),
    ("MIU + REWEIGHT keeps", "EP, celeba 0.5", 5.7 - 0.3),
    ("MIU + REWEIGHT keeps", "WG, waterbirds 0.5", 7.2 - 2.9),
    ("MIU + REWEIGHT keeps", "WG, fairface 0.5", 1.1 - 6.9),
    ("Where few samples", "share, celeba - waterbirds, 0.9", 100 * (10.5 / 15.7 - 1.3 / 14.2))])
def test_published_effects_by_hand(world, beginning, effect, by_hand):
    assert the_claim(beginning).published[effect] == pytest.approx(by_hand)


def test_published_effects_stand_beside_ours_under_the_paper_s_names(world):
    found = in_the_world()
    assert len(found) == len({c.text for c in found})
    assert sum(bool(c.published) for c in found) >= 9
    for claim in found:
        assert not any(math.isinf(value) for value in claim.published.values())
        names = {
            name.replace("memorised", "waterbirds")
            .replace("many", "fairface")
            .replace("groundwear", "celeba")
            for name in claim.ours
        }
        assert set(claim.published) in (names, set()), claim.text


# --- our side -----------------------------------------------------------------------------------------------


def test_runs_are_found_by_data_set_ratio_groups_and_settings_in_order_of_seeds(world):
    ours = Ours("groundwear", 0.5)
    assert ours("pretrain", False, "GA").to_dict() == pytest.approx(dict.fromkeys(range(20), 60))
    assert ours("retrain", False, "GA").to_dict() == pytest.approx({s: 44 + s for s in range(5)})
    assert Ours("groundwear", 0.9)("retrain", False, "GA")[0] == pytest.approx(34)
    assert Ours("groundwear-many", 0.5)("pretrain", False, "GA")[0] == pytest.approx(40)
    assert Ours("groundwear", 0.5, ((0, 0),))("pretrain", False, "GA")[0] == pytest.approx(90)
    assert ours("miu", False, "UA", unlearning=False)[0] == pytest.approx(60)
    assert set(ours("miu", True, "GA").round(6)) == {57}  # not those of the settings that calibration tries


def test_rows_in_another_order_give_the_same_series(world, monkeypatch):
    mixed = results.table().sample(frac=1, random_state=0)
    monkeypatch.setattr(results, "table", lambda: mixed)
    found = Ours("groundwear", 0.5)("retrain", False, "GA")
    assert found.index.tolist() == [0, 1, 2, 3, 4]
    assert found.tolist() == pytest.approx([44, 45, 46, 47, 48])


def test_distances_from_the_gold_standard_by_hand(world):
    memorised = Ours("groundwear-memorised", 0.5)  # its gold standard has UA 54, GA 46
    gaps = [(1 + s + 11) / 6 for s in range(20)]
    assert memorised.gap("miu", True).dropna().tolist() == pytest.approx(gaps)
    assert memorised.off("miu", False, "GA").dropna().tolist() == pytest.approx([7, 8, 9, 10, 11])
    many = Ours("groundwear-many", 0.5)
    assert many.off("miu", False, "GA").dropna().tolist() == pytest.approx([3, 2, 1, 0, 1])


def test_missing_runs_are_named(world, monkeypatch):
    whole = results.table()
    monkeypatch.setattr(results, "table", lambda: whole[whole.method != "scrub"])
    with pytest.raises(KeyError, match=r"no runs of scrub, reweight True, \{\} at \('groundwear', 0.9\)"):
        claims.all_claims()
    said = r"no runs of miu, reweight False, .*retaining.* at .*groundwear.* 0.1"
    with pytest.raises(KeyError, match=said):
        Ours("groundwear", 0.1)("miu", False, "GA", retaining=False)


def test_the_loss_of_the_group_by_hand(world):
    found = the_claim("Retraining without part").intervals
    for at, loss in {"groundwear 0.5": 16, "groundwear 0.9": 26, "memorised 0.5": 16, "memorised 0.9": 26,
                     "many 0.5": -4, "many 0.9": 6}.items():
        assert is_of([loss - s for s in range(5)], found[at]), at
    assert len(found) == 6
    assert the_claim("Retraining without part").verdict == "mixed"


def test_the_largest_group_s_loss_beside_the_smallest_s(world):
    found = the_claim("The largest group loses less")
    assert is_of([16 - s - 2 for s in range(5)], found.intervals["groundwear 0.5"])
    assert is_of([26 - s - 2 for s in range(5)], found.intervals["groundwear 0.9"])
    assert found.verdict == "reproduced"


def test_what_reweight_gives_back_by_hand(world):
    found = the_claim("RETRAIN + REWEIGHT gives")
    for at, won in {"groundwear 0.5": 12, "groundwear 0.9": 22, "memorised 0.5": 2, "memorised 0.9": 12,
                    "many 0.5": 12,
                    "many 0.9": 22}.items():
        assert is_of([won - s for s in range(5)], found.intervals[at]), at
    assert found.verdict == "partly"  # memorised at 0.5: 2, 1, 0, -1, -2


def test_what_reweight_adds_to_each_approximate_method_by_hand(world):
    found = the_claim("REWEIGHT raises").intervals
    for method, gain in {"l1_sparse": 0, "salun": 1, "scrub": 9, "miu": 4}.items():
        for dataset in ("groundwear", "memorised", "many"):
            assert is_of([gain - s for s in range(5)], found.pop(f"{method}, {dataset} 0.9"))
    assert found == {}


def test_the_share_that_reweight_returns_by_hand(world):
    found = the_claim("Where few samples")
    (effect,) = found.intervals.values()
    # lost at 0.9: 26 - s, so 24; won: 22 - s of it, memorised 12 - s
    assert is_of([100 * 10 / 24] * 5, effect)
    assert found.verdict == "reproduced"


def test_average_gaps_of_others_against_miu_s_by_hand(world):
    found = the_claim("With REWEIGHT, MIU").intervals
    # SCRUB: 3 + 3. MIU: 1 + seed and 1
    assert is_of([(6 - 2 - s) / 6 for s in range(5)], found["scrub, groundwear 0.5"])
    assert is_of([(6 - 2 - s) / 6 for s in range(5)], found["scrub, many 0.9"])
    # memorised, its gold standard's GA at 46. SALUN: 4 + 5. MIU: 1 + seed and 11
    assert is_of([(9 - 12 - s) / 6 for s in range(5)], found["salun, memorised 0.9"])
    several = the_claim("With 9 and 25").intervals
    assert is_of([(6 - 2 - s) / 6 for s in range(5)], several["scrub, 9 groups"])
    assert is_of([(12 - 2 - s) / 6 for s in range(5)], several["scrub, 25 groups"])


def test_distances_of_ga_without_reweight_by_hand(world):
    found = the_claim("Without REWEIGHT, MIU").intervals
    assert is_of([3, 3, 3, 3, 1], found["salun, groundwear 0.5"])  # SALUN 6 - s below, MIU 3 - s
    assert is_of([4 + s - 7 - s for s in range(5)], found["salun, memorised 0.5"])


def test_group_dro_s_forget_accuracy_by_hand(world):
    found = the_claim("RETRAIN + GROUP-DRO")
    assert list(found.intervals) == ["groundwear 0.5"]
    assert is_of([10 + s for s in range(5)], found.intervals["groundwear 0.5"])


def test_ablations_by_hand(world):
    calibration = the_claim("Calibration raises GA").intervals
    assert is_of([3 + s for s in range(5)], calibration["groundwear 0.5"])
    assert is_of([3 + s for s in range(5)], calibration["many 0.5"])
    unlearning = the_claim("The unlearning term")
    assert list(unlearning.ours) == ["groundwear 0.5", "groundwear 0.9"]
    assert is_of([8] * 5, unlearning.intervals["groundwear 0.9"])
    retaining = the_claim("Without the retaining").intervals
    assert is_of([(10 + 6 * s - 2) / 6 for s in range(5)], retaining["memorised 0.5"])
    assert is_of([(10 + 6 * s - 2) / 6 for s in range(5)], retaining["groundwear 0.5"])


def test_the_weight_of_calibration_is_judged_on_all_of_its_ten_seeds(world):
    found = the_claim("λ = 1").intervals
    # the same UA; GA is off by 4 + 0.6 * seed, and by 1
    for at in ("groundwear 0.5", "groundwear 0.9"):
        assert is_of([(3 + 0.6 * s) / 6 for s in range(10)], found[at])


def test_every_row_of_a_grid_has_the_settings_that_the_grid_gave_it(world):
    rows = results.load("calibration")
    miu = rows[rows.method == "miu"]
    assert miu.groupby(["lam", "ratio"]).seed.nunique().to_dict() == {
        (lam, ratio): 10 for lam in grids.LAMBDAS for ratio in (0.5, 0.9)}


def test_fairness_by_hand(world):
    found = the_claim("MIU + REWEIGHT keeps").intervals
    assert is_of([5 + s - 2 for s in range(5)], found["WG, many 0.5"])
    assert is_of([0] * 5, found["DP, groundwear 0.5"])
    assert set(found) == {
        f"{m}, {d} 0.5" for m in ("EO", *FAIRNESS) for d in ("groundwear", "memorised", "many")
    }


def test_the_table_has_a_row_a_claim_and_counts_by_hand(world):
    table = claims.claims_table(in_the_world())
    assert table.index.tolist() == [c.text for c in in_the_world()]
    assert table.index.is_unique
    row = table.loc["Retraining without part of a small group lowers that group's test accuracy."]
    assert row.tolist() == ["Fig. 2, Sec. 4.2", "6 of 6", "5, 0, 1", "mixed"]
    assert table.loc["The largest group loses less than the smallest, at the same ratio.",
                     "paper's effects > 0"] == "not printed"
    row = table.loc["RETRAIN + REWEIGHT gives the group accuracy back."]
    assert row.tolist()[1:] == ["6 of 6", "5, 1, 0", "partly"]
    assert "With REWEIGHT, MIU has the best avg. gap." in table.index
    assert set(table.verdict) <= set(WORDS)


# --- what is shipped ----------------------------------------------------------------------------------------


def test_every_claim_can_be_judged_from_what_is_shipped():
    try:
        for name in grids.GRIDS:
            results.load(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    for claim in claims.all_claims():
        found = claim.intervals
        assert claim.verdict in WORDS, claim.text
        assert max(i.n for i in found.values()) >= 5, claim.text
        assert all(map(math.isfinite, (x for i in found.values() for x in i))), claim.text
