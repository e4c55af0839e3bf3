"""The project: wrong methods with what each loses, and right ones in another style."""

FILE = """
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data.checks import one_of, within
from grmu.methods import register
from grmu.training import Batch, Context, Method

"""
HEAD = """
@dataclass
class MyMethod(Method):
    \"\"\"Ascent on the forgotten down to a cap, a little.\"\"\"

    cap: float = within(0.001, 1, default=0.6)
    forget_epochs: int = within(0, 1000, default=5)
"""
FORGET = """
    def forget_loss(self, batch):
        log_p = -nn.functional.cross_entropy(self.model(batch.x), batch.y, reduction="none")
        return (log_p - torch.tensor(self.cap).log()).clamp(min=0).mean()
"""
TAIL = """

register("mine", MyMethod)
"""
BEHAVIOUR = {"test_forgets": 3, "test_keeps": 3}
TRAINS = {"test_losses": 2, "test_repeatable": 1, "test_reweight": 1, "test_resume": 1} | BEHAVIOUR


def answer(more="", head=HEAD, forget=FORGET, tail=TAIL):
    """The file with a method that is right but for what is given."""
    return {"method": FILE + head + forget + more + tail}


def setup(*lines):
    """A setup that does this as well."""
    return "\n    def setup(self, context):\n        super().setup(context)\n" + "".join(
        f"        {line}\n" for line in lines)


def retain(*lines):
    """A retain loss of these lines."""
    return "\n    def retain_loss(self, batch):\n" + "".join(f"        {line}\n" for line in lines)


# name: ({grade_id of the answer: wrong source}, {grade_id of the test: points lost})
MISCONCEPTIONS = {
    "no word of what it does": (
        answer(head=HEAD.replace('    """Ascent on the forgotten down to a cap, a little."""\n\n', "")),
        {"test_method": 1}),
    "the retain pass goes over everyone": (answer('\n    trains_on = "train"\n'), {"test_method": 1}),
    "starts from fresh weights": (answer('\n    init_from = None\n'), {"test_method": 1}),
    "another class is registered": (
        answer(tail='\n\n@dataclass\nclass Other(MyMethod):\n    pass\n\n\nregister("mine", Other)\n'),
        {"test_method": 1}),
    "no dataclass": (
        answer(head=HEAD.replace("@dataclass\n", "").replace("within(0.001, 1, default=0.6)", "0.05")
               .replace("within(0, 1000, default=5)", "5"))
        | {"memorised_settings": "memorised_settings = {}"},
        {"test_method": 1, "test_settings": 1}),
    "settings unchecked": (
        answer(head=HEAD.replace("within(0.001, 1, default=0.6)", "0.6")), {"test_settings": 1}),
    "a check of one's own in place of the others": (
        answer("\n    def __post_init__(self):\n        assert self.forget_epochs != -1\n"),
        {"test_settings": 1}),
    "a range that words do not have": (
        answer("\n    def __post_init__(self):\n        if not 0 < self.cap <= 1:\n"
               '            raise ValueError(f"cap is {self.cap}")\n'), {"test_settings": 1}),
    "a message that names no setting": (
        answer("\n    def __post_init__(self):\n        try:\n            super().__post_init__()\n"
               '        except ValueError:\n            raise ValueError("a bad value") from None\n'),
        {"test_settings": 1}),
    "the original is trained as well": (
        answer(setup("for p in context.original.parameters():", "    p.data.mul_(0.9)")), {"test_losses": 2}),
    "gradients flow into the original": (
        answer(setup("context.original.requires_grad_(True)") + retain(
            "off = (self.model(batch.x) - self.original(batch.x)) ** 2",
            "return super().retain_loss(batch) + 0.001 * off.mean()")), {"test_losses": 2}),
    "the original in training mode": (
        answer(setup("context.original.train()")), {"test_losses": 2}),
    "the forget loss is detached": (
        answer(forget=FORGET.replace("self.model(batch.x)", "self.model(batch.x).detach()")), TRAINS),
    "a loss for each sample": (answer(forget=FORGET.replace(".mean()", "")), TRAINS),
    "noise from the global generator": (answer(setup(
        "for p in context.model.parameters():", "    p.data.add_(0.001 * torch.randn_like(p))")),
        {"test_repeatable": 1}),
    "noise from numpy": (answer(setup(
        "import numpy", "for p in context.model.parameters():",
        "    p.data.mul_(1 + 0.001 * numpy.random.randn())")), {"test_repeatable": 1}),
    "batches left out by random": (answer(retain(
        "import random", "return super().retain_loss(batch) * (0.9 + 0.2 * random.random())")),
        {"test_repeatable": 1, "test_resume": 1}),
    "something stays in the class": (answer("\n    runs = []\n" + setup("self.runs.append(0)") + retain(
        "return super().retain_loss(batch) * (1 + 0.01 * len(self.runs))")),
        {"test_repeatable": 1, "test_resume": 1}),
    "a sampling of its own": (answer("""
    def sample_epoch(self):
        return torch.randperm(len(self.context.retain), generator=self.context.rng)
"""), {"test_reweight": 1}),
    "groups balanced": (answer("""
    def sample_epoch(self):
        from grmu.methods.balanced import RWG
        return RWG.sample_epoch(self)
"""), {"test_reweight": 1}),
    "the weights are thrown away": (answer(setup("context.weights = None")), {"test_reweight": 1}),
    "a state that is not kept": (answer(setup("self.scale = torch.ones(())") + retain(
        "self.scale = self.scale * 0.99", "return self.scale * super().retain_loss(batch)")),
        {"test_resume": 1}),
    "epochs counted by the method": (answer("""
    done = 0

    def before_epoch(self, epoch):
        self.done += 1
        return {}
""" + retain("return super().retain_loss(batch) * (1 - 0.1 * self.done)")), {"test_resume": 1}),
    "an average that is not kept": (answer(setup("self.mean = torch.zeros(())") + retain(
        "loss = super().retain_loss(batch)", "self.mean = 0.9 * self.mean + 0.1 * loss.detach()",
        "return loss + 0.01 * (loss - self.mean) ** 2")), {"test_resume": 1}),
    "fine-tuning by another name": (
        {"method": FILE + HEAD.replace("default=5", "default=0") + FORGET + TAIL},
        {"test_losses": 2} | BEHAVIOUR),
    "losses of nothing": (
        answer(retain("return 0 * self.model(batch.x).sum()"),
               forget="\n    def forget_loss(self, batch):\n        return 0 * self.model(batch.x).sum()\n"),
        BEHAVIOUR),
    "the sign of the forget loss": (answer(forget=FORGET.replace("return (", "return -(")), BEHAVIOUR),
    "a cap that holds too early": (
        answer() | {"memorised_settings": 'memorised_settings = {"cap": 0.9}'}, BEHAVIOUR),
    "the forgotten in place of the retained": (
        answer(retain("x, y = self.context.forget.x, self.context.forget.y",
                      "return nn.functional.cross_entropy(self.model(x), y)")), BEHAVIOUR),
    "wrong labels for the retained, too": (
        answer(retain("logits, other = self.model(batch.x), (batch.y + 1) % self.context.train.n_classes",
                      "return super().retain_loss(batch) + nn.functional.cross_entropy(logits, other)")),
        {"test_keeps": 3}),
}

# What those mutants lose that every lab has: a class without losses is still a class, with settings
GENERIC = {"method: None": TRAINS, "method: a constant": TRAINS}

SECOND = {"method": FILE + """
@dataclass
class MyMethod(Method):
    \"\"\"Ascent and descent at once, a few epochs; a head with noise; an average that is kept.\"\"\"

    forget_epochs: int = within(0, 1000, default=2)
    kind: str = one_of("ascent", "nothing")

    def forget_loss(self, batch):
        gone = nn.functional.cross_entropy(self.model(batch.x), batch.y)
        return -gone if self.kind == "ascent" else 0 * gone

    def setup(self, context):
        super().setup(context)
        self.mean = nn.Buffer(torch.zeros(()))
        head = self.model.head[-1] if isinstance(self.model.head, nn.Sequential) else self.model.head
        noise = torch.randn(head.weight.shape, generator=context.rng)
        with torch.no_grad():
            head.weight.add_(0.01 * noise)

    def retain_loss(self, batch):
        loss = super().retain_loss(batch)
        self.mean.mul_(0.9).add_(0.1 * loss.detach())
        return loss + 0.01 * (loss - self.mean) ** 2
""" + TAIL, "memorised_settings": "memorised_settings = {}"}
