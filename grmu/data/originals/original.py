"""What data sets that are read from their original files share: reading labels, and making splits of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from grmu.data.core import Group, GroupedDataset, Splits
from grmu.data.downloads import sha256
from grmu.data.files import write_whole
from grmu.data.memmap import CropTransform, MemmapSamples, Storage
from grmu.data.originals.cache import Cache, Fill, default_folder, digest, picture_cache, try_decode
from grmu.data.originals.look import look

SPLITS = ("train", "val", "test")
LOOKED_AT = 64  # pictures that a check decodes


@dataclass(frozen=True, eq=False)
class Metadata:
    """What the label files say, without a look at the samples.

    items: (N,) files relative to `folder`, or the numbers of lines.  y, a: (N,) from 0.  split: (N,) 0 train,
        1 val, 2 test.
    """

    folder: Path
    items: list[str]
    y: np.ndarray
    a: np.ndarray
    split: np.ndarray

    def __post_init__(self) -> None:
        first: dict[str, int] = {}
        for row, item in enumerate(self.items, 1):
            if first.setdefault(item, row) != row:
                raise ValueError(f"the labels for {self.folder} list {item} twice, as samples {first[item]} "
                                 f"and {row}: get them again, or remove the wrong one.")


@dataclass(frozen=True)
class Pictures:
    """How pictures are stored (height x width), and what a network sees of them.

    fit: of a picture of another size: "squash" it, "refuse" it, or take the centre of it at the size whose
    shorter side fits, "crop".
    """

    height: int
    width: int
    fit: str
    view: CropTransform


@dataclass(frozen=True, eq=False)
class Original:
    """A data set that must be downloaded by hand.

    source: what to download from where, under which terms, and how the folder must look.
    labels, samples: the files and folders of it; of each, the places below the root where it may be, the
    usual one first.
    read: folder -> `Metadata`.  published: per split the group counts in group order, or one total, and
    counts_from: who says so.
    pictures: None for a text, which has a cache and a check of its own.  repair: folder -> what it changed.
    """

    name: str
    source: str
    labels: Sequence[Sequence[str]]
    samples: Sequence[Sequence[str]]
    class_names: Sequence[str]
    attribute_names: Sequence[str]
    forget_group: Group
    read: Callable[[Path], Metadata]
    published: Mapping[str, tuple[int, ...]]
    counts_from: str
    pictures: Pictures | None = None
    text_cache: Callable[[Path, Metadata], tuple[Cache, Callable[[], Fill]]] | None = None
    text_check: Callable[[Path, Metadata], list[str]] | None = None
    repair: Callable[[Path], list[str]] | None = None

    def load(self, name: str, root: str | Path | None) -> Splits:
        """Train, val and test as rows of one memory-mapped array, which is made on the first call.

        Raises:
            ValueError: no root, labels or samples that cannot be read, a damaged cache (the message names the
            fix).
            FileNotFoundError: files are missing.
        """
        metadata, (cache, make_fill) = self._open(name, root)
        storage = Storage(cache.load(make_fill), pictures=self.pictures is not None)
        y, a, split = (torch.from_numpy(values) for values in (metadata.y, metadata.a, metadata.split))

        def part(number: int) -> GroupedDataset:
            rows = (split == number).nonzero().squeeze(1)
            x = MemmapSamples(storage, rows, self.pictures.view if self.pictures else None)
            return GroupedDataset(x, y[rows], a[rows], self.class_names, self.attribute_names, name)

        return Splits(part(0), part(1), part(2), self.forget_group)

    def fingerprint(self, name: str, root: str | Path | None) -> str:
        """SHA-256 of the label files and the cache's checksums; makes the cache, and raises, as `load`."""
        _, (cache, make_fill) = self._open(name, root)
        return digest([*self._labels(self.home(Path(str(root)))), *map(str, cache.checksums(make_fill))])

    def home(self, root: Path) -> Path:
        """root, or the folder in it with the data set's name, if that is the one with the label files."""
        for folder in (root, root / self.name):
            if all(any(os.path.isfile(folder / place) for place in places) for places in self.labels):
                return folder
        return root

    def _labels(self, root: Path) -> tuple[str, ...]:
        paths = [find(self.name, root, *places) for places in self.labels]
        try:
            return tuple(map(sha256, paths))
        except OSError:
            return ()  # reading them says what is wrong

    def _open(self, name: str, root: str | Path | None) -> tuple[Metadata, tuple[Cache, Callable[[], Fill]]]:
        if root is None:
            raise ValueError(f"{name} does not come with this project: "
                             f"pass the folder that holds it as root=... `python -m grmu data {name}` says "
                             "what to download and how that folder must look.")
        folder = self.home(Path(root))
        metadata = self._metadata(folder, (*self._labels(folder), *self.skipped(folder)))
        return metadata, self.cache(folder, metadata)

    @lru_cache(maxsize=2)  # noqa: B019  # of a constant: nothing is kept alive by it
    def _metadata(self, root: Path, labels: tuple[str, ...]) -> Metadata:
        return self.metadata(root)

    def cache(self, root: Path, metadata: Metadata) -> tuple[Cache, Callable[[], Fill]]:
        """The array of all samples, made or not, and what makes it."""
        if self.pictures is None:
            if self.text_cache is None:
                raise ValueError(f"{self.name} says neither how pictures nor how texts are stored.")
            return self.text_cache(root, metadata)
        form = self.pictures
        return picture_cache(root, self.name, metadata.folder, metadata.items, form.height, form.width,
                             form.fit)

    @property
    def needs(self) -> list[Sequence[str]]:
        """All that must be there."""
        return [*self.labels, *self.samples]

    def missing(self, root: Path) -> list[str]:
        """Which files and folders are not there."""
        return [f"{' or '.join(places)} is not in {root}" for places in self.needs
                if not any(os.path.exists(root / place) for place in places)]

    def counts(self, metadata: Metadata) -> dict[str, np.ndarray]:
        """Per split, the number of samples of every group, in group order."""
        n_attributes = len(self.attribute_names)
        group, n_groups = metadata.y * n_attributes + metadata.a, len(self.class_names) * n_attributes
        return {name: np.bincount(group[metadata.split == i], minlength=n_groups)
                for i, name in enumerate(SPLITS)}

    def deviations(self, metadata: Metadata) -> list[str]:
        """Where the counts are not the published ones, one sentence a split."""
        problems = []
        for split, counts in self.counts(metadata).items():
            expected = self.published[split]
            actual = tuple(counts.tolist()) if len(expected) > 1 else (int(counts.sum()),)
            if actual != expected:
                what = "samples of its groups" if len(expected) > 1 else "samples"
                problems.append(f"{split} has {' / '.join(map(str, actual))} {what}, "
                                f"but {' / '.join(map(str, expected))} are published")
        return problems

    def check_samples(self, root: Path, metadata: Metadata) -> list[str]:
        """What is wrong with the samples: all pictures are looked at, and some, evenly spread, decoded."""
        if self.pictures is None:
            return self.text_check(root, metadata) if self.text_check else []
        return [f"{file} is {why}" for file, why in self.damaged(metadata)[0].items()]

    def damaged(self, metadata: Metadata) -> tuple[dict[str, str], Counter[str]]:
        """The damaged pictures, with what is wrong with each, and how many are odd in which way."""
        assert self.pictures is not None
        form = self.pictures
        size = (form.width, form.height) if form.fit == "refuse" else None
        damaged, odd = look(metadata.folder, metadata.items, size, self.name)
        for file in metadata.items[:: max(len(metadata.items) // LOOKED_AT, 1)]:
            if file not in damaged:
                _, complaint = try_decode(metadata.folder, file, form.height, form.width, form.fit)
                damaged |= {file: complaint.removeprefix(f"{file} ")} if complaint else {}
        return damaged, odd

    def skipped(self, root: Path) -> list[str]:
        """The damaged pictures that `skip` has put aside."""
        path = self._skip_file(root)
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def skip(self, root: Path, files: Iterable[str]) -> None:
        """Go on without these pictures, from now on."""
        path = self._skip_file(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(f"{file}\n" for file in sorted({*self.skipped(root), *files})))

    def _skip_file(self, root: Path) -> Path:
        return default_folder(root) / f"{self.name}-skipped.txt"

    def metadata(self, root: Path) -> Metadata:
        """What the label files say of the pictures that are not skipped; errors as of `read`."""
        metadata = self.read(root)
        if not (skipped := set(self.skipped(root))):
            return metadata
        kept = [i for i, item in enumerate(metadata.items) if item not in skipped]
        return Metadata(metadata.folder, [metadata.items[i] for i in kept], metadata.y[kept],
                        metadata.a[kept], metadata.split[kept])


@dataclass(frozen=True)
class Protocols:
    """A data set as we read it, and as the paper's released code does (`data.load` says how they differ)."""

    ours: Original
    released: Original

    def load(self, name: str, root: str | Path | None, protocol: str = "ours") -> Splits:
        """As of `Original`, of the protocol."""
        return getattr(self, protocol).load(name, root)

    def fingerprint(self, name: str, root: str | Path | None, protocol: str = "ours") -> str:
        """As of `Original`, of the protocol."""
        return getattr(self, protocol).fingerprint(name, root)


def find(name: str, root: Path, *places: str) -> Path:
    """The first of the places under root that is a file.

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
    """Those columns of a text file with a table, as text; `options` are `pandas.read_csv`'s.

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
    """Texts as whole numbers: their place among the allowed ones, or what these map to.

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
