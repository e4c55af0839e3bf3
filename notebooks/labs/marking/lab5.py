"""Lab 5, Audit: the checks that give the points. Inputs are drawn, expected values computed here."""

import functools

import numpy as np
from sklearn.metrics import roc_auc_score

from grmu.analysis import attacks, studies
from grmu.course.asking import same
from grmu.course.figures import READ

NEVER, KEPT, UNLEARNED = 0, 1, 2
TELLS, NOT, BLIND = "an attacker can tell", "not distinguished", "cannot tell"
METHODS = {"PRETRAIN": "PRETRAIN (do nothing)", "RETRAIN + REWEIGHT": "RETRAIN + REWEIGHT",
           "fine-tuning + REWEIGHT": "fine-tuning + REWEIGHT", "SCRUB + REWEIGHT": "SCRUB + REWEIGHT",
           "MIU + REWEIGHT": "MIU + REWEIGHT"}

APART = "def apart(a, b):\n    return factor * float(a.mean() - b.mean())\n\n\n"  # a statistic
VERDICT = "verdict(tuple(found), [tuple(c) for c in controls])"


def models(rng, n_models, n_pictures):
    """Confidences and statuses; each picture was never seen by at least two of the models from the second."""
    status = rng.integers(0, 3, (n_models, n_pictures))
    for i in range(n_pictures):
        status[1 + rng.permutation(n_models - 1)[:3], i] = [NEVER, NEVER, rng.integers(1, 3)]
    level = np.where(status == NEVER, 0.0, 4.0) + rng.normal(0, 3, n_pictures)
    return level + rng.normal(0, 1, status.shape), status


def expected_scores(confidence, status, victim, references):
    found = np.full(confidence.shape[1], np.nan)
    for i in range(len(found)):
        never = [confidence[k, i] for k in references if status[k, i] == NEVER]
        if never:
            found[i] = confidence[victim, i] - sum(never) / len(never)
    return found


def test_score(ask, rng):
    for _ in range(2):
        confidence, status = models(rng, 9, int(rng.integers(12, 20)))
        names = {"c": confidence, "s": status, "references": list(range(1, 9))}
        found = ask("score(c.numpy(), s.numpy(), 0, references)", **names)
        expected = expected_scores(confidence, status, 0, range(1, 9))
        everyone = confidence[0] - confidence[1:].mean(0)
        assert not same(found, everyone), (
            "A picture's reference is the mean over all reference models, those that saw it included. They "
            "are sure of it because they saw it: only models that never saw the picture count (lesson 07, "
            "7.2).")
        assert not same(found, -expected), "The sign is turned round: members would score low."
        assert same(found, expected, 1e-5), (
            "A score is the victim's confidence in a picture minus the mean confidence of the reference "
            "models that never saw this picture (section 1), and yours is something else.")
        other, fewer = int(rng.integers(1, 4)), [0, 4, 5, 6, 7]
        status[rng.choice(fewer, status.shape[1]), np.arange(status.shape[1])] = NEVER
        found = ask("score(c.numpy(), s.numpy(), victim, references)", c=confidence, s=status, victim=other,
                    references=fewer)
        assert same(found, expected_scores(confidence, status, other, fewer), 1e-5), (
            "With another victim and fewer reference models the scores are not right: models that are not "
            "named as references are not asked, and what the victim saw plays no part.")


def test_score_nobody(ask, rng):
    for _ in range(2):
        confidence, status = models(rng, 6, int(rng.integers(10, 15)))
        nobody = rng.permutation(confidence.shape[1])[:3]
        status[1:, nobody] = rng.integers(1, 3, (5, 3))
        status[0, nobody] = NEVER
        found = ask("score(c.numpy(), s.numpy(), 0, [1, 2, 3, 4, 5])", c=confidence, s=status)
        found = np.asarray(found, float)
        assert found.shape == confidence.shape[1:], (
            "A picture that every reference model saw has no score, but it keeps its place: NaN, one a "
            "picture.")
        assert np.isnan(found[nobody]).all(), (
            "Where every reference model saw the picture, nothing is known of what a stranger would get: the "
            "score is NaN, not a number that looks like a finding.")
        assert np.isfinite(np.delete(found, nobody)).all(), (
            "Pictures that some reference model never saw have a score, no NaN.")


def area(members, others):
    gap = np.asarray(members)[:, None] - np.asarray(others)[None]
    return (gap > 0).mean() + (gap == 0).mean() / 2


def two_sides(rng, draw):
    """Scores of members and of others whose AUC is neither a coin's nor perfect."""
    while True:
        n = int(rng.integers(9, 15))
        members, others = draw(rng.uniform(0.6, 1.2), n), draw(0, n + 8)
        if 0.65 < area(members, others) < 0.9:
            return members, others


def test_auc(ask, rng):
    members, others = two_sides(rng, lambda level, n: rng.normal(level, 1, n))
    for ours, theirs, where in ((members, others, "above"), (others, members, "below")):
        found, expected = ask("auc(a.numpy(), b.numpy())", a=ours, b=theirs), area(ours, theirs)
        assert not same(found, 1 - expected), (
            f"Members and others are exchanged, or an AUC below 0.5 was turned round: members lie {where} "
            "others here, and the AUC is the share of pairs in which the *member* scores higher.")
        assert same(found, expected, 1e-5), (
            "AUC is the share of all pairs, each member with each other, in which the member scores higher "
            "(section 1); yours is another number. There may be more of one side than of the other.")


def test_auc_ties(ask, rng):
    members, others = two_sides(rng, lambda level, n: np.floor(rng.uniform(2 * level, 4 + 2 * level, n)))
    members[0], others[0] = 3, 3
    for ours, theirs in ((members, others), (others, members)):
        found, expected = ask("auc(a.numpy(), b.numpy())", a=ours * 0.5, b=theirs * 0.5), area(ours, theirs)
        ties = (ours[:, None] == theirs[None]).mean()
        assert not same(found, expected - ties / 2), (
            "Pairs with the same score count for nothing. The attacker tosses a coin: half a point each.")
        assert not same(found, expected + ties / 2), (
            "Pairs with the same score count as won. The attacker tosses a coin: half a point each.")
        assert same(found, expected, 1e-5), (
            "With equal scores on both sides, AUC counts half a point for each tie, out of all pairs.")


def test_accuse(ask, rng):
    for _ in range(2):
        n, allowed = int(rng.integers(30, 60)), int(rng.integers(3, 7))
        rate = (allowed + rng.uniform(0.4, 0.8)) / n
        strangers = rng.permutation(np.cumsum(rng.uniform(1, 2, n)))
        threshold = np.sort(strangers)[n - 1 - allowed]
        scores = np.concatenate([strangers, threshold - rng.uniform(0.1, 20, 8),
                                 strangers.max() + rng.random(5)])
        rng.shuffle(scores)
        found = np.asarray(ask("accuse(c.numpy(), s.numpy(), rate)", c=strangers, s=scores, rate=rate))
        assert found.shape == scores.shape, "One truth value is asked for each score, whether it is accused."
        of_strangers = np.asarray(ask("accuse(c.numpy(), c.numpy(), rate)", c=strangers, rate=rate), float)
        assert of_strangers.sum() <= allowed, (
            f"{int(of_strangers.sum())} of {n} strangers lie above your threshold where a rate of {rate:.3f} "
            f"allows {allowed}. At most that share is allowed, strictly above; mind what a quantile "
            "interpolates.")
        assert same(found, scores > threshold), (
            "Other people are accused than those strictly above the smallest threshold that the rate "
            "allows. It comes from the calibration scores alone: those who ask are the answers (section 2).")
        high = ask("accuse(c.numpy(), s.numpy(), rate)", c=strangers, s=scores + 200, rate=rate)
        assert same(high, np.ones(len(scores))), (
            "All who ask lie above every stranger, so all are accused: the threshold comes from the "
            "calibration scores, and not from the people whom it accuses.")


def test_accuse_ties(ask, rng):
    for _ in range(2):
        n, equal = int(rng.integers(30, 50)), int(rng.integers(8, 12))
        top = int(rng.integers(2, 4))  # lie above those who are equal
        strangers = rng.permutation(np.concatenate([np.arange(n - equal - top), np.full(equal, 100.0),
                                                    100 + np.arange(1, top + 1)]))
        rate = (top + rng.uniform(2.4, 4.6)) / n  # within those who are equal
        found = np.asarray(ask("accuse(c.numpy(), c.numpy(), rate)", c=strangers, rate=rate), float)
        assert found.sum() <= top, (
            f"{int(found.sum())} of {n} strangers are accused where the rate allows {rate * n:.1f}: "
            f"{equal} have the same score, and nobody can accuse a part of them. Strictly above, and at "
            "most the rate.")
        assert same(found, strangers > 100), (
            f"Of {n} strangers {equal} score alike and {top} higher. The {top} can be accused within the "
            "rate, and they are the right ones; you accuse others, or fewer.")


def test_interval(ask, rng):
    n, scale = int(rng.integers(20, 30)), rng.uniform(1.5, 4)
    ours, theirs = rng.normal(0, 1, n), rng.normal(0, 2.5, 3 * n)
    ours, theirs = ours / ours.std() + 12, 2.5 * theirs / theirs.std() + rng.uniform(0, 2)
    for sign in (1, -1):
        low, high = ask(f"{APART}[float(v) for v in interval(a.numpy(), b.numpy(), apart, 4000, seed)]",
                        a=ours, b=theirs, factor=sign * scale, seed=int(rng.integers(1000)))
        se = scale * (ours.var() / n + theirs.var() / (3 * n)) ** 0.5
        assert abs((low + high) / 2 - sign * scale * (ours.mean() - theirs.mean())) < 0.35 * se, (
            "The interval lies elsewhere than the statistic: draw members from the members, others from the "
            "others, and compute the statistic that is given.")
        width = (high - low) / se
        assert abs(width - 3.92) < 0.36, (
            f"A 95 % interval of a difference of means is 3.92 standard errors wide, and yours "
            f"{width:.2f}. Both sides are drawn anew, each as many as there are, with replacement; and it "
            "is the spread of the draws from the 2.5 % to the 97.5 % quantile (section 3).")


def test_interval_seed(ask, rng):
    ours, theirs = rng.normal(1, 1, 25), rng.normal(0, 1, 40)
    seeds = [int(v) for v in rng.integers(0, 10000, 3)]
    code = f"{APART}[[float(v) for v in interval(a.numpy(), b.numpy(), apart, 60, s)] for s in seeds]"
    found = np.asarray(ask(code, a=ours, b=theirs, factor=1.0, seeds=[*seeds, *seeds]), float)
    assert same(found[:3], found[3:]), (
        "The same seed gives another interval each time: take random numbers from a generator of that "
        "seed, or nobody can repeat your audit.")
    assert not same(found[0], found[1]), (
        "Every seed gives the same interval, so the seed is not used: np.random.default_rng(seed).")
    before, after = ask(f"{APART}np.random.seed(seed)\nuntouched = np.random.random()\nnp.random.seed(seed)\n"
                        "interval(a.numpy(), b.numpy(), apart, 60, 1)\n[untouched, np.random.random()]",
                        a=ours, b=theirs, factor=1.0, seed=int(rng.integers(1000)))
    assert same(before, after), (
        "The global random state has changed, and with it everything random that runs later: make a "
        "generator of your own from the seed.")


def ends(rng, low, high):
    return [float(v) for v in np.sort(rng.uniform(low, high, 2))]


def test_verdict(ask, rng):
    for _ in range(4):
        found_controls = [ends(rng, 0.55, 1) for _ in range(int(rng.integers(1, 4)))]
        blind_controls = [*found_controls, [rng.uniform(0.1, 0.45), rng.uniform(0.6, 0.9)]]
        low, high = rng.uniform(0.2, 0.49), rng.uniform(0.51, 0.9)
        for controls in (found_controls, blind_controls):
            for found in (ends(rng, 0.53, 0.95), ends(rng, 0.1, 0.47)):
                said = ask(VERDICT, found=found, controls=controls)
                assert said == TELLS, (
                    f"The interval of the unlearned is {found[0]:.2f} to {found[1]:.2f} and does not hold "
                    f"0.5, so {TELLS!r}, whatever a control says, and below 0.5 as well as above; not "
                    f"{said!r}.")
        for found in ([low, high], [0.5, high], [low, 0.5]):
            said = ask(VERDICT, found=found, controls=found_controls)
            assert said == NOT, (
                f"The interval {found[0]:.2f} to {found[1]:.2f} holds 0.5 and all controls are found: "
                f"{NOT!r}, not {said!r}. The interval decides, not its middle, and 'not found' is no proof "
                "of forgetting.")


def test_verdict_blind(ask, rng):
    for _ in range(4):
        found = [rng.uniform(0.2, 0.49), rng.uniform(0.51, 0.9)]
        good = [ends(rng, 0.55, 1) for _ in range(2)]
        wide, wrong = [rng.uniform(0.3, 0.48), rng.uniform(0.85, 0.99)], ends(rng, 0.1, 0.45)
        for bad, why in ((wide, "holds 0.5, even if its middle does not"), (wrong, "lies below 0.5")):
            controls = [*good, bad]
            rng.shuffle(controls)
            said = ask(VERDICT, found=found, controls=controls)
            assert said == BLIND, (
                f"One control {why}: those who must be found are not, so {BLIND!r}, not {said!r}. All "
                "controls must be found (section 4).")
        said = ask("verdict(tuple(found), [])", found=found)
        assert said == BLIND, (
            f"Without any control nobody knows whether the attack can find anybody: {BLIND!r}, not {said!r}.")


def people(rng, found):
    """Scores beside those of 30 strangers (0 to 29): of AUC 1 if they are found, else 0.5."""
    n = 2 * int(rng.integers(8, 12))
    low = rng.integers(1, 14, n // 2)
    return rng.uniform(40, 60, n) if found else np.concatenate([low, 28 - low]) + 0.3


def test_audit(ask, rng):
    strangers = np.arange(30.0)
    for asked_found, kept_found, word in ((True, True, TELLS), (False, True, NOT), (False, False, BLIND),
                                          (True, False, TELLS)):
        asked, kept = people(rng, asked_found), people(rng, kept_found)
        kinds = np.repeat([NEVER, KEPT, UNLEARNED], [30, len(kept), len(asked)])
        scores, places = np.concatenate([strangers, kept, asked]), rng.permutation(len(kinds))
        scores, kinds = scores[places], kinds[places]
        unknown = rng.permutation(len(kinds) + 3)
        scores = np.concatenate([scores, np.full(3, np.nan)])[unknown]
        kinds = np.concatenate([kinds, [NEVER, KEPT, UNLEARNED]])[unknown]
        found = ask("audit_of(s.numpy(), k.numpy())", s=scores, k=kinds)
        assert len(found) == 3, "Three things are asked for: two AUCs and a verdict."
        expected = area(asked, strangers), area(kept, strangers)
        assert same(found[:2], expected, 1e-3), (
            f"The AUCs of the unlearned and of the kept are {expected[0]:.2f} and {expected[1]:.2f}, in "
            "this order, each against those never seen and against nobody else, people with NaN left out.")
        assert found[2] == word, (
            f"With AUC {expected[0]:.2f} of the unlearned and {expected[1]:.2f} of the kept the rule says "
            f"{word!r}: intervals decide, and the kept are the control (section 4).")


@functools.cache
def answers():
    table = studies.load("answers")
    wide = {column: table.pivot(index="shadow", columns="row", values=column).to_numpy()
            for column in ("status", *METHODS.values())}
    return wide.pop("status"), {name: wide[column] for name, column in METHODS.items()}


@functools.cache
def data_of(mine):
    """What the victim did, and the scores of each method."""
    (status, confidence), order = answers(), mine.rng("models").permutation(64)
    victim, references = int(order[0]), order[1:49].tolist()
    statuses = np.vstack([status[references], np.full(status.shape[1], KEPT)])
    return status[victim], {name: attacks.likelihood_ratios(c[[*references, victim]], statuses, KEPT)[-1]
                            for name, c in confidence.items()}


def test_own(ask, rng, mine):
    kinds, scores = data_of(mine)
    found = ask("my_numbers")
    assert isinstance(found, dict), "my_numbers is the table that the cell above makes: a row a method."
    assert list(found) == list(METHODS), "my_numbers has a row for each method."
    for name, values in scores.items():
        asked, kept, strangers = (values[(kinds == k) & ~np.isnan(values)] for k in (UNLEARNED, KEPT, NEVER))
        truth = [np.repeat([1, 0], [len(side), len(strangers)]) for side in (asked, kept)]
        expected = [roc_auc_score(t, np.concatenate([side, strangers]))
                    for t, side in zip(truth, (asked, kept), strict=True)]
        assert same(found[name][:2], expected, 2e-3), (
            f"{name}: on your own model the AUCs are not those of your scores, for the unlearned and for "
            "the kept, each against those never seen. Is it your own model, as the third cell draws it "
            "from your name?")


def test_figure(ask, rng, mine):
    probe = READ + "\n\n[drawn(figure), named_axes(figure)]"
    numbers, named = ask(probe)
    assert named, "The axes have no names: say what is drawn on each of them."
    for name in ("PRETRAIN", "SCRUB + REWEIGHT"):
        values = data_of(mine)[1][name]
        missing = sum(not np.isclose(v, np.asarray(numbers), atol=1e-3).any() for v in values)
        assert not missing, (
            f"{missing} of the people are not in the figure of {name}: every person is a point, of your own "
            "model under both methods, at the score that the attack gives.")
