"""The folder of finished runs: JSON and safetensors, written whole or not at all, each with a SHA-256.

A record is a folder kind/key with record.json, which names the weights beside it. A process that computes a
key holds its lock, so several may ask for the same run, and a killed one leaves nothing half-written.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from grmu.data.files import PACKAGE, replacing, write_whole

FORMAT = 3
Record = tuple[dict[str, Any], dict[str, Tensor] | None]  # JSON values, and the weights of a model


class StoreError(RuntimeError):
    """The store cannot be used as it is; the message says what to do."""


def default_folder() -> Path:
    """Return $GRMU_STORE, else runs/ in a checkout, else the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "grmu")
    default = PACKAGE.parent / "runs" if (PACKAGE.parent / "pyproject.toml").is_file() else cache
    return Path(os.environ.get("GRMU_STORE") or default)


class Store:
    """Finished runs under one folder, which is made if it is missing.

    Raises:
        StoreError: The folder cannot be written, or holds a store of another format.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.root = Path(folder if folder is not None else default_folder()).expanduser()
        stamp = self.root / "store.json"
        with self.explained():
            if not stamp.is_file():
                write_whole(stamp, json.dumps({"format": FORMAT}))
            content = stamp.read_bytes()
        if content != json.dumps({"format": FORMAT}).encode():
            raise StoreError(f"{self.root} is a store of another format, {content[:40]!r}: start a new one "
                             f"with `rm -r {self.root}`, or choose a folder by store=... or $GRMU_STORE.")

    def folder(self, kind: str, key: str) -> Path:
        """Return where the record of that kind and key is, or will be."""
        return self.root / kind / key

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Keep other processes from computing this key; wait if one does."""
        path = self.root / "locks" / f"{key}.lock"
        with self.explained():
            path.parent.mkdir(exist_ok=True)
            lock = FileLock(path).acquire()
        with lock:
            yield

    def get_or_compute(self, kind: str, key: str, compute: Callable[[], Record],
                       fresh: bool = False) -> dict[str, Any]:
        """Return the record's JSON; compute and write it if it is missing or `fresh` is True."""
        record = None if fresh else self.read(kind, key)
        if record is None:
            with self.locked(key):
                record = None if fresh else self.read(kind, key)  # another process may have been quicker
                if record is None:
                    record = self.write(kind, key, *compute())
        return record

    def read(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return the record's JSON, or None if there is none; a StoreError if it is damaged."""
        path = self.folder(kind, key) / "record.json"
        try:
            record = json.loads(path.read_bytes())
            if record.pop("sha256") == _digest(kind, key, record):
                return record
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            pass
        raise self.damaged(path)

    def weights(self, key: str) -> dict[str, Tensor]:
        """Return the weights of a finished training, by name; a StoreError if they are damaged."""
        digest = (self.read("models", key) or {}).get("weights")
        path = self.folder("models", key) / f"{digest}.safetensors"
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == path.stem:
                return load(content)
        except (OSError, SafetensorError):
            pass
        raise self.damaged(path)

    def write(self, kind: str, key: str, record: Mapping[str, Any],
              weights: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
        """Write a record, replacing an older one in one step; return its JSON.

        Raises:
            StoreError: The disk is full or read-only; an older record stays.
        """
        folder, record = self.folder(kind, key), dict(record)
        with self.explained():
            if weights is not None:
                content = save({name: w.contiguous().cpu() for name, w in weights.items()})
                record["weights"] = hashlib.sha256(content).hexdigest()
                write_whole(folder / f"{record['weights']}.safetensors", content)
            write_whole(folder / "record.json",
                        json.dumps(record | {"sha256": _digest(kind, key, record)}, indent=1))
            for old in set(folder.iterdir()) - {folder / "record.json",
                                                folder / f"{record.get('weights')}.safetensors"}:
                old.unlink()  # replaced weights, and what a killed process did not finish
        return record

    def damaged(self, path: Path) -> StoreError:
        """Return the error for a file that is not what was written."""
        remedy = f"delete the folder {path.parent}" if path.suffix != ".state" else "delete that file"
        return StoreError(f"{path} is damaged, or not what was written there: {remedy}, and run again.")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the disk into a StoreError."""
        try:
            yield
        except OSError as error:
            where = getattr(error, "filename", None) or self.root
            raise StoreError(f"cannot write runs to {self.root}: {error.strerror or error} ({where}). Free "
                             "space, or choose a folder by store=... or $GRMU_STORE.") from error


class Checkpoint:
    """The state of an unfinished run, and the seconds that its training took, over all attempts."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.key = store, key
        self.path = store.root / "checkpoints" / f"{key}.state"
        self.earlier, self.started = 0.0, time.perf_counter()

    def seconds(self) -> float:
        """Return the seconds of training so far, earlier attempts included."""
        return self.earlier + time.perf_counter() - self.started

    def load(self) -> dict[str, Any] | None:
        """Return the state, or None if there is none; a StoreError if it is damaged."""
        try:
            packed = self.path.read_bytes()
            if hashlib.sha256(self.key.encode() + packed[64:]).hexdigest().encode() != packed[:64]:
                raise self.store.damaged(self.path)
            state = torch.load(io.BytesIO(packed[64:]), weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise self.store.damaged(self.path) from error
        self.earlier = state["seconds"]
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep nested dicts and lists of tensors, numbers and strings; a StoreError if the disk is full."""
        buffer = io.BytesIO()
        torch.save({**state, "seconds": self.seconds()}, buffer)
        content = buffer.getvalue()
        with self.store.explained():
            self.path.parent.mkdir(exist_ok=True)
            with replacing(self.path) as temporary:
                digest = hashlib.sha256(self.key.encode() + content).hexdigest()
                temporary.write_bytes(digest.encode() + content)

    def drop(self) -> None:
        """Delete the state of a run that is finished."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}-*.tmp")):
            path.unlink(missing_ok=True)


def _digest(kind: str, key: str, record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([kind, key, record], sort_keys=True).encode()).hexdigest()
