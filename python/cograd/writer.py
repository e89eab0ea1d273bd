"""The bare trace format: whatever made the gradients, this writes them.

    with cograd.Writer("studies/mine", parameters=..., coordinates=..., examples=..., sampled=...) as writer:
        for step in ...:
            writer.gradients(step, values)  # [sampled examples, coordinates], at the weights before that update

`docs/trace-format.md` says what is written. A run is in `runs/.RUN.partial` until it is whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from cograd import durable, progress
from cograd.background import Background
from cograd.errors import DataError, ResumeError, StudyError, WriteError
from cograd.journal import GradientFiles
from cograd.recording import Recording

_RUN = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,199}")
_WORKER = re.compile(r"[A-Za-z0-9_+=-][A-Za-z0-9._+=-]{0,199}")
_CONDITION = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
# Pieces of work that may wait for the disk.
_WAITING = 4

Value = int | float | str | bool
#: What a step is recorded by: a column of examples, of any type that pyarrow makes an array of.
Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A parameter of the network: its name in the state dict, and its shape."""

    name: str
    shape: tuple[int, ...]
    #: What it is reported with; by default the name without its last part.
    layer: str | None = None
    #: `linear`, `conv2d`, `embedding`, `layer_norm`, …
    kind: str | None = None

    @property
    def reported_with(self) -> str:
        """The layer."""
        return self.layer or self.name.rpartition(".")[0] or self.name


def layers(parameters: Iterable[Parameter]) -> list[str]:
    """The layers in the order of their first parameters."""
    return list(dict.fromkeys(parameter.reported_with for parameter in parameters))


class Writer(Recording):
    """Writes one run of a study, on a thread of its own.

    `coordinates` are two arrays, row of `parameters` and place in the tensor. `examples` are columns of all
    training examples (`label`, `original_label`, and whatever is known); `sampled` are the recorded ones,
    ascending. `population` are the examples of the population, by default all. Where several workers write one
    run, each has its `share` of `sampled` and `population`, and its name in `workers`; the first of them closes
    last.
    """

    def __init__(
        self,
        study: str | os.PathLike[str],
        run: str | None = None,
        *,
        parameters: Sequence[Parameter],
        coordinates: tuple[ArrayLike, ArrayLike],
        train_examples: int,
        sampled: ArrayLike,
        examples: Columns | None = None,
        population: ArrayLike | None = None,
        conditions: Mapping[str, Value] | None = None,
        task: Mapping[str, Any] | None = None,
        inputs: Mapping[str, NDArray[Any]] | None = None,
        worker: str = "",
        workers: Sequence[str] = (),
        share: tuple[ArrayLike, ArrayLike] | None = None,
        program: str = "cograd (Python)",
    ) -> None:
        """Checks the description and that the study can take the run; writes nothing yet."""
        self.conditions = checked_conditions(conditions or {})
        self.run = run or run_name(self.conditions)
        if not _RUN.fullmatch(self.run):
            raise StudyError(
                f"run {self.run!r}: 1 to 200 letters, digits, '.', '_', '-' or '+', the first no '.'"
            )
        self.task = dict(task or {})
        self._parameters, self._m = list(parameters), int(train_examples)
        self._layers = layers(parameters)
        self._parameter, self._index = (np.asarray(part, dtype=np.int64) for part in coordinates)
        self._sampled = np.asarray(sampled, dtype=np.int64)
        self._population = (
            np.arange(self._m) if population is None else np.asarray(population, dtype=np.int64)
        )
        self._columns = {name: _column(name, values, self._m) for name, values in (examples or {}).items()}
        self._inputs, self._program = dict(inputs or {}), program
        self._worker, self._workers = worker, list(workers)
        mine = share or (self._sampled, self._population)
        self._my_sampled, self._my_population = (np.asarray(ids, dtype=np.int64) for ids in mine)
        self._check_description()

        self._study = Path(study)
        self._runs = self._study / "runs"
        self._final, self._partial = self._runs / self.run, self._runs / f".{self.run}.partial"
        check_study(self._study, self.run, self.conditions)
        self._gradients = GradientFiles(self._partial, self.run, worker, self._my_sampled, len(self._index))
        self._files: dict[str, dict[str, Any]] = {}
        self._recorded: list[int] = []
        self._population_steps: list[int] = []
        self._norms: list[tuple[int, int, float]] = []
        self._skipped: list[dict[str, Any]] = []
        self._metrics: list[tuple[int, str, str, str, float, int]] = []
        self._background: Background | None = None
        self._pace: progress.Pace | None = None
        self._lock: durable.Lock | None = None
        self._closed = False

    @property
    def directory(self) -> Path:
        """Where the run is once it is complete."""
        return self._final

    @property
    def leads(self) -> bool:
        """Whether this writer is the one that completes the run."""
        return not self._workers or self._worker == self._workers[0]

    # What is recorded.

    def gradients(self, step: int, values: ArrayLike) -> None:
        """Records the gradients [sampled examples, coordinates] at a step."""
        matrix = np.asarray(values, dtype=np.float32)
        expected = (len(self._my_sampled), len(self._index))
        if matrix.shape != expected:
            raise DataError(
                f"step {step}: gradients of shape {matrix.shape}, not {expected} (examples, coordinates)"
            )
        if not np.isfinite(matrix).all():
            raise DataError(f"step {step}: gradients that are not finite: give the step to `skip` instead")
        self._has_rows(step, self._recorded)
        self._recorded.append(step)
        self._add(lambda: self._files.update(self._gradients.append(step, matrix)))

    def population(
        self,
        step: int,
        contributions: ArrayLike,
        gradient_norms_sq: ArrayLike,
        self_terms: ArrayLike | None = None,
    ) -> None:
        """Records contributions and self terms [examples of the population, layers], and ‖g‖² [layers]."""
        shape = (len(self._my_population), len(self._layers))
        by_layer = {"contribution": np.asarray(contributions, dtype=np.float64)}
        if self_terms is not None:
            by_layer["self_term"] = np.asarray(self_terms, dtype=np.float64)
        norms = np.asarray(gradient_norms_sq, dtype=np.float64)
        for name, values in by_layer.items():
            if values.shape != shape:
                raise DataError(
                    f"step {step}: {name}s of shape {values.shape}, not {shape} (examples, layers)"
                )
        if norms.shape != shape[1:]:
            raise DataError(f"step {step}: gradient norms of shape {norms.shape}, not {shape[1:]} (layers)")
        if not all(np.isfinite(values).all() for values in (norms, *by_layer.values())):
            raise DataError(f"step {step}: a population that is not finite: give the step to `skip` instead")
        self._has_rows(step, self._population_steps)
        self._population_steps.append(step)
        self._norms += [(step, layer, float(norm)) for layer, norm in enumerate(norms)]
        self._add(lambda: self._write_population(step, by_layer))

    def skip(self, step: int, reason: str) -> None:
        """Says why a step that was due has no rows."""
        self._ascending(step, [skipped["step"] for skipped in self._skipped])
        if step in (*self._recorded[-1:], *self._population_steps[-1:]):
            raise DataError(f"step {step} has rows: a step that is skipped has none")
        self._skipped.append({"step": step, "reason": reason})

    def metric(
        self, step: int, split: str, metric: str, value: float, examples: int = 0, group: str = "all"
    ) -> None:
        """Records a number that was measured, on how many examples (0: no mean over examples)."""
        if metric == "accuracy" and not 0 <= value <= 1:
            raise DataError(f"step {step}: accuracy {value} of {split}: it lies between 0 and 1")
        for what, name in (("split", split), ("metric", metric), ("group", group)):
            if not 1 <= len(name.encode()) <= 1000:
                raise DataError(f"step {step}: a {what} has a name of 1 to 1000 bytes")
        self._metrics.append((int(step), split, group, metric, float(value), int(examples)))

    def snapshot(self, step: int, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Keeps weights, named and shaped as the parameters."""
        name, kept = f"weights/step-{step:08}.safetensors", dict(tensors)

        def write() -> None:
            path = self._partial / name
            path.parent.mkdir(exist_ok=True)
            durable.write_tensors(path, kept)
            self._files[name] = durable.entry(path, 0)

        self._add(write)

    # Beginning, going on, ending.

    def begin(self) -> None:
        """Begins the run anew, removing what an earlier attempt left; otherwise the first record does."""
        self._open()
        self._guarded(self._clear)

    def state(self) -> dict[str, Any]:
        """Where the recording is, after making all of it durable: plain values, to be kept with a checkpoint."""
        if self._background is None:
            self.begin()
        self._wait()
        self._guarded(self._gradients.sync)
        return {
            "run": self.run,
            "identity": self._identity(),
            "recorded_steps": list(self._recorded),
            "population_steps": list(self._population_steps),
            "gradient_norms": [list(row) for row in self._norms],
            "skipped_steps": [dict(skipped) for skipped in self._skipped],
            "metrics": [list(row) for row in self._metrics],
            "files": {name: dict(entry) for name, entry in self._files.items()},
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state, dropping what was recorded after it."""
        if self._background is not None:
            raise ResumeError("a state must be loaded before the first step is recorded")
        if state["run"] != self.run or state["identity"] != self._identity():
            raise ResumeError(
                f"the state is of another recording ({state['run']}): "
                "model, training set, sample and conditions must be the same"
            )
        if not self._partial.is_dir():
            raise ResumeError(f"{self._partial} is not there any more: record again from the beginning")
        self._open()
        self._recorded = list(state["recorded_steps"])
        self._population_steps = list(state["population_steps"])
        self._norms = [(step, layer, norm) for step, layer, norm in state["gradient_norms"]]
        self._skipped = [dict(skipped) for skipped in state["skipped_steps"]]
        self._metrics = [tuple(row) for row in state["metrics"]]
        self._files = {name: dict(entry) for name, entry in state["files"].items()}
        self._guarded(self._go_back)

    def close(self, steps: int | None = None, columns: Columns | None = None) -> Path:
        """Completes the run of `steps` updates, with further `columns` of the examples; returns its directory."""
        if self._closed:
            return self._final
        if self._background is None:
            self.begin()
        for name, values in (columns or {}).items():
            self._columns[name] = _column(name, values, self._m)
        try:
            self._wait()
            self._guarded(lambda: self._finish(steps))
        finally:
            self.abort()
        return self._final

    def abort(self) -> None:
        """Stops without completing the run: it stays unfinished, and can be continued from a state."""
        if self._background is not None:
            self._background.stop()
        if self._lock is not None:
            self._lock.release()
        self._closed = True

    # The rest is private.

    def _check_description(self) -> None:
        names = [parameter.name for parameter in self._parameters]
        if len(set(names)) != len(names):
            raise DataError("two parameters have the same name")
        if not 1 <= len(self._sampled) <= self._m or not _are_ids(self._sampled, self._m):
            raise DataError(f"sampled examples: 1 to {self._m} of them, ascending, none twice")
        if not _are_ids(self._population, self._m):
            raise DataError(f"population: up to {self._m} examples, ascending, none twice")
        sizes = np.array([math.prod(parameter.shape) for parameter in self._parameters])
        if len(self._index) == 0 or len(self._index) != len(self._parameter):
            raise DataError("coordinates: two arrays of the same length, at least 1")
        if self._parameter.min() < 0 or self._parameter.max() >= len(sizes):
            raise DataError("coordinates: a parameter that is not there")
        if (self._index < 0).any() or (self._index >= sizes[self._parameter]).any():
            raise DataError("coordinates: a place outside of its parameter")
        if len(np.unique(np.stack([self._parameter, self._index]), axis=1).T) != len(self._index):
            raise DataError("coordinates: one is there twice")
        for name in (self._worker, *self._workers):
            if name and not _WORKER.fullmatch(name):
                raise StudyError(f"worker {name!r}: letters, digits, '.', '_', '-', '+' or '='")
        if (self._workers or self._worker) and self._worker not in self._workers:
            raise StudyError(f"worker {self._worker!r} is none of the workers {self._workers}")

    def _identity(self) -> str:
        """A hash of what must be the same where a recording continues."""
        about = {
            "conditions": self.conditions,
            "parameters": [(parameter.name, list(parameter.shape)) for parameter in self._parameters],
            "train_examples": self._m,
            "worker": [self._worker, self._workers],
        }
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for ids in (self._parameter, self._index, self._my_sampled, self._my_population):
            digest.update(ids.astype("<i8").tobytes())
        return digest.hexdigest()

    def _open(self) -> None:
        if self._closed:
            raise WriteError(f"the run {self.run} was closed: nothing more can be recorded")
        try:
            self._runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{self._runs} cannot be made: {error}") from error
        worker = f".{self._worker}" if self._worker else ""
        self._lock = durable.Lock(self._runs / f".{self.run}{worker}.lock")
        check_study(self._study, self.run, self.conditions)
        self._background = Background(_WAITING)
        # A run of several workers is known to none of them before its end.
        self._pace = None if self._workers else progress.Pace()

    def _clear(self) -> None:
        if self.leads and self._partial.exists():
            shutil.rmtree(self._partial)
        self._partial.mkdir(exist_ok=True)
        self._gradients.resume([])

    def _go_back(self) -> None:
        (self._partial / progress.NAME).unlink(missing_ok=True)
        self._gradients.resume(self._recorded)
        mine = f"population/{self._worker}/" if self._worker else "population/"
        for folder, pattern in ((mine, "part-*"), *((("weights", "step-*"),) if self.leads else ())):
            for path in (self._partial / folder).glob(pattern):
                if path.relative_to(self._partial).as_posix() not in self._files:
                    path.unlink()
        for name, entry in self._files.items():
            path = self._partial / name
            if not path.exists() or durable.entry(path, entry["rows"]) != entry:
                # A part file that was not complete at this state has become a journal again.
                raise ResumeError(f"{path}: not the file of this state: record again from the beginning")

    def _add(self, work: Callable[[], None]) -> None:
        if self._background is None:
            self.begin()
        assert self._background is not None
        background = self._background
        self._guarded(lambda: background.add(work))
        if self._pace is not None and self._pace.is_due():
            steps = (0, *self._recorded, *self._population_steps, *(skip["step"] for skip in self._skipped))
            manifest, norms, metrics = self._manifest(max(steps), {}), list(self._norms), list(self._metrics)
            self._guarded(lambda: background.add(lambda: self._note(manifest, norms, metrics)))

    def _note(
        self,
        manifest: dict[str, Any],
        norms: list[tuple[int, int, float]],
        metrics: list[tuple[int, str, str, str, float, int]],
    ) -> None:
        """Lets the run so far be watched; all that `manifest` says of it is on disk by now."""
        if "parameters.parquet" not in self._files:
            self._write_description()
        manifest["files"] = dict(sorted(self._files.items()))
        tables = [self._table("examples", self._examples()), self._table("metrics", _measured(metrics))]
        progress.write(self._partial, manifest, norms, self._gradients.position(), tables)

    def _wait(self) -> None:
        assert self._background is not None
        self._guarded(self._background.wait)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            raise WriteError(
                f"{self._partial}: {error}; what is recorded so far stays there, "
                "and a recorder continues from the last state_dict() once the cause is gone"
            ) from error

    def _has_rows(self, step: int, earlier: Sequence[int]) -> None:
        self._ascending(step, earlier)
        if self._skipped and self._skipped[-1]["step"] == step:
            raise DataError(f"step {step} is skipped: it has no rows")

    @staticmethod
    def _ascending(step: int, earlier: Sequence[int]) -> None:
        if step < 0 or (earlier and step <= earlier[-1]):
            raise DataError(
                f"step {step} after step {earlier[-1] if earlier else 0}: steps must ascend from 0"
            )

    def _write_population(self, step: int, by_layer: Mapping[str, NDArray[np.float64]]) -> None:
        name = "/".join(part for part in ("population", self._worker, f"part-{step:010}.parquet") if part)
        path = self._partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows, size = len(self._my_population), len(self._layers)
        columns: dict[str, Any] = {
            "step": pa.array(np.full(rows, step, np.int64)),
            "example_id": pa.array(self._my_population.astype(np.uint32)),
        }
        encoding = dict.fromkeys(columns, "DELTA_BINARY_PACKED")
        for column, values in by_layer.items():
            columns[column] = pa.array(values.sum(1))
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            columns[f"{column}_by_layer"] = pa.FixedSizeListArray.from_arrays(flat, size)
            encoding |= {column: "BYTE_STREAM_SPLIT", f"{column}_by_layer.list.element": "BYTE_STREAM_SPLIT"}
        durable.write_table(
            path,
            pa.table(columns).replace_schema_metadata(durable.footer(self.run, "population")),
            use_dictionary=False,
            column_encoding=encoding,
            write_statistics=["step"],
            row_group_size=rows,
        )
        self._files[name] = durable.entry(path, rows)

    def _table(self, name: str, columns: Mapping[str, Any]) -> pa.Table:
        return pa.table(dict(columns)).replace_schema_metadata(durable.footer(self.run, name))

    def _write_table(self, name: str, columns: Mapping[str, Any]) -> None:
        path = self._partial / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = self._table(name, columns)
        durable.write_table(path, table)
        self._files[f"{name}.parquet"] = durable.entry(path, table.num_rows)

    def _finish(self, steps: int | None) -> None:
        self._files.update(self._gradients.close())
        if not self.leads:
            text = json.dumps({"files": self._files, "steps": [self._recorded, self._population_steps]})
            durable.write_whole(self._worker_file(self._worker), lambda path: _write_text(path, text))
            return
        for worker in self._workers[1:]:
            self._gather(worker)
        self._write_tables()
        (self._partial / progress.NAME).unlink(missing_ok=True)
        self._seal(steps)
        if self._final.exists():
            raise StudyError(f"{self._final} appeared while it was recorded: choose another `run`")
        self._partial.rename(self._final)
        durable.sync_directory(self._runs)

    def _worker_file(self, worker: str) -> Path:
        return self._partial / f"worker-{worker}.json"

    def _gather(self, worker: str) -> None:
        """Takes over what another worker has written."""
        path = self._worker_file(worker)
        if not path.exists():
            raise WriteError(f"worker {worker} has not closed its writer: {self._workers[0]} must close last")
        found = json.loads(path.read_text())
        if found["steps"] != [self._recorded, self._population_steps]:
            raise WriteError(f"worker {worker} recorded other steps than {self._workers[0]}")
        self._files.update(found["files"])
        path.unlink()

    def _write_description(self) -> None:
        self._write_table(
            "parameters",
            {
                "parameter": pa.array(range(len(self._parameters)), pa.uint32()),
                "name": [parameter.name for parameter in self._parameters],
                "shape": pa.array([parameter.shape for parameter in self._parameters], pa.list_(pa.uint64())),
                "layer": [parameter.reported_with for parameter in self._parameters],
                "kind": pa.array([parameter.kind for parameter in self._parameters], pa.string()),
            },
        )
        self._write_table(
            "coordinates",
            {
                "coordinate": pa.array(range(len(self._index)), pa.uint32()),
                "parameter": pa.array(self._parameter.astype(np.uint32)),
                "index": pa.array(self._index.astype(np.uint64)),
            },
        )

    def _examples(self) -> dict[str, Any]:
        every = np.arange(self._m)
        known = {"example_id": pa.array(every.astype(np.uint32)), "sampled": np.isin(every, self._sampled)}
        if len(self._population) < self._m:
            known["population"] = np.isin(every, self._population)
        return {**known, **self._columns}

    def _write_tables(self) -> None:
        self._write_description()
        self._write_table("examples", self._examples())
        if self._norms:
            steps, numbers, norms = zip(*self._norms, strict=True)
            columns = {
                "step": pa.array(steps, pa.int64()),
                "layer": pa.array(numbers, pa.uint32()),
                "gradient_norm_sq": pa.array(norms, pa.float64()),
            }
            self._write_table("population/gradient-norms", columns)
        if self._metrics:
            self._write_table("metrics", _measured(self._metrics))
        if self._inputs:
            path = self._partial / "inputs.safetensors"
            durable.write_tensors(path, self._inputs)
            self._files["inputs.safetensors"] = durable.entry(path, 0)

    def _manifest(self, steps: int | None, files: Mapping[str, Any]) -> dict[str, Any]:
        last = max((0, *(step + 1 for step in (*self._recorded, *self._population_steps))))
        last = max((last, *(skipped["step"] for skipped in self._skipped)))
        return {
            "format_version": durable.FORMAT_VERSION,
            "run": self.run,
            "conditions": self.conditions,
            "task": self.task,
            "train_examples": self._m,
            "sampled_examples": len(self._sampled),
            "coordinates": len(self._index),
            "steps": last if steps is None else steps,
            "recorded_steps": list(self._recorded),
            "population_steps": list(self._population_steps),
            "population_examples": len(self._population),
            "skipped_steps": list(self._skipped),
            "status": "finished",
            "writer": self._program,
            "files": dict(sorted(files.items())),
            "seal": "",
        }

    def _seal(self, steps: int | None) -> None:
        manifest = self._manifest(steps, self._files)
        text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
        seal = hashlib.sha256(text.encode()).hexdigest()
        before, _, after = text.rpartition('"seal": ""')
        text = f'{before}"seal": "{seal}"{after}'
        durable.write_whole(self._partial / "manifest.json", lambda path: _write_text(path, text))


def _measured(metrics: Sequence[tuple[int, str, str, str, float, int]]) -> dict[str, Any]:
    """The columns of the table of metrics."""
    kinds = {
        "step": pa.int64(),
        "split": pa.string(),
        "group": pa.string(),
        "metric": pa.string(),
        "value": pa.float64(),
        "examples": pa.int64(),
    }
    rows = list(zip(*metrics, strict=True)) or [()] * len(kinds)
    return {name: pa.array(values, kind) for (name, kind), values in zip(kinds.items(), rows, strict=True)}


def checked_conditions(conditions: Mapping[str, Value]) -> dict[str, Value]:
    """The conditions, if the format allows them."""
    conditions = {
        n: value.item() if isinstance(value, np.generic) else value for n, value in conditions.items()
    }
    for name, value in conditions.items():
        if not _CONDITION.fullmatch(name):
            raise DataError(
                f"condition {name!r}: 1 to 64 letters, digits, '_', '.' or '-', the first a letter"
            )
        if not isinstance(value, (bool, int, float, str)) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise DataError(f"condition {name} = {value!r}: a finite number, a text or a boolean")
        if name == "seed" and (
            isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64
        ):
            raise DataError(f"condition seed = {value!r}: a whole number from 0 to 2^64 - 1")
    return dict(conditions)


def run_name(conditions: Mapping[str, Value]) -> str:
    """A name of a run that says its conditions."""
    parts = [
        f"{name}-{str(value).lower() if isinstance(value, bool) else value}"
        for name, value in conditions.items()
    ]
    return re.sub(r"[^A-Za-z0-9._+-]", "-", "_".join(parts)).lstrip(".")[:200] or "run"


def check_study(study: Path, run: str, conditions: Mapping[str, Value]) -> None:
    """Raises StudyError if the directory cannot take the run."""
    if study.exists() and not study.is_dir():
        raise StudyError(f"{study} is a file: name a directory")
    runs = study / "runs"
    if study.is_dir() and any(study.iterdir()) and not runs.is_dir():
        raise StudyError(f"{study} is not empty, and no study: name a new directory")
    if (study / "study.toml").exists():
        raise StudyError(f"{study} holds the study of an experiment file: name another directory")
    for manifest in runs.glob("*/manifest.json"):
        if manifest.parent.name.startswith("."):
            continue
        name = manifest.parent.name.removeprefix("run=")
        if name == run:
            raise StudyError(f"{manifest.parent} is recorded already: choose another `run`, or delete it")
        try:
            other = json.loads(manifest.read_bytes()).get("conditions", {})
        except (OSError, ValueError, AttributeError) as error:
            raise StudyError(f"{manifest} cannot be read: {error}") from error
        if _comparable(other) == _comparable(conditions):
            raise StudyError(
                f"{manifest.parent} has the same conditions ({conditions or 'none'}): "
                "say what is different in `conditions`, or name another directory"
            )


def _comparable(conditions: Mapping[str, Any]) -> dict[str, tuple[bool, Any]]:
    return {name: (isinstance(value, bool), value) for name, value in conditions.items()}


def _are_ids(ids: NDArray[np.int64], m: int) -> bool:
    return bool(
        ids.ndim == 1 and (np.diff(ids) > 0).all() and (len(ids) == 0 or (ids[0] >= 0 and ids[-1] < m))
    )


def _column(name: str, values: Any, m: int) -> pa.Array:
    if name in ("example_id", "sampled", "population"):
        raise DataError(f"column {name}: the recorder writes it itself")
    try:
        column = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"column {name}: it cannot be written: {error}") from error
    if len(column) != m:
        raise DataError(f"column {name}: {len(column)} values for {m} training examples")
    return column


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
