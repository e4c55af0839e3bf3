"""Lab 4: known mistakes with the points that they cost, and right answers in another style."""

UNLEARNING = """
def unlearning_loss(t, group, group_bar, floor):
    own, drawn = (t.gather(1, g[:, None]).flatten() for g in (group, group_bar))
    bound = own.mean() - drawn.logsumexp(0) + math.log(len(drawn))
    return {}
"""
CALIBRATION = "def calibration_loss(mi, mi_original, lam):\n    return {}"
FORGET = """
def my_forget_loss(method, batch):
    return ({}method.mine.bound(method.model.features(batch.x), batch.group)){}
"""
RETAIN = """
def my_retain_loss(method, batch):
    z, group_bar = method.model.features(batch.x), method.mine.draw(batch.group)
    gap = method.mine.bound(z, batch.group, {draw}) - method.target(batch, group_bar)
    return nn.functional.cross_entropy(method.model.head(z), batch.y) + {lam} * gap{distance}
"""
RIGHT = {"draw": "group_bar", "lam": "method.lam", "distance": ".abs()"}
CHOOSE = """
def choose_lambda(rows, gold):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    return float(({}).groupby(both["lam"]).mean().{}())
"""
GAP = "(both.UA - both.UA_gold).abs() + (both.{0} - both.{0}_gold).abs()"
MEMBERSHIP = """
def membership(losses, groups):
    a, b = {}
    return metrics.mia_efficacy(losses[a], losses[b], losses["forget"], groups[a], groups[b])
"""

MISCONCEPTIONS = {
    "minus M": ({"unlearning_loss": UNLEARNING.format("(-bound).clamp(min=floor)")},
                {"test_unlearning": 2, "test_unlearning_floor": 1}),
    "log-sum-exp in place of log-mean-exp": (
        {"unlearning_loss": UNLEARNING.format("(bound - math.log(len(drawn))).clamp(min=floor)")},
        {"test_unlearning": 2, "test_unlearning_floor": 1}),
    "no floor": ({"unlearning_loss": UNLEARNING.format("bound")}, {"test_unlearning_floor": 1}),
    "the difference is squared, as in the paper": ({"calibration_loss": CALIBRATION.format(
        "lam * (mi - mi_original.detach()) ** 2")}, {"test_calibration": 2, "test_calibration_target": 1}),
    "the target is not detached": ({"calibration_loss": CALIBRATION.format("lam * (mi - mi_original).abs()")},
                                   {"test_calibration_target": 1}),
    "softmax twice": ({"retaining_loss": """
def retaining_loss(logits, y):
    return nn.functional.cross_entropy(logits.softmax(1), y)
"""}, {"test_retaining": 1}),
    "the method raises M": ({"my_forget_loss": FORGET.format("-", ".clamp(min=method.floor)")},
                            {"test_method_forget": 3}),
    "the method has no floor": ({"my_forget_loss": FORGET.format("", "")}, {"test_method_forget": 3}),
    "two draws of ḡ": ({"my_retain_loss": RETAIN.format(**RIGHT | {"draw": "method.mine.draw(batch.group)"})},
                       {"test_method_retain": 2}),
    "λ is ignored": ({"my_retain_loss": RETAIN.format(**RIGHT | {"lam": "1.0"})}, {"test_method_retain": 2}),
    "λ chosen on test data": ({"choose_lambda": CHOOSE.format(GAP.format("GA"), "idxmin")},
                              {"test_choose_validation": 2}),
    "means before absolute values": ({"choose_lambda": """
def choose_lambda(rows, gold):
    columns = ["UA", "val_GA"]
    return float((rows.groupby("lam")[columns].mean() - gold[columns].mean()).abs().sum(axis=1).idxmin())
"""}, {"test_choose": 2}),
    "the attack uses test data": ({"membership": MEMBERSHIP.format('"retain", "test"')},
                                  {"test_membership": 2}),
    "members and non-members are swapped": ({"membership": MEMBERSHIP.format('"val", "retain"')},
                                            {"test_membership": 2}),
}

SECOND = {
    "unlearning_loss": """
def unlearning_loss(t, group, group_bar, floor):
    own, drawn = t[torch.arange(len(t)), group], t[torch.arange(len(t)), group_bar]
    return floor + torch.relu(own.sum() / len(own) - torch.log(torch.exp(drawn).mean()) - floor)
""",
    "calibration_loss": CALIBRATION.format("lam * nn.functional.l1_loss(mi, mi_original.clone().detach())"),
    "retaining_loss": """
def retaining_loss(logits, y):
    return -logits.log_softmax(1)[torch.arange(len(y)), y].mean()
""",
    "my_forget_loss": """
def my_forget_loss(method, batch):
    t = method.mine.network.all_groups(method.model.features(batch.x))
    drawn = torch.randint(t.shape[1], (len(t),), generator=method.context.rng)
    m = t.gather(1, batch.group[:, None]).mean() - t.gather(1, drawn[:, None]).exp().mean().log()
    return torch.maximum(m, torch.tensor(method.floor))
""",
    "my_retain_loss": RETAIN.format(**RIGHT | {"distance": ".square().sqrt()"}),
    "choose_lambda": CHOOSE.format(GAP.format("val_GA"), "idxmin"),
    "membership": MEMBERSHIP.format('("retain", "val")'),
}
