"""Groundwear: the embedded benchmark, Fashion-MNIST objects on real ground textures (see data/README.md).

The shipped file holds objects, grounds and recipes; this module checks its SHA-256 and puts the pictures
together: picture = mask * object + (1 - mask) * ground, mask = min(6 * object, 1), in integers, so the bits
are the same everywhere.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load as load_tensors

from grmu.data.core import GroupedDataset, Splits
from grmu.data.files import ShippedFile

SHIPPED = ShippedFile("groundwear.safetensors.xz",
                      "33ae62affd8e6bf3b65f5fe02703b8c08725200d17b0e0cf1852f08e28030fd5",
                      "build_groundwear.py")
SIDE = 28


def compose(objects: np.ndarray, grounds: np.ndarray) -> np.ndarray:
    """Objects (N, 28, 28) pasted on grounds (N, 28, 28), both uint8; integer arithmetic,
    rounded to nearest."""
    mask = np.minimum(6 * objects.astype(np.uint32), 255)
    return ((mask * objects + (255 - mask) * grounds + 127) // 255).astype(np.uint8)


def load(name: str, root: str | Path | None = None, protocol: str = "ours") -> Splits:
    """One of the three variants as train, val, test: x is uint8 (N, 1, 28, 28).

    Raises:
        FileNotFoundError: the data file is not there.
        ValueError: it is not, bit for bit, the one that this version ships.
    """
    raw = SHIPPED.content(root)
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    tensors, spec = load_tensors(raw), json.loads(header["__metadata__"]["variants"])[name]
    textures = tensors["textures"][spec["textures"]]
    offsets, on = np.arange(SIDE), [f"on {ground}" for ground in spec["attribute_names"]]

    def split(part: str) -> GroupedDataset:
        index, y, a, row, col = (tensors[f"{name}.{part}.{k}"] for k in ("object", "y", "a", "row", "col"))
        rows, cols = row[:, None, None] + offsets[:, None], col[:, None, None] + offsets
        x = compose(tensors["objects"][index], textures[a[:, None, None], rows, cols])
        return GroupedDataset(torch.from_numpy(x[:, None]), torch.from_numpy(y), torch.from_numpy(a),
                              spec["class_names"], on, name)

    return Splits(split("train"), split("val"), split("test"), tuple(spec["forget_group"]))


def fingerprint(name: str, root: str | Path | None = None, protocol: str = "ours") -> str:
    """SHA-256 of the shipped file; `load` takes no other."""
    return SHIPPED.sha256
