"""The one training loop. A method is a pair of losses; this loop gives it batches.

Per epoch: the method's `before_epoch`, then (while epoch < forget_epochs) a pass over the forget set with
`forget_loss`, then a pass over the retain set with `retain_loss`. Pretraining, retraining and every
unlearning method run through here. A method that works in one stroke does so in `setup`, and asks for no
epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset
from grmu.data.rows import Rows
from grmu.models import Classifier
from grmu.numerics import seeded
from grmu.reweight import draw_epoch


class Batch(NamedTuple):
    """Samples of one step, augmented if the recipe says so; `index` are their rows in the set they come
    from."""

    x: Tensor
    y: Tensor
    group: Tensor
    index: Tensor


@dataclass(frozen=True)
class Recipe:
    """How to optimise. `schedule` is "cosine" or "constant", after `warmup_epochs` of linear warm-up; rates
    per epoch. No epochs (0) leave what the method's `setup` made. `optimizer`: "sgd", or "adamw", which has
    no use for `momentum`.

    Raises:
        ValueError: a value out of range; the message names it and what is allowed.
    """

    epochs: int = 15
    lr: float = 0.1
    batch_size: int = 64
    weight_decay: float = 5e-4
    momentum: float = 0.9
    warmup_epochs: int = 0
    schedule: str = "cosine"
    augment: bool = False
    optimizer: str = "sgd"

    def __post_init__(self) -> None:
        check_range(self, epochs=(0, 10_000))
        check_range(self, lr=(0, 100), batch_size=(2, 1_000_000), weight_decay=(0, 1),
                    momentum=(0, 0.9999), warmup_epochs=(0, max(self.epochs - 1, 0)))
        check_choice(self, schedule=("cosine", "constant"), augment=(False, True), optimizer=("sgd", "adamw"))


def check_range(owner: object, **ranges: tuple[float, float]) -> None:
    """Raise a ValueError for the first field of `owner` that is not a number within its (low, high)."""
    for name, (low, high) in ranges.items():
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"{name} must be a number from {low:g} to {high:g}, but is {value!r}.")
        if type(owner).__dataclass_fields__[name].type in ("int", int):
            if value != int(value):
                raise ValueError(f"{name} must be a whole number, but is {value!r}.")
            object.__setattr__(owner, name, int(value))


def check_choice(owner: object, **choices: tuple[str, ...]) -> None:
    """Raise a ValueError for the first field of `owner` that is not one of its allowed values."""
    for name, allowed in choices.items():
        if (value := getattr(owner, name)) not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, but is {value!r}.")


@dataclass
class Context:
    """All that a method may look at: the model it changes, the frozen original (None if it starts afresh),
    the data.

    `weights` are REWEIGHT's, one per retained sample, summing to 1; None leaves all alike.
    `retain_index` says which rows of `train` are retained, so that what is known of those need not be
    computed again.
    """

    model: Classifier
    original: Classifier | None
    train: GroupedDataset
    retain: GroupedDataset
    forget: GroupedDataset
    rng: torch.Generator
    recipe: Recipe
    weights: Tensor | None = None
    retain_index: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where the data lives."""
        return self.retain.y.device


class Method:
    """Base of all methods: override the losses. Subclasses are dataclasses whose fields are their
    hyperparameters.

    starts_from: "fresh" weights or the "original" (PRETRAIN) model.  trains_on: "train" or "retain".
    forget_epochs: number of first epochs with a forget pass.  retains: do epochs have a retain pass?
    """

    name: ClassVar[str]
    starts_from: ClassVar[str] = "original"
    trains_on: ClassVar[str] = "retain"
    forget_epochs: int = 0
    retains: bool = True

    def setup(self, context: Context) -> None:
        """Called once, before the first epoch."""
        self.context, self.model = context, context.model

    def parameters(self) -> Iterable[Tensor]:
        """Parameters of the method's own, trained together with the model's; asked for after `setup`."""
        return ()

    def sampling_weights(self) -> Tensor | None:
        """The method's own sampling of the retain set; None leaves the choice (uniform or REWEIGHT) to the
        experiment."""
        return None

    def before_epoch(self, epoch: int) -> dict[str, float]:
        """Work before epoch 0, 1, ...; what it returns is recorded with that epoch."""
        return {}

    def forget_loss(self, batch: Batch) -> Tensor:
        """What a step of the forget pass minimises, a scalar."""
        raise NotImplementedError

    def retain_loss(self, batch: Batch) -> Tensor:
        """What a step of the retain pass minimises, a scalar; here cross-entropy (Eq. 7)."""
        return nn.functional.cross_entropy(self.model(batch.x), batch.y)

    def after_step(self) -> None:
        """Called after every step of the optimiser, of either pass."""

    def state(self) -> Mapping[str, Any]:
        """What changes while training, besides the model: tensors, or objects with a `state_dict`. Kept in
        checkpoints."""
        return {}


def augment_images(x: Tensor, rng: torch.Generator, shift: int = 3) -> Tensor:
    """Shift each image (B, C, H, W) by up to `shift` pixels (edges replicated), flip every second one on
    average."""
    n, (height, width) = len(x), x.shape[-2:]
    moves = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=rng).to(x.device, non_blocking=True)
    flip = (torch.rand(n, 1, generator=rng) < 0.5).to(x.device, non_blocking=True)
    rows = (torch.arange(height, device=x.device) + moves[0] - shift).clamp_(0, height - 1)
    cols = (torch.arange(width, device=x.device) + moves[1] - shift).clamp_(0, width - 1)
    cols = torch.where(flip, cols.flip(1), cols)
    every = torch.arange(n, device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[every, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def batches(data: GroupedDataset, recipe: Recipe, rng: torch.Generator,
            weights: Tensor | None) -> Iterator[Batch]:
    """One epoch of shuffled batches: cut from memory, or fetched ahead from where the samples are."""
    order = draw_epoch(len(data), weights, rng)
    indices = order.to(data.y.device).split(recipe.batch_size)
    stored = isinstance(data.x, Rows)
    samples = data.x.batches(order, recipe.batch_size) if stored else (data.x[index] for index in indices)
    for x, index in zip(samples, indices, strict=True):
        if recipe.augment and x.ndim == 4:  # sentences are not augmented
            x = data.x.view.random(x, rng) if stored and data.x.view else augment_images(x, rng)
        yield Batch(x, data.y[index], data.group[index], index)


@torch.no_grad()
def predict(function: Callable[[Tensor], Tensor], model: nn.Module, x: Tensor,
            batch_size: int = 500) -> Tensor:
    """function(x) over all x in eval mode, so that BatchNorm's statistics stay as they are; restores the
    mode."""
    was_training = model.training
    model.eval()
    outputs = torch.cat([function(part) for part in x.split(batch_size)]) if len(x) else function(x)
    model.train(was_training)
    return outputs


def make_optimizer(parameters: Iterable[Tensor], recipe: Recipe,
                   device: torch.device) -> torch.optim.Optimizer:
    """SGD or AdamW; on a GPU all tensors are updated by one kernel."""
    fused = {"fused": True} if device.type == "cuda" else {}
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay, **fused)
    return torch.optim.SGD(parameters, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, **fused)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warm-up, then cosine to 0 or constant, stepped once per epoch."""
    from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

    warmup, rest = recipe.warmup_epochs, recipe.epochs - recipe.warmup_epochs
    main = CosineAnnealingLR(optimizer, rest) if recipe.schedule == "cosine" else ConstantLR(optimizer, factor=1.0)
    if warmup == 0:
        return main
    return SequentialLR(optimizer, [LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup), main],
                        milestones=[warmup])


class Checkpoint(Protocol):
    """Where `train` leaves its state after each epoch, and finds it again."""

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep nested dicts and lists of tensors, numbers and strings."""


def train(method: Method, context: Context, on_epoch: Callable[[int, dict[str, float]], None] | None = None,
          checkpoint: Checkpoint | None = None) -> list[dict[str, float]]:
    """Run `method` on `context.model`, in place; its own sampling of the retain set, if it has one, else
    `context.weights`.

    Args:
        on_epoch: called after each epoch with its number, from 1, and its losses and whatever `before_epoch`
        returned.
        checkpoint: training goes on from what it holds, with the same numbers as if it had never stopped.

    Returns:
        One row an epoch: what `on_epoch` got, and may have added to.

    Raises:
        FloatingPointError: a loss or a weight became NaN or infinite; says in which term, method and epoch.
    """
    recipe, model = context.recipe, context.model
    method.setup(context)
    own = method.sampling_weights()
    weights = own if own is not None else context.weights
    optimizer = make_optimizer([*model.parameters(), *method.parameters()], recipe, context.device)
    schedule = make_schedule(optimizer, recipe)

    def one_pass(term: str, data: GroupedDataset, loss_function: Callable, sampling: Tensor | None) -> float:
        model.train()
        total, n_steps = torch.zeros((), device=data.y.device), 0
        for batch in batches(data, recipe, context.rng, sampling):
            loss = loss_function(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            method.after_step()
            total += loss.detach()
            n_steps += 1
        mean = total.item() / n_steps
        if not abs(mean) < float("inf"):
            raise FloatingPointError(
                f"the {term} loss of {method.name} is {mean} in epoch {epoch + 1} of {recipe.epochs}: lower lr "
                f"(now {recipe.lr:g}) or look for NaN in the data.")
        return mean

    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "rng": context.rng}
    rows = restore(parts, method, saved) if checkpoint is not None and (saved := checkpoint.load()) is not None else []
    for epoch in range(len(rows), recipe.epochs):
        with seeded(context.rng.initial_seed() + 1000 * epoch, context.device):  # dropout
            row = method.before_epoch(epoch)
            if epoch < method.forget_epochs and len(context.forget):
                row["forget_loss"] = one_pass("forget", context.forget, method.forget_loss, None)
            if method.retains:
                row["retain_loss"] = one_pass("retain", context.retain, method.retain_loss, weights)
            schedule.step()
        rows.append(row)
        if on_epoch is not None:
            on_epoch(epoch + 1, row)
        if checkpoint is not None and epoch + 1 < recipe.epochs:
            checkpoint.save(snapshot(parts, method, rows))
    if not all(p.isfinite().all() for p in model.parameters()):
        raise FloatingPointError(f"{method.name} left weights that are NaN or infinite: take a smaller step.")
    return rows


def snapshot(parts: Mapping[str, Any], method: Method, rows: list[dict[str, float]]) -> dict[str, Any]:
    """All that the next epoch depends on."""
    def state(part: Any) -> Any:
        if isinstance(part, torch.Generator):
            return part.get_state()
        return part.state_dict() if hasattr(part, "state_dict") else part.detach()

    return {"rows": rows, "parts": {k: state(v) for k, v in parts.items()},
            "method": {k: state(v) for k, v in method.state().items()}}


def restore(parts: Mapping[str, Any], method: Method, saved: Mapping[str, Any]) -> list[dict[str, float]]:
    """Put a snapshot back, in place; returns its rows."""
    for now, before in ((parts, saved["parts"]), (method.state(), saved["method"])):
        for name, part in now.items():
            if isinstance(part, torch.Generator):
                part.set_state(before[name])
            elif hasattr(part, "load_state_dict"):
                part.load_state_dict(before[name])
            else:
                part.data.copy_(before[name])
    return list(saved["rows"])
