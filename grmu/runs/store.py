"""The folder of finished runs: JSON and safetensors, written whole or not at all; nothing is unpickled but
plain tensors.

A record is a folder kind/key; it is filled under a temporary name and then renamed, so a killed run leaves at
most a temporary folder, which the next start removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from grmu.data.shipped import PACKAGE

FORMAT = 1
STALE_SECONDS = 3600


class StoreError(RuntimeError):
    """The store cannot be used as it is; the message says what to do."""


def default_folder() -> Path:
    """$GRMU_STORE, else runs/ in a checkout, else the user's cache folder."""
    if os.environ.get("GRMU_STORE"):
        return Path(os.environ["GRMU_STORE"])
    if (PACKAGE.parent / "pyproject.toml").is_file():
        return PACKAGE.parent / "runs"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "grmu"


class Store:
    """Finished runs under one folder, which is made if missing.

    Raises:
        StoreError: the folder cannot be written, or holds a store of another format.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.root = Path(folder) if folder is not None else default_folder()
        stamp = self.root / "store.json"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not stamp.is_file():
                self._replace_file(stamp, {"format": FORMAT})
            found = json.loads(stamp.read_text())
            found = found.get("format") if isinstance(found, dict) else "unreadable"
        except OSError as error:
            raise self._unwritable(error) from error
        except ValueError:
            found = "unreadable"
        if found != FORMAT:
            raise StoreError(f"{self.root} was written by another version (format {found}, this one writes {FORMAT}): "
                             "delete that folder, or choose another with store=... or $GRMU_STORE.")

    def folder(self, kind: str, key: str) -> Path:
        """Where a record of that kind and key is, or will be."""
        return self.root / kind / key

    def lock(self, key: str) -> Path:
        """The file that a process locks while it computes this key."""
        try:
            (self.root / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return self.root / "locks" / f"{key}.lock"

    def read(self, kind: str, key: str) -> dict[str, Any] | None:
        """The record's JSON, or None if there is none."""
        try:
            return json.loads((self.folder(kind, key) / "record.json").read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.folder(kind, key)} is damaged ({error}): delete that folder.") from error

    def weights(self, key: str) -> dict[str, Tensor]:
        """The weights of a trained model."""
        try:
            return load_file(self.folder("models", key) / "model.safetensors")
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{self.folder('models', key)} is damaged ({error}): delete that folder.") from error

    def write(self, kind: str, key: str, record: Mapping[str, Any],
              weights: Mapping[str, Tensor] | None = None) -> None:
        """Write a record in one step, replacing an older one of that key.

        Raises:
            StoreError: the disk is full or read-only; nothing half-written stays behind.
        """
        target = self.folder(kind, key)
        temporary = None
        try:
            target.parent.mkdir(exist_ok=True)
            self._sweep(target.parent)
            temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target.parent))
            if weights is not None:
                save_file({k: v.contiguous().cpu() for k, v in weights.items()},
                          temporary / "model.safetensors")
            (temporary / "record.json").write_text(json.dumps(record, indent=1))
            if target.exists():
                shutil.rmtree(target)
            os.replace(temporary, target)
        except (OSError, SafetensorError) as error:
            raise self._unwritable(error) from error
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)

    def _checkpoint(self, key: str) -> Path:
        return self.root / "checkpoints" / f"{key}.pt"

    def write_checkpoint(self, key: str, state: Mapping[str, Any]) -> None:
        """Keep the state of an unfinished run: nested dicts and lists of tensors, numbers and strings;
        replaces an older one.

        Raises:
            StoreError: the disk is full or read-only; the older one stays.
        """
        path = self._checkpoint(key)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(exist_ok=True)
            torch.save(dict(state), temporary)
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:  # PyTorch's writer raises the latter on a full disk
            raise self._unwritable(error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def read_checkpoint(self, key: str) -> dict[str, Any] | None:
        """The state of an unfinished run, or None if there is none."""
        path = self._checkpoint(key)
        if not path.is_file():
            return None
        try:
            return torch.load(path, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise StoreError(f"{path} is damaged ({str(error).splitlines()[0]}): delete that file.") from error

    def drop_checkpoint(self, key: str) -> None:
        """Forget the state of a run that is finished."""
        self._checkpoint(key).unlink(missing_ok=True)

    def _sweep(self, folder: Path) -> None:
        """Remove what killed runs left; young folders may belong to a run that is still writing."""
        for old in folder.glob(".tmp-*"):
            with contextlib.suppress(OSError):  # it may have been renamed meanwhile
                if time.time() - old.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)

    def _replace_file(self, path: Path, content: object) -> None:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(content, file)
        os.replace(file.name, path)

    def _unwritable(self, error: Exception) -> StoreError:
        why = getattr(error, "strerror", None) or error
        return StoreError(f"cannot write runs to {self.root}: {why}. Free some space or choose another folder with store=... "
                          "or the environment variable GRMU_STORE.")
