"""Tables that ship with the course: written whole, each with its SHA-256 beside it, and read back checked."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pandas as pd

from grmu.data import require
from grmu.data.files import FOLDER as DATA
from grmu.data.files import write_whole

FOLDER = DATA / "results"
SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it


def path_of(name: str) -> Path:
    """Where a shipped table is: "runs", "search" or a study's."""
    return FOLDER / f"{name}.csv"


def write(name: str, table: pd.DataFrame) -> Path:
    """Write a shipped table, whole or not at all, and its SHA-256 beside it."""
    write_whole(path_of(name), content := table.to_csv(index=False))
    sums = _sums() | {f"{name}.csv": hashlib.sha256(content.encode()).hexdigest()}
    write_whole(FOLDER / SUMS, "".join(f"{digest}  {file}\n" for file, digest in sorted(sums.items())))
    return path_of(name)


def read(name: str) -> pd.DataFrame:
    """A shipped table as its file has it.

    Raises:
        FileNotFoundError: it was never computed.  ValueError: the file is not what was written.
    """
    path = path_of(name)
    if not path.is_file():
        raise FileNotFoundError(f"there are no shipped results for {name} in {FOLDER}: compute them with "
                                f"`python -m grmu results{f' --only {name}' * (name != 'runs')}`.")
    content = path.read_bytes()
    require(hashlib.sha256(content).hexdigest() == _sums().get(path.name),
            f"{path} is damaged or altered, by its SHA-256 in {SUMS}: restore both with `git checkout data`, "
            "or compute it again with `python -m grmu results`.")
    return pd.read_csv(io.BytesIO(content))


def margins(dataset: str) -> dict[str, float]:
    """What two gold standards of one split differ by, in points: the mean |difference| of the pairs.

    Returns:
        One margin each for UA, GA and TA, and "distance", the mean of those of UA and GA.
    """
    pairs = read("twins")
    mean = 100 * pairs[pairs.dataset == dataset][["UA", "GA", "TA"]].abs().mean()
    return {**mean, "distance": (mean.UA + mean.GA) / 2}


def _sums() -> dict[str, str]:
    path = FOLDER / SUMS
    lines = path.read_text().splitlines() if path.is_file() else []
    return {file: digest for digest, _, file in (line.partition("  ") for line in lines)}
