"""Lab 3: known misconceptions with the points that they cost, and right answers in another style."""

MISCONCEPTIONS = {
    "log-sum-exp instead of log-mean-exp": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_joint.mean() - t_marginal.logsumexp(0)
"""}, {"test_bound": 2}),
    "mean minus mean": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_joint.mean() - t_marginal.mean()
"""}, {"test_bound": 2}),
    "exp overflows": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_joint.mean() - t_marginal.exp().mean().log()
"""}, {"test_bound_stable": 1}),
    "the moving average is not detached": ({"corrected": """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else (1 - rate) * average + rate * batch

def corrected_loss(t_joint, t_marginal, average):
    return t_marginal.exp().mean() / average - t_joint.mean()
"""}, {"test_corrected_constant": 1}),
    "the loss makes the bound smaller": ({"corrected": """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else (1 - rate) * average + rate * batch

def corrected_loss(t_joint, t_marginal, average):
    return t_joint.mean() + t_marginal.exp().mean() / average.detach()
"""}, {"test_corrected": 2}),
    "ḡ drawn per sample from its own group": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    if how == "uniform":
        return torch.randint(n_groups, (len(group),), generator=rng)
    bar = group.clone()
    for g in group.unique():
        own = (group == g).nonzero().flatten()
        bar[own] = group[own[torch.randperm(len(own), generator=rng)]]
    return bar
"""}, {"test_bar_shuffle": 1, "test_bar_rng": 1}),
    "uniform over the groups that were seen": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    if how == "shuffle":
        return group[torch.randperm(len(group), generator=rng)]
    seen = group.unique()
    return seen[torch.randint(len(seen), (len(group),), generator=rng)]
"""}, {"test_bar_uniform": 1}),
    "global random numbers": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    return group[torch.randperm(len(group))] if how == "shuffle" else torch.randint(n_groups, (len(group),))
"""}, {"test_bar_rng": 1}),
    "asked about the samples it was fitted to": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(z.shape[1], 4, 128, seed), 5e-3, rng, how)
    estimator.fit(z, group, steps)
    return estimator.bound(z, group).item()
"""}, {"test_estimate_fresh": 1}),
    "how does not matter": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(z.shape[1], 4, 128, seed), 5e-3, rng, "shuffle")
    estimator.fit(z, group, steps)
    return estimator.bound(*fresh).item()
"""}, {"test_estimate": 2}),
    "the push has the wrong sign": ({"push": """
def push(t, group, bar):
    own, other = torch.zeros_like(t), torch.zeros_like(t)
    rows = torch.arange(len(t))
    own[rows, group] = 1 / len(t)
    other[rows, bar] = t[rows, bar].softmax(0)
    return other - own
"""}, {"test_push": 2}),
}

SECOND = {
    "my_bound": """
def my_bound(t_joint, t_marginal):
    top = t_marginal.detach().max()
    return sum(t_joint) / len(t_joint) - top - torch.log(torch.mean(torch.exp(t_marginal - top)))
""",
    "corrected": """
def update_average(average, t_marginal, rate):
    new = torch.exp(torch.logsumexp(t_marginal, 0) - math.log(len(t_marginal)))
    if average is None:
        return new.detach()
    return torch.lerp(average, new, rate).detach()

def corrected_loss(t_joint, t_marginal, average):
    constant = average.clone().detach().log()
    return (t_marginal - constant).exp().sum() / len(t_marginal) - t_joint.sum() / len(t_joint)
""",
    "group_bar": """
def group_bar(how, group, n_groups, rng):
    noise = torch.rand(len(group), generator=rng)
    return {"shuffle": group[noise.argsort()], "uniform": (n_groups * noise).long()}[how]
""",
    "estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    rng = torch.Generator().manual_seed(seed)
    judge = Estimator(MINE(train[0].size(1), 4, hidden=128, seed=seed), lr=0.005, rng=rng, group_bar=how)
    for _ in range(steps // 50):
        judge.fit(*train, 50)
    return float(judge.bound(fresh[0], fresh[1]))
""",
    "push": """
def push(t, group, bar):
    rows, derivative = torch.arange(len(t)), torch.zeros_like(t)
    derivative[rows, group] += 1 / len(t)
    derivative[rows, bar] -= t[rows, bar].exp() / t[rows, bar].exp().sum()
    return derivative
""",
}
