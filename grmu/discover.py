"""Groups that nobody wrote down: an attribute inferred for every training sample,
so that REWEIGHT and MIU have groups to go by.

clusters: k-means on PRETRAIN's features within each class, k by silhouette (Sohoni et al. 2020, GEORGE).
errors: what a model that stops early gets wrong, against the rest (Liu et al. 2021, the identification step
of JTT).
probe: the attribute is known for a few samples; a logistic regression on what PRETRAIN's layers see says the
rest.
probe_last: the same on its last features only.  random: a die, the control.

An `Experiment` takes them by name (`grouping="clusters"`); the model asked is its PRETRAIN, before anything
is forgotten.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from grmu.data import ForgetSplit, GroupedDataset
from grmu.models import Classifier
from grmu.training import correct, predict

MOST_CLUSTERS = 5
LABELLED = 0.05
SILHOUETTE_SAMPLES = 2000


@dataclass(frozen=True)
class Grouping:
    """infer(model, train, seed) -> (N,) inferred attribute, from 0.
    early: overrides of PRETRAIN that make the model asked."""

    infer: Callable[[Classifier, GroupedDataset, int], np.ndarray]
    early: Mapping[str, object] = field(default_factory=dict)


def clusters(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """`divided` by the features that the head gets."""
    return divided(predict(model.features, model, train.x).cpu().numpy(), train, seed)


def divided(z: np.ndarray, train: GroupedDataset, seed: int) -> np.ndarray:
    """k-means on z (N, d) within each class: the cluster of each sample among those of its class.

    2 to MOST_CLUSTERS a class, by the best silhouette.
    """
    from sklearn.cluster import KMeans  # a second to import, for those who infer groups
    from sklearn.metrics import silhouette_score

    y, cluster = train.y.cpu().numpy(), np.zeros(len(train), dtype=int)
    for c in np.unique(y):
        members = z[y == c]
        if len(members) < 3:  # nothing to divide
            continue
        tried = [KMeans(k, n_init=10, random_state=seed).fit_predict(members)
                 for k in range(2, 1 + min(MOST_CLUSTERS, len(members) - 1))]
        cluster[y == c] = max(tried, key=lambda labels: silhouette_score(
            members, labels, sample_size=min(SILHOUETTE_SAMPLES, len(members)), random_state=seed))
    return cluster


def errors(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """1 where the model is wrong."""
    return (~correct(model, train)).long().cpu().numpy()


def labelled(train: GroupedDataset, seed: int, share: float = LABELLED) -> np.ndarray:
    """The rows whose attribute is known, `share` of all: a random draw,
    so small groups are small in it too."""
    return np.random.default_rng(seed).permutation(len(train))[: round(share * len(train))]


def completed(z: np.ndarray, train: GroupedDataset, known: np.ndarray) -> np.ndarray:
    """The attribute of the rows `known`; elsewhere what a logistic regression on z (N, d) and the class says,
    fitted there."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    a, y = train.a.cpu().numpy(), train.y.cpu().numpy()
    if len(np.unique(a[known])) == 1:  # nothing to tell apart
        return np.full(len(a), a[known][0])
    x = np.c_[z, np.eye(train.n_classes)[y]]
    attribute = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000)).fit(
        x[known], a[known]).predict(x)
    attribute[known] = a[known]
    return attribute


def probe(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """`completed` by the features of all layers."""
    return completed(layer_features(model, train), train, labelled(train, seed))


def probe_last(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """`completed` by the features that the head gets."""
    return completed(predict(model.features, model, train.x).cpu().numpy(), train, labelled(train, seed))


def random(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """A fair die with as many sides as there are attributes."""
    return np.random.default_rng(seed).integers(train.n_attributes, size=len(train))


EARLY = {"epochs": 1, "warmup_epochs": 0, "schedule": "constant"}
GROUPINGS = {"clusters": Grouping(clusters), "errors": Grouping(errors, EARLY), "probe": Grouping(probe),
             "probe_last": Grouping(probe_last), "random": Grouping(random)}


def infer(name: str, model: Classifier, train: GroupedDataset, seed: int) -> GroupedDataset:
    """The same samples with the inferred attribute in place of the true one."""
    attribute = torch.as_tensor(GROUPINGS[name].infer(model, train, seed))
    return replace(train, a=attribute.to(train.y.device),
                   attribute_names=[f"{name} {i}" for i in range(int(attribute.max()) + 1)])


def regroup(name: str, model: Classifier, train: GroupedDataset, split: ForgetSplit,
            seed: int) -> tuple[GroupedDataset, ForgetSplit]:
    """The training set and its split with the inferred attribute in place of the true one."""
    train = infer(name, model, train, seed)
    retain, forget = train.subset(split.retain_index), train.subset(split.forget_index)
    return train, split._replace(retain=retain, forget=forget)


def layer_features(model: Classifier, train: GroupedDataset) -> np.ndarray:
    """Mean and standard deviation over places of every ReLU's maps, then the last features: (N, d).

    A network without maps (text) has only the last.
    """
    seen: list[Tensor] = []

    def look(module: nn.Module, inputs: object, output: Tensor) -> None:
        if output.ndim == 4:
            seen.extend([output.mean((2, 3)), output.std((2, 3), correction=0)])

    def all_features(x: Tensor) -> Tensor:
        seen.clear()
        z = model.features(x)
        return torch.cat([*seen, z], 1)

    hooks = [m.register_forward_hook(look) for m in model.modules()
             if isinstance(m, nn.ReLU | nn.ReLU6 | nn.SiLU)]
    try:
        return predict(all_features, model, train.x).cpu().numpy()
    finally:
        for hook in hooks:
            hook.remove()
