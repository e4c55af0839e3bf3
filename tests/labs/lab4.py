"""Lab 4: known misconceptions with the points that they cost, and right answers in another style."""

METHOD = """
@dataclass
class MyMIU(Prepared):
    def forget_loss(self, batch):
        return ({forget}self.mi.bound(self.model.features(batch.x), batch.group)){floor}

    def retain_loss(self, batch):
        z = self.model.features(batch.x)
        target = {target}
        calibration = (self.mi.bound(z, batch.group) - target){distance}
        return nn.functional.cross_entropy(self.model.head(z), batch.y) + {lam} * calibration
"""
RIGHT = {"forget": "", "floor": ".clamp(min=self.floor)", "distance": ".abs()",
         "target": "self.mi_o.bound(self.z_o[batch.index], batch.group).detach()",
         "lam": "self.lam"}

MISCONCEPTIONS = {
    "the sign of the unlearning term": ({"unlearning_loss": """
def unlearning_loss(t, group, floor):
    bound = t.gather(1, group[:, None]).mean() - t.flatten().logsumexp(0) + math.log(t.numel())
    return (-bound).clamp(min=floor)
"""}, {"test_unlearning_sign": 1, "test_unlearning_floor": 1}),
    "log(n) forgotten in the log-mean-exp": ({"unlearning_loss": """
def unlearning_loss(t, group, floor):
    return (t.gather(1, group[:, None]).mean() - t.flatten().logsumexp(0)).clamp(min=floor)
"""}, {"test_unlearning": 1}),
    "the floor left out": ({"unlearning_loss": """
def unlearning_loss(t, group, floor):
    return t.gather(1, group[:, None]).mean() - t.flatten().logsumexp(0) + math.log(t.numel())
"""}, {"test_unlearning_floor": 1}),
    "a gradient below the floor": ({"unlearning_loss": """
def unlearning_loss(t, group, floor):
    bound = t.gather(1, group[:, None]).mean() - t.flatten().logsumexp(0) + math.log(t.numel())
    return bound + (floor - bound).clamp(min=0).detach()
"""}, {"test_unlearning_floor": 1}),
    "the original's estimate is not detached": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi - mi_original).abs()
"""}, {"test_calibration_target": 1}),
    "squared, as in the lesson": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi - mi_original.detach()) ** 2
"""}, {"test_calibration": 2}),
    "the wrong side is detached": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi.detach() - mi_original).abs()
"""}, {"test_calibration": 2, "test_calibration_target": 1}),
    "only too much information costs": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi - mi_original.detach()).clamp(min=0)
"""}, {"test_calibration": 2}),
    "softmax twice": ({"retaining_loss": """
def retaining_loss(logits, y):
    return nn.functional.cross_entropy(logits.softmax(1), y)
"""}, {"test_retaining": 1}),
    "the method climbs": ({"my_miu": METHOD.format(**RIGHT | {"forget": "-"})}, {"test_method_forget": 2}),
    "one estimator for both models": (
        {"my_miu": METHOD.format(
            **RIGHT | {"target": "self.mi.bound(self.z_o[batch.index], batch.group).detach()"})},
        {"test_method_retain": 2}),
    "no floor in the method": (
        {"my_miu": METHOD.format(**RIGHT | {"floor": ""})}, {"test_method_forget": 2}),
    "the method squares": (
        {"my_miu": METHOD.format(**RIGHT | {"distance": " ** 2"})}, {"test_method_retain": 2}),
    "lambda left out": ({"my_miu": METHOD.format(**RIGHT | {"lam": "1.0"})}, {"test_method_retain": 2}),
    "the method's target is not detached": (
        {"my_miu": METHOD.format(
            **RIGHT | {"target": "self.mi_o.bound(self.z_o[batch.index], batch.group)"})},
        {"test_method_target": 1}),
    "lambda chosen on the test set": ({"choose_lambda": """
def choose_lambda(rows, gold):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    off = (both.UA - both.UA_gold).abs() + (both.GA - both.GA_gold).abs()
    return float(off.groupby(both["lam"]).mean().idxmin())
"""}, {"test_choose_validation": 2}),
    "means before absolute values": ({"choose_lambda": """
def choose_lambda(rows, gold):
    columns = ["UA", "val_GA"]
    off = (rows.groupby("lam")[columns].mean() - gold[columns].mean()).abs().sum(axis=1)
    return float(off.idxmin())
"""}, {"test_choose": 2}),
    "MIA on test data": ({"membership": """
def membership(losses, groups):
    return metrics.mia_efficacy(losses["retain"], losses["test"], losses["forget"],
                                groups["retain"], groups["test"])
"""}, {"test_membership": 2}),
}

SECOND = {
    "unlearning_loss": """
def unlearning_loss(t, group, floor):
    own = t[torch.arange(len(t)), group]
    return floor + torch.relu(own.sum() / len(own) - torch.log(torch.exp(t).mean()) - floor)
""",
    "calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * nn.functional.l1_loss(mi, mi_original.clone().detach())
""",
    "retaining_loss": """
def retaining_loss(logits, y):
    return -logits.log_softmax(1)[torch.arange(len(y)), y].mean()
""",
    "my_miu": """
@dataclass
class MyMIU(Prepared):
    def forget_loss(self, batch):
        t = self.mi.mine.all_groups(self.model.features(batch.x))
        m = t.gather(1, batch.group[:, None]).mean() - t.exp().mean().log()
        return torch.maximum(m, torch.tensor(self.floor))

    def retain_loss(self, batch):
        with torch.no_grad():
            target = self.mi_o.bound(self.z_o[batch.index], batch.group)
        features = self.model.features(batch.x)
        distance = self.mi.bound(features, batch.group) - target
        log_p = self.model.head(features).log_softmax(1)
        return distance.square().sqrt() * self.lam - log_p.gather(1, batch.y[:, None]).mean()
""",
    "choose_lambda": """
def choose_lambda(rows, gold):
    scores = {}
    for lam, part in rows.groupby("lam"):
        off = []
        for _, run in part.iterrows():
            target = gold[gold.seed == run.seed].iloc[0]
            off.append(abs(run.UA - target.UA) + abs(run.val_GA - target.val_GA))
        scores[lam] = np.mean(off)
    return min(scores, key=scores.get)
""",
    "membership": """
def membership(losses, groups):
    ask = {"members": "retain", "others": "val"}
    of_both = [[found[k] for k in ask.values()] for found in (losses, groups)]
    return metrics.mia_efficacy(*of_both[0], losses["forget"], *of_both[1])
""",
}
