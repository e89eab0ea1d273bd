"""Two processes record one run: the values are those of one process alone."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")

import cograd  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

STEPS, M = 6, 30


def train(path: Path, rank: int | None, first: int = 0, state: str = "") -> None:
    """Trains with the same batches everywhere; at step 3 the loss of one sampled example of rank 1 is not finite."""
    torch.set_num_threads(1)
    if rank is not None:
        store = torch.distributed.FileStore(f"{path}.store-{first}", 2)
        torch.distributed.init_process_group("gloo", rank=rank, world_size=2, store=store)
    torch.manual_seed(0)
    x, y = torch.randn(M, 5), torch.randint(0, 3, (M,))
    model = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    seen = {"step": 0}
    poisoned = x[cograd.sample.sample_examples(M, 10, 0)[1], 0].item()

    def loss(model: Any, batch: Any) -> Any:
        losses = torch.nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none")
        return losses + torch.where((batch[0][:, 0] == poisoned) & (seen["step"] == 3), torch.inf, 0.0)

    recorder = cograd.torch.Recorder(
        model,
        (x, y),
        path,
        examples=10,
        coordinates=8,
        loss=loss,
        schedule=Schedule(STEPS, 0),
        population=Schedule(2, 3),
        distributed=rank is not None,
    )
    if state and first:
        recorder.load_state_dict(torch.load(f"{state}-{rank}"))
    for t in range(STEPS):
        seen["step"] = t
        if t >= first:
            recorder.step(t)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
                p.grad = None
        if state and not first and t == 2:
            torch.save(recorder.state_dict(), f"{state}-{rank}")
    if state and not first:
        recorder.abort()
    else:
        recorder.close()


def together(*arguments: Any) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "cograd.torch"])
    path, *rest = arguments
    processes = [context.Process(target=train, args=(path, rank, *rest)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
        assert process.exitcode == 0


def rows(run: Path, table: str, column: str) -> dict[tuple[int, int], Any]:
    found = {}
    for path in (run / table).rglob("part-*.parquet"):
        for row in pq.read_table(path, columns=["step", "example_id", column]).to_pylist():
            found[row["step"], row["example_id"]] = row[column]
    return found


def test_two_processes_record_what_one_does(tmp_path: Path) -> None:
    train(tmp_path / "one", None)
    together(tmp_path / "two")
    together(tmp_path / "again", 0, str(tmp_path / "state"))
    together(tmp_path / "again", 3, str(tmp_path / "state"))
    one, two, again = (tmp_path / name / "runs/seed-0" for name in ("one", "two", "again"))
    manifests = [json.loads((run / "manifest.json").read_text()) for run in (one, two)]
    for name in ("recorded_steps", "population_steps", "sampled_examples", "train_examples", "steps"):
        assert manifests[0][name] == manifests[1][name]
    assert [skipped["step"] for skipped in manifests[1]["skipped_steps"]] == [3]
    for table, column in (
        ("gradients", "gradient"),
        ("population", "contribution"),
        ("population", "self_term"),
    ):
        mine, theirs = rows(one, table, column), rows(two, table, column)
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            assert np.allclose(value, theirs[key], rtol=1e-5, atol=1e-6)
    assert len(list((two / "gradients").iterdir())) == 2
    files = [
        sorted(p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()) for run in (two, again)
    ]
    assert files[0] == files[1]
    assert all((two / name).read_bytes() == (again / name).read_bytes() for name in files[0])
