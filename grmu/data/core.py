"""Data sets with groups, and how a part of one is forgotten.

A `GroupedDataset` holds samples with a target y and an attribute a. The pair (y, a) is the group (Sec. 3.2 of
the paper). Groups are numbered by

    group = y * n_attributes + a

`split_forget` divides a training set into a retain set and a forget set. This module does not use any models.
"""

import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch

from grmu.data.checks import as_tensor, check_ratio, label_names, number, require, short_repr, whole_numbers

Group = tuple[int, int]
AnyGroup = Group | tuple[str, str] | str  # by numbers or by names


class Samples(cast(Any, object)):  # type: ignore[misc]  # its methods need no stubs
    """Samples that are fetched when they are needed and take the place of a tensor; see `grmu.data.memmap`.

    Subclasses have a length, indexing, `select`, `to`, `split` and `batches`, and a `crop`, which may be
    None.
    """

    crop: Any = None


@dataclass(frozen=True, eq=False)
class GroupedDataset:
    """Samples with targets, attributes and groups, which you can also build from your own arrays.

    Args:
        x: (N, ...) samples: uint8 pictures (N, C, H, W), token ids (N, 2, L), or floats; or `Samples`, such
            as rows of an array on disk.
        y: (N,) integer targets, from 0.
        a: (N,) integer attributes, from 0.
        class_names: Names in index order. They *declare* the number of classes, because a subset may lack
            some of them. By default, the classes are numbered up to the largest target.
        attribute_names: The same for the attribute values.
        name: Name of the data set.

    Raises:
        ValueError: Lengths differ, a label lies outside its names, or x holds NaN or infinity.
    """

    x: torch.Tensor | Samples
    y: torch.Tensor
    a: torch.Tensor
    class_names: Sequence[str] = ()
    attribute_names: Sequence[str] = ()
    name: str = "custom"
    group: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        x = self.x if isinstance(self.x, Samples) else as_tensor("x", self.x)
        y, a = whole_numbers("y", self.y), whole_numbers("a", self.a)
        require(len(x) == len(y) == len(a),
                f"x, y and a need one row per sample, but have {len(x)}, {len(y)} and {len(a)}.")
        if isinstance(x, torch.Tensor) and x.is_floating_point() and not x.isfinite().all():
            bad = int((~x.isfinite()).reshape(len(x), -1).any(1).nonzero()[0])
            raise ValueError(f"x holds NaN or infinity, first in sample {bad}: remove or repair it.")
        classes, attributes = label_names("y", y, self.class_names), label_names("a", a, self.attribute_names)
        values = {"x": x, "y": y, "a": a, "class_names": classes, "attribute_names": attributes,
                  "group": y * len(attributes) + a}
        declared = bool(self.attribute_names)
        for key, value in values.items():
            object.__setattr__(self, key, value)
        if not declared and self.n_classes > 1 and self.n_attributes > 1 and (
                self.group_counts().view(self.n_classes, -1) > 0).sum(0).max() < 2:
            warnings.warn(f"every attribute value of {self.name} occurs in one class only: a must be the "
                          "attribute, not the number of the group.", stacklevel=3)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """Number of declared classes."""
        return len(self.class_names)

    @property
    def n_attributes(self) -> int:
        """Number of declared attribute values."""
        return len(self.attribute_names)

    @property
    def n_groups(self) -> int:
        """Number of declared groups, including those without samples."""
        return self.n_classes * self.n_attributes

    @property
    def group_names(self) -> list[str]:
        """Names in group order, such as "sneaker on brick": the class name, then the attribute name."""
        return [f"{c} {a}" for c in self.class_names for a in self.attribute_names]

    def group_counts(self) -> torch.Tensor:
        """Count the samples of every declared group, (n_groups,); nu in the paper."""
        return torch.bincount(self.group, minlength=self.n_groups)

    def group_id(self, group: AnyGroup) -> int:
        """Return the index of a group: (y, a), its name, or the names of its class and attribute.

        Raises:
            ValueError: There is no such group; the message says what is allowed.
        """
        try:
            if isinstance(group[0], str):
                return self.group_names.index(group if isinstance(group, str) else " ".join(map(str, group)))
            y, a = (operator.index(part) for part in group)  # type: ignore[arg-type]  # no texts
        except (TypeError, ValueError, LookupError):
            raise ValueError(f"a group must be a pair (y, a) of integers or one of "
                             f"{', '.join(self.group_names)}, got {short_repr(group)}.") from None
        require(0 <= y < self.n_classes and 0 <= a < self.n_attributes,
                f"unknown group {(y, a)}: y goes from 0 to {self.n_classes - 1}, a from 0 to "
                f"{self.n_attributes - 1} in {self.name}.")
        return y * self.n_attributes + a

    def group_ids(self, groups: Sequence[AnyGroup]) -> list[int]:
        """Return the indices of groups, ascending and unique.

        Raises:
            ValueError: There are no groups, or a group is unknown.
        """
        require(isinstance(groups, Sequence) and not isinstance(groups, str) and groups,
                f"groups must be a list of pairs (y, a) or names, as [(1, 1)], got {short_repr(groups)}.")
        return sorted({self.group_id(g) for g in groups})

    def in_groups(self, groups: Sequence[AnyGroup]) -> torch.Tensor:
        """Return for each sample whether it is in one of these groups, (N,) bool."""
        return torch.isin(self.group, torch.tensor(self.group_ids(groups), device=self.group.device))

    def subset(self, index: torch.Tensor) -> Self:
        """Select the samples at `index`, with the same declared classes and attributes."""
        return replace(self, x=self.x.select(index) if isinstance(self.x, Samples) else self.x[index],
                       y=self.y[index], a=self.a[index])

    def to(self, device: str | torch.device) -> Self:
        """Return the same data on another device."""
        return replace(self, x=self.x.to(device), y=self.y.to(device), a=self.a.to(device))


def check_dataset(what: str, value: object) -> None:
    """Raise a ValueError unless the value is a `GroupedDataset`; `what` names it in the message."""
    if not isinstance(value, GroupedDataset):  # called often, and a tensor takes long to print
        raise ValueError(f"{what} must be a GroupedDataset, such as data.load(name).train, "
                         f"got {short_repr(value)}.")


class Splits(NamedTuple):
    """A data set as `load` returns it.

    Args:
        train: The training set.
        val: The validation set.
        test: The test set.
        forget_group: The data set's default dominant forget group (y, a).
    """

    train: GroupedDataset
    val: GroupedDataset
    test: GroupedDataset
    forget_group: Group


class ForgetSplit(NamedTuple):
    """The two parts of a training set.

    Args:
        retain: The retain set.
        forget: The forget set.
        forget_index: Rows of the training set to forget, ascending.
        retain_index: Rows of the training set to retain, ascending.
    """

    retain: GroupedDataset
    forget: GroupedDataset
    forget_index: torch.Tensor
    retain_index: torch.Tensor


def split_forget(train: GroupedDataset, ratio: float, groups: Sequence[AnyGroup] | None = None,
                 seed: int = 0, stratified: bool = True) -> ForgetSplit:
    """Choose the forget set: the share `ratio` of the samples of `groups`, or of all samples.

    With `stratified`, every group loses this share, up to rounding. Without it, the samples are drawn from
    all the groups together, and their number is rounded down, as in the paper's released code. For a fixed
    seed, the forget set of a smaller ratio is a subset of that of a larger one, so curves over the ratio are
    comparable.

    Args:
        train: The training set.
        ratio: Share to forget, in (0, 1].
        groups: Pairs (y, a); None for uniform forgetting, from all groups.
        seed: Seed of the choice.
        stratified: Whether to take the same share of each group.

    Raises:
        ValueError: `train` is not a data set, the ratio is outside (0, 1], a group is unknown, or the forget
            set would be empty or the whole training set.
    """
    check_dataset("train", train)
    check_ratio(ratio)
    number("seed", seed, 0, whole=True)
    ids = list(range(train.n_groups)) if groups is None else train.group_ids(groups)
    counts = train.group_counts()[ids].numpy()
    total = int(np.rint(ratio * counts.sum()) if stratified else ratio * counts.sum())
    require(total > 0, f"ratio {ratio} of {counts.sum()} samples leaves the forget set empty: raise it.")
    require(total < len(train),
            "the forget set would be the whole training set: name fewer groups or lower the ratio.")
    rng = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(train), generator=rng)  # one, so forget sets are nested
    if not stratified:
        eligible = torch.isin(train.group[shuffled], torch.tensor(ids))
        return split_at(train, shuffled[eligible][:total].sort().values)
    take = _alike(counts, total).tolist()
    chosen = [shuffled[train.group[shuffled] == g][:k] for g, k in zip(ids, take, strict=True)]
    return split_at(train, torch.cat(chosen).sort().values)


def _alike(counts: np.ndarray, total: int) -> np.ndarray:
    """Return how many samples of each group to forget, (len(counts),), if all groups lose the same share.

    The k-th sample of a group of n samples has the position (k - 1/2) / n, and the first `total` positions of
    all groups together are taken. A larger total therefore never takes fewer samples from any group.

    Args:
        counts: Number of samples of each group.
        total: Number of samples to forget.
    """
    order = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
    owner = np.repeat(np.arange(len(counts)), counts)
    return np.bincount(owner[np.argsort(order, kind="stable")[:total]], minlength=len(counts))


def as_rows(rows: object, n: int) -> torch.Tensor:
    """Convert row numbers or a mask to row numbers, ascending.

    Args:
        rows: Row numbers, or a mask of all rows.
        n: Number of rows of the training set.

    Raises:
        ValueError: The rows are none or all of the n rows, or do not exist.
    """
    tensor = as_tensor("forget", rows)
    numbers = tensor.nonzero().flatten() if tensor.dtype == torch.bool else tensor.long().unique()
    require(tensor.ndim == 1 and 0 < len(numbers) < n and numbers.min() >= 0 and numbers.max() < n,
            f"forget must be some, not all, of the row numbers 0 to {n - 1} of the training set, or a mask "
            f"of its {n} rows.")
    return numbers


def split_at(train: GroupedDataset, forget: Any) -> ForgetSplit:
    """Divide a training set into the given rows, as numbers or a mask, and all others."""
    forget_index = as_rows(forget, len(train))
    retain_index = (~torch.isin(torch.arange(len(train)), forget_index)).nonzero().squeeze(1)
    return ForgetSplit(train.subset(retain_index), train.subset(forget_index), forget_index, retain_index)
