"""Files that are whole or not there, and a lock between processes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cograd.errors import StudyError

FORMAT_VERSION = 3


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` write a file under a temporary name, and gives it its own when it is on disk."""
    temporary = path.with_name(f".{path.name}.partial")
    write(temporary)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def entry(path: Path, rows: int) -> dict[str, Any]:
    """What the manifest says of a file."""
    return {"rows": rows, "bytes": path.stat().st_size, "sha256": sha256(path)}


def footer(run: str, table: str) -> dict[str, str]:
    """What the footer of a Parquet file says of it."""
    return {"cograd": json.dumps({"format_version": FORMAT_VERSION, "run": run, "table": table})}


def write_table(path: Path, table: pa.Table, **options: Any) -> None:
    """Writes a Parquet file."""
    options = {"compression": "zstd", "compression_level": 1, **options}
    write_whole(path, lambda temporary: pq.write_table(table, temporary, **options))


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a file of safetensors."""
    header, values, end = {}, [], 0
    for name, tensor in tensors.items():
        tensor = np.asarray(tensor, order="C")
        kind = "BOOL" if tensor.dtype.kind == "b" else {"f": "F", "i": "I", "u": "U"}[tensor.dtype.kind]
        kind += "" if kind == "BOOL" else str(8 * tensor.itemsize)
        header[name] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
        values.append(tensor)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for tensor in values:
                file.write(tensor.tobytes())

    write_whole(path, write)


class Lock:
    """The operating system's lock on a file: it ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        """Takes the lock, or raises StudyError if another process has it."""
        self.path = path
        while True:
            self._file = path.open("a+")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise StudyError(
                    f"another recorder is writing this run (it holds {path}): "
                    "wait for it, or choose another `run`"
                ) from None
            # The holder may have removed the file since it was opened: then it locks nothing any more.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(self._file.fileno())):
                return
            self._file.close()

    def release(self) -> None:
        """Gives the lock back, and removes its file."""
        if not self._file.closed:
            self.path.unlink(missing_ok=True)
            self._file.close()
