"""Load the shadow models' confidences for lesson 07, and solve its exercises."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from grmu import data
from grmu.analysis import attacks, results
from grmu.analysis.names import label

STATES = np.array(["never seen", "retained", "unlearned"])  # in the order of their codes in analysis.shadows
METHODS = (("pretrain", False), ("retrain", True), ("finetune", True), ("scrub", True), ("miu", True))


def shadow_answers() -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Load the shipped confidences of shadow models on memorised data.

    Returns:
        The (models, pictures) states, the (models, pictures) confidences for each method by name, and the
        (pictures,) row numbers of the training set.
    """
    answers = results.load("answers")
    status, *confidences = (answers.pivot(index="shadow", columns="row", values=name)
                            for name in answers.columns[2:])
    names = [label(*key) for key in METHODS]
    by_method = {name: table.to_numpy() for name, table in zip(names, confidences, strict=True)}
    return STATES[status.to_numpy()], by_method, status.columns.to_numpy()


def rows(table: str, dataset: str, **where: Any) -> pd.DataFrame:
    """Return the rows of a shipped audit table for the forget group of a data set."""
    train, _, _, forget_group = data.load(dataset)
    name = train.group_names[train.group_id(forget_group)]
    return results.load(table, dataset=dataset, group=name, **where)


def value(table: str, dataset: str, method: str, reweight: bool, measure: str = "AUC",
          **where: Any) -> list[float]:
    """Return an audit's measure and the two ends of its 95 % interval over shadow models."""
    row = rows(table, dataset, method=method, reweight=reweight, **where).iloc[0]
    return row[[measure, f"{measure} low", f"{measure} high"]].astype(float).tolist()


def ulira_scores(confidence: np.ndarray, status: np.ndarray, target: int,
                 positive: str = "unlearned") -> np.ndarray:
    """Return U-LiRA's (pictures,) scores for one model, from the confidences of all other models.

    Args:
        confidence: (models, pictures) confidences.
        status: (models, pictures) states.
        target: The row of the attacked model.
        positive: The state to be distinguished from "never seen".
    """
    codes = np.searchsorted(STATES, status)
    return attacks.likelihood_ratios(confidence, codes, int(np.searchsorted(STATES, positive)))[target]


def tpr_at_fpr(seen: np.ndarray, never: np.ndarray, rate: float) -> float:
    """Return the true positive rate at a false positive rate of at most `rate`."""
    truth = np.repeat([True, False], [len(seen), len(never)])
    false, true, _ = roc_curve(truth, np.concatenate([seen, never]), drop_intermediate=False)
    return float(true[false <= rate].max())


def false_share(tpr: float, fpr: float, members: float) -> float:
    """Return the share of false accusations if a share `members` of the tested people are members."""
    wrong, right = (1 - members) * fpr, members * tpr
    return wrong / (wrong + right)
