"""The folder of finished runs: JSON and safetensors, each written whole or not at all, with a SHA-256 that is
checked when it is read; nothing is unpickled but plain tensors.

A record is a folder kind/key with record.json, which names the weights beside it: replacing that file
replaces all at once. Whoever writes to a key holds its lock, so what others left half-written there may go.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from grmu.data.errors import require
from grmu.data.files import replacing, write_whole
from grmu.data.shipped import PACKAGE

FORMAT = 2
Made = tuple[dict[str, Any], dict[str, Tensor] | None]  # a record, and the weights of a model


class StoreError(RuntimeError):
    """The store cannot be used as it is; the message says what to do."""


def default_folder() -> Path:
    """$GRMU_STORE, else runs/ in a checkout, else the user's cache folder."""
    if os.environ.get("GRMU_STORE"):
        return Path(os.environ["GRMU_STORE"])
    if (PACKAGE.parent / "pyproject.toml").is_file():
        return PACKAGE.parent / "runs"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "grmu"


def sha256(*parts: str | bytes | memoryview) -> str:
    """Of these parts, one after the other, in hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
    return found.hexdigest()


class Store:
    """Finished runs under one folder, which is made if missing.

    Raises:
        StoreError: the folder cannot be written, or holds a store of another format.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.root = Path(folder if folder is not None else default_folder()).expanduser()
        stamp = self.root / "store.json"
        with self.explained():
            self.root.mkdir(parents=True, exist_ok=True)
            if not stamp.is_file():
                write_whole(stamp, json.dumps({"format": FORMAT}))
            content = stamp.read_bytes()
        try:
            found = json.loads(content)["format"]
        except (ValueError, TypeError, LookupError):
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
        return self.root / "locks" / f"{key}.lock"

    @contextmanager
    def locked(self, key: str, timeout: float = -1) -> Iterator[None]:
        """Meanwhile nobody else computes, writes or removes this key.

        Raises:
            StoreError: the lock cannot be made.  filelock.Timeout: another holds it for so many seconds.
        """
        lock = FileLock(self.lock(key), timeout=timeout)
        with self.explained():
            self.lock(key).parent.mkdir(exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def keep(self, kind: str, key: str, make: Callable[[], Made], fresh: bool = False) -> dict[str, Any]:
        """The record of that kind and key: read, or made and written, while others who want it wait.

        Args:
            fresh: make it even if it is there.
        """
        if not fresh and (found := self.read(kind, key)) is not None:
            return found
        with self.locked(key):
            if fresh or self.read(kind, key) is None:
                self.write(kind, key, *make())
            found = self.read(kind, key)
        assert found is not None
        return found

    def read(self, kind: str, key: str) -> dict[str, Any] | None:
        """The record's JSON, or None if there is none."""
        path = self.folder(kind, key) / "record.json"
        try:
            record = json.loads(path.read_bytes())
            if record.pop("sha256") == _sum(kind, key, record):
                return record
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            pass
        raise self.damaged(path)

    def load(self, key: str, into: Callable[[dict[str, Tensor]], object]) -> None:
        """Call `into` with the weights of a finished training, by name."""
        content = b""
        for _ in range(3):  # a fresh run may replace them between the two looks
            path = self._weights(key, self.read("models", key) or {})
            with suppress(OSError):
                content = path.read_bytes()
                break
        try:
            require(sha256(content) == path.stem, "other bytes")
            into(load(content))
        except (ValueError, SafetensorError, RuntimeError) as error:  # the last: of another network
            raise self.damaged(path) from error

    def write(self, kind: str, key: str, record: Mapping[str, Any],
              weights: Mapping[str, Tensor] | None = None) -> None:
        """Write a record, replacing an older one of that key in one step. To be called with the key's lock.

        Raises:
            StoreError: the disk is full or read-only; the older one stays.
        """
        folder, record = self.folder(kind, key), dict(record)
        with self.explained():
            if weights is not None:
                content = save({k: v.contiguous().cpu() for k, v in weights.items()})
                record["weights"] = sha256(content)
                write_whole(self._weights(key, record), content)
            write_whole(folder / "record.json",
                        json.dumps(record | {"sha256": _sum(kind, key, record)}, indent=1))
            for old in set(folder.iterdir()) - {folder / "record.json", self._weights(key, record)}:
                old.unlink()  # replaced weights, and what a killed process had not written to its end
            self.checkpoint(key).drop()

    def _weights(self, key: str, record: Mapping[str, Any]) -> Path:
        return self.folder("models", key) / f"{record.get('weights')}.safetensors"

    def checkpoint(self, key: str, about: Mapping[str, Any] | None = None) -> Checkpoint:
        """Where an unfinished run leaves its state; `about`: JSON values that say which run it is."""
        return Checkpoint(self, key, about or {})

    def damaged(self, path: Path) -> StoreError:
        """What to raise when a file is not what was written."""
        what = f"delete the folder {path.parent}" if path.suffix != ".state" else "delete that file"
        return StoreError(f"{path} is damaged, or not what was written there: {what}, and run again.")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns errors of the disk into a StoreError."""
        try:
            yield
        except Timeout:  # an OSError, but none of the disk
            raise
        except (OSError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or error
            where = getattr(error, "filename", None) or self.root
            raise StoreError(f"cannot write runs to {self.root}: {why} ({where}). Free some space, mend that "
                             "file, or choose another folder with store=... or the environment variable "
                             "GRMU_STORE.") from error


def _sum(kind: str, key: str, record: Mapping[str, Any]) -> str:
    return sha256(json.dumps([kind, key, record], sort_keys=True))


class Checkpoint:
    """The state of an unfinished run in the store, and the time that its training took, over all attempts."""

    def __init__(self, store: Store, key: str, about: Mapping[str, Any]) -> None:
        self.store, self.key, self.about = store, key, about
        self.path = store.root / "checkpoints" / f"{key}.state"
        self.before, self.started = 0.0, time.perf_counter()

    def seconds(self) -> float:
        """Of training, those of earlier attempts included."""
        return self.before + time.perf_counter() - self.started

    def load(self) -> dict[str, Any] | None:
        """The state, or None if there is none."""
        try:
            found, content = (packed := self.path.read_bytes())[:64], memoryview(packed)[64:]
            if sha256(self.key, content).encode() != found:
                raise self.store.damaged(self.path)
            state = torch.load(io.BytesIO(content), weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise self.store.damaged(self.path) from error
        self.before = state["seconds"]
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep nested dicts and lists of tensors, numbers and strings; replaces an older state.

        Raises:
            StoreError: the disk is full or read-only; the older one stays.
        """
        content = io.BytesIO()
        torch.save({**state, **self.about, "seconds": self.seconds()}, content)
        with self.store.explained():
            self.path.parent.mkdir(exist_ok=True)
            with replacing(self.path) as temporary, open(temporary, "wb") as file:
                file.write(sha256(self.key, content.getbuffer()).encode())
                file.write(content.getbuffer())

    def drop(self) -> None:
        """Forget the state of a run that is finished."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}-*.tmp")):
            path.unlink(missing_ok=True)


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
