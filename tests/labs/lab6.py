"""Lab 6: known mistakes with the points that they cost, and right answers in another style."""

SHIFT = """
def shift(logits, p_attribute, r):
    return logits + {moved}
"""
MISS = """
def miss(rows, by="visible"):
    asked = {asked}
    d = (100 * (asked[by] - asked.after)).groupby(asked.seed).mean()
    half = {half}
    return d.mean(), d.mean() - half, d.mean() + half
"""
T = "stats.t.ppf(0.975, len(d) - 1) * d.sem()"
FORECAST = """
def forecast(logits, y, a, before, left, shares, shift):
    here, group = one_hot(a, before.shape[1])[:, None].double(), y * before.shape[1] + a
    columns, r = [], shares(before, left)
    for p in (here.expand(-1, len(before), -1), {hidden}):
        hits = (shift(logits, p, r).argmax(1) == y).double()
        columns.append([{percent} for g in range(before.numel())])
    return torch.tensor(columns).T
"""
RIGHT = {"hidden": "(before / before.sum(1, keepdim=True)).expand(len(y), -1, -1)",
         "percent": "100 * hits[group == g].mean()"}

MISCONCEPTIONS = {
    "the share that remains": ({"shares": """
def shares(before, left):
    return torch.where(before > 0, left / before.clamp(min=1), 0.0)
"""}, {"test_shares": 3}),
    "an empty group gives NaN": ({"shares": """
def shares(before, left):
    return 1 - left / before
"""}, {"test_shares": 3}),
    "the logit rises": ({"shift_visible": """
def shift_visible(logits, a, r):
    return logits - torch.log(1 - r)[:, a].T
"""}, {"test_visible": 3, "test_visible_many": 1}),
    "the given logits are changed": ({"shift_visible": """
def shift_visible(logits, a, r):
    logits += torch.log(1 - r)[:, a].T
    return logits
"""}, {"test_visible_many": 1}),
    "the mean of the logarithms": ({"shift": SHIFT.format(moved="(p_attribute * torch.log(1 - r)).sum(2)")},
                                   {"test_shift": 5}),
    "the attribute plays no part": ({"shift": SHIFT.format(moved="(1 - r).mean(1).log()")},
                                    {"test_shift": 5}),
    "1.96 instead of t": ({"miss": MISS.format(asked="rows[rows.r > 0]", half="1.96 * d.sem()")},
                          {"test_miss": 3}),
    "groups without forgotten pictures count, too": ({"miss": MISS.format(asked="rows", half=T)},
                                                     {"test_miss": 3}),
    "p' is taken for p": ({"undo": """
def retained(p_attribute, r):
    return p_attribute

def undo(logits, p_retained, r):
    return logits - (p_retained * (1 - r)).sum(2).log()
"""}, {"test_retained": 2, "test_undo": 2}),
    "all attribute values are equally likely": ({"forecast": FORECAST.format(**RIGHT | {
        "hidden": "torch.full((len(y), *before.shape), 1 / before.shape[1])"})}, {"test_forecast_hidden": 2}),
    "a share of all test pictures": ({"forecast": FORECAST.format(**RIGHT | {
        "percent": "100 * (hits * (group == g)).mean()"})}, {"test_forecast": 2, "test_forecast_hidden": 2}),
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
    return torch.einsum("nca,ca->nc", p_attribute, 1 - r).log() + logits - logits.mean(1, keepdim=True)
""",
    "miss": """
def miss(rows, by="visible"):
    d = rows[rows.r > 0].groupby("seed").apply(lambda part: 100 * (part[by] - part.after).mean())
    return [d.mean(), *stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=d.sem())]
""",
    "forecast": FORECAST.format(**RIGHT),
}
