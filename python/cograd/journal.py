"""The gradients of one worker on disk: a journal of the steps of the part file to come, and part files.

A part file is written from the journal once it has all its steps, so that its bytes depend on nothing else, and
a recording that was interrupted can go on from any step that it had reached.
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cograd import durable
from cograd.errors import ResumeError

_ROW_GROUP_BYTES = 8 << 20
_PART_BYTES = 64 << 20
# Step, and CRC-32 of the values.
_HEAD = struct.Struct("<qI")


class GradientFiles:
    """Gradients [examples, coordinates] step by step, in `gradients/[WORKER/]part-*.parquet`."""

    def __init__(
        self, directory: Path, run: str, worker: str, example_ids: NDArray[np.int64], d: int
    ) -> None:
        """Describes the files; nothing is written yet."""
        self._directory, self._run, self._d = directory, run, d
        self._ids = example_ids.astype(np.uint32)
        self._folder = Path("gradients", worker) if worker else Path("gradients")
        self._suffix = f"-{worker}" if worker else ""
        step_bytes = 4 * len(example_ids) * d
        self._record_bytes = _HEAD.size + step_bytes
        self._group_steps = max(1, _ROW_GROUP_BYTES // step_bytes)
        groups = max(1, -(-_PART_BYTES // (self._group_steps * step_bytes)))
        self._part_steps = self._group_steps * groups
        self._count = 0

    def create(self) -> dict[str, dict[str, Any]]:
        """Makes the folder."""
        (self._directory / self._folder).mkdir(parents=True, exist_ok=True)
        return {}

    def append(self, step: int, gradients: NDArray[np.float32]) -> dict[str, dict[str, Any]]:
        """Adds a step; returns the manifest's entry of the part file that it completed, if it did."""
        values = np.ascontiguousarray(gradients, dtype=np.float32).view(np.uint8).reshape(-1).data
        with self._journal(self._count // self._part_steps).open("ab") as file:
            file.write(_HEAD.pack(step, zlib.crc32(values)))
            file.write(values)
        self._count += 1
        return self._finish_part() if self._count % self._part_steps == 0 else {}

    def sync(self) -> None:
        """Makes everything that was added durable."""
        journal = self._journal(self._count // self._part_steps)
        if journal.exists():
            with journal.open("rb+") as file:
                os.fsync(file.fileno())
            durable.sync_directory(self._directory)

    def position(self) -> dict[str, Any] | None:
        """Name and length of the journal of the part file to come; None if it has no step yet."""
        part, steps = divmod(self._count, self._part_steps)
        return {"name": self._journal(part).name, "bytes": steps * self._record_bytes} if steps else None

    def close(self) -> dict[str, dict[str, Any]]:
        """Writes what is left in the journal as the last part file."""
        return self._finish_part() if self._count % self._part_steps else {}

    def resume(self, steps: list[int]) -> None:
        """Goes back to where exactly `steps` were recorded."""
        self._count = len(steps)
        last, rest = divmod(len(steps), self._part_steps)
        kept = steps[last * self._part_steps :]
        if rest and not self._cut_journal(last, kept):
            self._journal_from_part(last, kept)
        folder = self._directory / self._folder
        for path in folder.glob("part-*.parquet") if folder.exists() else ():
            if int(path.stem.removeprefix("part-")) >= last:
                path.unlink()
        for path in self._directory.glob(f"journal-{5 * '[0-9]'}{self._suffix}"):
            if not (rest and path == self._journal(last)):
                path.unlink()
        self.create()

    def _journal(self, part: int) -> Path:
        return self._directory / f"journal-{part:05}{self._suffix}"

    def _part(self, part: int) -> Path:
        return self._folder / f"part-{part:05}.parquet"

    def _cut_journal(self, part: int, steps: list[int]) -> bool:
        """Cuts off what came after `steps`; false if the journal is not there or does not hold them."""
        path = self._journal(part)
        if not path.exists():
            return False
        found = [step for step, _ in self._records(part)]
        if found[: len(steps)] != steps:
            return False
        os.truncate(path, len(steps) * self._record_bytes)
        return True

    def _journal_from_part(self, part: int, steps: list[int]) -> None:
        path = self._directory / self._part(part)
        if not path.exists():
            raise ResumeError(
                f"{self._directory}: the gradients of step {steps[0]} and after are not there any more: "
                "record again from the beginning"
            )
        n = len(self._ids)
        table = pq.read_table(path, columns=["step", "gradient"])
        rows = table.slice(0, n * len(steps)).combine_chunks()
        if np.asarray(rows["step"])[::n].tolist() != steps:
            raise ResumeError(
                f"{path}: it does not hold the steps of this state: record again from the beginning"
            )
        values = rows["gradient"].chunk(0).flatten().to_numpy().reshape(len(steps), -1)
        self._journal(part).unlink(missing_ok=True)
        with self._journal(part).open("wb") as file:
            for step, row in zip(steps, values, strict=True):
                file.write(_HEAD.pack(step, zlib.crc32(row.tobytes())))
                file.write(row.tobytes())

    def _records(self, part: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The steps of a journal, up to the first that is not whole."""
        with self._journal(part).open("rb") as file:
            while len(record := file.read(self._record_bytes)) == self._record_bytes:
                step, checksum = _HEAD.unpack_from(record)
                if zlib.crc32(memoryview(record)[_HEAD.size :]) != checksum:
                    return
                yield step, np.frombuffer(record, np.float32, offset=_HEAD.size)

    def _finish_part(self) -> dict[str, dict[str, Any]]:
        part = (self._count - 1) // self._part_steps
        steps = self._count - part * self._part_steps
        name, path = self._part(part), self._directory / self._part(part)
        durable.write_whole(path, lambda temporary: self._write_part(temporary, part, steps))
        self._journal(part).unlink()
        return {name.as_posix(): durable.entry(path, steps * len(self._ids))}

    def _write_part(self, path: Path, part: int, steps: int) -> None:
        """Writes the journal's steps as Parquet, a row group at a time."""
        fields = [
            ("step", pa.int64()),
            ("example_id", pa.uint32()),
            ("gradient", pa.list_(pa.float32(), self._d)),
        ]
        schema = pa.schema(fields).with_metadata(durable.footer(self._run, "gradients"))
        encoding = {
            "step": "DELTA_BINARY_PACKED",
            "example_id": "DELTA_BINARY_PACKED",
            "gradient.list.element": "BYTE_STREAM_SPLIT",
        }
        records, written, n = self._records(part), 0, len(self._ids)
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            column_encoding=encoding,
            write_statistics=["step"],
        ) as writer:
            while group := list(itertools.islice(records, self._group_steps)):
                table = pa.table(
                    [
                        pa.array(np.repeat([step for step, _ in group], n), pa.int64()),
                        pa.array(np.tile(self._ids, len(group))),
                        pa.FixedSizeListArray.from_arrays(
                            pa.array(np.concatenate([values for _, values in group])), self._d
                        ),
                    ],
                    schema=schema,
                )
                writer.write_table(table, row_group_size=n * len(group))
                written += len(group)
        if written != steps:
            raise ResumeError(
                f"{self._journal(part)}: damaged after {written} of {steps} steps: record again"
            )
