"""Samples that are too large to copy: rows of a memory-mapped array, and the crops that a network sees.

`MemmapSamples` can replace a data set's tensor x, because it has a length and indexing. Subsets share the
memory-mapped array. On a GPU, the array is uploaded once if it fits; otherwise, a thread fetches batches
ahead.
"""

import math
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from grmu.data.core import Samples

AHEAD = 2  # batches fetched while one is being used


@dataclass(frozen=True)
class CropTransform:
    """How pictures are cropped to side x side.

    Args:
        side: Height and width of the result.
        height: Height of the central region, in stored pixels.
        width: Width of the central region, in stored pixels.
        smallest: Smallest share of the area that a random crop keeps.
    """

    side: int
    height: int
    width: int
    smallest: float = 0.7

    def centre(self, x: Tensor) -> Tensor:
        """Crop the central region of each picture.

        Args:
            x: (B, C, H, W) uint8 pictures.

        Returns:
            (B, C, side, side) uint8 pictures.
        """
        height, width = x.shape[-2:]
        if (self.height, self.width) == (self.side, self.side):  # needs no interpolation
            top, left = (height - self.side) // 2, (width - self.side) // 2
            return x[..., top : top + self.side, left : left + self.side]
        box = torch.tensor([(height - self.height) / 2, (width - self.width) / 2, self.height, self.width])
        return cut(x, box.expand(len(x), 4), self.side)

    def random(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Crop a random region of each picture and flip it with probability 1/2.

        The region has `smallest` to 1 of the area, an aspect ratio of 3/4 to 4/3 and a random position. It is
        clipped to the height and width of the picture.

        Args:
            x: (B, C, H, W) uint8 pictures.
            rng: Source of the draws.

        Returns:
            (B, C, side, side) uint8 pictures.
        """
        height, width = x.shape[-2:]
        share, ratio, at_y, at_x, flip = torch.rand(5, len(x), generator=rng)
        pixels = height * width * (self.smallest + (1 - self.smallest) * share)
        aspect = ((2 * ratio - 1) * math.log(4 / 3)).exp()
        h, w = (pixels / aspect).sqrt().clamp(max=height), (pixels * aspect).sqrt().clamp(max=width)
        left, flip = at_x * (width - w), flip < 0.5
        box = torch.stack([at_y * (height - h), torch.where(flip, left + w, left), h,
                           torch.where(flip, -w, w)], 1)
        return cut(x, box, self.side)


def cut(x: Tensor, box: Tensor, side: int) -> Tensor:
    """Cut boxes out of pictures and resize them bilinearly, on the device of the pictures.

    Args:
        x: (B, C, H, W) uint8 pictures.
        box: (B, 4) top, left, height and width in pixels; a negative width mirrors the picture.
        side: Height and width of the result.

    Returns:
        (B, C, side, side) uint8 pictures.
    """
    height, width = x.shape[-2:]
    top, left, h, w = box.to(x.device, non_blocking=True).T[:, :, None]
    steps = (torch.arange(side, device=x.device) + 0.5) / side
    y, x_ = 2 * (top + h * steps) / height - 1, 2 * (left + w * steps) / width - 1
    grid = torch.stack(torch.broadcast_tensors(x_[:, None, :], y[:, :, None]), -1)
    out = torch.nn.functional.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)
    return out.round_().to(torch.uint8)


class Storage:
    """An array (N, ...) whose rows are shared by several data sets.

    Args:
        array: The array, usually memory-mapped; pictures are stored as (N, H, W, C), as decoders return them.
        pictures: Whether to return rows as (B, C, H, W).
    """

    resident_share = 0.6  # of a GPU's free memory; a larger array is streamed

    def __init__(self, array: np.ndarray, pictures: bool) -> None:
        with warnings.catch_warnings(action="ignore"):  # a read-only map: nothing writes to it
            self.array = torch.from_numpy(array)
        self.pictures = pictures
        self._on: dict[torch.device, torch.Tensor] = {}

    def on(self, device: torch.device) -> torch.Tensor | None:
        """Return the array on a device, uploaded once, or None if it does not fit beside the training."""
        if device.type == "cpu":
            return self.array
        device = torch.device("cuda", device.index or torch.cuda.current_device())
        if device not in self._on:
            free, _ = torch.cuda.mem_get_info(device)
            if self.array.nbytes > self.resident_share * free:
                return None
            self._on[device] = self.array.to(device)
        return self._on[device]


class MemmapSamples(Samples):
    """Some rows of a storage, used like a tensor of shape (len(rows), ...).

    Args:
        storage: The storage.
        rows: Its rows, in order.
        crop: The crop that a network sees; None for the whole picture.
        device: The device of the samples.
    """

    def __init__(self, storage: Storage, rows: torch.Tensor, crop: CropTransform | None = None,
                 device: str | torch.device = "cpu") -> None:
        self.storage, self.crop, self.device = storage, crop, torch.device(device)
        self._array = storage.on(self.device)
        self._streamed = self._array is None or self.device.type == "cpu"
        self._rows = rows.cpu() if self._streamed else rows.to(self.device)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: torch.Tensor | slice | int) -> torch.Tensor:
        """Return the samples at `index` on the device, or a single sample for an int."""
        if isinstance(index, int | np.integer) or (isinstance(index, torch.Tensor) and index.ndim == 0):
            return self[torch.tensor([int(index)])][0]
        if isinstance(index, torch.Tensor):
            index = index.to(self._rows.device)
        return self._arrived(self._fetch(self._rows[index]))

    def select(self, index: torch.Tensor) -> Self:
        """Select the rows at `index` without copying any samples."""
        return type(self)(self.storage, self._rows[index.to(self._rows.device)], self.crop, self.device)

    def to(self, device: str | torch.device) -> Self:
        """Return the same rows on another device."""
        return type(self)(self.storage, self._rows, self.crop, device)

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """Yield all samples in order, `size` at a time, like `torch.Tensor.split`."""
        return self.batches(torch.arange(len(self)), size)

    def batches(self, order: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
        """Yield samples in batches, which are fetched ahead if they are on disk.

        Args:
            order: Positions of the samples, on the CPU.
            size: Number of samples in a batch.
        """
        if not self._streamed:
            for index in order.to(self.device).split(size):
                yield self[index]
            return
        ahead: deque[Future[torch.Tensor]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for index in order.split(size):
                ahead.append(pool.submit(self._fetch, self._rows[index]))
                if len(ahead) > AHEAD:
                    yield self._arrived(ahead.popleft().result())
            while ahead:
                yield self._arrived(ahead.popleft().result())

    def _fetch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of the storage, on the device."""
        if self._array is not None:
            return self._array.index_select(0, rows)
        return self.storage.array.index_select(0, rows).pin_memory().to(self.device, non_blocking=True)

    def _arrived(self, samples: torch.Tensor) -> torch.Tensor:
        return samples.permute(0, 3, 1, 2) if self.storage.pictures else samples
