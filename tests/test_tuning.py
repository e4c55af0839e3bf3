"""The search that gives fine-tuning and MIU the same chance."""

import math
from itertools import product

import numpy as np
import pytest

from grmu.analysis import grids, search, shipped_tables, tuning
from grmu.analysis.tuning import ARMS, DATASETS, Pool, Range, design, ranges, tuned

EVERY = list(product(DATASETS, ARMS))


def searched(pool, score):
    """The pool with all its stages done, a trial scored by a function of its settings."""
    for stage in range(len(tuning.STAGES)):
        for number, *at in list(pool.missing(stage)):
            pool.scores[(number, *at)] = score(pool.trials[number][1], *at)
    return pool


# --- the design ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "arm"), EVERY)
def test_every_arm_has_the_same_budget_of_different_trials_that_it_accepts(dataset, arm):
    pool = Pool(dataset, arm)
    assert len(pool.trials) == tuning.TRIALS == 24
    runs = [pool.experiment(n, 0.5, 100) for n in range(24)]
    assert len(set(runs)) == 24
    assert all(e.reweight and e.method == arm for e in runs)


def test_a_range_is_covered_evenly_on_its_logarithmic_scale():
    lr = [trial["lr"] for trial in design({"lr": Range(0.001, 0.1), "other": Range(1, 2)}, 64)]
    counts, _ = np.histogram(np.log10(lr), bins=[-3, -2.5, -2, -1.5, -1])
    assert counts.tolist() == pytest.approx([16] * 4, abs=1)
    assert design({"lr": Range(0.001, 0.1)}, 5) == design({"lr": Range(0.001, 0.1)}, 8)[:5]


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.01), (1, 1), (0, 1), (-1, 1)])
def test_a_range_upside_down_is_refused(low, high):
    with pytest.raises(ValueError, match=f"must go up, from above 0, but goes from {low:g} to {high:g}"):
        Range(low, high)


# --- halving ------------------------------------------------------------------------------------------------


def test_the_best_go_on_and_the_best_of_the_last_stage_wins():
    asked = []

    def score(trial, ratio, seed):
        asked.append((ratio, seed))
        return abs(math.log(trial["lr"] / 0.006)) + 0.001 * trial["augment"]

    pool = searched(Pool("groundwear", "finetune"), score)
    assert [len(pool.chosen(stage)) for stage in range(3)] == [24, 6, 3]
    assert set(pool.chosen(2)) <= set(pool.chosen(1))
    assert len(asked) == 24 + 6 + 3 * 4  # what a stage before has run is not run again
    assert set(asked) == set(product((0.5, 0.9), (100, 101, 102)))
    assert pool.winner() == min(range(24), key=lambda n: score(pool.trials[n][1], 0.5, 100))
    assert [row["chosen"] for row in pool.rows()] == [True] + 23 * [False]
    assert not pool.grow(1)  # 0.006 lies inside


@pytest.mark.parametrize(("name", "best", "new"),
                         [("lr", 1.0, 0.09), ("lr", 1e-9, 0.00033), ("lam", 1e9, 90.0)])
def test_a_winner_at_an_edge_lets_the_range_grow_and_the_search_go_on(name, best, new):
    def score(trial, ratio, seed):
        return abs(math.log((trial[name] + 1e-12) / best)) + 1e-3 * abs(math.log(trial["mine_lr"] / 0.003))

    pool = searched(Pool("groundwear", "miu"), score)
    assert pool.grow(1)
    added = [trial for growth, trial in pool.trials if growth == 1]
    assert len(added) == tuning.MORE
    old = ranges("groundwear", "miu")[name]
    if name == "lam":
        assert {trial["lam"] for trial in added} == {new}
        assert pool.over["lam"].choices == (*old.choices, new)
    else:
        assert all(t["lr"] >= old.high if best == 1.0 else t["lr"] <= old.low for t in added)
        assert (pool.over["lr"].high if best == 1.0 else pool.over["lr"].low) == pytest.approx(new, rel=0.02)
    assert searched(pool, score).trials[pool.winner()][0] == 1


def test_ends_that_nothing_can_follow_do_not_grow():
    pool = searched(Pool("groundwear", "miu"), lambda trial, *_: (
        trial["lam"] + trial["forget_epochs"] + abs(math.log(trial["lr"] / 0.006))
        + abs(math.log(trial["mine_lr"] / 0.003))))
    best = pool.trials[pool.winner()][1]
    assert (best["lam"], best["forget_epochs"]) == (0.0, 1)
    assert not pool.grow(1)


def test_at_last_an_arm_tries_what_other_arms_grew_into():
    pool = Pool("groundwear", "miu")
    lr, lam = pool.over["lr"], pool.over["lam"]
    pool.share(pool.over | {"lr": Range(lr.low / 3, lr.high * 9), "lam": Range(choices=(*lam.choices, 90.0))})
    added = [trial for growth, trial in pool.trials if growth == tuning.GROWTHS + 1]
    below, above, more = added[:8], added[8:16], added[16:]
    assert all(trial["lr"] <= lr.low for trial in below)
    assert all(trial["lr"] >= lr.high for trial in above)
    assert {trial["lam"] for trial in more} == {90.0}
    assert len(more) == tuning.MORE == 8
    assert (pool.over["lr"].low, pool.over["lr"].high) == (lr.low / 3, lr.high * 9)
    pool.share(pool.over)
    assert len(pool.trials) == tuning.TRIALS + 3 * tuning.MORE


# --- what was found -----------------------------------------------------------------------------------------


def test_the_shipped_search_is_whole_and_no_winner_lies_at_an_edge_that_could_have_grown_on():
    rows = shipped_tables.read("tuning")
    for dataset, arm in EVERY:
        own, pool = rows[(rows.dataset == dataset) & (rows.arm == arm)], Pool(dataset, arm)
        names = list(pool.over)
        first = own.loc[own.growth == 0, names].astype(float)
        assert sorted(first.itertuples(index=False, name=None)) == sorted(
            tuple(float(trial[name]) for name in names) for _, trial in pool.trials)
        assert own.score_3.notna().sum() >= 3
        assert own[own.chosen].index.tolist() == [own.score_3.idxmin()]
        if own.growth.max() < tuning.GROWTHS:  # it stopped because the winner lies inside
            best, lr = tuned(dataset, arm), Range(own.lr.min(), own.lr.max())
            assert lr.edge(best["lr"]) is None
            assert own.growth.max() > 0 or not [n for n in names if pool.over[n].edge(best[n])]


def test_the_search_never_saw_a_reported_seed_and_scores_by_validation_data():
    assert not set(tuning.SEEDS) & {e.seed for grid in grids.GRIDS.values() for e in grid()}
    assert tuning.score is search.score  # test_search.py: it reads nothing of the test set


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown data set of the search 'negation': choose one of gr"):
        tuned("negation", "miu")
    with pytest.raises(ValueError, match="unknown arm 'salun': choose one of finetune, miu"):
        tuned("groundwear", "salun")
