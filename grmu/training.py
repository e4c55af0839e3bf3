"""The training loop of all methods: a method supplies two losses, and the loop supplies the batches.

Each epoch calls the method's `before_epoch`. While epoch < forget_epochs, a pass over the forget set with
`forget_loss` follows. The epoch ends with a pass over the retain set with `retain_loss`.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, Samples, require
from grmu.data.checks import Settings, one_of, within
from grmu.models import Classifier
from grmu.reweight import draw_epoch

OnEpoch = Callable[[int, dict[str, float]], None]  # takes the number of the epoch, from 1, and its row


@dataclass(frozen=True)
class Batch:
    """The samples of one step.

    Args:
        x: (B, ...) samples.
        y: (B,) targets.
        group: (B,) groups.
        index: (B,) rows of the samples in their set.
    """

    x: Tensor
    y: Tensor
    group: Tensor
    index: Tensor


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Settings of the optimiser.

    The learning rate rises linearly during the warm-up and then follows `schedule`.

    Args:
        epochs: Number of epochs. With 0, the model stays as the method's `setup` left it.
        lr: Learning rate after the warm-up.
        batch_size: Number of samples in a batch, of either pass.
        weight_decay: L2 penalty (SGD) or decoupled decay (AdamW).
        momentum: Momentum of SGD; AdamW ignores it.
        warmup_epochs: Number of epochs of linear warm-up.
        schedule: "cosine" (to 0) or "constant".
        augment: Whether to shift and flip pictures; sentences are never augmented.
        optimizer: "sgd" or "adamw".
        warmup_by: Whether the learning rate rises with every "epoch", or from 0 with every "step" of the
            retain pass.
        retain_batch_size: Number of samples in a batch of the retain pass; 0 means `batch_size`.
        keep: The epoch whose weights are kept: the "last", or the "best", which is the first epoch with the
            highest accuracy on the validation set.

    Raises:
        ValueError: A value is out of range; the message names it and what is allowed.
    """

    epochs: int = within(0, 10_000, default=15)
    lr: float = within(0, 100, default=0.1)
    batch_size: int = within(2, 1_000_000, default=64)
    weight_decay: float = within(0, 1, default=5e-4)
    momentum: float = within(0, 0.9999, default=0.9)
    warmup_epochs: int = within(0, 10_000, default=0)
    schedule: str = one_of("cosine", "constant")
    augment: bool = False
    optimizer: str = one_of("sgd", "adamw")
    warmup_by: str = one_of("epoch", "step")
    retain_batch_size: int = within(0, 1_000_000, default=0)
    keep: str = one_of("last", "best")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.warmup_epochs <= max(self.epochs - 1, 0), "warmup_epochs must be a number from 0 to "
                f"{max(self.epochs - 1, 0)}, got {self.warmup_epochs!r}.")


@dataclass
class Context:
    """What a method may use: the models, the data, the settings and the random stream.

    Args:
        model: The network to train.
        original: The frozen model before unlearning, in eval mode; None if training starts from scratch.
        train: The whole training set.
        retain: The samples of `train` to retain.
        forget: The samples of `train` to forget.
        rng: Source of every random draw.
        config: Settings of the optimiser.
        weights: (len(retain),) sampling weights of REWEIGHT, summing to 1; None samples uniformly.
        retain_index: (len(retain),) rows of `train` that are retained.
        val: The validation set; only `keep="best"` needs it.

    Raises:
        ValueError: The config keeps the best epoch, but there is no validation set.
    """

    model: Classifier
    original: Classifier | None
    train: GroupedDataset
    retain: GroupedDataset
    forget: GroupedDataset
    rng: torch.Generator
    config: TrainConfig
    weights: Tensor | None = None
    retain_index: Tensor = torch.arange(0)  # noqa: RUF009  # is never modified
    val: GroupedDataset | None = None

    def __post_init__(self) -> None:
        require(self.val is not None or self.config.keep == "last",
                f"keep must be last without a validation set, got {self.config.keep!r}: pass val to Context.")

    @property
    def device(self) -> torch.device:
        """The device that holds the data."""
        return self.retain.y.device

    @property
    def augments(self) -> bool:
        """Whether batches differ from the stored samples."""
        return self.config.augment and self.train.x[:1].ndim == 4


class Method(Settings):
    """Base of all methods, which are pairs of losses.

    Subclasses are dataclasses whose fields are hyperparameters. An attribute that is an `nn.Parameter` is
    trained together with the model. An attribute that is an `nn.Parameter` or an `nn.Buffer`, or that has a
    `state_dict`, is saved in checkpoints.

    Args:
        init_from: The method whose model this one starts from; None starts from fresh weights.
        trains_on: The set of the retain pass: "train" or "retain".
        forget_epochs: Number of epochs, counted from the first, that begin with a forget pass.
        retains: Whether epochs have a retain pass.
    """

    init_from: ClassVar[str | None] = "pretrain"
    trains_on: ClassVar[str] = "retain"
    forget_epochs: int = 0
    retains: bool = True

    def setup(self, context: Context) -> None:
        """Prepare for the first epoch; a method without epochs does all its work here."""
        self.context, self.model = context, context.model
        self.original: Classifier = context.original  # type: ignore[assignment]  # None if it starts afresh

    def sample_epoch(self) -> Tensor:
        """Draw the rows of the retain set for one epoch, shuffled or sampled with REWEIGHT."""
        return draw_epoch(len(self.context.retain), self.context.weights, self.context.rng)

    def before_epoch(self, epoch: int) -> dict[str, float]:
        """Do the work that precedes an epoch.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            Values to record with the epoch, by name.
        """
        return {}

    def forget_loss(self, batch: Batch) -> Tensor:
        """Return the loss that a step of the forget pass minimises, a scalar."""
        raise NotImplementedError

    def retain_loss(self, batch: Batch) -> Tensor:
        """Return the loss that a step of the retain pass minimises; by default, cross-entropy (Eq. 7)."""
        return nn.functional.cross_entropy(self.model(batch.x), batch.y)

    def after_step(self) -> None:
        """Do the work that follows a step of the optimiser, in either pass."""


def augment_images(x: Tensor, rng: torch.Generator, shift: int = 3) -> Tensor:
    """Shift each picture at random, repeating its edges, and flip it with probability 1/2.

    Args:
        x: (B, C, H, W) pictures.
        rng: Source of the draws.
        shift: Largest shift in pixels, in each direction.
    """
    n, (height, width) = len(x), x.shape[-2:]
    moves = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=rng).to(x.device, non_blocking=True)
    flip = (torch.rand(n, 1, generator=rng) < 0.5).to(x.device, non_blocking=True)
    rows = (torch.arange(height, device=x.device) + moves[0] - shift).clamp_(0, height - 1)  # (B, H)
    cols = (torch.arange(width, device=x.device) + moves[1] - shift).clamp_(0, width - 1)  # (B, W)
    cols = torch.where(flip, cols.flip(1), cols)
    every = torch.arange(n, device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[every, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def batches(data: GroupedDataset, config: TrainConfig, rng: torch.Generator, order: Tensor | None = None,
            batch_size: int = 0) -> Iterator[Batch]:
    """Yield one epoch in batches, augmented if the config says so.

    Args:
        data: The samples, in memory or on disk; those on disk are fetched ahead.
        config: Its `augment` and `batch_size` are used.
        rng: Source of the shuffling and the augmentation.
        order: Rows of the samples in the order of the epoch; None shuffles all samples.
        batch_size: Number of samples in a batch; 0 uses the config's.
    """
    order = torch.randperm(len(data), generator=rng) if order is None else order
    size, stored = batch_size or config.batch_size, data.x if isinstance(data.x, Samples) else None
    indices = order.to(data.y.device).split(size)
    samples = stored.batches(order, size) if stored else map(data.x.__getitem__, indices)
    for x, index in zip(samples, indices, strict=True):
        if config.augment and x.ndim == 4:
            x = stored.crop.random(x, rng) if stored and stored.crop else augment_images(x, rng)
        yield Batch(x, data.y[index], data.group[index], index)


@torch.no_grad()
def predict(function: Callable[[Tensor], Tensor], model: nn.Module, x: Tensor | Samples,
            batch_size: int = 500) -> Tensor:
    """Apply a function to all samples in eval mode, which leaves BatchNorm's statistics unchanged.

    Args:
        function: Function of a batch of samples.
        model: The network to put into eval mode; its mode is restored afterwards.
        x: (N, ...) samples.
        batch_size: Number of samples in a batch.

    Returns:
        (N, ...) the concatenated results.
    """
    was_training = model.training
    model.eval()
    outputs = torch.cat([function(part) for part in x.split(batch_size)])  # an empty x gives one empty part
    model.train(was_training)
    return outputs


def correct(model: Classifier, data: GroupedDataset) -> Tensor:
    """Return for each sample whether the model classifies it correctly, (N,) bool."""
    return predict(model, model, data.x).argmax(1) == data.y


def make_optimizer(parameters: Iterable[Tensor], config: TrainConfig,
                   device: torch.device) -> torch.optim.Optimizer:
    """Create SGD or AdamW; on a GPU, one fused kernel updates all tensors."""
    common: Any = {"weight_decay": config.weight_decay, "fused": True if device.type == "cuda" else None}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, config.lr, **common)
    return torch.optim.SGD(parameters, config.lr, config.momentum, **common)


def rate(config: TrainConfig, epoch: float) -> float:
    """Return the learning rate at a point in training.

    Args:
        config: Settings of the optimiser.
        epoch: Number of epochs completed, which may be fractional if the warm-up is by step.
    """
    warmup = config.warmup_epochs
    if epoch < warmup:
        start = 0.0 if config.warmup_by == "step" else 1 / (warmup + 1)
        return config.lr * (start + (1 - start) * epoch / warmup)
    if config.schedule == "constant":
        return config.lr
    return config.lr * (1 + math.cos(math.pi * (epoch - warmup) / (config.epochs - warmup))) / 2


def train(method: Method, context: Context, on_epoch: OnEpoch | None = None,
          checkpoint: Any = None) -> list[dict[str, float]]:
    """Train `context.model` with `method`, in place.

    Args:
        method: The method, which supplies the losses.
        context: Model, data and settings.
        on_epoch: Called after each epoch with its number, from 1, and its row, to which it may add.
        checkpoint: Object with `load` and `save`, such as `grmu.experiments.store.Checkpoint`. Training
            resumes from the saved state and gives the same numbers as an uninterrupted run.

    Returns:
        One row per epoch with the mean losses and the values that `before_epoch` returned. With
        `keep="best"`, rows also hold val_TA, the accuracy on the validation set.

    Raises:
        FloatingPointError: A loss or a weight became NaN or infinite; the message names the method, and for a
            loss also the pass and the epoch.
    """
    config, model, device = context.config, context.model, context.device
    method.setup(context)
    own = [value for value in vars(method).values() if isinstance(value, nn.Parameter)]
    optimizer = make_optimizer([*model.parameters(), *own], config, device)
    best = copy.deepcopy(model) if config.keep == "best" else None
    parts = {"model": model, "optimizer": optimizer, **_own_state(method)}
    parts |= {"best": best} if best else {}
    rows: list[dict[str, float]] = []
    if saved := checkpoint.load() if checkpoint else None:
        rows = list(saved["rows"])
        context.rng.set_state(saved["rng"])
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
    for epoch in range(len(rows), config.epochs):
        with torch.random.fork_rng([device.index or 0] if device.type == "cuda" else []):
            torch.manual_seed(context.rng.initial_seed() + 1000 * epoch)  # dropout
            row = method.before_epoch(epoch)
            if epoch < method.forget_epochs and len(context.forget):
                steps = batches(context.forget, config, context.rng)
                row["forget_loss"] = one_pass(method, "forget", optimizer, steps, epoch)
            if method.retains:
                steps = batches(context.retain, config, context.rng, method.sample_epoch(),
                                config.retain_batch_size)
                row["retain_loss"] = one_pass(method, "retain", optimizer, steps, epoch)
        if best:
            row["val_TA"] = correct(model, context.val).double().mean().item()  # type: ignore[arg-type]  # given
            if row["val_TA"] > max((before["val_TA"] for before in rows), default=0.0):
                best.load_state_dict(model.state_dict())
        rows.append(row)
        if on_epoch:
            on_epoch(epoch + 1, row)
        if checkpoint and epoch + 1 < config.epochs:
            checkpoint.save({"rows": rows, "rng": context.rng.get_state(),
                             "parts": {name: part.state_dict() for name, part in parts.items()}})
    if not all(p.isfinite().all() for p in model.parameters()):
        raise FloatingPointError(f"{type(method).__name__} left weights that are not finite: lower lr.")
    if best:
        model.load_state_dict(best.state_dict())
    return rows


def one_pass(method: Method, term: str, optimizer: torch.optim.Optimizer, steps: Iterable[Batch],
             epoch: int) -> float:
    """Take one step of the optimiser per batch and return the mean loss.

    Args:
        method: The method, which supplies the losses.
        term: Which loss to minimise, "forget" or "retain".
        optimizer: The optimiser.
        steps: The batches.
        epoch: Number of the epoch, from 0.

    Raises:
        FloatingPointError: The mean loss is NaN or infinite.
    """
    context, config, n_steps = method.context, method.context.config, 0
    loss_of = method.forget_loss if term == "forget" else method.retain_loss
    total, by_step = torch.zeros((), device=context.device), config.warmup_by == "step"
    per_epoch = math.ceil(len(context.retain) / (config.retain_batch_size or config.batch_size))
    context.model.train()
    for n_steps, batch in enumerate(steps, 1):
        share = min((n_steps - 1) / per_epoch, 1) if by_step and epoch < config.warmup_epochs else 0
        optimizer.param_groups[0]["lr"] = rate(config, epoch + share)
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step()
        total += loss.detach()
    if not math.isfinite(mean := total.item() / n_steps):
        raise FloatingPointError(
            f"the {term} loss of {type(method).__name__} is {mean} in epoch {epoch + 1} of {config.epochs}: "
            f"lower lr (now {config.lr:g}) or look for NaN in the data.")
    return mean


def _own_state(method: Method) -> dict[str, Any]:
    """Return the state that the method changes in training; wrapped tensors share their memory."""
    own: dict[str, Any] = {}
    for name, value in vars(method).items():
        if isinstance(value, nn.Parameter | nn.Buffer):
            shared = nn.Parameter(value.detach(), requires_grad=False)
            own[f"own {name}"] = nn.ParameterDict({"value": shared})
        elif hasattr(value, "state_dict") and name not in ("model", "original"):
            own[f"own {name}"] = value
    return own
