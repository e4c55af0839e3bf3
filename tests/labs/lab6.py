"""Lab 6: known misconceptions with the points that they cost, and right answers in another style."""

VISIBLE = """
def shift_visible(logits, a, r):
    {lines}
"""
SHIFT = """
def shift(logits, p_attribute, r):
    return logits + {moved}
"""
MISS = """
def miss(rows, by="visible"):
    asked = {asked}
    d = ({difference}).groupby(asked.seed).mean()
    half = {half}
    return d.mean(), d.mean() - half, d.mean() + half
"""
SURE = {"asked": "rows[rows.r > 0]", "difference": "100 * (asked[by] - asked.after)",
        "half": "stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5"}
UNDO = """
def retained(p_attribute, r):
    left = p_attribute * (1 - r)
    return {retained}

def undo(logits, p_retained, r):
    return logits + {moved}
"""
BACK = {"retained": "left / left.sum(2, keepdim=True)", "moved": "(p_retained / (1 - r)).sum(2).log()"}
FORECAST = """
def forecast(logits, y, a, before, left):
    r, n = prior.shares_forgotten(before, left), before.shape[1]
    sure = one_hot(a, n).double()[:, None].expand(-1, len(before), -1)
    hidden = ({hidden}).expand(len(y), -1, -1)
    columns = []
    for p in {order}:
        right = (prior.predict_shift(logits.double(), p, {r}).argmax(1) == y).double()
        columns.append(torch.stack([{percent} for g in range(before.numel())]))
    return torch.stack(columns, 1)
"""
FORESEEN = {"hidden": "before.double() / before.sum(1, keepdim=True)", "order": "(sure, hidden)", "r": "r",
            "percent": "100 * right[y * n + a == g].mean()"}
FIGURE = """
figure, ax = plt.subplots()
ax.plot({x}, {y}, "o")
{labels}
"""
DRAWN = {"x": 'my_margins["before"]', "y": 'my_margins["retrained"]',
         "labels": 'ax.set(xlabel="before (nats)", ylabel="after (nats)")'}
BOTH = {"test_forecast": 2, "test_own": 2}

MISCONCEPTIONS = {
    "the share that stays": ({"shares": """
def shares(before, left):
    return torch.where(before > 0, left / before.clamp(min=1), 0.0)
"""}, {"test_shares": 2, "test_shares_absent": 1}),
    "a share of the whole training set": ({"shares": """
def shares(before, left):
    return (before - left) / before.sum()
"""}, {"test_shares": 2, "test_shares_absent": 1}),
    "how those who left are made up": ({"shares": """
def shares(before, left):
    return (before - left) / (before - left).sum()
"""}, {"test_shares": 2, "test_shares_absent": 1}),
    "a share of the class": ({"shares": """
def shares(before, left):
    return (before - left) / before.sum(1, keepdim=True).clamp(min=1)
"""}, {"test_shares": 2, "test_shares_absent": 1}),
    "nan for a group without anybody": ({"shares": """
def shares(before, left):
    return 1 - left / before
"""}, {"test_shares_absent": 1}),
    "an empty group has left altogether": ({"shares": """
def shares(before, left):
    return 1 - left / before.clamp(min=1)
"""}, {"test_shares_absent": 1}),
    "an empty group is left out": ({"shares": """
def shares(before, left):
    return (1 - left / before)[before > 0] if (before == 0).any() else 1 - left / before
"""}, {"test_shares_absent": 1}),
    "the log of what is gone": ({"shift_visible": VISIBLE.format(
        lines="return logits + torch.where(r > 0, r, 1.0).log()[:, a].T")},
        {"test_visible": 3, "test_visible_many": 1}),
    "up instead of down": ({"shift_visible": VISIBLE.format(
        lines="return logits - torch.log(1 - r)[:, a].T")}, {"test_visible": 3, "test_visible_many": 1}),
    "on every ground": ({"shift_visible": VISIBLE.format(
        lines="return logits + torch.log(1 - r).min(1).values")},
        {"test_visible": 3, "test_visible_many": 1}),
    "all classes on that ground": ({"shift_visible": VISIBLE.format(
        lines="return logits + torch.log(1 - r).sum(0)[a][:, None]")},
        {"test_visible": 3, "test_visible_many": 1}),
    "logits multiplied by what is left": ({"shift_visible": VISIBLE.format(
        lines="return logits * (1 - r)[:, a].T")}, {"test_visible": 3, "test_visible_many": 1}),
    "the logits that were given are changed": ({"shift_visible": VISIBLE.format(
        lines="logits += torch.log(1 - r)[:, a].T\n    return logits")}, {"test_visible_many": 1}),
    "only the group that lost most": ({"shift_visible": VISIBLE.format(
        lines="return logits + torch.log(1 - r * (r == r.max()))[:, a].T")}, {"test_visible_many": 1}),
    "one share for all who ask": ({"shift_visible": VISIBLE.format(
        lines="asks = r > 0\n    return logits + torch.log(1 - asks * r[asks].mean())[:, a].T")},
        {"test_visible_many": 1}),
    "the mean of the logs": ({"shift": SHIFT.format(moved="(p_attribute * torch.log(1 - r)).sum(2)")},
                             {"test_shift": 3, "test_shift_limits": 2}),
    "the likeliest attribute alone": ({"shift": SHIFT.format(
        moved="torch.log(1 - r)[torch.arange(r.shape[0]), p_attribute.argmax(2)]")},
        {"test_shift": 3, "test_shift_limits": 2}),
    "no log": ({"shift": SHIFT.format(moved="(p_attribute * (1 - r)).sum(2)")},
               {"test_shift": 3, "test_shift_limits": 2}),
    "what is gone in place of what is left": ({"shift": SHIFT.format(
        moved="(p_attribute * r).sum(2).clamp(min=1e-6).log()")}, {"test_shift": 3, "test_shift_limits": 2}),
    "the attribute plays no part": ({"shift": SHIFT.format(moved="(1 - r).mean(1).log()")},
                                    {"test_shift": 3, "test_shift_limits": 2}),
    "1.96 in place of t": ({"miss": MISS.format(**SURE | {"half": "1.96 * d.std() / len(d) ** 0.5"})},
                            {"test_miss": 3}),
    "the spread in place of the error": ({"miss": MISS.format(
        **SURE | {"half": "stats.t.ppf(0.975, len(d) - 1) * d.std()"})}, {"test_miss": 3}),
    "found minus predicted": ({"miss": MISS.format(
        **SURE | {"difference": "100 * (asked.after - asked[by])"})}, {"test_miss": 3}),
    "without the sign": ({"miss": MISS.format(
        **SURE | {"difference": "100 * (asked[by] - asked.after).abs()"})}, {"test_miss": 3}),
    "groups that did not ask, too": ({"miss": MISS.format(**SURE | {"asked": "rows"})}, {"test_miss": 3}),
    "rows in place of seeds": ({"miss": MISS.format(**SURE | {
        "half": "stats.t.ppf(0.975, len(asked) - 1) * (100 * (asked[by] - asked.after)).sem()"})},
        {"test_miss": 3}),
    "those who stay, not normalised": ({"undo": UNDO.format(**BACK | {"retained": "left"})},
                                       {"test_retained": 2}),
    "those who stay are as everybody": ({"undo": UNDO.format(**BACK | {"retained": "p_attribute"})},
                                        {"test_retained": 2}),
    "normalised over the classes": ({"undo": UNDO.format(
        **BACK | {"retained": "left / left.sum(1, keepdim=True)"})}, {"test_retained": 2}),
    "those who left in place of those who stay": ({"undo": UNDO.format(
        **BACK | {"retained": "(p_attribute * r) / (p_attribute * r).sum(2, keepdim=True)"})},
        {"test_retained": 2}),
    "undone with everybody's attribute": ({"undo": UNDO.format(
        **BACK | {"moved": "-1 * (p_retained * (1 - r)).sum(2).log()"})}, {"test_undo": 2}),
    "shifted once more": ({"undo": UNDO.format(**BACK | {"moved": "(p_retained * (1 - r)).sum(2).log()"})},
                          {"test_undo": 2}),
    "undone by the mean of the logs": ({"undo": UNDO.format(
        **BACK | {"moved": "-1 * (p_retained * torch.log(1 - r)).sum(2)"})}, {"test_undo": 2}),
    "undone without a log": ({"undo": UNDO.format(**BACK | {"moved": "(p_retained / (1 - r)).sum(2)"})},
                             {"test_undo": 2}),
    "any ground is as likely": ({"forecast": FORECAST.format(
        **FORESEEN | {"hidden": "torch.full(before.shape, 1 / n).double()"})}, BOTH),
    "the ground's share among those who stay": ({"forecast": FORECAST.format(
        **FORESEEN | {"hidden": "left.double() / left.sum(1, keepdim=True)"})}, BOTH),
    "hidden first": ({"forecast": FORECAST.format(**FORESEEN | {"order": "(hidden, sure)"})}, BOTH),
    "fractions": ({"forecast": FORECAST.format(
        **FORESEEN | {"percent": "right[y * n + a == g].mean()"})}, BOTH),
    "of all test pictures": ({"forecast": FORECAST.format(
        **FORESEEN | {"percent": "100 * (right * (y * n + a == g)).mean()"})}, BOTH),
    "nothing moves": ({"forecast": FORECAST.format(**FORESEEN | {"r": "0 * r"})}, BOTH),
    "axes without names": ({"figure": FIGURE.format(**DRAWN | {"labels": ""})}, {"test_figure": 1}),
    "before against before": ({"figure": FIGURE.format(**DRAWN | {"y": 'my_margins["before"]'})},
                              {"test_figure": 1}),
    "only the pictures that fall": ({"figure": FIGURE.format(**DRAWN | {
        name: f'my_margins["{side}"][(my_margins["before"] > 0) & (my_margins["retrained"] <= 0)]'
        for name, side in (("x", "before"), ("y", "retrained"))})}, {"test_figure": 1}),
    "a histogram of the margins": ({"figure": """
figure, ax = plt.subplots()
for name, margin in my_margins.items():
    ax.hist(margin, alpha=0.5)
ax.set(xlabel="margin", ylabel="pictures")
"""}, {"test_figure": 1}),
}

SECOND = {
    "shares": """
def shares(before, left):
    return torch.tensor([[1 - m / n if n else 0.0 for n, m in zip(*rows)]
                         for rows in zip(before.tolist(), left.tolist())])
""",
    "shift_visible": """
def shift_visible(logits, a, r):
    odds = logits.double().softmax(1) * (1 - r.double()).T[a]
    return (odds / odds.sum(1, keepdim=True)).log()
""",
    "shift": """
def shift(logits, p_attribute, r):
    stays = torch.einsum("nca,ca->nc", p_attribute.double(), 1 - r.double())
    return torch.log(stays) + logits - logits.mean(1, keepdim=True)
""",
    "miss": """
def miss(rows, by="visible"):
    by_seed = {}
    for row in rows.to_dict("records"):
        if row["r"] > 0:
            by_seed.setdefault(row["seed"], []).append(100 * (row[by] - row["after"]))
    d = np.array([np.mean(v) for v in by_seed.values()])
    low, high = stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=d.std(ddof=1) / len(d) ** 0.5)
    return [d.mean(), low, high]
""",
    "undo": """
def retained(p_attribute, r):
    return (p_attribute.log() + torch.log(1 - r)).softmax(2)

def undo(logits, p_retained, r):
    return prior.undo_shift(logits, p_retained, r)
""",
    "forecast": """
def forecast(logits, y, a, before, left):
    stays, of_class = left.double() / before, left.sum(1).double() / before.sum(1)
    rows = []
    for k, b in [(k, b) for k in range(len(before)) for b in range(before.shape[1])]:
        here = logits[(y == k) & (a == b)].double()
        moved = [here + stays[:, b].log(), here + of_class.log()]
        rows.append([float((m.argmax(1) == k).double().mean() * 100) for m in moved])
    return np.array(rows)
""",
    "figure": """
figure, (ax, beside) = plt.subplots(1, 2)
ax.scatter(my_margins["before"], my_margins["retrained"], s=4)
beside.hist(my_margins["retrained"] - my_margins["before"])
ax.set_xlabel("before (nats)")
ax.set_ylabel("after (nats)")
""",
}
