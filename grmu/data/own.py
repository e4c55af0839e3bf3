"""Data of your own, from a `torch.utils.data.Dataset`: read in batches when they are needed, never kept."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch.utils.data import Dataset

from grmu.data.checks import short_repr
from grmu.data.core import GroupedDataset, Splits
from grmu.data.memmap import CropTransform, MemmapSamples


class Items(MemmapSamples):
    """Rows of a `torch.utils.data.Dataset` of (x, y, a): read ahead, in batches, when they are needed."""

    def __init__(self, dataset: Dataset[Any], rows: torch.Tensor, crop: CropTransform | None = None,
                 device: str | torch.device = "cpu") -> None:
        self.storage: Any = dataset
        self._rows, self.crop, self.device, self._streamed = rows.cpu(), crop, torch.device(device), True

    def _fetch(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.as_tensor(self.storage[i][0]) for i in rows.tolist()])

    def _arrived(self, samples: torch.Tensor) -> torch.Tensor:
        return samples.to(self.device)


def from_dataset(dataset: Dataset[Any], class_names: Sequence[str] = (), attribute_names: Sequence[str] = (),
                 name: str = "custom") -> GroupedDataset:
    """A `torch.utils.data.Dataset` of (x, y, a) as grouped data; its samples are read in batches when needed.

    Goes through it once, for y and a; x need not fit into memory.

    Raises:
        ValueError: something in it is no such triple, or the labels do not fit the names.
    """
    labels = []
    for i in range(len(dataset)):  # type: ignore[arg-type]  # it must have a length
        try:
            _, y, a = dataset[i]
            labels.append((int(y), int(a)))
        except (TypeError, ValueError):
            raise ValueError("the dataset must hold triples (x, y, a), y and a whole numbers, but item "
                             f"{i} is {short_repr(dataset[i])}.") from None
    y, a = torch.tensor(labels).reshape(-1, 2).unbind(1)
    return GroupedDataset(Items(dataset, torch.arange(len(labels))), y, a, class_names, attribute_names, name)


@lru_cache(maxsize=4)
def digest_of(splits: Splits) -> str:
    """Return the SHA-256 of everything in the splits."""
    total = hashlib.sha256(repr(splits.forget_group).encode())
    for part in splits[:3]:
        total.update(repr((part.class_names, part.attribute_names, len(part))).encode())
        chunks = (part.x[rows] for rows in torch.arange(len(part)).split(4096))
        for values in (*chunks, part.y, part.a):
            total.update(repr((values.shape, values.dtype)).encode())
            total.update(values.contiguous().view(torch.uint8).numpy().data)
    return total.hexdigest()
