"""The project: wrong methods with what each loses, and right ones in another style."""

HEAD = """
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.methods import register
from grmu.settings import one_of, within
from grmu.training import Batch, Context, Method


@dataclass
class MyMethod(Method):
    \"\"\"Gradient ascent, a little.\"\"\"

    step: float = within(0, 10, default=0.1)
    forget_epochs: int = within(0, 1000, default=1)

    def ascent(self, batch):
        return -self.step * nn.functional.cross_entropy(self.model(batch.x), batch.y)

    def forget_loss(self, batch):
        return self.ascent(batch)
"""
TAIL = """

register("mine", MyMethod)
"""

# name: ({grade_id of the answer: wrong source}, {grade_id of the test: points lost})
MISCONCEPTIONS = {
    "no word of what it does": (
        {"method": HEAD.replace('    """Gradient ascent, a little."""\n\n', "") + TAIL}, {"test_method": 2}),
    "settings unchecked": (
        {"method": HEAD.replace("within(0, 10, default=0.1)", "0.1") + TAIL},
        {"test_settings": 2}),
    "the original is trained as well": ({"method": HEAD + """
    def setup(self, context):
        super().setup(context)
        for p in context.original.parameters():
            p.data.mul_(0.9)
""" + TAIL}, {"test_losses": 3}),
    "noise from the global generator": ({"method": HEAD + """
    def retain_loss(self, batch):
        return super().retain_loss(batch) * torch.rand(())

    def setup(self, context):
        super().setup(context)
        for p in context.model.parameters():
            p.data.add_(0.01 * torch.randn_like(p))
""" + TAIL}, {"test_repeatable": 2}),
    "a sampling of its own": ({"method": HEAD + """
    def sampling_weights(self):
        return torch.full((len(self.context.retain),), 1 / len(self.context.retain))
""" + TAIL}, {"test_reweight": 2}),
    "a state that is not kept": ({"method": HEAD + """
    def setup(self, context):
        super().setup(context)
        self.scale = torch.ones(())

    def retain_loss(self, batch):
        self.scale = self.scale * 0.9
        return self.scale * super().retain_loss(batch)
""" + TAIL}, {"test_resume": 2}),
}

SECOND = {"method": HEAD + """
    def setup(self, context):
        super().setup(context)
        self.mean = torch.zeros(())
        head = self.model.head[-1] if isinstance(self.model.head, nn.Sequential) else self.model.head
        noise = torch.randn(head.weight.shape, generator=context.rng)
        with torch.no_grad():
            head.weight.add_(0.01 * noise)

    def state(self):
        return {"mean": self.mean}

    def retain_loss(self, batch):
        loss = super().retain_loss(batch)
        self.mean.mul_(0.9).add_(0.1 * loss.detach())
        return loss + 0.01 * (loss - self.mean) ** 2
""" + TAIL}
