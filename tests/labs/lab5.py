"""Lab 5: known mistakes with the points that they cost, and right answers in another style."""

INTERVAL = """
def interval(members, others, statistic, draws=1000, seed=0):
    rng, found = {rng}, []
    for _ in range(draws):
        found.append(statistic({members}, {others}))
    return [float(v) for v in {ends}]
"""
BOOTSTRAP = {"rng": "np.random.default_rng(seed)", "members": "rng.choice(members, len(members))",
             "others": "rng.choice(others, len(others))", "ends": "np.quantile(found, [0.025, 0.975])"}
AUDIT = """
def audit_of(scores, status, auc, interval):
    unlearned, retained, never_seen = (scores[(status == k) & ~np.isnan(scores)] for k in (2, 1, 0))
    (low, high), control = interval(unlearned, {others}, auc), interval(retained, never_seen, auc)
    word = DETECTED if low > 0.5 or high < 0.5 else NOT_DETECTED if {control} else INCONCLUSIVE
    return auc(unlearned, {others}), auc(retained, never_seen), word
"""

MISCONCEPTIONS = {
    "models that saw the picture are references, too": ({"score": """
def score(confidence, status, victim, references):
    return confidence[victim] - confidence[references].mean(0)
"""}, {"test_score": 3, "test_score_nobody": 1}),
    "a picture that all models saw scores 0": ({"score": """
def score(confidence, status, victim, references):
    never = np.where(status[references] == NEVER, confidence[references], np.nan)
    return np.nan_to_num(confidence[victim] - np.nanmean(never, 0))
"""}, {"test_score_nobody": 1}),
    "an AUC below 0.5 is reversed, and ties are lost": ({"auc": """
def auc(members, others):
    area = (members[:, None] > others).mean()
    return max(area, 1 - area)
"""}, {"test_auc": 4}),
    "the quantile interpolates": ({"accuse": """
def accuse(calibration, scores, rate):
    return scores > np.quantile(calibration, 1 - rate)
"""}, {"test_accuse": 3}),
    "ties at the threshold are accused": ({"accuse": """
def accuse(calibration, scores, rate):
    return scores >= np.sort(calibration)[len(calibration) - int(rate * len(calibration))]
"""}, {"test_accuse_ties": 1}),
    "only members are drawn again": ({"interval": INTERVAL.format(**BOOTSTRAP | {"others": "others"})},
                                     {"test_interval": 4}),
    "a 90 % interval": ({"interval": INTERVAL.format(**BOOTSTRAP | {
        "ends": "np.quantile(found, [0.05, 0.95])"})}, {"test_interval": 4}),
    "the seed is not used": ({"interval": INTERVAL.format(**BOOTSTRAP | {"rng": "np.random.default_rng(0)"})},
                             {"test_interval": 4}),
    "the controls are ignored": ({"verdict": """
def verdict(found, controls):
    return DETECTED if found[0] > 0.5 or found[1] < 0.5 else NOT_DETECTED
"""}, {"test_verdict_blind": 2}),
    "the unlearned against the retained": ({"audit_of": AUDIT.format(
        others="retained", control="control[0] > 0.5")}, {"test_audit": 2, "test_audit_verdict": 2}),
    "an audit without a control": ({"audit_of": AUDIT.format(others="never_seen", control="True")},
                                   {"test_audit_verdict": 2}),
}

SECOND = {
    "score": """
def score(confidence, status, victim, references):
    scores = []
    for i in range(len(confidence[0])):
        never = [confidence[k][i] for k in references if status[k][i] == 0]
        scores.append(confidence[victim][i] - sum(never) / len(never) if never else float("nan"))
    return scores
""",
    "auc": """
def auc(members, others):
    ranks = pd.Series(np.concatenate([members, others])).rank().to_numpy()[:len(members)]
    return (ranks.sum() - len(members) * (len(members) + 1) / 2) / (len(members) * len(others))
""",
    "interval": """
def interval(members, others, statistic, draws=1000, seed=0):
    rng = np.random.RandomState(seed)
    values = sorted(statistic(rng.choice(members, len(members)), rng.choice(others, len(others)))
                    for _ in range(draws))
    return values[int(0.025 * draws)], values[int(0.975 * draws)]
""",
    "verdict": """
def verdict(found, controls):
    if not found[0] <= 0.5 <= found[1]:
        return "detected"
    return "inconclusive" if min([low for low, high in controls], default=0) <= 0.5 else "not detected"
""",
}
