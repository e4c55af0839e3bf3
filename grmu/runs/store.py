"""The folder of finished runs: JSON and safetensors, written whole or not at all;
nothing is unpickled but plain tensors.

A record is a folder kind/key; it is filled under a temporary name and then renamed, so a killed run leaves at
most a temporary folder, which the next start removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from grmu.data.files import replacing, write_whole
from grmu.data.shipped import PACKAGE

FORMAT = 1
Made = tuple[dict[str, Any], dict[str, Tensor] | None]  # a record, and the weights of a model
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
                write_whole(stamp, json.dumps({"format": FORMAT}))
            found = json.loads(stamp.read_text())
            found = found.get("format") if isinstance(found, dict) else "unreadable"
        except OSError as error:
            raise self.unwritable(error) from error
        except ValueError:
            found = "unreadable"
        if found != FORMAT:
            raise StoreError(f"{self.root} was written by another version (format {found}, this one writes "
                             f"{FORMAT}): "
                             "delete that folder, or choose another with store=... or $GRMU_STORE.")

    def folder(self, kind: str, key: str) -> Path:
        """Where a record of that kind and key is, or will be."""
        return self.root / kind / key

    def lock(self, key: str) -> Path:
        """The file that a process locks while it computes this key."""
        try:
            (self.root / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise self.unwritable(error) from error
        return self.root / "locks" / f"{key}.lock"

    def keep(self, kind: str, key: str, make: Callable[[], Made], fresh: bool = False) -> dict[str, Any]:
        """The record of that kind and key: read, or made and written, while others who want it wait.

        Args:
            fresh: make it even if it is there.
        """
        if not fresh and (found := self.read(kind, key)) is not None:
            return found
        with FileLock(self.lock(key)):
            if fresh or self.read(kind, key) is None:
                self.write(kind, key, *make())
                self.checkpoint(key).drop()
            found = self.read(kind, key)
        assert found is not None
        return found

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
            folder = self.folder("models", key)
            raise StoreError(f"{folder} is damaged ({error}): delete that folder.") from error

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
            raise self.unwritable(error) from error
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)

    def checkpoint(self, key: str) -> Checkpoint:
        """Where an unfinished run leaves its state."""
        return Checkpoint(self, key)

    def _sweep(self, folder: Path) -> None:
        """Remove what killed runs left; young folders may belong to a run that is still writing."""
        for old in folder.glob(".tmp-*"):
            with contextlib.suppress(OSError):  # it may have been renamed meanwhile
                if time.time() - old.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)

    def unwritable(self, error: Exception) -> StoreError:
        """What to raise when nothing can be written."""
        why = getattr(error, "strerror", None) or error
        return StoreError(f"cannot write runs to {self.root}: {why}. Free some space or choose another "
                          "folder with store=... "
                          "or the environment variable GRMU_STORE.")


class Checkpoint:
    """The state of an unfinished run in the store, and the time that its training took, over all attempts."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.path = store, store.root / "checkpoints" / f"{key}.pt"
        self.before, self.started = 0.0, time.perf_counter()

    def seconds(self) -> float:
        """Of training, those of earlier attempts included."""
        return self.before + time.perf_counter() - self.started

    def load(self) -> dict[str, Any] | None:
        """The state, or None if there is none."""
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            why = str(error).splitlines()[0]
            raise StoreError(f"{self.path} is damaged ({why}): delete that file.") from error
        self.before = state["seconds"]
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep nested dicts and lists of tensors, numbers and strings; replaces an older state.

        Raises:
            StoreError: the disk is full or read-only; the older one stays.
        """
        try:
            self.path.parent.mkdir(exist_ok=True)
            with replacing(self.path) as temporary:
                torch.save(dict(state) | {"seconds": self.seconds()}, temporary)
        except (OSError, RuntimeError) as error:  # PyTorch's writer raises the latter on a full disk
            raise self.store.unwritable(error) from error

    def drop(self) -> None:
        """Forget the state of a run that is finished."""
        self.path.unlink(missing_ok=True)


def processor() -> str:
    """The processor's model, and the vector units that PyTorch uses of it."""
    try:
        with open("/proc/cpuinfo") as lines:
            model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux on x86-64
        model = platform.processor() or platform.machine()
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"


def made_by(device: str) -> dict[str, str]:
    """What numbers may depend on besides code and settings: versions, machine, processor."""
    return {"torch": torch.__version__, "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {device}", "processor": processor()}
