"""Lab 4: one check for each graded test cell, of the same name.

`ask` evaluates code among the submission's names and returns plain data; `rng` draws all inputs; the right
answer is computed here.
"""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from grmu import metrics
from grmu.analysis import results
from grading.asking import in_process, same
from grmu.mine import MINE, Estimator, table_terms
from grmu.training import Method, predict

FLOAT = 1e-3  # of single-precision sums


def normal(rng, *shape, scale=1.0, mean=0.0):
    return torch.as_tensor(rng.normal(mean, scale, shape), dtype=torch.float32)


def gradients_of(loss, *inputs):
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, gradients, strict=True)]


LOSS_AND_GRADIENTS = """
def numbers(loss, *inputs):
    flows = isinstance(loss, torch.Tensor) and loss.requires_grad
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True) if flows else [None] * len(inputs)
    value = loss.item() if isinstance(loss, torch.Tensor) else float(loss)
    return [value, *(torch.zeros_like(t) if g is None else g for t, g in zip(inputs, gradients))]
"""


# 1. The three terms

UNLEARNING = LOSS_AND_GRADIENTS + """
t.requires_grad_()
numbers(unlearning_loss(t, group, group_bar, floor), t)
"""


def table(rng):
    """T of a batch whose own groups stand out, so that M is well above 0; the own groups, and drawn ones."""
    n, k = int(rng.integers(5, 9)), int(rng.integers(3, 6))
    group = torch.as_tensor(rng.integers(0, k, n))
    return {"t": normal(rng, n, k) + 1.5 * nn.functional.one_hot(group, k), "group": group,
            "group_bar": drawn_groups(rng, group, k)}


def drawn_groups(rng, group, k):
    """Uniform draws over k groups, of which the first half differ from the samples' own."""
    group_bar, half = torch.as_tensor(rng.integers(0, k, len(group))), len(group) // 2 + 1
    group_bar[:half] = (group[:half] + torch.as_tensor(rng.integers(1, k, half))) % k
    return group_bar


def bound(t, group, group_bar):
    joint, log_partition = table_terms(t, group, group_bar)
    return joint - log_partition


def test_unlearning(ask, rng):
    level, inputs = normal(rng).item(), table(rng)
    value, _ = ask(UNLEARNING, **inputs | {"t": torch.full_like(inputs["t"], level)}, floor=-20.0)
    assert same(value, 0.0, FLOAT), (
        "T that is the same everywhere says nothing about the groups, so M is 0: is the log-mean-exp the log "
        "of a *mean*, over the drawn groups?")
    (value, _), m = ask(UNLEARNING, **inputs, floor=-20.0), bound(**inputs).item()
    whole = bound(inputs["t"], inputs["group"], None).item()
    assert not same(abs(value), abs(whole), FLOAT), (
        "the log-mean-exp is over the drawn groups, one per sample, and not over the whole table.")
    assert same(abs(value), abs(m), FLOAT), (
        "a wrong bound on a drawn table: mean over each sample's own group, minus one log-mean-exp over each "
        "sample's drawn group. Lesson 3.2.")


def test_unlearning_sign(ask, rng):
    inputs = table(rng)
    _, gradient = ask(UNLEARNING, **inputs, floor=-20.0)
    leaf = inputs["t"].clone().requires_grad_()
    (expected,) = gradients_of(bound(leaf, inputs["group"], inputs["group_bar"]), leaf)
    assert bool(gradient.any()), "no gradient flows above the floor, so nothing is unlearned."
    assert not same(gradient, -expected, FLOAT), (
        "the sign is wrong: the optimiser goes *down* the loss, and now it raises what the features of the "
        "forget set reveal about the group. Above its floor the loss is M, not -M. Lesson 5.1.")
    assert same(gradient, expected, FLOAT), (
        "a wrong gradient above the floor: both terms of M depend on T, and nothing in them is detached.")


def test_unlearning_floor(ask, rng):
    n, k, g = int(rng.integers(5, 9)), int(rng.integers(3, 6)), int(rng.integers(3))
    t, floor, group = normal(rng, n, k, scale=0.1), -rng.uniform(0.5, 1.2), torch.full((n,), g)
    t[:, g] -= rng.uniform(3.0, 4.0)
    inputs = {"t": t, "group": group, "group_bar": drawn_groups(rng, group, k)}
    value, gradient = ask(UNLEARNING, **inputs, floor=floor)
    assert same(value, floor, FLOAT), (
        f"M is {bound(**inputs):.2f} here and the floor {floor:.2f}: the loss is the floor, not {value:.2f}.")
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
        value, gradient, _ = ask(CALIBRATION, mi=mi, original=original, lam=lam)
        d = mi - original
        assert not same(value, lam * d * d, FLOAT), (
            "the difference is squared, as in Eq. 6: this variant takes its absolute value.")
        assert same(value, lam * abs(d), FLOAT), (
            f"λ = {lam:.2f}, {mi:.2f} nats where the original has {original:.2f}: the loss is "
            f"{lam * abs(d):.3f}, not {value:.3f}. Too little information costs as much as too much.")
        assert same(gradient, math.copysign(lam, d), FLOAT), (
            "the model's own estimate gets a wrong gradient, or none: detach the other one, the target.")


def test_calibration_target(ask, rng):
    gradients = [ask(CALIBRATION, mi=mi, original=original, lam=lam)[1:]
                 for mi, original, lam in calibrations(rng)]
    assert any(bool(of_own.any()) for of_own, _ in gradients), (
        "no gradient reaches the model's own estimate, so it learns nothing.")
    assert not any(bool(of_target.any()) for _, of_target in gradients), (
        "a gradient flows into the original's estimate: it is the target; detach it, or the target "
        "moves towards the model. Lesson 5.2.")


def test_retaining(ask, rng):
    n, k = int(rng.integers(5, 9)), int(rng.integers(3, 6))
    logits, y = normal(rng, n, k, scale=2), torch.as_tensor(rng.integers(0, k, n))
    value, gradient = ask(LOSS_AND_GRADIENTS + "logits.requires_grad_()\n"
                          "numbers(retaining_loss(logits, y), logits)", logits=logits, y=y)
    leaf = logits.clone().requires_grad_()
    truth = nn.functional.cross_entropy(leaf, y)
    assert not same(value, nn.functional.cross_entropy(logits.softmax(1), y).item(), FLOAT), (
        "softmax twice: cross_entropy takes logits, not probabilities.")
    assert not same(value, n * truth.item(), FLOAT), (
        "the mean over the batch, not the sum: otherwise λ depends on the batch size.")
    assert same(value, truth.item(), FLOAT), (
        f"the mean cross-entropy is {truth.item():.3f} on a drawn batch, not {value:.3f}.")
    assert same(gradient, gradients_of(truth, leaf)[0], FLOAT), (
        "the value is right but the gradient is not: nothing in this loss is detached.")


# 2. The method: its losses, their gradients and its steps, on drawn tiny networks

TOY = """
import torch
from torch import nn

from grmu import data
from grmu.models import Classifier
from grmu.training import Batch, Context, TrainConfig


def with_weights(module, weights):
    with torch.no_grad():
        for p, values in zip(module.parameters(), weights, strict=True):
            p.copy_(values)
    return module


def classifier(weights):
    return with_weights(Classifier(nn.Linear(5, 6), 6, 2), weights)


train = data.GroupedDataset(x, y, a)
split = data.split_forget(train, 0.5, [forget], seed=seed)
model, original = classifier(of_model), classifier(of_original).requires_grad_(False).eval()
method = MyMIU(lam=lam, floor=floor)
method.setup(Context(model, original, train, split.retain, split.forget, torch.Generator().manual_seed(seed),
                     TrainConfig(), None, split.retain_index))
with_weights(method.mine.network, of_mine)
with_weights(method.mine_original.network, of_mine_original).requires_grad_(True)
part = split.forget if loss == "forget_loss" else split.retain
order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))[:16]
batch = Batch(part.x[order], part.y[order], part.group[order], order)

method.context.rng.manual_seed(seed)  # whatever was drawn before, the groups are the same
value = getattr(method, loss)(batch)
watched = [*model.parameters(), *method.mine_original.network.parameters()]
flows = value.requires_grad
gradients = torch.autograd.grad(value, watched, allow_unused=True) if flows else [None] * len(watched)
gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(watched, gradients)]
of_target = max(g.abs().max().item() for g in gradients[4:])

method.mine_original.network.requires_grad_(False)
optimizer = torch.optim.SGD(model.parameters(), 0.02)
for _ in range(3):
    step = getattr(method, loss)(batch)
    optimizer.zero_grad()
    if step.requires_grad:
        step.backward()
    optimizer.step()
[value.item(), gradients[:4], [p.detach() for p in model.parameters()], of_target]
"""


@dataclass
class Reference(Method):
    """The variant of MIU that the lab asks for."""

    lam: float = 1.0
    floor: float = -2.0

    def setup(self, context):
        super().setup(context)
        shape = self.model.n_features, context.train.n_groups
        self.mine, self.mine_original = (
            Estimator(MINE(*shape), 0.004, context.rng, "uniform") for _ in range(2))
        z = predict(context.original.features, context.original, context.train.x)
        self.z_original = z[context.retain_index]

    def forget_loss(self, batch):
        return self.mine.bound(self.model.features(batch.x), batch.group).clamp(min=self.floor)

    def parts(self, batch, draws=(0, 0)):
        """Cross-entropy; the model's M; the original's, by its own estimator and by the other one.

        Args:
            batch: A batch of the retain set.
            draws: Which draw of the groups each of the two models gets, 0 for the first.
        """
        z, z_original = self.model.features(batch.x), self.z_original[batch.index]
        drawn = [self.mine.draw(batch.group) for _ in range(max(draws) + 1)]
        ours, theirs = ((batch.group, drawn[i]) for i in draws)
        return (nn.functional.cross_entropy(self.model.head(z), batch.y), self.mine.bound(z, *ours),
                self.mine_original.bound(z_original, *theirs).detach(),
                self.mine.bound(z_original, *theirs).detach())

    def retain_loss(self, batch):
        ce, m, m_o, _ = self.parts(batch)
        return ce + self.lam * (m - m_o).abs()


class OnlyCE(Reference):
    def retain_loss(self, batch):
        return self.parts(batch)[0]


class OnlyCalibration(Reference):
    def retain_loss(self, batch):
        _, m, m_o, _ = self.parts(batch)
        return self.lam * (m - m_o).abs()


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


class TwoDraws(Reference):
    def retain_loss(self, batch, draws=(0, 1)):
        ce, m, m_o, _ = self.parts(batch, draws)
        return ce + self.lam * (m - m_o).abs()


class TwoDrawsTargetFirst(TwoDraws):
    def retain_loss(self, batch):
        return super().retain_loss(batch, (1, 0))


class Unordered(Reference):
    def retain_loss(self, batch):
        return super().retain_loss(replace(batch, index=torch.arange(len(batch.y))))


class Signed(Reference):
    def retain_loss(self, batch):
        _, m, m_o, _ = self.parts(batch)
        return m - m_o


ONE_DRAW = "the two estimates have different draws of ḡ: draw once, and pass the draw to both."
MISTAKEN = {
    TwoDraws: ONE_DRAW,
    TwoDrawsTargetFirst: ONE_DRAW,
    Unordered: "the original's features are in the retain set's order: a batch's are those at batch.index.",
    OneEstimator: "self.mine judged the original's features, but it was fitted to the model's: each model "
                  "has its own estimator.",
    OnlyCE: "only the cross-entropy: the calibration term is missing.",
    OnlyCalibration: "only the calibration: the retaining cross-entropy is missing.",
    Squared: "the difference is squared, as in Eq. 6: this variant takes its absolute value.",
    NoWeight: "λ does not matter in your loss."}


def right(method, loss, inputs):
    """Return what the probe measures of a method of ours."""
    return in_process({"MyMIU": method})(TOY, loss=loss, **inputs)


def networks(rng):
    """Weights of a model, an original and their two estimators, and 32 samples of four groups."""
    def mine():
        return [normal(rng, 512, 10), normal(rng, 512, scale=0.5), normal(rng, 1, 512, scale=0.06),
                normal(rng, 1)]

    def model():
        return [normal(rng, 6, 5, scale=0.4), normal(rng, 6), normal(rng, 2, 6), normal(rng, 2)]

    order = torch.as_tensor(rng.permutation(32))
    return {"of_model": model(), "of_original": model(), "of_mine": mine(), "of_mine_original": mine(),
            "x": normal(rng, 32, 5), "y": order // 2 % 2, "a": order % 2, "seed": int(rng.integers(2**31)),
            "forget": rng.integers(0, 2, 2).tolist(), "lam": rng.uniform(2.0, 4.0), "floor": -50.0}


@functools.cache
def telling_networks(seed, sign):
    """Draw networks on which every mistake that has a message of its own changes the loss.

    Args:
        seed: Of the draw.
        sign: Whether the model's M is above the original's (1) or below it (-1).

    Returns:
        The inputs of the probe, what it measures of the right method by loss, and the mistaken losses.
    """
    rng = np.random.default_rng(seed)
    while True:
        inputs = networks(rng)
        forget = right(Reference, "forget_loss", inputs)
        if sign * right(Signed, "retain_loss", inputs)[0] < 0.15 or abs(forget[0]) < 0.2:
            continue
        retain = right(Reference, "retain_loss", inputs)
        mistaken = {method: right(method, "retain_loss", inputs)[0] for method in MISTAKEN}
        if min(abs(retain[0] - value) for value in mistaken.values()) > 0.1:
            return inputs, {"forget_loss": forget, "retain_loss": retain}, mistaken


def drawn_networks(rng, sign):
    return telling_networks(int(rng.integers(2**31)), sign)


def asked(ask, loss, inputs):
    return ask(TOY, loss=loss, **inputs)


def test_method_forget(ask, rng):
    inputs, truths, _ = drawn_networks(rng, 1)
    m, gradients, after, _ = truths["forget_loss"]
    value, its_gradients, its_after, _ = asked(ask, "forget_loss", inputs)
    assert not same(value, -m, FLOAT), (
        "forget_loss is -M: training would raise what the forgotten samples' features reveal about their "
        "group.")
    assert same(value, m, FLOAT), (
        f"forget_loss is M of the forget batch's features by the model's own estimator, {m:.3f} for drawn "
        f"networks, not {value:.3f}. Lesson 5.1.")
    assert all(map(near, its_gradients, gradients)), (
        "the value is right but the gradient is not: it must reach the model, through its features.")
    assert all(map(near, its_after, after)), "three steps of your loss lead to other weights than those of M."
    floor = m + rng.uniform(3, 6)
    value, its_gradients, its_after, _ = asked(ask, "forget_loss", inputs | {"floor": floor})
    assert same(value, floor, FLOAT), (
        f"the floor is {floor:.2f}, far above M, but your forget_loss ignores it.")
    assert not any(bool(g.any()) for g in its_gradients), "below the floor a gradient still pushes."
    assert all(map(near, its_after, inputs["of_model"])), "below the floor no step may move the model."


def test_method_retain(ask, rng):
    for sign in (1, -1):
        inputs, truths, mistaken = drawn_networks(rng, sign)
        truth, gradients, after, _ = truths["retain_loss"]
        loss, its_gradients, its_after, _ = asked(ask, "retain_loss", inputs)
        for method, wrong in mistaken.items():
            assert not same(loss, wrong, FLOAT), MISTAKEN[method]
        assert same(loss, truth, FLOAT), (
            f"cross-entropy + λ |M - M of the original| is {truth:.3f} for drawn networks, not {loss:.3f}. "
            "Lesson 5.2.")
        assert all(map(near, its_gradients, gradients)), (
            "the value is right but the gradient is not: both terms train the model, through its features.")
        assert all(map(near, its_after, after)), (
            "three steps of your loss lead to other weights than they should.")


def test_method_target(ask, rng):
    _, gradients, _, of_target = asked(ask, "retain_loss", drawn_networks(rng, -1)[0])
    assert any(bool(g.any()) for g in gradients), "no gradient reaches the model, so it learns nothing."
    assert same(of_target, 0.0, 1e-9), (
        "a gradient flows into the estimator of the original: its estimate is the target, detach it.")


def near(value, expected):
    return same(value, expected, FLOAT)


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
        lam_chosen = chosen(ask, pd.concat([rows[rows["lam"] != lams[4]], exchanged]), gold)
        for lam, why in zip(lams[1:], whys, strict=True):
            assert not same(lam_chosen, lam), why + " Part 3 has the score."
        assert same(lam_chosen, lams[0]), f"{lam_chosen} is not among the λ of the table."


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
    """Return the score of the student's λ on the student's seeds, its effect on GA, and the score with GA in
    place of val_GA."""
    lam = mine.one_of("lam", [3.0, 5.0, 10.0], everyone=1.0)
    seeds = sorted(mine.rng("seeds").permutation(10)[:7].tolist())
    table = results.load("calibration")
    table = table[table.ratio == 0.5]
    of_lam = table[(table.method == "miu") & (table["lam"] == lam)]
    columns = ["UA", "GA", "val_GA"]
    off = (of_lam.set_index("seed").loc[seeds, columns]
           - table[table.method == "retrain"].set_index("seed").loc[seeds, columns])
    size = off.abs()
    return (float((size.UA + size.val_GA).mean()), float(off.GA.mean()), float((size.UA + size.GA).mean()))


def test_my_shift(ask, rng, mine):
    _, shift, _ = own_numbers(mine)
    answer = ask("float(my_shift)")
    assert not same(answer, -shift, 1e-5), "the sign is wrong: negative where the group is worse off."
    assert not same(answer, 100 * shift, 1e-5), "give a fraction, not points of a hundred."
    assert same(answer, shift, 1e-5), (
        "not the mean difference of GA from the gold standard's, of *your* λ and over *your* seeds.")


def test_my_score(ask, rng, mine):
    score, _, of_test = own_numbers(mine)
    answer = ask("float(my_score)")
    assert not same(answer, of_test, 1e-5), "that is a score of the test set: λ is chosen with val_GA."
    assert not same(answer, 100 * score, 1e-5), "give a fraction, not points of a hundred."
    assert same(answer, score, 1e-5), (
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

        share, truth = ask(MEMBERSHIP, losses=losses, groups=groups), attack("retain", "val")
        if not same(share, truth):
            assert not same(share, attack("retain", "test")), (
                "the attacker was trained on the test set, which is for reporting only: use validation "
                "data.")
            assert not same(share, attack("val", "retain")), "members and others are exchanged."
            assert not same(share, 1 - truth), (
                "that is the share classified as members: return the share classified as non-members.")
            raise AssertionError(
                f"retained samples are the members and validation samples the others, each with their own "
                f"groups, and the forget set is attacked: {truth:.3f} in a drawn case, not {share:.3f}.")
