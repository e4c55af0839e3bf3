"""Lab 3: known misconceptions with the points that they cost, and right answers in another style."""

OWN = """
own = my_t.gather(1, my_group[:, None])
my_shuffled = float({shuffled})
my_uniform = float({uniform})
"""
SHUFFLED, UNIFORM = "own.mean() - own.exp().mean().log()", "own.mean() - my_t.exp().mean().log()"

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
    "the log counts the real pairs": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_joint.mean() - t_marginal.logsumexp(0) + math.log(len(t_joint))
"""}, {"test_bound": 2}),
    "the bound upside down": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_marginal.logsumexp(0) - math.log(len(t_marginal)) - t_joint.mean()
"""}, {"test_bound": 2}),
    "no gradient through the mismatched pairs": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_joint.mean() - t_marginal.detach().logsumexp(0) + math.log(len(t_marginal))
"""}, {"test_bound_stable": 1}),
    "a number instead of a tensor": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return (t_joint.mean() - t_marginal.logsumexp(0)).item() + math.log(len(t_marginal))
"""}, {"test_bound_stable": 1}),
    "T cut off before exp": ({"my_bound": """
def my_bound(t_joint, t_marginal):
    return t_joint.mean() - t_marginal.clamp(max=80).exp().mean().log()
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
    "the weights of past and batch exchanged": ({"corrected": """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else rate * average + (1 - rate) * batch

def corrected_loss(t_joint, t_marginal, average):
    return t_marginal.exp().mean() / average.detach() - t_joint.mean()
"""}, {"test_corrected": 2}),
    "the first batch is averaged with 0": ({"corrected": """
def update_average(average, t_marginal, rate):
    return (1 - rate) * (0 if average is None else average) + rate * t_marginal.exp().mean()

def corrected_loss(t_joint, t_marginal, average):
    return t_marginal.exp().mean() / average.detach() - t_joint.mean()
"""}, {"test_corrected": 2}),
    "the plain gradient, uncorrected": ({"corrected": """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else (1 - rate) * average + rate * batch

def corrected_loss(t_joint, t_marginal, average):
    return t_marginal.logsumexp(0) - math.log(len(t_marginal)) - t_joint.mean()
"""}, {"test_corrected": 2, "test_corrected_constant": 1}),
    "the batch's value detached with the average": ({"corrected": """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else (1 - rate) * average + rate * batch

def corrected_loss(t_joint, t_marginal, average):
    return (t_marginal.exp().mean() / average).detach() - t_joint.mean()
"""}, {"test_corrected": 2, "test_corrected_constant": 1}),
    "the log of the average, not detached": ({"corrected": """
def update_average(average, t_marginal, rate):
    batch = t_marginal.exp().mean()
    return batch if average is None else (1 - rate) * average + rate * batch

def corrected_loss(t_joint, t_marginal, average):
    return (t_marginal - average.log()).exp().mean() - t_joint.mean()
"""}, {"test_corrected_constant": 1}),
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
    "a uniform draw instead of a shuffle": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    return torch.randint(n_groups, (len(group),), generator=rng)
"""}, {"test_bar_shuffle": 1}),
    "drawn with replacement": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    if how == "shuffle":
        return group[torch.randint(len(group), (len(group),), generator=rng)]
    return torch.randint(n_groups, (len(group),), generator=rng)
"""}, {"test_bar_shuffle": 1}),
    "the last group is never drawn": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    if how == "shuffle":
        return group[torch.randperm(len(group), generator=rng)]
    return torch.randint(n_groups - 1, (len(group),), generator=rng)
"""}, {"test_bar_uniform": 1}),
    "never a sample's own group": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    if how == "shuffle":
        return group[torch.randperm(len(group), generator=rng)]
    return (group + torch.randint(1, n_groups, (len(group),), generator=rng)) % n_groups
"""}, {"test_bar_uniform": 1}),
    "the batch turned by one place": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    return group.roll(1) if how == "shuffle" else torch.randint(n_groups, (len(group),), generator=rng)
"""}, {"test_bar_shuffle": 1, "test_bar_rng": 1}),
    "a generator that starts anew for every batch": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    rng = torch.Generator().manual_seed(rng.initial_seed())
    if how == "shuffle":
        return group[torch.randperm(len(group), generator=rng)]
    return torch.randint(n_groups, (len(group),), generator=rng)
"""}, {"test_bar_rng": 1}),
    "the global seed set from rng": ({"group_bar": """
def group_bar(how, group, n_groups, rng):
    torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
    return group[torch.randperm(len(group))] if how == "shuffle" else torch.randint(n_groups, (len(group),))
"""}, {"test_bar_rng": 1}),
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
    "fitted to the fresh samples as well": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(z.shape[1], 4, 128, seed), 5e-3, rng, how)
    estimator.fit(torch.cat([z, fresh[0]]), torch.cat([group, fresh[1]]), steps)
    return estimator.bound(*fresh).item()
"""}, {"test_estimate_fresh": 1}),
    "train and fresh exchanged": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(z.shape[1], 4, 128, seed), 5e-3, rng, how)
    estimator.fit(*fresh, steps)
    return estimator.bound(z, group).item()
"""}, {"test_estimate_fresh": 1}),
    "bits instead of nats": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(z.shape[1], 4, 128, seed), 5e-3, rng, how)
    estimator.fit(z, group, steps)
    return estimator.bound(*fresh).item() / math.log(2)
"""}, {"test_estimate": 2}),
    "always 300 steps": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(seed)
    estimator = Estimator(MINE(z.shape[1], 4, 128, seed), 5e-3, rng, how)
    estimator.fit(z, group, 300)
    return estimator.bound(*fresh).item()
"""}, {"test_estimate": 2, "test_estimate_fresh": 1}),
    "always seed 0": ({"estimate": """
def estimate(train, fresh, how, steps=300, seed=0):
    (z, group), rng = train, torch.Generator().manual_seed(0)
    estimator = Estimator(MINE(z.shape[1], 4, 128, 0), 5e-3, rng, how)
    estimator.fit(z, group, steps)
    return estimator.bound(*fresh).item()
"""}, {"test_estimate": 2}),
    "softmax over the groups": ({"push": """
def push(t, group, bar):
    own, other = torch.zeros_like(t), torch.zeros_like(t)
    rows = torch.arange(len(t))
    own[rows, group] = 1 / len(t)
    other[rows, bar] = t.softmax(1)[rows, bar] / len(t)
    return own - other
"""}, {"test_push": 2}),
    "every group pushed, whatever ḡ is": ({"push": """
def push(t, group, bar):
    own = torch.zeros_like(t)
    own[torch.arange(len(t)), group] = 1 / len(t)
    return own - t.flatten().softmax(0).view_as(t)
"""}, {"test_push": 2}),
    "real pairs in place of the mismatched ones": ({"push": """
def push(t, group, bar):
    push, rows = torch.zeros_like(t), torch.arange(len(t))
    push[rows, group] = 1 / len(t) - t[rows, group].softmax(0)
    return push
"""}, {"test_push": 2}),
    "the push has the wrong sign": ({"push": """
def push(t, group, bar):
    own, other = torch.zeros_like(t), torch.zeros_like(t)
    rows = torch.arange(len(t))
    own[rows, group] = 1 / len(t)
    other[rows, bar] = t[rows, bar].softmax(0)
    return other - own
"""}, {"test_push": 2}),
    "own numbers, log-sum-exp": ({"own_numbers": OWN.format(
        shuffled="own.mean() - own.flatten().logsumexp(0)",
        uniform="own.mean() - my_t.flatten().logsumexp(0)")},
        {"test_my_shuffled": 1, "test_my_uniform": 1}),
    "own numbers, shuffled is 0": ({"own_numbers": OWN.format(shuffled="0", uniform=UNIFORM)},
        {"test_my_shuffled": 1}),
    "own numbers, shuffled and uniform exchanged": ({"own_numbers": OWN.format(
        shuffled=UNIFORM, uniform=SHUFFLED)}, {"test_my_shuffled": 1, "test_my_uniform": 1}),
    "own numbers, the mean over all groups": ({"own_numbers": OWN.format(
        shuffled="my_t.mean() - own.exp().mean().log()", uniform="my_t.mean() - my_t.exp().mean().log()")},
        {"test_my_shuffled": 1, "test_my_uniform": 1}),
    "own numbers, a log for each sample": ({"own_numbers": OWN.format(
        shuffled=SHUFFLED, uniform="(own - my_t.exp().mean(1, keepdim=True).log()).mean()")},
        {"test_my_uniform": 1}),
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
    "own_numbers": """
own, everything = my_t[:, int(my_group[0])].numpy(), my_t.numpy()
my_shuffled = own.mean() - np.log(np.mean(np.exp(own)))
my_uniform = torch.tensor(own.mean() - np.log(np.mean(np.exp(everything))))
""",
}
