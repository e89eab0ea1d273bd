"""What an unfinished run holds so far, noted now and then in a file that `cograd watch` reads.

It has the layout of the recorder's checkpoints (docs/recording.md), but nothing goes on from it here: that is what
`Writer.state` is for.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cograd import durable

NAME = "checkpoint"
# Seconds until the first note, and the most between two: the time doubles from one to the other.
_FIRST, _LONGEST = 2.0, 60.0


class Pace:
    """Says when a note is due."""

    def __init__(self) -> None:
        """Counts from now."""
        self._wait, self._last = _FIRST, time.monotonic()

    def is_due(self) -> bool:
        """Whether one is due, which counts as taken then."""
        now = time.monotonic()
        if now - self._last < self._wait:
            return False
        self._wait, self._last = min(2 * self._wait, _LONGEST), now
        return True


def write(
    directory: Path,
    manifest: Mapping[str, Any],
    norms: Sequence[tuple[int, int, float]],
    journal: Mapping[str, Any] | None,
    tables: Sequence[pa.Table],
) -> None:
    """Notes the manifest so far, and the tables of examples and metrics as they would be if the run ended here."""
    by_step: dict[int, list[int]] = {step: [] for step in manifest["population_steps"]}
    for step, _, norm in norms:
        by_step[step].append(struct.unpack("<Q", struct.pack("<d", norm))[0])
    encoded = [_parquet(table) for table in tables]
    place = {
        "description": manifest["writer"],
        "manifest": manifest,
        "gradient_norms": list(by_step.values()),
        "tables": [len(table) for table in encoded],
        "journal": journal,
    }
    content = json.dumps(place).encode() + b"\n" + b"".join(encoded)
    header = f"cograd-checkpoint-3 {hashlib.sha256(content).hexdigest()}\n".encode()
    durable.write_whole(directory / NAME, lambda path: _write(path, header + content))


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=1)
    return bytes(sink.getvalue())


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
