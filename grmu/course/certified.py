"""Certified removal (Guo et al. 2020) and SISA (Bourtoule et al. 2021) for the last layer: lesson 13.

Certified removal adds noise b ~ N(0, sigma^2 I) to the training loss, drawn once, before training:

    L(w) = sum_i v_i (log(1 + exp(-s_i w.x_i)) + l2 |w|^2 / 2) + b.w,    s_i = 2 y_i - 1

With b = 0 this is J of `last_layer` times the sum of the weights v. Every row of x must have a norm of at
most 1. After a request, L is the loss of the remaining samples, with the same b.
"""

import math

import numpy as np
from scipy.special import expit

from grmu.course.last_layer import Samples, fit, take
from grmu.data.checks import require

GAMMA = 0.25  # how fast the second derivative of the logistic loss can change, at most (Guo et al.)
Noise = np.ndarray | float


def derivatives(w: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float, b: Noise = 0.0,
                weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient (D,) and the Hessian (D, D) of L at w.

    Args:
        w: (D,) the last layer's weights.
        x: (N, D) remaining samples.
        y: (N,) their classes, 0 or 1.
        l2: Strength of the penalty, above 0.
        b: (D,) noise, or 0.
        weights: (N,) weights v, such as REWEIGHT's; None weights all samples equally.
    """
    v = np.ones(len(y)) if weights is None else weights
    p = expit(x @ w)
    gradient = x.T @ (v * (p - y)) + l2 * v.sum() * w + b
    hessian = (x.T * (v * p * (1 - p))) @ x + l2 * v.sum() * np.eye(len(w))
    return gradient, hessian


def newton_step(w: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float, b: Noise = 0.0,
                weights: np.ndarray | None = None) -> np.ndarray:
    """Return w after one Newton step on L; for the arguments, see `derivatives`."""
    gradient, hessian = derivatives(w, x, y, l2, b, weights)
    return w - np.linalg.solve(hessian, gradient)


def residual(w: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float, b: Noise = 0.0,
             weights: np.ndarray | None = None) -> float:
    """Return the norm of the gradient of L at w: 0 at the exactly retrained model."""
    return float(np.linalg.norm(derivatives(w, x, y, l2, b, weights)[0]))


def bound(w: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float, b: Noise = 0.0,
          weights: np.ndarray | None = None) -> float:
    """Return Guo et al.'s data-dependent bound on the residual after a Newton step from w.

    With the step d and the remaining samples as a matrix X, their rows times the root of their weights:

        GAMMA * |X| * |d| * |X d|

    The norms of at most 1 concern the rows of x, so the bound holds for all weights of at least 0.
    """
    rows = x if weights is None else np.sqrt(weights)[:, None] * x
    d = newton_step(w, x, y, l2, b, weights) - w
    return float(GAMMA * np.linalg.norm(rows, 2) * np.linalg.norm(d) * np.linalg.norm(rows @ d))


def steps_needed(w: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float, allowed: float) -> int:
    """Return the number of Newton steps from w until the residual is at most `allowed`."""
    steps = 0
    while residual(w, x, y, l2) > allowed:
        w, steps = newton_step(w, x, y, l2), steps + 1
    return steps


def noise_scale(allowed: float, epsilon: float, delta: float) -> float:
    """Return the standard deviation of b that makes a removal (epsilon, delta)-certified.

    Args:
        allowed: Upper bound of the residual.
        epsilon: Above 0; the proof assumes at most 1.
        delta: In (0, 1).

    Raises:
        ValueError: epsilon or delta is out of range.
    """
    require(0 < epsilon < math.inf, f"epsilon must be above 0, got {epsilon}: no noise achieves this.")
    require(0 < delta < 1, f"delta must be in (0, 1), got {delta}.")
    return allowed * math.sqrt(2 * math.log(1.5 / delta)) / epsilon


def train(x: np.ndarray, y: np.ndarray, l2: float, b: Noise = 0.0) -> np.ndarray:
    """Return the minimiser of L with noise, from Newton steps that are halved while they overshoot."""
    w = np.zeros(x.shape[1])
    for _ in range(200):
        gradient, hessian = derivatives(w, x, y, l2, b)
        size, step = np.linalg.norm(gradient), np.linalg.solve(hessian, gradient)
        if size < 1e-9 * len(y):
            break
        while residual(w - step, x, y, l2, b) > size and np.linalg.norm(step) > 1e-12:
            step = step / 2
        w = w - step
    return w


def sisa(samples: Samples, shard: np.ndarray, l2: float) -> np.ndarray:
    """Return a model for each shard, (n_shards, D); `shard` (N,) has the number of each sample's shard."""
    return np.array([fit(take(samples, shard == k), None, l2) for k in range(shard.max() + 1)])


def sisa_forget(models: np.ndarray, samples: Samples, shard: np.ndarray, forgotten: np.ndarray,
                l2: float) -> tuple[np.ndarray, int]:
    """Retrain the shards that have lost samples.

    Args:
        models: What `sisa` returned.
        samples: All training samples.
        shard: (N,) the number of each sample's shard.
        forgotten: (N,) mask of the samples that are forgotten.
        l2: Strength of the penalty.

    Returns:
        The models, and the number of samples on which shards were retrained.

    Raises:
        ValueError: A shard has lost a whole class.
    """
    models, used = models.copy(), 0
    for k in np.unique(shard[forgotten]):
        left = (shard == k) & ~forgotten
        n = np.bincount(samples.y[left], minlength=2)
        require(n.min() > 0, f"shard {k} has no sample of class {n.argmin()} left: use fewer shards.")
        models[k] = fit(take(samples, left), None, l2)
        used += int(left.sum())
    return models, used


def sisa_accuracy(models: np.ndarray, samples: Samples) -> np.ndarray:
    """Return the accuracy in every group of the mean of the shards' probabilities, a fraction."""
    p = expit(samples.x @ models.T).mean(1)
    right = (p > 0.5) == samples.y
    return np.bincount(samples.group, right) / np.bincount(samples.group)
