"""The metrics: RA, UA, TA, MIA, EO, GA (Sec. 4.1, Appx. A), DP, EP, WG (Appx. B.6), and accuracy by group.

`evaluate` makes one forward pass over each split and derives every metric from the logits. The metrics are
fractions. A higher value is not always better, because an unlearned model should match the values of the gold
standard.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from grmu.data import Group, GroupedDataset, require
from grmu.models import Classifier
from grmu.training import correct, predict

METRICS = ("RA", "UA", "TA", "MIA", "EO", "GA")
FAIRNESS = ("DP", "EP", "WG")
OVERALL = ("RA", "UA", "TA", "GA")  # accuracies over a set; the other rows of the table are groups


def standard_error(accuracy: float, n: int) -> float:
    """Return the binomial standard error of an accuracy on n samples; NaN for n = 0."""
    return float(np.sqrt(accuracy * (1 - accuracy) / n)) if n else float("nan")


def accuracy_by_group(predicted: torch.Tensor, data: GroupedDataset) -> pd.DataFrame:
    """Return a table with one row per declared group and the columns group (its name), accuracy, n and se.

    A group without samples has accuracy NaN and n = 0.
    """
    right = (predicted.cpu() == data.y.cpu()).double()
    counts = data.group_counts().cpu()
    accuracy = torch.bincount(data.group.cpu(), right, data.n_groups) / counts
    frame = pd.DataFrame({"group": data.group_names, "accuracy": accuracy, "n": counts})
    frame["se"] = [standard_error(p, n) for p, n in zip(frame["accuracy"], frame["n"], strict=True)]
    return frame


def accuracies(model: Classifier, test: GroupedDataset, forget: GroupedDataset,
               groups: Sequence[Group]) -> dict[str, float]:
    """Measure the accuracies that a run records after each epoch.

    Returns:
        TA and, if the forget set is not empty, GA and UA.
    """
    right = correct(model, test).float()
    measured = {"TA": right.mean().item()}
    if len(forget):
        measured |= {"GA": right[test.in_groups(groups)].mean().item(),
                     "UA": correct(model, forget).float().mean().item()}
    return measured


def fairness(predicted: torch.Tensor, data: GroupedDataset, groups: Sequence[Group]) -> dict[str, float]:
    """Compute EO (Eq. 11), DP and EP, which compare the two values of a binarised attribute.

    The positive class is "one of the classes in `groups`", and the positive attribute is "one of the
    attribute values in `groups`". With two classes and two attribute values, this changes nothing; with more,
    it is the paper's convention for FairFace (Appx. A).

    Args:
        predicted: (N,) predicted classes.
        data: The samples.
        groups: The dominant forget groups, pairs (y, a).

    Raises:
        ValueError: A group is unknown.
    """
    from fairlearn import metrics  # imported here because it takes seconds

    data.group_ids(groups)  # rejects unknown groups
    classes, attributes = (torch.tensor(sorted(set(v))) for v in zip(*groups, strict=True))
    y, y_hat = (torch.isin(v.cpu(), classes).int().numpy() for v in (data.y, predicted))
    a = torch.isin(data.a.cpu(), attributes).numpy()
    tpr, fpr, selected = (  # faster than a `MetricFrame`; a test compares them
        abs(rate(y[a], y_hat[a]) - rate(y[~a], y_hat[~a])) if 0 < a.sum() < len(a) else 0.0
        for rate in (metrics.true_positive_rate, metrics.false_positive_rate, metrics.selection_rate))
    return {"EO": float((tpr + fpr) / 2), "DP": float(selected), "EP": float(tpr)}


def mia_efficacy(retain: torch.Tensor, val: torch.Tensor, forget: torch.Tensor, retain_group: torch.Tensor,
                 val_group: torch.Tensor, seed: int = 0) -> float:
    """Return the share of the forget set that an attacker classifies as non-members (Eq. 10).

        MIA efficacy = TN / |D_f|

    A higher value means that the forget set is better hidden. The attacker is a random forest with fixed
    settings, whose only feature is the loss. It is fitted to the retain set (members) and the validation set
    (non-members). Validation samples are weighted to match the group proportions of the retain set, and both
    sets have the same total weight. Otherwise, the forest would learn which groups are common rather than who
    is a member.

    Args:
        retain: (N_r,) losses on the retain set.
        val: (N_v,) losses on the validation set.
        forget: (N_f,) losses on the forget set.
        retain_group: (N_r,) groups of the retain set.
        val_group: (N_v,) groups of the validation set.
        seed: Seed of the forest.

    Raises:
        ValueError: Losses or groups are empty, are not tensors (N,), or differ in length.
    """
    forest = membership_forest(retain, val, retain_group, val_group, seed)
    return float((forest.predict(forget[:, None].numpy()) == 0).mean())


def membership_forest(retain: torch.Tensor, val: torch.Tensor, retain_group: torch.Tensor,
                      val_group: torch.Tensor, seed: int = 0) -> Any:
    """Fit the attacker of `mia_efficacy`.

    Returns:
        A random forest that classifies losses (N, 1); class 1 means member.
    """
    losses, member, weights = attack_data(retain, val, retain_group, val_group)
    return membership_attacker(seed).fit(losses, member, sample_weight=weights)


def membership_attacker(seed: int) -> Any:
    """Create the attacker of `mia_efficacy` without fitting it."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=50, max_depth=5, min_weight_fraction_leaf=0.01,
                                  random_state=seed)


def attack_data(retain: torch.Tensor, val: torch.Tensor, retain_group: torch.Tensor,
                val_group: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Build the training data for the attacker of `mia_efficacy`.

    Returns:
        Losses (N, 1), membership (N,) as 1 or 0, and sample weights (N,).

    Raises:
        ValueError: Losses or groups are empty, are not tensors (N,), or differ in length.
    """
    pairs = (retain, retain_group), (val, val_group)
    require(all(isinstance(v, torch.Tensor) and v.ndim == 1 and len(v) for pair in pairs for v in pair)
            and all(len(losses) == len(groups) for losses, groups in pairs),
            "losses and groups must be non-empty tensors (N,) of the same length.")
    n_groups = int(max(retain_group.max(), val_group.max())) + 1
    share_retain, share_val = (torch.bincount(g, minlength=n_groups) / len(g)
                               for g in (retain_group, val_group))
    val_weights = (share_retain / share_val.clamp(min=1e-12))[val_group]
    weights = torch.cat([torch.full((len(retain),), 0.5 / len(retain)),
                         0.5 * val_weights / val_weights.sum()])
    member = np.r_[np.ones(len(retain)), np.zeros(len(val))]
    return torch.cat([retain, val])[:, None].numpy(), member, (weights * len(member)).numpy()


def evaluate(model: Classifier, retain: GroupedDataset, forget: GroupedDataset, val: GroupedDataset,
             test: GroupedDataset, groups: Sequence[Group]) -> tuple[dict[str, float], pd.DataFrame]:
    """Compute all metrics of a model.

    Args:
        model: The model.
        retain: The retain set.
        forget: The forget set.
        val: The validation set.
        test: The test set.
        groups: The dominant forget groups, pairs (y, a); GA is the test accuracy on them.

    Returns:
        The metrics by name, as fractions, and a table of accuracies with n and standard error. The metrics
        include val_TA, val_GA and val_WG for choosing hyperparameters. The rows of the table are RA, UA, TA,
        GA and every group of the test set.
    """
    parts = {"retain": retain, "forget": forget, "val": val, "test": test}
    truth = {name: part.y.cpu() for name, part in parts.items()}
    logits = {name: predict(model, model, part.x).float().cpu() for name, part in parts.items()}
    predicted = {name: logits[name].argmax(1) for name in parts}
    right = {name: (predicted[name] == truth[name]).float() for name in parts}
    losses = {name: torch.nn.functional.cross_entropy(logits[name], truth[name], reduction="none")
              for name in parts if name != "test"}
    by_group = accuracy_by_group(predicted["test"], test)
    samples = {"RA": right["retain"], "UA": right["forget"], "TA": right["test"],
               "GA": right["test"][test.in_groups(groups).cpu()]}
    metrics = {name: hits.mean().item() for name, hits in samples.items()}
    metrics |= fairness(predicted["test"], test, groups)
    metrics["WG"] = float(by_group["accuracy"].min())
    metrics["MIA"] = mia_efficacy(losses["retain"], losses["val"], losses["forget"],
                                  retain.group.cpu(), val.group.cpu())
    metrics |= {"val_TA": right["val"].mean().item(),
                "val_GA": right["val"][val.in_groups(groups).cpu()].mean().item(),
                "val_WG": float(accuracy_by_group(predicted["val"], val)["accuracy"].min())}
    overall = pd.DataFrame([(name, metrics[name], len(hits), standard_error(metrics[name], len(hits)))
                            for name, hits in samples.items()], columns=list(by_group))
    return metrics, pd.concat([overall, by_group], ignore_index=True)
