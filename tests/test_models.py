"""Test networks: inputs, starting weights and precision, with real pretrained weights from packages."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import pytest
import torch
from conftest import same_state, state_of
from torch import nn

from grmu import backbones, data, models
from grmu.batch import cost
from grmu.data import GroupedDataset, Splits
from grmu.data.memmap import CropTransform, MemmapSamples, Storage
from grmu.experiments import Experiment, run
from grmu.experiments.run import run_keys
from grmu.models import Network


def pictures(n: int = 6, side: int = 32, channels: int = 3, seed: int = 0) -> GroupedDataset:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (n, channels, side, side), generator=rng).to(torch.uint8)
    return GroupedDataset(x, torch.arange(n) % 2, torch.arange(n) % 2)


def sentences(n: int = 12, length: int = 10, seed: int = 0) -> GroupedDataset:
    """Return token ids and segments as in `grmu.data`: [CLS] words [SEP] words [SEP], padded with 0."""
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(1996, 2040, (n, length), generator=rng)
    ids[:, 0], ids[:, 4], ids[:, 7], ids[:, 8:] = 101, 102, 102, 0
    segments = (torch.arange(length) > 4).long() * (ids != 0)
    return GroupedDataset(torch.stack([ids, segments], 1).to(torch.int16), torch.arange(n) % 3,
                          torch.arange(n) % 2)


@pytest.mark.parametrize(("model", "pretrained", "data"), [
    ("cnn", False, pictures(channels=1)), ("resnet18", False, pictures()),
    ("resnet18", False, pictures(channels=1)),
    ("text", False, sentences()), ("efficientnet_lite0", True, pictures()), ("minilm", True, sentences()),
])
def test_every_network_gives_features_and_logits_in_32_bits_and_learns_in_either_precision(
    model, pretrained, data
):
    state = torch.random.get_rng_state()
    for precision in ("fp32", "bf16"):
        network = models.build(Network(model, pretrained, precision), data, seed=1)
        z, logits = network.features(data.x), network(data.x)
        assert z.shape == (len(data), network.n_features)
        assert logits.shape == (len(data), data.n_classes)
        assert z.dtype == logits.dtype == torch.float32
        nn.functional.cross_entropy(logits, data.y).backward()
        missing = [name for name, p in network.named_parameters() if p.grad is None]
        assert not missing
        assert all(p.grad.isfinite().all() and p.dtype == torch.float32 for p in network.parameters())
    assert torch.equal(state, torch.random.get_rng_state()) or model in ("text", "minilm",
                                                                         "efficientnet_lite0")  # dropout


@pytest.mark.parametrize(("model", "data"), [("cnn", pictures()), ("resnet18", pictures()),
                                             ("text", sentences())])
def test_the_seed_alone_decides_the_first_weights(model, data):
    one = models.build(Network(model), data, seed=1)
    torch.manual_seed(5)
    assert same_state(state_of(one), state_of(models.build(Network(model), data, seed=1)))
    assert not same_state(state_of(one), state_of(models.build(Network(model), data, seed=2)))


@pytest.mark.parametrize("model", ["text", "minilm"])
def test_padding_changes_nothing(model):
    data = sentences()
    network = models.build(Network(model), data, 0).eval()
    with torch.no_grad():
        padded, cut = network(data.x), network(data.x[:, :, :8])  # all pairs have eight tokens
        assert torch.allclose(padded, cut, atol=1e-5)
        assert not torch.allclose(padded, network(data.x[:, :, :7]), atol=1e-3)


def test_the_small_transformer_reads_words_order_and_segments_and_takes_unknown_words_for_one():
    data = sentences()
    network = models.build(Network("text"), data, 0).eval()

    def answer(change) -> torch.Tensor:
        tokens = data.x[:1].clone()
        change(tokens)
        with torch.no_grad():
            return network(tokens)

    def swap(tokens) -> None:
        tokens[0, 0, 1], tokens[0, 0, 2] = data.x[0, 0, 2], data.x[0, 0, 1]

    other = next(word for word in data.x[1, 0] if word not in data.x[0, 0])
    answers = [answer(f) for f in (
        lambda t: None, swap, lambda t: t[0, 0].__setitem__(1, other), lambda t: t[0, 1].__setitem__(1, 1),
        lambda t: t[0, 0].__setitem__(1, 30_000), lambda t: t[0, 0].__setitem__(1, 29_999))]
    assert torch.equal(answers[4], answers[5])
    for i, one in enumerate(answers[:5]):
        for two in answers[i + 1 : 5]:
            assert not torch.allclose(one, two, atol=1e-6)


def test_bert_is_built_as_published_and_its_weights_are_found_in_a_local_folder(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    published = backbones._encoder("bert", False, mean=False)
    assert (published.n_features, len(published.module.bert.encoder.layer)) == (768, 12)
    pairs = sentences()
    with torch.device("meta"):
        whole = models.build(Network("bert"), pairs, 0)
    assert sum(tensor.nbytes for tensor in whole.state_dict().values()) == cost.BERT_BYTES
    # a checkpoint with the layout and the old names of the published file, small
    monkeypatch.setenv("GRMU_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(backbones, "bert",
                        lambda train, weights: backbones._encoder("bert", weights, False, **small))
    from safetensors.torch import save_file
    saved = transformers.BertModel(transformers.BertConfig(**small)).state_dict()
    (tmp_path / "bert-base-uncased").mkdir()
    path = tmp_path / "bert-base-uncased" / "model.safetensors"
    old = {
        "bert."
        + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): v.contiguous()
        for k, v in saved.items()
    }
    save_file(old | {"cls.predictions.bias": torch.zeros(3)}, path)
    network = models.build(Network("bert", pretrained=True), sentences(), 0)
    assert same_state(saved, {k: v for k, v in network.backbone.bert.state_dict().items() if k in saved})
    save_file({k: v for k, v in old.items() if "pooler" not in k}, path)
    with pytest.raises(ValueError, match=r"lacks pooler\..* so it is not bert: download it again"):
        models.build(Network("bert", pretrained=True), sentences(), 0)


def test_the_crop_is_cut_out_of_larger_pictures_only():
    data = pictures(side=40)
    network = models.build(Network("cnn"), data, 0).eval()
    network.crop = CropTransform(32, 32, 32)
    inner = data.x[:, :, 4:36, 4:36]
    assert torch.equal(network(data.x), network(inner))
    assert network.scaled(data.x).shape == (6, 3, 32, 32)
    assert network.scaled(data.x).min() >= -1
    assert network.scaled(data.x).max() <= 1


@pytest.fixture
def stored_pictures(few_pictures, monkeypatch):
    """Half of Groundwear's first pictures as an array, shown at 64 x 64."""
    def rows(part: GroupedDataset) -> GroupedDataset:
        array = part.x.permute(0, 2, 3, 1).contiguous().numpy()
        storage, crop = Storage(array, pictures=True), CropTransform(64, 28, 28)
        return replace(part, x=MemmapSamples(storage, torch.arange(len(part)), crop))

    loader = data.LOADERS["groundwear"]
    monkeypatch.setitem(data.LOADERS, "groundwear",
                        lambda name, root: Splits(*(rows(part.subset(torch.arange(0, len(part), 2)))
                                                    for part in loader(name, root)[:3]), (1, 1)))


@pytest.mark.slow
def test_a_pretrained_run_goes_through_the_whole_path_and_is_keyed_by_its_weights(
    stored_pictures, store, monkeypatch
):
    """EfficientNet-Lite0 with ImageNet weights unlearns stored pictures, cropped and flipped, in bf16: MIU
    with REWEIGHT."""
    chosen = {"model": "efficientnet_lite0", "pretrained": True, "precision": "bf16"}
    monkeypatch.setattr("grmu.experiments.experiment._read", lambda name: {
        "network": {"model": "cnn"}, "fresh": {"epochs": 1, "lr": 0.01, "augment": True},
        "original": {"epochs": 1, "lr": 0.01, "augment": True}, "methods": {}})
    e = Experiment(method="miu", reweight=True, overrides=chosen)
    assert {k: e.original.settings[k] for k in chosen} == chosen
    result = run(e, store)
    assert 0.3 < result.metrics["TA"] <= 1
    assert result.model.n_features == 1280
    published = models.build(e.network, data.load("groundwear").train, 0).state_dict()
    start = run(e.original, store).model.state_dict()
    first = "backbone._conv_stem.weight"
    moved = (start[first] - published[first]).norm() / published[first].norm()
    assert 0 < moved < 0.2  # one epoch from ImageNet's weights; fresh ones would be elsewhere altogether
    key = run_keys(e).weights
    monkeypatch.setattr(sys.modules["grmu.experiments.run"], "sha256", lambda path: "another file")
    assert run_keys(e).weights != key


def test_weights_are_looked_up_checked_and_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_WEIGHTS", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"put resnet18-f37072fd\.pth into .* call `python -m grmu weights resnet18"
    ):
        backbones.find("resnet18")
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is damaged or is not the right file: its SHA-256 begins with"):
        backbones.find("resnet18")
    with pytest.raises(
        ValueError, match=r"unknown network with pretrained weights 'vgg': choose one of resnet18"
    ):
        backbones.find("vgg")
    # a pickle of an object, under the right checksum
    torch.save(Network(), path := tmp_path / "resnet18-f37072fd.pth")
    beginning = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setitem(
        backbones.SOURCES, "resnet18", replace(backbones.SOURCES["resnet18"], sha256=beginning)
    )
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        backbones.load("resnet18")


