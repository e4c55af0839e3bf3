"""Lab 1: wrong submissions with what each loses, and right answers in another style."""

OWN = """
my_group = {group}[0] * n_attributes + {group}[1]
counts = torch.bincount({train}.group, minlength=4)
gone = [0] * 4
gone[my_group] = round({ratio} * int(counts[my_group]))
my_retained = [{left} for n, gone in zip(counts.tolist(), gone)]
my_control = sum(gone) / {of}
"""

FIGURE = """
def draw(one_group, everyone):
    figure, ax = plt.subplots()
    for table in {tables}:
        ax.errorbar(table.index, table["mean"], table.se)
    {names}
    return figure


figure = draw(one_group, everyone)
"""

# name: ({grade_id of the answer: wrong source}, {grade_id of the test: points lost})
MISCONCEPTIONS = {
    "class and attribute exchanged": ({"group_index": """
def group_index(y, a, n_classes, n_attributes):
    return a * n_classes + y
"""}, {"test_group_index": 2}),
    "multiplied by the number of classes": ({"group_index": """
def group_index(y, a, n_classes, n_attributes):
    return y * n_classes + a
"""}, {"test_group_index": 2}),
    "groups counted from 1": ({"group_index": """
def group_index(y, a, n_classes, n_attributes):
    return y * n_attributes + a + 1
"""}, {"test_group_index": 2}),
    "numbered in the order of the pairs seen": ({"group_index": """
def group_index(y, a, n_classes, n_attributes):
    return torch.unique(y * n_attributes + a, return_inverse=True)[1]
"""}, {"test_group_index_subset": 2}),
    "numbers that begin at the first class seen": ({"group_index": """
def group_index(y, a, n_classes, n_attributes):
    return (y - y.min()) * n_attributes + a
"""}, {"test_group_index_subset": 2}),
    "number of attribute values taken from those seen": ({"group_index": """
def group_index(y, a, n_classes, n_attributes):
    return y * (int(a.max()) + 1) + a
"""}, {"test_group_index_subset": 2}),
    "groups counted from the values seen": ({"group_counts": """
def group_counts(group, n_groups):
    return group.unique(return_counts=True)[1]
"""}, {"test_group_counts_vanished": 2}),
    "the last groups left out if they are empty": ({"group_counts": """
def group_counts(group, n_groups):
    return torch.bincount(group)
"""}, {"test_group_counts_vanished": 2}),
    "an empty group counts as one": ({"group_counts": """
def group_counts(group, n_groups):
    return torch.bincount(group, minlength=n_groups).clamp(min=1)
"""}, {"test_group_counts_vanished": 2}),
    "shares instead of counts": ({"group_counts": """
def group_counts(group, n_groups):
    return torch.bincount(group, minlength=n_groups) / len(group)
"""}, {"test_group_counts": 1, "test_group_counts_vanished": 2}),
    "each group with those before it": ({"group_counts": """
def group_counts(group, n_groups):
    return torch.bincount(group, minlength=n_groups).cumsum(0)
"""}, {"test_group_counts": 1, "test_group_counts_vanished": 2}),
    "counts in order of size": ({"group_counts": """
def group_counts(group, n_groups):
    return group.unique(return_counts=True)[1].sort(descending=True).values
"""}, {"test_group_counts": 1, "test_group_counts_vanished": 2}),
    "as many as a share of the whole training set": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    forgotten = torch.zeros(len(group), dtype=torch.bool)
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        order = torch.randperm(len(members), generator=rng)
        forgotten[members[order[: round(ratio * len(group))]]] = True
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_size": 3, "test_split_strata": 2}),
    "ratio of the whole training set": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(group), generator=rng)
    n = round(ratio * len(group))
    return order[:n], order[n:]
"""}, {"test_split_size": 3, "test_split_strata": 2}),
    "a coin toss for each sample": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    mine = torch.isin(group, torch.tensor(groups))
    forgotten = mine & (torch.rand(len(group), generator=rng) < ratio)
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_size": 3, "test_split_strata": 2}),
    "places within the group for rows": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    forgotten = torch.zeros(len(group), dtype=torch.bool)
    for g in groups:
        n = int((group == g).sum())
        forgotten[torch.randperm(n, generator=rng)[: round(ratio * n)]] = True
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_size": 3, "test_split_strata": 2}),
    "only the first of the groups": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    members = (group == groups[0]).nonzero().squeeze(1)
    forgotten = torch.zeros(len(group), dtype=torch.bool)
    forgotten[members[torch.randperm(len(members), generator=rng)[: round(ratio * len(members))]]] = True
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_strata": 2}),
    "everyone is retained": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    chosen = []
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        chosen.append(members[torch.randperm(len(members), generator=rng)[: round(ratio * len(members))]])
    return torch.cat(chosen), torch.arange(len(group))
"""}, {"test_split_partition": 2}),
    "drawn with replacement": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    chosen = []
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        n = round(ratio * len(members))
        chosen.append(members[torch.randint(len(members), (n,), generator=rng)])
    forget = torch.cat(chosen)
    return forget, (~torch.isin(torch.arange(len(group)), forget)).nonzero().squeeze(1)
"""}, {"test_split_partition": 2}),
    "two groups drawn from one pool": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    members = torch.isin(group, torch.tensor(groups)).nonzero().squeeze(1)
    chosen = members[torch.randperm(len(members), generator=rng)[: round(ratio * len(members))]]
    keep = torch.ones(len(group), dtype=torch.bool)
    keep[chosen] = False
    return chosen, keep.nonzero().squeeze(1)
"""}, {"test_split_strata": 2}),
    "retain set is the other groups": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = torch.Generator().manual_seed(seed)
    chosen = []
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        chosen.append(members[torch.randperm(len(members), generator=rng)[: round(ratio * len(members))]])
    return torch.cat(chosen), (~torch.isin(group, torch.tensor(groups))).nonzero().squeeze(1)
"""}, {"test_split_partition": 2}),
    "the first ones, whatever the seed": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    forgotten = torch.zeros(len(group), dtype=torch.bool)
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        forgotten[members[: round(ratio * len(members))]] = True
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_seed": 2}),
    "the global seed set": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    torch.manual_seed(seed)
    forgotten = torch.zeros(len(group), dtype=torch.bool)
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        forgotten[members[torch.randperm(len(members))[: round(ratio * len(members))]]] = True
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_seed": 2}),
    "the seed unused": ({"forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = np.random.default_rng()
    forgotten = torch.zeros(len(group), dtype=torch.bool)
    for g in groups:
        members = (group == g).nonzero().squeeze(1)
        order = torch.from_numpy(rng.permutation(len(members)))
        forgotten[members[order[: round(ratio * len(members))]]] = True
    return forgotten.nonzero().squeeze(1), (~forgotten).nonzero().squeeze(1)
"""}, {"test_split_seed": 2}),
    "the wrong ones counted": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    p = torch.bincount(group[predicted != y], minlength=n_groups).double().numpy() / n
    return pd.DataFrame({"accuracy": p, "n": n, "se": np.sqrt(p * (1 - p) / n)})
"""}, {"test_group_accuracy": 2}),
    "accuracy in percent": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    p = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy() / n
    return pd.DataFrame({"accuracy": 100 * p, "n": n, "se": 100 * np.sqrt(p * (1 - p) / n)})
"""}, {"test_group_accuracy": 2, "test_standard_error": 2}),
    "n of the right ones": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    right = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy()
    p = right / n
    return pd.DataFrame({"accuracy": p, "n": right, "se": np.sqrt(p * (1 - p) / n)})
"""}, {"test_group_accuracy": 2, "test_empty_group": 2}),
    "the variance for the standard error": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    p = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy() / n
    return pd.DataFrame({"accuracy": p, "n": n, "se": p * (1 - p) / n})
"""}, {"test_standard_error": 2}),
    "accuracy over all samples": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    right = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy()
    p = np.where(n > 0, right / len(y), np.nan)
    return pd.DataFrame({"accuracy": p, "n": n, "se": np.sqrt(p * (1 - p) / n)})
"""}, {"test_group_accuracy": 2}),
    "standard error with n of all samples": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    p = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy() / n
    return pd.DataFrame({"accuracy": p, "n": n, "se": np.sqrt(p * (1 - p) / len(y))})
"""}, {"test_standard_error": 2}),
    "standard error without n": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    p = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy() / n
    return pd.DataFrame({"accuracy": p, "n": n, "se": np.sqrt(p * (1 - p))})
"""}, {"test_standard_error": 2}),
    "an empty group has accuracy 0": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    n = torch.bincount(group, minlength=n_groups).double().numpy()
    p = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy() / np.maximum(n, 1)
    return pd.DataFrame({"accuracy": p, "n": n, "se": np.sqrt(p * (1 - p) / np.maximum(n, 1))})
"""}, {"test_empty_group": 2}),
    "an empty group has no row": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    right = pd.Series((predicted == y).double().numpy()).groupby(group.numpy())
    table = pd.DataFrame({"accuracy": right.mean(), "n": right.size()})
    table["se"] = (table.accuracy * (1 - table.accuracy) / table.n) ** 0.5
    return table
"""}, {"test_empty_group": 2}),
    "an empty group gets the accuracy of all": ({"group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    rows = []
    for g in range(n_groups):
        mine = group == g if (group == g).any() else torch.ones_like(group, dtype=torch.bool)
        p, n = (predicted == y)[mine].double().mean().item(), int((group == g).sum())
        rows.append({"accuracy": p, "n": n, "se": (p * (1 - p) / max(n, 1)) ** 0.5})
    return pd.DataFrame(rows)
"""}, {"test_empty_group": 2}),
    "a control of the same ratio": ({"control_ratio": """
def control_ratio(counts, g, ratio):
    return ratio
"""}, {"test_control_ratio": 3}),
    "a control as large as the group": ({"control_ratio": """
def control_ratio(counts, g, ratio):
    return int(counts[g]) / int(sum(counts))
"""}, {"test_control_ratio": 3}),
    "a share of the other groups": ({"control_ratio": """
def control_ratio(counts, g, ratio):
    return round(ratio * int(counts[g])) / (int(sum(counts)) - int(counts[g]))
"""}, {"test_control_ratio": 3}),
    "a share of those who stay": ({"control_ratio": """
def control_ratio(counts, g, ratio):
    gone = round(ratio * int(counts[g]))
    return gone / (int(sum(counts)) - gone)
"""}, {"test_control_ratio": 3}),
    "own numbers from the course's training set": ({"own_numbers": OWN.format(
        train="train", ratio="mine.ratio", group="mine.group", left="n - gone", of="len(train)")},
        {"test_my_retained": 2, "test_my_control": 1}),
    "own numbers at the course's ratio": ({"own_numbers": OWN.format(
        train="my_train", ratio="0.5", group="mine.group", left="n - gone", of="len(my_train)")},
        {"test_my_retained": 2, "test_my_control": 1}),
    "own numbers of another group": ({"own_numbers": OWN.format(
        train="my_train", ratio="mine.ratio", group="mine.group[::-1]", left="n - gone",
        of="len(my_train)")}, {"test_my_retained": 2, "test_my_control": 1}),
    "own forgotten for retained": ({"own_numbers": OWN.format(
        train="my_train", ratio="mine.ratio", group="mine.group", left="gone", of="len(my_train)")},
        {"test_my_retained": 2}),
    "own control of those who stay": ({"own_numbers": OWN.format(
        train="my_train", ratio="mine.ratio", group="mine.group", left="n - gone",
        of="(len(my_train) - sum(gone))")}, {"test_my_control": 1}),
    "the error of unpaired samples": ({"paired_change": """
def paired_change(rows, metric="GA"):
    a, b = (100 * rows[rows.method == m][metric] for m in ("pretrain", "retrain"))
    return b.mean() - a.mean(), (a.var() / len(a) + b.var() / len(b)) ** 0.5
"""}, {"test_paired_error": 2}),
    "standard deviation for standard error": ({"paired_change": """
def paired_change(rows, metric="GA"):
    wide = 100 * rows.pivot(index="seed", columns="method", values=metric)
    d = wide.retrain - wide.pretrain
    return d.mean(), d.std()
"""}, {"test_paired_error": 2}),
    "paired by the order of the rows": ({"paired_change": """
def paired_change(rows, metric="GA"):
    a, b = (100 * rows[rows.method == m][metric].to_numpy() for m in ("pretrain", "retrain"))
    return (b - a).mean(), (b - a).std(ddof=1) / len(a) ** 0.5
"""}, {"test_paired_error": 2}),
    "PRETRAIN minus RETRAIN": ({"paired_change": """
def paired_change(rows, metric="GA"):
    wide = 100 * rows.pivot(index="seed", columns="method", values=metric)
    d = wide.pretrain - wide.retrain
    return d.mean(), d.sem()
"""}, {"test_paired_mean": 2}),
    "changes as fractions": ({"paired_change": """
def paired_change(rows, metric="GA"):
    wide = rows.pivot(index="seed", columns="method", values=metric)
    d = wide.retrain - wide.pretrain
    return d.mean(), d.sem()
"""}, {"test_paired_mean": 2, "test_paired_error": 2}),
    "the median seed": ({"paired_change": """
def paired_change(rows, metric="GA"):
    wide = 100 * rows.pivot(index="seed", columns="method", values=metric)
    d = wide.retrain - wide.pretrain
    return d.sort_values().iloc[len(d) // 2], d.sem()
"""}, {"test_paired_mean": 2}),
    "S in the standard deviation": ({"paired_change": """
def paired_change(rows, metric="GA"):
    wide = 100 * rows.pivot(index="seed", columns="method", values=metric)
    d = wide.retrain - wide.pretrain
    return d.mean(), d.std(ddof=0) / len(d) ** 0.5
"""}, {"test_paired_error": 2}),
    "always GA, whatever is asked for": ({"paired_change": """
def paired_change(rows, metric="GA"):
    wide = 100 * rows.pivot(index="seed", columns="method", values="GA")
    d = wide.retrain - wide.pretrain
    return d.mean(), d.sem()
"""}, {"test_paired_mean": 2}),
    "axes without names": ({"figure": FIGURE.format(
        tables="(one_group, everyone)", names="")}, {"test_figure": 1}),
    "no control in the figure": ({"figure": FIGURE.format(
        tables="(one_group,)", names='ax.set(xlabel="samples", ylabel="change")')}, {"test_figure": 1}),
    "the difference of the two in the figure": ({"figure": FIGURE.format(
        tables="((one_group.reset_index() - everyone.reset_index()).abs(),)",
        names='ax.set(xlabel="samples", ylabel="change")')}, {"test_figure": 1}),
    "the course's tables in the figure, whatever is given": ({"figure": FIGURE.format(
        tables='(globals()["one_group"], globals()["everyone"])',
        names='ax.set(xlabel="samples", ylabel="change")')}, {"test_figure": 1}),
}

SECOND = {
    "group_index": """
def group_index(y, a, n_classes, n_attributes):
    pairs = {(i, j): i * n_attributes + j for i in range(n_classes) for j in range(n_attributes)}
    return torch.tensor([pairs[pair] for pair in zip(y.tolist(), a.tolist())], dtype=torch.long)
""",
    "group_counts": """
def group_counts(group, n_groups):
    counts = [0] * n_groups
    for g in group.tolist():
        counts[g] += 1
    return torch.tensor(counts)
""",
    "forget_split": """
def forget_split(group, groups, ratio, seed):
    rng = np.random.default_rng(seed)
    labels, chosen = group.numpy(), []
    for g in groups:
        members = np.flatnonzero(labels == g)
        chosen.append(rng.choice(members, size=int(round(ratio * len(members))), replace=False))
    forget = np.concatenate(chosen)
    return torch.from_numpy(forget), torch.from_numpy(np.setdiff1d(np.arange(len(labels)), forget))
""",
    "group_accuracy": """
def group_accuracy(predicted, y, group, n_groups):
    frame = pd.DataFrame({"group": group.numpy(), "right": (predicted == y).numpy().astype(float)})
    table = frame.groupby("group").right.agg(accuracy="mean", n="size").reindex(range(n_groups))
    table["n"] = table["n"].fillna(0).astype(int)
    table["se"] = np.sqrt(table.accuracy * (1 - table.accuracy) / table["n"].where(table["n"] > 0))
    return table
""",
    "control_ratio": """
def control_ratio(counts, g, ratio):
    return float(np.rint(ratio * float(counts[g])) / np.asarray(counts, dtype=float).sum())
""",
    "paired_change": """
def paired_change(rows, metric="GA"):
    by_seed = {}
    for row in rows.to_dict("records"):
        by_seed.setdefault(row["seed"], {})[row["method"]] = row[metric]
    d = [100 * (pair["retrain"] - pair["pretrain"]) for pair in by_seed.values()]
    mean = sum(d) / len(d)
    return mean, (sum((v - mean) ** 2 for v in d) / (len(d) - 1) / len(d)) ** 0.5
""",
    "own_numbers": """
first = [i for i, pair in enumerate(np.ndindex(2, 2)) if pair == mine.group]
my_group, = first
split = data.split_forget(my_train, mine.ratio, [mine.group], seed=7)
my_retained = split.retain.group_counts()
my_control = mine.ratio * np.mean((my_train.group == my_group).numpy())
""",
    "figure": """
def draw(one_group, everyone):
    figure, axes = plt.subplots(1, 2, sharey=True)
    for ax, table in zip(axes, (one_group, everyone)):
        ax.scatter(table.index, table["mean"] / 100)
        ax.errorbar(table.index, table["mean"] / 100, table.se / 100, fmt="none")
        ax.set(xlabel="samples", ylabel="change in GA (fraction)")
    return figure

figure = draw(one_group, everyone)
""",
}
