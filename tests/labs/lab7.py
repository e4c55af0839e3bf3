"""Lab 7: known mistakes with the points that they cost, and right answers in another style."""

GRADIENT = """
def gradient(w, x, y, v, l2, b):
    p = 1 / (1 + np.exp(-x @ w))
    return {terms}
"""
NEWTON = """
def newton(w, x, y, v, l2, b, gradient):
    p = 1 / (1 + np.exp(-x @ w))
    hessian = np.einsum("n,ni,nj->ij", {curved}, x, x) + {penalty}
    return w {step}
"""
RIGHT = {"curved": "v * p * (1 - p)", "penalty": "l2 * v.sum() * np.eye(len(w))",
         "step": "- np.linalg.inv(hessian) @ gradient(w, x, y, v, l2, b)"}
NOISE = """
def noise(allowed, epsilon, delta):
    if {impossible}:
        raise ValueError("epsilon must be above 0 and delta in (0, 1).")
    return allowed / epsilon * np.sqrt(2 * np.log({constant} / delta))
"""
GRANTED = """
def granted(bounds, sigma, epsilon, delta):
    allowed, total, count = sigma * epsilon / np.sqrt(2 * np.log(1.5 / delta)), 0, 0
    for one in bounds:
        total {add} one
        if total > allowed:
            break
        count += 1
    return count
"""
BOUND = """
def bound(x, v, d):
    rows = {rows}
    return np.linalg.norm(rows, {norm}) * np.linalg.norm(d) * np.linalg.norm(rows @ d) / 4
"""

MISCONCEPTIONS = {
    "the penalty counts once": ({"gradient": GRADIENT.format(terms="x.T @ (v * (p - y)) + l2 * w + b")},
                                {"test_gradient": 3, "test_gradient_weights": 2}),
    "the noise is left out": ({"gradient": GRADIENT.format(terms="x.T @ (v * (p - y)) + l2 * v.sum() * w")},
                              {"test_gradient": 3, "test_gradient_weights": 2}),
    "the penalty is not weighted": ({"gradient": GRADIENT.format(
        terms="x.T @ (v * (p - y)) + l2 * len(y) * w + b")}, {"test_gradient_weights": 2}),
    "a step of gradient descent": ({"newton": NEWTON.format(**RIGHT | {
        "step": "- gradient(w, x, y, v, l2, b)"})}, {"test_newton": 4}),
    "the Hessian lacks the penalty": ({"newton": NEWTON.format(**RIGHT | {"penalty": "0"})},
                                      {"test_newton": 4}),
    "the Hessian lacks the weights": ({"newton": NEWTON.format(**RIGHT | {"curved": "p * (1 - p)"})},
                                      {"test_newton": 4}),
    "the Frobenius norm": ({"bound": BOUND.format(rows="np.sqrt(v)[:, None] * x", norm="'fro'")},
                           {"test_bound": 3}),
    "the weights without their root": ({"bound": BOUND.format(rows="v[:, None] * x", norm="2")},
                                       {"test_bound": 3}),
    "another theorem's constant": ({"noise": NOISE.format(
        impossible="epsilon <= 0 or not 0 < delta < 1", constant="1.25")}, {"test_noise": 3}),
    "any delta is accepted": ({"noise": NOISE.format(impossible="epsilon <= 0", constant="1.5")},
                              {"test_noise_impossible": 2}),
    "each request has all the noise": ({"granted": GRANTED.format(add="=")}, {"test_granted": 4}),
}

SECOND = {
    "gradient": """
def gradient(w, x, y, v, l2, b):
    signs = 2 * y - 1
    pulls = -signs / (1 + np.exp(signs * (x @ w)))
    return sum(weight * (pull * row + l2 * w) for weight, pull, row in zip(v, pulls, x)) + b
""",
    "newton": NEWTON.format(**RIGHT),
    "bound": """
def bound(x, v, d):
    gram = (x.T * v) @ x
    return 0.25 * np.sqrt(np.linalg.eigvalsh(gram)[-1] * (d @ d) * (d @ gram @ d))
""",
    "noise": NOISE.format(impossible="not (epsilon > 0 and 0 < delta < 1)", constant="1.5"),
    "granted": GRANTED.format(add="+="),
}
