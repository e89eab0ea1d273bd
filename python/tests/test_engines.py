"""Analyses on Ray and Dask are those of one machine to the byte, even if a worker is killed in the middle."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cograd
from cograd import binary

OPTIONS = {"null_worlds": 99}


def same_bytes(analysed: cograd.Study, recorded: Path) -> None:
    names = {file.name for file in (recorded / "analysis").iterdir()}
    assert {file.name for file in analysed.analysis.iterdir()} == names
    for name in names:
        assert (analysed.analysis / name).read_bytes() == (recorded / "analysis" / name).read_bytes(), name
    assert not list(analysed.path.glob(".shards-*"))


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """The first shard that is begun waits until its worker, the parent of the command, has been killed."""
    told, real, script = tmp_path / "worker", binary.find(), tmp_path / "cograd"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *--shard*) if mkdir {tmp_path}/first 2>/dev/null; then\n'
        f'  echo $PPID $$ > {told}.new && mv {told}.new {told}; exec sleep 600\nfi;; esac\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv(binary.VARIABLE, str(script))
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        while not told.exists() and not stop.is_set():
            time.sleep(0.05)
        if told.exists():
            for process in told.read_text().split():  # the worker and then what it waits for, now an orphan
                killed.append(int(process))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    yield lambda: len(killed)
    stop.set()
    thread.join()


def test_ray_with_a_worker_killed_gives_the_same_bytes(
    victim: Callable[[], int], study: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # on a machine that does much else
    ray = pytest.importorskip("ray")
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": environment()}
    )
    try:
        same_bytes(cograd.ray.analyze(cograd.open(study), shards=4, progress=False, **OPTIONS), recorded)
        assert victim() == 2
        with pytest.raises(Exception, match="no column `nothing`"):
            cograd.ray.analyze(cograd.open(study), shards=2, progress=False, group_by="nothing")
    finally:
        ray.shutdown()
    assert not list(study.glob(".shards-*"))


def test_dask_with_a_worker_killed_gives_the_same_bytes(
    victim: Callable[[], int], study: Path, recorded: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, env=environment()
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        same_bytes(
            cograd.dask.analyze(cograd.open(study), client, shards=4, progress=False, **OPTIONS), recorded
        )
        assert victim() == 2
        with pytest.raises(binary.CommandFailed, match="no column `nothing`"):
            cograd.dask.analyze(cograd.open(study), client, shards=2, progress=False, group_by="nothing")
    assert not list(study.glob(".shards-*"))


def environment() -> dict[str, str]:
    """What a worker needs to find the package and the command."""
    return {name: os.environ[name] for name in ("PYTHONPATH", binary.VARIABLE) if name in os.environ}
