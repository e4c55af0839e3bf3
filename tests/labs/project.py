"""The project: wrong methods with the points that each loses, and a right one in another style."""

FILE = """import torch
from grmu.training import Method, dataclass, nn
from grmu.data.checks import within
from grmu.methods import register

@dataclass
class MyMethod("""
ABOUT = '    """Lower the accuracy on the forget set."""\n    forget_epochs: int = within(0, 99, default=5)\n'
CAP = """    cap: float = within(0.001, 1, default=0.02)
    def forget_loss(self, batch):
        log_p = -nn.functional.cross_entropy(self.model(batch.x), batch.y, reduction="none")
        return (log_p - torch.tensor(self.cap).log()).clamp(min=0).mean()
"""
BEHAVIOUR = {"test_forgets": 3, "test_keeps": 3}
ALL = dict(BEHAVIOUR, test_method=1, test_settings=1, test_losses=2, test_repeatable=1, test_reweight=1,
           test_resume=1)


def answer(body=ABOUT + CAP, more="", base="Method", **settings):
    """Return a file with this class, and settings; by default, those of a right answer."""
    return {"method": f'{FILE}{base}):\n{body}{more}\n\nregister("mine", MyMethod)\n',
            "memorised_settings": f"memorised_settings = {settings}"}


def hook(name, *lines):
    """Return the source of a method of the class; a `setup` does this after the usual."""
    first = ("super().setup(context)",) if name == "setup(self, context)" else ()
    return f"    def {name}:\n" + "".join(f"        {line}\n" for line in first + lines)


def losses(forget, retain="nn.functional.cross_entropy(out, batch.y)"):
    """Return a class whose losses are these functions of `out`, the logits."""
    return ABOUT + hook("forget_loss(self, batch)", "out = self.model(batch.x)", f"return {forget}") + hook(
        "retain_loss(self, batch)", "out = self.model(batch.x)", f"return {retain}")


def fine_tuning(*lines):
    """Return a class without a forget pass that does this after every step."""
    return ABOUT.replace("default=5", "default=0") + hook("after_step(self)", "pass", *lines)


SETUP, ASCENT = "setup(self, context)", "-nn.functional.cross_entropy(out, batch.y)"
NOISE = "p.data.add_(0.002 * torch.randn(p.shape, generator=self.context.rng) * p.norm())"
# title: ({grade_id of the answer: wrong source}, {grade_id of the test: points lost})
MISCONCEPTIONS = {
    "no docstring": (answer((ABOUT + CAP).split("\n", 1)[1]), {"test_method": 1}),
    "the retain pass includes the forget set": (answer(more='    trains_on = "train"\n'), {"test_method": 1}),
    "settings that accept any value": (
        answer(ABOUT + CAP.replace("within(0.001, 1, default=0.02)", "0.02")), {"test_settings": 1}),
    "the original model is changed as well": (
        answer(more=hook(SETUP, "context.original.head.weight.data.mul_(0.9)")), {"test_losses": 2}),
    "noise from the global generator": (
        answer(more=hook(SETUP, "self.model.head.bias.data.add_(torch.rand(()))")), {"test_repeatable": 1}),
    "a shuffle in place of REWEIGHT's draw": (
        answer(more=hook("sample_epoch(self)", "n, rng = len(self.context.retain), self.context.rng",
                         "return torch.randperm(n, generator=rng)")), {"test_reweight": 1}),
    "a state that is not saved": (
        answer(more=hook(SETUP, "self.k = 1") + hook("after_step(self)", "self.k *= 0.99") + hook(
            "retain_loss(self, batch)", "return self.k * super().retain_loss(batch)")), {"test_resume": 1}),
    "a cap that stops too early": (answer(cap=0.25), BEHAVIOUR),
    "a cap without an effect": (answer(cap=0.9), ALL),
    "a loss for each sample": (answer(ABOUT + CAP.replace(".mean()", "")), ALL),
    "the mean of the logits, and its square": (answer(losses("out.mean()", "out.mean() ** 2")), ALL),
    "a class without losses": (answer(fine_tuning()), ALL),
    "the original model unchanged": (
        answer(fine_tuning("self.model.load_state_dict(self.original.state_dict())")), ALL),
    "a new last layer": (
        answer(fine_tuning("self.model.head.weight.data.normal_(generator=self.context.rng)")), ALL),
    "noise on all weights": (answer(fine_tuning("for p in self.model.parameters():", "    " + NOISE)), ALL),
    "a subclass of MIU": (answer(ABOUT, base="__import__('grmu').methods.MIU", mine_lr=0.03), ALL),
}
SECOND = answer(losses(ASCENT), hook(
    SETUP, "self.steps, draw = nn.Buffer(torch.zeros(())), torch.rand((), generator=context.rng)",
    "self.model.head.weight.data.mul_(1 + 0.01 * draw)") + hook("after_step(self)", "self.steps += 1"),
    forget_epochs=2)
