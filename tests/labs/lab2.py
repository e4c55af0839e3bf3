"""Lab 2: known mistakes with the points that each loses, and right answers in another style."""

from textwrap import indent

ARGUMENTS = {"alpha": "train_counts, retain_counts", "expected_shares": "weights, retain_counts",
             "probabilities": "weights, group", "draw_epoch": "p, seed",
             "change_by_group": "rows, method, reweight", "recovered_share": "rows, method, reweight"}
EPOCH = """
rng = torch.Generator().manual_seed(seed)
return torch.multinomial(p, len(p), replacement=True, generator=rng)"""
CHANGE = """
table = rows.set_index(["method", "reweight", "seed"]).by_group.map(np.array)
ours, before = table[method, reweight], table["pretrain", False]
d = [100 * (ours[seed] - before[seed]) for seed in ours.index if seed in before.index]
return np.mean(d, axis=0)"""
RECOVERED = """
ga = rows.groupby(["method", "reweight"]).GA.mean()
lost = ga["pretrain", False] - ga["retrain", False]
return 1 - (ga["pretrain", False] - ga[method, reweight]) / lost"""


def answer(name, body):
    """The source of an answer with this body."""
    return f"def {name}({ARGUMENTS[name]}):\n{indent(body.strip(), '    ')}\n"


def wrong(name, body, **lost):
    """A mistake: the answer, and the points that it loses in each test."""
    return {name: answer(name, body)}, lost


MISCONCEPTIONS = {
    "alpha balances the groups": wrong(
        "alpha", "return torch.where(retain_counts > 0, 1 / retain_counts.clamp(min=1), 0)", test_alpha=3,
        test_alpha_untouched=1, test_alpha_vanished=2),
    "alpha from shares instead of counts": wrong("alpha", """
a = train_counts / retain_counts.clamp(min=1) * (retain_counts > 0)
return a * retain_counts.sum() / train_counts.sum()""", test_alpha_untouched=1),
    "infinite weight for a vanished group": wrong(
        "alpha", "return train_counts / retain_counts", test_alpha_vanished=2),
    "a vanished group keeps its count as weight": wrong(
        "alpha", "return train_counts / retain_counts.clamp(min=1)", test_alpha_vanished=2),
    "the group's size counted twice": wrong("probabilities", """
p = (weights * torch.bincount(group))[group]
return p / p.sum()""", test_probabilities=3),
    "divided by the sum over the groups": wrong(
        "probabilities", "return weights[group] / weights.sum()", test_probabilities=3),
    "sampling without replacement": wrong(
        "draw_epoch", EPOCH.replace("True", "False"), test_draw=2, test_draw_seed=1),
    "the global seed is set": wrong(
        "draw_epoch", EPOCH.replace("torch.Generator()", "torch"), test_draw_seed=1),
    "the same epoch for all seeds": wrong("draw_epoch", EPOCH.replace("(seed)", "(0)"), test_draw_seed=1),
    "shares of the size of the training set": wrong(
        "expected_shares", "return weights * retain_counts / len(train)", test_shares=3),
    "the change against RETRAIN": wrong(
        "change_by_group", CHANGE.replace("pretrain", "retrain"), test_change=3, test_change_pairs=1),
    "means over different seeds": wrong(
        "change_by_group", CHANGE.replace(
            "np.mean(d, axis=0)", "100 * (np.mean(ours.tolist(), 0) - np.mean(before.tolist(), 0))"),
        test_change_pairs=1),
    "the share of the loss that remains": wrong(
        "recovered_share", RECOVERED.replace("1 - ", ""), test_recovered_share=2),
}
SECOND = {
    "alpha": answer("alpha", """
pairs = zip(train_counts.tolist(), retain_counts.tolist())
return [before / after if after else 0.0 for before, after in pairs]"""),
    "probabilities": answer("probabilities", """
p = np.array([float(weights[g]) for g in group])
return p / p.sum()"""),
    "draw_epoch": answer("draw_epoch", """
p = np.asarray(p, dtype=float)
return torch.from_numpy(np.random.default_rng(seed).choice(len(p), size=len(p), p=p / p.sum()))"""),
    "expected_shares": answer("expected_shares", """
drawn = [float(w) * int(n) for w, n in zip(weights, retain_counts)]
return torch.tensor(drawn) / sum(drawn)"""),
    "change_by_group": answer("change_by_group", CHANGE),
    "recovered_share": answer("recovered_share", RECOVERED),
}
