"""Lesson 13: certified removal."""

import numpy as np

from grmu.course import certified
from grmu.course.checks.common import Answer, call, compare, passed, returns

L2 = 0.01


def drawn(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return weights w, rows x of norm 1, classes y and noise b."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return rng.normal(size=3), x, (x[:, 0] + rng.normal(size=n) > 0).astype(int), rng.normal(size=3)


def check_newton_step(function: Answer) -> None:
    """Check the Newton step with noise, and that two of them nearly solve the problem."""
    w, x, y, b = drawn()
    gradient, hessian = certified.derivatives(w, x, y, L2, b)
    penalty = L2 * len(y) * np.eye(3)
    mistakes = [(w - gradient, "that is a step of gradient descent: solve a system with the Hessian."),
                (w + np.linalg.solve(hessian, gradient), "the sign: subtract the step."),
                (w - np.linalg.solve(hessian - penalty, gradient), "the Hessian needs the penalty, too."),
                (certified.newton_step(w, x, y, L2), "the noise b is missing from the gradient."),
                (certified.newton_step(w, x, y, L2 / len(y), b), "the penalty counts once for each sample.")]
    returns(function, (w, x, y, L2, b), w - np.linalg.solve(hessian, gradient),
            "Solve H d = g, and return w - d.", mistakes, 1e-6)
    passed("One Newton step, with the penalty and the noise.")


def check_noise_scale(function: Answer) -> None:
    """Check the standard deviation of the noise."""
    right = certified.noise_scale(0.3, 0.5, 1e-3)
    mistakes = [(right / 4, "a smaller epsilon needs more noise: divide by it."),
                (certified.noise_scale(0.3, 0.5, 1.2e-3), "1.25 belongs to another theorem: here it is 1.5."),
                (right**2 * 0.5 / 0.3, "take the square root.")]
    returns(function, (0.3, 0.5, 1e-3), right, "From delta get c, then sigma = c * allowed / epsilon.",
            mistakes, 1e-6)
    passed("This noise hides every residual up to `allowed`.")


def check_steps_needed(function: Answer) -> None:
    """Check the number of Newton steps, for several allowed residuals."""
    w, x, y, _ = drawn()
    sizes = [certified.residual(w, x, y, L2)]
    for _ in range(3):
        w = certified.newton_step(w, x, y, L2)
        sizes.append(certified.residual(w, x, y, L2))
    start = drawn()[0]
    for n, size in enumerate(sizes):
        compare(call(function, start, x, y, L2, size * 1.01), n, f"An allowed residual of {size * 1.01:.2g} "
                f"needs {n} steps.", [(n + 1, "test the residual before each step: you take one too many.")])
    passed("You take a step only while the residual is too large.")
