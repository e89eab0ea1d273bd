"""The results that `cograd analyze` wrote, as data frames.

Every file is verified before anything in it is parsed, as the Rust readers do: `summary.json` by its seal, a table by the
size and hash that the summary states. What the tables and columns mean is in docs/results.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.parquet as pq

from cograd.errors import CogradError

#: The libraries that frames can be of, in the order in which they are preferred.
LIBRARIES = ("polars", "pandas", "pyarrow")


class ResultsError(CogradError):
    """Results are missing, altered or damaged."""


def check_seal(text: bytes, file: Path | str) -> dict[str, Any]:
    """The JSON object in `text`, whose seal (SHA-256 of the text with an empty `seal`) is checked first."""
    try:
        value = json.loads(text)
        seal = value["seal"]
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{file} is no JSON object with a seal: it is damaged") from error
    if not isinstance(seal, str) or not re.fullmatch("[0-9a-f]{64}", seal):
        raise ResultsError(f"{file}: its field `seal` is not 64 lower-case hexadecimal digits")
    if hashlib.sha256(text.replace(seal.encode(), b"", 1)).hexdigest() != seal:
        raise ResultsError(f"{file} was altered: its seal is not the SHA-256 of the rest of it")
    assert isinstance(value, dict)
    return value


def check_manifest(text: bytes, file: Path | str) -> dict[str, Any]:
    """The manifest of a run, checked by its seal; version 1 of the trace format had none."""
    try:
        value = json.loads(text)
        is_unsealed = value["format_version"] == 1 and "seal" not in value
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{file} is no manifest of a run: it is damaged") from error
    return value if is_unsealed else check_seal(text, file)


class Results(Mapping[str, Any]):
    """A directory of results: a mapping from the names of its tables to data frames.

    A table is read when it is first asked for. `frames` is the library of the frames, `polars`, `pandas` or `pyarrow`;
    by default the first of them that is installed.
    """

    def __init__(self, directory: Path | str, frames: str | None = None) -> None:
        self.directory = Path(directory)
        self.frames = _library(frames)
        file = self.directory / "summary.json"
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            raise ResultsError(f"{self.directory} holds no results: call `analyze()` first") from None
        #: What summary.json says: options, conditions, runs, groups, statistics.
        self.summary = check_seal(text, file)
        self._tables: dict[str, pa.Table] = {}

    def arrow(self, name: str) -> pa.Table:
        """A table as pyarrow has it, verified."""
        if name not in self._tables:
            stated = self.summary["files"].get(f"{name}.parquet")
            if stated is None:
                raise KeyError(f"there is no table {name!r}; there are {', '.join(self)}")
            file = self.directory / f"{name}.parquet"
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                raise ResultsError(f"{file} is missing; analyse again") from None
            if len(content) != stated["bytes"] or hashlib.sha256(content).hexdigest() != stated["sha256"]:
                raise ResultsError(f"{file} is not the file that summary.json is about; analyse again")
            self._tables[name] = pq.read_table(pa.BufferReader(content))
        return self._tables[name]

    def frame(self, table: nw.DataFrame[Any]) -> Any:
        """A frame of the chosen library."""
        if self.frames == "polars":
            return table.to_polars()
        return table.to_pandas() if self.frames == "pandas" else table.to_arrow()

    def __getitem__(self, name: str) -> Any:
        return self.frame(nw.from_native(self.arrow(name), eager_only=True))

    def __iter__(self) -> Iterator[str]:
        return (file.removesuffix(".parquet") for file in self.summary["files"])

    def __len__(self) -> int:
        return len(self.summary["files"])

    def __repr__(self) -> str:
        return f"Results({str(self.directory)!r}: {', '.join(self)})"


def _library(name: str | None) -> str:
    if name is None:
        return next(library for library in LIBRARIES if importlib.util.find_spec(library))
    if name not in LIBRARIES:
        raise ValueError(f"frames are of {', '.join(LIBRARIES)}, not of {name!r}")
    if importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(f"{name} is not installed; install it, or leave `frames` out", name=name)
    return name
