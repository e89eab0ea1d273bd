"""What is known of every sampled example: what it contributed, and what its trace says of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.parquet as pq

from cograd.results import Results, ResultsError, check_manifest

#: Columns of the trace that say nothing about an example itself.
_OF_THE_RECORDING = ("sampled", "population")


def of_runs(study: Path, results: Results) -> nw.DataFrame[Any]:
    """A row for each run and sampled example, ordered by the self term within a run, largest first."""
    if "contributions" not in results:
        raise ResultsError(
            "the results have no contributions of examples: analyse with the statistic `contributions`"
        )
    runs = nw.from_native(results.arrow("runs"), eager_only=True).select("run", "manifest_sha256")
    contributions = nw.from_native(results.arrow("contributions"), eager_only=True)
    keys = [name for name in contributions.columns if name not in ("step", "contribution", "self_term")]
    parts = []
    for run, sha256 in runs.iter_rows():
        rows = contributions.filter(nw.col("run") == run)
        sums = rows.group_by("example_id").agg(nw.col("contribution").sum(), nw.col("self_term").sum())
        names = rows.select(keys).unique("example_id", keep="any")
        known = nw.from_native(_known(study, run, sha256), eager_only=True)
        known = known.with_columns(nw.col("example_id").cast(nw.UInt64()))
        known = known.select(
            name for name in known.columns if name == "example_id" or name not in names.columns
        )
        part = names.join(sums, on="example_id").join(known, on="example_id", how="left")
        parts.append(part.sort("self_term", "example_id", descending=[True, False]))
    return nw.concat(parts, how="diagonal")


def _known(study: Path, run: str, manifest_sha256: str) -> pa.Table:
    """The flat columns of a run's examples.parquet, verified by the manifest that was analysed."""
    directories = [study / "runs" / run, study / "runs" / f"run={run}"]
    directory = next((path for path in directories if (path / "manifest.json").is_file()), None)
    if directory is None:
        raise ResultsError(f"{study} has no run {run}, of which the results are")
    text = (directory / "manifest.json").read_bytes()
    if hashlib.sha256(text).hexdigest() != manifest_sha256:
        raise ResultsError(f"{directory} was recorded anew since it was analysed; analyse again")
    manifest = check_manifest(text, directory / "manifest.json")
    content = (directory / "examples.parquet").read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest["files"]["examples.parquet"]["sha256"]:
        raise ResultsError(f"{directory / 'examples.parquet'} is not the file that its manifest is about")
    table = pq.read_table(pa.BufferReader(content))
    return table.select(
        [
            field.name
            for field in table.schema
            if field.name not in _OF_THE_RECORDING and not pa.types.is_nested(field.type)
        ]
    )
