"""The folder of finished runs: JSON and safetensors, written whole or not at all, each with a SHA-256.

A record is a folder kind/key with record.json, which names the file with its payload, such as weights. A
process that computes a key holds its lock, so several processes may ask for the same run, and a killed one
leaves nothing half-written.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from grmu.data.files import default_store, write_whole

Json = dict[str, Any]
Record = tuple[Json, bytes | None]  # with its payload
SUFFIXES = {"models": ".safetensors", "checkpoints": ".state", "results": ""}  # of a kind's payload


class StoreError(RuntimeError):
    """The store cannot be used as it is; the message says what to do."""


class Store:
    """Finished runs under one folder, which is made when the first run is written."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.root = Path(folder or default_store()).expanduser()

    def folder(self, kind: str, key: str) -> Path:
        """Return where the record of that kind and key is, or will be."""
        return self.root / kind / key

    def get_or_compute(self, kind: str, key: str, compute: Callable[[], Record], fresh: bool = False) -> Json:
        """Return the record's JSON; compute and write it if it is missing or `fresh` is True."""
        record = None if fresh else self.read(kind, key)
        if record is None:
            locks = self.root / "locks"
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / f"{key}.lock"):
                record = None if fresh else self.read(kind, key)  # another process may have been quicker
                record = record or self.write(kind, key, *compute())
        return record

    def read(self, kind: str, key: str) -> Json | None:
        """Return the record's JSON, or None if there is none; a StoreError if it is damaged."""
        path = self.folder(kind, key) / "record.json"
        try:
            record = json.loads(path.read_bytes())
            if record.pop("sha256") == digest(kind, key, record):
                return record
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, LookupError, AttributeError):  # no JSON, or another kind of it
            pass
        raise _damaged(path)

    def payload(self, kind: str, key: str) -> bytes:
        """Return what was written with a record; a StoreError if it is damaged."""
        path = self.folder(kind, key) / str((self.read(kind, key) or {}).get("payload"))
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise _damaged(path)
        return content

    def write(self, kind: str, key: str, record: Json, payload: bytes | None = None) -> Json:
        """Write a record, replacing an older one in one step; return its JSON.

        Raises:
            OSError: The disk is full or read-only; an older record stays.
        """
        folder, record = self.folder(kind, key), dict(record)
        if payload is not None:
            record["payload"] = hashlib.sha256(payload).hexdigest() + SUFFIXES[kind]
            write_whole(folder / record["payload"], payload)
        sealed = record | {"sha256": digest(kind, key, record)}
        write_whole(folder / "record.json", json.dumps(sealed, indent=1))
        for path in folder.iterdir():  # a replaced payload, and what a killed process did not finish
            if path.name not in ("record.json", record.get("payload")):
                path.unlink()
        return record


class Checkpoint:
    """The state of an unfinished run, and the seconds that its training took, over all attempts."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.key, self.started = store, key, time.perf_counter()

    def seconds(self) -> float:
        """Return the seconds of training so far, earlier attempts included."""
        return time.perf_counter() - self.started

    def load(self) -> Json | None:
        """Return the state, or None if there is none; a StoreError if it is damaged."""
        record = self.store.read("checkpoints", self.key)
        if record is None:
            return None
        self.started -= record["seconds"]
        return torch.load(io.BytesIO(self.store.payload("checkpoints", self.key)), weights_only=True)

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep nested dicts and lists of tensors, numbers and strings; an OSError if the disk is full."""
        torch.save(state, buffer := io.BytesIO())
        self.store.write("checkpoints", self.key, {"seconds": self.seconds()}, buffer.getvalue())


def _damaged(path: Path) -> StoreError:
    return StoreError(f"{path} is damaged, or not what was written there: delete {path.parent} and rerun.")


def digest(*values: object) -> str:
    """Return the SHA-256 of values as JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
