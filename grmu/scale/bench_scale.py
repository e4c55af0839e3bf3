"""What full-scale runs cost: random pictures, as many and as large as the real data sets', are trained on.

    python -m grmu bench --scale       on a GPU: their true sizes, a quarter of an hour or so;
                                       without one: the same code at a small size, to see that it runs
    ... --out bench.json               keep it, for `python -m grmu sweep cost GRID --bench bench.json`

Times do not depend on what the pictures show. A run's time is put together from its first epoch (setup
included), one with and one without a forget pass; nobody waits for ten epochs.
"""

from __future__ import annotations

import copy
import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from grmu import data, methods, models, training
from grmu.data.files import write_whole
from grmu.data.memmap import CropTransform, MemmapSamples, Storage
from grmu.data.originals.celeba import CELEBA
from grmu.data.originals.original import SPLITS, Original
from grmu.data.originals.waterbirds import WATERBIRDS
from grmu.experiments import Experiment
from grmu.metrics import evaluate
from grmu.models import Network
from grmu.numerics import fixed_threads

LINE = "{:66} {:>9}   {}"
METHODS = ("l1_sparse", "salun", "scrub", "miu")
Speeds = dict[str, dict[int, float]]  # samples a second, by data set ("images", "texts": all) and batch size
TARGETS = {("miu", "celeba"): "<= 1.4", ("miu", "waterbirds"): "<= 1.5"}


@dataclass(frozen=True)
class Size:
    """How large the measurement is: pictures at full size, or as many and as large as a CPU can do.

    most: training pictures of a data set.  side: of the network's input.  batch_size: of training.
    plain: files of the plain DataLoader, and its workers.  texts: network, batch size, tokens of a pair.
    model: the pictures' network, which only tests replace.
    """

    device: torch.device
    most: int = 1_000_000
    side: int = 224
    batch_size: int = 256
    precision: str = "bf16"
    plain: tuple[int, int] = (20_000, 16)
    texts: tuple[str, int, int] = ("bert", 32, 128)
    model: str = "resnet18"

    @property
    def network(self) -> Network:
        """What pictures are shown to."""
        return Network(self.model, precision=self.precision)


def full_or_small() -> Size:
    """The true size where there is a GPU, else a small one."""
    if torch.cuda.is_available():
        return Size(torch.device("cuda"))
    return Size(torch.device("cpu"), 160, 64, 32, "fp32", (64, 0), ("bert", 4, 32))


def random_splits(original: Original, size: Size) -> data.Splits:
    """Random pictures with a data set's counts (four of a group at least) and form.

    The array is one block of noise, repeated.
    """
    form = original.pictures
    if form is None:
        raise ValueError(f"{original.name} holds no pictures.")
    height, width, seen = (math.ceil(v * size.side / form.view.side)
                           for v in (form.height, form.width, form.view.height))
    shrink = max(1, sum(original.published["train"]) / size.most)
    counts = {split: [max(4, round(n / shrink)) for n in original.published[split]] for split in SPLITS}
    total, rng = sum(map(sum, counts.values())), np.random.default_rng(0)
    block = rng.integers(0, 256, (min(total, 512), height, width, 3), dtype=np.uint8)
    storage = Storage(np.resize(block, (total, height, width, 3)), pictures=True)
    view = CropTransform(size.side, seen, seen)
    parts, first = {}, 0
    for split in SPLITS:
        group = np.repeat(np.arange(len(counts[split])), counts[split])
        rng.shuffle(group)
        y, a = (torch.from_numpy(v) for v in divmod(group, len(original.attribute_names)))
        rows = MemmapSamples(storage, torch.arange(first, first + len(group)), view)
        first += len(group)
        parts[split] = data.GroupedDataset(rows, y, a, original.class_names, original.attribute_names, split)
    return data.Splits(parts["train"], parts["val"], parts["test"], original.forget_group)


def streamed(splits: data.Splits) -> data.Splits:
    """The same pictures, which never come to lie on a GPU all at once."""
    resident = splits.train.x
    if not isinstance(resident, MemmapSamples):
        raise ValueError("only rows of a storage can be streamed, not a tensor.")
    storage = Storage(resident.storage.array.numpy(), pictures=True)
    storage.resident_share = 0.0
    x = MemmapSamples(storage, torch.arange(len(splits.train)), resident.crop)
    return splits._replace(train=replace(splits.train, x=x))


def synchronised() -> float:
    """The time, once the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def untrained(splits: data.Splits, size: Size) -> models.Classifier:
    """A frozen network for such pictures, in eval mode."""
    return models.build(size.network, splits.train, 0).to(size.device).eval().requires_grad_(False)


def make_context(original: models.Classifier, splits: data.Splits, config: training.TrainConfig,
                 size: Size) -> training.Context:
    """What a method gets that unlearns half of the forget group."""
    split = data.split_forget(splits.train, 0.5, [splits.forget_group])
    model = copy.deepcopy(original).requires_grad_(True)
    train, retain, forget = (part.to(size.device) for part in (splits.train, split.retain, split.forget))
    return training.Context(model, original, train, retain, forget, torch.Generator().manual_seed(0), config,
                            retain_index=split.retain_index.to(size.device))


def epoch_seconds(method: training.Method, context: training.Context) -> list[float]:
    """Times of a first epoch, setup included, and of two more, of which the last has no forget pass."""
    method.forget_epochs, context.config = min(method.forget_epochs, 2), replace(context.config, epochs=3)
    stamps = [synchronised()]
    training.train(method, context, lambda epoch, row: stamps.append(synchronised()))
    return np.diff(stamps).tolist()


def method_ratios(dataset: str, original: models.Classifier, splits: data.Splits, size: Size,
                  speeds: Speeds) -> Iterator[tuple[str, float]]:
    """Every method's time with the data set's preset over that of fine-tuning with the same training config.

    Setup included. Last: the original's features of the training set, which MIU's calibration needs, over the
    same. Of fine-tuning, the slowest speed at each batch size is kept in `speeds`.
    """
    slowest = speeds.setdefault(dataset, {})
    tuned: dict[training.TrainConfig, float] = {}  # an epoch of fine-tuning
    for name in METHODS:
        e = Experiment(dataset, name)
        config = replace(e.config, batch_size=min(e.config.batch_size, size.batch_size))
        if config not in tuned:
            context = make_context(original, splits, config, size)
            tuned[config] = epoch_seconds(methods.FineTune(), context)[-1]
            speed = len(context.retain) / tuned[config]
            slowest[config.batch_size] = min(speed, slowest.get(config.batch_size, speed))
        method, context = e.make_method(), make_context(original, splits, config, size)
        forget_epochs = method.forget_epochs
        first, forgetting, retaining = epoch_seconds(method, context)
        whole = first + max(forget_epochs - 1, 0) * forgetting
        whole += (config.epochs - max(forget_epochs, 1)) * retaining
        yield f"{name}'s time over fine-tuning's", whole / (config.epochs * tuned[config])
    started = synchronised()
    training.predict(original.features, original, context.train.x)
    forward = synchronised() - started
    yield "of miu's, the original's forward pass alone", forward / (config.epochs * tuned[config])


def picture_seconds(original: models.Classifier, splits: data.Splits, size: Size) -> float:
    """Time a picture of a training epoch, crops and flips included, once everything is warm."""
    config = training.TrainConfig(lr=0.01, batch_size=size.batch_size, augment=True)
    context = make_context(original, splits, config, size)
    return epoch_seconds(methods.FineTune(), context)[-1] / len(context.retain)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """Forward, backward, update; the loss."""
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def step_seconds(network: Network, x: Tensor, size: Size) -> float:
    """Time a sample of forward, backward and update on a batch that lies on the device: the limit."""
    batch = of_two_classes(x).to(size.device)
    model = models.build(network, batch, 0).to(size.device).train()
    optimizer = training.make_optimizer(model.parameters(), training.TrainConfig(), size.device)
    x, steps = x.to(size.device), 40 if size.device.type == "cuda" else 3
    for _ in range(steps // 4 + 1):
        step(model, optimizer, x, batch.y)
    started = synchronised()
    for _ in range(steps):
        step(model, optimizer, x, batch.y)
    return (synchronised() - started) / (steps * len(x))


def disagreement(network: Network, x: Tensor, device: torch.device) -> float:
    """The largest difference of five steps' losses on the device and on the CPU, over the latter: the same
    weights and samples, in 32 bits, without dropout."""
    batch, losses = of_two_classes(x), []
    for place in (torch.device("cpu"), device):
        model = models.build(replace(network, precision="fp32"), batch, 0).to(place)
        model.train(network.model not in models.TEXTS)  # dropout's draws are a device's own
        optimizer = training.make_optimizer(model.parameters(), training.TrainConfig(lr=0.001), place)
        losses.append([step(model, optimizer, x.to(place), batch.y.to(place)).item() for _ in range(5)])
    cpu, other = map(np.array, losses)
    return float((np.abs(other - cpu) / cpu).max())


def random_batch(*shape: int, most: int = 255, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Random whole numbers from 1, the same in every call."""
    return torch.randint(1, most, shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def of_two_classes(x: Tensor) -> data.GroupedDataset:
    """The samples with two classes in turns."""
    return data.GroupedDataset(x, torch.arange(len(x)) % 2, torch.arange(len(x)) % 2)


class Files(Dataset[tuple[Tensor, int]]):
    """Pictures in files, decoded one by one: what most code does."""

    def __init__(self, folder: Path, side: int) -> None:
        from torchvision import transforms  # seconds to import, for those who measure

        self.files = sorted(folder.glob("*.jpg"))
        self.transform = transforms.Compose([
            transforms.RandomResizedCrop(side, scale=(0.7, 1.0)), transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        with Image.open(self.files[i]) as picture:
            return self.transform(picture.convert("RGB")), i % 2


def plain_seconds(size: Size) -> float:
    """Time a picture of an epoch by a DataLoader over JPEGs of CelebA's size, in 32 bits."""
    (n, workers), rng = size.plain, np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            small = Image.fromarray(rng.integers(0, 256, (28, 22, 3), dtype=np.uint8))
            # enlarged, so smooth, as photographs are
            small.resize((178, 218), Image.Resampling.BICUBIC).save(Path(folder) / f"{i:06}.jpg", quality=90)
        loader = DataLoader(Files(Path(folder), size.side), size.batch_size, shuffle=True,
                            num_workers=workers, pin_memory=size.device.type == "cuda",
                            persistent_workers=workers > 0)
        model = models.build(Network(size.model), of_two_classes(random_batch(2, 3, 8, 8)), 0)
        model.to(size.device).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)
        for _ in range(2):  # the first starts the workers
            started = synchronised()
            for x, y in loader:
                step(model, optimizer, *(v.to(size.device, non_blocking=True) for v in (x, y)))
            seconds = (synchronised() - started) / n
    return seconds


def evaluation_seconds(model: models.Classifier, splits: data.Splits, size: Size) -> float:
    """Time of all metrics of one model."""
    split = data.split_forget(splits.train, 0.5, [splits.forget_group])
    started = synchronised()
    retain, forget, val, test = (part.to(size.device)
                                 for part in (split.retain, split.forget, splits.val, splits.test))
    evaluate(model, retain, forget, val, test, [splits.forget_group])
    return synchronised() - started


def measure(size: Size, speeds: Speeds) -> Iterator[tuple[str, str, str]]:
    """All measurements, one after the other: what, target, and what was found; `speeds` is filled in."""
    name, n, tokens = size.texts
    pairs = random_batch(n, 2, tokens, most=30_000, dtype=torch.int32)
    pairs[:, 1] = 0
    if size.device.type != "cpu":  # which would be compared with itself
        few = random_batch(16, 3, size.side, size.side)
        for title, of, x in ((size.model, size.network, few), (name, Network(name), pairs)):
            yield (f"{title}, losses of five steps: difference from the CPU's", "<= 1 %",
                   f"{disagreement(of, x, size.device):.2%}")
    limit = step_seconds(size.network, random_batch(size.batch_size, 3, size.side, size.side), size)
    yield f"{size.model}, forward, backward, update: pictures a second, the limit", "", f"{1 / limit:,.0f}"
    for original in (CELEBA, WATERBIRDS):
        splits = random_splits(original, size)
        model, title = untrained(splits, size), f"{original.name}, {len(splits.train):,} for training"
        each = picture_seconds(model, splits, size)
        speeds[original.name] = {size.batch_size: 1 / each}
        yield f"{title}: an epoch (s)", "", f"{each * len(splits.train):,.1f}"
        yield f"{title}: speed, of the limit", ">= 90 %", f"{limit / each:.0%}, {1 / each:,.0f} a second"
        if original is CELEBA:
            yield f"{title}: against a plain DataLoader", ">= 4 x", f"{plain_seconds(size) / each:.1f} x"
        yield f"{title}: all metrics of a model (s)", "", f"{evaluation_seconds(model, splits, size):.1f}"
        for what, ratio in method_ratios(original.name, model, splits, size, speeds):
            yield f"{title}: {what}", TARGETS.get((what.split("'")[0], original.name), ""), f"{ratio:.3f}"
        splits = streamed(splits)
        if size.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        each = picture_seconds(model, splits, size)
        yield f"{title}: streamed, speed, of the limit", "", f"{limit / each:.0%}, {1 / each:,.0f} a second"
        if size.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated() / 2**30
            yield f"{title}: streamed, peak memory, batch {size.batch_size}", "<= 12 GB", f"{peak:.1f} GB"
    each = step_seconds(Network(name, precision=size.precision), pairs, size)
    speeds["texts"] = {n: 1 / each}
    yield f"{name}, {tokens} tokens, forward, backward, update: texts a second", "", f"{1 / each:,.1f}"


def main(size: Size | None = None, out: Path | None = None) -> int:
    """Measure and print; with `out`, keep it as JSON, whose "speeds" are `Speeds`.

    Raises:
        OSError: that file cannot be written; said before anything is measured.
    """
    size = size or full_or_small()
    on_gpu, speeds, rows = size.device.type == "cuda", Speeds(), []
    device = torch.cuda.get_device_name() if on_gpu else "a CPU"
    if out:
        out.open("a").close()
    if on_gpu:
        print(f"{device}, torch {torch.__version__}, {size.precision}, "
              f"{size.side} x {size.side}, batches of {size.batch_size}\n")
    else:
        print("No GPU: the targets are for one H100, where this is not measured. The same code here, "
              f"in 32 bits, on {size.most} pictures of {size.side} x {size.side}, "
              f"in batches of {size.batch_size}:\n")
    print(LINE.format("what", "target", "measured"))
    with fixed_threads():
        for row in measure(size, speeds):
            print(LINE.format(*row), flush=True)
            rows.append(row)
    if out:
        pictures = [speeds[original.name] for original in (CELEBA, WATERBIRDS)]
        speeds["images"] = {n: min(by_batch.get(n, math.inf) for by_batch in pictures)
                            for n in sorted({n for by_batch in pictures for n in by_batch})}
        write_whole(out, json.dumps({"device": device, "torch": torch.__version__, "side": size.side,
                                     "precision": size.precision, "speeds": speeds, "rows": rows}, indent=1))
    return 0
