"""Store finished runs in a folder, as JSON and safetensors files with SHA-256 checksums.

A record is the folder kind/key. Its record.json names the file of its payload, such as weights. A process
that computes a key locks it, so several processes can request the same run. Files are written under a
temporary name and then renamed, so a killed process never leaves an incomplete record.
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
Record = tuple[Json, bytes | None]  # the JSON and the payload
SUFFIXES = {"models": ".safetensors", "checkpoints": ".state", "results": ""}  # of payload files, by kind


class StoreError(RuntimeError):
    """The store cannot be used in its current state. The message says what to do."""


class Store:
    """Finished runs in one folder, which is created when the first run is written."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.root = Path(folder or default_store()).expanduser()

    def folder(self, kind: str, key: str) -> Path:
        """Return the folder of a record, whether or not it exists."""
        return self.root / kind / key

    def get_or_compute(self, kind: str, key: str, compute: Callable[[], Record], fresh: bool = False) -> Json:
        """Return the record's JSON. Compute and write the record if it is missing or if `fresh` is True."""
        record = None if fresh else self.read(kind, key)
        if record is None:
            locks = self.root / "locks"
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / f"{key}.lock"):
                record = None if fresh else self.read(kind, key)  # another process may have written it by now
                record = record or self.write(kind, key, *compute())
        return record

    def read(self, kind: str, key: str) -> Json | None:
        """Return the record's JSON, or None if there is no such record.

        Raises:
            StoreError: The record is damaged.
        """
        path = self.folder(kind, key) / "record.json"
        try:
            record = json.loads(path.read_bytes())
            if record.pop("sha256") == digest(kind, key, record):
                return record
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, LookupError, AttributeError):  # not JSON, or not a record
            pass
        raise _damaged(path)

    def payload(self, kind: str, key: str) -> bytes:
        """Return the payload of a record.

        Raises:
            StoreError: The record or its payload is damaged.
        """
        path = self.folder(kind, key) / str((self.read(kind, key) or {}).get("payload"))
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise _damaged(path)
        return content

    def write(self, kind: str, key: str, record: Json, payload: bytes | None = None) -> Json:
        """Write a record, atomically replacing an older one, and return its JSON.

        Raises:
            OSError: The disk is full or read-only. An older record is kept.
        """
        folder, record = self.folder(kind, key), dict(record)
        if payload is not None:
            record["payload"] = hashlib.sha256(payload).hexdigest() + SUFFIXES[kind]
            write_whole(folder / record["payload"], payload)
        sealed = record | {"sha256": digest(kind, key, record)}
        write_whole(folder / "record.json", json.dumps(sealed, indent=1))
        for path in folder.iterdir():  # delete replaced payloads and temporary files of killed processes
            if path.name not in ("record.json", record.get("payload")):
                path.unlink()
        return record


class Checkpoint:
    """The state of an unfinished run, with the seconds that its training has taken in all attempts."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.key, self.started = store, key, time.perf_counter()

    def seconds(self) -> float:
        """Return the seconds of training so far, including earlier attempts."""
        return time.perf_counter() - self.started

    def load(self) -> Json | None:
        """Return the saved state, or None if there is none.

        Raises:
            StoreError: The state is damaged.
        """
        record = self.store.read("checkpoints", self.key)
        if record is None:
            return None
        self.started -= record["seconds"]
        return torch.load(io.BytesIO(self.store.payload("checkpoints", self.key)), weights_only=True)

    def save(self, state: Mapping[str, Any]) -> None:
        """Save nested dicts and lists of tensors, numbers and strings.

        Raises:
            OSError: The disk is full or read-only.
        """
        torch.save(state, buffer := io.BytesIO())
        self.store.write("checkpoints", self.key, {"seconds": self.seconds()}, buffer.getvalue())


def _damaged(path: Path) -> StoreError:
    return StoreError(f"{path} is damaged or was changed: delete {path.parent} and run the experiment again.")


def digest(*values: object) -> str:
    """Return the SHA-256 of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
