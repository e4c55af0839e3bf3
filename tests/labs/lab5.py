"""Lab 5: known misconceptions with the points that they cost, and right answers in another style."""

ACCUSE = """
def accuse(calibration, scores, rate):
    known = np.sort(np.asarray(calibration, float))
    {lines}
"""
INTERVAL = """
def interval(members, others, statistic, draws=1000, seed=0):
    rng, found = {rng}, []
    for _ in range(draws):
        found.append(statistic({ours}, {theirs}))
    return tuple(float(v) for v in {ends})
"""
DRAWS = {"rng": "np.random.default_rng(seed)",
         "ours": "members[rng.integers(len(members), size=len(members))]",
         "theirs": "others[rng.integers(len(others), size=len(others))]",
         "ends": "np.quantile(found, [0.025, 0.975])"}
AUDIT = """
def audit_of(scores, status):
    known = {known}
    asked, kept, strangers = (scores[known & {kind}] for k in (UNLEARNED, KEPT, NEVER))

    def area(members, others):
        return (members[:, None] > others).mean() + (members[:, None] == others).mean() / 2

    def ends(members, rng=np.random.default_rng(0)):
        drawn = [area(rng.choice(members, len(members)), rng.choice(strangers, len(strangers)))
                 for _ in range(200)]
        return np.quantile(drawn, [0.025, 0.975])

    (low, high), control = ends(asked), ends(kept)
    word = {word}
    return {returned}, word
"""
JUDGED = {"known": "~np.isnan(scores)", "kind": "(status == k)",
          "word": "TELLS if low > 0.5 or high < 0.5 else NOT if control[0] > 0.5 else BLIND",
          "returned": "area(asked, strangers), area(kept, strangers)"}
FIGURE = """
figure, axes = plt.subplots(1, 2)
for ax, name in zip(axes, {names}):
    for k in {kinds}:
        ax.plot(my_scores[name][my_status == k], np.full((my_status == k).sum(), k), "o")
    {labels}
"""
DRAWN = {"names": '("PRETRAIN", "SCRUB + REWEIGHT")', "kinds": "(0, 1, 2)",
         "labels": 'ax.set(xlabel="score", ylabel="kind")'}
SCORED = {"test_score": 3, "test_score_nobody": 1}

MISCONCEPTIONS = {
    "those who saw it are references, too": ({"score": """
def score(confidence, status, victim, references):
    c = np.asarray(confidence)
    return c[victim] - c[list(references)].mean(0)
"""}, SCORED),
    "strangers low, members lower": ({"score": """
def score(confidence, status, victim, references):
    c = np.where(np.asarray(status)[list(references)] == 0, np.asarray(confidence)[list(references)], np.nan)
    return np.nanmean(c, 0) - np.asarray(confidence)[victim]
"""}, {"test_score": 3}),
    "all models are references": ({"score": """
def score(confidence, status, victim, references):
    c = np.where(np.asarray(status) == 0, np.asarray(confidence), np.nan)
    c[victim] = np.nan
    return np.asarray(confidence)[victim] - np.nanmean(c, 0)
"""}, {"test_score": 3}),
    "the victim's answer is looked at": ({"score": """
def score(confidence, status, victim, references):
    status = np.asarray(status)
    c = np.where(status[list(references)] == status[victim], np.asarray(confidence)[list(references)], np.nan)
    return np.asarray(confidence)[victim] - np.nanmean(c, 0)
"""}, SCORED),
    "one mean for all pictures": ({"score": """
def score(confidence, status, victim, references):
    c = np.where(np.asarray(status)[list(references)] == 0, np.asarray(confidence)[list(references)], np.nan)
    return np.asarray(confidence)[victim] - np.nanmean(c)
"""}, SCORED),
    "no reference: the score is 0": ({"score": """
def score(confidence, status, victim, references):
    c = np.where(np.asarray(status)[list(references)] == 0, np.asarray(confidence)[list(references)], np.nan)
    return np.nan_to_num(np.asarray(confidence)[victim] - np.nanmean(c, 0))
"""}, {"test_score_nobody": 1}),
    "no reference: confidence alone": ({"score": """
def score(confidence, status, victim, references):
    c = np.where(np.asarray(status)[list(references)] == 0, np.asarray(confidence)[list(references)], np.nan)
    return np.asarray(confidence)[victim] - np.nan_to_num(np.nanmean(c, 0))
"""}, {"test_score_nobody": 1}),
    "no reference: the picture is left out": ({"score": """
def score(confidence, status, victim, references):
    c = np.where(np.asarray(status)[list(references)] == 0, np.asarray(confidence)[list(references)], np.nan)
    found = np.asarray(confidence)[victim] - np.nanmean(c, 0)
    return found[~np.isnan(found)]
"""}, {"test_score_nobody": 1}),
    "others higher than members": ({"auc": """
def auc(members, others):
    gap = np.asarray(others)[:, None] - np.asarray(members)[None]
    return (gap > 0).mean() + 0.5 * (gap == 0).mean()
"""}, {"test_auc": 3, "test_auc_ties": 1}),
    "never below 0.5": ({"auc": """
def auc(members, others):
    gap = np.asarray(members)[:, None] - np.asarray(others)[None]
    area = (gap > 0).mean() + 0.5 * (gap == 0).mean()
    return max(area, 1 - area)
"""}, {"test_auc": 3, "test_auc_ties": 1}),
    "pairs in the order of the rows": ({"auc": """
def auc(members, others):
    pairs = list(zip(members, others))
    return float(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))
"""}, {"test_auc": 3, "test_auc_ties": 1}),
    "accuracy at the best threshold": ({"auc": """
def auc(members, others):
    cut = (np.mean(members) + np.mean(others)) / 2
    return ((np.asarray(members) > cut).mean() + (np.asarray(others) <= cut).mean()) / 2
"""}, {"test_auc": 3, "test_auc_ties": 1}),
    "a tie is lost": ({"auc": """
def auc(members, others):
    return float((np.asarray(members)[:, None] > np.asarray(others)[None]).mean())
"""}, {"test_auc_ties": 1}),
    "a tie is won": ({"auc": """
def auc(members, others):
    return float((np.asarray(members)[:, None] >= np.asarray(others)[None]).mean())
"""}, {"test_auc_ties": 1}),
    "ties are left out": ({"auc": """
def auc(members, others):
    gap = np.asarray(members)[:, None] - np.asarray(others)[None]
    return float((gap > 0).sum() / max((gap != 0).sum(), 1))
"""}, {"test_auc_ties": 1}),
    "the threshold from those who ask": ({"accuse": """
def accuse(calibration, scores, rate):
    known = np.sort(np.asarray(scores, float))
    return np.asarray(scores, float) > known[len(known) - 1 - int(rate * len(known))]
"""}, {"test_accuse": 3}),
    "a quantile that interpolates": ({"accuse": """
def accuse(calibration, scores, rate):
    return np.asarray(scores) > np.quantile(np.asarray(calibration, float), 1 - rate)
"""}, {"test_accuse": 3}),
    "those on the threshold, too": ({"accuse": ACCUSE.format(
        lines="return np.asarray(scores) >= known[len(known) - 1 - int(rate * len(known))]")},
        {"test_accuse": 3, "test_accuse_ties": 1}),
    "the rate is the share of members": ({"accuse": """
def accuse(calibration, scores, rate):
    return np.asarray(scores) > np.quantile(np.asarray(calibration, float), rate, method="higher")
"""}, {"test_accuse": 3, "test_accuse_ties": 1}),
    "one too many, rounded up": ({"accuse": ACCUSE.format(
        lines="return np.asarray(scores) > known[len(known) - 1 - int(np.ceil(rate * len(known)))]")},
        {"test_accuse": 3}),
    "counted by rank, ties accused": ({"accuse": ACCUSE.format(
        lines="return np.asarray(scores) >= known[len(known) - int(rate * len(known))]")},
        {"test_accuse_ties": 1}),
    "nobody if there are ties": ({"accuse": ACCUSE.format(
        lines="cut = known[len(known) - 1 - int(rate * len(known))]\n"
              "    return np.asarray(scores) > (cut if (known == cut).sum() < 2 else known[-1])")},
        {"test_accuse_ties": 1}),
    "each score counted once": ({"accuse": """
def accuse(calibration, scores, rate):
    known = np.unique(np.asarray(calibration, float))
    allowed = int(rate * len(np.asarray(calibration)))
    return np.asarray(scores, float) > known[max(len(known) - 1 - allowed, 0)]
"""}, {"test_accuse_ties": 1}),
    "only members are drawn": ({"interval": INTERVAL.format(**DRAWS | {"theirs": "others"})},
                               {"test_interval": 3}),
    "only others are drawn": ({"interval": INTERVAL.format(**DRAWS | {"ours": "members"})},
                              {"test_interval": 3}),
    "drawn without replacement": ({"interval": INTERVAL.format(**DRAWS | {
        "ours": "rng.permutation(members)[:len(members) - 1]",
        "theirs": "rng.permutation(others)[:len(others) - 1]"})}, {"test_interval": 3}),
    "drawn from one pool": ({"interval": """
def interval(members, others, statistic, draws=1000, seed=0):
    rng, found, pool = np.random.default_rng(seed), [], np.concatenate([members, others])
    for _ in range(draws):
        drawn = rng.choice(pool, len(pool))
        found.append(statistic(drawn[:len(members)], drawn[len(members):]))
    return tuple(float(v) for v in np.quantile(found, [0.025, 0.975]))
"""}, {"test_interval": 3}),
    "90 % of the draws": ({"interval": INTERVAL.format(
        **DRAWS | {"ends": "np.quantile(found, [0.05, 0.95])"})}, {"test_interval": 3}),
    "the error of the mean of the draws": ({"interval": INTERVAL.format(**DRAWS | {
        "ends": "np.mean(found) + np.array([-1.96, 1.96]) * np.std(found) / draws ** 0.5"})},
        {"test_interval": 3}),
    "the interval sets the global seed": ({"interval": INTERVAL.format(**DRAWS | {
        "rng": "np.random.seed(seed)", "ours": "np.random.choice(members, len(members))",
        "theirs": "np.random.choice(others, len(others))"})}, {"test_interval_seed": 1}),
    "one seed for all": ({"interval": INTERVAL.format(**DRAWS | {"rng": "np.random.default_rng(0)"})},
                         {"test_interval_seed": 1}),
    "no seed at all": ({"interval": INTERVAL.format(**DRAWS | {"rng": "np.random.default_rng()"})},
                       {"test_interval_seed": 1}),
    "the middle of the interval decides": ({"verdict": """
def verdict(found, controls):
    if sum(found) / 2 > 0.5 or sum(found) / 2 < 0.5:
        return TELLS
    return NOT if controls and all(low > 0.5 for low, high in controls) else BLIND
"""}, {"test_verdict": 2, "test_verdict_blind": 2}),
    "only above 0.5 tells": ({"verdict": """
def verdict(found, controls):
    if found[0] > 0.5:
        return TELLS
    return NOT if controls and all(low > 0.5 for low, high in controls) else BLIND
"""}, {"test_verdict": 2}),
    "the control comes first": ({"verdict": """
def verdict(found, controls):
    if not controls or any(low <= 0.5 for low, high in controls):
        return BLIND
    return TELLS if found[0] > 0.5 or found[1] < 0.5 else NOT
"""}, {"test_verdict": 2}),
    "not found is forgotten": ({"verdict": """
def verdict(found, controls):
    if found[0] > 0.5 or found[1] < 0.5:
        return TELLS
    return "forgotten" if controls and all(low > 0.5 for low, high in controls) else BLIND
"""}, {"test_verdict": 2}),
    "no control is looked at": ({"verdict": """
def verdict(found, controls):
    return TELLS if found[0] > 0.5 or found[1] < 0.5 else NOT
"""}, {"test_verdict_blind": 2}),
    "one control that is found will do": ({"verdict": """
def verdict(found, controls):
    if found[0] > 0.5 or found[1] < 0.5:
        return TELLS
    return NOT if any(low > 0.5 for low, high in controls) else BLIND
"""}, {"test_verdict_blind": 2}),
    "no control, no doubt": ({"verdict": """
def verdict(found, controls):
    if found[0] > 0.5 or found[1] < 0.5:
        return TELLS
    return NOT if all(low > 0.5 for low, high in controls) else BLIND
"""}, {"test_verdict_blind": 2}),
    "a control below 0.5 is found": ({"verdict": """
def verdict(found, controls):
    if found[0] > 0.5 or found[1] < 0.5:
        return TELLS
    return NOT if controls and all(low > 0.5 or high < 0.5 for low, high in controls) else BLIND
"""}, {"test_verdict_blind": 2}),
    "kept and unlearned exchanged": ({"audit_of": AUDIT.format(**JUDGED | {
        "returned": "area(kept, strangers), area(asked, strangers)"})}, {"test_audit": 2, "test_own": 2}),
    "against all who were not unlearned": ({"audit_of": AUDIT.format(**JUDGED | {
        "kind": "((status != UNLEARNED) if k == NEVER else (status == k))"})},
        {"test_audit": 2, "test_own": 2}),
    "unlearned against kept": ({"audit_of": AUDIT.format(**JUDGED | {
        "returned": "area(asked, kept), area(kept, strangers)"})}, {"test_audit": 2, "test_own": 2}),
    "the AUCs of strangers": ({"audit_of": AUDIT.format(**JUDGED | {
        "returned": "area(strangers, asked), area(strangers, kept)"})}, {"test_audit": 2, "test_own": 2}),
    "NaN is a score of 0": ({"audit_of": "".join(AUDIT.format(
        **JUDGED | {"known": "np.full(len(scores), True)"}).replace(
            "    known", "    scores = np.nan_to_num(scores)\n    known", 1))}, {"test_audit": 2}),
    "an audit without a control": ({"audit_of": AUDIT.format(**JUDGED | {
        "word": "TELLS if low > 0.5 or high < 0.5 else NOT"})}, {"test_audit": 2}),
    "axes without names": ({"figure": FIGURE.format(**DRAWN | {"labels": "pass"})}, {"test_figure": 1}),
    "a figure without the control": ({"figure": FIGURE.format(**DRAWN | {"kinds": "(0, 2)"})},
                                     {"test_figure": 1}),
    "a figure of one method": ({"figure": FIGURE.format(**DRAWN | {"names": '("PRETRAIN", "PRETRAIN")'})},
                               {"test_figure": 1}),
}

SECOND = {
    "score": """
def score(confidence, status, victim, references):
    scores = []
    for i in range(len(confidence[0])):
        strangers = [confidence[k][i] for k in references if status[k][i] == 0]
        scores.append(confidence[victim][i] - sum(strangers) / len(strangers) if strangers else float("nan"))
    return scores
""",
    "auc": """
def auc(members, others):
    ranks = pd.Series(np.concatenate([members, others])).rank().to_numpy()[:len(members)]
    n, m = len(members), len(others)
    return (ranks.sum() - n * (n + 1) / 2) / (n * m)
""",
    "accuse": """
def accuse(calibration, scores, rate):
    fine = [t for t in calibration if np.mean([c > t for c in calibration]) <= rate]
    return [bool(s > min(fine)) for s in scores]
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
    low, high = found
    if low <= 0.5 <= high:
        blind = len(controls) == 0 or min(c[0] for c in controls) <= 0.5
        return "cannot tell" if blind else "not distinguished"
    return "an attacker can tell"
""",
    "audit_of": """
def audit_of(scores, status):
    table = pd.DataFrame({"s": scores, "k": status}).dropna()
    part = {k: np.sort(rows.s.to_numpy()) for k, rows in table.groupby("k")}

    def won(members, others):
        below, upto = (np.searchsorted(others, members, side) for side in ("left", "right"))
        return (below + upto).mean() / (2 * len(others))

    found = []
    for k in (UNLEARNED, KEPT):
        rng, drawn = np.random.RandomState(1), []
        for _ in range(200):
            a, b = (np.sort(rng.choice(side, len(side))) for side in (part[k], part[NEVER]))
            drawn.append(won(a, b))
        found.append((won(part[k], part[NEVER]), *np.quantile(drawn, [0.025, 0.975])))
    (area, low, high), (kept, control, _) = found
    word = TELLS if not low <= 0.5 <= high else NOT if control > 0.5 else BLIND
    return [area, kept, word]
""",
    "figure": """
figure, ax = plt.subplots()
for place, name in enumerate(("PRETRAIN", "SCRUB + REWEIGHT")):
    ax.scatter(place + 0.2 * my_status, my_scores[name], c=my_status)
ax.set(xlabel="method, and what it did", ylabel="score")
""",
}
