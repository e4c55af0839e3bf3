"""How forgetting shifts the prior of a classifier and thereby its logits, before any training.

Removing the share r_ya of group (y, a) leaves p(x | y, a) unchanged and multiplies the prior of the group by
1 - r_ya. By Bayes' rule (Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to
new a priori probabilities", Eq. 2.4), a calibrated classifier of the retain set is therefore

    p'(y | x)  ~  sum_a (1 - r_ya) p(y, a | x)  =  p(y | x) sum_a (1 - r_ya) p(a | x, y)

where ~ means "proportional to". If x reveals a, the logit of the class falls by log 1/(1 - r_ya), and the
prediction changes if the margin of the sample was smaller than that. This is logit adjustment (Menon et al.
2021) for groups instead of classes. In the other direction, from the retain set to the whole training set,

    p(y | x)  ~  p'(y | x) sum_a p'(a | x, y) / (1 - r_ya)

The two directions need different attribute probabilities. `predict_shift` takes p(a | x, y) in the whole
training set, but `undo_shift` takes the one in the retain set, which is

    p'(a | x, y)  ~  (1 - r_ya) p(a | x, y)

`change_prior` returns it together with the logits, so its result can be converted back. REWEIGHT
(`grmu.reweight`) restores the same prior during training.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from grmu.data import require
from grmu.models import Classifier

EVERY = 5  # one in five samples of a group is held out to measure an attribute head


def shares_forgotten(train_counts: Tensor, retain_counts: Tensor) -> Tensor:
    """Compute the share forgotten of each group, in [0, 1]; 0 for a group that never had a sample.

        r = 1 - nu_r / nu_tr

    Args:
        train_counts: Samples per group before forgetting, in any shape, such as (n_classes, n_attributes).
        retain_counts: Samples per group after forgetting, in the same shape.

    Raises:
        ValueError: The shapes differ, or a group has more samples after forgetting than before.
    """
    before, after = train_counts.double(), retain_counts.double()
    require(before.shape == after.shape, "the counts before and after must have the same shape, got "
                                         f"{tuple(before.shape)} and {tuple(after.shape)}.")
    require(((after >= 0) & (after <= before)).all(),
            f"cannot retain {after.tolist()} of {before.tolist()} samples: count the same groups in both.")
    return 1 - torch.where(before > 0, after / before.clamp(min=1), 1.0)


def change_prior(logits: Tensor, p_attribute: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Multiply the prior of each group by a factor and return what the classifier then predicts.

    Args:
        logits: (N, n_classes) logits of p(y | x).
        p_attribute: (N, n_classes, n_attributes) p(a | x, y) in the same population; sums to 1 over a.
        factor: (n_classes, n_attributes) factors above 0; a common scale has no effect.

    Returns:
        Logits (N, n_classes) and p(a | x, y) (N, n_classes, n_attributes) in the changed population. A second
        call with 1 / factor restores them, except that the logits of a sample may differ by a constant.

    Raises:
        ValueError: The shapes do not match, or a factor is not above 0.
    """
    require(logits.ndim == 2 and p_attribute.shape == (*logits.shape, factor.shape[-1])
            and factor.shape == p_attribute.shape[1:],
            "need logits (N, C), p_attribute (N, C, A) and factor (C, A) for C classes and A attributes, "
            f"got {tuple(logits.shape)}, {tuple(p_attribute.shape)} and {tuple(factor.shape)}.")
    require((factor > 0).all() and factor.isfinite().all(),
            f"factor must hold finite numbers above 0, got {factor.tolist()}.")
    joint = p_attribute * factor.to(p_attribute)
    total = joint.sum(2)
    return logits + total.log().to(logits), joint / total[:, :, None]


def predict_shift(logits: Tensor, p_attribute: Tensor, r: Tensor) -> Tensor:
    """Predict the logits of a classifier of the retain set from those of one of the whole training set.

    Args:
        logits: (N, n_classes) logits of p(y | x), calibrated (see `temperature`).
        p_attribute: (N, n_classes, n_attributes) p(a | x, y) in the whole training set.
        r: (n_classes, n_attributes) share forgotten of each group, in [0, 1).

    Returns:
        Logits (N, n_classes) of p'(y | x).

    Raises:
        ValueError: The shapes do not match, or a share is outside [0, 1).
    """
    return change_prior(logits, p_attribute, 1 - _checked(r))[0]


def undo_shift(logits: Tensor, p_attribute: Tensor, r: Tensor) -> Tensor:
    """Predict the logits of a classifier of the whole training set from those of one of the retain set.

    This is the inverse of `predict_shift`.

    Args:
        logits: (N, n_classes) logits of p'(y | x), calibrated.
        p_attribute: (N, n_classes, n_attributes) p'(a | x, y) in the *retain set*.
        r: (n_classes, n_attributes) share forgotten of each group, in [0, 1).

    Returns:
        Logits (N, n_classes) of p(y | x).

    Raises:
        ValueError: The shapes do not match, or a share is outside [0, 1).
    """
    return change_prior(logits, p_attribute, 1 / (1 - _checked(r)))[0]


def _checked(r: Tensor) -> Tensor:
    require(((r >= 0) & (r < 1)).all(), f"the shares forgotten must be in [0, 1), got {r.tolist()}: retain "
            "some samples of every group, because a group without any cannot be restored.")
    return r


class AttributeHead(nn.Module):
    """Logistic regressions of the attribute on the features z = f_theta(x), one for each class y.

        p(a | x, y) = softmax_a(z @ weight[y, a] + bias[y, a])

    The buffers `weight` (n_classes, n_attributes, n_features) and `bias` (n_classes, n_attributes) are saved
    in the `state_dict`, but no optimiser trains them.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, n_features: int, n_classes: int, n_attributes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(n_classes, n_attributes, n_features))
        self.register_buffer("bias", torch.zeros(n_classes, n_attributes))

    def forward(self, z: Tensor) -> Tensor:
        """Compute p(a | x, y), (N, n_classes, n_attributes), from features (N, n_features)."""
        return (torch.einsum("nf,caf->nca", z, self.weight) + self.bias).softmax(2)


class Visibility(NamedTuple):
    """How well an attribute head predicts the attribute of held-out samples.

    Args:
        accuracy: Share of samples whose attribute has the greatest p(a | x, y) / p(a | y), a ratio that does
            not favour common attributes. It is averaged over groups, and NaN if no sample was held out.
        chance: Expected accuracy of a head that knows nothing.
        error: Standard error of `chance`.
    """

    accuracy: float
    chance: float
    error: float

    @property
    def seen(self) -> bool:
        """Whether the accuracy is more than two standard errors above chance; True if not measured."""
        return not self.accuracy <= self.chance + 2 * self.error


def attribute_head(z: Tensor, y: Tensor, a: Tensor, n_classes: int,
                   n_attributes: int) -> tuple[AttributeHead, Visibility]:
    """Estimate p(a | x, y) in the population of the samples by multinomial logistic regression.

    One regression uses the features, the one-hot class and their products. The products allow each class to
    show the attribute differently. Because all classes share the coefficients of the features and both parts
    are penalised, a group of ten samples benefits from the other groups. Separate regressions for each class
    would not have this advantage (Daumé 2007).

    Args:
        z: (N, n_features) features.
        y: (N,) classes, from 0.
        a: (N,) attributes, from 0.
        n_classes: Number of classes.
        n_attributes: Number of attribute values.

    Returns:
        The head, fitted to all samples, and the `Visibility` of a head that was fitted to four fifths of each
        group and evaluated on the last fifth.

    Raises:
        ValueError: There are no samples, or z, y and a differ in length.
    """
    require(z.ndim == 2 and len(z) == len(y) == len(a) > 0,
            "need features (N, n_features) and one y and a for each of N > 0 samples, got the shapes "
            f"{tuple(z.shape)}, {tuple(y.shape)} and {tuple(a.shape)}.")
    x, classes, attributes = z.detach().double().cpu().numpy(), y.cpu().numpy(), a.cpu().numpy()
    group, held_out = classes * n_attributes + attributes, np.zeros(len(x), dtype=bool)
    for g in np.unique(group):
        held_out[np.flatnonzero(group == g)[EVERY - 1 :: EVERY]] = True
    visibility = Visibility(math.nan, math.nan, math.nan)
    if held_out.any():
        parts = (x[~held_out], classes[~held_out], attributes[~held_out])
        visibility = _visibility(_fit(*parts, n_classes, n_attributes), *parts[1:],
                                 torch.from_numpy(x[held_out]), classes[held_out], attributes[held_out])
    return _fit(x, classes, attributes, n_classes, n_attributes).to(z), visibility


def _fit(x: np.ndarray, y: np.ndarray, a: np.ndarray, n_classes: int, n_attributes: int) -> AttributeHead:
    from sklearn.linear_model import LogisticRegression  # imported here because it takes a second

    head = AttributeHead(x.shape[1], n_classes, n_attributes).double()
    mean, spread = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    values = np.unique(a)
    if len(values) > 1:
        own = np.eye(n_classes)[y][:, :, None] * np.c_[(x - mean) / spread, np.ones(len(x))][:, None, :]
        design = np.c_[(x - mean) / spread, own.reshape(len(x), -1)]
        classifier = LogisticRegression(max_iter=3000).fit(design, a)
        flat, level = (v if len(values) > 2 else np.stack([0 * v[0], v[0]])  # binary: only the second value's
                       for v in (classifier.coef_, classifier.intercept_))
        shared = flat[:, : x.shape[1]]
        products = flat[:, x.shape[1]:].reshape(len(values), n_classes, -1)
        weight = (shared[:, None] + products[:, :, :-1]) / spread
        head.weight[:, values] = torch.from_numpy(weight.swapaxes(0, 1))
        head.bias[:, values] = torch.from_numpy((level[:, None] + products[:, :, -1] - weight @ mean).T)
    for c in np.unique(y):  # a value that a class lacks has probability 0
        head.bias[c, np.setdiff1d(np.arange(n_attributes), a[y == c])] = -math.inf
    return head


def _visibility(head: AttributeHead, y: np.ndarray, a: np.ndarray, x: Tensor, true_y: np.ndarray,
                true_a: np.ndarray) -> Visibility:
    """Measure how well a head predicts attributes.

    Args:
        head: The fitted head.
        y: Classes of the samples that it was fitted to.
        a: Their attributes.
        x: Features of the held-out samples.
        true_y: Classes of the held-out samples.
        true_a: Their attributes.
    """
    n_classes, n_attributes = head.bias.shape
    counts = np.bincount(y * n_attributes + a, minlength=n_classes * n_attributes).reshape(n_classes, -1)
    evidence = head(x).numpy()[np.arange(len(x)), true_y] / np.maximum(counts, 1)[true_y]
    right, group = evidence.argmax(1) == true_a, true_y * n_attributes + true_a
    hits = [right[group == g] for g in np.unique(group)]
    rates = np.array([h.mean() for h in hits])
    chance = np.mean([1 / (counts[g // n_attributes] > 0).sum() for g in np.unique(group)])
    by_chance = chance * (1 - chance) * sum(1 / len(h) for h in hits)
    return Visibility(float(rates.mean()), float(chance), float(np.sqrt(by_chance) / len(hits)))


class ShiftedHead(nn.Linear):
    """A linear head that corrects the logits of a retain-set classifier with `undo_shift`.

    The corrected logits are those of p(y | x) in the whole training set.

    Args:
        linear: The head to correct.
        attribute: p'(a | x, y), fitted on the retain set; saved in the `state_dict` but not trained.
        r: (n_classes, n_attributes) shares forgotten; saved in the `state_dict` but not trained.

    Raises:
        ValueError: A share is outside [0, 1).
    """

    r: Tensor

    def __init__(self, linear: nn.Linear, attribute: AttributeHead, r: Tensor) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self.weight, self.bias, self.attribute = linear.weight, linear.bias, attribute
        self.register_buffer("r", _checked(r).to(linear.weight))

    def forward(self, z: Tensor) -> Tensor:
        """Compute the corrected logits, (N, n_classes), from features (N, n_features)."""
        return undo_shift(super().forward(z), self.attribute(z), self.r)


def shifted_head(model: Classifier, r: Tensor) -> ShiftedHead:
    """Create a head into which the weights of a stored `ShiftedHead` can be loaded.

    Args:
        model: The classifier whose head it replaces.
        r: (n_classes, n_attributes) shares forgotten.
    """
    r = r.to(model.head.weight)
    return ShiftedHead(model.head, AttributeHead(model.n_features, *r.shape).to(r), r)


def temperature(logits: Tensor, y: Tensor, weights: Tensor | None = None) -> float:
    """Find the temperature T, from 0.01 to 100, that calibrates logits / T (Guo et al. 2017).

    It minimises the cross-entropy. Fit it on samples that were not used for training. Their groups must be as
    frequent as in the population of the classifier, or be weighted accordingly; otherwise, T compensates for
    a shifted prior as if it were overconfidence.

    Args:
        logits: (N, n_classes) logits.
        y: (N,) classes.
        weights: (N,) non-negative weights; None weights all samples equally.

    Raises:
        ValueError: There are no samples, or the arguments differ in length.
    """
    from scipy.optimize import minimize_scalar

    weights = torch.ones(len(y)) if weights is None else weights
    require(logits.ndim == 2 and len(logits) == len(y) == len(weights) > 0,
            "need logits (N, n_classes) and one y and weight for each of N > 0 samples, got the shapes "
            f"{tuple(logits.shape)}, {tuple(y.shape)} and {tuple(weights.shape)}.")
    exact, share = logits.detach().double().cpu(), weights.double().cpu() / weights.sum().item()

    def loss(log_t: float) -> float:
        losses = nn.functional.cross_entropy(exact / math.exp(log_t), y.cpu(), reduction="none")
        return float(losses @ share)

    return math.exp(minimize_scalar(loss, bounds=(-math.log(100), math.log(100)), method="bounded").x)
