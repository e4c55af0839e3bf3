"""What data sets that are read from their original files share: reading labels, and making splits of them."""

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
    """What the label files say, without a look at the samples.

    Args:
        folder: Folder of the pictures, or the label file of a text.
        items: (N,) files relative to `folder`, or the numbers of lines.
        y: (N,) targets, from 0.
        a: (N,) attributes, from 0.
        split: (N,) 0 train, 1 val, 2 test.

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
            raise ValueError(f"the labels for {self.folder} list {twice.iloc[0]} twice: get them again, or "
                             "remove the wrong one.")


@dataclass(frozen=True)
class Pictures:
    """How pictures are stored (height x width), and what a network sees of them.

    Args:
        height: Stored height.
        width: Stored width.
        fit: What happens to a picture of another size: "squash" it, "refuse" it, or "crop" it to its centre,
            at the size whose shorter side fits.
        view: What a network sees.
    """

    height: int
    width: int
    fit: str
    view: CropTransform


@dataclass(frozen=True)
class PictureRows(Dataset[Content]):
    """Pictures as uint8 (height, width, 3)."""

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
            except (OSError, ValueError, SyntaxError) as error:  # what decoders raise
                why = (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0]
                wrong[file] = f"damaged ({why})"
        return b"" if wrong else b"".join(pictures), wrong

    def decode(self, path: Path) -> np.ndarray:
        """Return a picture (antialiased), or raise what its decoder raises."""
        size, fit = (self.form.width, self.form.height), self.form.fit
        with Image.open(path) as image:
            if fit == "refuse" and image.size != size:
                raise ValueError(f"{image.width} x {image.height} pixels instead of {size[0]} x {size[1]}")
            image.draft("RGB", size)  # a JPEG of twice the size or more is decoded at half of it
            picture = image.convert("RGB")
        if fit == "crop":
            return np.asarray(ImageOps.fit(picture, size, Image.Resampling.BILINEAR))
        return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


@dataclass(frozen=True, eq=False)
class Original:
    """A data set that must be downloaded by hand.

    Args:
        name: Its name.
        labels: Its label files; of each, the places below the root where it may be, the usual one first.
        samples: The same for the files and folders of its samples.
        class_names: Names of the targets.
        attribute_names: Names of the attributes.
        forget_group: The default dominant forget group (y, a).
        read: folder -> `Metadata`.
        published: Per split the group counts in group order, or one total.
        counts_from: Who says so.
        pictures: None for a text, which has a cache and a check of its own.
        text_cache: A text's cache, and what makes its rows.
        text_check: What is wrong with a text's files.
        repair: folder -> what it changed.
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
        """What to download from where, under which terms, and how the folder must look."""
        return (Path(__file__).parent / f"{self.name}.txt").read_text(encoding="utf-8").rstrip()

    def load(self, root: str | Path | None) -> Splits:
        """Return train, val and test as rows of one memory-mapped array, which is made on the first call.

        Raises:
            ValueError: No root, labels or samples that cannot be read, or a damaged cache; the message names
                the fix.
            FileNotFoundError: Files are missing.
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
        """Return the SHA-256 of labels and cached samples; makes the cache, and raises, as `load`."""
        _, (cache, make_rows) = self._open(root)
        return digest([*self._labels(self.home(Path(str(root)))), *map(str, cache.checksums(make_rows))])

    def home(self, root: Path) -> Path:
        """Return root, or the folder in it with the data set's name, if that is the one with the labels."""
        for folder in (root, root / self.name):
            if all(any(os.path.isfile(folder / place) for place in places) for places in self.labels):
                return folder
        return root

    def _labels(self, root: Path) -> tuple[str, ...]:
        return tuple(sha256(find(self.name, root, *places)) for places in self.labels)

    def _open(self, root: str | Path | None) -> tuple[Metadata, tuple[Cache, Callable[[], Rows]]]:
        if root is None:
            raise ValueError(f"{self.name} does not come with this project: pass the folder that holds it as "
                             f"root=... `python -m grmu data {self.name}` says what to download and how that "
                             "folder must look.")
        folder = self.home(Path(root))
        metadata = self._metadata(folder, (*self._labels(folder), *self.skipped(folder)))
        return metadata, self.cache(folder, metadata)

    @lru_cache(maxsize=2)  # noqa: B019  # of a constant: nothing is kept alive by it
    def _metadata(self, root: Path, labels: tuple[str, ...]) -> Metadata:
        return self.metadata(root)

    def cache(self, root: Path, metadata: Metadata) -> tuple[Cache, Callable[[], Rows]]:
        """Return the array of all samples, made or not, and a function that gives its rows."""
        if self.text_cache:
            return self.text_cache(root, metadata)
        rows = self._rows(metadata)
        form = rows.form
        shape = (len(metadata.items), form.height, form.width, 3)
        about = {"files": digest(metadata.items), "fit": form.fit}
        cropped = "-cropped" * (form.fit == "crop")  # which is an array of its own

        cache = Cache(default_folder(root), self.name + cropped, shape, "uint8", about, cores())
        return cache, lambda: rows

    def _rows(self, metadata: Metadata) -> PictureRows:
        assert self.pictures is not None
        return PictureRows(metadata.folder, metadata.items, self.pictures)

    def missing(self, root: Path) -> list[str]:
        """Return which files and folders are not there."""
        return [f"{' or '.join(places)} is not in {root}" for places in (*self.labels, *self.samples)
                if not any(os.path.exists(root / place) for place in places)]

    def counts(self, metadata: Metadata) -> dict[str, np.ndarray]:
        """Return the number of samples of every group, in group order, per split."""
        n_attributes = len(self.attribute_names)
        group, n_groups = metadata.y * n_attributes + metadata.a, len(self.class_names) * n_attributes
        return {name: np.bincount(group[metadata.split == i], minlength=n_groups)
                for i, name in enumerate(SPLITS)}

    def deviations(self, metadata: Metadata) -> list[str]:
        """Return where the counts are not the published ones, one sentence a split."""
        return [f"{split} has {actual} samples (of its groups), but {expected} are published"
                for split, actual, expected in self._compared(metadata) if actual != expected]

    def is_subset(self, metadata: Metadata) -> bool:
        """Return whether every split has samples, and no count is above the published one."""
        return all(sum(actual) and all(map(operator.le, actual, expected))
                   for _, actual, expected in self._compared(metadata))

    def _compared(self, metadata: Metadata) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
        for split, counts in self.counts(metadata).items():
            expected = self.published[split]
            yield split, tuple(counts.tolist()) if len(expected) > 1 else (int(counts.sum()),), expected

    def damaged(self, metadata: Metadata) -> dict[str, str]:
        """Decode all pictures; return what is wrong with the damaged ones."""
        blocks = [(i, i + 64) for i in range(0, len(metadata.items), 64)]
        contents = read(self._rows(metadata), blocks, cores(), f"{self.name}: pictures")
        return {file: why for _, wrong in contents for file, why in wrong.items()}

    def skipped(self, root: Path) -> list[str]:
        """Return the damaged pictures that `skip` has put aside."""
        path = default_folder(root) / f"{self.name}-skipped.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def skip(self, root: Path, files: Iterable[str]) -> None:
        """Go on without these pictures, from now on."""
        content = "".join(f"{file}\n" for file in sorted({*self.skipped(root), *files}))
        write_whole(default_folder(root) / f"{self.name}-skipped.txt", content)

    def metadata(self, root: Path) -> Metadata:
        """Return what the label files say of the pictures that are not skipped; errors as of `read`."""
        metadata, skipped = self.read(root), set(self.skipped(root))
        kept = np.array([item not in skipped for item in metadata.items])
        return Metadata(metadata.folder, [item for item in metadata.items if item not in skipped],
                        metadata.y[kept], metadata.a[kept], metadata.split[kept])


class Protocols(NamedTuple):
    """A data set as we read it, and as the paper's released code does (`data.load` says how they differ)."""

    ours: Original
    released: Original


def find(name: str, root: Path, *places: str) -> Path:
    """Return the first of the places under root that is a file.

    Raises:
        FileNotFoundError: none is, or may be looked at; the message names the first and the command that
            helps.
    """
    for place in places:
        if os.path.isfile(root / place):  # Path.is_file raises in a folder that may not be entered
            return root / place
    raise FileNotFoundError(f"{places[0]} is not in {root}: `python -m grmu data {name} --root {root}` says "
                            "what is missing and where to get it.")


def read_table(path: Path, columns: Sequence[str], **options: object) -> pd.DataFrame:
    """Return those columns of a text file with a table, as text; `options` are `pandas.read_csv`'s.

    A byte-order mark, either kind of line ends, blank last lines, spaces around a value: as if not there.

    Raises:
        ValueError: the file cannot be read, lacks a column, or has no rows.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig",
                            usecols=lambda name: name.strip() in columns, **options)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({str(error).strip()}): get it again.") from error
    table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]
    if lacking := [column for column in columns if column not in table]:
        raise ValueError(f"{path} lacks the column {', '.join(lacking)}: get it again.")
    if table.empty:
        raise ValueError(f"{path} has no rows: get it again.")
    return table


def codes(values: pd.Series, allowed: Sequence[str] | Mapping[str, int], path: Path) -> np.ndarray:
    """Return texts as whole numbers: their place among the allowed ones, or what these map to.

    Raises:
        ValueError: other texts (up to five are named).
    """
    mapping = allowed if isinstance(allowed, Mapping) else {text: i for i, text in enumerate(allowed)}
    numbers = values.map(mapping)
    if numbers.isna().any():
        strange = ", ".join(map(repr, values[numbers.isna()].unique()[:5]))
        raise ValueError(f"{path} holds {strange} in the column {values.name}, "
                         f"where {', '.join(mapping)} are allowed.")
    return numbers.to_numpy(np.int64)
