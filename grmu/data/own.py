"""Data of your own, from a `torch.utils.data.Dataset`: read in batches when they are needed, never kept."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch.utils.data import DataLoader

from grmu.data.checks import require, short_repr
from grmu.data.core import GroupedDataset, Splits, as_rows
from grmu.data.memmap import CropTransform, MemmapSamples


class Items(MemmapSamples):
    """Rows of a `torch.utils.data.Dataset`: read ahead, in batches, when they are needed."""

    def __init__(self, dataset: Any, rows: torch.Tensor, crop: CropTransform | None = None,
                 device: str | torch.device = "cpu") -> None:
        self.storage: Any = dataset
        self._rows, self.crop, self.device, self._streamed = rows.cpu(), crop, torch.device(device), True

    def _fetch(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.as_tensor(_triple(self.storage[i])[0]) for i in rows.tolist()])

    def _arrived(self, samples: torch.Tensor) -> torch.Tensor:
        return samples.to(self.device)


def _triple(item: Any) -> Any:
    return [item[key] for key in "xya"] if isinstance(item, Mapping) else item


def from_dataset(dataset: Any, class_names: Sequence[str] = (), attribute_names: Sequence[str] = (),
                 name: str = "custom") -> GroupedDataset:
    """Return a `Dataset` as grouped data. Its samples are read in batches when they are needed.

    The function goes through the dataset once, to read y and a; x need not fit into memory.

    Args:
        dataset: A `torch.utils.data.Dataset` of triples (x, y, a) or of dicts with these keys. Of a
            `DataLoader`, its dataset is used. Grouped data are returned as they are.
        class_names: Names in index order. By default, the dataset's own attribute `class_names`, if any.
        attribute_names: The same for the attribute.
        name: For error messages.

    Raises:
        ValueError: An item is no such triple, or the labels do not fit the names.
    """
    if isinstance(dataset, GroupedDataset):
        return dataset
    if isinstance(dataset, DataLoader):
        dataset = dataset.dataset
    labels = []
    for i in range(len(dataset)):
        try:
            _, y, a = _triple(dataset[i])
            labels.append((int(y), int(a)))
        except (TypeError, ValueError, KeyError):
            raise ValueError("the dataset must hold triples (x, y, a) or dicts with these keys, y and a "
                             f"whole numbers, but item {i} is {short_repr(dataset[i])}.") from None
    y, a = torch.tensor(labels).reshape(-1, 2).unbind(1)
    return GroupedDataset(Items(dataset, torch.arange(len(labels))), y, a,
                          class_names or getattr(dataset, "class_names", ()),
                          attribute_names or getattr(dataset, "attribute_names", ()), name)


def as_splits(given: Any, forget: Any) -> Splits:
    """Return three data sets as `Splits`, with the names of the training set.

    Args:
        given: Splits, or data for `from_dataset` as (train, val, test) or as a dict with these keys.
        forget: Row numbers of the training set, or a mask. Without Splits, the group that most of them
            belong to is the forget group.

    Raises:
        ValueError: The data are not three such data sets.
    """
    parts: Any = [given.get(part) for part in Splits._fields[:3]] if isinstance(given, Mapping) else given
    sized = isinstance(parts, Sequence) and all(hasattr(part, "__len__") for part in parts)
    require(sized and len(parts) in (3, 4),
            "splits must be three data sets with a length, (train, val, test) or a dict with these keys, "
            f"got {short_repr(given)}.")
    train = from_dataset(parts[0])
    val, test = (from_dataset(part, train.class_names, train.attribute_names) for part in parts[1:3])
    most = train.group_id(parts[3]) if len(parts) > 3 else train.group[as_rows(forget, len(train))].mode()[0]
    return Splits(train, val, test, divmod(int(most), train.n_attributes))


@lru_cache(maxsize=4)
def digest_of(splits: Splits) -> str:
    """Return the SHA-256 of everything in the splits."""
    total = hashlib.sha256(repr(splits.forget_group).encode())
    for part in splits[:3]:
        total.update(repr((part.class_names, part.attribute_names, len(part))).encode())
        for values in (*part.x.split(4096), part.y, part.a):
            total.update(repr((values.shape, values.dtype)).encode())
            total.update(values.contiguous().view(torch.uint8).numpy().data)
    return total.hexdigest()
