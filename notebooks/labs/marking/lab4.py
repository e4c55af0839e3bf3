"""Lab 4: a check for each graded test cell, of the same name. `ask` evaluates code among the submission's
names and returns plain data; `rng` draws all inputs; what is right is computed here."""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from grmu import metrics
from grmu.mine import MINE, Estimator, table_terms
from grmu.study import results
from grmu.teach.asking import in_process, same
from grmu.training import Method, predict

FLOAT = 1e-3  # of single-precision sums


def normal(rng, *shape, scale=1.0, mean=0.0):
    return torch.as_tensor(rng.normal(mean, scale, shape), dtype=torch.float32)


def gradients_of(loss, *inputs):
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found, strict=True)]


LOSS_AND_GRADIENTS = """
def numbers(loss, *inputs):
    flows = isinstance(loss, torch.Tensor) and loss.requires_grad
    found = torch.autograd.grad(loss, inputs, allow_unused=True) if flows else [None] * len(inputs)
    value = loss.item() if isinstance(loss, torch.Tensor) else float(loss)
    return [value, *(torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found))]
"""


# 1. The three terms

UNLEARNING = LOSS_AND_GRADIENTS + """
t.requires_grad_()
numbers(unlearning_loss(t, group, floor), t)
"""


def table(rng):
    """T of a batch whose own groups stand out, so that M is well above 0; and the groups."""
    n, k = int(rng.integers(5, 9)), int(rng.integers(3, 6))
    group = torch.as_tensor(rng.integers(0, k, n))
    return normal(rng, n, k) + 1.5 * nn.functional.one_hot(group, k), group


def bound(t, group):
    joint, log_partition = table_terms(t, group, None)
    return joint - log_partition


def test_unlearning(ask, rng):
    level, (t, group) = normal(rng).item(), table(rng)
    found, _ = ask(UNLEARNING, t=torch.full_like(t, level), group=group, floor=-20.0)
    assert same(found, 0.0, FLOAT), (
        "T that is the same everywhere tells nothing of the groups, so M is 0: is the log-mean-exp a log of "
        "a *mean*, over the whole table?")
    (found, _), m = ask(UNLEARNING, t=t, group=group, floor=-20.0), bound(t, group).item()
    row_wise = m + t.flatten().logsumexp(0) - t.logsumexp(1).mean() - math.log(len(t))
    assert not same(abs(found), abs(row_wise.item()), FLOAT), (
        "a log for each sample, and their mean: M has one log, of the mean over the whole table.")
    assert same(abs(found), abs(m), FLOAT), (
        "a wrong bound on a drawn table: mean over each sample's own group, minus one log-mean-exp over all "
        "B times G entries. Lesson 3.2.")


def test_unlearning_sign(ask, rng):
    t, group = table(rng)
    _, found = ask(UNLEARNING, t=t, group=group, floor=-20.0)
    leaf = t.clone().requires_grad_()
    (expected,) = gradients_of(bound(leaf, group), leaf)
    assert bool(found.any()), "no gradient flows above the floor, so nothing is unlearned."
    assert not same(found, -expected, FLOAT), (
        "the sign is turned round: the optimiser goes *down* the loss, and now it makes the forgotten "
        "samples look more like their group. Above its floor the loss is M, not -M. Lesson 5.1.")
    assert same(found, expected, FLOAT), (
        "a wrong gradient above the floor: both terms of M depend on T, and nothing in them is detached.")


def test_unlearning_floor(ask, rng):
    n, k, g = int(rng.integers(5, 9)), int(rng.integers(3, 6)), int(rng.integers(3))
    t, floor = normal(rng, n, k, scale=0.1), -rng.uniform(0.5, 1.2)
    t[:, g] -= rng.uniform(3.0, 4.0)
    found, gradient = ask(UNLEARNING, t=t, group=torch.full((n,), g), floor=floor)
    assert same(found, floor, FLOAT), (
        f"M is {bound(t, torch.full((n,), g)):.2f} here and the floor {floor:.2f}: the loss is the floor, "
        f"not {found:.2f}.")
    assert not bool(gradient.any()), (
        "below the floor a gradient still pushes M down: the loss must be the floor itself there.")


CALIBRATION = LOSS_AND_GRADIENTS + """
mi, original = (torch.tensor(v, requires_grad=True) for v in (mi, original))
numbers(calibration_loss(mi, original, lam), mi, original)
"""


def calibrations(rng):
    """An estimate below the original's and one above, and a weight each."""
    for sign in rng.permutation([-1, 1]):
        original, apart, lam = rng.uniform(0.6, 1.5), sign * rng.uniform(0.1, 0.5), rng.uniform(2.0, 4.0)
        yield original + apart, original, lam


def test_calibration(ask, rng):
    for mi, original, lam in calibrations(rng):
        found, gradient, _ = ask(CALIBRATION, mi=mi, original=original, lam=lam)
        d = mi - original
        assert not same(found, lam * d * d, FLOAT), (
            "the distance is squared, as in Eq. 6: this variant takes it as it is, without its sign.")
        assert same(found, lam * abs(d), FLOAT), (
            f"λ = {lam:.2f}, {mi:.2f} nats where the original has {original:.2f}: the loss is "
            f"{lam * abs(d):.3f}, not {found:.3f}. Too little information costs as much as too much.")
        assert same(gradient, math.copysign(lam, d), FLOAT), (
            "the model's own estimate gets a wrong gradient, or none: detach the other one, the target.")


def test_calibration_target(ask, rng):
    found = [ask(CALIBRATION, mi=mi, original=original, lam=lam)[1:]
             for mi, original, lam in calibrations(rng)]
    assert any(bool(of_own.any()) for of_own, _ in found), (
        "no gradient reaches the model's own estimate, so it learns nothing.")
    assert not any(bool(of_target.any()) for _, of_target in found), (
        "a gradient flows into the original's estimate: it is the target, detach it, or the target runs to "
        "meet the model. Lesson 5.2.")


def test_retaining(ask, rng):
    n, k = int(rng.integers(5, 9)), int(rng.integers(3, 6))
    logits, y = normal(rng, n, k, scale=2), torch.as_tensor(rng.integers(0, k, n))
    found, gradient = ask(LOSS_AND_GRADIENTS + "logits.requires_grad_()\n"
                          "numbers(retaining_loss(logits, y), logits)", logits=logits, y=y)
    leaf = logits.clone().requires_grad_()
    truth = nn.functional.cross_entropy(leaf, y)
    assert not same(found, nn.functional.cross_entropy(logits.softmax(1), y).item(), FLOAT), (
        "softmax twice: cross_entropy takes logits, not probabilities.")
    assert not same(found, n * truth.item(), FLOAT), (
        "the mean over the batch, not the sum: else λ means something else for every batch size.")
    assert same(found, truth.item(), FLOAT), (
        f"the mean cross-entropy is {truth.item():.3f} on a drawn batch, not {found:.3f}.")
    assert same(gradient, gradients_of(truth, leaf)[0], FLOAT), (
        "a right value with a wrong gradient, or none: nothing in this loss is detached.")


# 2. The method: its losses, their gradients and its steps, on drawn tiny networks

TOY = """
import torch
from torch import nn

from grmu import data
from grmu.models import Classifier
from grmu.training import Batch, Context, Recipe


def with_weights(module, weights):
    with torch.no_grad():
        for p, given in zip(module.parameters(), weights, strict=True):
            p.copy_(given)
    return module


def classifier(weights):
    return with_weights(Classifier(nn.Linear(5, 6), 6, 2), weights)


train = data.GroupedDataset(x, y, a)
split = data.split_forget(train, 0.5, [forget], seed=seed)
model, original = classifier(of_model), classifier(of_original).requires_grad_(False).eval()
method = MyMIU(lam=lam, floor=floor)
method.setup(Context(model, original, train, split.retain, split.forget, torch.Generator().manual_seed(seed),
                     Recipe(), None, split.retain_index))
with_weights(method.mi.mine, of_mi)
with_weights(method.mi_o.mine, of_mi_o).requires_grad_(True)
part = split.forget if loss == "forget_loss" else split.retain
order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))[:16]
batch = Batch(part.x[order], part.y[order], part.group[order], order)

value, watched = getattr(method, loss)(batch), [*model.parameters(), *method.mi_o.mine.parameters()]
flows = value.requires_grad
found = torch.autograd.grad(value, watched, allow_unused=True) if flows else [None] * len(watched)
found = [torch.zeros_like(p) if g is None else g for p, g in zip(watched, found)]
of_target = max(g.abs().max().item() for g in found[4:])

method.mi_o.mine.requires_grad_(False)
optimizer = torch.optim.SGD(model.parameters(), 0.02)
for _ in range(3):
    step = getattr(method, loss)(batch)
    optimizer.zero_grad()
    if step.requires_grad:
        step.backward()
    optimizer.step()
[value.item(), found[:4], [p.detach() for p in model.parameters()], of_target]
"""


@dataclass
class Reference(Method):
    """The variant of MIU that the lab asks for."""

    lam: float = 1.0
    floor: float = -2.0

    def setup(self, context):
        super().setup(context)
        shape = self.model.n_features, context.train.n_groups
        self.mi, self.mi_o = (Estimator(MINE(*shape), 0.004, context.rng) for _ in range(2))
        self.z_o = predict(context.original.features, context.original, context.train.x)[context.retain_index]

    def forget_loss(self, batch):
        return self.mi.bound(self.model.features(batch.x), batch.group).clamp(min=self.floor)

    def parts(self, batch):
        """Cross-entropy; the model's M; the original's, by its own estimator and by the other one."""
        z, z_o = self.model.features(batch.x), self.z_o[batch.index]
        return (nn.functional.cross_entropy(self.model.head(z), batch.y), self.mi.bound(z, batch.group),
                self.mi_o.bound(z_o, batch.group).detach(), self.mi.bound(z_o, batch.group).detach())

    def retain_loss(self, batch):
        ce, m, m_o, _ = self.parts(batch)
        return ce + self.lam * (m - m_o).abs()


class OnlyCE(Reference):
    def retain_loss(self, batch):
        return self.parts(batch)[0]


class OnlyCalibration(Reference):
    def retain_loss(self, batch):
        return super().retain_loss(batch) - self.parts(batch)[0]


class OneEstimator(Reference):
    def retain_loss(self, batch):
        ce, m, _, other = self.parts(batch)
        return ce + self.lam * (m - other).abs()


class Squared(Reference):
    def retain_loss(self, batch):
        ce, m, m_o, _ = self.parts(batch)
        return ce + self.lam * (m - m_o) ** 2


class NoWeight(Reference):
    def retain_loss(self, batch):
        ce, m, m_o, _ = self.parts(batch)
        return ce + (m - m_o).abs()


class Unordered(Reference):
    def retain_loss(self, batch):
        return super().retain_loss(replace(batch, index=torch.arange(len(batch.y))))


class Signed(Reference):
    def retain_loss(self, batch):
        _, m, m_o, _ = self.parts(batch)
        return m - m_o


MISTAKEN = {
    Unordered: "the original's features are in the retain set's order: a batch's are those at batch.index.",
    OneEstimator: "the original's features were judged by the estimator that was fitted to the model's: each "
                  "model has its own.",
    OnlyCE: "only the cross-entropy: the calibration term is missing.",
    OnlyCalibration: "only the calibration: the retaining cross-entropy is missing.",
    Squared: "the difference is squared, as in Eq. 6: this variant takes it as it is, without its sign.",
    NoWeight: "λ does not matter in your loss."}


def right(method, loss, given):
    """What the probe finds of a method of ours."""
    return in_process({"MyMIU": method})(TOY, loss=loss, **given)


def networks(rng):
    """Weights of a model, an original and their two estimators, and 32 samples of four groups."""
    def mine():
        return [normal(rng, 512, 10), normal(rng, 512, scale=0.5), normal(rng, 1, 512, scale=0.06),
                normal(rng, 1)]

    def model():
        return [normal(rng, 6, 5, scale=0.4), normal(rng, 6), normal(rng, 2, 6), normal(rng, 2)]

    order = torch.as_tensor(rng.permutation(32))
    return {"of_model": model(), "of_original": model(), "of_mi": mine(), "of_mi_o": mine(),
            "x": normal(rng, 32, 5), "y": order // 2 % 2, "a": order % 2, "seed": int(rng.integers(2**31)),
            "forget": rng.integers(0, 2, 2).tolist(), "lam": rng.uniform(2.0, 4.0), "floor": -50.0}


@functools.cache
def telling_networks(seed, sign):
    """Networks on which every mistake that has a sentence shows in the losses, with what is right of them by
    loss, and the mistaken losses; the model's M is above the original's (1) or below (-1)."""
    rng = np.random.default_rng(seed)
    while True:
        given = networks(rng)
        forget = right(Reference, "forget_loss", given)
        if sign * right(Signed, "retain_loss", given)[0] < 0.15 or abs(forget[0]) < 0.2:
            continue
        retain = right(Reference, "retain_loss", given)
        mistaken = {method: right(method, "retain_loss", given)[0] for method in MISTAKEN}
        if min(abs(retain[0] - value) for value in mistaken.values()) > 0.1:
            return given, {"forget_loss": forget, "retain_loss": retain}, mistaken


def drawn_networks(rng, sign):
    return telling_networks(int(rng.integers(2**31)), sign)


def asked(ask, loss, given):
    return ask(TOY, loss=loss, **given)


def test_method_forget(ask, rng):
    given, truths, _ = drawn_networks(rng, 1)
    m, gradients, after, _ = truths["forget_loss"]
    found, its_gradients, its_after, _ = asked(ask, "forget_loss", given)
    assert not same(found, -m, FLOAT), (
        "forget_loss is -M: training would raise what the forgotten samples' features say of their group.")
    assert same(found, m, FLOAT), (
        f"forget_loss is M of the forget batch's features by the model's own estimator, {m:.3f} for drawn "
        f"networks, not {found:.3f}. Lesson 5.1.")
    assert all(map(near, its_gradients, gradients)), (
        "a right value with a wrong gradient: it must reach the model, through its features.")
    assert all(map(near, its_after, after)), "three steps of your loss lead to other weights than those of M."
    floor = m + rng.uniform(3, 6)
    found, its_gradients, its_after, _ = asked(ask, "forget_loss", given | {"floor": floor})
    assert same(found, floor, FLOAT), (
        f"the floor is {floor:.2f}, far above M, but it does not matter in your forget_loss.")
    assert not any(bool(g.any()) for g in its_gradients), "below the floor a gradient still pushes."
    assert all(map(near, its_after, given["of_model"])), "below the floor no step may move the model."


def test_method_retain(ask, rng):
    for sign in (1, -1):
        given, truths, mistaken = drawn_networks(rng, sign)
        truth, gradients, after, _ = truths["retain_loss"]
        found, its_gradients, its_after, _ = asked(ask, "retain_loss", given)
        for method, value in mistaken.items():
            assert not same(found, value, FLOAT), MISTAKEN[method]
        assert same(found, truth, FLOAT), (
            f"cross-entropy + λ |M - M of the original| is {truth:.3f} for drawn networks, not {found:.3f}. "
            "Lesson 5.2.")
        assert all(map(near, its_gradients, gradients)), (
            "a right value with a wrong gradient: both terms teach the model, through its features.")
        assert all(map(near, its_after, after)), (
            "three steps of your loss lead to other weights than they should.")


def test_method_target(ask, rng):
    _, gradients, _, of_target = asked(ask, "retain_loss", drawn_networks(rng, -1)[0])
    assert any(bool(g.any()) for g in gradients), "no gradient reaches the model, so it learns nothing."
    assert same(of_target, 0.0, 1e-9), (
        "a gradient flows into the estimator of the original: its estimate is the target, detach it.")


def near(found, expected):
    return same(found, expected, FLOAT)


# 3. Choose λ

CHOOSE = """
import pandas as pd
float(choose_lambda(pd.DataFrame(rows), pd.DataFrame(gold)))
"""


def gold_standard(rng):
    """A row a seed, in random order; test and validation accuracy of the group are the same."""
    n = int(rng.integers(4, 7))
    apart = np.linspace(0.3, 0.7, n)
    gold = pd.DataFrame({"seed": rng.permutation(40)[:n], "UA": rng.permutation(apart),
                         "GA": rng.permutation(apart)})
    return gold.assign(val_GA=gold.GA)


def runs(rng, gold, tables, place):
    """Runs of several λ in random order, and the λ: `tables` says how far each is off the gold standard. The
    first table's λ is the one of that place in their order."""
    lams = np.sort(rng.choice(np.arange(1, 200), len(tables), replace=False) / 8)
    lams = np.r_[lams[place], np.delete(lams, place)]
    rows = pd.concat([gold.assign(lam=lam, **{name: gold[name] + off for name, off in table.items()})
                      for lam, table in zip(lams, tables, strict=True)])
    return rows.sample(frac=1, random_state=int(rng.integers(2**31))), lams


def chosen(ask, rows, gold):
    return ask(CHOOSE, rows=rows.to_dict("list"), gold=gold.to_dict("list"))


def test_choose(ask, rng):
    for place in (0, 4, 1):
        gold = gold_standard(rng)
        small, none = rng.uniform(0.02, 0.04, len(gold)), np.zeros(len(gold))
        swing = rng.uniform(0.3, 0.4) * np.where(np.arange(len(gold)) % 2, 1, -1)
        tables = [{"UA": small, "GA": -small}, {"UA": none, "GA": swing - swing.mean()},
                  {"UA": none - 0.3, "GA": none}, {"UA": none, "GA": none + 0.3},
                  {"UA": none, "GA": none}]
        whys = ("with the λ that you took, some seeds are far too low and others far too high. Compare each "
                "run with the gold standard of its seed, take the absolute value, and only then the mean.",
                "UA counts as well: the λ that you took has forgotten far too much.",
                "the group's accuracy on validation data counts as well as UA.",
                "a run belongs to the gold standard of its seed, wherever that stands in the table.")
        rows, lams = runs(rng, gold, [table | {"val_GA": table["GA"]} for table in tables], place)
        exchanged = gold.assign(lam=lams[4], seed=np.roll(gold.seed, 1))  # right for another seed
        found = chosen(ask, pd.concat([rows[rows["lam"] != lams[4]], exchanged]), gold)
        for lam, why in zip(lams[1:], whys, strict=True):
            assert not same(found, lam), why + " Part 3 has the score."
        assert same(found, lams[0]), f"{found} is none of the λ that there are."


def test_choose_validation(ask, rng):
    for place in (0, 1):
        off = rng.uniform(0.12, 0.16) * rng.choice([-1, 1])  # between the gold standard's accuracies
        alike = gold_standard(rng).assign(UA=rng.uniform(0.4, 0.6), GA=rng.uniform(0.4, 0.6))
        gold = alike.assign(val_GA=alike.GA + off)
        tables = [{"GA": -1.8 * off, "val_GA": rng.uniform(-0.01, 0.01)},
                  {"UA": 0.01, "GA": 0.0, "val_GA": -off}]
        rows, lams = runs(rng, gold, tables, place)
        assert same(chosen(ask, rows, gold), lams[0]), (
            "λ was chosen with a look at GA, the *test* accuracy: what is then reported on the test set is "
            "too good, because it was selected for. Use val_GA, of the runs and of the gold standard.")


# Everyone's own numbers


def own_numbers(mine):
    """The score of the student's λ on the student's seeds, and what it does to GA; and the same of GA in
    place of val_GA."""
    lam = mine.one_of("lam", [3.0, 5.0, 10.0], everyone=1.0)
    seeds = sorted(mine.rng("seeds").permutation(10)[:7].tolist())
    table = results.load("calibration")
    table = table[table.ratio == 0.5]
    of_lam = table[(table.method == "miu") & (table.group_bar == "exact") & (table["lam"] == lam)]
    columns = ["UA", "GA", "val_GA"]
    off = (of_lam.set_index("seed").loc[seeds, columns]
           - table[table.method == "retrain"].set_index("seed").loc[seeds, columns])
    size = off.abs()
    return (float((size.UA + size.val_GA).mean()), float(off.GA.mean()), float((size.UA + size.GA).mean()))


def test_my_shift(ask, rng, mine):
    _, shift, _ = own_numbers(mine)
    found = ask("float(my_shift)")
    assert not same(found, -shift, 1e-5), "the sign is turned round: negative where the group is worse off."
    assert not same(found, 100 * shift, 1e-5), "give a fraction, not points of a hundred."
    assert same(found, shift, 1e-5), (
        "not the mean difference of GA from the gold standard's, of *your* λ and over *your* seeds.")


def test_my_score(ask, rng, mine):
    score, _, of_test = own_numbers(mine)
    found = ask("float(my_score)")
    assert not same(found, of_test, 1e-5), "that is a score of the test set: what chooses is val_GA."
    assert not same(found, 100 * score, 1e-5), "give a fraction, not points of a hundred."
    assert same(found, score, 1e-5), (
        "not the score of *your* λ on *your* seeds: each run against the gold standard of its seed, the two "
        "distances without their sign, their sum, and then the mean. Part 3 has the score.")


# 4. Who was a member?

MEMBERSHIP = "float(membership(losses, groups))"
LEVELS = np.array([0.0, 0.3, 0.9, 1.2])  # of the groups' losses
SHARES = {"retain": (0.6, 0.25, 0.1, 0.05), "val": (0.05, 0.1, 0.25, 0.6), "test": (0.1, 0.2, 0.3, 0.4),
          "forget": (0.4, 0.3, 0.2, 0.1)}


def people(rng):
    """Losses and groups of each part: non-members' are higher, test samples' too low by accident."""
    sizes = dict(zip(SHARES, rng.integers([220, 160, 140, 80], [260, 200, 180, 110]).tolist(), strict=True))
    known = {"retain": 1.0, "val": 0.0, "forget": rng.uniform(0.65, 0.8)}
    groups = {k: rng.choice(4, sizes[k], p=share) for k, share in SHARES.items()}
    losses = {k: LEVELS[g] + rng.uniform(0, 0.35, len(g)) - 0.5 * (k == "test")
              + 0.4 * (rng.random(len(g)) > known.get(k, 1.0)) for k, g in groups.items()}
    return ({k: torch.as_tensor(v, dtype=torch.float32) for k, v in losses.items()},
            {k: torch.as_tensor(v) for k, v in groups.items()})


def test_membership(ask, rng):
    for _ in range(2):
        losses, groups = people(rng)

        def attack(members, others, losses=losses, groups=groups):
            return metrics.mia_efficacy(losses[members], losses[others], losses["forget"], groups[members],
                                        groups[others])

        found, truth = ask(MEMBERSHIP, losses=losses, groups=groups), attack("retain", "val")
        if not same(found, truth):
            assert not same(found, attack("retain", "test")), (
                "the attacker was trained on the test set, which is there to report on and nothing else: "
                "take validation data.")
            assert not same(found, attack("val", "retain")), "members and others are exchanged."
            assert not same(found, 1 - truth), (
                "that is the share taken for members: asked is who of the forget set seems to be none.")
            raise AssertionError(
                f"retained samples are the members, validation samples the others, each with the groups of "
                f"its own, and the forget set is asked about: {truth:.3f} of a drawn case, not {found:.3f}.")
