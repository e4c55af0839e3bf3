"""What a data set is here, and how a part of it is forgotten.

`GroupedDataset` holds samples with a target y and an attribute a; the pair is the group, group = y *
n_attributes + a (Sec. 3.2 of the paper). `split_forget` divides a training set into retain and forget sets.
Nothing here knows of models.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch

from grmu.data.checks import as_tensor, check_ratio, label_names, number, require, short_repr, whole_numbers

Group = tuple[int, int]


class Samples(cast(Any, object)):  # type: ignore[misc]  # so that its methods need no stubs
    """Samples that are fetched when they are needed, in place of a tensor; see `grmu.data.memmap`.

    Subclasses have a length, indexing, `select`, `to`, `split` and `batches`, and a `crop` or None.
    """

    crop: Any = None


@dataclass(frozen=True, eq=False)
class GroupedDataset:
    """Samples with targets, attributes and groups; also built from your own arrays.

    Args:
        x: (N, ...) samples: uint8 images (N, C, H, W), token ids (N, 2, L), or floats; or `Samples`,
            such as rows of an array on disk.
        y, a: (N,) integer target and attribute, from 0.
        class_names, attribute_names: names in index order. Their lengths *declare* the number of classes and
            attribute values, which a subset may not contain in full; by default, numbers up to the largest
            value seen.

    Raises:
        ValueError: lengths differ, a label lies outside its names, or x holds NaN or infinity.
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
        for key, value in values.items():
            object.__setattr__(self, key, value)

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
        """Number of groups, also of those that have no sample."""
        return self.n_classes * self.n_attributes

    @property
    def group_names(self) -> list[str]:
        """Names in group order, such as "sneaker on brick" (attribute names read on from class names)."""
        return [f"{c} {a}" for c in self.class_names for a in self.attribute_names]

    def group_counts(self) -> torch.Tensor:
        """(n_groups,) number of samples of every declared group, zeros included: the paper's nu."""
        return torch.bincount(self.group, minlength=self.n_groups)

    def group_id(self, group: Group) -> int:
        """(y, a) -> its index; ValueError with the allowed range otherwise."""
        try:
            y, a = map(operator.index, group)
        except (TypeError, ValueError):
            raise ValueError(f"a group is a pair (y, a) of integers, not {short_repr(group)}.") from None
        require(0 <= y < self.n_classes and 0 <= a < self.n_attributes,
                f"unknown group {(y, a)}: y goes from 0 to {self.n_classes - 1}, a from 0 to "
                f"{self.n_attributes - 1} in {self.name}.")
        return y * self.n_attributes + a

    def group_ids(self, groups: Sequence[Group]) -> list[int]:
        """The indices of groups (y, a), ascending, each once; ValueError if there are none."""
        require(isinstance(groups, Sequence) and not isinstance(groups, str) and groups,
                f"groups must be pairs (y, a), such as [(1, 1)], got {short_repr(groups)}.")
        return sorted({self.group_id(g) for g in groups})

    def in_groups(self, groups: Sequence[Group]) -> torch.Tensor:
        """(N,) bool: is the sample in one of these groups (y, a)?"""
        return torch.isin(self.group, torch.tensor(self.group_ids(groups), device=self.group.device))

    def subset(self, index: torch.Tensor) -> Self:
        """The samples at `index`, with the same declared classes and attributes."""
        return replace(self, x=self.x.select(index) if isinstance(self.x, Samples) else self.x[index],
                       y=self.y[index], a=self.a[index])

    def to(self, device: str | torch.device) -> Self:
        """The same data on another device."""
        return replace(self, x=self.x.to(device), y=self.y.to(device), a=self.a.to(device))


def check_dataset(what: str, value: object) -> None:
    """Raise a ValueError unless it is a `GroupedDataset`."""
    if not isinstance(value, GroupedDataset):  # asked often, and a tensor takes long to print
        raise ValueError(f"{what} must be a GroupedDataset, such as data.load(name).train, "
                         f"got {short_repr(value)}.")


class Splits(NamedTuple):
    """What `load` returns.

    Args:
        train, val, test: The data.
        forget_group: The data set's default dominant forget group (y, a).
    """

    train: GroupedDataset
    val: GroupedDataset
    test: GroupedDataset
    forget_group: Group


class ForgetSplit(NamedTuple):
    """The two parts of a training set, and which of its rows are forgotten and retained (long tensors,
    ascending)."""

    retain: GroupedDataset
    forget: GroupedDataset
    forget_index: torch.Tensor
    retain_index: torch.Tensor


def split_forget(train: GroupedDataset, ratio: float, groups: Sequence[Group] | None = None, seed: int = 0,
                 stratified: bool = True) -> ForgetSplit:
    """Choose what is forgotten: the share `ratio` of the samples of `groups`, or of all samples.

    Stratified: every named group loses its share, remainders going to the largest fractions. Otherwise, as in
    the paper's released code, the whole part of ratio x samples, drawn from all of them alike. For one seed
    the forget set of a smaller ratio lies within that of a larger one, so curves over the ratio compare like
    with like.

    Args:
        train: The training set.
        ratio: Share to forget, in (0, 1].
        groups: Pairs (y, a); None for uniform forgetting, from all groups alike.
        seed: Chooses the samples.
        stratified: Take the same share of each group, as described above.

    Raises:
        ValueError: No data set, a ratio outside (0, 1], an unknown group, or a forget set that would be empty
            or the whole training set.
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
    shuffled = torch.randperm(len(train), generator=rng)  # one permutation for all groups and ratios
    if not stratified:
        asked = torch.isin(train.group[shuffled], torch.tensor(ids))
        return split_at(train, shuffled[asked][:total].sort().values)
    take = _alike(counts, total).tolist()
    chosen = [shuffled[train.group[shuffled] == g][:k] for g, k in zip(ids, take, strict=True)]
    return split_at(train, torch.cat(chosen).sort().values)


def _alike(counts: np.ndarray, total: int) -> np.ndarray:
    """How many samples go of each group (len(counts),), for `total` of them all and the same share of each.

    The k-th sample of a group of n goes k - 1/2 n-ths of the way: the shares come out, and more never takes
    fewer.
    """
    order = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
    owner = np.repeat(np.arange(len(counts)), counts)
    return np.bincount(owner[np.argsort(order, kind="stable")[:total]], minlength=len(counts))


def as_rows(rows: object, n: int) -> torch.Tensor:
    """Return some of n row numbers, ascending, from such numbers or a mask; ValueError if they are none."""
    given = as_tensor("forget", rows)
    numbers = given.nonzero().flatten() if given.dtype == torch.bool else given.long().unique()
    require(given.ndim == 1 and 0 < len(numbers) < n and numbers.min() >= 0 and numbers.max() < n,
            f"forget must be some, not all, of the row numbers 0 to {n - 1} of the training set, or a mask "
            f"of its {n} rows.")
    return numbers


def split_at(train: GroupedDataset, forget: Any) -> ForgetSplit:
    """The training set divided into some of its rows, as numbers or a mask, and the others."""
    forget_index = as_rows(forget, len(train))
    retain_index = (~torch.isin(torch.arange(len(train)), forget_index)).nonzero().squeeze(1)
    return ForgetSplit(train.subset(retain_index), train.subset(forget_index), forget_index, retain_index)
