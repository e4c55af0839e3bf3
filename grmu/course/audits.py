"""Lesson 07: what shadow models answer, and the functions that its students write."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from grmu import data
from grmu.analysis import attacks, results
from grmu.analysis.names import label

STATES = np.array(["never seen", "retained", "unlearned"])  # by the codes of grmu.analysis.shadows
METHODS = (("pretrain", False), ("retrain", True), ("finetune", True), ("scrub", True), ("miu", True))


def shadow_answers() -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return the shipped answers of shadow models on memorised data.

    Returns:
        (models, pictures) states; (models, pictures) confidences by the method's name; and the (pictures,)
        rows of the training set.
    """
    answers = results.load("answers")
    status, *confidences = (answers.pivot(index="shadow", columns="row", values=name)
                            for name in answers.columns[2:])
    names = [label(*key) for key in METHODS]
    by_method = {name: table.to_numpy() for name, table in zip(names, confidences, strict=True)}
    return STATES[status.to_numpy()], by_method, status.columns.to_numpy()


def rows(table: str, dataset: str, **where: Any) -> pd.DataFrame:
    """Return rows of a shipped table of the audit that are about the forget group of a data set."""
    train, _, _, forget_group = data.load(dataset)
    name = train.group_names[train.group_id(forget_group)]
    return results.load(table, dataset=dataset, group=name, **where)


def value(table: str, dataset: str, method: str, reweight: bool, measure: str = "AUC",
          **where: Any) -> list[float]:
    """Return a measure of the audit and the two ends of its 95 % interval over shadow models."""
    row = rows(table, dataset, method=method, reweight=reweight, **where).iloc[0]
    return row[[measure, f"{measure} low", f"{measure} high"]].astype(float).tolist()


def ulira_scores(confidence: np.ndarray, status: np.ndarray, target: int,
                 positive: str = "unlearned") -> np.ndarray:
    """Return U-LiRA's score of each picture for one model, from the answers of all others.

    Args:
        confidence, status: (models, pictures) answers and states.
        target: the row of the attacked model.
        positive: the state to be distinguished from "never seen".
    """
    codes = np.searchsorted(STATES, status)
    return attacks.likelihood_ratios(confidence, codes, int(np.searchsorted(STATES, positive)))[target]


def tpr_at_fpr(seen: np.ndarray, never: np.ndarray, rate: float) -> float:
    """Return the largest share of `seen` above a threshold that at most a share `rate` of `never` exceeds."""
    truth = np.repeat([True, False], [len(seen), len(never)])
    false, true, _ = roc_curve(truth, np.concatenate([seen, never]), drop_intermediate=False)
    return float(true[false <= rate].max())


def false_share(tpr: float, fpr: float, members: float) -> float:
    """Return the share of accusations that are false, if a share `members` of the tested are members."""
    wrong, right = (1 - members) * fpr, members * tpr
    return wrong / (wrong + right)
