"""Measure what the project promises (`make bench`).

Accuracies come from the shipped results, as mean ± standard deviation over seeds, in points. Times are
medians, measured by `torch.utils.benchmark`, so the machine should be otherwise idle. With a GPU, the last
part trains for about fifteen minutes on random pictures, as many and as large as those of the real data sets;
times do not depend on what the pictures show. Without a GPU, it only tries the code on a few small pictures.
"""

from __future__ import annotations

import copy
import io
import math
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.benchmark import Timer
from torch.utils.data import DataLoader

from grmu import data, models, training
from grmu.analysis import results
from grmu.analysis.compare import interval
from grmu.data.memmap import CropTransform, MemmapSamples, Storage
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment, load_split, run
from grmu.metrics import evaluate
from grmu.models import Network
from grmu.numerics import fixed_threads

MIU = Experiment(method="miu", ratio=0.5)
N_GROUP, N_TRAIN = 102, 5692  # Groundwear's training pictures: in the forget group, and in all groups


class Size(NamedTuple):
    """The size of a measurement: the largest number of pictures, their side, and the batches."""

    device: str
    most: int
    side: int
    batch_size: int
    precision: str
    picture: str
    text: str
    texts: tuple[int, int]  # texts per batch, and tokens per text


FULL = Size("cuda", 1_000_000, 224, 256, "bf16", "resnet18", "bert", (32, 128))
SMALL = Size("cpu", 64, 32, 16, "fp32", "cnn", "text", (4, 32))


def show(what: str, target: str, measured: str) -> None:
    """Print one line of the table."""
    print(f"{what:62} {target:>8}   {measured}", flush=True)


def by_seed(grid: str, method: str, reweight: bool, ratio: float, metric: str = "GA") -> pd.Series:
    """Return one metric of the shipped runs at a ratio, in percent, by seed."""
    rows = results.load(grid)
    chosen = (rows.method == method) & (rows.reweight == reweight) & ((rows.ratio - ratio).abs() < 1e-5)
    return 100 * rows[chosen].set_index("seed")[metric]


def lost(ratio: float, grid: str = "references") -> pd.Series:
    """Return the GA that RETRAIN loses compared with PRETRAIN, by seed."""
    return by_seed(grid, "pretrain", False, ratio) - by_seed(grid, "retrain", False, ratio)


def recovered(ratio: float) -> pd.Series:
    """Return the GA that REWEIGHT adds to RETRAIN, by seed, in percent of the mean loss."""
    gain = by_seed("references", "retrain", True, ratio) - by_seed("references", "retrain", False, ratio)
    return 100 * gain / lost(ratio).mean()


def lost_evenly(ratio: float) -> str:
    """Return the mean loss and its 95 % interval if as many pictures of all groups are forgotten."""
    mean, low, high, _ = interval(lost(round(ratio * N_GROUP) / N_TRAIN, "uniform"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return mean ± standard deviation as text."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def show_accuracies() -> None:
    """Print the accuracies that the README states."""
    for ratio, loss, back in ((0.5, 10, 80), (0.9, 35, 70)):
        show(f"GA lost by RETRAIN, ratio {ratio} (points)", f">= {loss}", spread(lost(ratio)))
        show(f"share that REWEIGHT recovers, ratio {ratio} (%)", f">= {back}", spread(recovered(ratio), 0))
        show(f"GA lost if forgotten at random, ratio {ratio} (points)", "0 inside", lost_evenly(ratio))


def seconds(work: Callable[[], object], least: float) -> float:
    """Return the median seconds of a call that is repeated for at least `least` seconds."""
    return Timer("work()", globals={"work": work}).blocked_autorange(min_run_time=least).median


def show_runs(store: str, least: float) -> None:
    """Print how long runs on the embedded data take."""
    splits, split, groups = load_split(MIU)
    model = run(MIU.original, store).model
    config = {f.name: MIU.settings[f.name] for f in fields(training.TrainConfig)}
    plain = Experiment(method="finetune", ratio=0.5, overrides=config)
    miu, tuned = (seconds(lambda e=e: run(e, store, fresh=True), least) for e in (MIU, plain))
    parts = split.retain, split.forget, splits.val, splits.test
    show("a run of MIU, 10 epochs, with all metrics (s)", "<= 3.6", f"{miu:.2f}")
    show("its time relative to fine-tuning with as many epochs", "<= 1.5", f"{miu / tuned:.2f}")
    measured = seconds(lambda: evaluate(model, *parts, groups), least)
    show("all metrics of one model (s)", "<= 0.6", f"{measured:.2f}")


def random_pictures(dataset: str, size: Size) -> data.GroupedDataset:
    """Return random pictures with the group sizes (at least four) and the shape of a data set."""
    original = ORIGINALS[dataset]
    form, published = original.pictures, original.published["train"]
    shrink, zoom = max(1, sum(published) / size.most), size.side / form.view.side
    height, width, seen = (math.ceil(v * zoom) for v in (form.height, form.width, form.view.height))
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(len(published)), [max(4, round(n / shrink)) for n in published])
    rng.shuffle(group)
    block = rng.integers(0, 256, (min(len(group), 512), height, width, 3), dtype=np.uint8)
    storage = Storage(np.resize(block, (len(group), height, width, 3)), pictures=True)
    x = MemmapSamples(storage, torch.arange(len(group)), CropTransform(size.side, seen, seen))
    y, a = (torch.from_numpy(v) for v in divmod(group, 2))
    return data.GroupedDataset(x, y, a, original.class_names, original.attribute_names, dataset)


def train_seconds(method: str, train: data.GroupedDataset, size: Size, epochs: int | None = None) -> float:
    """Return the seconds that a method trains with the data set's preset, in batches of limited size."""
    e = Experiment(train.name, method)
    config = replace(e.config, batch_size=min(e.config.batch_size, size.batch_size))
    if epochs:
        config = replace(config, epochs=epochs, warmup_epochs=0)
    model = models.build(Network(size.picture, precision=size.precision), train, 0).to(size.device).eval()
    split = data.split_forget(train, 0.5, [ORIGINALS[train.name].forget_group])
    whole, retain, forget = (part.to(size.device) for part in (train, split.retain, split.forget))

    def once() -> None:
        own = copy.deepcopy(model), model.requires_grad_(False)
        context = training.Context(own[0].requires_grad_(True), own[1], whole, retain, forget,
                                   torch.Generator().manual_seed(0), config,
                                   retain_index=split.retain_index.to(size.device))
        training.train(e.make_method(), context, lambda epoch, row: None)

    return Timer("once()", globals={"once": once}).timeit(1).median


def steps_a_second(network: Network, x: torch.Tensor, size: Size, least: float) -> float:
    """Return how many samples per second training on one fixed batch reaches, without data loading."""
    batch = data.GroupedDataset(x, torch.arange(len(x)) % 2, torch.arange(len(x)) % 2).to(size.device)
    model = models.build(network, batch, 0).to(size.device).train()
    optimizer = training.make_optimizer(model.parameters(), training.TrainConfig(), torch.device(size.device))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch.x), batch.y).backward()
        optimizer.step()

    return len(x) / seconds(step, least)


def decoded_a_second(size: Size, workers: int) -> float:
    """Return how many JPEGs of CelebA's size a plain DataLoader decodes, crops and batches per second."""
    from torchvision import transforms

    stream = io.BytesIO()
    Image.effect_noise((178, 218), 40).convert("RGB").save(stream, "JPEG", quality=90)
    prepare = transforms.Compose([transforms.RandomResizedCrop(size.side), transforms.ToTensor()])
    n = 40 * size.batch_size

    def collate(batch: list[int]) -> torch.Tensor:
        return torch.stack([prepare(Image.open(io.BytesIO(stream.getvalue()))) for _ in batch])

    loader = DataLoader(range(n), size.batch_size, num_workers=workers, collate_fn=collate)
    return n / seconds(lambda: [batch.shape for batch in loader], 0)


def show_full_scale(size: Size, least: float, workers: int) -> None:
    """Print how long training takes on pictures and texts like those of the paper's data sets."""
    network, rng = Network(size.picture, precision=size.precision), torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (size.batch_size, 3, size.side, size.side), generator=rng).byte()
    limit = steps_a_second(network, pictures, size, least)
    show(f"{size.picture}, a fixed batch: pictures per second, the limit", "", f"{limit:,.0f}")
    for dataset, target in (("celeba", "<= 1.4"), ("waterbirds", "<= 1.5")):
        train = random_pictures(dataset, size)
        tuned = train_seconds("finetune", train, size, epochs=2) / 2
        speed = len(train) / tuned
        title = f"{dataset}, {len(train):,} pictures"
        show(f"{title}: an epoch (s)", "", f"{tuned:.1f}")
        show(f"{title}: pictures per second, of the limit", ">= 90 %", f"{speed:,.0f}, {speed / limit:.0%}")
        miu, plain = (train_seconds(method, train, size) for method in ("miu", "finetune"))
        show(f"{title}: MIU's time relative to fine-tuning", target, f"{miu / plain:.2f}")
    decoded = decoded_a_second(size, workers)
    show(f"a plain DataLoader, {workers} workers: pictures per second, our speed-up", ">= 4 x",
         f"{decoded:,.0f}, {speed / decoded:.1f} x")
    pairs = torch.randint(1, 30_000, (size.texts[0], 2, size.texts[1]), generator=rng).int()
    pairs[:, 1] = 0
    texts = steps_a_second(Network(size.text, precision=size.precision), pairs, size, least)
    show(f"{size.text}, {size.texts[1]} tokens: texts per second", "", f"{texts:,.1f}")


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="print only the accuracies, and run nothing")
    parser.add_argument("--seconds", type=float, default=5, help="time for each short measurement")
    options = parser.parse_args(argv)
    size = FULL if torch.cuda.is_available() else SMALL
    show("what", "target", "measured")
    show_accuracies()
    if options.quick:
        return
    with fixed_threads(), tempfile.TemporaryDirectory() as store:
        show_runs(store, options.seconds)
        small = "a CPU, with a few small pictures (these times mean nothing)"
        device = torch.cuda.get_device_name() if size == FULL else small
        print(f"\nTraining on {device}, {size.precision}, {size.side} x {size.side}:")
        show_full_scale(size, options.seconds, 16 if size == FULL else 0)


if __name__ == "__main__":
    main()
