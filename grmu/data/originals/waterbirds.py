"""Waterbirds: birds of water and land, pasted on backgrounds of water and land.

The pictures are from Sagawa et al., ICLR 2020. They are stored squashed to 256 x 256, and a network sees the
central 224 x 224. The paper's released code keeps the aspect ratio instead and resizes the shorter side to
256.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grmu.data.memmap import CropTransform
from grmu.data.originals.original import Metadata, Original, Pictures, Protocols, codes, find, read_table

FOLDER = "waterbird_complete95_forest2water2"
LABELS = (f"{FOLDER}/metadata.csv", "metadata.csv")  # possible places


def read(root: Path) -> Metadata:
    """Read the labels and the split of every row of metadata.csv."""
    path = find("waterbirds", root, *LABELS)
    table = read_table(path, ["img_filename", "y", "split", "place"])
    return Metadata(path.parent, table.img_filename.tolist(), codes(table.y, ("0", "1"), path),
                    codes(table.place, ("0", "1"), path), codes(table.split, ("0", "1", "2"), path))


WATERBIRDS = Original(
    name="waterbirds", labels=(LABELS,), samples=(), class_names=("landbird", "waterbird"),
    attribute_names=("on land", "on water"), forget_group=(1, 0), read=read,
    pictures=Pictures(256, 256, "squash", view=CropTransform(side=224, height=224, width=224)),
    counts_from="published by the data set's authors",
    published={"train": (3498, 184, 56, 1057), "val": (467, 466, 133, 133), "test": (2255, 2255, 642, 642)})
CROPPED = Pictures(256, 256, "crop", CropTransform(224, 224, 224, 0.08))
PROTOCOLS = Protocols(WATERBIRDS, replace(WATERBIRDS, pictures=CROPPED))
