"""How many labels to collect, and what to decide about a request, as lessons 09 and 11 have students write
it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from grmu.analysis import attacks
from grmu.analysis.compare import Interval

Ends = tuple[float, float]  # of an interval


def points_lost(margins: Tensor, before: Tensor, left: Tensor) -> float:
    """Predict how many points of accuracy a group loses, from the original model alone.

    Args:
        margins: (N,) by how much the logit of the right class exceeds the other one, in test pictures of the
            group.
        before: (2,) training pictures of the other class and of the group's class on the group's background.
        left: (2,) the same after forgetting.
    """
    kept = left / before
    moved = margins + (kept[1] / kept[0]).log()
    return 100 * ((margins > 0).float() - (moved > 0).float()).mean().item()


def choose(table: pd.DataFrame, hours: float) -> str:
    """Return the method that fits the budget and has the lowest AUC of a conclusive audit.

    Args:
        table: by method, its hours, the AUC of its audit (NaN: none), and the audit's verdict.
        hours: The budget.
    """
    judged = table[(table.hours <= hours) & table.AUC.notna() & (table.audit != attacks.BLIND)]
    return str(judged.AUC.idxmin())


def promise(retrained: bool, forgotten: Ends | None, controls: Sequence[Ends]) -> str:
    """Return what may be promised: "exact", "detected", "passed" or "cannot tell".

    Args:
        retrained: Whether the model was retrained without the forget set.
        forgotten: The interval of an attack's AUC on the forget set; None if there was no attack.
        controls: Such intervals for people whom the attack should detect.
    """
    powerful = bool(controls) and all(low > 0.5 for low, _ in controls)
    if retrained or forgotten is None:
        return "exact" if retrained else "cannot tell"
    return "detected" if forgotten[0] > 0.5 else "passed" if powerful else "cannot tell"


def labels_needed(share: float, k: int, sure: float) -> int:
    """Return how many labels contain k members of a group with probability `sure` (lesson 09).

    Args:
        share: The group's share of those who may be asked.
        k: How many members are needed.
        sure: The probability, below 1.
    """
    from scipy.stats import binom

    n = k
    while binom.sf(k - 1, n, share) < sure:
        n += 1
    return n


def auc_interval(members: Tensor, never: Tensor, draws: int = 1000) -> Interval:
    """Return how often a member is more confident than one never seen, with a 95 % bootstrap interval.

    Args:
        members: (n,) confidences of people in question.
        never: (m,) confidences of people whom the model never saw.
        draws: How often both are drawn with replacement.
    """
    wins = ((members[:, None] > never) + 0.5 * (members[:, None] == never)).numpy()
    rng = np.random.default_rng(0)
    ours, theirs = (rng.multinomial(n, np.full(n, 1 / n), draws) / n for n in wins.shape)
    low, high = np.quantile(((ours @ wins) * theirs).sum(1), [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high), len(members))
