"""Infer an attribute for every training sample, so that REWEIGHT and MIU have groups where none are labelled.

- clusters: k-means on the features of PRETRAIN within each class; k is chosen by silhouette (GEORGE, Sohoni
  et al. 2020).
- errors: whether a model whose training stops early misclassifies the sample (the identification step of JTT,
  Liu et al. 2021).
- probe: a logistic regression on the features of all layers of PRETRAIN, fitted to the few samples whose
  attribute is known.
- probe_last: the same on the last features only.
- random: attributes drawn at random, as a control.

An `Experiment` selects one of them by name (`grouping="clusters"`) and applies it to its PRETRAIN, before
anything is forgotten.
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
    """A way to infer the attribute.

    Args:
        infer: Function (model, train, seed) that returns the inferred attributes (N,), from 0.
        early: Settings of PRETRAIN to override when the model for `infer` is trained.
    """

    infer: Callable[[Classifier, GroupedDataset, int], np.ndarray]
    early: Mapping[str, object] = field(default_factory=dict)


def clusters(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """Cluster the inputs of the head with `divided`."""
    return divided(predict(model.features, model, train.x).cpu().numpy(), train, seed)


def divided(z: np.ndarray, train: GroupedDataset, seed: int) -> np.ndarray:
    """Cluster features within each class by k-means.

    The number of clusters is the one from 2 to MOST_CLUSTERS with the best silhouette.

    Args:
        z: (N, d) features.
        train: The samples.
        seed: Seed of k-means and of the silhouette's subsample.

    Returns:
        (N,) number of each sample's cluster within its class, from 0.
    """
    from sklearn.cluster import KMeans  # imported here because it takes a second
    from sklearn.metrics import silhouette_score

    y, cluster = train.y.cpu().numpy(), np.zeros(len(train), dtype=int)
    for c in np.unique(y):
        members = z[y == c]
        if len(members) < 3:  # too few to cluster
            continue
        candidates = [KMeans(k, n_init=10, random_state=seed).fit_predict(members)
                      for k in range(2, 1 + min(MOST_CLUSTERS, len(members) - 1))]
        cluster[y == c] = max(candidates, key=lambda labels: silhouette_score(
            members, labels, sample_size=min(SILHOUETTE_SAMPLES, len(members)), random_state=seed))
    return cluster


def errors(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """Return 1 for each sample that the model misclassifies and 0 for the others, (N,)."""
    return (~correct(model, train)).long().cpu().numpy()


def labelled(train: GroupedDataset, seed: int, share: float = LABELLED) -> np.ndarray:
    """Draw the rows whose attribute is known.

    Because the draw is uniform, small groups contribute few of them.

    Args:
        train: The samples.
        seed: Seed of the draw.
        share: Share of the samples to draw.
    """
    return np.random.default_rng(seed).permutation(len(train))[: round(share * len(train))]


def completed(z: np.ndarray, train: GroupedDataset, known: np.ndarray) -> np.ndarray:
    """Keep the attribute of the known rows and predict the others with a logistic regression fitted to them.

    Args:
        z: (N, d) features; the regression also uses the class.
        train: The samples.
        known: Rows whose attribute is known.

    Returns:
        (N,) attributes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    a, y = train.a.cpu().numpy(), train.y.cpu().numpy()
    if len(np.unique(a[known])) == 1:  # a regression needs two values
        return np.full(len(a), a[known][0])
    x = np.c_[z, np.eye(train.n_classes)[y]]
    attribute = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000)).fit(
        x[known], a[known]).predict(x)
    attribute[known] = a[known]
    return attribute


def probe(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """Predict the attribute from the features of all layers with `completed`."""
    return completed(layer_features(model, train), train, labelled(train, seed))


def probe_last(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """Predict the attribute from the inputs of the head with `completed`."""
    return completed(predict(model.features, model, train.x).cpu().numpy(), train, labelled(train, seed))


def random(model: Classifier, train: GroupedDataset, seed: int) -> np.ndarray:
    """Draw every attribute value with equal probability."""
    return np.random.default_rng(seed).integers(train.n_attributes, size=len(train))


EARLY = {"epochs": 1, "warmup_epochs": 0, "schedule": "constant"}
GROUPINGS = {"clusters": Grouping(clusters), "errors": Grouping(errors, EARLY), "probe": Grouping(probe),
             "probe_last": Grouping(probe_last), "random": Grouping(random)}


def infer(name: str, model: Classifier, train: GroupedDataset, seed: int) -> GroupedDataset:
    """Replace the true attribute of the samples with the inferred one."""
    attribute = torch.as_tensor(GROUPINGS[name].infer(model, train, seed))
    return replace(train, a=attribute.to(train.y.device),
                   attribute_names=[f"{name} {i}" for i in range(int(attribute.max()) + 1)])


def regroup(name: str, model: Classifier, train: GroupedDataset, split: ForgetSplit,
            seed: int) -> tuple[GroupedDataset, ForgetSplit]:
    """Replace the true attribute of a training set and of its split with the inferred one."""
    train = infer(name, model, train, seed)
    retain, forget = train.subset(split.retain_index), train.subset(split.forget_index)
    return train, split._replace(retain=retain, forget=forget)


def layer_features(model: Classifier, train: GroupedDataset) -> np.ndarray:
    """Return the features of all layers, (N, d).

    These are the spatial mean and standard deviation of every activation map, followed by the last features.
    A network for text has no maps, so only its last features are returned.
    """
    statistics: list[Tensor] = []

    def look(module: nn.Module, inputs: object, output: Tensor) -> None:
        if output.ndim == 4:
            statistics.extend([output.mean((2, 3)), output.std((2, 3), correction=0)])

    def all_features(x: Tensor) -> Tensor:
        statistics.clear()
        z = model.features(x)
        return torch.cat([*statistics, z], 1)

    hooks = [m.register_forward_hook(look) for m in model.modules()
             if isinstance(m, nn.ReLU | nn.ReLU6 | nn.SiLU)]
    try:
        return predict(all_features, model, train.x).cpu().numpy()
    finally:
        for hook in hooks:
            hook.remove()
