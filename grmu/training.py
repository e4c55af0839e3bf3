"""The one training loop. A method is a pair of losses; this loop gives it batches.

Per epoch: the method's `before_epoch`, then (while epoch < forget_epochs) a pass over the forget set with
`forget_loss`, then a pass over the retain set with `retain_loss`. Pretraining, retraining and every
unlearning method run through here. A method that works in one stroke does so in `setup`, and asks for no
epochs.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
)

from grmu.data import GroupedDataset, Rows, require
from grmu.models import Classifier
from grmu.numerics import seeded
from grmu.reweight import draw_epoch
from grmu.settings import Settings, one_of, within

OnEpoch = Callable[[int, dict[str, float]], None]  # epoch's number, from 1, and its row of the curves


@dataclass(frozen=True)
class Batch:
    """Samples of one step, augmented if the recipe says so;
    `index` are their rows in the set they come from."""

    x: Tensor
    y: Tensor
    group: Tensor
    index: Tensor


@dataclass(frozen=True)
class Recipe(Settings):
    """How to optimise: `schedule` after `warmup_epochs` of linear warm-up, rates per epoch.

    No epochs (0) leave what the method's `setup` made. AdamW has no use for `momentum`. `warmup_by`: does the
    rate rise from epoch to epoch, or with every step of the retain pass, from 0?

    Raises:
        ValueError: a value out of range; the message names it and what is allowed.
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

    later: ClassVar[Mapping[str, Any]] = {"warmup_by": "epoch"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.warmup_epochs <= max(self.epochs - 1, 0), "warmup_epochs must be a number from 0 to "
                f"{max(self.epochs - 1, 0)}, but is {self.warmup_epochs!r}.")


@dataclass
class Context:
    """All that a method may look at: the model it changes, the frozen original (None if it starts afresh),
    the data.

    `weights` are REWEIGHT's, one per retained sample, summing to 1; None leaves all alike. `retain_index`
    says which rows of `train` are retained, so that what is known of those need not be computed again.
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


class Method(Settings):
    """Base of all methods: override the losses.

    Subclasses are dataclasses whose fields are their hyperparameters.

    starts_from: "fresh" weights or the "original" model (PRETRAIN, or what `goes_on_from` names).
    trains_on: "train" or "retain".
    forget_epochs: number of first epochs with a forget pass.  retains: do epochs have a retain pass?
    later: settings that came later, with the values that runs had before: these leave no trace in names.
    """

    name: ClassVar[str] = "a method"  # `grmu.methods.register` gives it one
    starts_from: ClassVar[str] = "original"
    trains_on: ClassVar[str] = "retain"
    later: ClassVar[Mapping[str, Any]] = {}
    forget_epochs: int = 0
    retains: bool = True

    @staticmethod
    def load(model: Classifier, weights: Mapping[str, Tensor]) -> None:
        """Give a network the weights of one that the method has trained."""
        model.load_state_dict(weights)

    def setup(self, context: Context) -> None:
        """Called once, before the first epoch."""
        self.context, self.model = context, context.model

    def meant(self) -> Mapping[str, Any]:
        """What settings stand for that are None, by name."""
        return {}

    @property
    def goes_on_from(self) -> str:
        """The method whose model this one continues, if it does not start afresh."""
        return "pretrain"

    @property
    def original(self) -> Classifier:
        """The frozen model that unlearning starts from, in eval mode."""
        return self.context.original  # type: ignore[return-value]  # None only where a method starts afresh

    @property
    def retain_recipe(self) -> Recipe:
        """How the retain pass is cut into batches."""
        return self.context.recipe

    def parameters(self) -> Iterable[Tensor]:
        """Parameters of the method's own, trained together with the model's; asked for after `setup`."""
        return ()

    def sampling_weights(self) -> Tensor | None:
        """The method's own sampling of the retain set;
        None leaves it (uniform or REWEIGHT) to the experiment."""
        return None

    def forgets(self, epoch: int) -> bool:
        """Does epoch 0, 1, ... begin with a forget pass?"""
        return epoch < self.forget_epochs

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
        """What changes while training besides the model, for checkpoints: tensors,
        or what has a `state_dict`."""
        return {}


def augment_images(x: Tensor, rng: torch.Generator, shift: int = 3) -> Tensor:
    """Shift each image (B, C, H, W) by up to `shift` pixels (edges repeated),
    flip every second one on average."""
    n, (height, width) = len(x), x.shape[-2:]
    moves = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=rng).to(x.device, non_blocking=True)
    flip = (torch.rand(n, 1, generator=rng) < 0.5).to(x.device, non_blocking=True)
    rows = (torch.arange(height, device=x.device) + moves[0] - shift).clamp_(0, height - 1)  # (B, H)
    cols = (torch.arange(width, device=x.device) + moves[1] - shift).clamp_(0, width - 1)  # (B, W)
    cols = torch.where(flip, cols.flip(1), cols)
    every = torch.arange(n, device=x.device)[:, None, None]
    pixels = x.permute(0, 2, 3, 1)[every, rows[:, :, None], cols[:, None, :]]  # (B, H, W, C)
    return pixels.permute(0, 3, 1, 2)


def batches(data: GroupedDataset, recipe: Recipe, rng: torch.Generator,
            weights: Tensor | None) -> Iterator[Batch]:
    """One epoch of shuffled batches: cut from memory, or fetched ahead from where the samples are."""
    order, stored = draw_epoch(len(data), weights, rng), data.x if isinstance(data.x, Rows) else None
    indices = order.to(data.y.device).split(recipe.batch_size)
    samples = stored.batches(order, recipe.batch_size) if stored else map(data.x.__getitem__, indices)
    for x, index in zip(samples, indices, strict=True):
        if recipe.augment and x.ndim == 4:  # sentences are not augmented
            x = stored.view.random(x, rng) if stored and stored.view else augment_images(x, rng)
        yield Batch(x, data.y[index], data.group[index], index)


@torch.no_grad()
def predict(function: Callable[[Tensor], Tensor], model: nn.Module, x: Tensor | Rows,
            batch_size: int = 500) -> Tensor:
    """function(x) over all x in eval mode, so that BatchNorm's statistics stay as they are;
    restores the mode."""
    was_training = model.training
    model.eval()
    outputs = torch.cat([function(part) for part in x.split(batch_size)])  # of nothing, one part of nothing
    model.train(was_training)
    return outputs


def make_optimizer(parameters: Iterable[Tensor], recipe: Recipe,
                   device: torch.device) -> torch.optim.Optimizer:
    """SGD or AdamW; on a GPU all tensors are updated by one kernel."""
    fused = True if device.type == "cuda" else None
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
    return torch.optim.SGD(parameters, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay,
                           fused=fused)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, n_samples: int) -> LRScheduler:
    """Linear warm-up, then cosine to 0 or constant, stepped once per epoch.

    A warm-up by step goes on from 0 between these, with every batch of `n_samples` samples an epoch.
    """
    warmup, rest = recipe.warmup_epochs, recipe.epochs - recipe.warmup_epochs
    main = (CosineAnnealingLR(optimizer, rest) if recipe.schedule == "cosine"
            else ConstantLR(optimizer, factor=1.0))
    if warmup == 0:
        return main
    if recipe.warmup_by == "epoch":
        rising: LRScheduler = LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
        return SequentialLR(optimizer, [rising, main], milestones=[warmup])
    rising = LambdaLR(optimizer, lambda epoch: epoch / warmup)
    schedule = SequentialLR(optimizer, [rising, main], milestones=[warmup])
    n_steps, taken = math.ceil(n_samples / recipe.batch_size), Counter[int]()  # steps of each epoch

    def rise(*_: object) -> None:
        taken[epoch := schedule.last_epoch] += 1
        if epoch < warmup:
            done = epoch + min(taken[epoch] / n_steps, 1)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * done / warmup

    optimizer.register_step_post_hook(rise)
    return schedule


class Checkpoint(Protocol):
    """Where `train` leaves its state after each epoch, and finds it again."""

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep nested dicts and lists of tensors, numbers and strings."""


def train(method: Method, context: Context, on_epoch: OnEpoch | None = None,
          checkpoint: Checkpoint | None = None) -> list[dict[str, float]]:
    """Run `method` on `context.model`, in place.

    The retain set is sampled by the method's own weights if it has some, else by `context.weights`.

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
    weights = context.weights if own is None else own
    optimizer = make_optimizer([*model.parameters(), *method.parameters()], recipe, context.device)
    schedule = make_schedule(optimizer, recipe, len(context.retain))
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    saved = checkpoint.load() if checkpoint else None
    rows = restore(parts, method, saved) if saved else []
    for epoch in range(len(rows), recipe.epochs):
        with seeded(context.rng.initial_seed() + 1000 * epoch, context.device):  # dropout
            row = method.before_epoch(epoch)
            if method.forgets(epoch) and len(context.forget):
                row["forget_loss"] = one_pass(method, optimizer, context.forget, method.forget_loss, recipe)
            if method.retains:
                row["retain_loss"] = one_pass(method, optimizer, context.retain, method.retain_loss,
                                              method.retain_recipe, weights)
            schedule.step()
        for term in ("forget", "retain"):
            if not math.isfinite(loss := row.get(f"{term}_loss", 0.0)):
                raise FloatingPointError(
                    f"the {term} loss of {method.name} is {loss} in epoch {epoch + 1} of {recipe.epochs}: "
                    f"lower lr (now {recipe.lr:g}) or look for NaN in the data.")
        rows.append(row)
        if on_epoch:
            on_epoch(epoch + 1, row)
        if checkpoint and epoch + 1 < recipe.epochs:
            checkpoint.save(snapshot(parts, method, rows))
    if not all(p.isfinite().all() for p in model.parameters()):
        raise FloatingPointError(f"{method.name} left weights that are NaN or infinite: take a smaller step.")
    return rows


def one_pass(method: Method, optimizer: torch.optim.Optimizer, data: GroupedDataset,
             loss_of: Callable[[Batch], Tensor], recipe: Recipe, weights: Tensor | None = None) -> float:
    """A step of the optimiser for every batch of the data, drawn by `weights`; the mean loss."""
    context, total, steps = method.context, torch.zeros((), device=data.y.device), 0
    context.model.train()
    for steps, batch in enumerate(batches(data, recipe, context.rng, weights), 1):  # noqa: B007
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step()
        total += loss.detach()
    return total.item() / steps


def snapshot(parts: Mapping[str, Any], method: Method, rows: list[dict[str, float]]) -> dict[str, Any]:
    """All that the next epoch depends on."""
    return {"rows": rows, "rng": method.context.rng.get_state(),
            "parts": {name: part.state_dict() for name, part in _stateful(parts, method).items()}}


def restore(parts: Mapping[str, Any], method: Method, saved: Mapping[str, Any]) -> list[dict[str, float]]:
    """Put a snapshot back, in place; returns its rows."""
    method.context.rng.set_state(saved["rng"])
    for name, part in _stateful(parts, method).items():
        part.load_state_dict(saved["parts"][name])
    return list(saved["rows"])


def _stateful(parts: Mapping[str, Any], method: Method) -> dict[str, Any]:
    """Those parts and the method's own as objects with a `state_dict`; a tensor's shares its memory."""
    own = {f"own {name}": nn.ParameterDict({"value": nn.Parameter(part.detach(), requires_grad=False)})
           if isinstance(part, Tensor) else part for name, part in method.state().items()}
    return {**parts, **own}
