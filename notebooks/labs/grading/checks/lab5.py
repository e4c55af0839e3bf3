"""Check lab 5 (audit): one check for each graded cell, with random inputs."""

import numpy as np
from grading.asking import compare, keeps_random_state, same

NOT_ALLOWED = ("grmu.analysis.attacks.curve", "grmu.analysis.attacks.judge", "grmu.analysis.attacks.verdict")
NEVER, RETAINED, UNLEARNED = 0, 1, 2
DETECTED, NOT_DETECTED, INCONCLUSIVE = "detected", "not detected", "inconclusive"

VERDICT = "verdict(tuple(found), [tuple(c) for c in controls])"
# Return intervals of a difference of means, for several seeds.
INTERVALS = """
def apart(a, b):
    return factor * float(a.mean() - b.mean())

[[float(v) for v in interval(a.numpy(), b.numpy(), apart, draws, s)] for s in seeds]"""
# Define the AUC and the interval that `audit_of` gets, and ask about one model.
AUDIT = """
def area(members, others):
    gap = members[:, None] - others[None]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)

def around(members, others, statistic, draws=1000, seed=0):
    return statistic(members, others) - width, statistic(members, others) + width

audit_of(scores.numpy(), kinds.numpy(), area, around)"""


def models(rng, n_models):
    """Return confidences and statuses of some pictures."""
    status = rng.integers(0, 3, (n_models, int(rng.integers(10, 20))))
    level = rng.normal(0, 3, status.shape[1]) + np.where(status == NEVER, 0, 4)
    return level + rng.random(status.shape), status


def right_scores(confidence, status, victim, references):
    """Return the correct scores, NaN if no reference model can be used."""
    counted = status[references] == NEVER
    with np.errstate(invalid="ignore"):
        return confidence[victim] - (confidence[references] * counted).sum(0) / counted.sum(0)


def test_score(ask, rng):
    confidence, status = models(rng, 9)
    for victim, references in ((0, [1, 2, 3, 4, 5, 6, 7, 8]), (2, [0, 1, 3, 4, 5])):
        status[rng.choice(references, status.shape[1]), np.arange(status.shape[1])] = NEVER
        right = right_scores(confidence, status, victim, references)
        found = ask("score(c.numpy(), s.numpy(), v, r)", c=confidence, s=status, v=victim, r=references)
        compare(found, right, "A score is the victim's confidence in a picture minus the mean confidence of "
                "those reference models that never saw it. No other model counts.",
                [(-right, "The sign is reversed: members would get low scores.")], 1e-5)


def test_score_nobody(ask, rng):
    confidence, status = models(rng, 6)
    status[1:, rng.permutation(status.shape[1])[:6]] = [RETAINED] * 3 + [NEVER] * 3
    found = ask("score(c.numpy(), s.numpy(), 0, [1, 2, 3, 4, 5])", c=confidence, s=status)
    compare(found, right_scores(confidence, status, 0, [1, 2, 3, 4, 5]), "If all reference models saw a "
            "picture, its score is NaN, in its place; the others have their usual scores.", tolerance=1e-5)


def area(members, others):
    """Return the AUC."""
    gap = np.asarray(members)[:, None] - np.asarray(others)[None]
    return (gap > 0).mean() + (gap == 0).mean() / 2


def test_auc(ask, rng):
    n = int(rng.integers(9, 15))
    distinct = rng.normal(0.9, 1, n), rng.normal(0, 1, n + 8)
    tied = rng.permutation(1 + np.arange(n) % 4) / 2, rng.permutation(np.arange(n + 8) % 4) / 2
    for a, b in (distinct, distinct[::-1], tied, tied[::-1]):
        compare(ask("auc(a.numpy(), b.numpy())", a=a, b=b), area(a, b), "The AUC is the share of all pairs, each "
                "member with each of the others, in which the member scores higher; a tie is half a point.")


def test_accuse(ask, rng):
    for moved in (0, 200):
        n, allowed = int(rng.integers(30, 60)), int(rng.integers(3, 7))
        rate = (allowed + rng.uniform(0.4, 0.8)) / n
        calibration = rng.permutation(np.cumsum(rng.uniform(1, 2, n)))
        threshold = np.sort(calibration)[n - 1 - allowed]
        scores = moved + rng.permutation([*calibration, *(threshold - rng.random(8)), 2 * n, 3 * n])
        found = ask("accuse(c.numpy(), s.numpy(), rate)", c=calibration, s=scores, rate=rate)
        compare(found, scores > threshold, f"The rate {rate:.3f} allows {allowed} of {n} calibration scores "
                "strictly above the threshold. Choose the smallest such one: quantiles may interpolate.")


def test_accuse_ties(ask, rng):
    for _ in range(2):
        n, equal, top = (int(rng.integers(*ends)) for ends in ((30, 50), (8, 12), (2, 4)))
        values = [*range(n - equal - top), *[100] * equal, *range(101, 101 + top)]
        rate = (top + rng.uniform(2.4, 4.6)) / n  # ends among the equal scores
        calibration = rng.permutation(values) / 1
        found = ask("accuse(c.numpy(), c.numpy(), rate)", c=calibration, rate=rate)
        compare(found, calibration > 100, f"The rate allows {rate * n:.1f} of {n} scores above a threshold. "
                f"{equal} of them are equal and {top} are higher: only these {top} can be accused.")


def test_interval(ask, rng):
    n, factor, seed = int(rng.integers(20, 30)), rng.uniform(1.5, 4), int(rng.integers(10000))
    a, b = rng.normal(12, 1, n), rng.normal(0, 6, 3 * n)
    found = np.array(ask(INTERVALS, a=a, b=b, factor=factor, draws=4000, seeds=[seed, seed, seed + 1]), float)
    error = factor * (a.var() / n + b.var() / (3 * n)) ** 0.5
    width = (found[0, 1] - found[0, 0]) / error
    assert abs(found[0].mean() - factor * (a.mean() - b.mean())) < 0.35 * error, (
        "The interval is not around the statistic: draw members from members, and others from others.")
    assert abs(width - 3.92) < 0.36, (
        f"A 95 % interval of a mean difference is 3.92 standard errors wide, not {width:.2f}. Draw both "
        "sides with replacement, and take the quantiles 2.5 % and 97.5 % of the results.")
    assert same(found[0], found[1]), "The same seed gives another interval each time: use the seed."
    assert not same(found[0], found[2]), "All seeds give the same interval: use np.random.default_rng(seed)."
    code = "interval(np.arange(9.0), np.arange(8.0), lambda a, b: a.mean() - b.mean(), 9, 1)"
    assert keeps_random_state(ask, code), "interval() changes global random numbers: make your own generator."


def judge(ask, rng, cases):
    """Check the verdicts on cases (interval, controls, word), with the controls in any order."""
    for found, controls, word in cases:
        shuffled = [controls[i] for i in rng.permutation(len(controls))]
        said = ask(VERDICT, found=found, controls=shuffled)
        assert said == word, (
            f"The interval of the unlearned is {np.round(found, 2).tolist()}, and the controls have "
            f"{np.round(shuffled, 2).tolist()}: the verdict is {word!r}, not {said!r} (part 4).")


def ends(rng, low, high):
    """Return an interval within (low, high)."""
    return np.sort(rng.uniform(low, high, 2)).tolist()


def test_verdict(ask, rng):
    wide = [rng.uniform(0.2, 0.49), rng.uniform(0.51, 0.9)]
    good = [ends(rng, 0.55, 1) for _ in range(int(rng.integers(1, 4)))]
    cases = [(found, good, NOT_DETECTED) for found in (wide, [0.5, wide[1]], [wide[0], 0.5])]
    cases += [(found, controls, DETECTED) for found in (ends(rng, 0.53, 0.95), ends(rng, 0.1, 0.47))
              for controls in (good, [*good, wide])]
    judge(ask, rng, cases)


def test_verdict_blind(ask, rng):
    wide = [rng.uniform(0.2, 0.4), rng.uniform(0.85, 0.99)]
    good = [ends(rng, 0.55, 1) for _ in range(2)]
    bad = ([], [*good, wide], [*good, ends(rng, 0.1, 0.45)])
    judge(ask, rng, [(wide, good, NOT_DETECTED), *((wide, controls, INCONCLUSIVE) for controls in bad)])


def audit(ask, rng, unlearned, retained, width):
    """Return the answer about a model whose scores have these levels, and the correct answer."""
    sizes = [12, *rng.integers(7, 11, 2).tolist()]
    sides = [rng.normal(level, 1, n) for level, n in zip((0, retained, unlearned), sizes, strict=True)]
    scores = np.concatenate([*sides, np.full(3, np.nan)])
    kinds = np.array([*np.repeat([NEVER, RETAINED, UNLEARNED], sizes), NEVER, RETAINED, UNLEARNED])
    order = rng.permutation(len(scores))
    found = ask(AUDIT, scores=scores[order], kinds=kinds[order], width=width)
    auc, control = area(sides[2], sides[0]), area(sides[1], sides[0])
    word = DETECTED if abs(auc - 0.5) > width else NOT_DETECTED if control - width > 0.5 else INCONCLUSIVE
    return found, [auc, control, word]


def test_audit(ask, rng):
    for unlearned, retained in ((0.2, 0.9), (-1, 1), (0.7, 0.2)):
        found, right = audit(ask, rng, unlearned, retained, 0.1)
        compare(found[:2], right[:2], f"The AUCs of the unlearned and of the retained are {right[0]:.2f} and "
                f"{right[1]:.2f}, each against the people never seen, without the people whose score is NaN.")


def test_audit_verdict(ask, rng):
    for unlearned, retained in ((9, 9), (-9, 9), (9, 0), (0, 9), (0, 0), (0, -9)):
        found, right = audit(ask, rng, unlearned, retained, 0.4)
        assert found[2] == right[2], (
            f"With AUCs {right[0]:.2f} (unlearned) and {right[1]:.2f} (retained), each ± 0.4: {right[2]!r}.")
