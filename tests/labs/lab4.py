"""Lab 4: known misconceptions with the points that they cost, and right answers in another style."""

METHOD = """
@dataclass
class MyMIU(Prepared):
    def forget_loss(self, batch):
        return ({forget}self.mine.bound(self.model.features(batch.x), batch.group)){floor}

    def retain_loss(self, batch):
        z, group_bar = self.model.features(batch.x), self.mine.draw(batch.group)
        target = {target}
        calibration = (self.mine.bound(z, batch.group, {drawn}) - target){distance}
        return nn.functional.cross_entropy(self.model.head(z), batch.y) + {lam} * calibration
"""
TARGET = "self.mine_original.bound(self.z_original[batch.index], batch.group, group_bar)"
RIGHT = {"forget": "", "floor": ".clamp(min=self.floor)", "distance": ".abs()", "drawn": "group_bar",
         "target": TARGET + ".detach()", "lam": "self.lam"}

OWN = """
runs, golds = (t.set_index("seed").loc[{seeds}] for t in (rows[rows["lam"] == {my_lam}], gold))
off = runs[["UA", "GA", "val_GA"]] - golds[["UA", "GA", "val_GA"]]
my_score, my_shift = {score}, {shift}
"""
OWN_RIGHT = {"seeds": "my_seeds", "my_lam": "my_lam", "score": "(off.UA.abs() + off.val_GA.abs()).mean()",
             "shift": "off.GA.mean()"}

UNLEARNING = """
def unlearning_loss(t, group, group_bar, floor):
    own, drawn = (t.gather(1, g[:, None]).flatten() for g in (group, group_bar))"""

MISCONCEPTIONS = {
    "the sign of the unlearning term": ({"unlearning_loss": UNLEARNING + """
    return (drawn.logsumexp(0) - math.log(len(drawn)) - own.mean()).clamp(min=floor)
"""}, {"test_unlearning_sign": 1, "test_unlearning_floor": 1}),
    "log(n) forgotten in the log-mean-exp": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - drawn.logsumexp(0)).clamp(min=floor)
"""}, {"test_unlearning": 1}),
    "the log of the whole table's size": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - drawn.logsumexp(0) + math.log(t.numel())).clamp(min=floor)
"""}, {"test_unlearning": 1}),
    "the whole table in place of the draw": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - t.flatten().logsumexp(0) + math.log(t.numel())).clamp(min=floor)
"""}, {"test_unlearning": 1, "test_unlearning_sign": 1}),
    "own groups in both terms": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - own.logsumexp(0) + math.log(len(own))).clamp(min=floor)
"""}, {"test_unlearning": 1, "test_unlearning_sign": 1, "test_unlearning_floor": 1}),
    "mean minus mean": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - drawn.mean()).clamp(min=floor)
"""}, {"test_unlearning": 1, "test_unlearning_sign": 1}),
    "real pairs detached": ({"unlearning_loss": UNLEARNING + """
    return (own.detach().mean() - drawn.logsumexp(0) + math.log(len(drawn))).clamp(min=floor)
"""}, {"test_unlearning_sign": 1}),
    "mismatched pairs detached": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - drawn.detach().exp().mean().log()).clamp(min=floor)
"""}, {"test_unlearning_sign": 1}),
    "the floor as a ceiling": ({"unlearning_loss": UNLEARNING + """
    return (own.mean() - drawn.logsumexp(0) + math.log(len(drawn))).clamp(max=floor)
"""}, {"test_unlearning": 1, "test_unlearning_sign": 1, "test_unlearning_floor": 1}),
    "the floor left out": ({"unlearning_loss": UNLEARNING + """
    return own.mean() - drawn.logsumexp(0) + math.log(len(drawn))
"""}, {"test_unlearning_floor": 1}),
    "a gradient below the floor": ({"unlearning_loss": UNLEARNING + """
    bound = own.mean() - drawn.logsumexp(0) + math.log(len(drawn))
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
    "lambda inverted": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return (mi - mi_original.detach()).abs() / lam
"""}, {"test_calibration": 2}),
    "a signed distance": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi - mi_original.detach())
"""}, {"test_calibration": 2}),
    "squared, and nothing detached": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi - mi_original) ** 2
"""}, {"test_calibration": 2, "test_calibration_target": 1}),
    "both estimates detached": ({"calibration_loss": """
def calibration_loss(mi, mi_original, lam):
    return lam * (mi - mi_original).abs().detach()
"""}, {"test_calibration": 2, "test_calibration_target": 1}),
    "the sum, not the mean": ({"retaining_loss": """
def retaining_loss(logits, y):
    return nn.functional.cross_entropy(logits, y, reduction="sum")
"""}, {"test_retaining": 1}),
    "logits taken for log-probabilities": ({"retaining_loss": """
def retaining_loss(logits, y):
    return nn.functional.nll_loss(logits, y)
"""}, {"test_retaining": 1}),
    "softmax over the batch": ({"retaining_loss": """
def retaining_loss(logits, y):
    return nn.functional.nll_loss(logits.log_softmax(0), y)
"""}, {"test_retaining": 1}),
    "softmax twice": ({"retaining_loss": """
def retaining_loss(logits, y):
    return nn.functional.cross_entropy(logits.softmax(1), y)
"""}, {"test_retaining": 1}),
    "the method climbs": ({"my_miu": METHOD.format(**RIGHT | {"forget": "-"})}, {"test_method_forget": 2}),
    "one estimator for both models": (
        {"my_miu": METHOD.format(**RIGHT | {"target": RIGHT["target"].replace("mine_original", "mine")})},
        {"test_method_retain": 2}),
    "no floor in the method": (
        {"my_miu": METHOD.format(**RIGHT | {"floor": ""})}, {"test_method_forget": 2}),
    "the method squares": (
        {"my_miu": METHOD.format(**RIGHT | {"distance": " ** 2"})}, {"test_method_retain": 2}),
    "a draw for each estimate": (
        {"my_miu": METHOD.format(**RIGHT | {"drawn": "self.mine.draw(batch.group)"})},
        {"test_method_retain": 2}),
    "no draw passed on": (
        {"my_miu": METHOD.format(**RIGHT | {
            "drawn": "None", "target": RIGHT["target"].replace(", group_bar", "")})},
        {"test_method_retain": 2}),
    "lambda left out": ({"my_miu": METHOD.format(**RIGHT | {"lam": "1.0"})}, {"test_method_retain": 2}),
    "the method's target is not detached": (
        {"my_miu": METHOD.format(**RIGHT | {"target": TARGET})},
        {"test_method_target": 1}),
    "forget and retain exchanged": ({"my_miu": """
@dataclass
class MyMIU(Prepared):
    def forget_loss(self, batch):
        return nn.functional.cross_entropy(self.model(batch.x), batch.y).clamp(min=self.floor)

    def retain_loss(self, batch):
        return self.mine.bound(self.model.features(batch.x), batch.group)
"""}, {"test_method_forget": 2, "test_method_retain": 2}),
    "the forget features detached": ({"my_miu": METHOD.format(
        **RIGHT | {"floor": ".detach().clamp(min=self.floor)"})}, {"test_method_forget": 2}),
    "lambda inverted in the method": (
        {"my_miu": METHOD.format(**RIGHT | {"lam": "1 / self.lam"})}, {"test_method_retain": 2}),
    "the batch's rows forgotten": (
        {"my_miu": METHOD.format(
            **RIGHT | {"target": RIGHT["target"].replace("batch.index", ": len(batch.y)")})},
        {"test_method_retain": 2}),
    "no absolute value in the method": (
        {"my_miu": METHOD.format(**RIGHT | {"distance": ""})}, {"test_method_retain": 2}),
    "only the original's features are detached": (
        {"my_miu": METHOD.format(
            **RIGHT | {"target": TARGET.replace("[batch.index]", "[batch.index].detach()")})},
        {"test_method_target": 1}),
    "the method detaches the wrong side": (
        {"my_miu": METHOD.format(**RIGHT | {"target": TARGET})
            .replace("group_bar) - target", "group_bar).detach() - target")},
        {"test_method_retain": 2, "test_method_target": 1}),
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
    "paired by the order of runs": ({"choose_lambda": """
def choose_lambda(rows, gold):
    scores = {}
    for lam, part in rows.groupby("lam"):
        off = part[["UA", "val_GA"]].to_numpy() - gold[["UA", "val_GA"]].to_numpy()
        scores[lam] = np.abs(off).sum(1).mean()
    return min(scores, key=scores.get)
"""}, {"test_choose": 2}),
    "UA does not count": ({"choose_lambda": """
def choose_lambda(rows, gold):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    return float((both.val_GA - both.val_GA_gold).abs().groupby(both["lam"]).mean().idxmin())
"""}, {"test_choose": 2}),
    "the highest score wins": ({"choose_lambda": """
def choose_lambda(rows, gold):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    off = (both.UA - both.UA_gold).abs() + (both.val_GA - both.val_GA_gold).abs()
    return float(off.groupby(both["lam"]).mean().idxmax())
"""}, {"test_choose": 2, "test_choose_validation": 2}),
    "test and validation together": ({"choose_lambda": """
def choose_lambda(rows, gold):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    off = sum((both[c] - both[c + "_gold"]).abs() for c in ("UA", "GA", "val_GA"))
    return float(off.groupby(both["lam"]).mean().idxmin())
"""}, {"test_choose_validation": 2}),
    "validation against the gold standard's test": ({"choose_lambda": """
def choose_lambda(rows, gold):
    both = rows.merge(gold, on="seed", suffixes=("", "_gold"))
    off = (both.UA - both.UA_gold).abs() + (both.val_GA - both.GA_gold).abs()
    return float(off.groupby(both["lam"]).mean().idxmin())
"""}, {"test_choose_validation": 2}),
    "members and others exchanged": ({"membership": """
def membership(losses, groups):
    return metrics.mia_efficacy(losses["val"], losses["retain"], losses["forget"],
                                groups["val"], groups["retain"])
"""}, {"test_membership": 2}),
    "the retain set is asked about": ({"membership": """
def membership(losses, groups):
    return metrics.mia_efficacy(losses["retain"], losses["val"], losses["retain"],
                                groups["retain"], groups["val"])
"""}, {"test_membership": 2}),
    "the share taken for members": ({"membership": """
def membership(losses, groups):
    return 1 - metrics.mia_efficacy(losses["retain"], losses["val"], losses["forget"],
                                    groups["retain"], groups["val"])
"""}, {"test_membership": 2}),
    "groups left out of the attack": ({"membership": """
def membership(losses, groups):
    return metrics.mia_efficacy(losses["retain"], losses["val"], losses["forget"],
                                0 * groups["retain"], 0 * groups["val"])
"""}, {"test_membership": 2}),
    "MIA on test data": ({"membership": """
def membership(losses, groups):
    return metrics.mia_efficacy(losses["retain"], losses["test"], losses["forget"],
                                groups["retain"], groups["test"])
"""}, {"test_membership": 2}),
    "own numbers of all seeds": ({"own_numbers": OWN.format(**OWN_RIGHT | {"seeds": "list(range(10))"})},
                                 {"test_my_shift": 1, "test_my_score": 1}),
    "own numbers of λ = 0": ({"own_numbers": OWN.format(**OWN_RIGHT | {"my_lam": "0.0"})},
                             {"test_my_shift": 1, "test_my_score": 1}),
    "own numbers in points": ({"own_numbers": OWN.format(
        **OWN_RIGHT | {"score": "100 * (off.UA.abs() + off.val_GA.abs()).mean()",
                       "shift": "100 * off.GA.mean()"})}, {"test_my_shift": 1, "test_my_score": 1}),
    "own score of the test set": ({"own_numbers": OWN.format(
        **OWN_RIGHT | {"score": "(off.UA.abs() + off.GA.abs()).mean()"})}, {"test_my_score": 1}),
    "own score without UA": ({"own_numbers": OWN.format(
        **OWN_RIGHT | {"score": "off.val_GA.abs().mean()"})}, {"test_my_score": 1}),
    "own score squared": ({"own_numbers": OWN.format(
        **OWN_RIGHT | {"score": "(off.UA**2 + off.val_GA**2).mean()"})}, {"test_my_score": 1}),
    "own shift upside down": ({"own_numbers": OWN.format(**OWN_RIGHT | {"shift": "-off.GA.mean()"})},
                              {"test_my_shift": 1}),
    "own shift of validation": ({"own_numbers": OWN.format(**OWN_RIGHT | {"shift": "off.val_GA.mean()"})},
                                {"test_my_shift": 1}),
}

SECOND = {
    "unlearning_loss": """
def unlearning_loss(t, group, group_bar, floor):
    own, drawn = t[torch.arange(len(t)), group], t[torch.arange(len(t)), group_bar]
    return floor + torch.relu(own.sum() / len(own) - torch.log(torch.exp(drawn).mean()) - floor)
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
        t = self.mine.network.all_groups(self.model.features(batch.x))
        drawn = torch.randint(t.shape[1], (len(t),), generator=self.context.rng)
        m = t.gather(1, batch.group[:, None]).mean() - t.gather(1, drawn[:, None]).exp().mean().log()
        return torch.maximum(m, torch.tensor(self.floor))

    def retain_loss(self, batch):
        with torch.no_grad():
            drawn = self.mine_original.draw(batch.group)
            target = self.mine_original.bound(self.z_original[batch.index], batch.group, drawn)
        features = self.model.features(batch.x)
        distance = self.mine.bound(features, batch.group, drawn) - target
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
    "own_numbers": """
scores, shifts = [], []
for seed in my_seeds:
    a = rows[(rows["lam"] == my_lam) & (rows.seed == seed)].iloc[0]
    b = gold[gold.seed == seed].iloc[0]
    scores.append(abs(a.UA - b.UA) + abs(a.val_GA - b.val_GA))
    shifts.append(a.GA - b.GA)
my_score, my_shift = np.mean(scores), np.mean(shifts)
""",
}
