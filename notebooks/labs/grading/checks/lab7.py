"""Lab 7, Certify a removal: the checks that give the points, with drawn inputs."""

import math

import numpy as np
from grading.asking import compare

NOT_ALLOWED = ("grmu.course.certified.derivatives", "grmu.course.certified.newton_step",
               "grmu.course.certified.residual", "grmu.course.certified.bound",
               "grmu.course.certified.noise_scale")
GRADIENT = "gradient(w.numpy(), x.numpy(), y.numpy(), v.numpy(), l2, b.numpy())"
# A correct version of the function that `newton` is given.
NEWTON = """
import numpy as np
def right(w, x, y, v, l2, b):
    return x.T @ (v * (1 / (1 + np.exp(-x @ w)) - y)) + l2 * v.sum() * w + b

newton(w.numpy(), x.numpy(), y.numpy(), v.numpy(), l2, b.numpy(), right)"""
IMPOSSIBLE = """
def kind(epsilon, delta):
    try:
        noise(0.1, epsilon, delta)
    except Exception as error:
        return type(error).__name__ if str(error) else "no message"
    return "none"

[kind(*pair) for pair in pairs]"""


def drawn(rng):
    """Return a case of all arguments."""
    n, size = int(rng.integers(20, 40)), int(rng.integers(3, 6))
    x = rng.normal(size=(n, size))
    return {"w": rng.normal(size=size), "x": x / np.linalg.norm(x, axis=1, keepdims=True),
            "y": rng.integers(0, 2, n), "v": rng.uniform(0.5, 4, n), "l2": float(rng.uniform(0.02, 0.2)),
            "b": rng.normal(size=size)}


def parts(w, x, y, v, l2, b):
    """Return the terms of the gradient, and the Hessian with the penalty."""
    p = 1 / (1 + np.exp(-x @ w))
    hessian = (x.T * (v * p * (1 - p))) @ x
    return x.T @ (v * (p - y)), l2 * v.sum() * w, b, hessian + l2 * v.sum() * np.eye(len(w))


def test_gradient(ask, rng):
    """All weights are 1."""
    case = drawn(rng)
    case["v"] = np.ones(len(case["y"]))
    data, penalty, b, _ = parts(**case)
    compare(ask(GRADIENT, **case), data + penalty + b, "The gradient is the sum over the samples of (p - y) x, "
            "plus the penalty's and the noise's.", [
                (data + penalty, "The noise b is missing from the gradient."), (data + b, "The penalty is missing from the gradient."),
                (penalty + b - data, "The sign of p - y is wrong in the gradient."),
                (data + case["l2"] * case["w"] + b, "The penalty counts once for each sample.")])


def test_gradient_weights(ask, rng):
    case = drawn(rng)
    data, penalty, b, _ = parts(**case)
    compare(ask(GRADIENT, **case), data + penalty + b, "The weights v are wrong: each sample's loss and its "
            "penalty are multiplied by its weight.",
            [(data + penalty / case["v"].sum() * len(case["y"]) + b, "The penalty of each sample is weighted, too.")])


def test_newton(ask, rng):
    case = drawn(rng)
    w, (*terms, hessian) = case["w"], parts(**case)
    gradient, penalty = sum(terms), case["l2"] * case["v"].sum() * np.eye(len(w))
    compare(ask(NEWTON, **case), w - np.linalg.solve(hessian, gradient), "Solve H d = g and return w - d, "
            "with the weighted Hessian.", [
                (w - gradient, "This is a step of gradient descent: the Hessian plays no part."),
                (w - np.linalg.solve(hessian - penalty, gradient), "The Hessian lacks the penalty."),
                (w + np.linalg.solve(hessian, gradient), "The step has the wrong sign: subtract d.")], 1e-5)


def test_bound(ask, rng):
    case = drawn(rng)
    rows, d = np.sqrt(case["v"])[:, None] * case["x"], case["b"]
    rest = np.linalg.norm(d) * np.linalg.norm(rows @ d) / 4
    compare(ask("bound(x.numpy(), v.numpy(), d.numpy())", x=case["x"], v=case["v"], d=d),
            rest * np.linalg.norm(rows, 2), "The bound is a quarter of |X| |d| |X d|, where each row of X is "
            "multiplied by the root of its weight.",
            [(rest * np.linalg.norm(rows), "Use the spectral norm of X, the largest singular value.")], 1e-5)


def right_noise(allowed, epsilon, delta):
    return allowed * math.sqrt(2 * math.log(1.5 / delta)) / epsilon


def test_noise(ask, rng):
    for _ in range(2):
        allowed, epsilon, delta = rng.uniform(0.1, 2), rng.uniform(0.2, 0.8), 10 ** -rng.uniform(2, 6)
        compare(ask("noise(allowed, epsilon, delta)", allowed=allowed, epsilon=epsilon, delta=delta),
                right_noise(allowed, epsilon, delta), "sigma is c * allowed / epsilon.", [
                    (right_noise(allowed, epsilon, 1.2 * delta), "The constant is 1.5, not 1.25."),
                    (right_noise(allowed, 1 / epsilon, delta), "A smaller epsilon needs more noise.")])


def test_noise_impossible(ask, rng):
    wrong = [[0, 0.1], [-rng.uniform(1, 2), 0.1], [1.0, 0], [1.0, -0.1], [1.0, 1], [1.0, rng.uniform(1.1, 1.4)]]
    kinds = ask(IMPOSSIBLE, pairs=[*wrong, [0.01, 1e-6], [0.5, 0.99]])
    assert kinds[-2:] == ["none", "none"], "An epsilon of 0.01 and a delta of 0.99 are possible."
    for (epsilon, delta), kind in zip(wrong, kinds, strict=False):
        assert kind == "ValueError", (f"No amount of noise gives epsilon {epsilon:g} with delta {delta:g}: raise a "
                                      "ValueError that says what is allowed.")


def test_granted(ask, rng):
    n, epsilon, delta = int(rng.integers(8, 14)), rng.uniform(0.3, 0.9), 10 ** -rng.uniform(2, 6)
    bounds = rng.uniform(0.1, 0.2, n)
    for right in (int(rng.integers(3, n - 2)), 0, n):
        allowed = float(bounds[:right].sum()) + 0.05
        sigma = right_noise(allowed, epsilon, delta)
        compare(ask("granted(bounds.numpy(), sigma, epsilon, delta)", bounds=bounds, sigma=sigma,
                    epsilon=epsilon, delta=delta), right, f"This noise hides {allowed:.3g}, and {right} of {n} "
                "requests fit.", [(int((bounds <= allowed).sum()), "The bounds of all requests add up.")])
