"""Test that `MemmapSamples` is indexed, split and batched like a plain tensor, with the same results.

The tests that need a GPU (uploaded whole, or streamed) are in test_cuda.py.
"""


import numpy as np
import pytest
import torch
from conftest import same_state, state_of

from grmu import methods, metrics, models, training
from grmu.data import GroupedDataset, split_forget
from grmu.data.memmap import CropTransform, MemmapSamples, Storage, cut
from grmu.models import Network
from grmu.numerics import fixed_threads

N = 90


@pytest.fixture(scope="module")
def array(tmp_path_factory) -> np.memmap:
    """Random pictures (N, height, width, channel) in a memory-mapped file."""
    path = tmp_path_factory.mktemp("rows") / "pictures.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (N, 20, 16, 3), dtype=np.uint8))
    return np.load(path, mmap_mode="r")


@pytest.fixture
def plain(array) -> torch.Tensor:
    """The same pictures as a tensor for networks."""
    return torch.from_numpy(np.array(array)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture
def rows(array) -> MemmapSamples:
    return MemmapSamples(Storage(array, pictures=True), torch.arange(N), CropTransform(16, 16, 16))


def labels() -> tuple[torch.Tensor, torch.Tensor]:
    group = torch.from_numpy(np.random.default_rng(1).integers(0, 4, N))
    return group // 2, group % 2


# --- as a tensor --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [
    slice(None), slice(3, 40, 7), slice(-5, None), torch.tensor([5, 2, 2, 89]), torch.arange(N) % 3 == 0,
    torch.tensor([], dtype=torch.long)], ids=str)
def test_indexing_is_plain_indexing(index, rows, plain):
    assert torch.equal(rows[index], plain[index])


@pytest.mark.parametrize("index", [0, 41, -1, np.int64(7), torch.tensor(3)], ids=str)
def test_one_sample_has_no_first_dimension(index, rows, plain):
    assert torch.equal(rows[index], plain[index])


def test_a_selection_of_a_selection_is_the_tensors(rows, plain):
    first, second = torch.tensor([70, 3, 3, 15, 88]), torch.tensor([4, 1, 0])
    chosen = rows.select(first).select(second)
    assert torch.equal(chosen[:], plain[first][second])
    assert chosen.storage is rows.storage  # nothing was copied
    assert chosen.crop == rows.crop


@pytest.mark.parametrize("size", [1, 16, 500])
def test_batches_come_in_the_order_given(size, rows, plain):
    # with repetitions, as REWEIGHT draws
    order = torch.randint(0, N, (75,), generator=torch.Generator().manual_seed(3))
    ours = list(rows.batches(order, size))
    assert [len(x) for x in ours] == [len(part) for part in order.split(size)]
    assert torch.equal(torch.cat(ours), plain[order])


def test_samples_that_are_no_pictures_stay_as_they_are():
    tokens = np.arange(60, dtype=np.int16).reshape(10, 2, 3)
    rows = MemmapSamples(Storage(tokens, pictures=False), torch.tensor([9, 0, 4]))
    assert rows[:].shape == (3, 2, 3)
    assert rows[:1].dtype == torch.int16
    assert torch.equal(rows[:], torch.from_numpy(tokens[[9, 0, 4]]))


# --- what a network sees ------------------------------------------------------------------------------------


def test_the_centre_at_the_same_size_moves_no_pixel(plain):
    assert torch.equal(CropTransform(16, 16, 16).centre(plain), plain[:, :, 2:18])


def test_the_centre_at_another_size_is_the_region_resized(plain):
    seen = CropTransform(side=8, height=16, width=16).centre(plain)
    expected = torch.nn.functional.interpolate(plain[:, :, 2:18].float(), size=8, mode="bilinear")
    assert (seen.shape, seen.dtype) == ((N, 3, 8, 8), torch.uint8)
    assert (seen.float() - expected).abs().max() <= 0.51  # rounded


def test_random_crops_have_the_right_side_and_repeat_under_a_generator(plain):
    crop = CropTransform(side=12, height=16, width=16)
    first, again, other = (crop.random(plain, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert (first.shape, first.dtype) == ((N, 3, 12, 12), torch.uint8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_random_crops_are_parts_of_the_picture_at_the_scale_and_place_they_claim():
    ramp = torch.arange(100, dtype=torch.uint8).expand(1000, 1, 100,
                                                       100) + 50  # a pixel's value says its column
    crop, rng = CropTransform(side=50, height=100, width=100), torch.Generator().manual_seed(0)
    crops = crop.random(ramp, rng).float()
    first, last = crops[:, 0, 25, 0], crops[:, 0, 25, -1]
    width = (last - first).abs() * 50 / 49
    assert crops.min() >= 50
    assert crops.max() <= 149
    assert 0.45 < (first > last).float().mean() < 0.55  # half of them mirrored
    assert width.min() > 100 * (0.7 * 0.75) ** 0.5 - 3
    assert width.max() > 97
    assert torch.minimum(first, last).min() < 53  # from the left edge
    assert torch.maximum(first, last).max() > 146  # to the right one


def test_a_box_with_negative_width_mirrors(plain):
    box = torch.tensor([[2.0, 0, 16, 16]]).expand(N, 4)
    mirrored = torch.tensor([[2.0, 16, 16, -16]]).expand(N, 4)
    assert torch.equal(cut(plain, box, 16), plain[:, :, 2:18])
    assert torch.equal(cut(plain, mirrored, 16), plain[:, :, 2:18].flip(-1))


# --- as a data set's x --------------------------------------------------------------------------------------


def test_predictions_and_metrics_are_those_of_the_tensor(rows, plain):
    parts = [split_forget(GroupedDataset(x, *labels()), 0.5, [(1, 1)]) for x in (rows, plain)]
    model = models.build(Network(), parts[0].retain, 0)
    model.crop = CropTransform(16, 16, 16)
    results = []
    for split in parts:
        logits = training.predict(model, model, split.retain.x, 17)
        results.append((logits, metrics.evaluate(model, split.retain, split.forget, split.retain,
                                                 split.forget, [(1, 1)])))
    assert torch.equal(results[0][0], results[1][0])
    assert repr(results[0][1]) == repr(results[1][1])


def trained(x: MemmapSamples | torch.Tensor, config: training.TrainConfig) -> dict[str, torch.Tensor]:
    """Return the weights after training with a forget pass, always from the same start."""
    data = GroupedDataset(x, *labels())
    split = split_forget(data, 0.5, [(1, 1)])
    with fixed_threads():
        model = models.build(Network(), data, 0)
        original = models.build(Network(), data, 0).eval().requires_grad_(False)
        context = training.Context(model, original, data, split.retain, split.forget,
                                   torch.Generator().manual_seed(0), config,
                                   retain_index=split.retain_index)
        training.train(methods.get("salun")(), context)
    return state_of(model)


def test_training_on_rows_without_crops_gives_the_weights_of_the_tensor(array, plain):
    whole = MemmapSamples(Storage(array, pictures=True), torch.arange(N))
    config = training.TrainConfig(epochs=1, lr=0.05, batch_size=16)
    assert same_state(trained(whole, config), trained(plain, config))
