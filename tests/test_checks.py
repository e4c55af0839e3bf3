"""Test the checks of the exercises: solutions pass, and stubs and known mistakes get their own message."""

import math
import sys

import numpy as np
import pytest
import torch
from exercises import EXERCISES, cells, check, solution, stub

from grmu.course import answers, certified, checks, leaving


@pytest.fixture(autouse=True)
def trained_for_the_lesson(request, monkeypatch):
    """Check a rule on seed 0, whose original model a lesson has trained, except in slow tests."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(sys.modules["grmu.course.checks.leaving"], "HELD_OUT", (0,))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_and_the_stub_is_named(name, capsys):
    check(name, solution(name))
    assert capsys.readouterr().out.startswith("\N{CHECK MARK}")
    with pytest.raises(checks.CheckError, match=f"{name} still raises NotImplementedError"):
        check(name, stub(name))


@pytest.mark.slow
def test_the_solution_of_the_rule_passes_on_the_held_out_seeds():
    check("rule", solution("rule"))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_lesson_calls_the_check_behind_a_comment(name):
    lesson, check_name = EXERCISES[name]
    lines = [line for cell in cells(lesson) if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert any(line.startswith("# ") and f"{check_name}({name})" in line for line in lines)


def left_out(choose):
    """Return RETRAIN without the samples that `choose` selects."""
    def retrain(fit, x, y, group, g, ratio, seed):
        kept = torch.ones(len(group), dtype=torch.bool)
        rng = torch.Generator().manual_seed(seed)
        kept[choose((group == g).nonzero().squeeze(1), ratio, rng, len(group))] = False
        return fit(x[kept], y[kept])
    return retrain


def sampler(weigh):
    """Return a sampler with the group weights that `weigh` computes from the counts before and after."""
    def sample(before, group, rng):
        weights = weigh(before, group.bincount(minlength=len(before)))[group].float()
        return torch.multinomial(weights, len(group), replacement=True, generator=rng)
    return sample


def shift(before, left):
    boots, sneakers = (left.double() / before.double()).log()
    return sneakers - boots


def entropy(counts):
    return torch.special.entr(counts / counts.sum()).sum()


def own(log_p, label):
    return log_p.gather(1, label[:, None])


def paired(rows, gold, metrics):
    return (rows.set_index("seed")[metrics] - gold.set_index("seed")[metrics]).dropna()


def retain_loss(power=2, draws=1, fixed=True):
    def loss(logits, batch, m, m_original, draw, lam):
        bars = [draw(batch.group) for _ in range(draws)]
        target = m_original(bars[-1])
        gap = m(bars[0]) - (target.detach() if fixed else target)
        return torch.nn.functional.cross_entropy(logits, batch.y) + lam * gap**power
    return loss


def m_of(mine, z, group, rng=None):
    drawn = torch.randint(3, group.shape, generator=rng or mine.rng)
    return mine.bound(z, group, drawn)


def tune(step=True, zero=True, sign=-1):
    def tune(mine, loss, features, batches):
        for batch in batches:
            if zero:
                mine.optimizer.zero_grad()
            (sign * loss(mine, features(batch).detach(), batch.group)).backward()
            if step:
                mine.optimizer.step()
    return tune


def leaves(step, seeded=True):
    """Rounds of leaving with `step`: from who is there to who stays, by the first accuracy or the present."""
    def spiral(group, update, rate, seed, rounds):
        rng, here = np.random.default_rng(seed if seeded else None), np.ones(len(group), dtype=bool)
        first = accuracy = update(here)
        history = [(np.bincount(group), accuracy)]
        for _ in range(rounds):
            here = step(here, lambda a: rng.random(len(group)) >= (rate * (1 - a))[group], first, accuracy)
            accuracy = update(here)
            history.append((np.bincount(group[here], minlength=len(accuracy)), accuracy))
        return tuple(map(np.array, zip(*history, strict=True)))
    return spiral


MISTAKES = [
    ("group_accuracy", lambda p, y, group, g: ((p == y).float().mean(), 8, 0.1), "4 samples"),
    ("overall_accuracy", lambda p, shares: p.mean(), "plain mean"),
    ("overall_accuracy", lambda p, shares: (p * shares).mean(), "add the products up"),
    ("retrain", left_out(lambda m, ratio, rng, n: m[:round(ratio * len(m))]), "every seed forgets"),
    ("retrain", left_out(lambda m, ratio, rng, n: m[torch.rand(20, generator=rng) < 0.3]), "exact fraction"),
    ("retrain", left_out(lambda m, ratio, rng, n: torch.randperm(n, generator=rng)[:50]), "only group 1"),
    ("retrain", left_out(lambda m, ratio, rng, n: m[:0]), "that is PRETRAIN"),
    ("retrain", lambda fit, x, y, group, g, ratio, seed: fit(x[10:], y[:-10]), "do not match"),
    ("retrain_even", answers.retrain, "draw from everyone"),
    ("retrain_even", lambda fit, x, y, group, g, ratio, seed:
     answers.retrain(fit, x, y, 0 * group, 0, ratio, seed), "forget 10 in all"),
    ("retrain_even", lambda fit, x, y, group, g, ratio, seed:
     answers.retrain_even(fit, x, y, group, g, ratio, 0), "pass on the seed"),
    ("margin_shift", lambda before, left: -shift(before, left), "the sign"),
    ("margin_shift", lambda before, left: shift(before, left).exp(), "take its logarithm"),
    ("margin_shift", lambda before, left: (left[1] / before[1]).log(), "nine tenths"),
    ("retain_share", lambda c, g, ratio: (1 - ratio) * c[g] / sum(c), "old size"),
    ("retain_share", lambda c, g, ratio: 0.07287, "use g"),
    ("adjusted", lambda z, a, alpha: z - alpha.log()[:, a].T, "the sign"),
    ("adjusted", lambda z, a, alpha: z + alpha[:, a].T, "take the logarithm"),
    ("adjusted", lambda z, a, alpha: z + alpha.log().amax(1), "use a"),
    ("adjusted", lambda z, a, alpha: z, "nothing has changed"),
    ("group_weights", lambda before, after: after / before, "upside down"),
    ("group_weights", lambda before, after: before / sum(before) / after * sum(after), "factor that all"),
    ("group_weights", lambda before, after: 1 / after, "balance the groups"),
    ("group_weights", lambda before, after: before / after, "weight 0"),
    ("sample_epoch", sampler(lambda before, left: before > 0), "use the weights"),
    ("sample_epoch", sampler(lambda before, left: 1 / left.clamp(min=1)), "balance the groups"),
    ("sample_epoch", sampler(lambda before, left: left / before), "the training set's shares"),
    ("sample_epoch", lambda before, group, rng: torch.randperm(820, generator=rng), "with replacement"),
    ("sample_epoch", lambda before, group, rng: torch.randint(820, (820,)), "pass rng to torch"),
    ("sample_epoch", lambda before, group, rng: before, "as many rows"),
    ("expected_distinct", lambda n, share, draws: share * draws, "several times"),
    ("expected_distinct", lambda n, share, draws: 43.98, "One draw"),
    ("my_dv_bound", lambda j, m: j.mean() - m.mean(), "mean minus mean"),
    ("my_dv_bound", lambda j, m: j.mean() - m.logsumexp(0), "log-.mean.-exp"),
    ("my_dv_bound", lambda j, m: j.mean() - m.exp().mean().log(), "overflows"),
    ("my_dv_bound", lambda j, m: (j.mean() - m.logsumexp(0) + math.log(len(m))).item(), "scalar tensor"),
    ("corrected_loss", lambda j, m, a: j.mean() - m.exp().mean() / a.detach(), "smaller"),
    ("corrected_loss", lambda j, m, a: m.exp().mean().log() - j.mean(), "plain loss"),
    ("corrected_loss", lambda j, m, a: m.exp().mean() / a - j.mean(), "detach it"),
    ("my_exact_bound", lambda t, g: own(t, g).mean() - t.logsumexp(1).mean() + math.log(3), "the log once"),
    ("my_exact_bound", lambda t, g: own(t, g).mean() - t.logsumexp((0, 1)) + math.log(4), "all B times n"),
    ("needed_nats", lambda c: entropy(c.sum(0)), "add up rows"),
    ("needed_nats", lambda c: entropy(c.sum(1).clamp(min=1)), "must change nothing"),
    ("classifier_bound", lambda p, g: -own(p, g).mean(), "that is the cross-entropy"),
    ("classifier_bound", lambda p, g: entropy(g.bincount()) + own(p, g).sum(), "mean"),
    ("my_measure", lambda t, z, g, n: t(z, g).mean() - t(z, g).logsumexp(0) + math.log(2), "own group"),
    ("my_unlearning_loss", lambda mine, z, g: -m_of(mine, z, g), "return M and not -M"),
    ("my_unlearning_loss", lambda mine, z, g: mine.bound(z, g, g), "declared groups"),
    ("my_unlearning_loss", lambda mine, z, g: m_of(mine, z.detach(), g).detach(), "no gradient flows"),
    ("my_unlearning_loss", lambda mine, z, g: m_of(mine, z, g, rng=torch.Generator()), "mine.rng"),
    ("my_tune_mine", tune(sign=1), "must maximise"),
    ("my_tune_mine", tune(step=False), "did not change"),
    ("my_tune_mine", tune(zero=False), "old gradients"),
    ("my_retain_loss", retain_loss(power=1), "square the difference"),
    ("my_retain_loss", retain_loss(draws=2), "draw group_bar once"),
    ("my_retain_loss", retain_loss(fixed=False), "fixed target"),
    ("gap", lambda r, g, m: paired(r, g, m).abs().mean().mean(), "mean distance"),
    ("gap", lambda r, g, m: 1 - paired(r, g, m).mean().abs().mean(), "absolute values first"),
    ("holm", lambda p: (len(p) * p).clip(max=1), "Bonferroni"),
    ("holm", lambda p: np.sort(solution("holm")(p)), "in the order in which they were given"),
    ("ulira_scores", lambda c, s, t, p: -solution("ulira_scores")(c, s, t, p), "sign is wrong"),
    ("ulira_scores", lambda c, s, t, p: np.exp(solution("ulira_scores")(c, s, t, p)), "the logarithm"),
    ("ulira_scores", lambda c, s, t, p: solution("ulira_scores")(np.r_[c, c[:1]], np.r_[s, s[:1]], t, p),
     "leave the attacked model out"),
    ("ulira_scores", lambda c, s, t, p: solution("ulira_scores")(c, s, t, "unlearned"), "that retained"),
    ("false_share", lambda tpr, fpr, members: fpr, "that is the FPR"),
    ("false_share", lambda tpr, fpr, members: fpr / (fpr + tpr), "multiply each rate"),
    ("tpr_at_fpr", lambda seen, never, rate: rate, "3 of 5 in seen"),
    ("tpr_at_fpr", lambda seen, never, rate: 0.6, "At a rate of 50 %"),
    ("masked_mean", lambda z, ids: z.mean(1), "includes the padding"),
    ("pair_weights", lambda train, retain, n: torch.ones(len(retain)), "all weights are equal"),
    ("pair_weights", lambda train, left, n: (1 / left.bincount(minlength=n))[left], "balance the groups"),
    ("share_recovered", lambda a, b, c, rng: (((c - b) / (a - b)).mean(), 0.5, 0.5), "mean of the ratios"),
    ("share_recovered", lambda a, b, c, rng: ((c - b).sum() / (a - b).sum(), 0.2, 0.8), "same seeds"),
    ("alpha_of", lambda g, true, guessed, rows: 2.0, "by the true groups"),
    ("alpha_of", lambda g, true, guessed, rows: 5 / 3, "not of the guessed one"),
    ("alpha_of", lambda g, true, guessed, rows: 1.5, "includes the forgotten"),
    ("fill_in", lambda z, train, known: train.a, "fit on the rows `known` only"),
    ("fill_in", lambda z, train, known: 0 * train.y, "fit a classifier"),
    ("fill_in", lambda z, train, known: z[:, 0] > 0, "keep a known label"),
    ("labels_needed", lambda share, k, sure: math.ceil(k / share), "on average"),
    ("points_lost", lambda margins, before, left: 100 * (margins <= 0.6).float().mean(), "2 of 5 pictures"),
    ("points_lost", lambda margins, before, left: 0.4, "percentage points"),
    ("points_lost", lambda margins, before, left: -40, "the sign"),
    ("choose", lambda table, hours: table[table.hours <= hours].AUC.idxmin(), "inconclusive"),
    ("choose", lambda table, hours: table.AUC.idxmin(), "exactly the budget"),
    ("share_left", lambda accuracy, rate, rounds: 1 - rounds * rate * (1 - accuracy), "multiply"),
    ("share_left", lambda accuracy, rate, rounds: (1 - rate * accuracy) ** rounds, "1 - accuracy"),
    ("spiral", leaves(lambda here, stays, first, now: here & stays(first)), "the updated"),
    ("spiral", leaves(lambda here, stays, first, now: stays(now)), "let nobody return"),
    ("spiral", leaves(lambda here, stays, first, now: here & ~stays(now)), "in round 1"),
    ("spiral", leaves(lambda here, stays, first, now: here & stays(now), seeded=False), "default_rng"),
    ("rule", leaving.restore, "at least 20% of the group"),
    ("rule", lambda start, left, accuracy: left.sum() / np.maximum(left, 1), "at least 95% as many"),
    ("promise", lambda retrained, forgotten, controls: "passed", "every control"),
    ("newton_step", lambda w, x, y, l2, b: w - certified.derivatives(w, x, y, l2, b)[0], "gradient descent"),
    ("newton_step", lambda w, x, y, l2, b: 2 * w - certified.newton_step(w, x, y, l2, b), "the sign"),
    ("newton_step", lambda w, x, y, l2, b: certified.newton_step(w, x, y, l2), "noise b is missing"),
    ("newton_step", lambda w, x, y, l2, b: certified.newton_step(w, x, y, l2 / len(y), b), "each sample"),
    ("noise_scale", lambda allowed, epsilon, delta: certified.noise_scale(allowed, 1 / epsilon, delta),
     "divide by it"),
    ("noise_scale", lambda allowed, epsilon, delta: certified.noise_scale(allowed, epsilon, 1.2 * delta),
     "another theorem"),
    ("steps_needed", lambda *args: 1 + certified.steps_needed(*args), "one too many"),
    ("steps_needed", lambda *args: 2, "needs 0 steps"),
]


@pytest.mark.parametrize(("name", "function", "sentence"), MISTAKES)
def test_a_mistake_is_explained(name, function, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check(name, function)


def test_every_check_has_an_exercise_and_a_mistake():
    ours = {check_name for _, check_name in EXERCISES.values()} | {"check_setup"}
    assert {name for name in vars(checks) if name.startswith("check_")} == ours
    assert {name for name, *_ in MISTAKES} == set(EXERCISES)
