"""Read labels from original files and divide the samples into splits, for all downloaded data sets."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps
from torch.utils.data import Dataset

from grmu.data.core import Group, GroupedDataset, Splits
from grmu.data.files import sha256, write_whole
from grmu.data.memmap import CropTransform, MemmapSamples, Storage
from grmu.data.originals.cache import Block, Cache, Content, Rows, cores, default_folder, digest, read

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Metadata:
    """Labels and splits from the label files; the samples themselves are not read.

    Args:
        folder: Folder of the pictures, or the label file of a text.
        items: (N,) files relative to `folder`, or line numbers.
        y: (N,) targets, from 0.
        a: (N,) attributes, from 0.
        split: (N,) 0 for train, 1 for val, 2 for test.

    Raises:
        ValueError: An item is listed twice.
    """

    folder: Path
    items: list[str]
    y: np.ndarray
    a: np.ndarray
    split: np.ndarray

    def __post_init__(self) -> None:
        if len(twice := pd.Series(self.items)[pd.Series(self.items).duplicated()]):
            raise ValueError(f"the labels for {self.folder} list {twice.iloc[0]} twice: download them "
                             "again, or remove the wrong row.")


@dataclass(frozen=True)
class Pictures:
    """How pictures are stored (height x width), and which part of them a network sees.

    Args:
        height: Stored height.
        width: Stored width.
        fit: What to do with a picture of another size: "squash" it, "refuse" it, or "crop" its centre after
            resizing it until it just covers the stored size.
        view: The crops that a network sees.
    """

    height: int
    width: int
    fit: str
    view: CropTransform


@dataclass(frozen=True)
class PictureRows(Dataset[Content]):
    """Pictures as uint8 (height, width, 3).

    Args:
        folder: Folder of the pictures.
        files: Their files, relative to the folder.
        form: How they are stored.
    """

    folder: Path
    files: Sequence[str]
    form: Pictures

    def __getitem__(self, block: Block) -> Content:
        pictures, wrong = [], {}
        for file in self.files[slice(*block)]:
            try:
                pictures.append(self.decode(self.folder / file).tobytes())
            except FileNotFoundError:
                wrong[file] = "missing"
            except (OSError, ValueError, SyntaxError) as error:  # the errors of decoders
                why = (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0]
                wrong[file] = f"damaged ({why})"
        return b"" if wrong else b"".join(pictures), wrong

    def decode(self, path: Path) -> np.ndarray:
        """Return a picture, resized with antialiasing.

        Raises:
            OSError: The file is missing or damaged.
            ValueError: The picture has another size, and `fit` is "refuse".
        """
        size, fit = (self.form.width, self.form.height), self.form.fit
        with Image.open(path) as image:
            if fit == "refuse" and image.size != size:
                raise ValueError(f"{image.width} x {image.height} pixels instead of {size[0]} x {size[1]}")
            image.draft("RGB", size)  # large JPEGs are decoded at half size
            picture = image.convert("RGB")
        if fit == "crop":
            return np.asarray(ImageOps.fit(picture, size, Image.Resampling.BILINEAR))
        return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


@dataclass(frozen=True, eq=False)
class Original:
    """A data set that must be downloaded by hand.

    Args:
        name: Name of the data set.
        labels: For each label file, its possible places below the root, starting with the usual one.
        samples: The same for the files and folders of the samples.
        class_names: Names of the targets.
        attribute_names: Names of the attributes.
        forget_group: The default dominant forget group (y, a).
        read: Function that reads the `Metadata` from a folder.
        published: For each split, the published counts in group order, or one total.
        counts_from: Source of these counts.
        pictures: How pictures are stored; None for a text.
        text_cache: Function that returns the cache of a text and a function that creates its rows.
        text_check: Function that returns the problems with the files of a text.
        repair: Function that repairs a folder and returns the changes.
    """

    name: str
    labels: Sequence[Sequence[str]]
    samples: Sequence[Sequence[str]]
    class_names: Sequence[str]
    attribute_names: Sequence[str]
    forget_group: Group
    read: Callable[[Path], Metadata]
    published: Mapping[str, tuple[int, ...]]
    counts_from: str
    pictures: Pictures | None = None
    text_cache: Callable[[Path, Metadata], tuple[Cache, Callable[[], Rows]]] | None = None
    text_check: Callable[[Path, Metadata], list[str]] | None = None
    repair: Callable[[Path], list[str]] | None = None

    @property
    def source(self) -> str:
        """What to download from where, the terms of use, and how to arrange the folder."""
        return (Path(__file__).parent / f"{self.name}.txt").read_text(encoding="utf-8").rstrip()

    def load(self, root: str | Path | None) -> Splits:
        """Return train, val and test as rows of one memory-mapped array, which the first call creates.

        Args:
            root: Folder of the data set.

        Raises:
            ValueError: The root is missing, labels or samples cannot be read, or the cache is damaged; the
                message says how to fix it.
            FileNotFoundError: A file is missing.
        """
        metadata, (cache, make_rows) = self._open(root)
        storage = Storage(cache.load(make_rows), pictures=self.pictures is not None)
        y, a, split = (torch.from_numpy(values) for values in (metadata.y, metadata.a, metadata.split))

        def part(number: int) -> GroupedDataset:
            rows = (split == number).nonzero().squeeze(1)
            x = MemmapSamples(storage, rows, self.pictures.view if self.pictures else None)
            return GroupedDataset(x, y[rows], a[rows], self.class_names, self.attribute_names, self.name)

        return Splits(part(0), part(1), part(2), self.forget_group)

    def fingerprint(self, root: str | Path | None) -> str:
        """Return the SHA-256 of the labels and of the cached samples.

        Like `load`, it creates the cache if necessary and raises the same errors.
        """
        _, (cache, make_rows) = self._open(root)
        return digest([*self._labels(self.home(Path(str(root)))), *map(str, cache.checksums(make_rows))])

    def home(self, root: Path) -> Path:
        """Return the folder with the labels: root, or its subfolder with the data set's name."""
        for folder in (root, root / self.name):
            if all(any(os.path.isfile(folder / place) for place in places) for places in self.labels):
                return folder
        return root

    def _labels(self, root: Path) -> tuple[str, ...]:
        return tuple(sha256(find(self.name, root, *places)) for places in self.labels)

    def _open(self, root: str | Path | None) -> tuple[Metadata, tuple[Cache, Callable[[], Rows]]]:
        if root is None:
            raise ValueError(f"{self.name} does not come with this project: pass the folder that holds it as "
                             f"root=. `python -m grmu data {self.name}` explains what to download and how to "
                             "arrange that folder.")
        folder = self.home(Path(root))
        metadata = self._metadata(folder, (*self._labels(folder), *self.skipped(folder)))
        return metadata, self.cache(folder, metadata)

    @lru_cache(maxsize=2)  # noqa: B019  # only constants have it, so it keeps nothing alive
    def _metadata(self, root: Path, labels: tuple[str, ...]) -> Metadata:
        return self.metadata(root)

    def cache(self, root: Path, metadata: Metadata) -> tuple[Cache, Callable[[], Rows]]:
        """Return the cache of all samples, which may not exist yet, and a function that returns its rows."""
        if self.text_cache:
            return self.text_cache(root, metadata)
        rows = self._rows(metadata)
        form = rows.form
        shape = (len(metadata.items), form.height, form.width, 3)
        about = {"files": digest(metadata.items), "fit": form.fit}
        cropped = "-cropped" * (form.fit == "crop")  # a separate array
        cache = Cache(default_folder(root), self.name + cropped, shape, "uint8", about, cores())
        return cache, lambda: rows

    def _rows(self, metadata: Metadata) -> PictureRows:
        assert self.pictures is not None
        return PictureRows(metadata.folder, metadata.items, self.pictures)

    def missing(self, root: Path) -> list[str]:
        """List the files and folders that are missing."""
        return [f"{' or '.join(places)} is not in {root}" for places in (*self.labels, *self.samples)
                if not any(os.path.exists(root / place) for place in places)]

    def counts(self, metadata: Metadata) -> dict[str, np.ndarray]:
        """Count the samples of every group, in group order, for each split."""
        n_attributes = len(self.attribute_names)
        group, n_groups = metadata.y * n_attributes + metadata.a, len(self.class_names) * n_attributes
        return {name: np.bincount(group[metadata.split == i], minlength=n_groups)
                for i, name in enumerate(SPLITS)}

    def deviations(self, metadata: Metadata) -> list[str]:
        """Describe each difference between the counts and the published ones, one sentence per split."""
        return [f"{split} has {actual} samples (by group or in all), but the published counts are {expected}"
                for split, actual, expected in self._compared(metadata) if actual != expected]

    def is_subset(self, metadata: Metadata) -> bool:
        """Return whether every split has samples and no count exceeds the published one."""
        return all(sum(actual) and all(map(operator.le, actual, expected))
                   for _, actual, expected in self._compared(metadata))

    def _compared(self, metadata: Metadata) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
        for split, counts in self.counts(metadata).items():
            expected = self.published[split]
            yield split, tuple(counts.tolist()) if len(expected) > 1 else (int(counts.sum()),), expected

    def damaged(self, metadata: Metadata) -> dict[str, str]:
        """Decode all pictures and return the errors of the damaged ones, by file."""
        blocks = [(i, i + 64) for i in range(0, len(metadata.items), 64)]
        contents = read(self._rows(metadata), blocks, cores(), f"{self.name}: pictures")
        return {file: why for _, wrong in contents for file, why in wrong.items()}

    def skipped(self, root: Path) -> list[str]:
        """Return the damaged pictures that `skip` has excluded."""
        path = default_folder(root) / f"{self.name}-skipped.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def skip(self, root: Path, files: Iterable[str]) -> None:
        """Exclude pictures permanently."""
        content = "".join(f"{file}\n" for file in sorted({*self.skipped(root), *files}))
        write_whole(default_folder(root) / f"{self.name}-skipped.txt", content)

    def metadata(self, root: Path) -> Metadata:
        """Return the metadata without the excluded pictures.

        It raises the same errors as `read`.
        """
        metadata, skipped = self.read(root), set(self.skipped(root))
        kept = np.array([item not in skipped for item in metadata.items])
        return Metadata(metadata.folder, [item for item in metadata.items if item not in skipped],
                        metadata.y[kept], metadata.a[kept], metadata.split[kept])


class Protocols(NamedTuple):
    """The two ways of reading a data set; `data.load` explains how they differ.

    Args:
        ours: Our own.
        released: That of the paper's released code.
    """

    ours: Original
    released: Original


def find(name: str, root: Path, *places: str) -> Path:
    """Return the first of several places under a folder where there is a file.

    Args:
        name: Name of the data set.
        root: Folder of the data set.
        places: The places, starting with the usual one.

    Raises:
        FileNotFoundError: No place has a readable file; the message names the usual place and the command
            that helps.
    """
    for place in places:
        if os.path.isfile(root / place):  # Path.is_file raises in a folder without access
            return root / place
    raise FileNotFoundError(f"{places[0]} is not in {root}: `python -m grmu data {name} --root {root}` shows "
                            "what is missing and where to get it.")


def read_table(path: Path, columns: Sequence[str], **options: object) -> pd.DataFrame:
    """Read columns of a table from a text file, as text.

    A byte-order mark, either kind of line ending, blank last lines, and spaces around values are ignored.

    Args:
        path: The file.
        columns: Names of the columns.
        options: Options of `pandas.read_csv`.

    Raises:
        ValueError: The file cannot be read, lacks a column, or has no rows.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig",
                            usecols=lambda name: name.strip() in columns, **options)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({str(error).strip()}): download it again.") from error
    table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]
    if lacking := [column for column in columns if column not in table]:
        raise ValueError(f"{path} lacks the column {', '.join(lacking)}: download it again.")
    if table.empty:
        raise ValueError(f"{path} has no rows: download it again.")
    return table


def codes(values: pd.Series, allowed: Sequence[str] | Mapping[str, int], path: Path) -> np.ndarray:
    """Convert texts to whole numbers.

    Args:
        values: The texts.
        allowed: The allowed texts, numbered in order, or a mapping from texts to numbers.
        path: The file of the texts, for the message.

    Raises:
        ValueError: There are other texts; up to five of them are listed.
    """
    mapping = allowed if isinstance(allowed, Mapping) else {text: i for i, text in enumerate(allowed)}
    numbers = values.map(mapping)
    if numbers.isna().any():
        unknown = ", ".join(map(repr, values[numbers.isna()].unique()[:5]))
        raise ValueError(f"{path} holds {unknown} in the column {values.name}, "
                         f"where {', '.join(mapping)} are allowed.")
    return numbers.to_numpy(np.int64)
