"""An analysis in shards: what the engines (Ray, Dask) map over their workers and gather. docs/scale.md says how it works."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cograd import binary
from cograd.options import Options
from cograd.study import Study


def analyze_shard(study: Path, shard: int, count: int, options: Options, parts: Path) -> Path:
    """Analyses shard `shard` of `count` on one thread; returns its directory, which lies in `parts`.

    Every call has a directory of its own: if a worker dies, what it left is no part of the analysis.
    """
    directory = Path(tempfile.mkdtemp(dir=parts, prefix=f"shard-{shard}-")) / "part"
    command = [
        "analyze",
        str(study),
        "--shard",
        f"{shard}/{count}",
        "--out",
        str(directory),
        "--threads",
        "1",
    ]
    binary.run([*command, *options.arguments()], progress=False)
    return directory


@contextmanager
def parts_of(study: Study) -> Iterator[Path]:
    """A directory in the study for its shards, which every worker must see; removed in the end."""
    parts = Path(tempfile.mkdtemp(dir=study.path.resolve(), prefix=".shards-"))
    try:
        yield parts
    finally:
        shutil.rmtree(parts, ignore_errors=True)
