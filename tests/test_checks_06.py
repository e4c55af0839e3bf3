"""The checks of lesson 06: right answers in another style pass, each known mistake is told what it is."""

import pytest

from grmu.course import checks


def merged(rows, gold, metrics):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    return 1 - sum(abs(both[m] - both[f"{m}_gold"]).mean() for m in metrics) / len(metrics)


def test_another_right_way_to_write_the_gap_passes(capsys):
    checks.check_gap(merged)
    assert capsys.readouterr().out.startswith("\N{CHECK MARK}")


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda r, g, m: 1 - abs(r[m].to_numpy() - g[m].to_numpy()[: len(r)]).mean(), "each seed is compared"),
    (lambda r, g, m: 1 - merged(r, g, m), "that is the mean distance"),
    (lambda r, g, m: 100 * merged(r, g, m), "not percent"),
    (lambda r, g, m: 1 - abs((r.set_index("seed")[m] - g.set_index("seed")[m]).dropna().mean()).mean(),
     "before the mean"),
    (lambda r, g, m: merged(r, g, [*m, "seconds"]), "only in the metrics that are asked for"),
])
def test_a_wrong_gap_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_gap(wrong)


def test_another_right_way_to_write_the_matching_loss_passes(capsys):
    checks.check_match_loss(lambda ce, target: (target.detach() - ce.sum() / len(ce)).square())
    assert capsys.readouterr().out.startswith("\N{CHECK MARK}")


@pytest.mark.parametrize(("wrong", "sentence"), [
    (lambda ce, target: ((ce - target.detach()) ** 2).mean(), "average first"),
    (lambda ce, target: (ce.mean() - target.detach()).abs(), "is squared"),
    (lambda ce, target: (ce.mean() - target) ** 2, "detach it"),
    (lambda ce, target: (ce.detach().requires_grad_().mean() - target.detach()) ** 2, "no gradient reaches"),
    (lambda ce, target: (target.detach() - ce.mean()).clamp(min=0) ** 2, "do not maximise, match"),
    (lambda ce, target: (ce - target.detach()) ** 2, "scalar tensor"),
])
def test_a_wrong_matching_loss_is_told_why(wrong, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        checks.check_match_loss(wrong)
