"""Lab 2: wrong submissions with what each loses, and right answers in another style."""

OWN = """
b, a = {before}, my_split.retain.group_counts()
my_alpha = {alpha}
left = b.clone()
left[mine.group[0] * 2 + mine.group[1]] = 0
my_shares = {left}
"""
FIGURE = """
def draw(changed):
    figure, ax = plt.subplots()
    {plot}
    ax.set({names})
    return figure


figure = draw(changed[0.9])
"""

# name: ({grade_id of the answer: wrong source}, {grade_id of the test: points lost})
MISCONCEPTIONS = {
    "alpha as group balancing": ({"alpha": """
def alpha(train_counts, retain_counts):
    return torch.where(retain_counts > 0, 1 / retain_counts.clamp(min=1).double(), 0.0)
"""}, {"test_alpha": 3, "test_alpha_untouched": 1}),
    "alpha from shares of the retain set only": ({"alpha": """
def alpha(train_counts, retain_counts):
    return retain_counts / retain_counts.sum()
"""}, {"test_alpha": 3, "test_alpha_untouched": 1}),
    "alpha from shares instead of counts": ({"alpha": """
def alpha(train_counts, retain_counts):
    shares = (train_counts / train_counts.sum()) / (retain_counts.clamp(min=1) / retain_counts.sum())
    return torch.where(retain_counts > 0, shares, 0.0)
"""}, {"test_alpha_untouched": 1}),
    "alpha upside down": ({"alpha": """
def alpha(train_counts, retain_counts):
    return retain_counts / train_counts.clamp(min=1)
"""}, {"test_alpha": 3}),
    "infinite weight for a vanished group": ({"alpha": """
def alpha(train_counts, retain_counts):
    return train_counts / retain_counts
"""}, {"test_alpha_vanished": 2}),
    "nan for a vanished group": ({"alpha": """
def alpha(train_counts, retain_counts):
    return torch.where(retain_counts > 0, train_counts / retain_counts, float("nan"))
"""}, {"test_alpha_vanished": 2}),
    "a vanished group keeps its count as weight": ({"alpha": """
def alpha(train_counts, retain_counts):
    return train_counts / retain_counts.clamp(min=1)
"""}, {"test_alpha_vanished": 2}),
    "one weight per group, not per sample": ({"probabilities": """
def probabilities(weights, group):
    return weights / weights.sum()
"""}, {"test_probabilities": 2, "test_probabilities_sum": 1}),
    "all samples alike": ({"probabilities": """
def probabilities(weights, group):
    return torch.full((len(group),), 1 / len(group))
"""}, {"test_probabilities": 2}),
    "in the order of the groups, not of the samples": ({"probabilities": """
def probabilities(weights, group):
    p = torch.repeat_interleave(weights, torch.bincount(group, minlength=len(weights)))
    return p / p.sum()
"""}, {"test_probabilities": 2}),
    "divided by the sum over the groups": ({"probabilities": """
def probabilities(weights, group):
    return weights[group] / weights.sum()
"""}, {"test_probabilities_sum": 1}),
    "divided by the largest": ({"probabilities": """
def probabilities(weights, group):
    return weights[group] / weights.max()
"""}, {"test_probabilities_sum": 1}),
    "the group counted twice": ({"probabilities": """
def probabilities(weights, group):
    p = (weights * torch.bincount(group, minlength=len(weights)))[group]
    return p / p.sum()
"""}, {"test_probabilities": 2}),
    "weights that do not sum to 1": ({"probabilities": """
def probabilities(weights, group):
    return weights[group]
"""}, {"test_probabilities_sum": 1}),
    "sampling without replacement": ({"draw_epoch": """
def draw_epoch(p, seed):
    return torch.multinomial(p, len(p), replacement=False, generator=torch.Generator().manual_seed(seed))
"""}, {"test_draw": 2}),
    "a permutation, the weights unused": ({"draw_epoch": """
def draw_epoch(p, seed):
    return torch.randperm(len(p), generator=torch.Generator().manual_seed(seed))
"""}, {"test_draw": 2}),
    "with replacement, but the weights unused": ({"draw_epoch": """
def draw_epoch(p, seed):
    return torch.randint(len(p), (len(p),), generator=torch.Generator().manual_seed(seed))
"""}, {"test_draw": 2}),
    "one draw fewer": ({"draw_epoch": """
def draw_epoch(p, seed):
    return torch.multinomial(p, len(p) - 1, replacement=True, generator=torch.Generator().manual_seed(seed))
"""}, {"test_draw": 2}),
    "the seed unused": ({"draw_epoch": """
def draw_epoch(p, seed):
    p = np.asarray(p, dtype=float)
    return torch.from_numpy(np.random.default_rng().choice(len(p), len(p), p=p / p.sum()))
"""}, {"test_draw_seed": 1}),
    "the global seed set": ({"draw_epoch": """
def draw_epoch(p, seed):
    torch.manual_seed(seed)
    return torch.multinomial(p, len(p), replacement=True)
"""}, {"test_draw_seed": 1}),
    "the same epoch for every seed": ({"draw_epoch": """
def draw_epoch(p, seed):
    return torch.multinomial(p, len(p), replacement=True, generator=torch.Generator().manual_seed(0))
"""}, {"test_draw_seed": 1}),
    "shares of the size of the training set": ({"expected_shares": """
def expected_shares(weights, retain_counts):
    return weights * retain_counts / len(train)
"""}, {"test_shares_vanished": 2}),
    "shares without the weights": ({"expected_shares": """
def expected_shares(weights, retain_counts):
    return retain_counts / retain_counts.sum()
"""}, {"test_shares": 1, "test_shares_vanished": 2}),
    "weights divided by the number of samples": ({"expected_shares": """
def expected_shares(weights, retain_counts):
    heard = weights / retain_counts.clamp(min=1)
    return heard / heard.sum()
"""}, {"test_shares": 1, "test_shares_vanished": 2}),
    "a vanished group left out": ({"expected_shares": """
def expected_shares(weights, retain_counts):
    heard = (weights * retain_counts)[retain_counts > 0]
    return heard / heard.sum()
"""}, {"test_shares_vanished": 2}),
    "own numbers of the course's training set": ({"own_numbers": OWN.format(
        before="train.group_counts().double()", alpha="b / a", left="left / left.sum()")},
        {"test_my_alpha": 2, "test_my_shares": 1}),
    "own alpha upside down": ({"own_numbers": OWN.format(
        before="my_train.group_counts().double()", alpha="a / b", left="left / left.sum()")},
        {"test_my_alpha": 2}),
    "own alpha to balance": ({"own_numbers": OWN.format(
        before="my_train.group_counts().double()", alpha="1 / a", left="left / left.sum()")},
        {"test_my_alpha": 2}),
    "own shares before anybody was forgotten": ({"own_numbers": OWN.format(
        before="my_train.group_counts().double()", alpha="b / a", left="b / b.sum()")},
        {"test_my_shares": 1}),
    "own shares that do not sum to 1": ({"own_numbers": OWN.format(
        before="my_train.group_counts().double()", alpha="b / a", left="left / b.sum()")},
        {"test_my_shares": 1}),
    "own shares of another group": ({"own_numbers": OWN.format(
        before="my_train.group_counts().double()", alpha="b / a", left="left / left.sum()").replace(
        "mine.group[0] * 2 + mine.group[1]", "mine.group[1] * 2 + mine.group[0]")},
        {"test_my_shares": 1}),
    "shares without the number of samples": ({"expected_shares": """
def expected_shares(weights, retain_counts):
    return weights / weights.sum()
"""}, {"test_shares": 1, "test_shares_vanished": 2}),
    "compared with RETRAIN instead of PRETRAIN": ({"change_by_group": """
def change_by_group(rows, method, reweight):
    a, b = (pd.DataFrame(part.by_group.tolist(), index=part.seed) for part in (
        rows[(rows.method == method) & (rows.reweight == reweight)],
        rows[(rows.method == "retrain") & ~rows.reweight]))
    return 100 * (a - b).dropna().mean().to_numpy()
"""}, {"test_change": 2}),
    "fractions instead of points": ({"change_by_group": """
def change_by_group(rows, method, reweight):
    a, b = (pd.DataFrame(part.by_group.tolist(), index=part.seed) for part in (
        rows[(rows.method == method) & (rows.reweight == reweight)], rows[rows.method == "pretrain"]))
    return (a - b).dropna().mean().to_numpy()
"""}, {"test_change": 2}),
    "with and without REWEIGHT mixed": ({"change_by_group": """
def change_by_group(rows, method, reweight):
    a, b = (pd.DataFrame(part.by_group.tolist(), index=part.seed).groupby(level=0).mean() for part in (
        rows[rows.method == method], rows[rows.method == "pretrain"]))
    return 100 * (a - b).dropna().mean().to_numpy()
"""}, {"test_change": 2}),
    "means over seeds that are not the same": ({"change_by_group": """
def change_by_group(rows, method, reweight):
    a, b = (np.mean(part.by_group.tolist(), axis=0) for part in (
        rows[(rows.method == method) & (rows.reweight == reweight)], rows[rows.method == "pretrain"]))
    return 100 * (a - b)
"""}, {"test_change_pairs": 1}),
    "nan where a seed has no partner": ({"change_by_group": """
def change_by_group(rows, method, reweight):
    a, b = (pd.DataFrame(part.by_group.tolist(), index=part.seed) for part in (
        rows[(rows.method == method) & (rows.reweight == reweight)], rows[rows.method == "pretrain"]))
    return 100 * (a - b).to_numpy().mean(axis=0)
"""}, {"test_change_pairs": 1}),
    "seeds paired by the order of the rows": ({"change_by_group": """
def change_by_group(rows, method, reweight):
    a, b = (np.array(part.by_group.tolist()) for part in (
        rows[(rows.method == method) & (rows.reweight == reweight)], rows[rows.method == "pretrain"]))
    n = min(len(a), len(b))
    return 100 * (a[:n] - b[:n]).mean(0)
"""}, {"test_change_pairs": 1}),
    "the share that is still missing": ({"won_back": """
def won_back(rows, method, reweight):
    ga = rows.groupby(["method", "reweight"]).GA.mean()
    return (ga["pretrain", False] - ga[method, reweight]) / (ga["pretrain", False] - ga["retrain", False])
"""}, {"test_won_back": 2}),
    "won back in percent": ({"won_back": """
def won_back(rows, method, reweight):
    ga = rows.groupby(["method", "reweight"]).GA.mean()
    plain = ga["retrain", False]
    return 100 * (ga[method, reweight] - plain) / (ga["pretrain", False] - plain)
"""}, {"test_won_back": 2}),
    "kept, not won back": ({"won_back": """
def won_back(rows, method, reweight):
    ga = rows.groupby(["method", "reweight"]).GA.mean()
    return ga[method, reweight] / ga["pretrain", False]
"""}, {"test_won_back": 2}),
    "a mean of quotients": ({"won_back": """
def won_back(rows, method, reweight):
    wide = rows.pivot(index="seed", columns=["method", "reweight"], values="GA")
    plain = wide["retrain", False]
    return ((wide[method, reweight] - plain) / (wide["pretrain", False] - plain)).mean()
"""}, {"test_won_back": 2}),
    "a figure of one model": ({"figure": FIGURE.format(
        plot='ax.plot(changed["REWEIGHT"], range(4), "o")',
        names='xlabel="change (points)", ylabel="group"')}, {"test_figure": 1}),
    "axes without names": ({"figure": FIGURE.format(
        plot="ax.plot(changed.to_numpy(), range(4))", names="")}, {"test_figure": 1}),
    "means over the groups": ({"figure": FIGURE.format(
        plot='ax.bar(range(4), changed.mean())',
        names='xlabel="change (points)", ylabel="group"')}, {"test_figure": 1}),
    "changes without their signs": ({"figure": FIGURE.format(
        plot='ax.plot(changed.abs().to_numpy(), range(4))',
        names='xlabel="change (points)", ylabel="group"')}, {"test_figure": 1}),
}

SECOND = {
    "alpha": """
def alpha(train_counts, retain_counts):
    pairs = zip(train_counts.tolist(), retain_counts.tolist(), strict=True)
    return torch.tensor([before / after if after else 0.0 for before, after in pairs])
""",
    "probabilities": """
def probabilities(weights, group):
    p = np.array([float(weights[g]) for g in group.tolist()])
    return torch.from_numpy(p / p.sum())
""",
    "draw_epoch": """
def draw_epoch(p, seed):
    p = np.asarray(p, dtype=float)
    return torch.from_numpy(np.random.default_rng(seed).choice(len(p), size=len(p), p=p / p.sum()))
""",
    "expected_shares": """
def expected_shares(weights, retain_counts):
    heard = [float(w) * int(n) for w, n in zip(weights, retain_counts)]
    return torch.tensor([h / sum(heard) for h in heard])
""",
    "change_by_group": """
def change_by_group(rows, method, reweight):
    before = {row.seed: np.array(row.by_group) for row in rows.itertuples() if row.method == "pretrain"}
    found = [100 * (np.array(row.by_group) - before[row.seed]) for row in rows.itertuples()
             if row.method == method and row.reweight == reweight and row.seed in before]
    return np.mean(found, axis=0)
""",
    "won_back": """
def won_back(rows, method, reweight):
    def mean(name, weighed):
        return rows.loc[(rows.method == name) & (rows.reweight == weighed), "GA"].mean()

    lost = mean("pretrain", False) - mean("retrain", False)
    return 1 - (mean("pretrain", False) - mean(method, reweight)) / lost
""",
    "own_numbers": """
my_alpha = [len(my_train.group[my_train.group == g]) / int((my_split.retain.group == g).sum())
            for g in range(4)]
others = ~((my_train.y == mine.group[0]) & (my_train.a == mine.group[1]))
my_shares = np.bincount(my_train.group[others], minlength=4) / int(others.sum())
""",
    "figure": """
def draw(changed):
    figure, ax = plt.subplots()
    changed.plot.bar(ax=ax)
    ax.set(xlabel="group", ylabel="change against PRETRAIN (points)")
    return figure

figure = draw(changed[0.9])
""",
}
