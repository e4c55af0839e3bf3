"""Groundwear: the embedded benchmark, Fashion-MNIST objects on real ground textures (see data/README.md).

The shipped file holds the objects, the grounds and their combinations. This module checks its SHA-256 and
composes the pictures:

    picture = mask * object + (1 - mask) * ground
    mask = min(6 * object, 1)

It uses integer arithmetic, so the pictures are bitwise identical on every machine.
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
    """Paste objects on grounds in integer arithmetic, rounded to the nearest value.

    Args:
        objects: (N, 28, 28) uint8.
        grounds: (N, 28, 28) uint8.

    Returns:
        (N, 28, 28) uint8 pictures.
    """
    mask = np.minimum(6 * objects.astype(np.uint32), 255)
    return ((mask * objects + (255 - mask) * grounds + 127) // 255).astype(np.uint8)


def load(name: str, root: str | Path | None = None, protocol: str = "ours") -> Splits:
    """Load one of the three variants, in which x is uint8 (N, 1, 28, 28).

    Args:
        name: Name of the variant.
        root: Folder of the shipped file; None for the project's own.
        protocol: Ignored, because both protocols use the same data.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file is not the one that this version ships.
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
    """Return the SHA-256 of the shipped file, the only one that `load` accepts."""
    return SHIPPED.sha256
