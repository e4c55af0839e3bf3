"""Lab 2: wrong submissions with what each loses, and right answers in another style."""

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
    "a figure of one model": ({"figure": """
figure, ax = plt.subplots()
ax.plot(changed[0.9]["REWEIGHT"], range(4), "o")
ax.set(xlabel="change (points)", ylabel="group")
"""}, {"test_figure": 1}),
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
    "figure": """
figure, ax = plt.subplots()
changed[0.9].plot.bar(ax=ax)
ax.set(xlabel="group", ylabel="change against PRETRAIN (points)")
""",
}
