"""What is measured: RA UA TA MIA EO GA (Sec. 4.1, Appx. A), DP EP WG (Appx. B.6), accuracy by group.

`evaluate` makes one forward pass over each split and derives everything from the logits. Values are
fractions; the higher is not the better: unlearning wants each to be what the gold standard has.
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
OVERALL = ("RA", "UA", "TA", "GA")  # accuracies over parts of the data; the rest of the table is by group


def standard_error(accuracy: float, n: int) -> float:
    """Binomial standard error of an accuracy measured on n samples; NaN for n = 0."""
    return float(np.sqrt(accuracy * (1 - accuracy) / n)) if n else float("nan")


def accuracy_by_group(predicted: torch.Tensor, data: GroupedDataset) -> pd.DataFrame:
    """One row per declared group: group (its name), accuracy, n, se.

    A group without samples has accuracy NaN, n 0.
    """
    right = (predicted.cpu() == data.y.cpu()).double()
    counts = data.group_counts().cpu()
    accuracy = torch.bincount(data.group.cpu(), right, data.n_groups) / counts
    frame = pd.DataFrame({"group": data.group_names, "accuracy": accuracy, "n": counts})
    frame["se"] = [standard_error(p, n) for p, n in zip(frame["accuracy"], frame["n"], strict=True)]
    return frame


def accuracies(model: Classifier, test: GroupedDataset, forget: GroupedDataset,
               groups: Sequence[Group]) -> dict[str, float]:
    """TA and, where something is forgotten, GA and UA: what a run records after each epoch."""
    right = correct(model, test).float()
    measured = {"TA": right.mean().item()}
    if len(forget):
        measured |= {"GA": right[test.in_groups(groups)].mean().item(),
                     "UA": correct(model, forget).float().mean().item()}
    return measured


def fairness(predicted: torch.Tensor, data: GroupedDataset, groups: Sequence[Group]) -> dict[str, float]:
    """EO (Eq. 11), DP and EP as differences over the attribute, with classes and attributes binarised.

    The positive class is "one of the target classes of `groups`", the attribute "one of their attribute
    values": with two classes and two values that changes nothing, with more it is the paper's convention for
    FairFace (Appx. A).
    """
    from fairlearn import metrics  # seconds to import, for those who measure

    data.group_ids(groups)  # refuses what is no group
    classes, attributes = (torch.tensor(sorted(set(v))) for v in zip(*groups, strict=True))
    y, y_hat = (torch.isin(v.cpu(), classes).int().numpy() for v in (data.y, predicted))
    a = torch.isin(data.a.cpu(), attributes).numpy()
    tpr, fpr, selected = (  # a `MetricFrame` says the same, slowly; a test compares
        abs(rate(y[a], y_hat[a]) - rate(y[~a], y_hat[~a])) if 0 < a.sum() < len(a) else 0.0
        for rate in (metrics.true_positive_rate, metrics.false_positive_rate, metrics.selection_rate))
    return {"EO": float((tpr + fpr) / 2), "DP": float(selected), "EP": float(tpr)}


def mia_efficacy(retain: torch.Tensor, val: torch.Tensor, forget: torch.Tensor, retain_group: torch.Tensor,
                 val_group: torch.Tensor, seed: int = 0) -> float:
    """Share of the forget set that an attacker takes for non-members, TN / |D_f| (Eq. 10).

    Higher: better hidden.

    The attacker is one random forest with fixed settings on one feature, the loss, fitted to retain (members)
    against validation samples (non-members). Validation samples are weighted to the retain set's group
    proportions and both sides to equal totals; else the forest learns which groups are common instead of who
    was a member.

    Args:
        retain, val, forget: (N,) losses.  retain_group, val_group: (N,) groups.  seed: of the forest.
    """
    forest = membership_forest(retain, val, retain_group, val_group, seed)
    return float((forest.predict(forget[:, None].numpy()) == 0).mean())


def membership_forest(retain: torch.Tensor, val: torch.Tensor, retain_group: torch.Tensor,
                      val_group: torch.Tensor, seed: int = 0) -> Any:
    """The attacker of `mia_efficacy`, a fitted forest to be asked about losses (N, 1): 1 is a member."""
    losses, member, weights = attack_data(retain, val, retain_group, val_group)
    return membership_attacker(seed).fit(losses, member, sample_weight=weights)


def membership_attacker(seed: int) -> Any:
    """The attacker of `mia_efficacy`, not fitted yet."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=50, max_depth=5, min_weight_fraction_leaf=0.01,
                                  random_state=seed)


def attack_data(retain: torch.Tensor, val: torch.Tensor, retain_group: torch.Tensor,
                val_group: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Losses (N, 1), who is a member (N,), and the samples' weights (N,): see `mia_efficacy`.

    Raises:
        ValueError: what is given are no tensors (N,), empty, or of different lengths.
    """
    given = (retain, retain_group), (val, val_group)
    require(all(isinstance(v, torch.Tensor) and v.ndim == 1 and len(v) for pair in given for v in pair)
            and all(len(losses) == len(groups) for losses, groups in given),
            "losses and groups must be tensors (N,) of the same length, not empty.")
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
    """All metrics of one model.

    Args:
        groups: the dominant forget group(s) (y, a); GA is the test accuracy on them.

    Returns:
        The metrics by name, fractions, with val_TA, val_GA and val_WG (for choosing hyperparameters), and the
        accuracies with their n and standard error: rows RA, UA, TA, GA, then every group of the test set.
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
