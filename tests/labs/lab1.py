"""Lab 1: known mistakes with the points that each loses, and right answers in another style."""

from textwrap import indent

ARGUMENTS = {"group_index": "y, a, n_classes, n_attributes", "group_counts": "group, n_groups",
             "forget_split": "group, groups, ratio, seed", "group_accuracy": "predicted, y, group, n_groups",
             "control_ratio": "counts, g, ratio", "paired_change": "rows, metric='GA'"}
SPLIT = """
rng = torch.Generator().manual_seed(seed)
chosen = []
for g in groups:
    members = torch.isin(group, torch.tensor(g)).nonzero().squeeze(1)
    order = torch.randperm(len(members), generator=rng)
    chosen.append(members[order[:round(ratio * len(members))]])
forget = torch.cat(chosen)
retain = ~torch.isin(torch.arange(len(group)), forget)
return forget, retain.nonzero().squeeze(1)"""
TABLE = """
n = torch.bincount(group, minlength=n_groups).double().numpy()
right = torch.bincount(group[predicted == y], minlength=n_groups).double().numpy()
p = right / n
return pd.DataFrame({"accuracy": p, "n": n, "se": np.sqrt(p * (1 - p) / n)})"""
PAIRED = """
a, b = (rows[rows.method == m].set_index("seed")[metric] for m in ("pretrain", "retrain"))
d = 100 * (b - a)
return d.mean(), d.sem()"""


def answer(name, body):
    """The source of an answer with this body."""
    return f"def {name}({ARGUMENTS[name]}):\n{indent(body.strip(), '    ')}\n"


def wrong(name, body, **lost):
    """A mistake: the answer, and the points that it loses in each test."""
    return {name: answer(name, body)}, lost


MISCONCEPTIONS = {
    "class and attribute exchanged": wrong(
        "group_index", "return a * n_classes + y", test_group_index=2, test_group_index_subset=2),
    "number of attribute values taken from the samples": wrong(
        "group_index", "return y * (int(a.max()) + 1) + a", test_group_index_subset=2),
    "only groups with samples are counted": wrong(
        "group_counts", "return group.unique(return_counts=True)[1]", test_group_counts=3),
    "a random decision for each sample": wrong(
        "forget_split", SPLIT.replace("order[:round(ratio * len(members))]", "order < ratio").replace(
            "torch.randperm(", "torch.rand("), test_split_size=3, test_split_strata=2),
    "two groups drawn as one": wrong(
        "forget_split", SPLIT.replace("in groups:", "in [groups]:"), test_split_strata=2),
    "the retain set is the other groups": wrong(
        "forget_split", SPLIT.replace("torch.arange(len(group)), forget", "group, torch.tensor(groups)"),
        test_split_partition=2),
    "the global seed is set": wrong(
        "forget_split", SPLIT.replace("torch.Generator()", "torch"), test_split_seed=2),
    "the first samples, whatever the seed": wrong(
        "forget_split", SPLIT.replace("randperm(len(members), generator=rng)", "arange(len(members))"),
        test_split_seed=2),
    "standard error with the size of all groups": wrong(
        "group_accuracy", TABLE.replace("(1 - p) / n", "(1 - p) / n.sum()"), test_standard_error=2),
    "an empty group has accuracy 0": wrong(
        "group_accuracy", TABLE.replace("right / n", "right / n.clip(1)"), test_empty_group=2),
    "a control with the same ratio": wrong("control_ratio", "return ratio", test_control_ratio=3),
    "the error of unpaired samples": wrong(
        "paired_change", PAIRED.replace("d.sem()", "100 * np.hypot(a.sem(), b.sem())"), test_paired_error=2),
    "paired by the order of the rows": wrong(
        "paired_change", PAIRED.replace('.set_index("seed")[metric]', "[metric].reset_index(drop=True)"),
        test_paired_error=2),
}
SECOND = {
    "group_index": answer(
        "group_index", "return torch.arange(n_classes * n_attributes).view(n_classes, -1)[y, a]"),
    "group_counts": answer("group_counts", "return [group.tolist().count(g) for g in range(n_groups)]"),
    "forget_split": answer("forget_split", SPLIT),
    "group_accuracy": answer("group_accuracy", TABLE),
    "control_ratio": answer("control_ratio", "return np.rint(ratio * counts[g].item()) / counts.sum()"),
    "paired_change": answer("paired_change", PAIRED),
}
