"""Analyses on Dask: shards are its tasks; placement, retries and failures are its business."""

from __future__ import annotations

from typing import Any

from distributed import Client, wait

from cograd import shards as shards_module
from cograd.options import Options
from cograd.study import Location, Study


def analyze(
    study: Study,
    client: Client,
    *,
    shards: int | None = None,
    out: Location | None = None,
    progress: bool = True,
    **options: Any,
) -> Study:
    """As `study.analyze`, with the shards on the workers of a Dask client; the results are the same to the byte.

    `shards` is by default the number of the workers' threads. The workers must see the study at the same path, and have
    `cograd` installed. The shard of a worker that dies is given to another one.
    """
    chosen = Options(**options)
    count = shards or max(1, sum(client.nthreads().values()))
    with shards_module.parts_of(study) as parts:
        path = study.path.resolve()
        made = [
            client.submit(shards_module.analyze_shard, path, shard, count, chosen, parts, pure=False)
            for shard in range(1, count + 1)
        ]
        wait(made)  # even if one fails: none may still be writing when the parts are removed
        return study.analyze_with(chosen, parts=client.gather(made), out=out, progress=progress)
