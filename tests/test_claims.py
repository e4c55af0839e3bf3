"""Test the verdicts on the paper's claims: the rule, and effects that were computed by hand."""

import math

import pandas as pd
import pytest

from grmu.analysis import claims, results
from grmu.analysis.claims import Claim
from grmu.analysis.compare import interval
from grmu.analysis.paper import published
from grmu.analysis.printed import Row
from grmu.metrics import METRICS

# The made-up world. Percent, UA and GA at seed 0; everything else is 50, and 50 is also what others have.
LEVELS = {("pretrain", False): (60, 60), ("retrain", False): (40, 44), ("retrain", True): (54, 56),
          ("group_dro", False): (70, 50), ("miu", False): (52, 53), ("miu", True): (55, 57),
          ("scrub", True): (57, 59), ("salun", True): (50, 51)}


def in_the_world(row):
    """Return the metrics of a shipped run in the made-up results, as fractions."""
    values = dict.fromkeys([*METRICS, "DP", "EP", "WG"], 50.0)
    ua, ga = LEVELS.get((row.method, row.reweight), (50, 50))
    largest, plain = row.groups == "((0, 0),)", not row.reweight and row.method != "pretrain"
    ga += row.seed * plain
    if row.method == "pretrain" and largest:
        ua, ga = 90, 90
    if row.method == "retrain" and plain:
        ga = 88 if largest else ga - 10 * (row.ratio == 0.9)
        values["WG"] -= 5 + row.seed
    if row.method == "retrain" and row.reweight and row.dataset == "groundwear-memorised":
        ga -= 10
    if row.method == "group_dro":
        ua += row.seed
    if row.method == "miu":
        s = {"lam": 1, "unlearning": True, "retaining": True, "calibration": True} | row.overrides
        ua += row.seed * row.reweight + 8 * (not s["unlearning"]) + (12 + 6 * row.seed) * (not s["retaining"])
        ga += abs(s["lam"] - 1) * (3 + 0.6 * row.seed) - (3 + row.seed) * (not s["calibration"])
        values["WG"] += 2 * row.reweight
    return pd.Series(values | {"UA": float(ua), "GA": float(ga)}) / 100


@pytest.fixture(scope="module")
def world():
    """All claims, judged by shipped runs with made-up metrics."""
    whole = results.load()
    made = whole.assign(**whole.apply(in_the_world, axis=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "load", lambda: made)
        return {c.text: c for c in claims.all_claims()}


def the_claim(world, beginning):
    (claim,) = (c for text, c in world.items() if text.startswith(beginning))
    return claim


def about(mean):
    """Return three values whose interval extends 2.48 to either side."""
    return pd.Series([mean - 1, mean, mean + 1], dtype=float)


@pytest.mark.parametrize(("means", "verdict"), [
    ([10], "reproduced"), ([10, 2.5], "reproduced"), ([10, 2.4], "partly"), ([10, -2.4], "partly"),
    ([-10], "not reproduced"), ([-10, 2.4], "not reproduced"), ([10, -10], "mixed"),
    ([2.4, -2.4], "cannot tell"), ([2.6], "reproduced"), ([2.6, 0], "cannot tell")])  # Holm, over the effects
def test_the_verdict_follows_the_rule(means, verdict):
    made = Claim("text", "where", {str(i): about(mean) for i, mean in enumerate(means)}, {})
    assert made.verdict == verdict
    assert verdict in [part.split(":")[0] for part in claims.RULE.rstrip(".").split(". ")]


def test_what_the_paper_did_not_print_is_nan():
    assert published(Row("celeba", "pretrain"), "GA")["paper"] == 40.6
    assert published(Row("celeba", "scrub", True), "avg_gap")["paper"] == 98.6
    assert published(Row("celeba", "miu", overrides=(("calibration", False),)), "GA")["paper"] == 35.4
    for row, metric in ((Row("celeba", "group_dro", ratio=0.9), "UA"), (Row("celeba", "pretrain"), "avg_gap"),
                        (Row("celeba", "retrain", forget=1), "GA"),
                        (Row("celeba", "miu", overrides=(("unlearning", False),)), "GA")):
        assert math.isnan(published(row, metric)["paper"])


@pytest.mark.parametrize(("beginning", "effect", "by_hand"), [
    ("RETRAIN + GROUP-DRO", "celeba 0.5", 67.4 - 41.9),
    ("REWEIGHT raises", "salun, waterbirds 0.9", 31.9 - 30.8),
    ("With REWEIGHT, MIU", "l1_sparse, fairface 0.5", 98.7 - 97.3),
    ("When 9 or 25", "scrub, 25 groups", 98.3 - 97.1), ("Calibration raises GA", "celeba 0.5", 36.3 - 35.4),
    ("Without the retaining", "waterbirds 0.5", 95.3 - 81.9),
    ("MIU + REWEIGHT keeps", "WG, fairface 0.5", 1.1 - 6.9),
    ("Where few samples", "share, celeba - waterbirds, 0.9", 100 * (10.5 / 15.7 - 1.3 / 14.2))])
def test_published_effects_by_hand(world, beginning, effect, by_hand):
    assert the_claim(world, beginning).published[effect] == pytest.approx(by_hand)


@pytest.mark.parametrize(("beginning", "effect", "by_hand", "n"), [
    ("Retraining without part", "memorised 0.9", lambda s: 26 - s, 5),
    ("The largest group", "groundwear 0.9", lambda s: 26 - s - 2, 5),
    ("RETRAIN + REWEIGHT restores", "memorised 0.5", lambda s: 2 - s, 5),
    ("REWEIGHT raises", "scrub, many 0.9", lambda s: 9 - s, 5),
    ("Where few samples", "share, groundwear - memorised, 0.9", lambda s: 100 * 10 / 24, 5),
    ("With REWEIGHT, MIU", "salun, memorised 0.9", lambda s: (9 - 12 - s) / 6, 5),  # 4 + 5; 1 + s and 11
    ("Without REWEIGHT, MIU", "salun, groundwear 0.5", lambda s: abs(s - 6) - abs(s - 3), 5),
    ("RETRAIN + GROUP-DRO", "groundwear 0.5", lambda s: 10 + s, 5),
    ("Calibration raises GA", "many 0.5", lambda s: 3 + s, 5),
    ("Without the retaining", "memorised 0.5", lambda s: (10 + 6 * s - 2) / 6, 5),
    ("λ = 1", "groundwear 0.5", lambda s: (3 + 0.6 * s) / 6, 10),
    ("MIU + REWEIGHT keeps", "WG, many 0.5", lambda s: 5 + s - 2, 5)])
def test_our_effects_by_hand(world, beginning, effect, by_hand, n):
    expected = interval([by_hand(s) for s in range(n)])
    assert the_claim(world, beginning).intervals[effect] == pytest.approx(expected, abs=1e-3)


def test_every_claim_can_be_judged_from_what_ships_and_has_a_row():
    judged = claims.all_claims()
    table = claims.claims_table(judged)
    assert table.index.tolist() == [c.text for c in judged]
    for claim in judged:
        ends = claim.intervals.values()
        assert all(i.n >= 5 and math.isfinite(i.low) for i in ends), claim.text
        assert set(claim.published) <= {name.replace("memorised", "waterbirds").replace("many", "fairface")
                                        .replace("groundwear", "celeba") for name in claim.ours}
    assert table.verdict.isin(["reproduced", "partly", "not reproduced", "mixed", "cannot tell"]).all()
