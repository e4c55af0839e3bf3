"""Forgetting shifts a prior: what that does to a classifier's logits, before any training.

Who removes the share r of group (y, a) leaves p(x | y, a) as it is and multiplies the group's prior by
1 - r. So by Bayes' rule (Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to
new a priori probabilities", Eq. 2.4) a calibrated classifier of the retain set is

    p'(y | x)  ~  sum_a (1 - r_ya) p(y, a | x)  =  p(y | x) sum_a (1 - r_ya) p(a | x, y).

Where x shows a, the class's logit falls by log 1/(1 - r), and a sample changes sides if its margin was
smaller: logit adjustment (Menon et al. 2021) for groups in place of classes. From the retain set back,

    p(y | x)  ~  p'(y | x) sum_a p'(a | x, y) / (1 - r_ya).

Mind whose p(a | x, y) it is: `predict_shift` takes that of the whole training set, `undo_shift` that of the
retain set. They differ, p'(a | x, y) ~ (1 - r_ya) p(a | x, y); `change_prior` returns it with the logits, so
that one can go there and back. REWEIGHT (`grmu.reweight`) puts the same prior back while training.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from grmu.data import require
from grmu.models import Classifier

EVERY = 5  # one sample in so many of a group is held out to measure an attribute head


def shares_forgotten(train_counts: Tensor, retain_counts: Tensor) -> Tensor:
    """r = 1 - nu_r / nu_tr by group, in [0, 1]; 0 for a group that never had a sample.

    Args:
        train_counts, retain_counts: samples a group before and after forgetting, of one shape, such as
            (n_classes, n_attributes).

    Raises:
        ValueError: other shapes, or more samples after than before.
    """
    before, after = train_counts.double(), retain_counts.double()
    require(before.shape == after.shape, "need counts of one shape before and after, got "
                                         f"{tuple(before.shape)} and {tuple(after.shape)}.")
    require(((after >= 0) & (after <= before)).all(),
            f"cannot retain {after.tolist()} of {before.tolist()} samples: count the same groups in both.")
    return 1 - torch.where(before > 0, after / before.clamp(min=1), 1.0)


def change_prior(logits: Tensor, p_attribute: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """A classifier's answers once the prior of each group is multiplied by a factor.

    Args:
        logits: (N, n_classes), of p(y | x).
        p_attribute: (N, n_classes, n_attributes), p(a | x, y) in the same population; sums to 1 over a.
        factor: (n_classes, n_attributes), above 0; a common scale is immaterial.

    Returns:
        Logits (N, n_classes) and p(a | x, y) (N, n_classes, n_attributes) in the changed population. With 1 /
        factor they come back, the logits up to a number that a sample's classes share.

    Raises:
        ValueError: shapes that do not fit, or a factor that is not above 0.
    """
    require(logits.ndim == 2 and p_attribute.shape == (*logits.shape, factor.shape[-1])
            and factor.shape == p_attribute.shape[1:],
            "need logits (N, C), p_attribute (N, C, A) and factor (C, A) for C classes and A attributes, "
            f"got {tuple(logits.shape)}, {tuple(p_attribute.shape)} and {tuple(factor.shape)}.")
    require((factor > 0).all() and factor.isfinite().all(),
            f"a prior's factor must be a number above 0, but they are {factor.tolist()}.")
    joint = p_attribute * factor.to(p_attribute)
    total = joint.sum(2)
    return logits + total.log().to(logits), joint / total[:, :, None]


def predict_shift(logits: Tensor, p_attribute: Tensor, r: Tensor) -> Tensor:
    """What a classifier of the retain set will answer, from one of the whole training set.

    Args:
        logits: (N, n_classes), of p(y | x), calibrated (`temperature`).
        p_attribute: (N, n_classes, n_attributes), p(a | x, y) in the whole training set.
        r: (n_classes, n_attributes), the share forgotten of each group, in [0, 1).

    Returns:
        Logits (N, n_classes) of p'(y | x).

    Raises:
        ValueError: shapes that do not fit, or a share outside [0, 1).
    """
    return change_prior(logits, p_attribute, 1 - _checked(r))[0]


def undo_shift(logits: Tensor, p_attribute: Tensor, r: Tensor) -> Tensor:
    """`predict_shift` backwards: what a classifier of the whole training set would answer, from one of the
    retain set.

    Args:
        logits: (N, n_classes), of p'(y | x), calibrated.
        p_attribute: (N, n_classes, n_attributes), p'(a | x, y) in the *retain set*.
        r: as in `predict_shift`.

    Returns:
        Logits (N, n_classes) of p(y | x).

    Raises:
        ValueError: shapes that do not fit, or a share outside [0, 1).
    """
    return change_prior(logits, p_attribute, 1 / (1 - _checked(r)))[0]


def _checked(r: Tensor) -> Tensor:
    require(((r >= 0) & (r < 1)).all(), f"the shares forgotten must be in [0, 1), got {r.tolist()}: forget "
            "less of a group that vanishes, which leaves no logit to shift.")
    return r


class AttributeHead(nn.Module):
    """p(a | x, y) = softmax_a(z @ weight[y, a] + bias[y, a]) for every class y, on features z = f_theta(x).

    weight: (n_classes, n_attributes, n_features).  bias: (n_classes, n_attributes). They are buffers: no
    optimiser trains them, a `state_dict` holds them.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, n_features: int, n_classes: int, n_attributes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(n_classes, n_attributes, n_features))
        self.register_buffer("bias", torch.zeros(n_classes, n_attributes))

    def forward(self, z: Tensor) -> Tensor:
        """p(a | x, y), (N, n_classes, n_attributes), from features (N, n_features)."""
        return (torch.einsum("nf,caf->nca", z, self.weight) + self.bias).softmax(2)


class Visibility(NamedTuple):
    """How well an attribute head tells the attribute of samples that it was not fitted to.

    accuracy: share of samples whose a has the greatest p(a | x, y) / p(a | y), so that no a wins by being
        common; a mean over groups, NaN if nothing was held out.
    chance: the same of a head that knows nothing.  error: the standard error of that.
    """

    accuracy: float
    chance: float
    error: float

    @property
    def seen(self) -> bool:
        """Is the accuracy more than two standard errors above chance? True where it was not measured."""
        return not self.accuracy <= self.chance + 2 * self.error


def attribute_head(z: Tensor, y: Tensor, a: Tensor, n_classes: int,
                   n_attributes: int) -> tuple[AttributeHead, Visibility]:
    """p(a | x, y) of the population that the samples come from, by multinomial logistic regression.

    One regression on the features, the class (one-hot) and their products. The products let a show
    differently in each class, as it may; the shared part, with a penalty on both, lets a group of ten samples
    borrow from the others, which a regression for each class does not (Daumé 2007).

    Args:
        z: (N, n_features) features.  y, a: (N,) classes and attributes, from 0.

    Returns:
        The head, fitted to all samples, and how well one fitted to four fifths of each group does on the last
        fifth.

    Raises:
        ValueError: no samples, or not one y and a for each.
    """
    require(z.ndim == 2 and len(z) == len(y) == len(a) > 0,
            "need features (N, n_features) and one y and a for each of N > 0 samples, got the shapes "
            f"{tuple(z.shape)}, {tuple(y.shape)} and {tuple(a.shape)}.")
    x, of, at = z.detach().double().cpu().numpy(), y.cpu().numpy(), a.cpu().numpy()
    group, held_out = of * n_attributes + at, np.zeros(len(x), dtype=bool)
    for g in np.unique(group):
        held_out[np.flatnonzero(group == g)[EVERY - 1 :: EVERY]] = True
    seen = Visibility(math.nan, math.nan, math.nan)
    if held_out.any():
        parts = (x[~held_out], of[~held_out], at[~held_out])
        seen = _visibility(_fit(*parts, n_classes, n_attributes), *parts[1:],
                           torch.from_numpy(x[held_out]), of[held_out], at[held_out])
    return _fit(x, of, at, n_classes, n_attributes).to(z), seen


def _fit(x: np.ndarray, y: np.ndarray, a: np.ndarray, n_classes: int, n_attributes: int) -> AttributeHead:
    from sklearn.linear_model import LogisticRegression  # a second to import, for those who fit heads

    head = AttributeHead(x.shape[1], n_classes, n_attributes).double()
    mean, spread = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    values = np.unique(a)
    if len(values) > 1:
        own = np.eye(n_classes)[y][:, :, None] * np.c_[(x - mean) / spread, np.ones(len(x))][:, None, :]
        design = np.c_[(x - mean) / spread, own.reshape(len(x), -1)]
        classifier = LogisticRegression(max_iter=3000).fit(design, a)
        flat, level = (v if len(values) > 2 else np.stack([0 * v[0], v[0]])  # two values: of the second alone
                       for v in (classifier.coef_, classifier.intercept_))
        shared = flat[:, : x.shape[1]]
        products = flat[:, x.shape[1]:].reshape(len(values), n_classes, -1)
        weight = (shared[:, None] + products[:, :, :-1]) / spread
        head.weight[:, values] = torch.from_numpy(weight.swapaxes(0, 1))
        head.bias[:, values] = torch.from_numpy((level[:, None] + products[:, :, -1] - weight @ mean).T)
    for c in np.unique(y):  # a value that a class has not is impossible there
        head.bias[c, np.setdiff1d(np.arange(n_attributes), a[y == c])] = -math.inf
    return head


def _visibility(head: AttributeHead, y: np.ndarray, a: np.ndarray, x: Tensor, of: np.ndarray,
                at: np.ndarray) -> Visibility:
    """How well the head, fitted to samples of these y and a, tells `at` of the samples x of class `of`."""
    n_classes, n_attributes = head.bias.shape
    counts = np.bincount(y * n_attributes + a, minlength=n_classes * n_attributes).reshape(n_classes, -1)
    evidence = head(x).numpy()[np.arange(len(x)), of] / np.maximum(counts, 1)[of]
    right, group = evidence.argmax(1) == at, of * n_attributes + at
    hits = [right[group == g] for g in np.unique(group)]
    rates = np.array([h.mean() for h in hits])
    chance = np.mean([1 / (counts[g // n_attributes] > 0).sum() for g in np.unique(group)])
    by_chance = chance * (1 - chance) * sum(1 / len(h) for h in hits)
    return Visibility(float(rates.mean()), float(chance), float(np.sqrt(by_chance) / len(hits)))


class ShiftedHead(nn.Linear):
    """A linear head whose logits `undo_shift` corrects: p(y | x) from a classifier of the retain set.

    attribute: p'(a | x, y), fitted on the retain set.  r: (n_classes, n_attributes), the shares forgotten.
    Both are in its `state_dict`, and neither is trained.
    """

    r: Tensor

    def __init__(self, linear: nn.Linear, attribute: AttributeHead, r: Tensor) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self.weight, self.bias, self.attribute = linear.weight, linear.bias, attribute
        self.register_buffer("r", _checked(r).to(linear.weight))

    def forward(self, z: Tensor) -> Tensor:
        """Corrected logits, (N, n_classes), from features (N, n_features)."""
        return undo_shift(super().forward(z), self.attribute(z), self.r)


def shifted_head(model: Classifier, r: Tensor) -> ShiftedHead:
    """Return a head for weights that were stored with a `ShiftedHead`, r (n_classes, n_attributes)."""
    r = r.to(model.head.weight)
    return ShiftedHead(model.head, AttributeHead(model.n_features, *r.shape).to(r), r)


def temperature(logits: Tensor, y: Tensor, weights: Tensor | None = None) -> float:
    """T for which logits / T are calibrated, from 0.01 to 100: that of the least cross-entropy (Guo et al.
    2017).

    To be fitted on samples that were not trained on. They must have the groups' shares of the population that
    the classifier is of, or be weighted to them: else a shifted prior is taken for overconfidence.

    Args:
        logits: (N, n_classes).  y: (N,) classes.  weights: (N,), not negative; None weighs all alike.

    Raises:
        ValueError: no samples, or not one y and weight for each.
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
