"""Test what needs a GPU; without one, each test is skipped with a reason."""

import copy

import numpy as np
import pytest
import torch
from conftest import same_state, state_of

from grmu import methods, models, training
from grmu.data import GroupedDataset, split_forget
from grmu.data.memmap import CropTransform, MemmapSamples, Storage
from grmu.models import Network
from grmu.numerics import fixed_threads

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
CONFIG = training.TrainConfig(epochs=2, lr=0.01, batch_size=32, augment=True)


def stored(resident: bool) -> GroupedDataset:
    """256 random pictures in an array that is uploaded whole or streamed."""
    storage = Storage(np.random.default_rng(0).integers(0, 256, (256, 72, 72, 3), dtype=np.uint8),
                      pictures=True)
    storage.resident_share = 0.6 if resident else 0.0
    group = np.random.default_rng(1).integers(0, 4, 256)
    samples = MemmapSamples(storage, torch.arange(256), CropTransform(64, 64, 64))
    return GroupedDataset(samples, group // 2, group % 2)


def trained(method: training.Method, resident: bool = True, precision: str = "bf16") -> dict:
    """Return the weights after two epochs on the GPU."""
    data = stored(resident)
    split = split_forget(data, 0.5, [(1, 1)])
    original = models.build(Network("resnet18", precision=precision), data, 0).cuda()
    parts = (part.to("cuda") for part in (data, split.retain, split.forget))
    context = training.Context(copy.deepcopy(original), original.eval().requires_grad_(False), *parts,
                               torch.Generator().manual_seed(0), CONFIG,
                               retain_index=split.retain_index.cuda())
    with fixed_threads():  # and kernels that repeat themselves
        training.train(method, context)
    return state_of(context.model)


def test_streamed_pictures_are_those_of_the_uploaded_array():
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    one, other = (torch.cat(list(stored(resident).to("cuda").x.batches(order, 50)))
                  for resident in (True, False))
    assert one.device.type == "cuda"
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["finetune", "salun", "scrub", "miu"])
def test_the_same_run_gives_the_same_weights_streamed_or_not(name):
    first, again, streamed = (trained(methods.get(name)(), resident) for resident in (True, True, False))
    assert same_state(first, again)
    assert same_state(first, streamed)


@pytest.mark.parametrize("name", ["finetune", "l1_sparse", "salun", "scrub", "miu"])
@pytest.mark.parametrize("resident", [True, False])
def test_no_step_waits_for_the_gpu(name, resident):
    class Watched(methods.get(name)):
        """A method that fails if the program waits for the GPU after the first step of a retain pass."""

        steps = 0

        def retain_loss(self, batch):
            self.steps += 1
            if self.steps % 8 == 2:
                torch.cuda.set_sync_debug_mode("error")
            return super().retain_loss(batch)

        def after_step(self):
            super().after_step()
            if self.steps % 8 == 6:
                torch.cuda.set_sync_debug_mode("default")

    try:
        trained(Watched(), resident)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_sixteen_bits_stay_near_thirty_two():
    data = stored(True).to("cuda")
    logits = [models.build(Network("resnet18", precision=p), data, 0).cuda().eval()(data.x[:32])
              for p in ("bf16", "fp32")]
    assert (logits[0] - logits[1]).abs().max() < 0.1 * logits[1].abs().max()
    assert not torch.equal(*logits)


