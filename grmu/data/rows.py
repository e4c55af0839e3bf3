"""Samples that are too many to copy: an array on disk, and which of its rows are meant.

`Rows` stands where a data set's tensor x stands: it has its length and its indexing. Subsets share the array,
which is memory-mapped; on a GPU it is uploaded once where it fits, else batches are fetched ahead by a thread
of its own.
"""

import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np
import torch

from grmu.data.view import View

AHEAD = 2  # batches fetched while one is being used


class Storage:
    """An array (N, ...) that several data sets have rows of.

    Pictures are stored as (N, H, W, C), as decoders give them.

    Args:
        array: usually memory-mapped.  pictures: hand rows out as (B, C, H, W).
    """

    resident_share = 0.6  # of a GPU's free memory that an array may take; more is streamed

    def __init__(self, array: np.ndarray, pictures: bool) -> None:
        with warnings.catch_warnings(action="ignore"):  # a memory map is read-only, and nobody writes to it
            self.array = torch.from_numpy(array)
        self.pictures = pictures
        self._on: dict[torch.device, torch.Tensor] = {}

    def on(self, device: torch.device) -> torch.Tensor | None:
        """The whole array on that device, uploaded once; None where it does not fit beside the training."""
        if device.type == "cpu":
            return self.array
        device = torch.device("cuda", device.index or torch.cuda.current_device())
        if device not in self._on:
            free, _ = torch.cuda.mem_get_info(device)
            if self.array.nbytes > self.resident_share * free:
                return None
            self._on[device] = self.array.to(device)
        return self._on[device]


class Rows:
    """`rows` of a storage, as one tensor-like of shape (len(rows), ...) on `device`."""

    def __init__(self, storage: Storage, rows: torch.Tensor, view: View | None = None,
                 device: str | torch.device = "cpu") -> None:
        self.storage, self.view, self.device = storage, view, torch.device(device)
        self._array = storage.on(self.device)
        self._streamed = self._array is None or self.device.type == "cpu"
        self._rows = rows.cpu() if self._streamed else rows.to(self.device)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: torch.Tensor | slice | int) -> torch.Tensor:
        """The samples at `index`, on the device; one sample without its first dimension for an int."""
        if isinstance(index, int | np.integer) or (isinstance(index, torch.Tensor) and index.ndim == 0):
            return self[torch.tensor([int(index)])][0]
        if isinstance(index, torch.Tensor):
            index = index.to(self._rows.device)
        return self._arrived(*self._fetch(self._rows[index]))

    def select(self, index: torch.Tensor) -> Self:
        """The rows at `index` as `Rows`: nothing is copied."""
        return type(self)(self.storage, self._rows[index.to(self._rows.device)], self.view, self.device)

    def to(self, device: str | torch.device) -> Self:
        """The same rows on another device."""
        return type(self)(self.storage, self._rows, self.view, device)

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """The samples in order, `size` at a time, as `torch.Tensor.split`."""
        return self.batches(torch.arange(len(self)), size)

    def batches(self, order: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
        """The samples at `order` (on the CPU), `size` at a time; what must be read is fetched ahead."""
        if not self._streamed:
            for index in order.to(self.device).split(size):
                yield self[index]
            return
        ahead: deque[Future[tuple[torch.Tensor, torch.cuda.Event | None]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for index in order.split(size):
                ahead.append(pool.submit(self._fetch, self._rows[index]))
                if len(ahead) > AHEAD:
                    yield self._arrived(*ahead.popleft().result())
            while ahead:
                yield self._arrived(*ahead.popleft().result())

    def _fetch(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
        """Those rows of the storage; on their way to a GPU, with the event that says when they are there."""
        if self._array is not None:
            return self._array.index_select(0, rows), None
        array = self.storage.array
        page_locked = torch.empty((len(rows), *array.shape[1:]), dtype=array.dtype, pin_memory=True)
        torch.index_select(array, 0, rows, out=page_locked)
        with torch.cuda.stream(torch.cuda.Stream(self.device)):
            return page_locked.to(self.device, non_blocking=True), torch.cuda.current_stream().record_event()

    def _arrived(self, samples: torch.Tensor, event: torch.cuda.Event | None) -> torch.Tensor:
        if event is not None:  # the GPU waits for the copy, the program does not
            torch.cuda.current_stream(self.device).wait_event(event)
            samples.record_stream(torch.cuda.current_stream(self.device))
        return samples.permute(0, 3, 1, 2) if self.storage.pictures else samples
