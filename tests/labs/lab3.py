"""Lab 3: known mistakes with the points that they cost, and right answers in another style."""

BOUND = "def my_bound(t_joint, t_marginal):\n    return {}"
CORRECTED = """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else {average}

def corrected_loss(t_joint, t_marginal, average):
    return {loss}
"""
RIGHT = {"average": "(1 - rate) * average + rate * batch",
         "loss": "t_marginal.exp().mean() / average.detach() - t_joint.mean()"}
BAR = """
def group_bar(how, group, n_groups, rng):
    {first}
    return {shuffled} if how == "shuffle" else {uniform}
"""
DRAWN = {"first": "", "shuffled": "group[torch.randperm(len(group), generator=rng)]",
         "uniform": "torch.randint(n_groups, (len(group),), generator=rng)"}
ESTIMATE = """
def estimate(train, fresh, how, steps=300, seed=0):
    rng = torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(train[0].size(1), 4, 128, seed), 5e-3, rng, {how})
    estimator.fit(*train, steps)
    return estimator.bound(*{evaluated}).item()
"""
PUSH = """
def push(t, group, bar):
    derivative, rows = torch.zeros_like(t), torch.arange(len(t))
    derivative[rows, group] = 1 / len(t)
    return derivative - {}
"""

MISCONCEPTIONS = {
    "log-sum-exp in place of log-mean-exp": ({"my_bound": BOUND.format(
        "t_joint.mean() - t_marginal.logsumexp(0)")}, {"test_bound": 2, "test_bound_stable": 1}),
    "exp overflows": ({"my_bound": BOUND.format("t_joint.mean() - t_marginal.exp().mean().log()")},
                      {"test_bound_stable": 1}),
    "a number in place of a tensor": ({"my_bound": BOUND.format(
        "(t_joint.mean() - t_marginal.logsumexp(0)).item() + math.log(len(t_marginal))")},
        {"test_bound_stable": 1}),
    "the moving average is not detached": ({"corrected": CORRECTED.format(
        **RIGHT | {"loss": "t_marginal.exp().mean() / average - t_joint.mean()"})},
        {"test_corrected_constant": 1}),
    "the weights of past and batch are swapped": ({"corrected": CORRECTED.format(
        **RIGHT | {"average": "rate * average + (1 - rate) * batch"})}, {"test_corrected": 2}),
    "the uncorrected gradient": ({"corrected": CORRECTED.format(
        **RIGHT | {"loss": "t_marginal.logsumexp(0) - math.log(len(t_marginal)) - t_joint.mean()"})},
        {"test_corrected": 2, "test_corrected_constant": 1}),
    "a uniform draw from the groups in the batch": ({"group_bar": BAR.format(
        **DRAWN | {"first": "seen = group.unique()",
                   "uniform": "seen[torch.randint(len(seen), (len(group),), generator=rng)]"})},
        {"test_bar_uniform": 2}),
    "the batch moved by one place in place of a shuffle": ({"group_bar": BAR.format(
        **DRAWN | {"shuffled": "group.roll(1)"})}, {"test_bar_shuffle": 1}),
    "random numbers that do not come from rng": ({"group_bar": BAR.format(**DRAWN | {
        "first": "rng = torch.default_generator"})}, {"test_bar_shuffle": 1, "test_bar_uniform": 2}),
    "evaluated on the samples to which it was fitted": ({"estimate": ESTIMATE.format(
        how="how", evaluated="train")}, {"test_estimate_fresh": 1}),
    "how is ignored": ({"estimate": ESTIMATE.format(how="'shuffle'", evaluated="fresh")},
                       {"test_estimate": 2}),
    "all groups, whatever ḡ is": ({"push": PUSH.format("t.flatten().softmax(0).view_as(t)")},
                                  {"test_push": 2}),
    "a softmax over the groups of each sample": ({"push": PUSH.format("t.softmax(1) / len(t)")},
                                                 {"test_push": 2}),
    "M is 0 if ḡ is shuffled": ({"one_group":
        "def one_group(t, g):\n    return 0.0, float(t[:, g].mean() - t.exp().mean().log())"},
        {"test_one_group": 2}),
}

SECOND = {
    "my_bound": """
def my_bound(t_joint, t_marginal):
    top = t_marginal.detach().max()
    return sum(t_joint) / len(t_joint) - top - torch.log(torch.mean(torch.exp(t_marginal - top)))
""",
    "corrected": CORRECTED.format(average="torch.lerp(average, batch, rate).detach()",
                                  loss="(t_marginal - average.detach().log()).exp().mean() - t_joint.mean()"),
    "group_bar": BAR.format(first="noise = torch.rand(len(group), generator=rng)",
                            shuffled="group[noise.argsort()]", uniform="(n_groups * noise).long()"),
    "estimate": ESTIMATE.format(how="how", evaluated="fresh"),
    "push": PUSH.format("torch.zeros_like(t).index_put((rows, bar), t[rows, bar].softmax(0))"),
    "one_group": """
def one_group(t, g):
    own, table = t.numpy()[:, g], t.numpy()
    return [own.mean() - np.log(np.exp(part).mean()) for part in (own, table)]
""",
}
