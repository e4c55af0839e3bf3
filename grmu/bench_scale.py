"""What a run at full scale costs: random pictures of the real data sets' number and size, through the code that trains on them.

    python -m grmu bench --scale                  on a GPU: CelebA's and Waterbirds' true sizes
    python -m grmu bench --scale                  without one: the same code at a small size, to see that it runs

Times do not depend on what the pictures show. A run's time is put together from its setup, its first epoch, one with and one
without a forget pass, which are timed; nobody waits for ten epochs.
"""

from __future__ import annotations

import copy
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from grmu import data, methods, models, training
from grmu.data.celeba import CELEBA
from grmu.data.original import SPLITS, Original
from grmu.data.rows import Rows, Storage, View
from grmu.data.waterbirds import WATERBIRDS
from grmu.experiment import Experiment
from grmu.metrics import evaluate
from grmu.models import Network
from grmu.numerics import fixed_threads

LINE = "{:62} {:>9}   {}"
METHODS = ("finetune", "l1_sparse", "salun", "scrub", "miu")


@dataclass(frozen=True)
class Size:
    """How large the measurement is: pictures at full size, or as many and as large as a CPU can do.

    shrink: divides the number of pictures.  side: of the network's input.  batch_size: of training.
    """

    shrink: int
    side: int
    batch_size: int
    device: torch.device
    precision: str = "bf16"


def full_or_small() -> Size:
    """The true size where there is a GPU, else a small one."""
    if torch.cuda.is_available():
        return Size(1, 224, 256, torch.device("cuda"))
    return Size(400, 64, 32, torch.device("cpu"), "fp32")


def random_splits(original: Original, size: Size) -> data.Splits:
    """Random pictures with a data set's counts and form; the array is one block of noise, repeated."""
    form = original.pictures
    height, width = (max(size.side, math.ceil(v * size.side / 224)) for v in (form.height, form.width))
    counts = {split: [math.ceil(n / size.shrink) for n in original.published[split]] for split in SPLITS}
    total, rng = sum(map(sum, counts.values())), np.random.default_rng(0)
    block = rng.integers(0, 256, (min(total, 512), height, width, 3), dtype=np.uint8)
    storage = Storage(np.resize(block, (total, height, width, 3)), pictures=True)
    view = View(size.side, min(height, width), min(height, width))
    parts, first = [], 0
    for split in SPLITS:
        group = np.repeat(np.arange(len(counts[split])), counts[split])
        rng.shuffle(group)
        n_a = len(original.attribute_names)
        rows = Rows(storage, torch.arange(first, first + len(group)), view)
        first += len(group)
        parts.append(data.GroupedDataset(rows, group // n_a, group % n_a, original.class_names, original.attribute_names, split))
    return data.Splits(*parts, original.forget_group)


def synchronised() -> float:
    """The time, once the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def make_context(splits: data.Splits, recipe: training.Recipe, size: Size, ratio: float = 0.5) -> training.Context:
    """What a method gets that unlearns half of the forget group; the original is a network that was never trained."""
    split = data.split_forget(splits.train, ratio, [splits.forget_group])
    original = models.build(Network("resnet18", precision=size.precision), splits.train, 0).to(size.device)
    model = copy.deepcopy(original)
    parts = (part.to(size.device) for part in (splits.train, split.retain, split.forget))
    return training.Context(model, original.eval().requires_grad_(False), *parts, torch.Generator().manual_seed(0), recipe,
                            retain_index=split.retain_index.to(size.device))


def run_seconds(method: training.Method, context: training.Context, epochs: int, forget_epochs: int) -> float:
    """Time of a run of that many epochs, from three that are timed: the first, one with and one without a forget pass."""
    method.forget_epochs = min(forget_epochs, 2)
    stamps = [synchronised()]

    def stamp(epoch: int, row: dict) -> None:
        stamps.append(synchronised())

    context.recipe = replace(context.recipe, epochs=3)
    training.train(method, context, stamp)
    first, with_forget, without = np.diff(stamps)
    return first + max(forget_epochs - 1, 0) * with_forget + (epochs - max(forget_epochs, 1)) * without


def epoch_seconds(splits: data.Splits, size: Size) -> float:
    """Time of a training epoch, crops and flips included; the second of two, after everything is warm."""
    recipe = training.Recipe(epochs=2, lr=0.01, batch_size=size.batch_size, augment=True)
    stamps = []
    method, context = methods.FineTune(), make_context(splits, recipe, size)
    training.train(method, context, lambda epoch, row: stamps.append(synchronised()))
    return (stamps[1] - stamps[0]) / len(context.retain)


def step_seconds(size: Size, steps: int) -> float:
    """Time a picture of forward, backward and update on one batch that lies on the device: what the hardware can do."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (size.batch_size, 3, size.side, size.side), generator=rng).to(torch.uint8)
    batch = data.GroupedDataset(x, torch.arange(len(x)) % 2, torch.arange(len(x)) % 2).to(size.device)
    model = models.build(Network("resnet18", precision=size.precision), batch, 0).to(size.device).train()
    optimizer = training.make_optimizer(model.parameters(), training.Recipe(), size.device)
    for step in range(steps + steps // 4 + 1):
        if step == steps // 4 + 1:
            started = synchronised()
        loss = nn.functional.cross_entropy(model(batch.x), batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (synchronised() - started) / (steps * size.batch_size)


class Files(Dataset):
    """Pictures in files, decoded one by one: what most code does."""

    def __init__(self, folder: Path, side: int) -> None:
        self.files = sorted(folder.glob("*.jpg"))
        self.transform = transforms.Compose([
            transforms.RandomResizedCrop(side, scale=(0.7, 1.0)), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        with Image.open(self.files[i]) as picture:
            return self.transform(picture.convert("RGB")), i % 2


def plain_seconds(size: Size, n: int, workers: int) -> float:
    """Time a picture of an epoch by a DataLoader over JPEG files of CelebA's size, torchvision's transforms, 32 bits."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            small = Image.fromarray(rng.integers(0, 256, (28, 22, 3), dtype=np.uint8))  # smooth, as photographs are
            small.resize((178, 218), Image.Resampling.BICUBIC).save(Path(folder) / f"{i:06}.jpg", quality=90)
        loader = DataLoader(Files(Path(folder), size.side), size.batch_size, shuffle=True, num_workers=workers,
                            pin_memory=size.device.type == "cuda", persistent_workers=workers > 0)
        shape = data.GroupedDataset(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], [0, 1])
        model = models.build(Network("resnet18"), shape, 0).to(size.device).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)
        for _ in range(2):  # the first starts the workers
            started = synchronised()
            for x, y in loader:
                x, y = (v.to(size.device, non_blocking=True) for v in (x, y))
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            seconds = (synchronised() - started) / n
    return seconds


def evaluation_seconds(splits: data.Splits, size: Size) -> float:
    """Time of all metrics of one model."""
    split = data.split_forget(splits.train, 0.5, [splits.forget_group])
    model = models.build(Network("resnet18", precision=size.precision), splits.train, 0).to(size.device).eval()
    started = synchronised()
    parts = (part.to(size.device) for part in (split.retain, split.forget, splits.val, splits.test))
    evaluate(model.requires_grad_(False), *parts, [splits.forget_group])
    return synchronised() - started


def method_ratios(dataset: str, splits: data.Splits, size: Size) -> Iterator[tuple[str, float]]:
    """Every method's time with the data set's preset over that of fine-tuning with the same recipe, setup included."""
    for name in METHODS[1:]:
        e = Experiment(dataset, name)
        recipe = replace(e.recipe, batch_size=min(e.recipe.batch_size, size.batch_size))
        seconds = []
        for method, forget_epochs in ((e.make_method(), e.make_method().forget_epochs), (methods.FineTune(), 0)):
            seconds.append(run_seconds(method, make_context(splits, recipe, size), recipe.epochs, forget_epochs))
        yield name, seconds[0] / seconds[1]


def features_ratio(splits: data.Splits, size: Size, batch_size: int) -> float:
    """One pass of the original over the training set, which MIU's calibration needs, over ten epochs of fine-tuning."""
    recipe = training.Recipe(epochs=10, lr=0.01, batch_size=batch_size)
    context = make_context(splits, recipe, size)
    whole = run_seconds(methods.FineTune(), context, 10, 0)
    started = synchronised()
    training.predict(context.original.features, context.original, context.train.x)
    return (synchronised() - started) / whole


def measure(size: Size, report: Callable[[str, str, str], None]) -> None:
    """All measurements; `report` gets what, target and what was found."""
    on_gpu = size.device.type == "cuda"
    limit = step_seconds(size, 40 if on_gpu else 3)
    report("ResNet-18, forward, backward, update: pictures a second, the limit", "", f"{1 / limit:,.0f}")
    for original in (CELEBA, WATERBIRDS):
        splits = random_splits(original, size)
        title = f"{original.name} ({len(splits.train):,} for training)"
        found = epoch_seconds(splits, size)
        report(f"{title}: training, of the limit", ">= 90 %", f"{limit / found:.0%}, {1 / found:,.0f} a second")
        if original is CELEBA:
            plain = plain_seconds(size, 20_000 if on_gpu else 60, 16 if on_gpu else 0)
            report("the same against a plain DataLoader over JPEG files", ">= 4 x", f"{plain / found:.1f} x")
        report(f"{title}: all metrics of a model (s)", "", f"{evaluation_seconds(splits, size):.1f}")
        for name, ratio in method_ratios(original.name, splits, size):
            target = {"celeba": "<= 1.4", "waterbirds": "<= 1.5"}[original.name] if name == "miu" else ""
            report(f"{title}: {name}'s time over fine-tuning's", target, f"{ratio:.2f}")
        alone = features_ratio(splits, size, min(256, size.batch_size))
        report(f"{title}: of that, the original's forward pass alone", "", f"{alone:.2f}")
        storage = splits.train.x.storage
        storage.resident_share = 0.0
        storage._on.clear()
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        found = epoch_seconds(splits, size)
        report(f"{title}: training streamed, of the limit", ">= 90 %", f"{limit / found:.0%}, {1 / found:,.0f} a second")
        memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GB" if on_gpu else "-"
        report(f"{title}: peak memory, streamed, batch {size.batch_size}", "<= 12 GB", memory)


def main() -> int:
    """Measure and print."""
    size = full_or_small()
    if size.device.type == "cuda":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {size.precision}, {size.side} x {size.side}, "
              f"batches of {size.batch_size}\n")
    else:
        print("No GPU: targets are for one H100, where this is not measured. The same code here, in 32 bits, on "
              f"1/{size.shrink} of the pictures at {size.side} x {size.side}:\n")
    print(LINE.format("what", "target", "measured"))
    with fixed_threads():
        measure(size, lambda *row: print(LINE.format(*row), flush=True))
    return 0
