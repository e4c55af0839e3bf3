"""Test Groundwear, grouped data sets and the forget split."""

import json
import lzma
import shutil

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, toy
from safetensors.numpy import load as load_tensors

from grmu import data
from grmu.data import GroupedDataset, split_forget
from grmu.data.files import FOLDER
from grmu.data.groundwear import SHIPPED, compose
from grmu.data.subsets import random_half, smoke_subset

# --- Groundwear ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["groundwear", "groundwear-memorised", "groundwear-many"])
def test_each_variant_has_the_counts_that_its_build_script_declares(name, build_script):
    spec, splits = build_script.variants()[name], data.load(name)
    for part in ("train", "val", "test"):
        dataset = getattr(splits, part)
        expected = np.array(spec[part])
        assert dataset.group_counts().reshape(expected.shape).tolist() == expected.tolist()
        assert dataset.x.dtype == torch.uint8
        assert dataset.x.shape == (expected.sum(), 1, 28, 28)
        assert dataset.class_names == tuple(build_script.FASHION[i] for i in spec["labels"])
        assert dataset.attribute_names == tuple(f"on {ground}" for ground in spec["grounds"])
        assert dataset.name == name
    assert splits.forget_group == tuple(spec["forget"])


def test_a_damaged_file_is_named_with_the_way_to_restore_it(tmp_path):
    shutil.copy(FOLDER / SHIPPED.name, tmp_path / SHIPPED.name)
    packed = bytearray((tmp_path / SHIPPED.name).read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / SHIPPED.name).write_bytes(packed)
    with pytest.raises(ValueError, match="damaged") as caught:
        data.load("groundwear", tmp_path)
    assert str(tmp_path / SHIPPED.name) in str(caught.value)
    assert "git checkout data" in str(caught.value)


def test_compose_is_the_alpha_blend_for_every_pair_of_grey_levels():
    objects, grounds = (v.astype(np.uint8) for v in np.meshgrid(np.arange(256), np.arange(256),
                                                                indexing="ij"))
    composed = compose(objects, grounds)
    assert composed.dtype == np.uint8
    for o in range(256):
        for g in range(256):
            mask = min(6 * o / 255, 1)
            assert abs(int(composed[o, g]) - (mask * o + (1 - mask) * g)) <= 1


def test_a_picture_is_its_object_on_its_window_of_its_ground():
    raw = lzma.decompress((FOLDER / SHIPPED.name).read_bytes())
    tensors = load_tensors(raw)
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    textures = json.loads(header["__metadata__"]["variants"])["groundwear-many"]["textures"]
    test = data.load("groundwear-many").test
    for i in (0, 17, len(test) - 1):
        recipe = {k: int(tensors[f"groundwear-many.test.{k}"][i]) for k in ("object", "y", "a", "row", "col")}
        assert (test.y[i], test.a[i]) == (recipe["y"], recipe["a"])
        for u in range(28):
            for v in range(28):
                o = float(tensors["objects"][recipe["object"], u, v])
                g = float(tensors["textures"][textures[recipe["a"]], recipe["row"] + u, recipe["col"] + v])
                mask = min(6 * o / 255, 1)
                assert abs(int(test.x[i, 0, u, v]) - (mask * o + (1 - mask) * g)) <= 1


def test_the_checksum_beside_the_file_is_the_one_in_the_code():
    assert (REPOSITORY / "data" / "groundwear.sha256").read_text().split() == [SHIPPED.sha256, SHIPPED.name]


# --- GroupedDataset -----------------------------------------------------------------------------------------


def test_a_data_set_is_built_from_plain_arrays():
    dataset = GroupedDataset(np.zeros((4, 3), np.float32), [0, 1, 1, 0], np.array([0, 2, 1, 2], np.uint8))
    assert (len(dataset), dataset.n_classes, dataset.n_attributes, dataset.n_groups) == (4, 2, 3, 6)
    assert torch.equal(dataset.x, torch.zeros(4, 3))
    assert dataset.group.tolist() == [0, 5, 4, 2]  # y * n_attributes + a
    assert dataset.group_counts().tolist() == [1, 0, 1, 0, 1, 1]
    assert dataset.group_names[5] == "y=1 a=2"


def test_a_subset_without_some_classes_keeps_the_group_numbers():
    dataset = toy([[5, 5, 5], [5, 5, 5]])
    rest = dataset.subset((dataset.a != 1).nonzero().squeeze(1))
    assert rest.n_groups == 6
    assert rest.group_counts().tolist() == [5, 0, 5, 5, 0, 5]
    only = dataset.subset((dataset.group == 0).nonzero().squeeze(1))
    assert (only.n_classes, only.n_attributes, only.group.unique().tolist()) == (2, 3, [0])
    assert only.group_names == dataset.group_names


@pytest.mark.parametrize("counts", [[[6, 7], [1, 4]], [[3, 0], [8, 5]]])
def test_a_half_takes_half_of_every_group_and_a_coin_rounds_the_odd_ones(counts):
    train, n, taken = toy(counts), np.array(counts).flatten(), []
    for seed in range(40):
        half = random_half(train, seed)
        assert half.dtype == torch.long
        assert torch.equal(half, half.unique())  # ascending, none twice
        assert torch.equal(half, random_half(train, seed))
        taken.append(train.subset(half).group_counts().numpy())
    assert np.array_equal(np.min(taken, 0), n // 2)
    assert np.array_equal(np.max(taken, 0), (n + 1) // 2)
    assert len({tuple(random_half(train, seed).tolist()) for seed in range(40)}) > 20


# --- split_forget -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 1.0])
def test_the_named_group_loses_its_share_and_no_other_loses_any(ratio):
    train = toy([[60, 30], [20, 10]])
    split = split_forget(train, ratio, [(1, 0)])
    assert split.forget.group_counts().tolist() == [0, 0, round(20 * ratio), 0]
    assert split.retain.group_counts().tolist() == [60, 30, 20 - round(20 * ratio), 10]


def test_remainders_stay_below_one_sample_a_group():
    train = toy([[61, 33], [17, 9]])
    for ratio in (0.13, 0.37, 0.71):
        taken = split_forget(train, ratio).forget.group_counts()
        assert taken.sum().item() == round(ratio * 120)
        assert (taken - ratio * train.group_counts()).abs().max() < 1


def test_retain_and_forget_are_disjoint_and_complete():
    train = toy([[60, 30], [20, 10]])
    split = split_forget(train, 0.3, seed=4)
    keep = torch.ones(len(train), dtype=torch.bool)
    keep[split.forget_index] = False
    assert len(split.forget_index.unique()) == len(split.forget) == 36
    assert torch.equal(split.forget_index, split.forget_index.sort().values)
    assert torch.equal(split.forget.x, train.x[split.forget_index])
    assert torch.equal(split.retain.x, train.x[keep])
    assert torch.equal(split.retain.y, train.y[keep])
    assert torch.equal(split.retain.a, train.a[keep])


def test_one_seed_gives_one_split_and_another_seed_another():
    train = toy([[60, 30], [20, 10]])
    one, again, other = (split_forget(train, 0.5, [(0, 0)], seed).forget_index for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(split_forget(train, 0.5).forget_index, split_forget(train, 0.5, None, 0).forget_index)


def test_a_split_neither_uses_nor_moves_the_global_random_state():
    train = toy([[60, 30], [20, 10]])
    torch.manual_seed(0)
    one = split_forget(train, 0.5).forget_index
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))
    assert torch.equal(one, split_forget(train, 0.5).forget_index)


@pytest.mark.parametrize("counts", [[[6, 6], [2, 0]], [[61, 33], [17, 9]]])
def test_smaller_uniform_forget_sets_lie_within_larger_ones(counts):
    train, before = toy(counts), set()
    # largest remainders alone fail this: a larger total can take fewer of a small group
    for n in range(1, len(train)):
        now = set(split_forget(train, n / len(train), seed=2).forget_index.tolist())
        assert before <= now, f"forgetting {n} keeps samples that forgetting {n - 1} gave up"
        before = now


@pytest.mark.parametrize(("counts", "groups", "n", "taken"), [
    ([[5, 2], [3, 4]], [(1, 1)], 3, {0: 1, 1: 1, 2: 1, 3: 3}),
    ([[5, 2], [3, 4]], [(0, 0), (1, 0)], 4, {0: 2, 1: 1, 2: 2, 3: 1}),  # n is of both together
    ([[5, 2], [3, 4]], [(0, 0), (1, 0), (1, 1)], 2, {0: 1, 1: 1, 2: 1, 3: 1}),  # they are more than n
    ([[5, 0, 2, 3], [2, 3, 4, 2]], [(0, 2)], 2, {0: 1, 1: 0, 2: 2, 3: 1, 4: 1, 5: 1, 6: 0, 7: 0})])
def test_a_dry_run_takes_the_first_of_who_asks_and_of_four_other_groups(counts, groups, n, taken):
    dataset = toy(counts)
    rows = smoke_subset(dataset, groups, n).tolist()
    assert rows == sorted(rows)
    for g, wanted in taken.items():
        of = (dataset.group == g).nonzero().flatten().tolist()
        assert [row for row in rows if row in of] == of[:wanted]


