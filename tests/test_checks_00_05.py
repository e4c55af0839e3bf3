"""The exercises' checks of lessons 00 and 05: right answers pass, every known wrong one is told why, in a
sentence."""

import numpy as np
import pytest
import torch
from exercises import check

from grmu.teach import checks


def accuracy_by_counting(predicted, y, group, g):
    hits = [p == t for p, t, k in zip(predicted.tolist(), y.tolist(), group.tolist(), strict=True) if k == g]
    p = sum(hits) / len(hits)
    return p, len(hits), float(np.sqrt(p * (1 - p) / len(hits)))


@pytest.mark.parametrize(("name", "function"), [
    ("group_accuracy", accuracy_by_counting),
    ("calibration_loss",
     lambda mi, mi_original, lam: lam * torch.nn.functional.mse_loss(mi, mi_original.detach())),
    ("average_gap", lambda ours, gold: float(np.mean([1 - abs(o - g)
                                                      for o, g in zip(ours.ravel(), gold.ravel(),
                                                                      strict=True)]))),
])
def test_an_answer_written_in_another_way_passes(name, function):
    check(name, function)


def everybody(predicted, y, group, g):
    return accuracy_by_counting(predicted, y, torch.full_like(group, g), g)


def percent(predicted, y, group, g):
    p, n, se = accuracy_by_counting(predicted, y, group, g)
    return 100 * p, n, se


def deviation(predicted, y, group, g):
    p, n, _ = accuracy_by_counting(predicted, y, group, g)
    return p, n, float(np.sqrt(p * (1 - p)))


@pytest.mark.parametrize(("name", "function", "sentence"), [
    ("group_accuracy", everybody, "count only those with group == g"),
    ("group_accuracy", percent, "or a percentage, is another number"),
    ("group_accuracy", deviation, "the standard error is"),
    ("group_accuracy", lambda predicted, y, group, g: 0.75, "return three numbers"),
    ("group_accuracy", lambda predicted, y, group, g: (*accuracy_by_counting(predicted, y, group, 0)[:2],
                                                       0.2165)
     if g == 0 else (0.0, 4, 0.0), "does g matter"),
    ("calibration_loss", lambda mi, mi_original, lam: lam * (mi - mi_original) ** 2, "detach it"),
    ("calibration_loss", lambda mi, mi_original, lam: lam * (mi.detach() - mi_original.detach()) ** 2
     + 0 * mi, "detach only"),
    ("calibration_loss", lambda mi, mi_original, lam: lam * (mi - mi_original.detach()).abs(),
     "squared in Eq. 6"),
    ("calibration_loss", lambda mi, mi_original, lam: (lam * (mi - mi_original.detach())) ** 2,
     "multiplies the square"),
    ("calibration_loss", lambda mi, mi_original, lam: lam * (mi - mi_original.detach()).clamp(min=0) ** 2,
     "too little information"),
    ("calibration_loss", lambda mi, mi_original, lam: 0.32, "scalar tensor"),
    ("average_gap", lambda ours, gold: 1 - np.abs((ours - gold).mean(0)).mean(), "per seed first"),
    ("average_gap", lambda ours, gold: np.abs(ours - gold).mean(), "1 minus it"),
    ("average_gap", lambda ours, gold: 100 * (1 - np.abs(ours - gold).mean()), "not percent"),
])
def test_a_known_wrong_answer_is_told_why(name, function, sentence):
    with pytest.raises(checks.CheckError, match=sentence):
        check(name, function)
