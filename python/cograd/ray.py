"""Analyses on Ray: shards are its tasks; placement, retries and failures are its business."""

from __future__ import annotations

from typing import Any

import ray

from cograd import shards as shards_module
from cograd.options import Options
from cograd.study import Location, Study


def analyze(
    study: Study,
    *,
    shards: int | None = None,
    out: Location | None = None,
    progress: bool = True,
    **options: Any,
) -> Study:
    """As `study.analyze`, with the shards on the workers of Ray; the results are the same to the byte.

    `shards` is by default the number of Ray's CPUs. The workers must see the study at the same path, and have `cograd`
    installed. The shard of a worker that dies is given to another one.
    """
    chosen = Options(**options)
    if not ray.is_initialized():
        ray.init()
    count = shards or max(1, int(ray.cluster_resources().get("CPU", 1)))
    task = ray.remote(max_retries=3)(shards_module.analyze_shard)
    with shards_module.parts_of(study) as parts:
        path = study.path.resolve()
        made = [task.remote(path, shard, count, chosen, parts) for shard in range(1, count + 1)]
        ray.wait(
            made, num_returns=count
        )  # even if one fails: none may still be writing when the parts are removed
        return study.analyze_with(chosen, parts=ray.get(made), out=out, progress=progress)
