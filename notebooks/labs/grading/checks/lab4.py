"""Check lab 4 (MIU): one check for each graded cell, with random inputs."""

import math

import numpy as np
import pandas as pd
import torch
from grading.asking import GRADIENTS, compare, in_process, own_code
from torch import nn

from grmu import metrics

NOT_ALLOWED = ("grmu.mine.dv_bound", "grmu.methods.miu.MIU.forget_loss", "grmu.methods.miu.MIU.retain_loss",
               "grmu.analysis.search.distance")  # MIU.target needs dv_terms and table_terms
FLOAT = 1e-3  # tolerance of single-precision sums

UNLEARNING = GRADIENTS + "t.requires_grad_()" + own_code(
    "with_gradients(unlearning_loss(t, group, group_bar, floor), t)", "grmu.mine.dv_terms",
    "grmu.mine.table_terms")
CALIBRATION = GRADIENTS + """
mi, original = torch.tensor(mi, requires_grad=True), torch.tensor(original, requires_grad=True)
with_gradients(calibration_loss(mi, original, lam), mi, original)
"""
RETAINING = GRADIENTS + """
logits.requires_grad_()
with_gradients(retaining_loss(logits, y), logits)
"""
# Return a loss of small random networks and its gradients. The draw of groups depends only on the seed.
METHOD = GRADIENTS + """
from grmu import data
from grmu.methods import MIU
from grmu.models import Classifier
from grmu.training import Batch, Context, TrainConfig

train, rng = data.GroupedDataset(x, y, a), torch.Generator()
split = data.split_forget(train, 0.5, [(1, 1)], seed=seed)
torch.manual_seed(seed)
model, original = (Classifier(torch.nn.Linear(5, 6), 6, 2) for _ in range(2))
method = MIU(lam=lam)
method.floor = floor
method.setup(Context(model, original.requires_grad_(False), train, split.retain, split.forget, rng,
                     TrainConfig(), None, split.retain_index))
for estimator in (method.mine, method.mine_original):
    estimator.network.second.weight.data *= 10
part, loss = (split.retain, my_retain_loss) if retains else (split.forget, my_forget_loss)
order = torch.randperm(len(part), generator=rng.manual_seed(seed))[:16]
rng.manual_seed(seed)
with_gradients(loss(method, Batch(part.x[order], part.y[order], part.group[order], order)),
               *model.parameters())
"""
CHOOSE = "import pandas\nfloat(choose_lambda(pandas.DataFrame(rows), pandas.DataFrame(gold)))"
MEMBERSHIP = "float(membership(losses, groups))"
# The minimum size of each part, and the shares of its groups.
PARTS = {"retain": (220, 0.6, 0.25, 0.1, 0.05), "val": (160, 0.05, 0.1, 0.25, 0.6),
         "test": (140, 0.1, 0.2, 0.3, 0.4), "forget": (80, 0.4, 0.3, 0.2, 0.1)}


def normal(rng, *shape, scale=1.0):
    return torch.as_tensor(rng.normal(0, scale, shape), dtype=torch.float32)


def draw_table(rng):
    """Return T of a batch, its groups, and drawn groups, the first of which differ from the samples' own."""
    n, k = int(rng.integers(5, 9)), int(rng.integers(3, 6))
    group, group_bar = torch.as_tensor(rng.integers(0, k, (2, n)))
    group_bar[:3] = (group[:3] + 1) % k
    t = normal(rng, n, k) + 1.5 * nn.functional.one_hot(group, k)
    return {"t": t, "group": group, "group_bar": group_bar}


def right_bound(t, group, group_bar):
    """Return M of a table, and its gradient."""
    rows, n, gradient = torch.arange(len(t)), len(t), torch.zeros_like(t)
    gradient[rows, group] += 1 / n
    gradient[rows, group_bar] -= t[rows, group_bar].softmax(0)
    return (t[rows, group].mean() - t[rows, group_bar].logsumexp(0)).item() + math.log(n), gradient


def check_loss(answer, expected, message, wrong=()):
    """Check the value and the gradients of a loss."""
    compare(answer[0], expected[0], message, wrong, FLOAT)
    for ours, theirs in zip(answer[1:], expected[1:], strict=True):
        compare(ours, theirs, "The value is right, but the gradient is not: detach nothing except a target; "
                "below a floor the gradient is 0.", tolerance=FLOAT)


def test_unlearning(ask, rng):
    inputs = draw_table(rng)
    m, gradient = right_bound(**inputs)
    check_loss(ask(UNLEARNING, **inputs, floor=-20.0), [m, gradient], "M is the mean of T over each sample's "
               "own group minus the log of the mean of e^T over each sample's drawn group. See lesson 3.2.",
               [(-m, "The loss is -M: training would raise what the features reveal about the group.")])


def check_floor(ask, code, inputs, m, *gradients):
    """Check the loss with a floor above M, and with a floor below M."""
    for floor, expected in ((m + 0.7, [m + 0.7, *(0 * g for g in gradients)]), (m - 0.7, [m, *gradients])):
        check_loss(ask(code, **inputs | {"floor": floor}), expected,
                   f"M is {m:.2f} and the floor is {floor:.2f}, so the loss is {expected[0]:.2f}.")


def test_unlearning_floor(ask, rng):
    inputs = draw_table(rng)
    check_floor(ask, UNLEARNING, inputs, *right_bound(**inputs))


def check_calibration(ask, rng, n, message):
    """Check the first n of the value and its two gradients, with too little and with too much information."""
    for sign in rng.permutation([-1, 1]):
        original, gap, lam = rng.uniform(0.6, 1.5), rng.uniform(0.1, 0.5), rng.uniform(2.0, 4.0)
        found = ask(CALIBRATION, mi=original + sign * gap, original=original, lam=lam)
        compare(found[:n], [lam * gap, sign * lam, 0][:n], message, tolerance=FLOAT)


def test_calibration(ask, rng):
    check_calibration(ask, rng, 2, "The loss is λ times the absolute difference, which is not squared, and has "
                      "a gradient: too little information costs as much as too much.")


def test_calibration_target(ask, rng):
    check_calibration(ask, rng, 3, "Only the current model's M gets a gradient: the original model's M is the "
                      "target.")


def test_retaining(ask, rng):
    n, k = int(rng.integers(5, 9)), int(rng.integers(3, 6))
    logits, y = normal(rng, n, k, scale=2), torch.as_tensor(rng.integers(0, k, n))
    gradient = (logits.softmax(1) - nn.functional.one_hot(y, k)) / n
    right = [nn.functional.cross_entropy(logits, y).item(), gradient]
    check_loss(ask(RETAINING, logits=logits, y=y), right, "The loss is the mean of -log p(class) over the "
               "batch: with a sum, λ would depend on the batch size.")


def right_forget(method, batch):
    return method.mine.bound(method.model.features(batch.x), batch.group)


def retain_loss_of(combine):
    """Return a retain loss, in which `combine` gets the cross-entropy, M minus the target, and λ."""
    def loss(method, batch):
        z, group_bar = method.model.features(batch.x), method.mine.draw(batch.group)
        gap = method.mine.bound(z, batch.group, group_bar) - method.target(batch, group_bar)
        return combine(nn.functional.cross_entropy(method.model.head(z), batch.y), gap, method.lam)
    return loss


def right(inputs, combine=None):
    """Return the result of METHOD for our own losses."""
    losses = {"my_forget_loss": right_forget, "my_retain_loss": retain_loss_of(combine)}
    return in_process(losses)(METHOD, **inputs)


def draw_networks(rng, sign):
    """Return inputs of METHOD for which M of the model is above (1) or below (-1) that of the original model."""
    while True:
        order = torch.as_tensor(rng.permutation(32))
        inputs = {"x": normal(rng, 32, 5), "y": order // 2 % 2, "a": order % 2, "floor": -50.0,
                  "retains": True, "seed": int(rng.integers(2**31)), "lam": rng.uniform(2.0, 4.0)}
        if sign * right(inputs, lambda ce, gap, lam: gap)[0] > 0.1:
            return inputs


def test_method_forget(ask, rng):
    inputs = draw_networks(rng, 1) | {"retains": False}
    check_floor(ask, METHOD, inputs, *right(inputs))


def test_method_retain(ask, rng):
    for sign in (1, -1):
        inputs = draw_networks(rng, sign)
        expected = right(inputs, lambda ce, gap, lam: ce + lam * gap.abs())
        check_loss(ask(METHOD, **inputs), expected, "The loss is the cross-entropy plus method.lam times "
                   "|M - M of the original model| (not squared), with one draw of ḡ for both.")


def draw_gold(rng):
    """Return one row of the gold standard per seed, in random order."""
    apart = np.linspace(0.3, 0.7, 5)
    gold = {"seed": rng.permutation(40)[:5], "UA": rng.permutation(apart), "GA": rng.permutation(apart)}
    return pd.DataFrame(gold | {"val_GA": gold["GA"]})


def check_choice(ask, rng, gold, gaps, order, message):
    """Check that the smallest (order 1) or largest (-1) λ is chosen, given each λ's gaps to the gold standard."""
    lams = np.sort(rng.choice(np.arange(1, 200), len(gaps), replace=False))[::order] / 8
    rows = pd.concat([gold.assign(lam=lam, **{name: gold[name] + gap for name, gap in table.items()})
                      for lam, table in zip(lams, gaps, strict=True)])
    rows = rows.sample(frac=1, random_state=int(rng.integers(2**31)))
    compare(ask(CHOOSE, rows=rows.to_dict("list"), gold=gold.to_dict("list")), lams[0], message)


def test_choose(ask, rng):
    for order in (1, -1):
        gold = draw_gold(rng)
        swing = rng.uniform(0.3, 0.4) * np.array([1, -1, 1, -1, 0])
        others = {name: np.roll(gold[name], 1) - gold[name] for name in ("UA", "GA", "val_GA")}
        gaps = [{"UA": 0.03, "GA": -0.03, "val_GA": -0.03}, {"GA": swing, "val_GA": swing}, {"UA": -0.3},
                {"GA": 0.3, "val_GA": 0.3}, others]
        check_choice(ask, rng, gold, gaps, order, "The score is |UA - UA of the gold standard| + |val_GA - val_GA "
                     "of the gold standard|, of the same seed. Take absolute values before the mean over seeds.")


def test_choose_validation(ask, rng):
    for order in (1, -1):
        gap = rng.uniform(0.12, 0.16) * rng.choice([-1, 1])  # between validation and test accuracy
        gold = draw_gold(rng).assign(UA=rng.uniform(0.4, 0.6), GA=rng.uniform(0.4, 0.6))
        gold = gold.assign(val_GA=gold.GA + gap)
        gaps = [{"GA": -1.8 * gap}, {"UA": 0.01, "val_GA": -gap}]
        check_choice(ask, rng, gold, gaps, order, "You chose λ with GA, the accuracy on test data, so the reported "
                     "result is too good. Use val_GA, also of the gold standard.")


def test_membership(ask, rng):
    for _ in range(2):
        known = {"retain": 1.0, "val": 0.0, "forget": rng.uniform(0.65, 0.8), "test": 1.0}
        groups = {name: torch.as_tensor(rng.choice(4, rng.integers(n, n + 40), p=share))
                  for name, (n, *share) in PARTS.items()}
        losses = {name: 0.4 * g + torch.as_tensor(rng.uniform(0, 0.35, len(g)) - 0.5 * (name == "test")
                  + 0.4 * (rng.random(len(g)) > known[name])) for name, g in groups.items()}
        members, others, asked = losses["retain"], losses["val"], losses["forget"]
        right_share = metrics.mia_efficacy(members, others, asked, groups["retain"], groups["val"])
        compare(ask(MEMBERSHIP, losses=losses, groups=groups), right_share, "The members are retained samples, "
                "the non-members validation samples (not test data, which are only for reporting), each with "
                "their own groups, and the forget set is classified.")
