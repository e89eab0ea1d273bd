"""Gradient stores that `bergson build` made of several checkpoints of one training, as one run.

    cograd import bergson STORE... --out STUDY [--steps 0,1000,2000]

A store is a directory with `info.json`, `gradients.bin` (an example's gradients in each row, module after module),
`config.yaml` (how it was built) and `data.hf` (its examples). Stores of bergson's training callback are refused: each of
their rows was taken at other weights.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cograd.errors import CogradError, DataError
from cograd.sample import sample_coordinates, sample_examples
from cograd.writer import Parameter, Value, Writer

# Settings that may differ between the stores of one training, or that change no gradient.
_FREE = {
    "run_path", "overwrite", "model", "revision", "tokenizer", "distributed", "fsdp", "debug", "profile", "drop_columns",
    "token_batch_size", "max_batch_size", "auto_batch_size", "force_math_sdp",
}  # fmt: skip
_STEP = re.compile(r"(?:checkpoint|global_step|step)[-_=]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Store:
    """A store whose rows are gradients of single examples, at one model."""

    directory: Path
    #: The number of values of each module, in their order.
    sizes: Mapping[str, int]
    examples: int
    dtype: np.dtype[Any]
    settings: Mapping[str, Any]

    def gradients(self) -> NDArray[Any]:
        """All of them, mapped: [examples, values]."""
        shape = (self.examples, sum(self.sizes.values()))
        return np.memmap(self.directory / "gradients.bin", dtype=self.dtype, mode="r", shape=shape)

    def columns(self) -> dict[str, pa.ChunkedArray]:
        """What is known of the examples: columns of single numbers, booleans and strings."""
        table = _table(self.directory / "data.hf")
        if len(table) != self.examples:
            raise DataError(
                f"{self.directory / 'data.hf'}: {len(table)} examples, and {self.examples} gradients"
            )
        return {
            name: column
            for name, column in zip(table.column_names, table.columns, strict=True)
            if any(is_kind(column.type) for is_kind in _PLAIN)
        }


_PLAIN = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
)


def import_stores(
    stores: Sequence[str | os.PathLike[str]],
    study: str | os.PathLike[str],
    *,
    steps: Sequence[int] | None = None,
    examples: int | None = None,
    coordinates: int | None = None,
    conditions: Mapping[str, Value] | None = None,
    updates: int | None = None,
    seed: int = 0,
    run: str | None = None,
) -> Path:
    """Makes one run of stores, each the gradients at one step; returns its directory.

    `steps` are the stores' steps; by default what their checkpoints' names end with, such as `checkpoint-1000` or
    `step1000`. `examples` and `coordinates` of each module may be sampled; by default all are taken. `updates` is the
    number of updates of the training, by default the last step.
    """
    if not stores:
        raise DataError("there are no stores")
    opened = [read_store(Path(store)) for store in stores]
    numbers = [step_of(store) for store in opened] if steps is None else list(steps)
    if len(numbers) != len(opened):
        raise DataError(f"{len(numbers)} steps for {len(opened)} stores")
    if len(set(numbers)) < len(numbers):
        raise DataError(f"steps {sorted(numbers)}: one is there twice; give `steps`, a number for each store")
    for store in opened[1:]:
        _check_alike(opened[0], store)
    first = opened[0]
    sampled = sample_examples(first.examples, examples or first.examples, seed)
    places = [
        sample_coordinates((size,), coordinates or size, seed, module)
        for module, size in enumerate(first.sizes.values())
    ]
    starts = np.concatenate([[0], np.cumsum(list(first.sizes.values()))])
    chosen = np.concatenate([start + place for start, place in zip(starts, places, strict=False)])
    columns = first.columns()
    columns.pop("loss", None)
    if "length" in columns:
        columns["tokens"] = columns.pop("length")
    kind = "projected" if first.settings.get("projection_dim") else None
    with Writer(
        study,
        run,
        parameters=[Parameter(name, (size,), layer=name, kind=kind) for name, size in first.sizes.items()],
        coordinates=(
            np.repeat(np.arange(len(places)), [len(place) for place in places]),
            np.concatenate(places),
        ),
        train_examples=first.examples,
        sampled=sampled,
        examples={
            name: column
            for name, column in columns.items()
            if name not in ("example_id", "sampled", "population")
        },
        conditions={"seed": seed, **(conditions or {})},
        task=_task(first),
        program="cograd.bergson",
    ) as writer:
        for step, store in sorted(zip(numbers, opened, strict=True), key=lambda pair: pair[0]):
            _write_step(writer, step, store, sampled, chosen)
        return writer.close(max(numbers) if updates is None else updates)


def read_store(directory: Path) -> Store:
    """Opens a store; raises DataError if its rows are not gradients of single examples at one model."""
    try:
        info = json.loads((directory / "info.json").read_text())
        sizes = {str(name): int(size) for name, size in info["grad_sizes"].items()}
        examples, dtype = int(info["num_grads"]), _dtype(info)
        token_rows = bool(info.get("attribute_tokens", False))
    except FileNotFoundError as error:
        raise DataError(f"{directory} is no gradient store of bergson: it holds no info.json") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{directory / 'info.json'} cannot be read as bergson writes it: {error!r}"
        ) from error
    if not ((directory / "data.hf").is_dir() and (directory / "config.yaml").exists()):
        raise DataError(
            f"{directory} holds no config.yaml and data.hf, so `bergson build` did not make it. Bergson's training callback "
            "takes each row at other weights, which is no step of a run: build a store of each checkpoint instead"
        )
    if token_rows:
        raise DataError(f"{directory} holds a row for each token: build it without attribute_tokens")
    path, expected = directory / "gradients.bin", examples * sum(sizes.values()) * dtype.itemsize
    if not sizes or examples < 1 or min(sizes.values()) < 1:
        raise DataError(f"{directory / 'info.json'}: no gradients")
    if not path.exists() or path.stat().st_size != expected:
        found = path.stat().st_size if path.exists() else "no"
        raise DataError(f"{path}: {found} bytes, and info.json says {expected}")
    return Store(directory, sizes, examples, dtype, _settings(directory))


def step_of(store: Store) -> int:
    """The step that a store's model, revision or directory is named after."""
    for name in (store.settings.get("revision"), store.settings.get("model"), store.directory.name):
        if found := _STEP.findall(str(name or "")):
            return int(found[-1])
    raise DataError(
        f"{store.directory}: neither its model ({store.settings.get('model')}) nor its directory is named after a step, "
        "as in checkpoint-1000: give `steps`, a number for each store"
    )


def _dtype(info: Mapping[str, Any]) -> np.dtype[Any]:
    name = info["base_dtype"]
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)  # type: ignore[no-any-return, unused-ignore]
    dtype: np.dtype[Any] = np.dtype(name)
    if dtype.kind != "f":
        raise ValueError(f"base_dtype {name}")
    return dtype


def _settings(directory: Path) -> dict[str, Any]:
    """How a store was built; raises DataError if its rows are no gradients any more."""
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise CogradError("cograd.bergson reads config.yaml: pip install pyyaml") from error
    path = directory / "config.yaml"
    try:
        stages = [stage for step in yaml.safe_load(path.read_text())["steps"] for stage in step.values()]
        (stage,) = [stage for stage in stages if isinstance(stage, dict) and "index_cfg" in stage]
        settings, made = dict(stage["index_cfg"]), dict(stage.get("preprocess_cfg") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: it does not say how one store was built: {error!r}") from error
    refused = {
        "unit_normalize": made.get("unit_normalize"),
        "hessian_path": made.get("hessian_path"),
        "aggregation": made.get("aggregation") not in (None, "none"),
        "optimizer_state": settings.get("optimizer_state"),
    }
    for name, value in refused.items():
        if value:
            raise DataError(
                f"{path}: built with {name}, so its rows are not the examples' gradients: build it without"
            )
    return settings


def _check_alike(first: Store, other: Store) -> None:
    if first.sizes != other.sizes or first.examples != other.examples:
        raise DataError(
            f"{other.directory}: other modules or another number of examples than {first.directory}"
        )
    names = (set(first.settings) | set(other.settings)) - _FREE
    for name in sorted(names):
        if first.settings.get(name) != other.settings.get(name):
            raise DataError(
                f"{other.directory}: {name} is {other.settings.get(name)!r}, and {first.settings.get(name)!r} in "
                f"{first.directory}: the stores of one run are built alike"
            )


def _task(store: Store) -> dict[str, Any]:
    settings = store.settings
    loss = {"ce": "cross-entropy", "kl": "KL divergence"}.get(
        str(settings.get("loss_fn")), str(settings.get("loss_fn"))
    )
    model = re.split(r"[/\\]", str(settings.get("model", "")).rstrip("/"))
    return {
        "loss": loss,
        "reduction": str(settings.get("loss_reduction", "sum")),
        "dtype": str(settings.get("precision", "")),
        "network": next((part for part in reversed(model) if part and not _STEP.fullmatch(part)), ""),
    }


def _write_step(
    writer: Writer, step: int, store: Store, sampled: NDArray[np.int64], chosen: NDArray[np.int64]
) -> None:
    losses = store.columns().get("loss")
    if losses is not None:
        values = losses.to_numpy()
        writer.metric(step, "train", "loss", float(np.mean(values, dtype=np.float64)), len(values))
    gradients = store.gradients()[sampled][:, chosen]
    # Bergson clamps what its type cannot hold.
    limit = np.finfo(gradients.dtype).max if store.dtype.name != "bfloat16" else np.inf
    bad = int((~(np.abs(gradients) < limit)).any(axis=1).sum())
    if bad:
        writer.skip(
            step,
            f"the gradients of {bad} of {len(sampled)} examples were not finite, or beyond {store.dtype.name}",
        )
    else:
        writer.gradients(step, gradients.astype(np.float32))


def _table(directory: Path) -> pa.Table:
    """A data set that Hugging Face's datasets saved: Arrow streams, in the order that state.json says."""
    try:
        names = [
            entry["filename"] for entry in json.loads((directory / "state.json").read_text())["_data_files"]
        ]
        return pa.concat_tables(_streams(directory, names))
    except (OSError, ValueError, KeyError, TypeError) as error:  # pa.ArrowInvalid is a ValueError
        raise DataError(f"{directory} cannot be read: {error!r}") from error


def _streams(directory: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    for name in names:
        with pa.OSFile(str(directory / Path(name).name)) as file:
            yield pa.ipc.open_stream(file).read_all()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, or 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(
        prog="cograd import bergson", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("stores", nargs="+", metavar="STORE", help="directory that `bergson build` made")
    parser.add_argument("--out", required=True, metavar="STUDY", help="directory of the study")
    parser.add_argument("--steps", help="the stores' steps, with commas between them")
    parser.add_argument("--examples", type=int, help="take so many examples; default: all")
    parser.add_argument("--coordinates", type=int, help="take so many values of each module; default: all")
    parser.add_argument("--run", help="the run's name")
    parser.add_argument("--seed", type=int, default=0, help="draws the sample; default: 0")
    options = parser.parse_args(arguments)
    try:
        steps = None if options.steps is None else [int(step) for step in options.steps.split(",")]
    except ValueError:
        parser.error(f"--steps {options.steps}: whole numbers with commas between them")
    try:
        run = import_stores(
            options.stores, options.out, steps=steps, examples=options.examples, coordinates=options.coordinates,
            seed=options.seed, run=options.run,
        )  # fmt: skip
    except CogradError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{run}\nNext: cograd analyze {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
