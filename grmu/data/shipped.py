"""A data file that comes with the project: where it is, and whether it is, bit for bit, the right one."""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path
from typing import NamedTuple


class ShippedFile(NamedTuple):
    """An xz file, its SHA-256, and the script in data/ that builds it."""

    name: str
    sha256: str
    script: str

    def find(self, root: str | Path | None = None) -> Path:
        """The file: under `root`, else inside the installed package, else in the checkout's data/ folder.

        Raises:
            FileNotFoundError: it is not there.
        """
        package = Path(__file__).parent
        folders = [Path(root)] if root is not None else [package, package.parents[1] / "data"]
        for folder in folders:
            if (folder / self.name).is_file():
                return folder / self.name
        raise FileNotFoundError(f"{self.name} is not in {' or '.join(map(str, folders))}: restore it with "
                                f"`git checkout data`, or build it with `python data/{self.script}`.")

    def unpack(self, path: Path) -> bytes:
        """The content of the file at `path`.

        Raises:
            ValueError: it is not the one that this version ships.
        """
        packed = path.read_bytes()
        if (found := hashlib.sha256(packed).hexdigest()) != self.sha256:
            raise ValueError(f"{path} is damaged or altered: SHA-256 {found}, expected {self.sha256}. Restore it with "
                             f"`git checkout data`, or build it again with `python data/{self.script}`.")
        return lzma.decompress(packed)
